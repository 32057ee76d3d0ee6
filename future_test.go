package chat_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
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

// century is a time that rows are stamped with.
var century = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)

// plant stores n rows stamped in 2099.
func (w *world) plant(conv *chat.Conversation, n int) (ids []int64) {
	now := w.Now()
	w.FreezeClockAt(century)
	for i := range n {
		ids = append(ids, w.AddRows(conv.ID, datasource.M{"body": fmt.Sprintf("2099-%d", i), "fromUserId": "somebody", "guid": fmt.Sprintf("g%d", i)})...)
	}
	w.FreezeClockAt(now)
	w.ThawClock()
	return ids
}

// lateRows says on which servers these tests run.
func lateRows(t *testing.T, test func(t *testing.T, w *world)) {
	for name, levers := range map[string]func(w *world){
		"with the endpoint":    func(*world) {},
		"without the endpoint": func(w *world) { w.Always(fliplettest.CrossSource, fliplettest.Status(404)) },
		"without a Date":       func(w *world) { w.Always(fliplettest.AnyRoute, fliplettest.Header("Date", "")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				levers(w)
				test(t, w)
			})
		})
	}
}

func TestARowStamped2099DeafensNoStream(t *testing.T) {
	t.Parallel()
	for _, planted := range []int{1, longtest.Size(230, 450)} {
		for name, when := range map[string]bool{"before": true, "during": false} {
			t.Run(fmt.Sprintf("%d %s", planted, name), func(t *testing.T) {
				t.Parallel()
				lateRows(t, func(t *testing.T, w *world) {
					jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
					conv := w.converse(jane, "bob")
					w.say(jane, conv, "old")
					if when {
						w.plant(conv, planted)
					}
					streams := map[string]*recorder{
						"newest": stream(t, bob), "now": stream(t, bob, chat.StartAt(chat.FromNow)), "beginning": stream(t, bob, chat.StartAt(chat.FromBeginning)),
					}
					if !when {
						w.plant(conv, planted)
					}
					var want []string
					for i := range 30 {
						time.Sleep(7 * time.Second)
						want = append(want, fmt.Sprint(i))
						w.say(jane, conv, want[i])
					}
					time.Sleep(time.Minute)
					synctest.Wait()
					for name, r := range streams {
						var got []string
						seen := map[int64]bool{}
						future := 0
						for _, m := range r.all() {
							require.False(t, m.IsUpdate, name)
							require.False(t, seen[m.ID], "%s: %s came twice", name, m.Body)
							seen[m.ID] = true
							if m.CreatedAt.Year() == 2099 {
								future++
							} else if m.Body != "old" {
								got = append(got, m.Body)
							}
						}
						assert.Equal(t, want, got, name)
						if name == "now" && when {
							assert.Zero(t, future, name)
						} else {
							assert.Equal(t, planted, future, "%s: they are shown, with the time that is stored", name)
						}
					}
				})
			})
		}
	}
}

func TestAConsumerOutlives2099(t *testing.T) {
	t.Parallel()
	lateRows(t, func(t *testing.T, w *world) {
		jane := w.login("jane", asUsual)
		conv := w.converse(jane, "bob")
		store := storage.NewMemory()
		var got []string
		consume := func(during func()) {
			bob := w.login("bob", asUsual, func(o *chat.Options) { o.Storage = store })
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				done <- bob.Consume(ctx, "c", func(_ context.Context, m *chat.Message) error {
					got = append(got, m.Body)
					return nil
				}, chat.StartAt(chat.FromBeginning))
			}()
			during()
			time.Sleep(30 * time.Second)
			synctest.Wait()
			cancel()
			<-done
			require.NoError(t, bob.Close())
		}
		want := []string{}
		say := func(body string) {
			w.say(jane, conv, body)
			want = append(want, body)
		}
		consume(func() {
			say("a")
			time.Sleep(30 * time.Second)
			w.plant(conv, 1)
			want = append(want, "2099-0")
			time.Sleep(30 * time.Second)
			say("b")
		})
		say("c")
		consume(func() { time.Sleep(time.Minute); say("d") })
		consume(func() { time.Sleep(time.Minute); say("e") })
		assert.Equal(t, want, got)
	})
}

func TestAnOfflineStartOutlives2099(t *testing.T) {
	t.Parallel()
	lateRows(t, func(t *testing.T, w *world) {
		jane := w.login("jane", asUsual)
		conv := w.converse(jane, "bob")
		w.say(jane, conv, "a")
		w.plant(conv, 1)
		store := storage.NewMemory()
		for i, body := range []string{"b", "c", "d"} {
			bob := w.login("bob", asUsual, func(o *chat.Options) { o.Storage = store })
			toBob := stream(t, bob, chat.Offline())
			time.Sleep(30 * time.Second)
			w.say(jane, conv, body)
			time.Sleep(30 * time.Second)
			synctest.Wait()
			got := bodies(newOnes(toBob.all()))
			assert.Len(t, got, 3+i)
			assert.Contains(t, got, body)
			require.NoError(t, bob.Close())
		}
	})
}

func TestHistoryReadsPast2099(t *testing.T) {
	t.Parallel()
	lateRows(t, func(t *testing.T, w *world) {
		jane := w.login("jane", asUsual)
		conv := w.converse(jane, "bob")
		w.say(jane, conv, "a")
		w.plant(conv, 3)
		w.say(jane, conv, "b")
		var got []string
		for m, err := range jane.History(t.Context(), conv.ID, chat.PageSize(2)) {
			require.NoError(t, err)
			got = append(got, m.Body)
		}
		assert.Equal(t, []string{"2099-2", "2099-1", "2099-0", "b", "a"}, got)
	})
}

// An edit takes a message out of the future, and is one like any other.
func TestAnEditOfARowStamped2099Arrives(t *testing.T) {
	t.Parallel()
	lateRows(t, func(t *testing.T, w *world) {
		jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
		conv := w.converse(jane, "bob")
		id := w.plant(conv, 1)[0]
		toBob := stream(t, bob)
		time.Sleep(30 * time.Second)
		_, err := w.Client().Update(t.Context(), conv.ID, id, datasource.M{"body": "edited"})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.NoError(t, w.Client().Delete(t.Context(), conv.ID, id))
		time.Sleep(time.Minute)
		synctest.Wait()
		got := toBob.all()
		require.Len(t, got, 3)
		assert.Equal(t, "edited", got[1].Body)
		assert.True(t, got[1].IsUpdate)
		assert.True(t, got[2].IsDeleted)
	})
}

// dated changes the Date of answers.
type dated struct {
	next http.RoundTripper
	n    atomic.Int64
	date func(answer int64, now time.Time) time.Time
}

func (d *dated) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.next.RoundTrip(r)
	if err == nil {
		now := time.Now()
		if t := d.date(d.n.Add(1), now); t != now {
			resp.Header.Set("Date", t.UTC().Format(http.TimeFormat))
		}
	}
	return resp, err
}

// One machine stamps rows and others date answers. A row from the future shows where
// the two disagree, since it makes the date count.
func TestAWrongDateLosesNoMessageBesideARowStamped2099(t *testing.T) {
	t.Parallel()
	for name, date := range map[string]func(answer int64, now time.Time) time.Time{
		"ten seconds ahead, always":         func(_ int64, now time.Time) time.Time { return now.Add(10 * time.Second) },
		"half a minute ahead, always":       func(_ int64, now time.Time) time.Time { return now.Add(30 * time.Second) },
		"a minute ahead, every third":       func(n int64, now time.Time) time.Time { return now.Add(time.Duration(n%3/2) * time.Minute) },
		"a hundred seconds ahead, sometime": func(n int64, now time.Time) time.Time { return now.Add(time.Duration(n%7/6) * 100 * time.Second) },
		"ten minutes behind, every third":   func(n int64, now time.Time) time.Time { return now.Add(time.Duration(n%3/2) * -10 * time.Minute) },
		"the year 2150, once": func(n int64, now time.Time) time.Time {
			if n == 20 {
				return century.AddDate(51, 0, 0)
			}
			return now
		},
		"the year 1970, sometimes": func(n int64, now time.Time) time.Time {
			if n%5 == 0 {
				return time.Unix(0, 0)
			}
			return now
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				jane := w.login("jane", asUsual)
				bob := w.login("bob", asUsual, through(t, w, &dated{next: w.Transport(), date: date}))
				conv := w.converse(jane, "bob")
				toBob := stream(t, bob)
				time.Sleep(20 * time.Second)
				w.plant(conv, 1)
				want := []string{"2099-0"}
				for i := range 40 {
					want = append(want, fmt.Sprint(i))
					w.say(jane, conv, want[i+1])
					time.Sleep(3 * time.Second)
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				assert.ElementsMatch(t, want, bodies(newOnes(toBob.all())))
			})
		})
	}
}
