package chat_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// asUsual gives a Chat the waits that programs have.
func asUsual(o *chat.Options) {
	o.LivePollInterval, o.PollInterval, o.MaxPollInterval = 2*time.Second, 20*time.Second, 2*time.Minute
	o.EncryptMessages = false
}

// network is a way to the server that can be interrupted.
type network struct {
	w     *world
	away  atomic.Bool
	tries atomic.Int64 // while it was away
	err   error        // of the requests meanwhile; nil: a lever answers them
	lever *fliplettest.Lever
}

// kinds of outages, each with the error of a request or what the server does.
var kinds = map[string]any{
	"500": fliplettest.Status(500), "502": fliplettest.Status(502), "503": fliplettest.Status(503), "504": fliplettest.Status(504),
	"a page of a proxy":   fliplettest.Answer(200, "<html>down for maintenance</html>"),
	"dropped connections": fliplettest.LoseRequest(), "answers cut": fliplettest.Cut(), "answers lost": fliplettest.LoseAnswer(),
	"refused":            &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED},
	"timeouts":           &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded},
	"requests swallowed": errSwallowed,
	"no resolver":        &net.DNSError{Err: "server misbehaving", Name: "api.fliplet.com", IsTemporary: true},
}

// errSwallowed: a request has no answer, nor an error, before its context ends.
var errSwallowed = errors.New("swallowed")

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	if n.away.Load() {
		n.tries.Add(1)
		if n.err == errSwallowed { //nolint:errorlint // it is this one
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		if n.err != nil {
			return nil, n.err
		}
	}
	return n.w.Transport().RoundTrip(r)
}

// client has the waits that programs have.
func (n *network) client() *datasource.Client {
	return sure(datasource.NewClient(datasource.Config{
		Token: n.w.Token, BaseURL: n.w.URL, Limiter: datasource.Unlimited(), HTTPClient: &http.Client{Transport: n},
	}))
}

func (n *network) interrupt(kind string) {
	n.err = nil
	switch k := kinds[kind].(type) {
	case error:
		n.err = k
	case fliplettest.Fault:
		n.lever = n.w.Always(fliplettest.AnyRoute, k)
	}
	n.away.Store(true)
}

func (n *network) restore() {
	n.away.Store(false)
	if n.lever != nil {
		n.lever.Off()
	}
}

// duringOutages runs a test with outages of every kind and length, on virtual time.
func duringOutages(t *testing.T, test func(t *testing.T, w *world, n *network, begin func() (end func()), length time.Duration)) {
	for _, length := range []time.Duration{time.Minute, 10*time.Minute + 7*time.Second, time.Hour, 24 * time.Hour} {
		for kind := range kinds {
			if !longtest.Enabled() && (length > time.Hour || length > time.Minute && kind != "refused" && kind != "requests swallowed") {
				continue
			}
			t.Run(fmt.Sprintf("%s for %s", kind, length), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, fliplettest.InProcess())
					n := &network{w: w}
					test(t, w, n, func() func() {
						n.interrupt(kind)
						time.Sleep(length)
						return n.restore
					}, length)
				})
			})
		}
	}
}

func TestStreamsAreBackWithinTenSecondsOfTheEndOfAnOutage(t *testing.T) {
	t.Parallel()
	duringOutages(t, func(t *testing.T, w *world, n *network, begin func() func(), length time.Duration) {
		jane := w.login("jane", asUsual)
		conv := w.converse(jane, "bob")
		bob := w.login("bob", asUsual, func(o *chat.Options) { o.Client = n.client() })
		var arrived time.Time
		sub := sure(bob.Stream(t.Context(), func(*chat.Message) { arrived = time.Now() }))
		defer sub.Stop()
		require.NoError(t, bob.Poll(t.Context()))
		begin()()
		w.say(jane, conv, "back")
		ended := time.Now()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.False(t, arrived.IsZero(), "the message has not arrived")
		t.Logf("%s after the end, %d requests during the outage", arrived.Sub(ended), n.tries.Load())
		// A poll is a read, which is tried four times, and the next one begins at least eight seconds later.
		assert.LessOrEqual(t, n.tries.Load(), 4*int64(length/(8*time.Second)+8), "requests during the outage")
	})
}

func TestTheOutboxIsBackWithinTenSecondsOfTheEndOfAnOutage(t *testing.T) {
	t.Parallel()
	duringOutages(t, func(t *testing.T, w *world, n *network, begin func() func(), length time.Duration) {
		var mu sync.Mutex
		stored := map[string]time.Time{}
		jane := w.login("jane", asUsual, func(o *chat.Options) {
			o.Client, o.Storage = n.client(), storage.NewMemory()
			o.Outbox = &chat.OutboxOptions{OnChange: func(c chat.SendChange) {
				mu.Lock()
				defer mu.Unlock()
				if c.State == chat.SendStored {
					stored[c.GUID] = time.Now()
				}
			}}
		})
		conv := w.talk()
		go func() { // during the outage
			time.Sleep(time.Second)
			queue(t, jane, conv, "a", "b", "c")
			queue(t, jane, w.talk(), "d")
		}()
		begin()()
		ended := time.Now()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for _, name := range []string{"a", "b", "c", "d"} {
			require.Contains(t, stored, name)
		}
		assert.Len(t, w.Rows(conv), 3, "each once")
		t.Logf("%s after the end, %d requests during the outage", stored["c"].Sub(ended), n.tries.Load())
		// Two conversations, and each request is tried four times at most.
		assert.LessOrEqual(t, n.tries.Load(), 2*4*int64(length/(5*time.Second)+8), "requests during the outage")
	})
}

// What may have been stored is looked up, by requests that take their time.
func TestTheOutboxOfASlowServerSendsEachMessageOnce(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]time.Duration{"12 s": 12 * time.Second, "20 s, and inserts are never seen to succeed": 20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				jane := w.login("jane", asUsual, func(o *chat.Options) { o.Storage, o.Outbox = storage.NewMemory(), &chat.OutboxOptions{} })
				conv := w.talk()
				w.Always(fliplettest.Insert, fliplettest.DelayAnswer(wait))
				w.Always(fliplettest.Query, fliplettest.Delay(12*time.Second))
				w.Next(1, fliplettest.Insert, fliplettest.LoseAnswer())
				queue(t, jane, conv, "a", "b", "c")
				require.NoError(t, jane.Outbox().Flush(t.Context()))
				assert.Len(t, w.Rows(conv), 3, "each once")
			})
		})
	}
}

// A server names waits of any length, in any form. Nobody is silenced for much
// longer than a minute, and nobody asks without a pause.
func TestNoWaitThatAServerNamesSilencesAChatOrMakesItHaste(t *testing.T) {
	t.Parallel()
	plain := fliplettest.Answer(429, `{}`)
	for name, f := range map[string][]fliplettest.Fault{
		"68 years":             {plain, fliplettest.Header("Retry-After", "2147483647")},
		"more than 64 bits":    {plain, fliplettest.Header("Retry-After", "99999999999999999999")},
		"an hour":              {plain, fliplettest.Header("Retry-After", "3600")},
		"a date in 2099":       {plain, fliplettest.Header("Retry-After", "Thu, 01 Jan 2099 00:00:00 GMT")},
		"negative":             {plain, fliplettest.Header("Retry-After", "-1")},
		"not a number":         {plain, fliplettest.Header("Retry-After", "NaN")},
		"zero":                 {plain, fliplettest.Header("Retry-After", "0")},
		"a fraction":           {plain, fliplettest.Header("Retry-After", "0.000001")},
		"the year 9999":        {fliplettest.Answer(429, `{"nextValidRequestDate":"9999-12-31T23:59:59.999Z"}`)},
		"the year 1":           {fliplettest.Answer(429, `{"nextValidRequestDate":"0001-01-01T00:00:00.001Z"}`)},
		"a number":             {fliplettest.Answer(429, `{"nextValidRequestDate":253402300799999}`)},
		"nonsense":             {fliplettest.Answer(429, `{"nextValidRequestDate":"soon"}`)},
		"a Date of the year 1": {fliplettest.Header("Date", "Mon, 01 Jan 0001 00:00:00 GMT")},
		"a Date of 9999":       {fliplettest.Header("Date", "Fri, 31 Dec 9999 23:59:59 GMT")},
		"no Date":              {fliplettest.Header("Date", ""), fliplettest.Header("Retry-After", "2147483647")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				n := &network{w: w}
				jane := w.login("jane", asUsual)
				conv := w.converse(jane, "bob")
				bob := w.login("bob", asUsual, func(o *chat.Options) {
					o.Client, o.Storage, o.Outbox = n.client(), storage.NewMemory(), &chat.OutboxOptions{}
				})
				toBob := stream(t, bob)
				lever := w.Always(fliplettest.AnyRoute, append([]fliplettest.Fault{fliplettest.Status(429)}, f...)...)
				n.away.Store(true)
				queue(t, bob, conv.ID, "from bob")
				time.Sleep(10 * time.Minute)
				assert.LessOrEqual(t, n.tries.Load(), int64(8*75+40), "requests in ten minutes, by the poll and one send")
				n.away.Store(false)
				lever.Off()
				w.say(jane, conv, "from jane")
				time.Sleep(80 * time.Second)
				synctest.Wait()
				assert.ElementsMatch(t, []string{"from jane", "from bob"}, bodies(toBob.all()))
			})
		})
	}
}
