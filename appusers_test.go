package chat_test

import (
	"fmt"
	"math"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// A count of bytes, not of time. Not parallel: it counts those of the process.
func TestAUserOfAnAppTakesAKilobyteAndNoGoroutineUntilTheyDoSomething(t *testing.T) { //nolint:paralleltest // see above
	w := newWorld(t, fliplettest.InProcess())
	const users = 1000
	for i := range users {
		id := fmt.Sprint("user-", i)
		w.AddRows(w.contacts, chat.M{"Email": id + "@example.org", "Full name": "User " + id, "flUserId": id, "flUserToken": "token-" + id})
	}
	people := []string{"user-1", "user-2"}
	room := w.AddDataSource(chat.M{"name": "room", "type": "conversation", "definition": chat.M{"participants": people}})
	client := sure(datasource.NewClient(datasource.Config{Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: w.Transport()}, Limiter: datasource.Unlimited()}))
	app, err := chat.OpenApp(t.Context(), chat.AppOptions{Options: chat.Options{Client: client, DataSourceID: w.contacts}})
	require.NoError(t, err)
	defer app.Close() //nolint:errcheck // it does not fail
	held := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	least := uint64(math.MaxUint64)
	var chats []*chat.Chat
	for range 3 { // something else may take memory meanwhile
		chats = make([]*chat.Chat, users)
		before, goroutines := held(), runtime.NumGoroutine()
		for i := range users {
			chats[i], err = app.User(t.Context(), chat.M{"Email": fmt.Sprintf("user-%d@example.org", i)})
			require.NoError(t, err)
		}
		assert.LessOrEqual(t, runtime.NumGoroutine(), goroutines+5, "goroutines of others may come and go, but not a thousand")
		if after := held(); after > before {
			least = min(least, (after-before)/users)
		} else {
			least = 0
		}
	}
	t.Logf("%d bytes a user, with what the local server notes of a request", least)
	assert.LessOrEqual(t, least, uint64(1024))
	assert.Equal(t, "user-7", chats[7].User().UserID)
	assert.Equal(t, "User user-7", chats[7].User().Data["Full name"])
	_, err = chats[1].Message(t.Context(), room, chat.Draft{Body: "awake"})
	require.NoError(t, err)
	assert.Equal(t, "user-1", chats[1].User().UserID)
	require.NoError(t, chats[3].Close())
	_, err = chats[3].Conversations(t.Context())
	require.ErrorIs(t, err, chat.ErrClosed)
	runtime.KeepAlive(chats)
}

// Whoever uses a Chat first wakes it, and everybody else finds it awake.
func TestAChatOfAnAppWakesOnceForManyCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 1)
		conv := o.converse(o.login("jane"), "bob")
		app := o.in(t, nil)
		bob, err := app.User(t.Context(), chat.M{"Email": "bob@example.org"})
		require.NoError(t, err)
		var running sync.WaitGroup
		for i := range 20 {
			running.Go(func() {
				switch i % 4 {
				case 0:
					assert.NotEmpty(t, bob.User().UserID)
				case 1:
					_, err := bob.Message(t.Context(), conv.ID, chat.Draft{Body: "x"})
					assert.NoError(t, err)
				case 2:
					_, err := bob.Conversations(t.Context())
					assert.NoError(t, err)
				default:
					assert.Contains(t, bob.String(), "chat over")
				}
			})
		}
		running.Wait()
		require.NoError(t, bob.Logout(t.Context()))
		assert.Nil(t, bob.User())
		_, err = bob.Login(t.Context(), chat.M{"Email": "jane@example.org"})
		require.NoError(t, err)
		assert.Equal(t, "jane@example.org", bob.User().Data["Email"])
	})
}
