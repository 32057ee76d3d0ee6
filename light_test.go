package chat_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// tape answers a query that was made before with the answer that it had, so that what a
// server does is not measured.
type tape struct {
	next    http.RoundTripper
	mu      sync.Mutex
	answers map[string][]byte
}

func (p *tape) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "v1/data-sources/data") {
		return p.next.RoundTrip(r)
	}
	query, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_ = r.Body.Close()
	p.mu.Lock()
	answer, ok := p.answers[string(query)]
	p.mu.Unlock()
	if !ok {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(query))
		resp, err := p.next.RoundTrip(again)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if answer, err = io.ReadAll(resp.Body); err != nil {
			return nil, err
		}
		p.mu.Lock()
		p.answers[string(query)] = answer
		p.mu.Unlock()
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)),
	}, nil
}

// backlog is a conversation with many messages, and Bob, who reads them all.
func backlog(t testing.TB, n int, change ...func(*chat.Options)) (read func(each func(*chat.Message))) {
	t.Helper()
	w := newWorld(t, fliplettest.InProcess())
	p := &tape{next: w.Transport(), answers: map[string][]byte{}}
	bob := w.login("bob", append(change, func(o *chat.Options) {
		o.Client, o.EncryptMessages = w.over(p), false
		o.LivePollInterval, o.PollInterval, o.MaxPollInterval = time.Hour, time.Hour, time.Hour
	})...)
	conv := w.converse(w.login("jane"), "bob")
	for sent := 0; sent < n; sent += 200 {
		w.ShiftClock(time.Second)
		list := make([]datasource.M, 200)
		for i := range list {
			from := fmt.Sprintf("5f2b6c0e9d7a4c1b8e3f0a1d2c4b6e%02d", i%7)
			list[i] = datasource.M{
				"body": strings.Repeat(fmt.Sprintf("%07d ", sent+i), 16), "fromUserId": from, "readBy": []string{from, "u-bob"},
				"conversationId": conv.ID, "guid": fmt.Sprintf("0b8f3f7e-6f0a-4d63-9d5e-%012d", sent+i), "sentTime": fmt.Sprintf("2026-02-01T08:00:00.%03dZ", i),
			}
		}
		w.AddRows(conv.ID, list...)
	}
	w.ShiftClock(time.Minute)
	return func(each func(*chat.Message)) {
		got := 0
		for m, err := range bob.Events(context.Background(), chat.StartAt(chat.FromBeginning)) {
			if err != nil { // require would look at the stack for each message
				require.NoError(t, err)
			}
			each(m)
			if got++; got == n {
				return
			}
		}
	}
}

// A count, which no other work of the machine changes. Not parallel: it counts those of
// the process.
func TestAMessageTakesSixAllocationsFromTheAnswerToTheFunction(t *testing.T) {
	const n = 20_000
	read := backlog(t, n)
	read(func(*chat.Message) {}) // fills the tape
	least := 1e9
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		read(func(*chat.Message) {})
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.Mallocs-before.Mallocs)/n)
	}
	assert.Less(t, least, 6.5, "six, and what a start that reads rows twice by chance adds")
	t.Logf("%.2f allocations a message", least)
}

// Not parallel: it looks at the heap.
func TestAMessageThatIsKeptDoesNotKeepItsPage(t *testing.T) {
	const n = 10_000
	read := backlog(t, n)
	read(func(*chat.Message) {})
	least := int64(1 << 40)
	for range 5 { // a read whose questions differ adds its answers to the tape
		at := inUse()
		read(func(*chat.Message) {})
		before := max(inUse(), at)
		kept := make([]*chat.Message, 0, n/200)
		read(func(m *chat.Message) {
			if m.ID%200 == 77 {
				kept = append(kept, m)
			}
		})
		require.Len(t, kept, n/200)
		least = min(least, (int64(inUse())-int64(before))/int64(len(kept))) //nolint:gosec // sizes
		runtime.KeepAlive(kept)
	}
	t.Logf("%d bytes a message", least)
	assert.Less(t, least, int64(8<<10), "a page has about 200 KB in memory")
}

// confirming answers the inserts of messages as a server does that stores them, by itself,
// so that nothing but the request of a send is counted.
type confirming struct{ next http.RoundTripper }

func (p *confirming) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/data") {
		return p.next.RoundTrip(r)
	}
	row, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	answer := slices.Concat([]byte(`{"id":77,"data":`), row, []byte(`}`))
	return &http.Response{
		StatusCode: http.StatusOK, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}, "Date": {"Sun, 01 Feb 2026 08:00:00 GMT"}},
		Body:   io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)),
	}, err
}

// transport is one of net/http that leaves everything to next.
func transport(next http.RoundTripper) *http.Transport {
	t := &http.Transport{}
	t.RegisterProtocol("http", next)
	t.RegisterProtocol("https", next)
	return t
}

// underRaceDetector: it has some variables on the heap that are not there otherwise, and
// a sync.Pool forget things.
func underRaceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// A count, which no other work of the machine changes. Not parallel: it counts those of
// the process. What net/http does behind a RoundTripper is not in it; see docs/performance.md.
func TestASendTakesFewAllocations(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*chat.Options)
		most   float64
	}{
		"plain":     {func(o *chat.Options) { o.EncryptMessages = false }, 63},
		"encrypted": {func(*chat.Options) {}, 80},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fliplettest.InProcess())
			bob := w.login("bob", test.change, func(o *chat.Options) { o.Client = w.over(transport(&confirming{w.Transport()})) })
			conv := w.converse(w.login("jane"), "bob")
			draft := chat.Draft{Body: "a text of about the usual length, sent by a backend"}
			ctx := context.Background()
			least := 1e9
			for range 5 {
				least = min(least, testing.AllocsPerRun(100, func() {
					if _, err := bob.Message(ctx, conv.ID, draft); err != nil {
						panic(err)
					}
				}))
			}
			t.Logf("%.0f allocations a send", least)
			if underRaceDetector() {
				test.most += 10
			}
			assert.LessOrEqual(t, least, test.most+1)
		})
	}
}
