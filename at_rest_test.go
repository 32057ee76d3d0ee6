package chat_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
)

// What a chat leaves at rest, in Storage.

// private gives every contact columns that a chat does not need.
func (w *world) private() {
	w.t.Helper()
	for name, id := range w.ids {
		_, err := w.Client().Update(w.t.Context(), w.contacts, id, datasource.M{
			"Phone": "phone-of-" + name, "Salary": "salary-of-" + name, "Password": "password-of-" + name,
			"Avatar": "avatar-of-" + name, "Department": "department-of-" + name, "flUserToken": "token-of-" + name,
		})
		require.NoError(w.t, err)
	}
}

func TestStorageKeepsOnlyTheColumnsOfOtherPeopleThatAChatNeeds(t *testing.T) {
	t.Parallel()
	for name, more := range map[string][]string{"default": nil, "one more": {"Department"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fliplettest.InProcess())
			w.private()
			store := newInspected()
			own := func(o *chat.Options) { o.Storage, o.CachedColumns = store, more }
			jane := w.connect(own)
			_, err := jane.Contacts(t.Context()) // before the login
			require.NoError(t, err)
			_, err = jane.Login(t.Context(), chat.M{"Email": "jane@example.org"})
			require.NoError(t, err)
			online, err := jane.Contacts(t.Context())
			require.NoError(t, err)
			for _, c := range online {
				assert.Contains(t, c.Data, "Salary", "the caller gets every column")
			}
			for _, gone := range []string{"phone-of-bob", "salary-of-bob", "password-of-eve", "token-of-eve"} {
				assert.NotContains(t, store.dump(), gone)
			}
			offline, err := jane.Contacts(t.Context(), chat.Offline())
			require.NoError(t, err)
			require.Len(t, offline, 3)
			for i, c := range offline {
				want := chat.M{"Email": online[i].Data["Email"], "Full name": online[i].Data["Full name"], "Avatar": online[i].Data["Avatar"]}
				for _, column := range append([]string{"flUserId"}, more...) {
					if v, ok := online[i].Data[column]; ok {
						want[column] = v
					}
				}
				assert.Equal(t, want, c.Data)
				assert.Equal(t, online[i].UserID, c.UserID)
			}
			again := w.connect(own)
			me, err := again.Login(t.Context(), chat.M{"Email": "jane@example.org"}, chat.Offline())
			require.NoError(t, err)
			assert.Equal(t, "salary-of-jane", me.Data["Salary"], "the user's own row is whole")
		})
	}
}

func TestColumnsThatCannotBeCachedAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	for _, name := range []string{"", "flUserToken"} {
		_, err := chat.Connect(t.Context(), chat.Options{Client: w.Client(), DataSourceID: w.contacts, CachedColumns: []string{"Title", name}})
		require.ErrorIs(t, err, chat.ErrInvalid)
		assert.ErrorContains(t, err, "CachedColumns")
	}
}

// live lets a user do everything that leaves something in Storage.
func live(t *testing.T, w *world, store storage.Store, plain bool) (jane *chat.Chat, secrets []string) {
	t.Helper()
	w.private()
	options := func(o *chat.Options) {
		o.Storage, o.EncryptMessages, o.CrossLogin, o.Outbox = store, !plain, true, &chat.OutboxOptions{}
	}
	jane = w.connect(options)
	_, err := jane.Contacts(t.Context())
	require.NoError(t, err)
	_, err = jane.Login(t.Context(), chat.M{"Email": "jane@example.org"})
	require.NoError(t, err)
	conv := w.converse(jane, "bob")
	bob := w.login("bob", func(o *chat.Options) { o.EncryptMessages = !plain })
	w.say(bob, conv, "body from bob")
	w.say(jane, conv, "body from jane")
	_, err = jane.Contacts(t.Context())
	require.NoError(t, err)
	r := stream(t, jane)
	r.wait(t, 2)
	_, err = jane.Conversations(t.Context())
	require.NoError(t, err)
	return jane, []string{
		"token-of-jane", "body from bob", "body from jane", conv.EncryptionKey(), jane.User().UserID,
		"jane@example.org", "bob@example.org", "eve@example.org", "avatar-of-eve", "salary-of-jane",
	}
}

// held are those of the texts that are in a file.
func held(t *testing.T, path string, texts []string) (found []string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, text := range texts {
		if bytes.Contains(raw, []byte(text)) {
			found = append(found, text)
		}
	}
	return found
}

func TestAfterALogoutTheFileHoldsNothingOfTheUserAndOfOtherPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	path := filepath.Join(t.TempDir(), "chat.db")
	store, err := boltstore.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	jane, secrets := live(t, w, store, true)
	require.NoError(t, jane.Shutdown(t.Context()))
	assert.ElementsMatch(t, secrets, held(t, path, secrets), "all of it is there before")

	jane = w.connect(func(o *chat.Options) { o.Storage, o.EncryptMessages, o.CrossLogin = store, false, true })
	_, err = jane.Login(t.Context(), chat.M{"Email": "jane@example.org"}, chat.Offline())
	require.NoError(t, err)
	require.NoError(t, jane.Logout(t.Context()))
	assert.Empty(t, held(t, path, secrets))
	require.NoError(t, jane.Close())
	require.NoError(t, store.Close())
	assert.Empty(t, held(t, path, secrets))
}

func TestAFileBehindAnEncryptedStoreShowsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	path := filepath.Join(t.TempDir(), "chat.db")
	file, err := boltstore.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	key := bytes.Repeat([]byte("sixteen letters!"), 2)
	store, err := storage.Encrypted(file, key)
	require.NoError(t, err)
	jane, secrets := live(t, w, store, true)
	require.NoError(t, jane.Shutdown(t.Context()))
	assert.Empty(t, held(t, path, secrets))

	offline := w.connect(func(o *chat.Options) { o.Storage, o.EncryptMessages = store, false })
	_, err = offline.Login(t.Context(), chat.M{"Email": "jane@example.org"}, chat.Offline())
	require.NoError(t, err)
	r := newRecorder()
	_, err = offline.Stream(t.Context(), r.add, chat.Offline())
	require.NoError(t, err)
	assert.Equal(t, []string{"body from bob", "body from jane"}, bodies(r.wait(t, 2)))

	other, err := storage.Encrypted(file, bytes.Repeat([]byte("another sixteen!"), 2))
	require.NoError(t, err)
	wrong := w.connect(func(o *chat.Options) { o.Storage = other })
	_, err = wrong.Contacts(context.Background(), chat.Offline())
	require.ErrorIs(t, err, storage.ErrWrongKey)
	require.NoError(t, offline.Logout(t.Context()))
	assert.Empty(t, held(t, path, secrets))
}
