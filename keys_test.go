package chat_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
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
)

// keyBytes are 32 bytes that differ with b.
func keyBytes(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func newKey(t testing.TB, id string, b byte) *chat.Key {
	t.Helper()
	k, err := chat.NewKey(id, keyBytes(b))
	require.NoError(t, err)
	return k
}

func newCipher(t testing.TB, writer *chat.Key, readers ...*chat.Key) *chat.Cipher {
	t.Helper()
	c, err := chat.NewCipher(writer, readers...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestKeysRefuseUnusableMaterialAndSayWhatToDo(t *testing.T) {
	salt := make([]byte, 16)
	for name, tc := range map[string]struct {
		make func() (*chat.Key, error)
		says string
	}{
		"short key":        {func() (*chat.Key, error) { return chat.NewKey("a", make([]byte, 31)) }, "31 bytes"},
		"bad id":           {func() (*chat.Key, error) { return chat.NewKey("a b", keyBytes(1)) }, "id"},
		"empty id":         {func() (*chat.Key, error) { return chat.NewKey("", keyBytes(1)) }, "id"},
		"short secret":     {func() (*chat.Key, error) { return chat.DeriveKeys("a", []byte("hunter2")) }, "StretchPassphrase"},
		"bad id of secret": {func() (*chat.Key, error) { return chat.DeriveKeys("ä", keyBytes(1)) }, "id"},
		"no passphrase":    {func() (*chat.Key, error) { return chat.StretchPassphrase("a", "", salt) }, "passphrase"},
		"short salt":       {func() (*chat.Key, error) { return chat.StretchPassphrase("a", "p", salt[:8]) }, "salt: 8 bytes"},
		"bad id, stretched": {func() (*chat.Key, error) {
			return chat.StretchPassphrase(strings.Repeat("a", 65), "p", salt)
		}, "id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, err := tc.make()
			require.ErrorIs(t, err, chat.ErrInvalid)
			assert.ErrorContains(t, err, tc.says)
			assert.Nil(t, k)
		})
	}
}

func TestCipherRefusesAmbiguousKeysAndKeepsItsWriter(t *testing.T) {
	t.Parallel()
	_, err := chat.NewCipher(nil)
	require.ErrorIs(t, err, chat.ErrInvalid)
	_, err = chat.NewCipher(newKey(t, "a", 1), newKey(t, "a", 2))
	require.ErrorIs(t, err, chat.ErrInvalid)
	_, err = chat.NewCipher(newKey(t, "a", 1), nil)
	require.ErrorIs(t, err, chat.ErrInvalid)

	c := newCipher(t, newKey(t, "a", 1))
	require.ErrorIs(t, c.Add(newKey(t, "a", 2)), chat.ErrInvalid)
	require.ErrorIs(t, c.Add(nil), chat.ErrInvalid)
	require.ErrorIs(t, c.Promote("b"), chat.ErrNotFound)
	require.ErrorIs(t, c.Remove("b"), chat.ErrNotFound)
	require.ErrorIs(t, c.Remove("a"), chat.ErrInvalid)
	assert.Equal(t, "a", c.Writer())
	require.NoError(t, c.Add(newKey(t, "b", 2)))
	require.NoError(t, c.Promote("b"))
	require.NoError(t, c.Remove("a"))
	assert.Equal(t, "b", c.Writer())
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	assert.Empty(t, c.Writer())
	require.ErrorIs(t, c.Add(newKey(t, "c", 3)), chat.ErrClosed)
	require.ErrorIs(t, c.Promote("b"), chat.ErrClosed)
}

func TestDerivedKeysDifferBetweenConversationsAndAgreeBetweenPrograms(t *testing.T) {
	t.Parallel()
	here, err := chat.DeriveKeys("m1", keyBytes(7))
	require.NoError(t, err)
	there, err := chat.DeriveKeys("m1", keyBytes(7))
	require.NoError(t, err)
	a, b := newCipher(t, here), newCipher(t, there)
	// More conversations than the cache holds, twice, so that keys are derived anew.
	for range 2 {
		for id := int64(1); id <= 1200; id++ {
			sealed, err := chat.Seal(a, id, "g", "u", "hello")
			require.NoError(t, err)
			got, err := chat.Open(b, id, "g", "u", sealed)
			require.NoError(t, err)
			require.Equal(t, "hello", got)
			_, err = chat.Open(b, id+1, "g", "u", sealed)
			require.ErrorIs(t, err, chat.ErrTampered)
		}
	}
	assert.LessOrEqual(t, chat.CachedKeys(here), 512)
	first, second := chat.DerivedFor(t, keyBytes(7), "m1", 1), chat.DerivedFor(t, keyBytes(7), "m1", 2)
	assert.NotEqual(t, first, second)
	aead, err := envelope.NewAEAD("m1", first)
	require.NoError(t, err)
	sealed, err := chat.Seal(a, 1, "g", "u", "for a screen")
	require.NoError(t, err)
	got, err := aead.Open(sealed, envelope.Binding{ConversationID: 1, GUID: "g", Sender: "u"})
	require.NoError(t, err)
	assert.Equal(t, "for a screen", got, "the key is the one that the documentation describes")
}

func TestStretchedPassphraseIsArgon2idWithTheDocumentedCost(t *testing.T) {
	t.Parallel()
	salt := []byte("sixteen byte tag")
	k, err := chat.StretchPassphrase("p1", canaryPassword, salt)
	require.NoError(t, err)
	same := newCipher(t, k)
	sealed, err := chat.Seal(same, 5, "g", "u", "x")
	require.NoError(t, err)
	// argon2id of them: 3 passes, 64 MiB, 4 lanes.
	key, err := hex.DecodeString("5cc68b1d9937b167ca57163189a642f362632e13839dc4782bd83c0462651b10")
	require.NoError(t, err)
	if longtest.Enabled() { // stretching costs a fifth of a second, as it should
		assert.Equal(t, key, chat.Argon2id(canaryPassword, salt, 3, 64*1024, 4))
	}
	aead, err := envelope.NewAEAD("p1", key)
	require.NoError(t, err)
	got, err := aead.Open(sealed, envelope.Binding{ConversationID: 5, GUID: "g", Sender: "u"})
	require.NoError(t, err)
	assert.Equal(t, "x", got)
	secrets := &sink{t: t}
	secrets.show("stretched", k, same)
	secrets.check("stretched")
}

func TestClosedCipherOpensAndSealsNothing(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]*chat.Key{"fixed": newKey(t, "a", 1), "derived": sure(chat.DeriveKeys("a", keyBytes(1)))} {
		c := newCipher(t, k)
		sealed, err := chat.Seal(c, 1, "g", "u", "x")
		require.NoError(t, err)
		require.NoError(t, c.Close())
		_, err = chat.Open(c, 1, "g", "u", sealed)
		require.ErrorIs(t, err, chat.ErrKeyUnavailable, name)
		_, err = chat.Seal(c, 1, "g", "u", "x")
		require.ErrorIs(t, err, chat.ErrKeyUnavailable, name)
		assert.True(t, chat.Wiped(k), name)
	}
}

func sure[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// agentKey is what Fliplet's agent stores.
const agentKey = "0123456789abcdefghijABCDEFGHIJ42"

// addKeystore makes a keystore as the agent does.
func addKeystore(t testing.TB, w *world, salt string) (id int64) {
	t.Helper()
	id = w.AddDataSource(datasource.M{"name": "Keystore", "type": "keystore", "organizationId": w.OrganizationID})
	if salt == "" {
		ds, err := w.Client().DataSource(t.Context(), id)
		require.NoError(t, err)
		require.NotZero(t, ds.OrganizationID)
		salt = itoa(ds.OrganizationID) + "-" + itoa(id)
	}
	sealed, err := envelope.SealPassphrase(agentKey, salt)
	require.NoError(t, err)
	w.AddRows(id, datasource.M{"source": "Fliplet Agent", "content": sealed})
	return id
}

func TestKeystoreReadsWhatTheAgentWrote(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	_, err := sure(chat.NewKeystore(w.Client(), chat.KeystoreOptions{})).Key(t.Context(), 1)
	require.ErrorIs(t, err, chat.ErrNotFound)
	id := addKeystore(t, w, "")
	for name, opts := range map[string]chat.KeystoreOptions{"found": {}, "given": {DataSourceID: id}} {
		ks := sure(chat.NewKeystore(w.Client(), opts))
		before := len(w.Requests())
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				key, err := ks.Key(context.Background(), 7)
				assert.NoError(t, err)
				assert.Equal(t, agentKey, key)
			})
		}
		wg.Wait()
		assert.Equal(t, 2, len(w.Requests())-before, "%s: the key is read once", name)
		require.NoError(t, ks.Close())
		_, err := ks.Key(t.Context(), 7)
		require.ErrorIs(t, err, chat.ErrClosed)
	}
}

func TestKeystoreTakesTheEntryThatItsSaltOpens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	id := addKeystore(t, w, "a salt of ours")
	w.AddRows(id, datasource.M{"content": "not ciphertext"}, datasource.M{"content": nil}, datasource.M{"other": 1})
	key, err := sure(chat.NewKeystore(w.Client(), chat.KeystoreOptions{Salt: "a salt of ours"})).Key(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, agentKey, key)
	_, err = sure(chat.NewKeystore(w.Client(), chat.KeystoreOptions{Salt: "another"})).Key(t.Context(), 1)
	require.ErrorIs(t, err, chat.ErrWrongKey)
	assert.NotContains(t, err.Error(), "another")
	_, err = chat.NewKeystore(nil, chat.KeystoreOptions{})
	require.ErrorIs(t, err, chat.ErrInvalid)
	_, err = chat.NewKeystore(w.Client(), chat.KeystoreOptions{DataSourceID: -1})
	require.ErrorIs(t, err, chat.ErrInvalid)
}

// Under -race this finds a read that looks at the salt without the lock.
func TestClosingAKeystoreWhileItsKeyIsReadIsNoRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	id := addKeystore(t, w, "a salt of ours")
	for range 50 {
		ks := sure(chat.NewKeystore(w.Client(), chat.KeystoreOptions{DataSourceID: id, Salt: "a salt of ours"}))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				key, err := ks.Key(context.Background(), 1)
				if err == nil {
					assert.Equal(t, agentKey, key)
				}
			})
		}
		wg.Go(func() { assert.NoError(t, ks.Close()) })
		wg.Wait()
		_, err := ks.Key(t.Context(), 1)
		require.ErrorIs(t, err, chat.ErrClosed)
	}
}

func TestACallThatWaitsForAnotherReadingTheKeystoreEndsWithItsOwnContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		id := addKeystore(t, w, "")
		w.Next(1, fliplettest.GetSource, fliplettest.Delay(30*time.Second))
		ks := sure(chat.NewKeystore(w.Client(), chat.KeystoreOptions{DataSourceID: id}))
		var wg sync.WaitGroup
		wg.Go(func() {
			key, err := ks.Key(t.Context(), 1)
			assert.NoError(t, err)
			assert.Equal(t, agentKey, key)
		})
		synctest.Wait()
		began := time.Now()
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := ks.Key(ctx, 1)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		assert.Equal(t, 3*time.Second, time.Since(began))
		wg.Wait()
		key, err := ks.Key(t.Context(), 1)
		require.NoError(t, err, "what others gave up says nothing about the keystore")
		assert.Equal(t, agentKey, key)
	})
}

func TestKeystoreRestsAfterAFailureAndThenRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		id := addKeystore(t, w, "")
		ks := sure(chat.NewKeystore(w.Client(), chat.KeystoreOptions{DataSourceID: id}))
		lever := w.Always(fliplettest.GetSource, fliplettest.Status(404))
		for range 50 {
			_, err := ks.Key(t.Context(), 1)
			require.ErrorIs(t, err, chat.ErrNotFound)
		}
		assert.Equal(t, 1, lever.Hits(), "a page of messages is not a page of requests")
		lever.Off()
		time.Sleep(5 * time.Second)
		key, err := ks.Key(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, agentKey, key)
	})
}

func TestKeystoreForgivesAnImpatientCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	addKeystore(t, w, "")
	ks := sure(chat.NewKeystore(w.Client(), chat.KeystoreOptions{}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := ks.Key(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
	_, err = ks.Key(t.Context(), 1)
	require.NoError(t, err)
}

func TestKeystoreEncryptsConversationsThatCryptoJSReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	addKeystore(t, w, "")
	use := func(o *chat.Options) { o.Keys = sure(chat.NewKeystore(w.Client(), chat.KeystoreOptions{})) }
	jane, bob := w.login("jane", use), w.login("bob", use)
	conv := w.converse(jane, "bob")
	sent := w.say(jane, conv, "through the keystore")
	stored := stored(t, w, conv.ID, sent.ID)
	plain, err := envelope.OpenPassphrase(stored, agentKey)
	require.NoError(t, err)
	assert.Equal(t, "through the keystore", plain)
	assert.Equal(t, []string{"through the keystore"}, bodies(messages(t, bob, conv.ID)))
	raw, err := base64.StdEncoding.DecodeString(stored)
	require.NoError(t, err)
	assert.Equal(t, "Salted__", string(raw[:8]))
	// And as the secret of authenticated bodies.
	_, err = chat.DeriveKeys("keystore", []byte(agentKey))
	require.NoError(t, err)
}

type brokenKeys struct{ err error }

func (k brokenKeys) Key(context.Context, int64) (string, error) { return "", k.err }

var errVault = errors.New("the vault is sealed")
