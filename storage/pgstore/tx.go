package pgstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fliplet/fliplet-chat-go/storage"
)

const (
	// idle is how long a function may leave its transaction idle, see [IdleTimeout].
	idle = time.Minute
	// idleAfterSwap is the same once a swap holds the lock that others wait for. It is
	// shorter than the leases of consumers last.
	idleAfterSwap = 10 * time.Second
	// rollbackWithin is how long the end of a transaction may take.
	rollbackWithin = 5 * time.Second
)

var readCommitted = pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}

// transactions are the options of transactions that end when they are idle for too long.
func transactions(idle time.Duration) pgx.TxOptions {
	return pgx.TxOptions{BeginQuery: fmt.Sprintf("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL idle_in_transaction_session_timeout = %d", idle.Milliseconds())}
}

// IdleTimeout is how long the function of [Store.Update] may do something else in the middle
// of its transaction. Then the server rolls it back, so that a process that is suspended, or
// whose machine is gone, does not keep its locks. Default 1 min; from 1 s to 1 h. After a
// swap it is 10 s at most.
func IdleTimeout(d time.Duration) Option { return func(c *config) { c.idle = d } }

type txKey struct{}

// Tx returns the transaction of the [Store.Update] that ctx comes from, for what a handler
// writes by itself. ok is false outside of one.
//
// The transaction ends with the function of Update, so Commit and Rollback return
// [ErrEnded] and do nothing. Do not execute COMMIT or ROLLBACK, either: what was written until
// a COMMIT is stored then, without the position of a consumer. A statement that fails makes it useless ([ErrAborted]); what
// may fail goes into a savepoint, which Begin makes. One goroutine at a time may use it.
func Tx(ctx context.Context) (tx pgx.Tx, ok bool) {
	tx, ok = ctx.Value(txKey{}).(pgx.Tx)
	return tx, ok
}

// handlerTx is a transaction that its function cannot end, but by a statement of SQL.
type handlerTx struct {
	pgx.Tx
	of *txStore
}

func (handlerTx) Commit(context.Context) error   { return ErrEnded }
func (handlerTx) Rollback(context.Context) error { return ErrEnded }

// Exec also closes a transaction that a statement has ended. What comes after that would be
// committed by itself: the row of the next message of a batch, say, without its position.
func (h handlerTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	tag, err := h.Tx.Exec(ctx, sql, args...)
	if h.of.closeEnded(ctx, err) {
		err = ErrEnded
	}
	return tag, err
}

// Update runs fn in one transaction, see [storage.Transactional]. [Tx] returns the
// transaction from the context that fn gets. It takes a connection of the pool until it
// returns.
//
// Errors: that of fn, as it is; [ErrAborted], [ErrEnded] and [ErrBusy] for a function that
// returned nil although its transaction cannot be committed; those of the server, among
// them deadlocks and serialization failures, which are not tried again. After all of these
// nothing was stored, but for what the function has committed itself (ErrEnded); those of COMMIT
// match [storage.ErrRolledBack]. After [ErrUncertain] it may be stored or not; it also matches the
// context's cause if ctx ended in the middle of COMMIT.
func (s *Store) Update(ctx context.Context, fn func(ctx context.Context, tx storage.Store) error) error {
	if fn == nil {
		return errors.New("pgstore: fn is nil; give a function")
	}
	if err := s.begin(ctx, "any"); err != nil {
		return err
	}
	tx, err := s.beginTx(ctx)
	if err != nil {
		return s.failed(ctx, "begin", err)
	}
	within := &txStore{store: s, tx: tx, turn: make(chan struct{}, 1)}
	committing := false
	defer func() { // also when fn panics
		within.end()
		if !committing {
			tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackWithin)
			defer cancel()
			_ = tx.Rollback(tidy) // a connection on which that fails is closed
		}
	}()
	inside, cancel := context.WithCancel(context.WithValue(ctx, txKey{}, pgx.Tx(handlerTx{tx, within})))
	defer cancel()
	if err := fn(inside, within); err != nil {
		return err
	}
	cancel()
	within.end()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := within.usable(); err != nil {
		return err
	}
	committing = true
	return s.committed(ctx, tx.Commit(ctx))
}

// beginTx begins a transaction, over another connection when one was dead already.
func (s *Store) beginTx(ctx context.Context) (tx pgx.Tx, err error) {
	for range attempts {
		if tx, err = s.pool.BeginTx(ctx, s.transactions); err == nil {
			return tx, nil
		}
		// Nothing was done yet, so it is no matter how far it came.
		if _, away := errors.AsType[*pgconn.ConnectError](err); away || code(err) != "" || ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// committed says what an answer to COMMIT means.
func (s *Store) committed(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case !uncertain(err):
		return fmt.Errorf("%w: %w", storage.ErrRolledBack, s.failed(ctx, "commit", err))
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrUncertain, context.Cause(ctx))
	}
	return fmt.Errorf("%w: %w", ErrUncertain, err)
}

// closeEnded closes a transaction that the function has ended by a statement, and reports
// whether it has.
func (t *txStore) closeEnded(ctx context.Context, err error) bool {
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	if t.over || t.ended {
		return errors.Is(err, pgx.ErrTxClosed)
	}
	conn := t.tx.Conn().PgConn()
	if errors.Is(err, pgx.ErrTxClosed) || conn.IsClosed() || conn.IsBusy() || conn.TxStatus() != 'I' {
		return false
	}
	t.ended = true
	_ = t.tx.Rollback(ctx) // from now on everything else that it has fails, too
	return true
}

// usable says why a transaction takes no more statements, if it does not.
func (t *txStore) usable() error {
	if t.ended { // the connection may be somebody else's
		return ErrEnded
	}
	conn := t.tx.Conn().PgConn()
	if conn.IsClosed() {
		return errLost
	}
	if conn.IsBusy() {
		return ErrBusy
	}
	switch conn.TxStatus() {
	case 'I':
		return ErrEnded
	case 'E':
		return ErrAborted
	}
	return nil
}

// txStore is a Store inside a transaction.
type txStore struct {
	store *Store
	tx    pgx.Tx
	turn  chan struct{} // holds a value while a statement runs
	over  bool          // the function has returned; whoever has the turn reads it
	ended bool          // the function has ended the transaction by itself; as over
}

// end refuses what comes after the function.
func (t *txStore) end() {
	t.turn <- struct{}{}
	t.over = true
	<-t.turn
}

// call runs a statement, when it is its turn.
func (t *txStore) call(ctx context.Context, name, key string, statement func() error) error {
	if err := t.store.begin(ctx, key); err != nil {
		return err
	}
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-t.turn }()
	if t.over {
		return ErrEnded
	}
	if err := t.usable(); err != nil {
		return err
	}
	err := statement()
	if errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return t.store.failed(ctx, name, err)
}

// List yields keys in the transaction; the loop body may use it.
func (t *txStore) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return list(ctx, prefix, func(from, to []byte) (keys [][]byte, err error) {
		err = t.call(ctx, "list", "any", func() error {
			keys, err = t.store.keys(ctx, t.tx, from, to)
			return err
		})
		return keys, err
	})
}

func (t *txStore) Get(ctx context.Context, key string) (value []byte, err error) {
	err = t.call(ctx, "get", key, func() error {
		value, err = t.store.get(ctx, t.tx, key)
		return err
	})
	return value, err
}

func (t *txStore) Set(ctx context.Context, key string, value []byte) error {
	return t.call(ctx, "set", key, func() error { return t.store.set(ctx, t.tx, key, value) })
}

func (t *txStore) Delete(ctx context.Context, key string) error {
	return t.call(ctx, "delete", key, func() error { return t.store.remove(ctx, t.tx, key) })
}

// CompareAndSwap locks the row, or the place of a key that has none, until the end of the
// transaction.
func (t *txStore) CompareAndSwap(ctx context.Context, key string, old, new []byte) (swapped bool, err error) {
	err = t.call(ctx, "compare and swap", key, func() error {
		if old != nil || new != nil {
			swapped, err = t.store.swap(ctx, t.tx, t.store.sql.fences, key, old, new)
			return err
		}
		// Nothing that is there cannot be locked, but something that was just made can.
		if swapped, err = t.store.swap(ctx, t.tx, t.store.sql.fences, key, nil, []byte{}); err != nil || !swapped {
			return err
		}
		return t.store.remove(ctx, t.tx, key)
	})
	return swapped && err == nil, err
}
