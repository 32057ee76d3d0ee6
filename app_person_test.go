package chat_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestAnAppSendsAsWhomTheQueryFindsNow(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change map[string]chat.M // by e-mail
		after  time.Duration     // at the latest
		from   string
	}{
		"the e-mail is another's": {
			map[string]chat.M{"user-1": {"Email": "old"}, "user-2": {"Email": "user-1"}}, 4 * time.Minute, "user-2",
		},
		"the contact was imported anew": {
			map[string]chat.M{"user-1": {"flUserId": "user-0", "flUserToken": "token-new"}}, 0, "user-0",
		},
		"the token was replaced": {map[string]chat.M{"user-1": {"flUserToken": "token-new"}}, 0, "user-1"},
		"the person left": {
			map[string]chat.M{"user-1": {"Email": "old", "flUserToken": "token-new"}, "user-2": {"Email": "user-1"}}, 0, "user-2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, app, _, _ := openApp(t, 3)
				room := w.AddDataSource(chat.M{"name": "room", "type": "conversation", "definition": chat.M{"participants": []string{"user-0", "user-1", "user-2"}}})
				send := func(body string) string {
					m, err := app.Send(t.Context(), chat.M{"Email": "user-1"}, room, chat.Draft{Body: body})
					require.NoError(t, err)
					return m.FromUserID
				}
				require.Equal(t, "user-1", send("before"))
				ids := map[string]int64{}
				for email := range test.change {
					ids[email] = w.contact(email)
				}
				for email, data := range test.change {
					_, err := w.Client().Update(t.Context(), w.contacts, ids[email], data)
					require.NoError(t, err)
				}
				time.Sleep(test.after)
				assert.Equal(t, test.from, send("after"))
				assert.Equal(t, test.from, send("once more"))
				assert.Len(t, w.Rows(room), 3)
			})
		})
	}
}

func TestAPersonsFirstMessageWaitsForNoBackfillMarksOrLoginsOfOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const users = 100
		w := newWorld(t, fliplettest.InProcess(), fliplettest.WithRateLimit())
		client := sure(datasource.NewClient(datasource.Config{Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: w.Transport()}}))
		rooms := make([]int64, users)
		for i := range users {
			id := fmt.Sprint("user-", i)
			w.AddRows(w.contacts, chat.M{"Email": id, "flUserId": id, "flUserToken": "token-" + id})
			people := []string{id, fmt.Sprint("user-", (i+1)%users), fmt.Sprint("user-", (i+2)%users)}
			rooms[i] = w.AddDataSource(chat.M{"name": "room", "type": "conversation", "definition": chat.M{"participants": people}})
			for k := range 9 {
				w.AddRows(rooms[i], chat.M{"body": fmt.Sprint(k), "fromUserId": "somebody", "guid": fmt.Sprint(k)})
			}
		}
		time.Sleep(20 * time.Second)
		app, err := chat.OpenApp(t.Context(), chat.AppOptions{Options: chat.Options{Client: client, DataSourceID: w.contacts}})
		require.NoError(t, err)
		defer app.Close() //nolint:errcheck // it does not fail
		time.Sleep(20 * time.Second)
		var running sync.WaitGroup
		for i := range users {
			running.Go(func() {
				c, err := app.User(t.Context(), chat.M{"flUserId": fmt.Sprint("user-", i)})
				if !assert.NoError(t, err) {
					return
				}
				for k, row := range w.Rows(rooms[i]) {
					running.Go(func() {
						assert.NoError(t, c.MarkMessagesAsRead(t.Context(), &chat.Message{ID: row.ID, ConversationID: rooms[i]}), k)
					})
				}
				for _, err := range c.History(t.Context(), rooms[i]) {
					assert.NoError(t, err)
				}
			})
		}
		time.Sleep(11 * time.Second)
		var mu sync.Mutex
		var took []time.Duration
		for i := range 40 {
			running.Go(func() {
				began := time.Now()
				_, err := app.Send(t.Context(), chat.M{"flUserId": fmt.Sprint("user-", i)}, rooms[i], chat.Draft{Body: "mine"})
				assert.NoError(t, err)
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(began))
			})
			time.Sleep(500 * time.Millisecond)
		}
		running.Wait()
		slices.Sort(took)
		t.Log(took[20], took[36], took[39])
		assert.Less(t, took[20], 100*time.Millisecond)
		assert.Less(t, took[39], 3*time.Second)
	})
}

func TestClosingAnAppClosesTheChatsOfItsUsers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, app, _, rooms := openApp(t, 3)
		used := listen(t, app, chat.M{"flUserId": "user-0"})
		unused, err := app.User(t.Context(), chat.M{"flUserId": "user-1"})
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		require.NoError(t, app.Close())
		time.Sleep(time.Second)
		stream, loop := used.ended()
		require.ErrorIs(t, stream, chat.ErrClosed)
		require.ErrorIs(t, loop, chat.ErrClosed)
		for _, c := range []*chat.Chat{used.Chat, unused} {
			_, err = c.Stream(t.Context(), used.got.take)
			require.ErrorIs(t, err, chat.ErrClosed)
			_, err = c.Message(t.Context(), rooms[0], chat.Draft{Body: "late"})
			require.ErrorIs(t, err, chat.ErrClosed)
			require.NoError(t, c.Close())
		}
		_, err = app.Send(t.Context(), chat.M{"flUserId": "user-0"}, rooms[0], chat.Draft{Body: "late"})
		require.EqualError(t, err, "chat: send: the chat is closed")
		_, err = app.Send(t.Context(), chat.M{"flUserId": "user-2"}, rooms[2], chat.Draft{Body: "late"})
		require.EqualError(t, err, "chat: send: the chat is closed")
	})
}

func TestTheOutboxCallsOfAnAppWithoutOneAreInvalidBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, app, requests, rooms := openApp(t, 2)
		before := requests.n.Load()
		_, err := app.Queue(t.Context(), chat.M{"flUserId": "user-0"}, rooms[0], chat.Draft{Body: "x"})
		require.ErrorIs(t, err, chat.ErrInvalid)
		_, err = app.Resume(t.Context())
		require.ErrorIs(t, err, chat.ErrInvalid)
		require.ErrorIs(t, app.Flush(t.Context()), chat.ErrInvalid)
		require.ErrorContains(t, err, "Options.Outbox: nil")
		assert.Equal(t, before, requests.n.Load())
	})
}
