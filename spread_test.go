package chat_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// uneven is a way to the server on which one query about one conversation takes long.
type uneven struct {
	next http.RoundTripper
	slow string // the path of that query

	mu    sync.Mutex
	wrong int    // so many answers have a date that is wrong by an hour
	then  int    // and so many queries later
	wait  func() // a query waits; nil: none does
}

func (u *uneven) arm(wrong, then int, wait func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.wrong, u.then, u.wait = wrong, then, wait
}

func (u *uneven) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/data/query") {
		return u.next.RoundTrip(r)
	}
	u.mu.Lock()
	wrong, wait := u.wrong > 0, u.wait
	u.wrong--
	if u.then--; u.then >= 0 || r.URL.Path != u.slow {
		wait = nil
	}
	if wait != nil {
		u.wait = nil
	}
	u.mu.Unlock()
	if wait != nil {
		wait()
	}
	resp, err := u.next.RoundTrip(r)
	if err == nil && wrong {
		resp.Header.Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
	}
	return resp, err
}

// Without the query over all conversations these are read one after the other. When a poll
// has two pages, and the read of one conversation for the first page takes long, others may
// get messages meanwhile. The second page begins behind the first one, and must not bring
// the later ones of these before the earlier ones.
func TestThePagesOfAPollKeepTheOrderHoweverLongTheFirstOneTakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		takes  time.Duration
		behind bool // else a date that is wrong sends the poll back
	}{
		"the listener is behind":                      {takes: 800 * time.Millisecond, behind: true},
		"the listener is behind, and it takes longer": {takes: 1800 * time.Millisecond, behind: true},
		"a date is wrong":                             {takes: 800 * time.Millisecond},
		"a date is wrong, and it takes longer":        {takes: 1800 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				w.Always(fliplettest.CrossSource, fliplettest.Status(404))
				early, late := w.addTalk("early"), w.addTalk("late")
				got, want := newArrivals(), map[int64][]string{}
				var mu sync.Mutex // guards want: a request under way sends, too
				send := func(id int64, body string) {
					got.send(w, id, body)
					mu.Lock()
					defer mu.Unlock()
					want[id] = append(want[id], body)
				}
				for i := range 199 { // one less than a page
					send([]int64{early, late}[i%2], fmt.Sprint(i))
					time.Sleep(10 * time.Second)
				}
				way := &uneven{next: w.Transport(), slow: fmt.Sprintf("/v1/data-sources/%d/data/query", late)}
				wait := func() {
					for _, m := range []struct {
						to   int64
						body string
					}{{early, "first"}, {late, "beside"}, {early, "second"}} {
						time.Sleep(c.takes / 4)
						send(m.to, m.body)
					}
					time.Sleep(c.takes / 4)
				}
				if c.behind {
					way.arm(0, 0, wait)
				}
				bob := w.login("bob", asUsual, func(o *chat.Options) { o.Client = w.over(way) })
				_, err := bob.Stream(t.Context(), got.add, chat.StartAt(chat.FromBeginning))
				require.NoError(t, err)
				settle()
				if !c.behind {
					way.arm(2, 2, wait) // the next poll sees the dates, and goes back
				}
				time.Sleep(10 * time.Minute)
				mu.Lock()
				defer mu.Unlock()
				require.Contains(t, want[late], "beside")
				for id, bodies := range want {
					assert.Equal(t, bodies, got.of(id), "all of them, in order, once")
				}
				require.NoError(t, bob.Close())
			})
		})
	}
}
