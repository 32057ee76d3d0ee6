package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/pgstore"
)

// effects opens a Store with a table of effects beside it.
func effects(t *testing.T, opts ...pgstore.Option) (*pgstore.Store, *pgx.Conn) {
	t.Helper()
	dsn := server(t).Database(t)
	conn := connect(t, dsn)
	_, err := conn.Exec(t.Context(), "CREATE TABLE effects (id integer PRIMARY KEY)")
	require.NoError(t, err)
	return open(t, dsn+"&pool_max_conns=8", opts...), conn
}

// insert makes an effect in the transaction of a context.
func insert(ctx context.Context, id int) error {
	tx, ok := pgstore.Tx(ctx)
	if !ok {
		return errors.New("there is no transaction")
	}
	_, err := tx.Exec(ctx, "INSERT INTO effects VALUES ($1)", id)
	return err
}

// mayIdle is how long the transaction of a context may be idle, after another time was set if that is given.
func mayIdle(t *testing.T, ctx context.Context, other string) (said string) { //nolint:revive // as testify
	t.Helper()
	tx, ok := pgstore.Tx(ctx)
	require.True(t, ok)
	if other != "" {
		_, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = '"+other+"'")
		require.NoError(t, err)
		return other
	}
	require.NoError(t, tx.QueryRow(ctx, "SHOW idle_in_transaction_session_timeout").Scan(&said))
	return said
}

func wantStored(t *testing.T, s *pgstore.Store, conn *pgx.Conn, stored bool) {
	t.Helper()
	_, err := s.Get(t.Context(), "position")
	rows := number(t, conn, "SELECT count(*) FROM effects WHERE id < 100")
	if stored {
		require.NoError(t, err)
		require.Equal(t, 1, rows)
		return
	}
	require.ErrorIs(t, err, storage.ErrNotFound)
	require.Zero(t, rows)
}

// advance moves the position, and fails when somebody else has.
func advance(ctx context.Context, tx storage.Store, old, new []byte) error {
	ok, err := tx.CompareAndSwap(ctx, "position", old, new)
	if err == nil && !ok {
		err = errors.New("somebody else moved the position")
	}
	return err
}

func TestEffectsAndPositionsAreStoredTogetherOrNotAtAll(t *testing.T) {
	t.Parallel()
	own := errors.New("own error")
	for name, c := range map[string]struct {
		fn   func(ctx context.Context, tx storage.Store) error
		want error
	}{
		"both":     {func(context.Context, storage.Store) error { return nil }, nil},
		"an error": {func(context.Context, storage.Store) error { return own }, own},
		"a statement that failed": {func(ctx context.Context, _ storage.Store) error {
			assert.Error(t, insert(ctx, 1)) // and it goes on
			return nil
		}, pgstore.ErrAborted},
		"a statement that failed, in a savepoint": {func(ctx context.Context, _ storage.Store) error {
			tx, _ := pgstore.Tx(ctx)
			assert.Error(t, pgx.BeginFunc(ctx, tx, func(sub pgx.Tx) error {
				_, err := sub.Exec(ctx, "INSERT INTO effects VALUES (1)")
				return err
			}))
			return nil
		}, nil},
		"a commit of its own": {func(ctx context.Context, _ storage.Store) error {
			tx, _ := pgstore.Tx(ctx)
			assert.ErrorIs(t, tx.Commit(ctx), pgstore.ErrEnded)
			assert.ErrorIs(t, tx.Rollback(ctx), pgstore.ErrEnded)
			return nil
		}, nil},
		"a ROLLBACK of its own": {func(ctx context.Context, _ storage.Store) error {
			tx, _ := pgstore.Tx(ctx)
			_, err := tx.Exec(ctx, "ROLLBACK")
			assert.ErrorIs(t, err, pgstore.ErrEnded)
			// As the next function of a batch does, which knows nothing of it.
			assert.ErrorIs(t, insert(ctx, 2), pgstore.ErrEnded)
			_, err = pgx.CollectRows(must(tx.Query(ctx, "INSERT INTO effects VALUES (3) RETURNING id")), pgx.RowTo[int])
			assert.ErrorIs(t, err, pgx.ErrTxClosed)
			return nil
		}, pgstore.ErrEnded},
		"rows that stay open": {func(ctx context.Context, _ storage.Store) error {
			tx, _ := pgstore.Tx(ctx)
			_, err := tx.Query(ctx, "SELECT generate_series(1, 100000)")
			assert.NoError(t, err)
			return nil
		}, pgstore.ErrBusy},
	} {
		for _, last := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, position moved last %t", name, last), func(t *testing.T) {
				t.Parallel()
				s, conn := effects(t)
				err := s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
					require.NoError(t, insert(ctx, 1))
					if !last {
						require.NoError(t, advance(ctx, tx, nil, []byte("1")))
					}
					if err := c.fn(ctx, tx); err != nil {
						return err
					}
					if last {
						return advance(ctx, tx, nil, []byte("1"))
					}
					return nil
				})
				if c.want != nil {
					require.ErrorIs(t, err, c.want)
				} else {
					require.NoError(t, err)
				}
				wantStored(t, s, conn, c.want == nil)
				require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error { return insert(ctx, 100) }), "the Store goes on")
			})
		}
	}
}

// must leaves an error to the rows, which have it, too.
func must(rows pgx.Rows, _ error) pgx.Rows { return rows }

func TestTheFunctionsOwnErrorIsReturnedAsItIs(t *testing.T) {
	t.Parallel()
	s, _ := effects(t)
	own := errors.New("own")
	err := s.Update(t.Context(), func(context.Context, storage.Store) error { return own })
	assert.Equal(t, own, err)
	_, ok := pgstore.Tx(t.Context())
	assert.False(t, ok)
	require.Error(t, s.Update(t.Context(), nil))
}

func TestAPanicStoresNothingAndGoesOn(t *testing.T) {
	t.Parallel()
	s, conn := effects(t)
	assert.PanicsWithValue(t, "gone", func() {
		_ = s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
			require.NoError(t, insert(ctx, 1))
			panic("gone")
		})
	})
	wantStored(t, s, conn, false)
	assert.Zero(t, number(t, conn, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"))
}

func TestATransactionIsOverWhenItsFunctionHasReturned(t *testing.T) {
	t.Parallel()
	s, conn := effects(t)
	var within storage.Store
	var inside context.Context
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
		within, inside = tx, ctx
		return nil
	}))
	require.ErrorIs(t, within.Set(t.Context(), "position", nil), pgstore.ErrEnded)
	require.Error(t, insert(inside, 1))
	wantStored(t, s, conn, false)
}

func TestATransactionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s, conn := effects(t)
	cause := errors.New("the cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := s.Update(ctx, func(ctx context.Context, tx storage.Store) error {
		require.NoError(t, insert(ctx, 1))
		require.NoError(t, advance(ctx, tx, nil, []byte("1")))
		cancel(cause)
		return nil
	})
	require.ErrorIs(t, err, cause)
	require.NotErrorIs(t, err, pgstore.ErrUncertain)
	wantStored(t, s, conn, false)
}

// Two move the position from the same place. The one who is later waits for the other, and
// then learns that it lost, or wins when the other rolls back.
func TestTheSwapInsideATransactionDecidesWhoseEffectsCount(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]error{"the first commits": nil, "the first rolls back": errors.New("no")} {
		for _, old := range [][]byte{nil, []byte("0")} {
			t.Run(fmt.Sprintf("%s, from %q", name, old), func(t *testing.T) {
				t.Parallel()
				s, conn := effects(t)
				if old != nil {
					require.NoError(t, s.Set(t.Context(), "position", old))
				}
				swapped, waits := make(chan struct{}), make(chan error, 1)
				go func() {
					<-swapped
					waits <- s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
						if err := insert(ctx, 2); err != nil {
							return err
						}
						return advance(ctx, tx, old, []byte("second"))
					})
				}()
				err := s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
					require.NoError(t, insert(ctx, 1))
					require.NoError(t, advance(ctx, tx, old, []byte("first")))
					mayIdle(t, ctx, "1min") // the second one may take its time
					close(swapped)
					require.EventuallyWithT(t, func(c *assert.CollectT) {
						assert.Equal(c, 1, number(t, conn, "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) OR NOT granted AND locktype = 'transactionid' AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())"))
					}, patience, 5*time.Millisecond)
					return first
				})
				assert.Equal(t, first, err)
				second := <-waits
				v, err := s.Get(t.Context(), "position")
				require.NoError(t, err)
				if first == nil {
					require.ErrorContains(t, second, "somebody else moved")
					assert.Equal(t, "first", string(v))
					assert.Equal(t, 1, number(t, conn, "SELECT sum(id) FROM effects"))
				} else {
					require.NoError(t, second)
					assert.Equal(t, "second", string(v))
					assert.Equal(t, 2, number(t, conn, "SELECT sum(id) FROM effects"))
				}
			})
		}
	}
}

// A swap from nothing to nothing that was right stays right until the end, too.
func TestASwapToNothingHoldsThePlace(t *testing.T) {
	t.Parallel()
	s, conn := effects(t)
	done := make(chan bool, 1)
	err := s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
		ok, err := tx.CompareAndSwap(ctx, "position", nil, nil)
		require.NoError(t, err)
		require.True(t, ok)
		mayIdle(t, ctx, "1min") // the other one may take its time
		go func() {
			ok, err := s.CompareAndSwap(t.Context(), "position", nil, []byte("1"))
			done <- ok && err == nil
		}()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			assert.Equal(c, 1, number(t, conn, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"))
		}, patience, 5*time.Millisecond)
		assert.Empty(t, done)
		return nil
	})
	require.NoError(t, err)
	assert.True(t, <-done)
}

func TestADeadlockIsReturnedAndNotTriedAgain(t *testing.T) {
	t.Parallel()
	s, conn := effects(t)
	var wg sync.WaitGroup
	var begun sync.WaitGroup
	begun.Add(2)
	errs, ran := make([]error, 2), make([]int, 2)
	for i := range 2 {
		wg.Go(func() {
			errs[i] = s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
				ran[i]++
				if err := tx.Set(ctx, fmt.Sprint("key ", i), nil); err != nil {
					return err
				}
				begun.Done()
				begun.Wait()
				if err := insert(ctx, i); err != nil {
					return err
				}
				return tx.Set(ctx, fmt.Sprint("key ", 1-i), nil)
			})
		})
	}
	wg.Wait()
	assert.Equal(t, []int{1, 1}, ran)
	assert.Equal(t, 1, number(t, conn, "SELECT count(*) FROM effects"))
	answer, ok := errors.AsType[*pgconn.PgError](errors.Join(errs...))
	require.True(t, ok)
	assert.Equal(t, "40P01", answer.Code)
}

func TestATransactionThatIsLeftIdleLosesItsLocks(t *testing.T) {
	t.Parallel()
	s, conn := effects(t, pgstore.IdleTimeout(8*time.Second))
	err := s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
		require.NoError(t, insert(ctx, 1))
		require.Equal(t, "8s", mayIdle(t, ctx, ""))
		require.NoError(t, advance(ctx, tx, nil, []byte("1")))
		require.Equal(t, "8s", mayIdle(t, ctx, ""), "a swap makes it no longer")
		mayIdle(t, ctx, "100ms") // now that nothing else has to be faster
		// As if the process was suspended: another one can go on.
		assert.NoError(t, s.Set(t.Context(), "position", []byte("another's")))
		return nil
	})
	require.ErrorContains(t, err, "IdleTimeout")
	require.NotErrorIs(t, err, pgstore.ErrUncertain)
	v, err := s.Get(t.Context(), "position")
	require.NoError(t, err)
	assert.Equal(t, "another's", string(v))
	assert.Zero(t, number(t, conn, "SELECT count(*) FROM effects"))
}

// A commit that the server refuses is a failure of which the outcome is known.
func TestACommitThatIsRefusedIsRolledBack(t *testing.T) {
	t.Parallel()
	s, conn := effects(t)
	_, err := conn.Exec(t.Context(), "ALTER TABLE effects ADD CONSTRAINT late UNIQUE (id) DEFERRABLE INITIALLY DEFERRED, DROP CONSTRAINT effects_pkey")
	require.NoError(t, err)
	err = s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
		require.NoError(t, insert(ctx, 1))
		require.NoError(t, insert(ctx, 1))
		return advance(ctx, tx, nil, []byte("1"))
	})
	require.ErrorIs(t, err, storage.ErrRolledBack)
	require.NotErrorIs(t, err, pgstore.ErrUncertain)
	wantStored(t, s, conn, false)
}
