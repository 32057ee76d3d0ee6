package chat_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
)

// The lists come in goroutines of the App, which tell every listener there is.
func TestStreamsOfAnAppMayBeginWhileListsOfConversationsCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, app, _, _ := openApp(t, 2)
		user := sure(app.User(t.Context(), chat.M{"flUserId": "user-0"}))
		sure(user.Stream(t.Context(), func(*chat.Message) {}, chat.StartAt(chat.FromNow))) // else Poll does nothing
		var all, only inbox
		sure(app.Stream(t.Context(), all.take))
		var room int64
		for i := range 60 {
			room = w.AddDataSource(chat.M{"name": "new", "type": "conversation", "definition": chat.M{"participants": []string{fmt.Sprint("user-", i%2)}}})
			var at sync.WaitGroup
			at.Go(func() { assert.NoError(t, user.Poll(t.Context())) })
			for range 4 {
				at.Go(func() {
					for range 3 {
						sub, err := app.Stream(t.Context(), func(*chat.Message) {})
						if assert.NoError(t, err) {
							sub.Stop()
						}
					}
				})
			}
			at.Wait()
		}
		_, err := app.Stream(t.Context(), only.take, chat.Only(room))
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		w.AddRows(room, chat.M{"body": "news", "fromUserId": "somebody", "guid": "news"})
		time.Sleep(time.Minute)
		assert.Equal(t, map[string]int{"news": 1}, all.bodies())
		assert.Equal(t, map[string]int{"news": 1}, only.bodies())
	})
}
