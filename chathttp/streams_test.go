package chathttp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/chathttp"
)

func TestWhatAStreamLeavesOutIsAGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{})
		conv := w.converse("jane", "eve")
		for range 3 {
			w.AddRows(conv.ID, w.row("jane", conv.ID, "before"))
		}
		s := w.open("bob", "", "from=now")
		s.want("open")
		time.Sleep(time.Minute)
		w.call("jane", "participants.add", nil, conv.ID, w.ids["bob"])
		e := s.want("gap")
		assert.NotEmpty(t, e.id, "it has its place among the messages")
		assert.Contains(t, e.data, `"kind":"history"`)
		s.close()
		s = w.open("bob", e.id, "")
		w.call("jane", "message", nil, conv.ID, object{"body": "after"})
		assert.Equal(t, "after", s.want("").message(t).Body)
	})
}

func TestManyPeopleOfAnAppHaveStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, chathttp.Options{})
		app, err := chat.OpenApp(t.Context(), chat.AppOptions{Options: chat.Options{Client: w.Client(), DataSourceID: w.contacts, AppID: w.AppID, PrimaryKey: "Email"}})
		require.NoError(t, err)
		defer app.Close()
		for _, name := range people {
			require.NoError(t, w.chats[name].Close())
			w.chats[name], err = app.User(t.Context(), chat.M{"Email": name + "@example.org"})
			require.NoError(t, err)
			defer w.chats[name].Close()
		}
		conv := w.converse("jane", "bob")
		s := w.open("bob", "", "")
		id := s.want("open").id
		s.close()
		w.call("jane", "message", nil, conv.ID, object{"body": "Hello"})
		time.Sleep(time.Hour)
		s = w.open("bob", id, "")
		assert.Equal(t, "Hello", s.want("").message(t).Body)
	})
}
