package chat_test

import (
	"fmt"
	"io"
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
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// strict is a way to a server that allows so many requests in any 10 s, which the client
// does not know.
type strict struct {
	next  http.RoundTripper
	most  int
	names bool // it says when the next one is allowed

	mu      sync.Mutex
	recent  []time.Time
	refused int
}

func (s *strict) RoundTrip(r *http.Request) (*http.Response, error) {
	if wait, ok := s.admit(); !ok {
		h := http.Header{"Content-Type": {"application/json"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}}
		if s.names {
			h.Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		}
		return &http.Response{StatusCode: 429, Header: h, Request: r, Body: io.NopCloser(strings.NewReader(`{"message":"You've made too many attempts"}`))}, nil
	}
	return s.next.RoundTrip(r)
}

func (s *strict) admit() (wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for len(s.recent) > 0 && now.Sub(s.recent[0]) >= 10*time.Second {
		s.recent = s.recent[1:]
	}
	if len(s.recent) >= s.most {
		s.refused++
		return s.recent[0].Add(10 * time.Second).Sub(now), false
	}
	s.recent = append(s.recent, now)
	return 0, true
}

func (s *strict) refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// A poll of so many conversations takes more requests than the server allows at once.
func TestManyConversationsAreReadWithinALimitThatTheClientDoesNotKnow(t *testing.T) {
	t.Parallel()
	limiters := map[string]func() *datasource.Window{
		"none": datasource.Unlimited, "a larger one": func() *datasource.Window { return datasource.NewLimiter(400, 10*time.Second) },
	}
	for _, c := range []struct {
		conversations, most int
		names               bool
		limiter             string
		start               chat.From
	}{
		{250, 100, true, "none", chat.FromNow}, {250, 100, false, "none", chat.FromNow}, {250, 200, true, "a larger one", chat.FromNow},
		{250, 200, false, "a larger one", chat.FromNewest}, {450, 100, false, "none", chat.FromBeginning},
	} {
		t.Run(fmt.Sprintf("%d, %d in 10 s, named %v, a limiter of %s, from %v", c.conversations, c.most, c.names, c.limiter, c.start), func(t *testing.T) {
			t.Parallel()
			if c.conversations > 250 || c.start == chat.FromNewest {
				longtest.Only(t, "it plays many requests")
			}
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				w.Always(fliplettest.CrossSource, fliplettest.Status(404))
				ids := many(w, c.conversations)
				time.Sleep(time.Hour)
				way := &strict{next: &noJoins{RoundTripper: w.Transport(), refuses: true}, most: c.most, names: c.names}
				bob := w.login("bob", asUsual, func(o *chat.Options) { o.Client = w.over(way, limiters[c.limiter]()) })
				got := newArrivals()
				_, err := bob.Stream(t.Context(), got.add, chat.StartAt(c.start))
				require.NoError(t, err)
				time.Sleep(10 * time.Minute)
				want := map[int64][]string{}
				for i, id := range ids {
					if i%2 == 0 && c.start != chat.FromNow {
						want[id] = append(want[id], "old")
					}
				}
				send := func(i int, what string) {
					id := ids[i%len(ids)]
					body := fmt.Sprint(what, " ", i)
					got.send(w, id, body)
					want[id] = append(want[id], body)
				}
				for i := range len(ids) {
					send(7*i, "one by one")
					time.Sleep(time.Second)
				}
				time.Sleep(5 * time.Minute)
				mean, longest := got.delays("one by one")
				round := time.Duration(c.conversations/c.most+1) * 10 * time.Second
				t.Logf("a round takes about %v: %v, at most %v, %d refusals", round, mean, longest, way.refusals())
				assert.LessOrEqual(t, longest, 5*round)
				for i := range 700 { // more than some pages
					send(7*i, "at once")
				}
				time.Sleep(15 * time.Minute)
				mean, longest = got.delays("at once")
				t.Logf("at once: %v, at most %v", mean, longest)
				for id, bodies := range want {
					assert.Equal(t, bodies, got.of(id), "all of them, in order, once")
				}
				require.NoError(t, bob.Close())
			})
		})
	}
}
