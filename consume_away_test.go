package chat_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// A position names conversations that the user has left since, or that a filter leaves out.
func TestAConsumerThatBeginsWhileItsUserIsOutOfAConversationGetsItsMessagesOnceTheyAreBack(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprintf("with a stream beside it %v", stream), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				jane := w.login("jane", unhurried)
				room, other := w.converse(jane, "bob", "eve"), w.converse(jane, "bob")
				store := storage.NewMemory()
				var mu sync.Mutex
				var got []string
				begin := func() (end func()) {
					bob := w.login("bob", unhurried, storing(store))
					stop := consume(bob, "log", func(_ context.Context, m *chat.Message) error {
						if m.ConversationID == room.ID && !m.IsUpdate {
							mu.Lock()
							got = append(got, m.Body)
							mu.Unlock()
						}
						return nil
					}, chat.StartAt(chat.FromBeginning))
					if stream {
						bob.Stream(t.Context(), func(*chat.Message) {})
					}
					return func() {
						require.ErrorIs(t, stop(), context.Canceled)
						require.NoError(t, bob.Close())
					}
				}
				busy := func(d time.Duration) {
					for range int(d / time.Minute) {
						w.say(jane, other, "meanwhile")
						time.Sleep(time.Minute)
					}
				}
				w.say(jane, room, "1")
				time.Sleep(time.Minute)
				end := begin()
				busy(5 * time.Minute)
				end()
				w.say(jane, room, "2")
				require.NoError(t, room.Participants().Remove(t.Context(), w.ids["bob"]))
				busy(5 * time.Minute)
				end = begin()
				busy(5 * time.Minute)
				w.say(jane, room, "3")
				busy(5 * time.Minute)
				require.NoError(t, room.Participants().Add(t.Context(), w.ids["bob"]))
				busy(10 * time.Minute)
				w.say(jane, room, "4")
				busy(30 * time.Minute)
				end()
				assert.Equal(t, []string{"1", "2", "3", "4"}, got)

			})
		})
	}
}
