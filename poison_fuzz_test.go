package chat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// choices draws a hostile history from the bytes of a fuzzer.
type choices struct{ left []byte }

func (c *choices) byte() int {
	if len(c.left) == 0 {
		return 0
	}
	b := c.left[0]
	c.left = c.left[1:]
	return int(b)
}

func (c *choices) of(n int) int { return c.byte() % n }

// fuzzedColumns are those that the SDK reads, and one that it does not.
var fuzzedColumns = []string{
	"body", "guid", "fromUserId", "readBy", "file", "isDeleted", "conversationId", "fileMediaFileId", "_flSchema", "sentTime",
	"hasMediaFileWithPrivateEncryptionKey", "id", "deletedAt", "other",
}

// value is a JSON value of any type, size and depth.
func (c *choices) value(depth int) any {
	switch c.of(14) {
	case 0:
		return nil
	case 1:
		return c.of(2) == 0
	case 2:
		return json.Number([]string{"0", "-1", "1e400", "1.5", "9223372036854775808", "0.1e-9", strings.Repeat("9", 1+c.byte())}[c.of(7)])
	case 3, 4:
		n := c.byte()
		return string(bytes.ToValidUTF8(c.left[:min(len(c.left), n)], []byte("?")))
	case 5:
		return strings.Repeat([]string{"x", `"`, "\x00", "é", "😀", "\\", "}", "]"}[c.of(8)], c.byte()*c.byte()*4)
	case 6:
		return repeat(datasource.M{}, c.byte()*c.byte())
	case 7:
		return nested(c.byte() * 41)
	case 8:
		return manyColumns(c.byte() * c.byte() / 4)
	case 9:
		return []string{"U2FsdGVkX1", "U2FsdGVkX19", "fc1.", "fc1:x", "{", "https://127.0.0.1/", "1999-06-01T00:00:00.000Z"}[c.of(7)]
	case 10, 11:
		list := []any{}
		for range c.of(4) {
			if depth < 4 {
				list = append(list, c.value(depth+1))
			}
		}
		return list
	}
	return c.row(depth + 1)
}

func (c *choices) row(depth int) datasource.M {
	m := datasource.M{}
	for range c.of(5) {
		if depth < 5 {
			m[fuzzedColumns[c.of(len(fuzzedColumns))]] = c.value(depth)
		}
	}
	return m
}

// raw is a row as only a broken server sends it, with ids that belong to a hostile row or to nobody.
func (c *choices) raw(known []int64, sources []int64) string {
	id := any(900_000 + c.of(3))
	if len(known) > 0 && c.of(2) == 0 {
		id = known[c.of(len(known))]
	}
	switch c.of(8) {
	case 0:
		id = nil
	case 1:
		id = -5
	case 2:
		id = "text"
	case 3:
		id = fmt.Sprint(id)
	}
	source := any(sources[c.of(len(sources))])
	if c.of(3) == 0 {
		source = []any{nil, 0, -1, 4242, "7", M{}}[c.of(6)]
	}
	row := datasource.M{"id": id, "dataSourceId": source, "data": c.value(0), "order": c.value(3), "x": c.value(2)}
	for _, name := range []string{"createdAt", "updatedAt", "deletedAt"} {
		switch c.of(6) {
		case 0:
		case 1:
			row[name] = nil
		case 2:
			row[name] = c.value(2)
		default:
			row[name] = []string{"1970-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z", "1999-02-30T00:00:00.000Z", "1999-01-01", "", "1999-01-01T00:00:00.123456789+14:00"}[c.of(6)]
		}
	}
	if row["deletedAt"] != nil && c.of(2) == 0 {
		delete(row, "deletedAt")
	}
	text, err := json.Marshal(row)
	if err != nil {
		return "null"
	}
	return string(text)
}

// M is short for the tables above.
type M = datasource.M

// injector adds rows to the answers of the cross-source endpoint, as long as these can hold them: a server that adds
// more to every answer, out of order, leaves nothing to go on from.
type injector struct {
	http.RoundTripper
	mu   sync.Mutex
	rows []string
}

func (i *injector) add(row string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rows = append(i.rows, row)
}

func (i *injector) RoundTrip(r *http.Request) (*http.Response, error) {
	whole := false // the answer is not a part of a page
	if r.Body != nil && r.URL.Path == "/v1/data-sources/data" {
		asked, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(asked))
		whole = bytes.Contains(asked, []byte(`"limit":200`))
	}
	resp, err := i.RoundTripper.RoundTrip(r)
	i.mu.Lock()
	defer i.mu.Unlock()
	if err != nil || len(i.rows) == 0 || !whole || resp.StatusCode != 200 {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	if at := bytes.IndexByte(body, '['); at >= 0 && bytes.HasPrefix(body, []byte(`{"entries":[`)) {
		more := strings.Join(i.rows, ",")
		if len(more)+len(body) > 200<<10 {
			more = "null"
		}
		if body[at+1] != ']' {
			more += ","
		}
		body = []byte(string(body[:at+1]) + more + string(body[at+1:]))
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, nil
}

// Whatever rows and definitions are stored beside a healthy conversation, all of its messages arrive, once and in
// order, through everything that reads, and none of other people's. The client reads little at a time, so that small rows are large ones here.
func FuzzHostileRowsBesideAHealthyConversation(f *testing.F) {
	for _, seed := range []string{
		"", "\x00\x01\x02", "\x00\x04\x00\x05\x00\xff\xff\x00\x04\x01\x05\x01\xff\xff\x05", "\x00\x02\x0d\x07\xff\x05\x00\x02\x0d\x07\xf4",
		"\x00\x02\x0d\x06\xff\xff\x05", "\x01\x05\xff\xff\xff\x01\x07\xff\x05", "\x04\x01\x00\x04\x00\x05\xff\xff\x05", "\x03\x00\x02\x05\xff\xff",
		"\x00\x02\x0d\x08\xff\xff\x02\x00\x02\x0d\x08\xff\xff\x05\x03\x00", "0123456789abcdefghijklmnopqrstuvwxyz0123456789",
		strings.Repeat("\x00\x01\x00\x05\x00\xff\x80", 30), strings.Repeat("\x04\x07\x03\x05\x01", 12), strings.Repeat("\x01\x01\x05\x00\xff\xf0", 20),
		"\x00\xf0tnnn\xe8\xe8", "X000110810002100X0",
	} {
		f.Add([]byte(seed), len(seed)%2 == 0)
	}
	f.Fuzz(func(t *testing.T, data []byte, endpoint bool) {
		synctest.Test(t, func(t *testing.T) { besideHostileRows(t, data, endpoint) })
	})
}

func besideHostileRows(t *testing.T, data []byte, endpoint bool) {
	// Other tests of the same process leave garbage, which is none of this one's.
	before := heap()
	c := &choices{left: data[:min(len(data), 400)]}
	w := newWorld(t, fliplettest.InProcess())
	bob := w.login("bob", patient)
	in := &injector{RoundTripper: w.Transport()}
	client, err := datasource.NewClient(datasource.Config{
		Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: in}, MaxResponseBytes: 256 << 10,
		Limiter: datasource.Unlimited(), Retry: datasource.RetryPolicy{MaxAttempts: 1},
	})
	require.NoError(t, err)
	jane := w.login("jane", patient, func(o *chat.Options) { o.Client = client })
	healthy, sick, secret := w.converse(bob, "jane"), w.converse(bob, "jane", "eve"), w.converse(bob, "eve")
	if !endpoint {
		w.Always(fliplettest.CrossSource, fliplettest.Status(404))
	} else {
		w.Always(fliplettest.CrossSource, fliplettest.Everybody())
	}
	var want []string
	say := func() {
		w.say(bob, secret, "of others")
		want = append(want, "healthy "+strconv.Itoa(len(want)))
		w.say(bob, healthy, want[len(want)-1])
	}
	say()
	early := newRecorder()
	_, err = jane.Stream(t.Context(), early.add, chat.OnGap(func(chat.Gap) {}))
	require.NoError(t, err)
	var ids []int64
	sources := []int64{sick.ID}
	for range 16 {
		if len(c.left) == 0 {
			break
		}
		switch c.of(6) {
		case 0:
			n := 1 + c.of(4)
			for range n {
				ids = append(ids, w.AddRows(sick.ID, c.row(0))...)
			}
		case 1:
			definition := c.row(0)
			definition["metadata"] = c.value(0)
			if c.of(4) > 0 {
				definition["participants"] = []any{jane.User().UserID, c.value(2)}
			}
			id := w.AddDataSource(M{"name": "Hostile", "type": "conversation", "definition": definition})
			sources = append(sources, id)
			ids = append(ids, w.AddRows(id, c.row(0))...)
		case 2:
			if len(ids) > 0 {
				_, _ = w.Client().Update(t.Context(), sick.ID, ids[c.of(len(ids))], c.row(0))
			}
		case 3:
			if len(ids) > 0 {
				_ = w.Client().Delete(t.Context(), sick.ID, ids[c.of(len(ids))])
			}
		case 4:
			in.add(c.raw(ids, sources))
		case 5:
			say()
			require.NoError(t, jane.Poll(t.Context()))
		}
	}
	say()
	require.NoError(t, jane.Poll(t.Context()))
	late := newRecorder()
	_, err = jane.Stream(t.Context(), late.add, chat.OnGap(func(chat.Gap) {}))
	require.NoError(t, err)
	require.NoError(t, jane.Poll(t.Context()))
	wait := time.Now().Add(10 * time.Second)
	for _, r := range []*recorder{early, late} {
		for len(healthyBodies(t, r.all(), healthy.ID)) < len(want) && time.Now().Before(wait) {
			require.NoError(t, jane.Poll(t.Context()))
		}
		require.Equal(t, want, healthyBodies(t, r.all(), healthy.ID))
		requireNone(t, r.all(), secret.ID)
	}
	msgs, err := jane.Messages(t.Context(), chat.Limit(1000))
	require.NoError(t, err)
	require.Equal(t, want, healthyBodies(t, msgs, healthy.ID))
	requireNone(t, msgs, secret.ID)
	msgs, err = jane.Unread().Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, healthyBodies(t, msgs, healthy.ID))
	requireNone(t, msgs, secret.ID)
	msgs, err = jane.Messages(t.Context(), chat.Limit(1000), chat.OrderBy("id", datasource.Asc))
	require.NoError(t, err)
	require.Equal(t, want, healthyBodies(t, msgs, healthy.ID))
	requireNone(t, msgs, secret.ID)
	msgs, err = healthy.Messages().Fetch(t.Context(), chat.Limit(50))
	require.NoError(t, err)
	require.Equal(t, want, healthyBodies(t, msgs, healthy.ID))
	for _, id := range []int64{healthy.ID, sick.ID} {
		for m, err := range jane.History(t.Context(), id) {
			require.NoError(t, err)
			_, _ = json.Marshal(m)
		}
	}
	list, err := jane.Conversations(t.Context())
	require.NoError(t, err)
	found := false
	for _, v := range list {
		found = found || v.ID == healthy.ID
		_, _ = json.Marshal(v)
	}
	require.True(t, found)
	require.Less(t, heap(), before+600<<20, "memory")
}

// heap is how many bytes are allocated, with those that nobody needs any more.
func heap() uint64 {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	return mem.HeapAlloc
}

// requireNone fails for messages of a conversation.
func requireNone(t *testing.T, msgs []*chat.Message, conversation int64) {
	t.Helper()
	for _, m := range msgs {
		require.NotEqual(t, conversation, m.ConversationID)
	}
}

// healthyBodies are the new messages of the healthy conversation, which can all be read.
func healthyBodies(t *testing.T, msgs []*chat.Message, healthy int64) []string {
	t.Helper()
	var out []string
	for _, m := range msgs {
		if m.ConversationID == healthy {
			require.NoError(t, m.Err)
			require.False(t, m.IsUpdate)
			out = append(out, m.Body)
		}
	}
	return out
}
