package chat_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
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
					h.dead[conv] = true
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
