package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/sqlstore"
)

func fileOf(t *testing.T) string { return filepath.Join(t.TempDir(), "store.db") }

func TestBadInputIsRefusedWithAReason(t *testing.T) {
	t.Parallel()
	memory, err := sql.Open("sqlite", ":memory:")
	require.NoError(t, err)
	defer memory.Close()
	narrow, err := sql.Open("sqlite", fileOf(t))
	require.NoError(t, err)
	defer narrow.Close()
	narrow.SetMaxOpenConns(1)
	dir := t.TempDir()
	for name, c := range map[string]struct {
		open func() (*sqlstore.Store, error)
		text string
	}{
		"no path":        {func() (*sqlstore.Store, error) { return sqlstore.Open(t.Context(), "") }, "path is"},
		"in memory":      {func() (*sqlstore.Store, error) { return sqlstore.Open(t.Context(), ":memory:") }, "path is"},
		"a URI":          {func() (*sqlstore.Store, error) { return sqlstore.Open(t.Context(), "file:x.db") }, "plain name"},
		"a folder":       {func() (*sqlstore.Store, error) { return sqlstore.Open(t.Context(), dir) }, "not a regular file"},
		"no folder":      {func() (*sqlstore.Store, error) { return sqlstore.Open(t.Context(), filepath.Join(dir, "no", "x.db")) }, "no such file"},
		"no patience":    {func() (*sqlstore.Store, error) { return sqlstore.Open(t.Context(), fileOf(t), sqlstore.Patience(0)) }, "Patience is 0s"},
		"no database":    {func() (*sqlstore.Store, error) { return sqlstore.New(t.Context(), nil) }, "db is nil"},
		"one connection": {func() (*sqlstore.Store, error) { return sqlstore.New(t.Context(), narrow) }, "SetMaxOpenConns"},
		"memory":         {func() (*sqlstore.Store, error) { return sqlstore.New(t.Context(), memory) }, "in memory"},
		"New, alone":     {func() (*sqlstore.Store, error) { return sqlstore.New(t.Context(), narrow, sqlstore.Alone()) }, "is for Open"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.open()
			assert.ErrorContains(t, err, c.text)
		})
	}
	s := open(t, fileOf(t))
	for _, key := range []string{"", string(make([]byte, 1025))} {
		assert.ErrorContains(t, s.Set(t.Context(), key, nil), "give 1 to 1024")
	}
}

func TestTablesOfANewerVersionAreLeftAlone(t *testing.T) {
	t.Parallel()
	path := fileOf(t)
	s := open(t, path)
	_, err := s.DB().ExecContext(t.Context(), `UPDATE fliplet_chat_schema SET version = 99`)
	require.NoError(t, err)
	_, err = sqlstore.Open(t.Context(), path)
	require.ErrorIs(t, err, sqlstore.ErrVersion)
	assert.ErrorContains(t, err, "version 99")
	var version int
	require.NoError(t, s.DB().QueryRowContext(t.Context(), `SELECT version FROM fliplet_chat_schema`).Scan(&version))
	assert.Equal(t, 99, version)
}

func TestAFileThatIsNoDatabaseIsSaidSo(t *testing.T) {
	t.Parallel()
	path := fileOf(t)
	require.NoError(t, os.WriteFile(path, []byte("This is a letter, and no database at all. It is a little longer than that."), 0o600))
	_, err := sqlstore.Open(t.Context(), path)
	require.ErrorIs(t, err, sqlstore.ErrCorrupt)
	left, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(left), "This is a letter")
}

func TestADamagedFileIsSaidSo(t *testing.T) {
	t.Parallel()
	path := fileOf(t)
	s := open(t, path)
	for i := range 200 {
		require.NoError(t, s.Set(t.Context(), string(rune('a'+i%26))+string(rune('0'+i)), make([]byte, 2000)))
	}
	require.NoError(t, s.Close())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := 4096; i < len(raw); i++ { // all pages but the first
		raw[i] = 0xee
	}
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	damaged, err := sqlstore.Open(t.Context(), path)
	if err == nil {
		_, err = damaged.Get(t.Context(), "a0")
		require.NoError(t, damaged.Close())
	}
	require.ErrorIs(t, err, sqlstore.ErrCorrupt)
}

func TestAFileThatIsAwayTakesNoWritesThatWouldBeLost(t *testing.T) {
	t.Parallel()
	path := fileOf(t)
	s := open(t, path)
	require.NoError(t, s.Set(t.Context(), "key", []byte("1")))
	require.NoError(t, os.Rename(path, path+".away"))
	require.ErrorIs(t, s.Set(t.Context(), "key", []byte("2")), sqlstore.ErrMoved)
	err := s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error { return tx.Set(ctx, "key", []byte("3")) })
	require.ErrorIs(t, err, sqlstore.ErrMoved)
	require.NoError(t, os.Rename(path+".away", path))
	require.NoError(t, s.Set(t.Context(), "key", []byte("4")))
}

func TestAFileThatCannotBeWrittenIsSaidSo(t *testing.T) {
	t.Parallel()
	path := fileOf(t)
	require.NoError(t, open(t, path).Set(t.Context(), "key", []byte("1")))
	db, err := sql.Open("sqlite", "file://"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro")
	require.NoError(t, err)
	defer db.Close()
	s, err := sqlstore.New(t.Context(), db)
	require.NoError(t, err)
	v, err := s.Get(t.Context(), "key")
	require.NoError(t, err)
	assert.Equal(t, "1", string(v))
	require.ErrorIs(t, s.Set(t.Context(), "key", []byte("2")), sqlstore.ErrReadOnly)
	err = s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error { return tx.Set(ctx, "key", []byte("3")) })
	require.ErrorIs(t, err, sqlstore.ErrReadOnly)
}

func TestAloneKeepsOthersOutWhateverLinksTheyTake(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(dir, 0o700))
	path, link, folder := filepath.Join(dir, "archive.db"), filepath.Join(t.TempDir(), "link.db"), filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(path, link))
	require.NoError(t, os.Symlink(dir, folder))
	names := []string{path, link, filepath.Join(folder, "archive.db")}
	require.NoError(t, open(t, path).Close())
	for _, first := range names {
		s := open(t, first, sqlstore.Alone())
		for _, second := range names {
			_, err := sqlstore.Open(t.Context(), second, sqlstore.Alone())
			require.ErrorIs(t, err, sqlstore.ErrLocked, "%s while %s is open", second, first)
		}
		require.NoError(t, s.Close())
	}
	fresh := open(t, filepath.Join(folder, "fresh.db"), sqlstore.Alone())
	_, err := sqlstore.Open(t.Context(), filepath.Join(dir, "fresh.db"), sqlstore.Alone())
	require.ErrorIs(t, err, sqlstore.ErrLocked, "made by way of the link")
	require.NoError(t, fresh.Close())
}

func TestAloneKeepsOthersOut(t *testing.T) {
	t.Parallel()
	path := fileOf(t)
	s := open(t, path, sqlstore.Alone())
	assert.True(t, s.Exclusive())
	_, err := sqlstore.Open(t.Context(), path, sqlstore.Alone())
	require.ErrorIs(t, err, sqlstore.ErrLocked)
	require.NoError(t, s.Close())
	assert.True(t, open(t, path, sqlstore.Alone()).Exclusive())
}

func TestATransactionBeginsWhenItIsUsed(t *testing.T) {
	t.Parallel()
	path := fileOf(t)
	s := open(t, path)
	other := open(t, path, sqlstore.Patience(10*time.Millisecond))
	err := s.Update(t.Context(), func(ctx context.Context, _ storage.Store) error {
		require.NoError(t, other.Set(t.Context(), "key", []byte("1")), "nothing is locked yet")
		require.NoError(t, s.Set(ctx, "key", []byte("2")), "also not for the same Store")
		tx, err := sqlstore.Tx(ctx)
		require.NoError(t, err)
		again, err := sqlstore.Tx(ctx)
		require.NoError(t, err)
		assert.Same(t, tx, again)
		require.ErrorIs(t, other.Set(t.Context(), "key", []byte("3")), sqlstore.ErrBusy)
		require.ErrorIs(t, s.Set(ctx, "key", []byte("3")), sqlstore.ErrInTransaction)
		require.ErrorIs(t, s.Update(ctx, func(context.Context, storage.Store) error { return nil }), sqlstore.ErrInTransaction)
		v, err := s.Get(ctx, "key")
		assert.Equal(t, "2", string(v))
		return err
	})
	require.NoError(t, err)
	require.NoError(t, other.Set(t.Context(), "key", []byte("4")))
	_, err = sqlstore.Tx(t.Context())
	require.ErrorIs(t, err, sqlstore.ErrNoTransaction)
}

// A transaction that the function has ended by itself is no success.
func TestAFunctionThatEndsItsTransactionItselfFails(t *testing.T) {
	t.Parallel()
	s := open(t, fileOf(t))
	err := s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
		sqlTx, err := sqlstore.Tx(ctx)
		if err != nil {
			return err
		}
		return errors.Join(tx.Set(ctx, "key", nil), sqlTx.Rollback())
	})
	require.ErrorIs(t, err, sql.ErrTxDone)
	_, err = s.Get(t.Context(), "key")
	require.ErrorIs(t, err, storage.ErrNotFound)
}

func TestAClosedStoreSaysSo(t *testing.T) {
	t.Parallel()
	s := open(t, fileOf(t))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	_, err := s.Get(t.Context(), "key")
	require.ErrorIs(t, err, sqlstore.ErrClosed)
	require.ErrorIs(t, s.Set(t.Context(), "key", nil), sqlstore.ErrClosed)
	require.ErrorIs(t, s.Update(t.Context(), func(context.Context, storage.Store) error { return nil }), sqlstore.ErrClosed)
	for _, err := range s.List(t.Context(), "") {
		require.ErrorIs(t, err, sqlstore.ErrClosed)
	}
}
