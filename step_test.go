package chat_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// clockSteps are the ways in which the clock that stamps rows is set, one after the other.
var clockSteps = map[string][]time.Duration{
	"ten seconds": {-10 * time.Second}, "an hour": {-time.Hour}, "a day": {-24 * time.Hour},
	"forward and back": {time.Hour, -time.Hour}, "back twice": {-time.Minute, -time.Hour}, "back and forward": {-time.Hour, time.Hour},
}

// everyListener begins streams with every start and a consumer, and lets them come to rest.
func everyListener(t *testing.T, c *chat.Chat) map[string]*heard {
	t.Helper()
	listeners := map[string]*heard{}
	for _, start := range []chat.From{chat.FromNewest, chat.FromNow, chat.FromBeginning} {
		h := &heard{}
		listeners[fmt.Sprint("stream ", start)] = h
		_, err := c.Stream(t.Context(), h.message, chat.StartAt(start))
		require.NoError(t, err)
	}
	consumed := &heard{}
	listeners["consume"] = consumed
	go func() {
		_ = c.Consume(t.Context(), "c", func(_ context.Context, m *chat.Message) error { consumed.message(m); return nil }, chat.StartAt(chat.FromNow))
	}()
	settle()
	return listeners
}

// The clock that stamps rows is set back, or forward and back. What is written then has
// times that polls have passed.
func TestAServersClockThatIsSetBackDelaysNothing(t *testing.T) {
	t.Parallel()
	for name, steps := range clockSteps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers(t, func(t *testing.T, w *world) {
				jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
				conv := w.converse(jane, "bob")
				edited := w.say(jane, conv, "old")
				listeners := everyListener(t, bob)
				var want, changes []string
				for i, step := range steps {
					w.say(jane, conv, fmt.Sprint("before ", i))
					want = append(want, fmt.Sprint("before ", i))
					time.Sleep(30 * time.Second)
					w.ShiftClock(step)
					time.Sleep(30 * time.Second)
					for n := range 5 {
						body := fmt.Sprint("after ", i, " ", n)
						w.say(jane, conv, body)
						want = append(want, body)
						time.Sleep(25 * time.Second) // a poll
						synctest.Wait()
						for way, h := range listeners {
							_, live, _ := h.in(conv)
							require.Equal(t, want, live, "%s, after %s", way, body)
						}
					}
					body := fmt.Sprint("edited ", i)
					_, err := jane.UpdateMessage(t.Context(), conv.ID, edited.ID, chat.M{"body": body})
					require.NoError(t, err)
					changes = append(changes, body)
					time.Sleep(25 * time.Second)
					synctest.Wait()
					for way, h := range listeners {
						_, _, updates := h.in(conv)
						require.Equal(t, changes, updates, way)
					}
				}
				require.NoError(t, bob.Close())
			})
		})
	}
}

// No answer shows that the clock which stamps rows is set back: there is no Date, or
// another machine gives it. The ids of new rows tell, and each arrives with the next poll.
func TestANewMessageArrivesWhateverTheClockThatStampsItSays(t *testing.T) {
	t.Parallel()
	for date, hide := range map[string]func(*world, *chat.Options){
		"no Date": func(w *world, _ *chat.Options) { w.Always(fliplettest.AnyRoute, fliplettest.Header("Date", "")) },
		"the Date of a machine that is right": func(w *world, o *chat.Options) {
			o.Client = w.over(&dated{next: w.Transport(), date: func(_ int64, now time.Time) time.Time { return now.Add(time.Millisecond) }})
		},
	} {
		for name, steps := range clockSteps {
			t.Run(date+"/"+name, func(t *testing.T) {
				t.Parallel()
				servers(t, func(t *testing.T, w *world) {
					jane, bob := w.login("jane", asUsual), w.login("bob", asUsual, func(o *chat.Options) { hide(w, o) })
					conv := w.converse(jane, "bob")
					w.say(jane, conv, "old")
					listeners := everyListener(t, bob)
					var want []string
					say := func(body string) {
						w.say(jane, conv, body)
						want = append(want, body)
						time.Sleep(25 * time.Second) // a poll
						synctest.Wait()
						for way, h := range listeners {
							_, live, updates := h.in(conv)
							require.Equal(t, want, live, "%s, after %s", way, body)
							require.Empty(t, updates, way)
						}
					}
					for i, step := range steps {
						say(fmt.Sprint("before ", i))
						w.ShiftClock(step)
						for n := range 5 {
							say(fmt.Sprint("after ", i, " ", n))
						}
					}
					conv = w.converse(jane, "bob", "eve") // which nobody knows yet
					want = nil
					for n := range 3 {
						say(fmt.Sprint("of a new conversation ", n))
					}
					require.NoError(t, bob.Close())
				})
			})
		}
	}
}
