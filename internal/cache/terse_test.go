package cache

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// own is a cache in a Store of its own.
func own(s storage.Store) *Cache {
	return New(Config{Store: s, BaseURL: host, DataSourceID: 101, Log: slog.New(slog.DiscardHandler), Page: 3, Owner: owner{}})
}

// size counts the bytes that a Store holds of values.
func size(t *testing.T, s storage.Store) (n int) {
	t.Helper()
	for key, err := range s.(storage.Lister).List(t.Context(), "") {
		require.NoError(t, err)
		raw, err := s.Get(t.Context(), key)
		require.NoError(t, err)
		n += len(key) + len(raw)
	}
	return n
}

func TestInAStoreOfItsOwnValuesAreShortAndReadAsTheyWere(t *testing.T) {
	virtual(t, func(t *testing.T) {
		at := time.Date(2026, 11, 28, 9, 21, 17, 106e6, time.UTC)
		row := datasource.Entry{
			ID: 5002, DataSourceID: 101, CreatedAt: at, UpdatedAt: at,
			Data: datasource.M{"Email": "bob@example.org", "flUserId": bob, "flUserToken": "token-bob"},
		}
		definition := json.RawMessage(`{"encryptionKey":"0123456789abcdef","participants":["` + jane + `","` + bob + `"]}`)
		list := []datasource.DataSource{{ID: 102, AppID: 1, OrganizationID: 1, Name: "talk", Definition: definition, CreatedAt: at, UpdatedAt: at}}
		login := strings.Repeat("0123456789abcdef", 4)
		sizes := map[*Cache]int{}
		for _, c := range []*Cache{own(storage.NewMemory()), open(storage.NewMemory())} {
			u := c.User(bob)
			u.Remember(t.Context(), &row, "token-bob", login)
			u.SaveConversations(t.Context(), list)
			sizes[c] = size(t, c.cfg.Store)

			found, token, ok := c.FindUser(t.Context(), login, nil, byID(bob))
			require.True(t, ok)
			assert.Equal(t, "token-bob", token)
			assert.Equal(t, row.Data, found.Data)
			assert.Equal(t, at, found.CreatedAt)
			read, ok, err := u.Conversations(t.Context())
			require.NoError(t, err)
			require.True(t, ok)
			assert.JSONEq(t, string(definition), string(read[0].Definition))

			require.NoError(t, u.Forget(context.Background()))
			assert.Zero(t, size(t, c.cfg.Store), "a logout finds what a login has left")
		}
		for c, n := range sizes {
			if !c.keepsMessages() {
				assert.Less(t, n, 500)
			} else {
				assert.Greater(t, n, 900)
			}
		}
	})
}

func TestEachSignStandsForATextOfItsOwn(t *testing.T) {
	t.Parallel()
	assert.Len(t, phrases, len(signs))
	for i, text := range phrases {
		assert.Equal(t, signs[i:i+1], terse.Replace(text))
		assert.Equal(t, text, wordy.Replace(signs[i:i+1]))
	}
}

func FuzzWhateverIsStoredTerselyIsReadAsItWas(f *testing.F) {
	for _, text := range append(phrases, signs, `\"`, "ü\u2028<>&", "\xff") {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		raw, err := json.Marshal([]any{text, datasource.M{name: text, "data": []any{name, text}}})
		require.NoError(t, err)
		assert.Equal(t, string(raw), wordy.Replace(terse.Replace(string(raw))))
	})
}
