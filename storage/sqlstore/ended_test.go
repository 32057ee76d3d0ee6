package sqlstore_test

import (
	"context"
	"database/sql"
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

// SQLite rolls a transaction back by itself after some errors. A function that goes on
// then, and returns nil, must not have its position stored without its row.
func TestNothingIsStoredAfterATransactionThatEndedBeforeItsFunction(t *testing.T) {
	t.Parallel()
	endless := `INSERT INTO archive (message) WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c WHERE x < 0`
	for name, interrupt := range map[string]func(ctx context.Context, tx *sql.Tx) error{
		"a statement is interrupted": func(ctx context.Context, tx *sql.Tx) error {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			_, err := tx.ExecContext(ctx, endless)
			return err
		},
		"a conflict rolls back": func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT OR ROLLBACK INTO archive (message) VALUES (1)`)
			return err
		},
		"ROLLBACK": func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `ROLLBACK`)
			require.NoError(t, err)
			return sql.ErrTxDone
		},
		"Rollback": func(_ context.Context, tx *sql.Tx) error {
			require.NoError(t, tx.Rollback())
			return sql.ErrTxDone
		},
	} {
		for _, swaps := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := open(t, filepath.Join(t.TempDir(), "archive.db"))
				_, err := s.DB().Exec(`CREATE TABLE archive (message INTEGER PRIMARY KEY)`)
				require.NoError(t, err)
				_, err = s.DB().Exec(`INSERT INTO archive VALUES (1)`)
				require.NoError(t, err)
				err = s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
					own, err := sqlstore.Tx(ctx)
					require.NoError(t, err)
					_, err = own.ExecContext(ctx, `INSERT INTO archive VALUES (2)`)
					require.NoError(t, err)
					require.Error(t, interrupt(ctx, own))
					_, err = sqlstore.Tx(ctx)
					assert.ErrorIs(t, err, sqlstore.ErrEnded, "the next function of a batch")
					if swaps {
						swapped, err := tx.CompareAndSwap(ctx, "position", nil, []byte("2"))
						assert.False(t, swapped)
						assert.ErrorIs(t, err, sqlstore.ErrEnded)
					}
					return nil
				})
				require.ErrorIs(t, err, sqlstore.ErrEnded)
				_, err = s.Get(t.Context(), "position")
				require.ErrorIs(t, err, storage.ErrNotFound)
				var rows int
				require.NoError(t, s.DB().QueryRow(`SELECT count(*) FROM archive`).Scan(&rows))
				assert.Equal(t, 1, rows)
				require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error { return tx.Set(ctx, "position", nil) }), "the next transaction works")
			})
		}
	}
}

// A file that is replaced while a function runs takes what was written with it, so
// Update must not say that it is stored.
func TestUpdateFailsWhenTheFileIsRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "archive.db")
	s := open(t, path)
	err := s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
		require.NoError(t, tx.Set(ctx, "position", []byte("2")))
		return os.Remove(path)
	})
	require.ErrorIs(t, err, sqlstore.ErrMoved)
}

// A commit that is refused is a failure of which the outcome is known.
func TestACommitThatIsRefusedIsRolledBack(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", "file://"+(&url.URL{Path: filepath.Join(t.TempDir(), "archive.db")}).EscapedPath()+"?_pragma=foreign_keys(1)")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	s, err := sqlstore.New(t.Context(), db)
	require.NoError(t, err)
	_, err = db.Exec(`CREATE TABLE talk (id INTEGER PRIMARY KEY); CREATE TABLE archive (talk INTEGER REFERENCES talk (id) DEFERRABLE INITIALLY DEFERRED)`)
	require.NoError(t, err)
	err = s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
		own, err := sqlstore.Tx(ctx)
		require.NoError(t, err)
		_, err = own.ExecContext(ctx, `INSERT INTO archive VALUES (7)`)
		require.NoError(t, err)
		return tx.Set(ctx, "position", []byte("7"))
	})
	require.ErrorIs(t, err, storage.ErrRolledBack)
	_, err = s.Get(t.Context(), "position")
	require.ErrorIs(t, err, storage.ErrNotFound)
	require.NoError(t, s.Set(t.Context(), "position", []byte("8")), "nothing is locked")
}

func TestATransactionWithoutAFunctionIsRefused(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, open(t, filepath.Join(t.TempDir(), "archive.db")).Update(t.Context(), nil), "fn is nil")
}
