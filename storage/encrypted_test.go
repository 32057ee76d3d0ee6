package storage_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/storagetest"
)

func newKey() []byte {
	key := make([]byte, storage.KeySize)
	rand.Read(key) //nolint:errcheck // never returns an error
	return key
}

func sealed(t *testing.T, inner storage.Store, key []byte) storage.Store {
	t.Helper()
	s, err := storage.Encrypted(inner, key)
	require.NoError(t, err)
	return s
}

// unlisted hides the abilities of a Store.
type unlisted struct{ storage.Store }

func TestAnEncryptedStoreIsAStore(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storage.Store { return sealed(t, storage.NewMemory(), newKey()) })
}

func TestAnEncryptedStoreOverOneThatCannotListIsAStore(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storage.Store { return sealed(t, unlisted{storage.NewMemory()}, newKey()) })
}

// dump is every key and value of a Store.
func dump(t *testing.T, s storage.Store) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for key, err := range s.(storage.Lister).List(t.Context(), "") {
		require.NoError(t, err)
		v, err := s.Get(t.Context(), key)
		require.NoError(t, err)
		out[key] = v
	}
	return out
}

func TestAnEncryptedStoreShowsNeitherKeysNorValues(t *testing.T) {
	t.Parallel()
	inner, key := storage.NewMemory(), newKey()
	s := sealed(t, inner, key)
	for range 2 {
		require.NoError(t, s.Set(t.Context(), "users/jane", []byte("jane@example.org")))
	}
	first := dump(t, inner)
	require.NoError(t, s.Set(t.Context(), "users/jane", []byte("jane@example.org")))
	require.Len(t, first, 2, "the value, and what the key is checked by")
	for at, v := range dump(t, inner) {
		assert.NotContains(t, at, "jane")
		assert.False(t, bytes.Contains(v, []byte("jane")))
		if !strings.HasSuffix(at, "check") {
			assert.NotEqual(t, first[at], v, "the same value is never sealed to the same bytes")
		}
	}
	again := sealed(t, inner, key)
	v, err := again.Get(t.Context(), "users/jane")
	require.NoError(t, err)
	assert.Equal(t, "jane@example.org", string(v))
}

func TestAnEncryptedStoreRefusesAnotherKeyInEveryCall(t *testing.T) {
	t.Parallel()
	inner := storage.NewMemory()
	require.NoError(t, sealed(t, inner, newKey()).Set(t.Context(), "a", []byte("1")))
	before := dump(t, inner)
	s := sealed(t, inner, newKey())
	_, get := s.Get(t.Context(), "a")
	_, swap := s.CompareAndSwap(t.Context(), "a", nil, []byte("2"))
	_, remove := s.CompareAndSwap(t.Context(), "a", nil, nil)
	var list error
	for _, list = range s.(storage.Lister).List(t.Context(), "") {
	}
	for call, err := range map[string]error{
		"Get": get, "Set": s.Set(t.Context(), "b", nil), "Delete": s.Delete(t.Context(), "a"),
		"CompareAndSwap": swap, "CompareAndSwap to nothing": remove, "List": list,
	} {
		require.ErrorIs(t, err, storage.ErrWrongKey, call)
		assert.NotErrorIs(t, err, storage.ErrNotFound, call)
	}
	assert.Equal(t, before, dump(t, inner))
}

func TestAnEncryptedStoreRefusesValuesThatWereChangedOrExchanged(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(a, b []byte) (x, y []byte){
		"exchanged":   func(a, b []byte) ([]byte, []byte) { return b, a },
		"copied":      func(a, b []byte) ([]byte, []byte) { return b, b },
		"a bit":       func(a, b []byte) ([]byte, []byte) { a[len(a)/2] ^= 1; return a, b },
		"the last":    func(a, b []byte) ([]byte, []byte) { a[len(a)-1] ^= 0x80; return a, b },
		"cut":         func(a, b []byte) ([]byte, []byte) { return a[:len(a)-1], b },
		"cut to 3":    func(a, b []byte) ([]byte, []byte) { return a[:3], b },
		"empty":       func(a, b []byte) ([]byte, []byte) { return nil, b },
		"longer":      func(a, b []byte) ([]byte, []byte) { return append(a, 0), b },
		"in the open": func(a, b []byte) ([]byte, []byte) { return []byte("alpha"), b },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, inner := t.Context(), storage.NewMemory()
			s := sealed(t, inner, newKey())
			place := map[string]string{}
			for _, key := range []string{"a", "b"} {
				known := dump(t, inner)
				require.NoError(t, s.Set(ctx, key, []byte("the value of "+key)))
				for at := range dump(t, inner) {
					if _, ok := known[at]; !ok && !strings.HasSuffix(at, "check") {
						place[key] = at
					}
				}
			}
			raw := dump(t, inner)
			x, y := spoil(bytes.Clone(raw[place["a"]]), bytes.Clone(raw[place["b"]]))
			require.NoError(t, inner.Set(ctx, place["a"], x))
			require.NoError(t, inner.Set(ctx, place["b"], y))
			_, err := s.Get(ctx, "a")
			require.ErrorIs(t, err, storage.ErrTampered)
			_, err = s.CompareAndSwap(ctx, "a", []byte("the value of a"), []byte("new"))
			require.ErrorIs(t, err, storage.ErrTampered)
			for _, err = range s.(storage.Lister).List(ctx, "") {
			}
			require.ErrorIs(t, err, storage.ErrTampered)
			require.NoError(t, s.Set(ctx, "a", []byte("new")), "a bad value can be replaced")
			v, err := s.Get(ctx, "a")
			require.NoError(t, err)
			assert.Equal(t, "new", string(v))
		})
	}
}

// able is a Store with every ability.
type able struct {
	storage.Store
	storage.Lister
	scrubbed int
	watched  string
}

func (a *able) Exclusive() bool             { return true }
func (a *able) Scrub(context.Context) error { a.scrubbed++; return nil }
func (a *able) Watch(_ context.Context, key string) (<-chan struct{}, error) {
	a.watched = key
	return make(chan struct{}), nil
}

func TestAnEncryptedStoreHasTheAbilitiesOfTheOneBehindIt(t *testing.T) {
	t.Parallel()
	memory := storage.NewMemory()
	inner := &able{Store: memory, Lister: memory.(storage.Lister)}
	s := sealed(t, inner, newKey())
	assert.True(t, s.(storage.Exclusive).Exclusive())
	require.NoError(t, s.(storage.Scrubber).Scrub(t.Context()))
	assert.Equal(t, 1, inner.scrubbed)
	assert.Implements(t, (*storage.Lister)(nil), s)
	require.NoError(t, s.Set(t.Context(), "key", nil))
	_, err := s.(storage.Watcher).Watch(t.Context(), "key")
	require.NoError(t, err)
	_, err = inner.Get(t.Context(), inner.watched)
	require.NoError(t, err, "the key is watched under which the value is kept")

	s = sealed(t, unlisted{memory}, newKey())
	assert.False(t, s.(storage.Exclusive).Exclusive())
	require.ErrorIs(t, s.(storage.Scrubber).Scrub(t.Context()), errors.ErrUnsupported)
	_, err = s.(storage.Watcher).Watch(t.Context(), "key")
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, lists := s.(storage.Lister)
	assert.False(t, lists)
}

func TestAnEncryptedStoreIgnoresWhatItDidNotStore(t *testing.T) {
	t.Parallel()
	inner := storage.NewMemory()
	require.NoError(t, inner.Set(t.Context(), "plain", []byte("1")))
	s := sealed(t, inner, newKey())
	_, err := s.Get(t.Context(), "plain")
	require.ErrorIs(t, err, storage.ErrNotFound)
	assert.Empty(t, dump(t, s))
	require.NoError(t, s.Delete(t.Context(), "plain"))
	_, err = inner.Get(t.Context(), "plain")
	require.NoError(t, err)
}

func TestUnusableKeysForAnEncryptedStoreAreRefusedWithTheFix(t *testing.T) {
	t.Parallel()
	for _, key := range [][]byte{nil, []byte("short"), make([]byte, 31), make([]byte, 33), make([]byte, 32), bytes.Repeat([]byte("k"), 32)} {
		_, err := storage.Encrypted(storage.NewMemory(), key)
		require.ErrorContains(t, err, "32 random bytes")
	}
	_, err := storage.Encrypted(nil, newKey())
	require.ErrorContains(t, err, "store is nil")
}

func TestAnEncryptedStoreDoesNotPrintItsKeys(t *testing.T) {
	t.Parallel()
	s := sealed(t, storage.NewMemory(), newKey())
	for _, v := range []any{s, &s, struct{ S storage.Store }{s}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
			assert.NotContains(t, fmt.Sprintf(verb, v), "names", verb)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		assert.Equal(t, "storage.Encrypted", fmt.Sprintf(verb, s), verb)
	}
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	assert.NotContains(t, string(raw), "names")
}

func ExampleEncrypted() {
	key := bytes.Repeat([]byte("0123456789abcdef"), 2) // 32 random bytes in a real program
	inner := storage.NewMemory()                       // or a file, with package boltstore
	store, err := storage.Encrypted(inner, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	fmt.Println(store.Set(ctx, "greeting", []byte("hello")))
	v, err := store.Get(ctx, "greeting")
	fmt.Printf("%s %v\n", v, err)

	other, _ := storage.Encrypted(inner, bytes.Repeat([]byte("fedcba9876543210"), 2))
	_, err = other.Get(ctx, "greeting")
	fmt.Println(err)
	// Output:
	// <nil>
	// hello <nil>
	// storage: the values were encrypted with another key
}
