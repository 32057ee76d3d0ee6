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
	"github.com/fliplet/fliplet-chat-go/storage"
)

// newsOf is a channel that Jane has made and joined.
func newsOf(t *testing.T, jane *chat.Chat) *chat.Conversation {
	t.Helper()
	channel, err := jane.Channels().Create(t.Context(), "news")
	require.NoError(t, err)
	conv, err := jane.Channels().Join(t.Context(), channel.ID)
	require.NoError(t, err)
	return conv
}

// Who joins by a call of their own knows when. What was written between the last poll
// and the call is history, however long nobody had polled.
func TestNothingFromBeforeTheUsersOwnJoinIsNew(t *testing.T) {
	t.Parallel()
	const old = 450 // more than two pages
	for name, join := range map[string]func(t *testing.T, w *world, jane, bob *chat.Chat) (conv *chat.Conversation, join func()){
		"a channel": func(t *testing.T, _ *world, jane, bob *chat.Chat) (*chat.Conversation, func()) {
			conv := newsOf(t, jane)
			return conv, func() {
				_, err := bob.Channels().Join(t.Context(), conv.ID)
				require.NoError(t, err)
			}
		},
		"an invitation": func(t *testing.T, w *world, jane, bob *chat.Chat) (*chat.Conversation, func()) {
			conv, err := jane.Create(t.Context(), chat.NewConversation{Participants: []int64{w.ids["eve"]}, AllowInvite: true})
			require.NoError(t, err)
			code, err := conv.InviteCode(t.Context())
			require.NoError(t, err)
			return conv, func() {
				_, err := bob.JoinConversation(t.Context(), code)
				require.NoError(t, err)
			}
		},
	} {
		for _, start := range []struct {
			name    string
			from    chat.From
			history []string
		}{
			{"now", chat.FromNow, nil},
			{"newest", chat.FromNewest, numbers(old-200, old)},
			{"beginning", chat.FromBeginning, numbers(0, old)},
		} {
			t.Run(name+", from "+start.name, func(t *testing.T) {
				t.Parallel()
				servers(t, func(t *testing.T, w *world) {
					jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
					conv, joinNow := join(t, w, jane, bob)
					other := w.converse(jane, "bob")
					w.say(jane, other, "hello")
					listeners := listening(t, bob, start.from)
					settle()
					for _, body := range numbers(0, old) { // since the last poll
						w.AddRows(conv.ID, datasource.M{"body": body, "fromUserId": jane.User().UserID, "guid": "g" + body})
					}
					time.Sleep(2 * time.Millisecond)
					joinNow()
					live := []string{"a", "b", "c"}
					for _, body := range live {
						w.say(jane, conv, body)
					}
					settle()
					for way, h := range listeners {
						history, got, updates := h.in(conv)
						// The newest page may hold live messages, too.
						missing := max(len(start.history)-len(history), 0)
						assert.LessOrEqual(t, missing, len(live), way)
						if start.from == chat.FromBeginning {
							assert.Zero(t, missing, way)
						}
						assert.Equal(t, start.history[missing:], history, way)
						assert.Equal(t, live, got, way)
						assert.Empty(t, updates, way)
					}
					require.NoError(t, bob.Close())
				})
			})
		}
	}
}

// A bot that was down joins first, and consumes then.
func TestNothingFromBeforeTheUsersOwnJoinIsNewToAConsumerThatWasDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		store := storage.NewMemory()
		kept := func(o *chat.Options) { asUsual(o); o.Storage = store }
		jane, bob := w.login("jane", asUsual), w.login("bob", kept)
		other := w.converse(jane, "bob")
		conv := newsOf(t, jane)
		first := listening(t, bob, chat.FromNow)["consume"]
		settle()
		w.say(jane, other, "hello")
		settle()
		require.NoError(t, bob.Close())
		_, got, _ := first.in(other)
		require.Equal(t, []string{"hello"}, got)

		for i := range 450 {
			time.Sleep(7 * time.Second)
			w.AddRows(conv.ID, datasource.M{"body": fmt.Sprint(i), "fromUserId": jane.User().UserID, "guid": fmt.Sprint("g", i)})
		}
		time.Sleep(2 * time.Millisecond)
		w.say(jane, other, "while down")
		bob = w.login("bob", kept)
		_, err := bob.Channels().Join(t.Context(), conv.ID)
		require.NoError(t, err)
		w.say(jane, conv, "live")
		second := listening(t, bob, chat.FromNow)["consume"]
		settle()
		_, got, _ = second.in(conv)
		assert.Equal(t, []string{"live"}, got)
		_, got, _ = second.in(other)
		assert.Equal(t, []string{"while down"}, got)
		require.NoError(t, bob.Close())
	})
}

// A join is of use once: who is removed and added again by somebody else has been away.
func TestAnOwnJoinIsForgottenWhenTheUserHasLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
		conv := newsOf(t, jane)
		listeners := listening(t, bob, chat.FromNow)
		settle()
		_, err := bob.Channels().Join(t.Context(), conv.ID)
		require.NoError(t, err)
		settle()
		w.say(jane, conv, "first")
		settle()
		require.NoError(t, conv.Participants().Remove(t.Context(), w.ids["bob"]))
		time.Sleep(20 * time.Minute)
		w.say(jane, conv, "while away")
		time.Sleep(20 * time.Minute)
		require.NoError(t, conv.Participants().Add(t.Context(), w.ids["bob"]))
		time.Sleep(20 * time.Minute)
		w.say(jane, conv, "second")
		settle()
		for way, h := range listeners {
			_, got, _ := h.in(conv)
			assert.Equal(t, []string{"first", "second"}, got, way)
		}
		require.NoError(t, bob.Close())
	})
}

// ownJoin is a channel with old messages, in which Bob listens for what is new.
func ownJoin(t *testing.T, test func(t *testing.T, w *world, jane, bob *chat.Chat, conv *chat.Conversation, listeners map[string]*heard)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane", asUsual), w.login("bob", asUsual)
		w.say(jane, w.converse(jane, "bob"), "hello")
		conv := newsOf(t, jane)
		listeners := listening(t, bob, chat.FromNow)
		settle()
		for i := range 3 {
			w.say(jane, conv, fmt.Sprint("old ", i))
		}
		time.Sleep(time.Second)
		test(t, w, jane, bob, conv, listeners)
		require.NoError(t, bob.Close())
	})
}

func gotOnly(t *testing.T, listeners map[string]*heard, conv *chat.Conversation, want ...string) {
	t.Helper()
	for way, h := range listeners {
		history, got, _ := h.in(conv)
		assert.Empty(t, history, way)
		assert.Equal(t, want, got, way)
	}
}

func TestAnOwnJoinWhoseAnswerIsLostIsAJoin(t *testing.T) {
	ownJoin(t, func(t *testing.T, w *world, jane, bob *chat.Chat, conv *chat.Conversation, listeners map[string]*heard) {
		w.Next(1, fliplettest.UpdateSource, fliplettest.LoseAnswer())
		_, err := bob.Channels().Join(t.Context(), conv.ID)
		require.True(t, datasource.Doubtful(err), "%v", err)
		_, err = bob.Channels().Join(t.Context(), conv.ID)
		require.NoError(t, err)
		w.say(jane, conv, "live")
		settle()
		gotOnly(t, listeners, conv, "live")
	})
}

func TestAnOwnJoinIsForgottenWhenTheUserLeavesAtOnce(t *testing.T) {
	ownJoin(t, func(t *testing.T, w *world, jane, bob *chat.Chat, conv *chat.Conversation, listeners map[string]*heard) {
		joined, err := bob.Channels().Join(t.Context(), conv.ID)
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		require.NoError(t, joined.Participants().Remove(t.Context(), w.ids["bob"]))
		settle()
		w.say(jane, conv, "while away")
		settle()
		require.NoError(t, conv.Participants().Add(t.Context(), w.ids["bob"]))
		settle()
		w.say(jane, conv, "live")
		settle()
		gotOnly(t, listeners, conv, "live")
	})
}

// The machine that stamps rows is behind the one that stamps definitions.
func TestWhatComesAfterAnOwnJoinIsNewAlsoWhenTheClockOfDefinitionsIsAhead(t *testing.T) {
	t.Parallel()
	for _, start := range []chat.From{chat.FromNow, chat.FromNewest, chat.FromBeginning} {
		for _, ahead := range []time.Duration{500 * time.Millisecond, 3 * time.Second, 30 * time.Second, 10 * time.Minute} {
			t.Run(fmt.Sprint(start, ", ", ahead), func(t *testing.T) {
				t.Parallel()
				servers(t, func(t *testing.T, w *world) {
					jane := w.login("jane", asUsual)
					bob := w.login("bob", asUsual, w.through(roundTripper(func(r *http.Request) (*http.Response, error) {
						if r.Method == http.MethodPut {
							w.ShiftClock(ahead)
							defer w.ShiftClock(-ahead)
						}
						return w.Transport().RoundTrip(r)
					})))
					w.say(jane, w.converse(jane, "bob"), "hello")
					conv := newsOf(t, jane)
					listeners := listening(t, bob, start)
					settle()
					w.say(jane, conv, "old")
					settle()
					_, err := bob.Channels().Join(t.Context(), conv.ID)
					require.NoError(t, err)
					w.say(jane, conv, "live 1")
					settle()
					w.say(jane, conv, "live 2")
					settle()
					for way, h := range listeners {
						history, got, _ := h.in(conv)
						if start == chat.FromBeginning && ahead < time.Second && len(got) == 1 {
							// Dates have whole seconds. It comes in any case, and may be marked.
							assert.Equal(t, []string{"old", "live 1"}, history, way)
							got = []string{"live 1", got[0]}
						}
						assert.Equal(t, []string{"live 1", "live 2"}, got, way)
					}
					require.NoError(t, bob.Close())
				})
			})
		}
	}
}

// The list of conversations shows the join before its answer is there.
func TestAListThatShowsAnOwnJoinWaitsForItsAnswer(t *testing.T) {
	ownJoin(t, func(t *testing.T, w *world, jane, bob *chat.Chat, conv *chat.Conversation, listeners map[string]*heard) {
		w.Next(1, fliplettest.UpdateSource, fliplettest.DelayAnswer(2*time.Second))
		ended := make(chan error, 1)
		go func() {
			_, err := bob.Channels().Join(t.Context(), conv.ID)
			ended <- err
		}()
		time.Sleep(time.Second)
		w.say(jane, conv, "live")
		require.NoError(t, bob.Poll(t.Context()))
		require.NoError(t, <-ended)
		settle()
		gotOnly(t, listeners, conv, "live")
	})
}

// The answer takes longer than a poll waits for it. The join is not earlier than its call.
func TestWhatIsOlderThanAnOwnJoinIsNotNewHoweverLongItsAnswerTakes(t *testing.T) {
	ownJoin(t, func(t *testing.T, w *world, jane, bob *chat.Chat, conv *chat.Conversation, listeners map[string]*heard) {
		time.Sleep(3 * time.Second)
		w.Next(1, fliplettest.UpdateSource, fliplettest.DelayAnswer(25*time.Second))
		ended := make(chan error, 1)
		go func() {
			_, err := bob.Channels().Join(t.Context(), conv.ID)
			ended <- err
		}()
		time.Sleep(time.Second)
		w.say(jane, conv, "live 1")
		require.NoError(t, bob.Poll(t.Context()))
		time.Sleep(10 * time.Second)
		w.say(jane, conv, "live 2")
		require.NoError(t, <-ended)
		settle()
		gotOnly(t, listeners, conv, "live 1", "live 2")
	})
}

// A listener from now is told that something was missed, and does not get it.
func TestWhatAnAbsenceMissedIsAGapForAListenerFromNow(t *testing.T) {
	ownJoin(t, func(t *testing.T, w *world, jane, bob *chat.Chat, conv *chat.Conversation, listeners map[string]*heard) {
		joined, err := bob.Channels().Join(t.Context(), conv.ID)
		require.NoError(t, err)
		w.say(jane, conv, "live 1")
		settle()
		require.NoError(t, joined.Participants().Remove(t.Context(), w.ids["bob"]))
		settle()
		w.say(jane, conv, "while away")
		settle()
		require.NoError(t, conv.Participants().Add(t.Context(), w.ids["bob"]))
		settle()
		w.say(jane, conv, "live 2")
		settle()
		gotOnly(t, listeners, conv, "live 1", "live 2")
		for way, h := range listeners {
			assert.Len(t, h.gaps, 2, "%s: of the join and of the absence", way)
		}
	})
}

// What is history when a consumer joins is history after a restart.
func TestHistoryOfAJoinStaysHistoryAfterARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		store := storage.NewMemory()
		kept := func(o *chat.Options) { asUsual(o); o.Storage = store }
		jane, bob := w.login("jane", asUsual), w.login("bob", kept)
		w.say(jane, w.converse(jane, "bob"), "hello")
		conv := w.converse(jane, "eve")
		var handled, unmarked atomic.Int32
		begin := func(ends int32) (stop func() error) {
			return consume(bob, "archive", func(ctx context.Context, m *chat.Message) error {
				if m.ConversationID != conv.ID {
					return nil
				}
				if handled.Add(1) > ends {
					<-ctx.Done()
					return ctx.Err()
				}
				if !m.IsHistory {
					unmarked.Add(1)
				}
				return nil
			}, chat.StartAt(chat.FromBeginning))
		}
		stop := begin(50)
		time.Sleep(time.Hour)
		w.AddRows(conv.ID, textRows(jane, 300)...)
		time.Sleep(time.Hour)
		require.NoError(t, conv.Participants().Add(t.Context(), w.ids["bob"]))
		settle()
		require.Error(t, stop())
		require.NoError(t, bob.Close())
		bob = w.login("bob", kept)
		stop = begin(1 << 30)
		settle()
		require.ErrorIs(t, stop(), context.Canceled)
		assert.Zero(t, unmarked.Load())
		assert.GreaterOrEqual(t, handled.Load(), int32(300))
		require.NoError(t, bob.Close())
	})
}
