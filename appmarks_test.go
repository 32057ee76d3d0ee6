package chat_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
)

// hall is a group of all users of an App.
func hall(t *testing.T, users, messages int) (w *world, requests *counter, group int64, ids []int64, chats []*chat.Chat) {
	t.Helper()
	w, app, requests, _ := openApp(t, users)
	var people []string
	for i := range users {
		people = append(people, fmt.Sprint("user-", i))
	}
	group = w.AddDataSource(chat.M{"name": "hall", "type": "conversation", "definition": chat.M{"participants": people}})
	for i := range messages {
		body := fmt.Sprint("to all ", i)
		ids = append(ids, w.AddRows(group, chat.M{"body": body, "fromUserId": "somebody", "guid": body, "readBy": []string{"somebody"}})...)
	}
	for i := range users {
		c, err := app.User(t.Context(), chat.M{"flUserId": people[i]})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, c.Close()) })
		chats = append(chats, c)
	}
	return w, requests, group, ids, chats
}

func TestMarksOfManyUsersOfAnAppShareTheirRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const users, messages = 40, 10
		w, requests, group, ids, chats := hall(t, users, messages)
		for _, c := range chats { // what each knows of the group
			_, err := c.Conversation(t.Context(), group)
			require.NoError(t, err)
		}
		before := requests.n.Load()
		var wg sync.WaitGroup
		for i, c := range chats {
			for _, id := range ids {
				wg.Go(func() {
					m := &chat.Message{ID: id, ConversationID: group}
					assert.NoError(t, c.MarkMessagesAsRead(t.Context(), m))
					assert.True(t, m.IsReadByCurrentUser)
					assert.Contains(t, m.ReadBy, fmt.Sprint("user-", i))
				})
			}
		}
		wg.Wait()
		for _, row := range w.Rows(group) {
			assert.Len(t, row.Data["readBy"], users+1)
		}
		// The lists are read four times, since others may replace them, and written once; the
		// definition is read once.
		assert.LessOrEqual(t, requests.n.Load()-before, int64(8), "one by one they make 2,000")
	})
}

func TestAMarkThatIsRefusedIsAnErrorOfWhoMadeItAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _, group, ids, chats := hall(t, 3, 1)
		other := w.AddDataSource(chat.M{"name": "theirs", "type": "conversation", "definition": chat.M{"participants": []string{"x", "y"}}})
		foreign := w.AddRows(other, chat.M{"body": "secret", "fromUserId": "x", "guid": "secret"})
		var wg sync.WaitGroup
		wg.Go(func() {
			err := chats[0].MarkMessagesAsRead(t.Context(), &chat.Message{ID: ids[0], ConversationID: group}, &chat.Message{ID: foreign[0], ConversationID: other})
			assert.ErrorIs(t, err, chat.ErrNotFound)
		})
		wg.Go(func() {
			assert.NoError(t, chats[1].MarkMessagesAsRead(t.Context(), &chat.Message{ID: ids[0], ConversationID: group}))
		})
		wg.Wait()
		assert.ElementsMatch(t, []any{"somebody", "user-0", "user-1"}, w.Rows(group)[0].Data["readBy"])
		assert.Nil(t, w.Rows(other)[0].Data["readBy"])
	})
}

func TestUnreadCountsOfManyUsersOfAnAppShareTheirRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const users = 40
		w, requests, group, _, chats := hall(t, users, 10)
		require.NoError(t, chats[3].MarkMessagesAsRead(t.Context(), &chat.Message{ID: w.Rows(group)[0].ID, ConversationID: group}))
		rooms := w.AddDataSource(chat.M{"name": "two", "type": "conversation", "definition": chat.M{"participants": []string{"user-5", "user-6"}}})
		for i := range 150 { // more than are counted together
			w.AddRows(rooms, chat.M{"body": "x", "fromUserId": "user-5", "guid": fmt.Sprint(i), "readBy": []string{"user-5"}})
		}
		want := func(user int) int {
			switch user {
			case 3:
				return 9
			case 6:
				return 160
			}
			return 10
		}
		count := func() int64 {
			before := requests.n.Load()
			var wg sync.WaitGroup
			for i, c := range chats {
				wg.Go(func() {
					n, err := c.Unread().Count(t.Context())
					assert.NoError(t, err)
					assert.Equal(t, want(i), n, "user %d", i)
				})
			}
			wg.Wait()
			return requests.n.Load() - before
		}
		assert.LessOrEqual(t, count(), int64(13), "the list, a look and its parts, since no larger one was seen, and three each for the two with very many: 40 and more one by one")
		joined := w.AddDataSource(chat.M{"name": "new", "type": "conversation", "definition": chat.M{"participants": []string{"user-3", "user-9"}}})
		w.AddRows(joined, chat.M{"body": "x", "fromUserId": "user-9", "guid": "new", "readBy": []string{"user-9"}})
		n, err := chats[3].Unread().Count(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 10, n, "alone, and of what has just been made")
		sum, others := 0, sync.WaitGroup{}
		var mu sync.Mutex
		for i := range 8 {
			others.Go(func() {
				n, err := chats[i].Unread().Count(t.Context())
				assert.NoError(t, err)
				mu.Lock()
				defer mu.Unlock()
				sum += n
			})
		}
		others.Wait()
		assert.Equal(t, 8*10+150, sum, "together it is the same")
	})
}
