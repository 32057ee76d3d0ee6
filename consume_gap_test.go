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

// A full queue sets the conversation aside while the function of OnGap runs.
func TestTheGapOfAJoinIsToldOnce(t *testing.T) {
	for _, parallel := range []int{1, 4} {
		for _, slow := range []time.Duration{0, 20 * time.Second} {
			t.Run(fmt.Sprint(parallel, " at a time, after ", slow), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, fliplettest.InProcess())
					jane, store := w.login("jane"), storage.NewMemory()
					conv := w.converse(jane, "eve")
					w.AddRows(conv.ID, textRows(jane, 600)...)
					time.Sleep(time.Hour)
					var mu sync.Mutex
					var gaps []chat.Gap
					got := map[int64]int{}
					begin := func() (*chat.Chat, func() error) {
						bob := w.login("bob", unhurried, storing(store))
						return bob, consume(bob, "bot", func(_ context.Context, m *chat.Message) error {
							mu.Lock()
							defer mu.Unlock()
							got[m.ID]++
							return nil
						}, chat.StartAt(chat.FromNewest), chat.Parallel(parallel), chat.OnGap(func(g chat.Gap) {
							time.Sleep(slow)
							mu.Lock()
							defer mu.Unlock()
							gaps = append(gaps, g)
						}))
					}
					bob, stop := begin()
					time.Sleep(time.Minute)
					require.NoError(t, conv.Participants().Add(t.Context(), w.ids["bob"]))
					for range 60 {
						w.say(jane, conv, "later")
						time.Sleep(time.Second)
					}
					time.Sleep(10 * time.Minute)
					require.ErrorIs(t, stop(), context.Canceled)
					require.NoError(t, bob.Close())
					bob, stop = begin()
					time.Sleep(10 * time.Minute)
					require.ErrorIs(t, stop(), context.Canceled)
					require.NoError(t, bob.Close())
					mu.Lock()
					defer mu.Unlock()
					require.Len(t, gaps, 1)
					assert.Equal(t, conv.ID, gaps[0].ConversationID)
					oldest := int64(1 << 62)
					for id, n := range got {
						assert.Equal(t, 1, n, "message %d", id)
						oldest = min(oldest, id)
					}
					assert.Equal(t, gaps[0].BeforeID, oldest)
					rows := w.Rows(conv.ID)
					assert.Equal(t, int(rows[len(rows)-1].ID-oldest)+1, len(got), "everything after the gap")
					assert.Greater(t, len(got), 60)
					require.NoError(t, jane.Close())
				})
			})
		}
	}
}
