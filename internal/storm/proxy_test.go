package storm_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/internal/storm"
)

// through starts a server and a proxy before it, and returns a client that keeps no
// connections.
func through(t *testing.T, seed uint64, share float64, serve http.HandlerFunc) (*httptest.Server, *storm.Proxy, *http.Client) {
	t.Helper()
	srv := httptest.NewServer(serve)
	t.Cleanup(srv.Close)
	p, err := storm.New(strings.TrimPrefix(srv.URL, "http://"), seed, share)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return srv, p, &http.Client{Timeout: 100 * time.Millisecond, Transport: &http.Transport{DialContext: p.Dial, DisableKeepAlives: true}}
}

func TestWithoutFaultsTheProxyIsAWire(t *testing.T) {
	t.Parallel()
	srv, p, client := through(t, 1, 0, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Path", r.URL.String())
		_, _ = w.Write(append(body, strings.Repeat("long ", 10_000)...)) // is sent in chunks
	})
	client.Timeout = patience
	for _, body := range []io.Reader{nil, strings.NewReader("some"), struct{ io.Reader }{strings.NewReader("chunks")}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/x?y=1", body)
		require.NoError(t, err)
		res, err := client.Do(req)
		require.NoError(t, err)
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		require.NoError(t, err)
		assert.Equal(t, "/x?y=1", res.Header.Get("X-Path"))
		assert.Len(t, strings.TrimSuffix(string(got), strings.Repeat("long ", 10_000)), map[bool]int{true: 0, false: len(got) - 50_000}[body == nil])
	}
	faults, requests := p.Counts()
	assert.Empty(t, faults)
	assert.Equal(t, 3, requests)
}

// What happens to a request follows from the seed and its number alone.
func TestASeedIsPlayedAgain(t *testing.T) {
	t.Parallel()
	played := func(seed uint64) map[uint64]string {
		srv, p, client := through(t, seed, 1, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"entries":[]}`) })
		// Where all is slow some requests give up before the proxy has them.
		for asked, end := 0, time.Now().Add(patience); asked < 40 || len(p.Events()) <= 15 && time.Now().Before(end); asked++ {
			if res, err := client.Get(srv.URL + "/v1/data-sources/1/data"); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		}
		p.Close()
		got := map[uint64]string{}
		for _, e := range p.Events() {
			got[e.N] = e.Fault
		}
		return got
	}
	first, again, other := played(7), played(7), played(8)
	require.Greater(t, min(len(first), len(again), len(other)), 15)
	differ := 0
	for n := range uint64(min(len(first), len(again), len(other))) {
		assert.Equal(t, first[n+1], again[n+1], "request %d", n+1)
		if first[n+1] != other[n+1] {
			differ++
		}
	}
	assert.Positive(t, differ)
}

func TestACutEndsConnectionsAndNothingMoreArrives(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int64
	srv, p, _ := through(t, 1, 0, func(http.ResponseWriter, *http.Request) { arrived.Add(1) })
	nc, err := p.Dial(t.Context(), "tcp", strings.TrimPrefix(srv.URL, "http://"))
	require.NoError(t, err)
	defer nc.Close()
	const ask = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	_, err = io.WriteString(nc, ask)
	require.NoError(t, err)
	_, err = io.ReadFull(nc, make([]byte, 12))
	require.NoError(t, err)
	p.Cut()
	_, _ = io.WriteString(nc, ask)
	_, _ = io.Copy(io.Discard, nc) // until it ends
	p.Close()                      // waits for whoever might forward it
	assert.EqualValues(t, 1, arrived.Load())
}

func TestTheOracleTellsWhatCameTwiceOrOutOfOrder(t *testing.T) {
	t.Parallel()
	at := time.Unix(1, 0)
	says := func(id int64, guid string) *chat.Message {
		return &chat.Message{ID: id, ConversationID: 1, GUID: guid, CreatedAt: at.Add(time.Duration(id) * time.Second)}
	}
	stream := newView(&story{}, "a stream")
	for _, m := range []*chat.Message{says(1, "a"), says(3, "c"), says(2, "b"), says(3, "c")} {
		stream.take(m)
	}
	assert.Equal(t, []string{"a stream: b (2) came after 3"}, stream.inverted)
	assert.Equal(t, []string{"a stream: c came 2 times"}, stream.doubled())

	consumer := newView(&story{}, "a consumer")
	consumer.durable = true
	consumer.take(says(1, "a"))
	consumer.take(says(2, "b"))
	consumer.lived()
	consumer.take(says(2, "b")) // was in flight
	assert.Empty(t, consumer.doubled())
	assert.Empty(t, consumer.inverted)
	assert.Equal(t, 1, consumer.repeats())
	consumer.take(says(2, "b")) // in the same life
	assert.Equal(t, []string{"a consumer: b came 3 times"}, consumer.doubled())
}
