package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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
			conversations, err := c.Conversations(t.Context(), chat.Offline())
			require.NoError(t, err)
			assert.Empty(t, conversations)
			contacts, err := c.Contacts(t.Context(), chat.Offline())
			require.NoError(t, err)
			assert.Empty(t, contacts)
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
	inTime(t, func(t *testing.T, w *world) {
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
	})
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
	inTime(t, func(t *testing.T, w *world) {
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
	})
}

func TestDamagedCacheCountsAsEmpty(t *testing.T) {
	t.Parallel()
	for _, junk := range []string{``, `null`, `{`, `7`, `[1,2]`, `{"rows":7}`, `[{"id":"x"}]`, "\xff\xfe", `{"contact":{"data":[]},"token":{}}`} {
		t.Run(junk, func(t *testing.T) {
			inTime(t, func(t *testing.T, w *world) {
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
					assert.NoError(t, err)
				}
			})
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
	inTime(t, func(t *testing.T, w *world) {
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
	})
}

// hanging is a Store whose calls end with their contexts, once it hangs.
type hanging struct {
	storage.Store
	hangs atomic.Bool
}

func (h *hanging) call(ctx context.Context) error {
	if h.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (h *hanging) Get(ctx context.Context, key string) ([]byte, error) {
	if err := h.call(ctx); err != nil {
		return nil, err
	}
	return h.Store.Get(ctx, key)
}

func (h *hanging) Set(ctx context.Context, key string, value []byte) error {
	if err := h.call(ctx); err != nil {
		return err
	}
	return h.Store.Set(ctx, key, value)
}

func (h *hanging) Delete(ctx context.Context, key string) error {
	if err := h.call(ctx); err != nil {
		return err
	}
	return h.Store.Delete(ctx, key)
}

func (h *hanging) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if err := h.call(ctx); err != nil {
		return false, err
	}
	return h.Store.CompareAndSwap(ctx, key, old, new)
}

func TestStorageThatHangsKeepsNobodyFromChatting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		store := &hanging{Store: storage.NewMemory()}
		store.hangs.Store(true)
		bob := w.connect(func(o *chat.Options) { o.Storage = store })
		_, err := bob.Login(context.Background(), chat.M{"Email": "bob@example.org"}, chat.Offline())
		require.NoError(t, err)
		conv := w.converse(bob, "jane")
		r := newRecorder()
		_, err = bob.Stream(context.Background(), r.add, chat.Offline())
		require.NoError(t, err)
		for i := range 5 {
			w.say(bob, conv, fmt.Sprint(i))
			time.Sleep(10 * time.Second)
		}
		assert.Equal(t, []string{"0", "1", "2", "3", "4"}, bodies(r.all()))
		_, err = bob.Contacts(t.Context())
		require.NoError(t, err)
	})
}

func TestLogoutEndsWithItsContextThoughStorageHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		store := &hanging{Store: storage.NewMemory()}
		jane := w.login("jane", func(o *chat.Options) { o.Storage = store })
		store.hangs.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, jane.Logout(ctx), context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(began))
		assert.Nil(t, jane.User())
	})
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
