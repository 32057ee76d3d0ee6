package pgstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/pgstore"
)

// patience is for what will happen, on a machine that does much else.
const patience = time.Minute

// told waits until a watch tells.
func told(t *testing.T, watch <-chan struct{}) {
	t.Helper()
	select {
	case <-watch:
	case <-time.After(patience):
		require.Fail(t, "the watch did not tell")
	}
}

func watched(t *testing.T, ctx context.Context, s *pgstore.Store, key string) <-chan struct{} { //nolint:revive // as testify
	t.Helper()
	watch, err := s.Watch(ctx, key)
	require.NoError(t, err)
	told(t, watch) // it is connected
	return watch
}

// listeners counts the connections that listen.
func listeners(t *testing.T, conn *pgx.Conn) int {
	return number(t, conn, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND (query LIKE 'LISTEN%' OR query LIKE '%store_watch%' AND query LIKE '%unnest%' OR query LIKE '%FROM pg_locks%')")
}

func TestAWatchTellsOfWhatAnotherProcessWrites(t *testing.T) {
	t.Parallel()
	dsn := server(t).Database(t) + "&pool_max_conns=2"
	one, other, elsewhere := open(t, dsn), open(t, dsn), open(t, dsn, pgstore.Namespace("elsewhere"))
	watch, same, another := watched(t, t.Context(), one, "key"), watched(t, t.Context(), one, "key"), watched(t, t.Context(), one, "another")
	require.NoError(t, elsewhere.Set(t.Context(), "key", nil))
	require.NoError(t, other.Set(t.Context(), "something", nil))
	for _, write := range []func() error{
		func() error { return other.Set(t.Context(), "key", []byte("1")) },
		func() error { return other.Delete(t.Context(), "key") },
		func() error {
			return other.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
				_, err := tx.CompareAndSwap(ctx, "key", nil, []byte("2"))
				return err
			})
		},
	} {
		assert.Empty(t, watch, "nothing has changed")
		require.NoError(t, write())
		told(t, watch)
		told(t, same)
	}
	assert.Empty(t, another)
}

func TestAWatchTellsOfWhatWasWrittenBeforeItAndIsCommittedAfter(t *testing.T) {
	t.Parallel()
	dsn := server(t).Database(t) + "&pool_max_conns=2"
	one, other := open(t, dsn), open(t, dsn)
	var watch <-chan struct{}
	require.NoError(t, other.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
		err := tx.Set(ctx, "key", []byte("1"))
		watch = watched(t, t.Context(), one, "key")
		_, missing := one.Get(ctx, "key")
		require.ErrorIs(t, missing, storage.ErrNotFound)
		return err
	}))
	told(t, watch)
	value, err := one.Get(t.Context(), "key")
	require.NoError(t, err)
	assert.Equal(t, "1", string(value))
	require.NoError(t, other.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
		return tx.Set(ctx, "another", nil)
	}))
	assert.Empty(t, watch, "whoever began after the watch tells by itself")
}

// Whoever comes meanwhile makes the listener look anew, at other transactions.
func TestAWatchTellsOfWhatWasWrittenBeforeItWhileOthersBeginToWatch(t *testing.T) {
	t.Parallel()
	dsn := server(t).Database(t) + "&pool_max_conns=3"
	waits, writes := open(t, dsn), open(t, dsn)
	for round := range 5 {
		var watch <-chan struct{}
		require.NoError(t, writes.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
			if err := tx.Set(ctx, fmt.Sprint("key ", round), nil); err != nil {
				return err
			}
			watch = watched(t, t.Context(), waits, fmt.Sprint("key ", round))
			for i := range 3 {
				watched(t, t.Context(), waits, fmt.Sprint("another ", round, i))
			}
			return nil
		}))
		watched(t, t.Context(), waits, fmt.Sprint("the last ", round))
		told(t, watch)
	}
}

func TestWritesOfKeysThatNobodyWaitsForNotifyNobody(t *testing.T) {
	t.Parallel()
	dsn := server(t).Database(t) + "&pool_max_conns=2"
	s := open(t, dsn)
	watch := watched(t, t.Context(), s, "watched")
	conn := connect(t, dsn)
	var channel string // as the Store makes it from the name of its table
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT 'fliplet_chat_' || left(encode(sha256('\"fliplet_chat\".\"store\"'), 'hex'), 16)").Scan(&channel))
	_, err := conn.Exec(t.Context(), "LISTEN "+channel)
	require.NoError(t, err)
	require.NoError(t, s.Set(t.Context(), "unwatched", nil))
	require.NoError(t, s.Delete(t.Context(), "unwatched"))
	require.NoError(t, s.Set(t.Context(), "watched", nil))
	told(t, watch)
	_, err = conn.WaitForNotification(t.Context())
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = conn.WaitForNotification(ended)
	require.Error(t, err, "there was one notification")
}

func TestOneConnectionListensForAllAndNoneForNobody(t *testing.T) {
	t.Parallel()
	dsn := server(t).Database(t) + "&pool_max_conns=2"
	s := open(t, dsn)
	conn := connect(t, dsn)
	count := func(want int) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Equal(c, want, listeners(t, conn)) }, patience, 10*time.Millisecond)
	}
	count(0)
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		watched(t, ctx, s, "a")
		watched(t, ctx, s, "b")
		shorter, end := context.WithCancel(ctx)
		watched(t, shorter, s, "c")
		count(1)
		end()
		count(1)
		cancel()
		count(0)
	}
	watched(t, t.Context(), s, "a")
	count(1)
	require.NoError(t, s.Close())
	count(0)
}

func TestAWatchOutlivesItsConnection(t *testing.T) {
	t.Parallel()
	dsn := server(t).Database(t) + "&pool_max_conns=2"
	s := open(t, dsn)
	watch := watched(t, t.Context(), s, "key")
	conn := connect(t, dsn)
	for range 3 {
		_, err := conn.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
		require.NoError(t, err)
		told(t, watch) // it may have missed something
		require.EventuallyWithT(t, func(c *assert.CollectT) { assert.NoError(c, s.Set(t.Context(), "key", nil)) }, patience, time.Millisecond)
		told(t, watch)
	}
}
