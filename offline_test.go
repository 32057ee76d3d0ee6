package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

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
	require.NoError(d.t, c.Close())
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
		fn(t, &device{newWorld(t), func() storage.Store { return store }})
	})
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "chat.db")
		fn(t, &device{newWorld(t), func() storage.Store {
			s, err := boltstore.Open(path)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			return s
		}})
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

func TestOfflineLoginPrefersTheCacheAndFallsBackToTheNetwork(t *testing.T) {
	onDevices(t, func(t *testing.T, d *device) {
		d.run("bob", false, func(*chat.Chat) {})
		asked := len(d.Requests())
		d.run("bob", true, func(c *chat.Chat) {
			assert.Len(t, d.Requests(), asked, "no request was made")
			assert.Equal(t, d.ids["bob"], c.User().ID)
		})
		d.run("eve", true, func(c *chat.Chat) {
			assert.Greater(t, len(d.Requests()), asked)
			assert.Equal(t, d.ids["eve"], c.User().ID)
		})
		require.NoError(t, d.Close())
		for _, name := range []string{"bob", "eve"} {
			d.run(name, true, func(c *chat.Chat) { assert.Equal(t, d.ids[name], c.User().ID) })
		}
		store := d.reopen()
		c := d.connect(func(o *chat.Options) { o.Storage = store })
		_, err := c.Login(t.Context(), chat.M{"Email": "jane@example.org"}, chat.Offline())
		require.ErrorIs(t, err, chat.ErrOffline)
		var e *chat.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, 400, e.Code)
		assert.Nil(t, c.User())
	})
}

func TestOfflineLoginChecksTheWholeQuery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := storage.NewMemory()
	contacts, _ := w.AddContacts(datasource.M{"Email": "jo@x.com", "Password": "Secret", "Age": 30})
	device := func(o *chat.Options) { o.DataSourceID, o.Storage = contacts, store }
	_, err := w.connect(device).Login(t.Context(), chat.M{"Email": "jo@x.com"})
	require.NoError(t, err)
	token, _ := w.columns(contacts, w.Rows(contacts)[0].ID)["flUserToken"].(string)
	require.NoError(t, w.Close())
	c := w.connect(device)
	for name, query := range map[string]chat.M{
		"equal":       {"Email": "jo@x.com", "Password": "Secret"},
		"any case":    {"Email": chat.M{"$iLike": " JO@X.com"}},
		"$eq":         {"Email": chat.M{"$eq": "jo@x.com"}, "Age": 30},
		"all of":      {"$and": []any{chat.M{"Email": "jo@x.com"}, chat.M{"Age": 30}}},
		"one of":      {"$or": []any{chat.M{"Email": "nobody"}, chat.M{"Age": 30}}},
		"by token":    {"flUserToken": token},
		"where":       {"where": chat.M{"Email": "jo@x.com"}},
		"typed lists": {"$or": []chat.M{{"Email": "jo@x.com"}}},
	} {
		_, err := c.Login(t.Context(), query, chat.Offline())
		assert.NoError(t, err, name)
	}
	for name, query := range map[string]chat.M{
		"another password":    {"Email": "jo@x.com", "Password": "secret"},
		"another case":        {"Email": "Jo@x.com"},
		"a part":              {"Email": chat.M{"$iLike": "o@x.com"}},
		"a range":             {"Email": "jo@x.com", "Age": chat.M{"$gt": 40}},
		"a range beside $eq":  {"Age": chat.M{"$eq": 30, "$gt": 40}},
		"a negation":          {"$not": chat.M{"Email": "somebody"}},
		"$filters":            {"$filters": []any{chat.M{"column": "Email", "condition": "==", "value": "jo@x.com"}}},
		"nothing in all of":   {"$and": []any{}},
		"one of nobody":       {"$or": []any{chat.M{}}},
		"a column not there":  {"Nickname": ""},
		"no operators":        {"Email": chat.M{}},
		"another token":       {"flUserToken": token + "0"},
		"null":                {"Nickname": nil},
		"an object of values": {"Email": []any{"jo@x.com"}},
	} {
		_, err := c.Login(t.Context(), query, chat.Offline())
		assert.ErrorIs(t, err, chat.ErrOffline, name)
	}
}

func TestOfflineLoginWithADeadTokenIsRepairedOnline(t *testing.T) {
	onDevices(t, func(t *testing.T, d *device) {
		d.run("bob", false, func(*chat.Chat) {})
		d.loggedOutElsewhere("bob")
		d.run("bob", true, func(c *chat.Chat) {
			_, err := c.Messages(t.Context())
			require.NoError(t, err)
			assert.Equal(t, d.token("bob"), c.User().Data["flUserToken"])
		})
		d.run("bob", true, func(c *chat.Chat) {
			asked := d.Count(fliplettest.Query)
			_, err := c.Messages(t.Context())
			require.NoError(t, err)
			assert.Equal(t, asked, d.Count(fliplettest.Query), "the new token was remembered")
		})
	})
}

func TestUsersOfOneDeviceNeverSeeEachOthersCache(t *testing.T) {
	onDevices(t, func(t *testing.T, d *device) {
		d.run("jane", false, func(c *chat.Chat) {
			d.say(c, d.converse(c, "bob"), "for Bob only")
			stream(t, c).wait(t, 1)
			_, err := c.Contacts(t.Context())
			require.NoError(t, err)
			// The same Chat, another user.
			_, err = c.Login(t.Context(), chat.M{"Email": "eve@example.org"})
			require.NoError(t, err)
			_, err = c.Conversations(t.Context(), chat.Offline())
			require.ErrorIs(t, err, chat.ErrOffline)
			_, err = c.Contacts(t.Context(), chat.Offline())
			require.ErrorIs(t, err, chat.ErrOffline)
			r := stream(t, c, chat.Offline())
			require.NoError(t, c.Poll(t.Context()))
			assert.Empty(t, r.all())
		})
		require.NoError(t, d.Close())
		d.run("eve", true, func(c *chat.Chat) {
			list, err := c.Conversations(t.Context(), chat.Offline())
			require.NoError(t, err)
			assert.Empty(t, list)
			r := newRecorder()
			_, err = c.Stream(t.Context(), r.add, chat.Offline())
			require.NoError(t, err)
			// And back again.
			_, err = c.Login(t.Context(), chat.M{"Email": "jane@example.org"}, chat.Offline())
			require.NoError(t, err)
			toJane := newRecorder()
			_, err = c.Stream(t.Context(), toJane.add, chat.Offline())
			require.NoError(t, err)
			assert.Equal(t, []string{"for Bob only"}, bodies(toJane.wait(t, 1)))
			assert.Empty(t, r.all())
		})
	})
}

func TestAccountsOfOtherContactsAreKeptApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := storage.NewMemory()
	other, _ := w.AddContacts(datasource.M{"Email": "jane@example.org", "flUserId": "same"})
	same, _ := w.AddContacts(datasource.M{"Email": "jane@example.org", "flUserId": "same"})
	at := func(id int64) *chat.Chat {
		return w.connect(func(o *chat.Options) { o.DataSourceID, o.Storage = id, store })
	}
	_, err := at(other).Login(t.Context(), chat.M{"Email": "jane@example.org"})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, err = at(same).Login(t.Context(), chat.M{"Email": "jane@example.org"}, chat.Offline())
	require.ErrorIs(t, err, chat.ErrOffline)
	_, err = at(other).Login(t.Context(), chat.M{"Email": "jane@example.org"}, chat.Offline())
	require.NoError(t, err)
}

func TestLoggedOutUserCannotStartOffline(t *testing.T) {
	onDevices(t, func(t *testing.T, d *device) {
		d.run("bob", false, func(c *chat.Chat) {
			d.say(c, d.converse(c, "jane"), "mine")
			stream(t, c).wait(t, 1)
			require.NoError(t, c.Logout(t.Context()))
		})
		require.NoError(t, d.Close())
		store := d.reopen()
		c := d.connect(func(o *chat.Options) { o.Storage = store })
		_, err := c.Login(t.Context(), chat.M{"Email": "bob@example.org"}, chat.Offline())
		require.ErrorIs(t, err, chat.ErrOffline)
	})
}

func TestCacheHoldsNoPlainBodiesOfEncryptedMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := newInspected()
	jane := w.login("jane", func(o *chat.Options) { o.Storage = store })
	w.say(jane, w.converse(jane, "bob"), "between us")
	stream(t, jane).wait(t, 1)
	require.NoError(t, jane.Close())
	found := 0
	store.each(func(key string, value []byte) {
		assert.NotContains(t, string(value), "between us")
		if strings.HasSuffix(key, "/messages") {
			found++
			assert.Contains(t, string(value), "U2FsdGVkX1")
		}
	})
	assert.Equal(t, 1, found)
}

func TestDamagedCacheCountsAsEmpty(t *testing.T) {
	t.Parallel()
	for _, junk := range []string{``, `null`, `{`, `7`, `[1,2]`, `{"rows":7}`, `[{"id":"x"}]`, "\xff\xfe", `{"contact":{"data":[]},"token":{}}`} {
		t.Run(junk, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			store := newInspected()
			options := func(o *chat.Options) { o.Storage = store }
			bob := w.login("bob", options)
			w.say(bob, w.converse(bob, "jane"), "hello")
			stream(t, bob).wait(t, 1)
			_, err := bob.Contacts(t.Context())
			require.NoError(t, err)
			require.NoError(t, bob.Close())
			var keys []string
			store.each(func(key string, _ []byte) { keys = append(keys, key) })
			for _, key := range keys {
				require.NoError(t, store.Set(t.Context(), key, []byte(junk)))
			}
			c := w.connect(options)
			_, err = c.Login(t.Context(), chat.M{"Email": "bob@example.org"}, chat.Offline())
			require.NoError(t, err, "the network is there")
			r := newRecorder()
			_, err = c.Stream(t.Context(), r.add, chat.Offline())
			require.NoError(t, err)
			assert.Equal(t, []string{"hello"}, bodies(r.wait(t, 1)))
			for _, err := range []error{offline(c.Contacts(t.Context(), chat.Offline())), offline(c.Conversations(t.Context(), chat.Offline()))} {
				if err != nil {
					assert.ErrorIs(t, err, chat.ErrOffline)
				}
			}
		})
	}
}

func offline[T any](_ []T, err error) error { return err }

// broken is a Store that has failed.
type broken struct{}

var errBroken = errors.New("the disk is gone")

func (broken) Get(context.Context, string) ([]byte, error) { return nil, errBroken }
func (broken) Set(context.Context, string, []byte) error   { return errBroken }
func (broken) Delete(context.Context, string) error        { return errBroken }
func (broken) CompareAndSwap(context.Context, string, []byte, []byte) (bool, error) {
	return false, errBroken
}

func TestBrokenStorageKeepsNobodyFromChatting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.connect(func(o *chat.Options) { o.Storage = broken{} })
	_, err := bob.Login(t.Context(), chat.M{"Email": "bob@example.org"}, chat.Offline())
	require.NoError(t, err)
	w.say(bob, w.converse(bob, "jane"), "hello")
	stream(t, bob, chat.Offline()).wait(t, 1)
	_, err = bob.Contacts(t.Context())
	require.NoError(t, err)
	_, err = bob.Contacts(t.Context(), chat.Offline())
	require.ErrorIs(t, err, errBroken)
	require.ErrorIs(t, bob.Logout(t.Context()), errBroken, "somebody must know that it may still be there")
	assert.Nil(t, bob.User())
}

func TestMessagesOfConversationsOneHasLeftAreNotShown(t *testing.T) {
	onDevices(t, func(t *testing.T, d *device) {
		jane := d.login("jane")
		with, without := d.converse(jane, "bob"), d.converse(jane, "bob", "eve")
		d.say(jane, with, "stays")
		d.say(jane, without, "goes")
		d.run("bob", false, func(c *chat.Chat) {
			stream(t, c).wait(t, 2)
			require.NoError(t, without.Participants().Remove(t.Context(), d.ids["bob"]))
			_, err := c.Conversations(t.Context())
			require.NoError(t, err)
		})
		require.NoError(t, d.Close())
		d.run("bob", true, func(c *chat.Chat) {
			r := newRecorder()
			_, err := c.Stream(t.Context(), r.add, chat.Offline())
			require.NoError(t, err)
			assert.Equal(t, []string{"stays"}, bodies(r.wait(t, 1)))
		})
	})
}

func TestCachedRowsKeepExactNumbers(t *testing.T) {
	onDevices(t, func(t *testing.T, d *device) {
		jane := d.login("jane")
		conv := d.converse(jane, "bob")
		_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "x", Data: chat.M{"ref": int64(9007199254740993), "rate": json.Number("1.0")}})
		require.NoError(t, err)
		d.run("bob", false, func(c *chat.Chat) { stream(t, c).wait(t, 1) })
		require.NoError(t, d.Close())
		d.run("bob", true, func(c *chat.Chat) {
			r := newRecorder()
			_, err := c.Stream(t.Context(), r.add, chat.Offline())
			require.NoError(t, err)
			m := r.wait(t, 1)[0]
			assert.Equal(t, json.Number("9007199254740993"), m.Data["ref"])
			assert.Equal(t, json.Number("1.0"), m.Data["rate"])
		})
	})
}
