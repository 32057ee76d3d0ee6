package chat_test

import (
	"context"
	"errors"
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
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// keeping makes a Chat use a Store that outlives it.
func keeping(s storage.Store) func(*chat.Options) {
	return func(o *chat.Options) { o.Storage = s }
}

// replaced are what somebody may make of the key in a definition.
func replaced(conversationID int64) map[string]any {
	return map[string]any{
		"removed": nil, "another": "0123456789abcdef0123456789abcdef", "a number": 7, "a list": []any{"k"},
		"an object": datasource.M{}, "true": true, "empty": "", "the computed one": wire.FallbackBodyKey(conversationID),
	}
}

func requireKeyRefused(t *testing.T, name string, err error) {
	t.Helper()
	require.ErrorIs(t, err, chat.ErrKeyChanged, name)
	require.ErrorIs(t, err, chat.ErrKeyUnavailable, name)
}

func TestAKeyThatWasReplacedIsNotUsedByWhoeverSawTheFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	first := conv.EncryptionKey()
	w.say(jane, conv, "hi")
	for name, key := range replaced(conv.ID) {
		// In the same process,
		_, err := jane.Conversations(t.Context())
		require.NoError(t, err)
		// and in the next one.
		store := storage.NewMemory()
		before := w.login("jane", keeping(store))
		_, err = before.Conversations(t.Context())
		require.NoError(t, err)
		require.NoError(t, before.Close())

		setKey(t, w, conv.ID, key)
		_, err = jane.Conversations(t.Context())
		require.NoError(t, err)
		after := w.login("jane", keeping(store))
		for _, c := range []*chat.Chat{jane, after} {
			sent := len(w.Rows(conv.ID))
			_, err := c.Message(t.Context(), conv.ID, chat.Draft{Body: "secret"})
			requireKeyRefused(t, name, err)
			_, err = c.UpdateMessage(t.Context(), conv.ID, w.Rows(conv.ID)[0].ID, chat.M{"body": "secret"})
			requireKeyRefused(t, name, err)
			require.Len(t, w.Rows(conv.ID), sent, name)
			got := messages(t, c, conv.ID)[0]
			requireKeyRefused(t, name, got.Err)
			require.ErrorIs(t, got.Err, chat.ErrUnreadable)
			_, err = c.Reencrypt(t.Context(), conv.ID, nil)
			requireKeyRefused(t, name, err)
			known, err := c.Conversation(t.Context(), conv.ID)
			require.NoError(t, err, "the conversation is still there")
			assert.Empty(t, known.EncryptionKey(), name)
		}
		// The first one is good again.
		setKey(t, w, conv.ID, first)
		for _, c := range []*chat.Chat{jane, after} {
			_, err = c.Conversations(t.Context())
			require.NoError(t, err)
			assert.Equal(t, []string{"hi"}, bodies(messages(t, c, conv.ID)), name)
		}
		require.NoError(t, after.Close())
	}
}

func TestAStreamAndAnOutboxMeetAReplacedKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	store := storage.NewMemory()
	use := func(o *chat.Options) { o.Storage, o.Outbox = store, &chat.OutboxOptions{} }
	jane := w.login("jane", use)
	conv := w.converse(jane, "bob")
	w.say(jane, conv, "hi")
	require.NoError(t, jane.Close())
	setKey(t, w, conv.ID, "0123456789abcdef0123456789abcdef")
	put(t, w, conv.ID, sure(envelope.SealPassphrase("forged", "0123456789abcdef0123456789abcdef")))
	jane = w.login("jane", use)
	for _, m := range stream(t, jane).wait(t, 2) {
		requireKeyRefused(t, "streamed", m.Err)
	}
	_, err := jane.Outbox().Add(t.Context(), conv.ID, chat.Draft{Body: "secret"})
	requireKeyRefused(t, "queued", err)
	require.Len(t, w.Rows(conv.ID), 2)
}

func TestARotatedKeyIsUsedOnceItIsAccepted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		store := storage.NewMemory()
		jane, other := w.login("jane", keeping(store)), w.login("jane", keeping(store))
		conv := w.converse(jane, "bob")
		w.say(jane, conv, "under the first")
		require.Len(t, messages(t, other, conv.ID), 1)
		const rotated = "fedcba9876543210fedcba9876543210"
		setKey(t, w, conv.ID, rotated)
		for _, c := range []*chat.Chat{jane, other} {
			_, err := c.Conversations(t.Context())
			require.NoError(t, err)
			_, err = c.Message(t.Context(), conv.ID, chat.Draft{Body: "x"})
			requireKeyRefused(t, "before", err)
		}
		requests := len(w.Requests())
		require.NoError(t, conv.AcceptKey(t.Context()))
		assert.Equal(t, 1, len(w.Requests())-requests)
		assert.Equal(t, rotated, conv.EncryptionKey())
		w.say(jane, conv, "under the second")
		got := messages(t, jane, conv.ID)
		require.ErrorIs(t, got[0].Err, chat.ErrWrongKey)
		assert.Equal(t, "under the second", got[1].Body)

		// A program that shares the Storage follows soon, and so does the next process.
		time.Sleep(6 * time.Second)
		w.say(other, conv, "there, too")
		require.NoError(t, jane.Close())
		w.say(w.login("jane", keeping(store)), conv, "and later")

		// A key that goes away for good is accepted as well, where it may be computed.
		setKey(t, w, conv.ID, nil)
		known, err := other.Conversation(t.Context(), conv.ID)
		require.NoError(t, err)
		assert.Empty(t, known.EncryptionKey())
		require.NoError(t, known.AcceptKey(t.Context()))
		assert.Equal(t, wire.FallbackBodyKey(conv.ID), known.EncryptionKey())
		w.say(other, known, "in the open")

		// One that is no text is not.
		setKey(t, w, conv.ID, 7)
		require.ErrorContains(t, known.AcceptKey(t.Context()), "not text")
		var none *chat.Conversation
		require.ErrorIs(t, none.AcceptKey(t.Context()), chat.ErrInvalid)
		require.NoError(t, other.Logout(t.Context()))
		require.ErrorIs(t, known.AcceptKey(t.Context()), chat.ErrNotLoggedIn)
	})
}

func TestAfterNoKeyWasAcceptedOneThatAppearsIsAChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	store := storage.NewMemory()
	jane := w.login("jane", keeping(store))
	conv := w.converse(jane, "bob")
	setKey(t, w, conv.ID, nil)
	require.NoError(t, conv.AcceptKey(t.Context()))
	w.say(jane, conv, "in the open")
	const appeared = "0123456789abcdef0123456789abcdef"
	setKey(t, w, conv.ID, appeared)
	sent := len(w.Rows(conv.ID))
	later := w.login("jane", keeping(store))
	_, err := jane.Conversations(t.Context())
	require.NoError(t, err)
	for _, c := range []*chat.Chat{jane, later} {
		_, err := c.Message(t.Context(), conv.ID, chat.Draft{Body: "secret"})
		requireKeyRefused(t, "a key out of nothing", err)
	}
	require.Len(t, w.Rows(conv.ID), sent)
	require.NoError(t, conv.AcceptKey(t.Context()))
	w.say(jane, conv, "under the new one")
}

func TestWhoeverPutsTheUserIntoManyConversationsCrowdsNoPinOut(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it makes twenty thousand conversations")
	w := newWorld(t, fliplettest.InProcess())
	store := storage.NewMemory()
	jane := w.login("jane", keeping(store))
	for i := range 20_050 {
		w.AddDataSource(datasource.M{"name": "n", "type": "conversation", "definition": datasource.M{
			"participants": []string{jane.User().UserID, "u-mallory"}, "encryptionKey": "mallory's" + itoa(int64(i))}})
	}
	_, err := jane.Conversations(t.Context())
	require.NoError(t, err)
	conv := w.converse(jane, "bob")
	w.say(jane, conv, "secret")
	setKey(t, w, conv.ID, "0123456789abcdef0123456789abcdef")
	for _, least := range []chat.Protection{chat.Plain, chat.Encrypted} {
		later := w.login("jane", keeping(store), func(o *chat.Options) { o.MinProtection = least })
		_, err := later.Message(t.Context(), conv.ID, chat.Draft{Body: "secret"})
		requireKeyRefused(t, "in the next process", err)
	}
}

func TestAKeyThatWasNeverTextDoesNotLeadToTheComputedOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	conv := w.converse(w.login("jane"), "bob")
	setKey(t, w, conv.ID, 7)
	_, err := w.login("bob").Message(t.Context(), conv.ID, chat.Draft{Body: "secret"})
	require.ErrorIs(t, err, chat.ErrKeyUnavailable)
	require.Empty(t, w.Rows(conv.ID))
}

func TestStorageHoldsAPinAndNoKeyAndALogoutRemovesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	store := storage.NewMemory()
	jane := w.login("jane", keeping(store))
	conv := w.converse(jane, "bob")
	w.say(jane, conv, "hi")
	pins := func() (keys []string) {
		for key, err := range store.(storage.Lister).List(t.Context(), "fl-chat-cache/") {
			require.NoError(t, err)
			if strings.HasSuffix(key, "/pins") {
				keys = append(keys, key)
			}
		}
		return keys
	}
	require.Len(t, pins(), 1)
	assert.Contains(t, pins()[0], jane.User().UserID)
	raw, err := store.Get(t.Context(), pins()[0])
	require.NoError(t, err)
	assert.NotContains(t, string(raw), conv.EncryptionKey())
	assert.Contains(t, string(raw), itoa(conv.ID))
	require.NoError(t, jane.Logout(t.Context()))
	assert.Empty(t, pins())
}

// faultyStore fails for pins, while it is told to.
type faultyStore struct {
	storage.Store
	broken atomic.Bool
}

var errDisk = errors.New("the disk is gone")

func (s *faultyStore) fails(key string) error {
	if s.broken.Load() && strings.HasSuffix(key, "/pins") {
		return errDisk
	}
	return nil
}

func (s *faultyStore) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.fails(key); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key)
}

func (s *faultyStore) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if err := s.fails(key); err != nil {
		return false, err
	}
	return s.Store.CompareAndSwap(ctx, key, old, new)
}

// A Store that fails leaves the pins of the process. Under MinProtection that is not
// good enough.
func TestAStoreThatFailsGivesNoKeyUnderMinProtection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		store := &faultyStore{Store: storage.NewMemory()}
		conv := w.converse(w.login("jane"), "bob")
		store.broken.Store(true)
		lax, strict := w.login("jane", keeping(store)), w.login("jane", keeping(store), demanding(chat.Encrypted))
		w.say(lax, conv, "hi")
		_, err := strict.Message(t.Context(), conv.ID, chat.Draft{Body: "secret"})
		require.ErrorIs(t, err, chat.ErrKeyUnavailable)
		require.ErrorIs(t, err, errDisk)
		require.ErrorIs(t, messages(t, strict, conv.ID)[0].Err, chat.ErrKeyUnavailable)
		require.ErrorIs(t, conv.AcceptKey(t.Context()), nil)

		store.broken.Store(false)
		time.Sleep(6 * time.Second)
		w.say(strict, conv, "and again")
		setKey(t, w, conv.ID, nil)
		for _, c := range []*chat.Chat{lax, strict} {
			_, err = c.Conversations(t.Context())
			require.NoError(t, err)
			_, err = c.Message(t.Context(), conv.ID, chat.Draft{Body: "secret"})
			requireKeyRefused(t, "removed", err)
		}
	})
}

// Fliplet's agent is written in JavaScript, which makes text of whatever is there.
func TestKeystoreWithoutAnOrganizationHasTheAgentsSalt(t *testing.T) {
	t.Parallel()
	for _, organization := range []any{"null", "undefined"} {
		w := newWorld(t, fliplettest.InProcess())
		id := w.AddDataSource(datasource.M{"name": "Keystore", "type": "keystore"})
		sealed, err := envelope.SealPassphrase(agentKey, organization.(string)+"-"+itoa(id))
		require.NoError(t, err)
		w.AddRows(id, datasource.M{"content": sealed})
		w.Always(fliplettest.GetSource, fliplettest.NullFields("organizationId"))
		key, err := sure(chat.NewKeystore(w.Client(), chat.KeystoreOptions{DataSourceID: id})).Key(t.Context(), 1)
		require.NoError(t, err, organization)
		assert.Equal(t, agentKey, key)
	}
}
