package sqlstore_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/sqlstore"
	"github.com/fliplet/fliplet-chat-go/storage/storagetest"
)

// open opens a file, which is closed when the test is over.
func open(t *testing.T, path string, opts ...sqlstore.Option) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), path, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	var paths sync.Map // by Store
	at := func(t *testing.T, path string) storage.Store {
		s := open(t, path)
		paths.Store(s, path)
		return s
	}
	path := func(s storage.Store) string { p, _ := paths.Load(s); return p.(string) }
	storagetest.Run(t,
		func(t *testing.T) storage.Store { return at(t, filepath.Join(t.TempDir(), "a b%c?d#e.db")) },
		storagetest.Reopen(func(t *testing.T, s storage.Store) storage.Store {
			require.NoError(t, s.(*sqlstore.Store).Close())
			return at(t, path(s))
		}),
		storagetest.Beside(func(t *testing.T, s storage.Store) storage.Store { return at(t, path(s)) }))
}
