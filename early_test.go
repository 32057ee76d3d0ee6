package chat_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// fallbacks are servers without the query over all conversations, with so many
// conversations of Bob's beside the one that is looked at.
var fallbacks = map[string]struct {
	others int
	set    func(w *world)
}{
	"one conversation":  {0, func(*world) {}},
	"few conversations": {4, func(*world) {}},
	"few, and joins are refused": {4, func(w *world) {
		w.Always(fliplettest.Query, fliplettest.MaxJoins(0))
	}},
	"many conversations": {30, func(*world) {}},
	"many, and joins are refused": {12, func(w *world) {
		w.Always(fliplettest.Query, fliplettest.MaxJoins(0))
	}},
	"many, and joins are ignored": {12, func(w *world) {
		w.Always(fliplettest.Query, fliplettest.Ignore("join"))
	}},
	"many, and data sources show no change": {12, func(w *world) {
		w.Always(fliplettest.ListSources, fliplettest.OmitFields("updatedAt"))
	}},
	"many, and neither": {12, func(w *world) {
		w.Always(fliplettest.Query, fliplettest.MaxJoins(0))
		w.Always(fliplettest.ListSources, fliplettest.OmitFields("updatedAt"))
	}},
}

// earlyStamps write messages between two polls with times that polls have passed.
var earlyStamps = map[string]func(w *world, write func()){
	"a minute":  setBackBy(time.Minute),
	"an hour":   setBackBy(time.Hour),
	"a day":     setBackBy(24 * time.Hour),
	"year 1999": stampedAt(time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC)),
	"year 1970": stampedAt(time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC)),
}

func setBackBy(step time.Duration) func(*world, func()) {
	return func(w *world, write func()) {
		w.ShiftClock(-step)
		write()
		w.ShiftClock(step)
	}
}

func stampedAt(at time.Time) func(*world, func()) {
	return func(w *world, write func()) {
		w.FreezeClockAt(at)
		write()
		w.ThawClock()
	}
}

// Without the query over all conversations no time tells of a message that is stamped too
// early, or was written while the clock was set back between two polls: its id does.
func TestAMessageThatIsStampedTooEarlyArrivesWithoutTheEndpoint(t *testing.T) {
	t.Parallel()
	for server, f := range fallbacks {
		for name, early := range earlyStamps {
			t.Run(server+"/"+name, func(t *testing.T) {
				t.Parallel()
				if server != "many conversations" && name != "an hour" && name != "year 1970" {
					longtest.Only(t, "other times differ in their number only")
				}
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, fliplettest.InProcess())
					w.Always(fliplettest.CrossSource, fliplettest.Status(404))
					f.set(w)
					others := many(w, f.others)
					jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
					conv := w.converse(jane, "bob", "eve")
					time.Sleep(25 * time.Hour)
					w.say(jane, conv, "old")
					time.Sleep(time.Minute)
					listeners := everyListener(t, bob)
					var want []string
					poll := 25 * time.Second
					heard := func() {
						t.Helper()
						time.Sleep(poll)
						synctest.Wait()
						for way, h := range listeners {
							_, live, updates := h.in(conv)
							require.Equal(t, want, live, way)
							require.Empty(t, updates, way)
						}
					}
					say := func(body string) {
						w.say(jane, conv, body)
						want = append(want, body)
					}
					for round, n := range []int{1, 1, 3, 9} {
						early(w, func() {
							for i := range n {
								say(fmt.Sprint("early ", round, " ", i))
							}
						})
						if len(others) > 0 { // a message whose id is higher does not hide them
							w.AddRows(others[0], chat.M{"body": "other", "fromUserId": "somebody", "guid": fmt.Sprint("g", round)})
						}
						heard()
						say(fmt.Sprint("in time ", round))
						heard()
					}
					poll = 2*time.Minute + time.Second // after silence
					time.Sleep(20 * time.Minute)
					early(w, func() { say("after a silence") })
					heard()
					require.NoError(t, bob.Close())
				})
			})
		}
	}
}

// intruder writes after the answer to a list of conversations, once when it is told to.
type intruder struct {
	http.RoundTripper
	write atomic.Pointer[func()]
}

func (i *intruder) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := i.RoundTripper.RoundTrip(r)
	if r.Method == http.MethodGet && r.URL.Path == "/v1/data-sources" {
		if write := i.write.Swap(nil); write != nil {
			(*write)()
		}
	}
	return resp, err
}

// Conversations are read one after the other. What is stored meanwhile, too early in one
// that was passed and in time in one that is still to be read, arrives all the same.
func TestAMessageThatIsStampedTooEarlyWhileAPollReadsArrivesWithoutTheEndpoint(t *testing.T) {
	t.Parallel()
	for server, f := range fallbacks {
		if f.others == 0 {
			continue
		}
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				w.Always(fliplettest.CrossSource, fliplettest.Status(404))
				f.set(w)
				others := many(w, f.others)
				way := &intruder{RoundTripper: w.Transport()}
				jane, bob := w.login("jane", asUsual), w.login("bob", asUsual, func(o *chat.Options) { o.Client = w.over(way) })
				conv := w.converse(jane, "bob", "eve")
				w.say(jane, conv, "old")
				listeners := everyListener(t, bob)
				var want []string
				for round := range 6 {
					body := fmt.Sprint("early ", round)
					want = append(want, body)
					write := func() {
						setBackBy(time.Hour)(w, func() {
							w.AddRows(conv.ID, chat.M{"body": body, "fromUserId": jane.User().UserID, "guid": body})
						})
						w.AddRows(others[1], chat.M{"body": "other", "fromUserId": "somebody", "guid": fmt.Sprint("g", round)})
					}
					way.write.Store(&write)
					time.Sleep(65 * time.Second) // more than two polls
					synctest.Wait()
					for way, h := range listeners {
						_, live, updates := h.in(conv)
						require.Equal(t, want, live, way)
						require.Empty(t, updates, way)
					}
				}
				require.NoError(t, bob.Close())
			})
		})
	}
}

// More messages than a page has are written at once, some while the consumer is down.
func TestManyMessagesThatAreStampedTooEarlyArriveInOrderWithoutTheEndpoint(t *testing.T) {
	t.Parallel()
	for server, f := range fallbacks {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				w.Always(fliplettest.CrossSource, fliplettest.Status(404))
				f.set(w)
				many(w, f.others)
				store := storage.NewMemory()
				stored := func(o *chat.Options) { o.Storage = store }
				jane, bob := w.login("jane", asUsual), w.login("bob", asUsual, stored)
				conv, second := w.converse(jane, "bob", "eve"), &chat.Conversation{ID: w.addTalk("the second")}
				w.say(jane, conv, "old")
				w.AddRows(second.ID, chat.M{"body": "old", "fromUserId": jane.User().UserID, "guid": "old"})
				listeners := everyListener(t, bob)
				var want []string
				write := func(n int) {
					setBackBy(time.Hour)(w, func() {
						for range n {
							body := fmt.Sprint("early ", len(want))
							want = append(want, body)
							w.AddRows(conv.ID, chat.M{"body": body, "fromUserId": jane.User().UserID, "guid": body})
							w.AddRows(second.ID, chat.M{"body": body, "fromUserId": jane.User().UserID, "guid": body + "b"})
							time.Sleep(time.Millisecond)
						}
					})
				}
				heard := func(way string, h *heard) {
					t.Helper()
					for _, conv := range []*chat.Conversation{conv, second} {
						_, live, updates := h.in(conv)
						require.Equal(t, want, live, way)
						require.Empty(t, updates, way)
					}
				}
				for _, n := range []int{3, 450, 1} {
					write(n)
					time.Sleep(45 * time.Second) // two polls, as the messages of one fill a page
					synctest.Wait()
					for way, h := range listeners {
						heard(way, h)
					}
				}
				require.NoError(t, bob.Shutdown(t.Context()))
				write(250)
				time.Sleep(time.Hour)
				bob = w.login("bob", asUsual, stored)
				again := listeners["consume"]
				go func() {
					_ = bob.Consume(t.Context(), "c", func(_ context.Context, m *chat.Message) error { again.message(m); return nil })
				}()
				settle()
				heard("the consumer again", again)
				require.NoError(t, bob.Close())
			})
		})
	}
}

// What looking for such messages costs: nothing while nothing happens, and as good as
// nothing while the clock is wrong.
func TestLookingForMessagesThatAreStampedTooEarlyCostsFewRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 300
		w := newWorld(t, fliplettest.InProcess())
		w.Always(fliplettest.CrossSource, fliplettest.Status(404))
		ids := many(w, n)
		time.Sleep(25 * time.Hour)
		tap := &counter{next: w.Transport()}
		bob := w.login("bob", asUsual, func(o *chat.Options) {
			o.Client = w.over(tap)
			o.LivePollInterval, o.PollInterval, o.MaxPollInterval = 100*time.Hour, 100*time.Hour, 100*time.Hour
		})
		toBob := stream(t, bob, chat.StartAt(chat.FromNow))
		poll := func() int64 {
			time.Sleep(time.Minute)
			before := tap.n.Load()
			require.NoError(t, bob.Poll(t.Context()))
			return tap.n.Load() - before
		}
		for range 4 {
			poll()
		}
		const quiet = 1 + 2 + 3 // whether the endpoint is there, at times; the list, at times twice; the newest rows
		require.LessOrEqual(t, poll(), int64(quiet))
		sent := 0
		write := func(rows int, which ...int) {
			for range rows {
				for _, i := range which {
					sent++
					body := fmt.Sprint("new ", sent)
					w.AddRows(ids[i], chat.M{"body": body, "fromUserId": "somebody", "guid": body})
				}
			}
		}
		write(1, 5)
		const halves = 4 // of looks that show something new, if no larger ones were seen
		require.LessOrEqual(t, poll(), int64(quiet+1+1+halves), "a look, and the conversation")
		write(4, 5)
		require.LessOrEqual(t, poll(), int64(quiet+1+1+halves))
		require.LessOrEqual(t, poll(), int64(quiet+1+1+halves), "a look again, since it has just changed")
		require.LessOrEqual(t, poll(), int64(quiet))
		for _, step := range []time.Duration{time.Hour, 24 * time.Hour} {
			setBackBy(step)(w, func() { write(2, 5, 6, 7) })
			require.LessOrEqual(t, poll(), int64(quiet+1+halves+3*2), "a look, and three conversations by id and by time")
			require.Len(t, toBob.all(), sent)
			require.LessOrEqual(t, poll(), int64(quiet+1+halves+3*2))
			for range 3 {
				require.LessOrEqual(t, poll(), int64(quiet+1), "a look while the clock has not caught up")
			}
		}
	})
}
