package chat_test

import (
	"fmt"
	"net/http"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// The server's clock steps shortly before the user's own join, so that times of before the
// join come a second time, or jump over some. Old messages are history all the same, and
// new ones are new.
func TestNothingFromBeforeAnOwnJoinIsNewWhenTheClockHasStepped(t *testing.T) {
	t.Parallel()
	for _, start := range []chat.From{chat.FromNow, chat.FromNewest, chat.FromBeginning} {
		for _, step := range []time.Duration{-10 * time.Second, -time.Hour, time.Hour, -24 * time.Hour}[:longtest.Size(3, 4)] {
			for _, lead := range []time.Duration{0, 3 * time.Second, time.Millisecond, 30 * time.Second}[:longtest.Size(2, 4)] {
				t.Run(fmt.Sprint(start, ", a step of ", step, ", ", lead, " before"), func(t *testing.T) {
					t.Parallel()
					servers(t, func(t *testing.T, w *world) { joinAfterStep(t, w, start, step, lead) })
				})
			}
		}
	}
}

func joinAfterStep(t *testing.T, w *world, start chat.From, step, lead time.Duration) {
	t.Helper()
	jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
	conv, listeners := aboutToJoin(t, w, jane, bob, start)

	// Ages of old messages at the join: around the step's size and twice that, and young ones.
	ages := []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 2500 * time.Millisecond, 9 * time.Second, 20 * time.Second}
	for _, part := range []float64{0.5, 0.875, 1, 1.125, 1.5, 1.875, 2, 2.125} {
		age := time.Duration(part * float64(step.Abs()))
		ages = append(ages, age, age-700*time.Millisecond)
	}
	sort.Slice(ages, func(i, j int) bool { return ages[i] > ages[j] })
	ages = slices.Compact(ages)
	join := time.Now().Add(ages[0] + time.Second)
	stepAt, stepped := join.Add(-lead), false
	stepNow := func() {
		time.Sleep(time.Until(stepAt))
		w.ShiftClock(step)
		stepped = true
	}
	var old []string
	for _, age := range ages {
		if at := join.Add(-age); !stepped && at.After(stepAt) {
			stepNow()
		}
		time.Sleep(time.Until(join.Add(-age)))
		old = append(old, "old "+age.String())
		w.say(jane, conv, "old "+age.String())
	}
	if !stepped {
		stepNow()
	}
	time.Sleep(time.Until(join))
	_, err := bob.Channels().Join(t.Context(), conv.ID)
	require.NoError(t, err)
	time.Sleep(time.Millisecond)
	onlyLiveIsNew(t, w, jane, conv, listeners, start, func(history []string, way string) {
		sort.Strings(history)
		sort.Strings(old)
		assert.Equal(t, old, history, way)
	})
	require.NoError(t, bob.Close())
}

// aboutToJoin makes a channel and begins to listen, without being in it.
func aboutToJoin(t *testing.T, w *world, jane, bob *chat.Chat, start chat.From) (*chat.Conversation, map[string]*heard) {
	t.Helper()
	w.say(jane, w.converse(jane, "bob"), "hello")
	conv := newsOf(t, jane)
	listeners := listening(t, bob, start)
	settle()
	return conv, listeners
}

// onlyLiveIsNew sends two messages to a conversation that was joined, and fails for listeners
// that get anything else as new. old checks what came as history, but from now, when there
// is a gap instead.
func onlyLiveIsNew(t *testing.T, w *world, jane *chat.Chat, conv *chat.Conversation, listeners map[string]*heard, start chat.From, old func(history []string, way string)) {
	t.Helper()
	w.say(jane, conv, "live 1")
	settle()
	w.say(jane, conv, "live 2")
	settle()
	for way, h := range listeners {
		history, got, _ := h.in(conv)
		assert.Equal(t, []string{"live 1", "live 2"}, got, way)
		if start == chat.FromNow {
			assert.Empty(t, history, way)
			assert.Len(t, h.gaps, 1, way)
		} else {
			old(history, way)
		}
	}
}

// Times that come a second time may be those of more messages than a page has.
func TestNothingFromBeforeAnOwnJoinIsNewHoweverManyAreFromTheFuture(t *testing.T) {
	t.Parallel()
	const old = 450
	for _, start := range []chat.From{chat.FromNow, chat.FromNewest, chat.FromBeginning} {
		for name, down := range map[string]bool{"listening": false, "a consumer that was down": true} {
			t.Run(fmt.Sprint(start, ", ", name), func(t *testing.T) {
				t.Parallel()
				servers(t, func(t *testing.T, w *world) {
					store := storage.NewMemory()
					kept := func(o *chat.Options) { asUsual(o); o.Storage = store }
					jane, bob := w.login("jane", asUsual), w.login("bob", kept)
					conv, listeners := aboutToJoin(t, w, jane, bob, start)
					for i := range old {
						time.Sleep(time.Second)
						w.AddRows(conv.ID, datasource.M{"body": fmt.Sprint(i), "fromUserId": jane.User().UserID, "guid": fmt.Sprint("g", i)})
					}
					if down {
						require.NoError(t, bob.Close())
						bob = w.login("bob", kept)
					}
					time.Sleep(time.Second)
					w.ShiftClock(-time.Hour)
					time.Sleep(10 * time.Second)
					_, err := bob.Channels().Join(t.Context(), conv.ID)
					require.NoError(t, err)
					time.Sleep(time.Millisecond)
					w.say(jane, conv, "live 1")
					if down {
						listeners = listening(t, bob, start)
						delete(listeners, "stream")
						delete(listeners, "events")
					}
					settle()
					w.say(jane, conv, "live 2")
					settle()
					for way, h := range listeners {
						history, got, _ := h.in(conv)
						assert.Equal(t, []string{"live 1", "live 2"}, got, way)
						if start == chat.FromBeginning {
							assert.ElementsMatch(t, numbers(0, old), history, way)
							continue
						}
						if start == chat.FromNow {
							assert.Empty(t, history, way)
						}
						if assert.Len(t, h.gaps, 1, way) {
							assert.Equal(t, old-len(history), filled(t, bob, h.gaps[0], append(history, "live 1", "live 2")...), way)
						}
					}
					require.NoError(t, bob.Close())
				})
			})
		}
	}
}

// filled counts what a gap yields, but for what was delivered.
func filled(t *testing.T, c *chat.Chat, gap chat.Gap, delivered ...string) (n int) {
	t.Helper()
	for m, err := range c.Fill(t.Context(), gap) {
		require.NoError(t, err)
		if !slices.Contains(delivered, m.Body) {
			n++
		}
	}
	return n
}

// The clock that has stamped the join is set back after it: at once, before the answer is
// there, or when the conversation has been read. Ids tell what is new then, and what is not.
func TestWhatComesAfterAnOwnJoinIsNewAlsoWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	const unanswered = -time.Second
	for _, start := range []chat.From{chat.FromNow, chat.FromNewest, chat.FromBeginning} {
		for _, wait := range []time.Duration{unanswered, 0, time.Minute, time.Millisecond, time.Second}[:longtest.Size(3, 5)] {
			for _, step := range []time.Duration{3 * time.Second, time.Hour, 10 * time.Second, 24 * time.Hour}[:longtest.Size(2, 4)] {
				for _, old := range []time.Duration{step / 4, step - 100*time.Millisecond, step, 2 * step}[:longtest.Size(2, 4)] {
					t.Run(fmt.Sprint(start, ", ", wait, ", ", step, ", ", old), func(t *testing.T) {
						t.Parallel()
						servers(t, func(t *testing.T, w *world) {
							jane := w.login("jane", asUsual)
							bob := w.login("bob", asUsual, w.through(roundTripper(func(r *http.Request) (*http.Response, error) {
								if r.Method == http.MethodPut && wait == unanswered {
									defer w.ShiftClock(-step)
								}
								return w.Transport().RoundTrip(r)
							})))
							conv, listeners := aboutToJoin(t, w, jane, bob, start)
							for i := range 3 {
								w.say(jane, conv, fmt.Sprint("old ", i))
							}
							time.Sleep(old - old/6)
							w.say(jane, conv, "old 3")
							time.Sleep(old / 6)
							_, err := bob.Channels().Join(t.Context(), conv.ID)
							require.NoError(t, err)
							if wait != unanswered {
								time.Sleep(wait)
								w.ShiftClock(-step)
							}
							onlyLiveIsNew(t, w, jane, conv, listeners, start, func(history []string, way string) {
								assert.Equal(t, []string{"old 0", "old 1", "old 2", "old 3"}, history, way)
							})
							require.NoError(t, bob.Close())
						})
					})
				}
			}
		}
	}
}

// No poll notices that the clock was back, so no time that is remembered is moved: the ids
// alone tell that the message came after the join.
func TestWhatComesWhileTheClockIsBackBetweenTwoPollsIsNoHistoryOfAJoin(t *testing.T) {
	t.Parallel()
	for _, start := range []chat.From{chat.FromNow, chat.FromNewest, chat.FromBeginning} {
		t.Run(fmt.Sprint(start), func(t *testing.T) {
			t.Parallel()
			servers(t, func(t *testing.T, w *world) {
				jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
				conv, listeners := aboutToJoin(t, w, jane, bob, start)
				w.say(jane, conv, "old")
				settle()
				_, err := bob.Channels().Join(t.Context(), conv.ID)
				require.NoError(t, err)
				settle()
				w.ShiftClock(-4 * time.Minute)
				w.AddRows(conv.ID, datasource.M{"body": "live", "fromUserId": jane.User().UserID, "guid": "live"})
				w.ShiftClock(4 * time.Minute)
				settle()
				for way, h := range listeners {
					_, got, _ := h.in(conv)
					assert.Equal(t, []string{"live"}, got, way)
				}
				require.NoError(t, bob.Close())
			})
		})
	}
}

// The clock that has stamped the join is set forward after it, before anybody listens: what
// has a time that nobody has seen yet is new all the same.
func TestWhatComesAfterAnOwnJoinIsNewAlsoWhenTheClockIsSetForward(t *testing.T) {
	t.Parallel()
	for _, start := range []chat.From{chat.FromNow, chat.FromNewest, chat.FromBeginning} {
		for _, step := range []time.Duration{10 * time.Second, time.Minute, time.Hour} {
			for _, wait := range []time.Duration{0, 5 * time.Second} {
				t.Run(fmt.Sprint(start, ", ", step, ", ", wait), func(t *testing.T) {
					t.Parallel()
					servers(t, func(t *testing.T, w *world) {
						store := storage.NewMemory()
						kept := func(o *chat.Options) { asUsual(o); o.Storage = store }
						jane, bob := w.login("jane", asUsual), w.login("bob", kept)
						w.say(jane, w.converse(jane, "bob"), "hello")
						conv := newsOf(t, jane)
						listening(t, bob, start)
						settle()
						w.say(jane, conv, "old")
						require.NoError(t, bob.Close())
						bob = w.login("bob", kept)
						time.Sleep(time.Minute)
						_, err := bob.Channels().Join(t.Context(), conv.ID)
						require.NoError(t, err)
						time.Sleep(wait)
						w.ShiftClock(step)
						w.say(jane, conv, "live 1")
						consumer := listening(t, bob, start)["consume"]
						settle()
						w.say(jane, conv, "live 2")
						settle()
						_, got, _ := consumer.in(conv)
						assert.Equal(t, []string{"live 1", "live 2"}, got)
						require.NoError(t, bob.Close())
					})
				})
			}
		}
	}
}
