package chat_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// deadEnds is a way to the server on which requests about some data sources have no answer.
type deadEnds struct {
	w    *world
	mu   sync.Mutex
	dead map[int64]bool
	hung int
}

func (h *deadEnds) RoundTrip(r *http.Request) (*http.Response, error) {
	rest, of := strings.CutPrefix(r.URL.Path, "/v1/data-sources/")
	id, _, _ := strings.Cut(rest, "/")
	source, err := strconv.ParseInt(id, 10, 64)
	h.mu.Lock()
	dead := of && err == nil && h.dead[source]
	if dead {
		h.hung++
	}
	h.mu.Unlock()
	if dead {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return h.w.Transport().RoundTrip(r)
}

func (h *deadEnds) kill(conversation int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dead[conversation] = true
}

func (h *deadEnds) client() *datasource.Client {
	return sure(datasource.NewClient(datasource.Config{
		Token: h.w.Token, BaseURL: h.w.URL, Limiter: datasource.Unlimited(), HTTPClient: &http.Client{Transport: h},
	}))
}

func TestAConversationWhoseSendsHangHoldsUpItselfOnly(t *testing.T) {
	t.Parallel()
	for _, n := range []int{4, 8, 100} {
		t.Run(fmt.Sprintf("%d of them", n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				h := &deadEnds{w: w, dead: map[int64]bool{}}
				var mu sync.Mutex
				stored := map[string]time.Time{}
				jane := w.login("jane", asUsual, func(o *chat.Options) {
					o.Client, o.Storage = h.client(), storage.NewMemory()
					o.Outbox = &chat.OutboxOptions{OnChange: func(c chat.SendChange) {
						mu.Lock()
						defer mu.Unlock()
						if c.State == chat.SendStored {
							stored[c.GUID] = time.Now()
						}
					}}
				})
				healthy := w.talk()
				for i := range n {
					conv := w.talk()
					h.kill(conv)
					queue(t, jane, conv, fmt.Sprintf("hangs %d", i), fmt.Sprintf("behind %d", i))
				}
				for i := range 60 {
					name := strconv.Itoa(i)
					added := time.Now()
					queue(t, jane, healthy, name)
					time.Sleep(5 * time.Second)
					synctest.Wait()
					mu.Lock()
					at, there := stored[name]
					mu.Unlock()
					require.True(t, there, "message %s has not been sent within 5 s", name)
					assert.LessOrEqual(t, at.Sub(added), time.Second, "message %s", name)
				}
				h.mu.Lock()
				assert.GreaterOrEqual(t, h.hung, 10*n, "the others were tried all the time")
				h.mu.Unlock()
				require.NoError(t, jane.Close())
			})
		})
	}
}

// hung is a way to the server on which, from some moment on, nothing gets on.
type hung struct {
	next http.RoundTripper
	how  func(*http.Request) (*http.Response, error)
	on   atomic.Bool
}

func (h *hung) RoundTrip(r *http.Request) (*http.Response, error) {
	if !h.on.Load() {
		return h.next.RoundTrip(r)
	}
	return h.how(r)
}

// dripping is a body of which a byte comes every pause.
type dripping struct {
	io.Reader
	pause time.Duration
	end   context.Context
}

func (d *dripping) Read(p []byte) (int, error) {
	select {
	case <-time.After(d.pause):
		return d.Reader.Read(p[:min(len(p), 1)])
	case <-d.end.Done():
		return 0, d.end.Err()
	}
}

func (*dripping) Close() error { return nil }

// drips answers with a text, the bytes of which come one by one after the first n.
func drips(n int, pause time.Duration) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		text := `{"entries":[{"id":1,"data":{"body":"` + strings.Repeat("x", 10<<10) + `"}}]}`
		rest := &dripping{strings.NewReader(text[n:]), pause, r.Context()}
		return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, Body: struct {
			io.Reader
			io.Closer
		}{io.MultiReader(strings.NewReader(text[:n]), rest), rest}}, nil
	}
}

var hangs = map[string]func(*http.Request) (*http.Response, error){
	"nothing is taken": func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	},
	"no answer begins": func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	},
	"a byte a minute":   drips(0, time.Minute),
	"a byte in 14 s":    drips(0, 14*time.Second),
	"stops in the body": drips(9<<10, 1000*time.Hour),
}

// Each of the calls has a context without a deadline, and every request of it hangs.
func TestEveryCallEndsWhenTheServerHangs(t *testing.T) {
	t.Parallel()
	for kind, how := range hangs {
		for name, call := range counted {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, fliplettest.InProcess())
					way := &hung{next: w.Transport(), how: how}
					s := &stall{ctx: t.Context(), w: w, bob: w.login("bob"), grows: true}
					w.login("eve")
					made, err := s.bob.Create(t.Context(), chat.NewConversation{Participants: []int64{w.ids["jane"]}, AllowInvite: true})
					require.NoError(t, err)
					s.jane, s.conv, s.shared = w.login("jane", asUsual, func(o *chat.Options) { o.Client = w.over(way) }), made, made
					if strings.HasPrefix(name, "Conversation.") || name == "Poll" {
						s.conv, err = s.jane.Conversation(t.Context(), made.ID)
						require.NoError(t, err)
					}
					if name == "Poll" {
						stream(t, s.jane)
					}
					s.prepare(t)
					way.on.Store(true)
					began := time.Now()
					err = call(s)
					took := time.Since(began)
					t.Logf("%s: %v", took, err)
					if took > 0 && name != "Logout" { // which is always one here
						require.ErrorIs(t, err, chat.ErrOffline)
					}
					assert.LessOrEqual(t, took, 62*time.Second)
					require.NoError(t, s.jane.Close())
				})
			})
		}
	}
}
