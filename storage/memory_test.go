package storage_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/storagetest"
)

func TestMemoryIsAStore(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(*testing.T) storage.Store { return storage.NewMemory() })
}

func TestATransactionWithoutAFunctionIsRefused(t *testing.T) {
	t.Parallel()
	sealed, err := storage.Encrypted(storage.NewMemory(), []byte("0123456789abcdef0123456789ABCDEF"))
	require.NoError(t, err)
	for _, s := range []storage.Store{storage.NewMemory(), sealed} {
		require.ErrorContains(t, s.(storage.Transactional).Update(t.Context(), nil), "fn is nil")
	}
}

func TestAMemoryIsTheSameWithFewValuesAndWithMany(t *testing.T) {
	t.Parallel()
	s, want := storage.NewMemory(), map[string]string{}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	for step := range 2000 {
		key := fmt.Sprint("key ", random.IntN(1+step/100)) // from one to twenty
		if random.IntN(4) == 0 {
			require.NoError(t, s.Delete(t.Context(), key))
			delete(want, key)
		} else {
			require.NoError(t, s.Set(t.Context(), key, []byte(fmt.Sprint(step))))
			want[key] = fmt.Sprint(step)
		}
		got := map[string]string{}
		for key, err := range s.(storage.Lister).List(t.Context(), "") {
			require.NoError(t, err)
			value, err := s.Get(t.Context(), key)
			require.NoError(t, err)
			got[key] = string(value)
		}
		require.Equal(t, want, got)
	}
}
