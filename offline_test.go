package chat_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
)

// device is a program that is started and ended again, with a store that stays.
type device struct {
	*world
	reopen func() storage.Store
}

// run starts a Chat, logs in, and ends it after fn.
func (d *device) run(name string, offline bool, fn func(c *chat.Chat)) {
	d.t.Helper()
	store := d.reopen()
	c := d.connect(func(o *chat.Options) { o.Storage = store })
	var opts []chat.LoginOption
	if offline {
		opts = append(opts, chat.Offline())
	}
	_, err := c.Login(context.Background(), chat.M{"Email": name + "@example.org"}, opts...)
	require.NoError(d.t, err)
	fn(c)
	require.NoError(d.t, c.Shutdown(context.Background()))
	if s, ok := store.(*boltstore.Store); ok {
		require.NoError(d.t, s.Close())
	}
}

// onDevices runs a test with a store in memory and with one in a file, which is
// closed and opened again each time.
func onDevices(t *testing.T, fn func(t *testing.T, d *device)) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		store := storage.NewMemory()
		synctest.Test(t, func(t *testing.T) {
			fn(t, &device{newWorld(t, fliplettest.InProcess()), func() storage.Store { return store }})
		})
	})
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "chat.db")
		synctest.Test(t, func(t *testing.T) {
			fn(t, &device{newWorld(t, fliplettest.InProcess()), func() storage.Store {
				s, err := boltstore.Open(path)
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, s.Close()) })
				return s
			}})
		})
	})
}

func TestOfflineStartShowsTheLastSession(t *testing.T) {
	onDevices(t, func(t *testing.T, d *device) {
		jane := d.login("jane")
		conv := d.converse(jane, "bob")
		for i := range 3 {
			d.say(jane, conv, fmt.Sprint("message ", i))
		}
		var online *chat.Contact
		d.run("bob", false, func(c *chat.Chat) {
			online = c.User()
			_, err := c.Contacts(t.Context())
			require.NoError(t, err)
			stream(t, c).wait(t, 3)
		})
		require.NoError(t, d.Close())
		d.run("bob", true, func(c *chat.Chat) {
			assert.Equal(t, online.ID, c.User().ID)
			assert.Equal(t, online.UserID, c.User().UserID)
			assert.Equal(t, online.Data, c.User().Data)
			contacts, err := c.Contacts(t.Context(), chat.Offline())
			require.NoError(t, err)
			assert.Len(t, contacts, 3)
			for _, contact := range contacts {
				assert.NotContains(t, contact.Data, "flUserToken")
			}
			list, err := c.Conversations(t.Context(), chat.Offline())
			require.NoError(t, err)
			require.Len(t, list, 1, "the stream has read it")
			assert.Equal(t, conv.ID, list[0].ID)
			assert.Equal(t, conv.Definition.Participants, list[0].Definition.Participants)
			assert.Equal(t, conv.EncryptionKey(), list[0].EncryptionKey())
			r := newRecorder()
			_, err = c.Stream(t.Context(), r.add, chat.Offline())
			require.NoError(t, err)
			got := r.wait(t, 3)
			assert.Equal(t, []string{"message 0", "message 1", "message 2"}, bodies(got))
			for _, m := range got {
				require.NoError(t, m.Err)
				assert.False(t, m.IsUpdate || m.IsDeleted || m.IsReplay)
			}
			// What was not cached says so.
			_, err = c.Messages(t.Context())
			require.Error(t, err)
		})
	})
}

func TestOfflineStreamGoesOnWithWhatIsNewOrChanged(t *testing.T) {
	onDevices(t, func(t *testing.T, d *device) {
		jane := d.login("jane")
		conv := d.converse(jane, "bob")
		var sent []*chat.Message
		for i := range 4 {
			sent = append(sent, d.say(jane, conv, fmt.Sprint("message ", i)))
		}
		d.run("bob", false, func(c *chat.Chat) { stream(t, c).wait(t, 4) })

		_, err := jane.UpdateMessage(t.Context(), conv.ID, sent[1].ID, chat.M{"body": "edited"})
		require.NoError(t, err)
		require.NoError(t, jane.DeleteMessage(t.Context(), conv.ID, sent[2].ID))
		d.say(jane, conv, "message 4")

		d.run("bob", true, func(c *chat.Chat) {
			r := stream(t, c, chat.Offline())
			got := r.wait(t, 7)
			require.NoError(t, c.Poll(t.Context()))
			require.Len(t, r.all(), 7, "nothing comes twice")
			assert.Equal(t, []string{"message 0", "message 1", "message 2", "message 3", "message 4"}, bodies(got[:5]))
			assert.False(t, got[4].IsUpdate)
			assert.True(t, got[5].IsUpdate)
			assert.Equal(t, "edited", got[5].Body)
			assert.True(t, got[6].IsDeleted)
			assert.Equal(t, sent[2].ID, got[6].ID)
		})
		require.NoError(t, d.Close())
		d.run("bob", true, func(c *chat.Chat) {
			r := newRecorder()
			_, err := c.Stream(t.Context(), r.add, chat.Offline())
			require.NoError(t, err)
			assert.Equal(t, []string{"message 0", "edited", "message 3", "message 4"}, bodies(r.wait(t, 4)))
		})
	})
}

func TestOfflineStreamMissesNothingOfALongAbsence(t *testing.T) {
	onDevices(t, func(t *testing.T, d *device) {
		jane := d.login("jane")
		conv := d.converse(jane, "bob")
		first := d.say(jane, conv, "before")
		d.run("bob", false, func(c *chat.Chat) { stream(t, c).wait(t, 1) })
		const missed = 1500
		rows := make([]datasource.M, missed)
		for i := range rows {
			rows[i] = datasource.M{"body": fmt.Sprint(i), "fromUserId": jane.User().UserID, "readBy": []string{}}
		}
		for batch := range 3 {
			_, err := d.Client().Append(t.Context(), conv.ID, rows[batch*500:(batch+1)*500])
			require.NoError(t, err)
		}
		_, err := jane.UpdateMessage(t.Context(), conv.ID, first.ID, chat.M{"body": "before, edited"})
		require.NoError(t, err)
		d.run("bob", true, func(c *chat.Chat) {
			r := stream(t, c, chat.Offline())
			got := r.wait(t, missed+2)
			require.NoError(t, c.Poll(t.Context()))
			require.Len(t, r.all(), missed+2)
			assert.Equal(t, "before", got[0].Body)
			var news []string
			updates := 0
			for _, m := range got[1:] {
				if m.IsUpdate {
					updates++
					assert.Equal(t, "before, edited", m.Body)
					continue
				}
				news = append(news, m.Body)
			}
			assert.Equal(t, 1, updates)
			for i, body := range news {
				require.Equal(t, fmt.Sprint(i), body)
			}
		})
		// Only the newest page is kept.
		require.NoError(t, d.Close())
		d.run("bob", true, func(c *chat.Chat) {
			r := newRecorder()
			_, err := c.Stream(t.Context(), r.add, chat.Offline())
			require.NoError(t, err)
			got := r.wait(t, 200)
			require.Len(t, r.all(), 200)
			assert.Equal(t, fmt.Sprint(missed-1), got[199].Body)
		})
	})
}

func TestOfflineEventsBeginWithTheCache(t *testing.T) {
	onDevices(t, func(t *testing.T, d *device) {
		jane := d.login("jane")
		conv := d.converse(jane, "bob")
		d.say(jane, conv, "cached")
		d.run("bob", false, func(c *chat.Chat) { stream(t, c).wait(t, 1) })
		d.say(jane, conv, "new")
		d.run("bob", true, func(c *chat.Chat) {
			var got []string
			for m, err := range c.Events(t.Context(), chat.Offline()) {
				require.NoError(t, err)
				if got = append(got, m.Body); len(got) == 2 {
					break
				}
			}
			assert.Equal(t, []string{"cached", "new"}, got)
		})
	})
}
