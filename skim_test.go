package chat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// many makes conversations of Bob's, every second of them with a message that was stored
// before.
func many(w *world, n int) (ids []int64) {
	for i := range n {
		id := w.addTalk(fmt.Sprint("talk ", i))
		if i%2 == 0 {
			w.AddRows(id, chat.M{"body": "old", "fromUserId": "somebody", "guid": fmt.Sprint("old ", i)})
		}
		ids = append(ids, id)
	}
	return ids
}

func TestAPollWithoutTheEndpointReadsManyConversationsInOneRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := longtest.Size(500, 2000)
		w := newWorld(t, fliplettest.InProcess())
		w.Always(fliplettest.CrossSource, fliplettest.Status(404))
		ids := many(w, n)
		time.Sleep(time.Minute)
		w.AddRows(ids[0], chat.M{"body": "the newest", "fromUserId": "somebody", "guid": "the newest"})
		time.Sleep(time.Minute)
		tap := &counter{next: w.Transport()}
		bob := w.login("bob", asUsual, func(o *chat.Options) {
			o.Client = w.over(tap)
			o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
			o.LivePollInterval, o.PollInterval, o.MaxPollInterval = time.Hour, time.Hour, time.Hour
		})
		before := tap.n.Load()
		toBob := stream(t, bob, chat.StartAt(chat.FromNow))
		t.Logf("the start: %d requests", tap.n.Load()-before)
		assert.LessOrEqual(t, tap.n.Load()-before, int64(3+3*(n/100+1)+8+9))
		poll := func() int64 {
			before := tap.n.Load()
			require.NoError(t, bob.Poll(t.Context()))
			time.Sleep(time.Minute)
			return tap.n.Load() - before
		}
		poll()
		poll() // now the newest message has settled
		chunks := int64((n + 99) / 100)
		const missing = 1 // whether the endpoint is there is asked at times
		assert.LessOrEqual(t, poll(), missing+1+chunks, "nothing has happened: the list, and the newest rows")
		for _, i := range []int{1, 2, n - 1} { // 1 and the last had none
			w.AddRows(ids[i], chat.M{"body": fmt.Sprint("new ", i), "fromUserId": "somebody", "guid": fmt.Sprint("new ", i)})
		}
		assert.LessOrEqual(t, poll(), missing+1+chunks+3*2, "and three conversations")
		assert.ElementsMatch(t, []string{"new 1", "new 2", fmt.Sprint("new ", n-1)}, bodies(toBob.all()))
		w.remove(ids[2], w.Rows(ids[2])[1].ID)
		assert.LessOrEqual(t, poll(), missing+1+chunks+4*2)
		got := toBob.all()
		require.Len(t, got, 4)
		assert.True(t, got[3].IsDeleted, "of a conversation in which nothing else has happened")
	})
}

// Servers that do not do what is documented are asked for each conversation.
func TestConversationsThatCannotBeReadTogetherAreReadEach(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]fliplettest.Fault{
		"documented": {}, "joins are ignored": {fliplettest.Ignore("join")}, "order is ignored": {fliplettest.Ignore("order")},
		"limit is ignored": {fliplettest.Ignore("limit")}, "shuffled": {fliplettest.Shuffle()}, "rows say not whose they are": {fliplettest.OmitFields("dataSourceId")},
		"rows come twice": {fliplettest.DuplicateRow()}, "reversed": {fliplettest.Reverse()},
	} {
		for _, start := range []chat.From{chat.FromNow, chat.FromNewest, chat.FromBeginning} {
			t.Run(fmt.Sprint(name, ", ", start), func(t *testing.T) {
				t.Parallel()
				if len(faults) > 0 && start == chat.FromNewest {
					longtest.Only(t, "it reads what the others read")
				}
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, fliplettest.InProcess())
					w.Always(fliplettest.CrossSource, fliplettest.Status(404))
					if len(faults) > 0 {
						w.Always(fliplettest.Query, faults...)
					}
					ids := many(w, 30)
					time.Sleep(time.Minute)
					bob := w.login("bob", asUsual)
					toBob := stream(t, bob, chat.StartAt(start))
					settle()
					var want []string
					if start != chat.FromNow {
						for range 15 {
							want = append(want, "old")
						}
					}
					assert.Equal(t, want, append([]string(nil), bodies(toBob.all())...))
					for round := range 4 {
						for i := round; i < 30; i += 7 {
							body := fmt.Sprint("new ", round, " ", i)
							w.AddRows(ids[i], chat.M{"body": body, "fromUserId": "somebody", "guid": body})
							want = append(want, body)
							time.Sleep(time.Duration(round) * time.Second)
						}
						settle()
						assert.ElementsMatch(t, want, bodies(newOnes(toBob.all())))
					}
					for _, m := range toBob.all() {
						assert.False(t, m.IsUpdate)
					}
				})
			})
		}
	}
}

// A server that refuses joins, and one that does not show the newest rows in them.
func TestAServerWithoutUsefulJoinsIsAskedForEachConversation(t *testing.T) {
	t.Parallel()
	for name, asked := range map[string]int64{"refused": 4, "stale": 3} { // 4: about 30, 15, 7 and 3 of them; 3: and its halves
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				w.Always(fliplettest.CrossSource, fliplettest.Status(404))
				ids := many(w, 30)
				for _, id := range ids {
					time.Sleep(time.Second)
					w.AddRows(id, chat.M{"body": "older", "guid": "a"}, chat.M{"body": "older", "guid": "b"})
					time.Sleep(time.Second)
					w.AddRows(id, chat.M{"body": "newest", "guid": "c"})
				}
				time.Sleep(time.Minute)
				way := &noJoins{RoundTripper: w.Transport(), refuses: name == "refused"}
				bob := w.login("bob", asUsual, func(o *chat.Options) { o.Client = w.over(way) })
				toBob := stream(t, bob)
				before := len(toBob.all())
				assert.Equal(t, 15+90, before)
				for i, id := range ids {
					w.AddRows(id, chat.M{"body": fmt.Sprint(i), "fromUserId": "somebody", "guid": fmt.Sprint("g", i)})
				}
				settle()
				assert.Len(t, toBob.all(), before+30)
				assert.Equal(t, asked, way.asked.Load(), "it is not asked each time")
			})
		})
	}
}

// How many joins a query may have is not documented.
func TestAServerThatAllowsFewJoinsIsAskedAboutFewerConversations(t *testing.T) {
	t.Parallel()
	for most, refused := range map[int]int{98: 1, 49: 1, 48: 2, 10: 4, 2: 5, 1: 6, 0: 6} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const n = 120
				w := newWorld(t, fliplettest.InProcess(), fliplettest.WithMaxJoins(most))
				w.Always(fliplettest.CrossSource, fliplettest.Status(404))
				if most == 0 {
					w.Always(fliplettest.Query, fliplettest.MaxJoins(0))
				}
				ids := many(w, n)
				time.Sleep(time.Minute)
				bob := w.login("bob", asUsual, func(o *chat.Options) {
					o.LivePollInterval, o.PollInterval, o.MaxPollInterval = time.Hour, time.Hour, time.Hour
				})
				toBob := stream(t, bob, chat.StartAt(chat.FromNow))
				refusals := func() (n int) {
					for _, r := range w.Requests() {
						if r.Status == 400 {
							n++
						}
					}
					return n
				}
				sent := 0
				polls := func() int {
					before := w.Count(fliplettest.Query)
					for i := range 5 {
						sent++
						w.AddRows(ids[i], chat.M{"body": "hello", "fromUserId": "somebody", "guid": fmt.Sprint("g", sent)})
						require.NoError(t, bob.Poll(t.Context()))
						time.Sleep(time.Minute)
					}
					return (w.Count(fliplettest.Query) - before) / 5
				}
				_ = polls()
				asked := polls()
				t.Logf("%d queries a poll, %d refused", asked, refusals())
				assert.Len(t, toBob.all(), sent)
				// The first two queries are made at once.
				assert.LessOrEqual(t, refusals(), refused+1, "it is learned once")
				assert.GreaterOrEqual(t, refusals(), refused)
				if most >= 2 {
					assert.Less(t, asked, n/2, "and several are still read in one request")
				}
				before := refusals()
				_ = polls()
				assert.Equal(t, before, refusals())
			})
		})
	}
}

func TestADeletionIsFoundWhereDataSourcesDoNotShowThatTheirRowsChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		w.Always(fliplettest.CrossSource, fliplettest.Status(404))
		w.Always(fliplettest.ListSources, fliplettest.OmitFields("updatedAt"))
		ids := many(w, 30)
		time.Sleep(time.Minute)
		bob := w.login("bob", asUsual)
		toBob := stream(t, bob)
		settle()
		require.Len(t, toBob.all(), 15)
		w.remove(ids[4], w.Rows(ids[4])[0].ID)
		settle()
		got := toBob.all()
		require.Len(t, got, 16)
		assert.True(t, got[15].IsDeleted)
	})
}

// noJoins is a server that refuses joins, or leaves the newest row of each conversation out.
type noJoins struct {
	http.RoundTripper
	refuses bool
	asked   atomic.Int64
}

func (n *noJoins) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return n.RoundTripper.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if !bytes.Contains(body, []byte(`"join"`)) {
		return n.RoundTripper.RoundTrip(r)
	}
	n.asked.Add(1)
	if n.refuses {
		return &http.Response{StatusCode: 400, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(`{"message":"join is not known"}`))}, nil
	}
	resp, err := n.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var page struct {
		Entries []map[string]any `json:"entries"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		return nil, err
	}
	seen := map[any]bool{}
	page.Entries = slices.DeleteFunc(page.Entries, func(e map[string]any) bool {
		first := !seen[e["dataSourceId"]]
		seen[e["dataSourceId"]] = true
		return first
	})
	stale, err := json.Marshal(page)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(stale)), int64(len(stale))
	return resp, err
}
