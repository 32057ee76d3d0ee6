package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// txn is a transaction of Update. It begins when it is used first.
type txn struct {
	of  *Store
	ctx context.Context // that of Update's function

	mu      sync.Mutex
	over    bool
	ended   bool // before its function
	tx      *sql.Tx
	conn    *sql.Conn
	release func() // the lock of writers
}

var (
	_ storage.Store  = (*txn)(nil)
	_ storage.Lister = (*txn)(nil)
)

type txnKey struct{}

// within is the transaction of a context, nil without one.
func within(ctx context.Context) *txn {
	x, _ := ctx.Value(txnKey{}).(*txn)
	return x
}

// Tx is the transaction that a function of [Chat.Consume], or of [Store.Update], runs in.
// What is written through it is committed together with the position, or not at all. The
// first call waits for other transactions that write, and from then on they wait for this
// one. Do not commit it or roll it back, and do not use it when the function has returned.
//
// SQLite rolls a transaction back by itself when a statement that writes is interrupted by the
// end of its context, when the disk is full, and for a conflict with OR ROLLBACK. Return the
// error of that statement: what comes after it is in no transaction.
//
// Errors: [ErrNoTransaction]; [ErrEnded]; [ErrBusy]; [ErrMoved]; [ErrReadOnly]; the context's.
//
// [Chat.Consume]: https://pkg.go.dev/github.com/fliplet/fliplet-chat-go#Chat.Consume
func Tx(ctx context.Context) (*sql.Tx, error) {
	x := within(ctx)
	if x == nil {
		return nil, ErrNoTransaction
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.begin(ctx)
}

// Update calls fn with a transaction; see [storage.Transactional]. The transaction begins
// when fn uses it, or calls [Tx] with its context; one that is not used costs nothing.
//
// Errors: that of fn; [ErrInTransaction], if ctx is that of a transaction; [ErrEnded]; as Set.
// One that matches [storage.ErrRolledBack] says that the commit was refused, as by a foreign
// key that is DEFERRED.
func (s *Store) Update(ctx context.Context, fn func(ctx context.Context, tx storage.Store) error) error {
	if fn == nil {
		return errors.New("sqlstore: fn is nil; give a function")
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if x := within(ctx); x != nil && x.of == s {
		return ErrInTransaction
	}
	if s.closed.Load() {
		return ErrClosed
	}
	inside, cancel := context.WithCancel(ctx)
	defer cancel()
	x := &txn{of: s, ctx: inside}
	done := false
	defer func() {
		if !done { // fn has failed or panics
			x.end(func(tx *sql.Tx) error { return tx.Rollback() }) //nolint:errcheck // the connection is closed then
		}
	}()
	if err := fn(context.WithValue(inside, txnKey{}, x), x); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	done = true
	return s.explain(ctx, x.end(func(tx *sql.Tx) error {
		err := x.lasts()
		if err == nil {
			err = s.stays()
		}
		if err != nil {
			_ = tx.Rollback() // it is over, or the connection is closed
			return err
		}
		if err = tx.Commit(); refused(err) { // end closes the connection, which undoes it
			err = fmt.Errorf("%w: %w", storage.ErrRolledBack, err)
		}
		return err
	}))
}

// begin begins the transaction, and takes the lock of writers, unless that is done. mu is
// held.
func (x *txn) begin(ctx context.Context) (*sql.Tx, error) {
	switch {
	case x.over:
		return nil, ErrNoTransaction
	case x.tx != nil:
		return x.tx, x.lasts()
	}
	release, err := x.of.lock(ctx)
	if err != nil {
		return nil, err
	}
	var conn *sql.Conn
	var tx *sql.Tx
	err = x.of.patiently(ctx, func() (err error) { conn, tx, err = immediate(ctx, x.ctx, x.of.db); return err })
	if err != nil {
		release()
		return nil, err
	}
	x.tx, x.conn, x.release = tx, conn, release
	return tx, nil
}

// lasts reports a transaction that is over before its function. SQLite rolls one back by itself
// when a statement that writes is interrupted, when the disk is full, and when a conflict is
// told to. What comes after that is committed statement by statement, and so would the
// position of a message be whose row is gone. mu is held.
func (x *txn) lasts() error {
	if x.ended {
		return ErrEnded
	}
	// No driver tells, but BEGIN does: it fails inside a transaction, and changes nothing.
	ctx := context.WithoutCancel(x.ctx)
	_, err := x.tx.ExecContext(ctx, `BEGIN`)
	switch {
	case err == nil:
		_, err = x.tx.ExecContext(ctx, `ROLLBACK`)
	case errors.Is(err, sql.ErrTxDone):
	case strings.Contains(err.Error(), "within a transaction"):
		return nil
	default: // it may have begun another one, for which the next look would take this one
		x.ended = true
		return x.of.explain(ctx, err)
	}
	x.ended = true
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEnded, err)
	}
	return ErrEnded
}

// immediate begins a transaction that lasts as long as life, and has the lock of writers.
// Its first statement is a write: one that reads first has to fail when somebody else has
// written meanwhile. That is so with every driver, whatever BEGIN it uses.
func immediate(ctx, life context.Context, db *sql.DB) (*sql.Conn, *sql.Tx, error) {
	return transaction(ctx, life, db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE fliplet_chat_schema SET version = version WHERE version < 0`)
		return err
	})
}

// transaction begins a transaction that lasts as long as life, on a connection of its own, with
// what first does.
func transaction(ctx, life context.Context, db *sql.DB, first func(tx *sql.Tx) error) (*sql.Conn, *sql.Tx, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	tx, err := conn.BeginTx(life, nil)
	if err == nil {
		if err = first(tx); err == nil {
			return conn, tx, nil
		}
		if tx.Rollback() == nil {
			conn.Close()
			return nil, nil, err
		}
	}
	discard(conn)
	return nil, nil, err
}

// discard closes a connection that may be in a transaction, which undoes that. Whoever got such
// a connection from the pool would write to a transaction that nobody commits.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	conn.Close()
}

// end ends the transaction. A connection on which that fails is closed, which undoes it.
func (x *txn) end(how func(*sql.Tx) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	if x.tx == nil {
		return nil
	}
	defer x.release()
	err := how(x.tx)
	if err != nil {
		discard(x.conn)
		return err
	}
	x.conn.Close()
	return nil
}

// begun reports whether it has the lock of writers.
func (x *txn) begun() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.tx != nil && !x.over
}

// use calls fn with the transaction.
func (x *txn) use(ctx context.Context, key string, fn func(tx *sql.Tx) error) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	tx, err := x.begin(ctx)
	if err != nil {
		return err
	}
	return x.of.explain(ctx, fn(tx))
}

func (x *txn) Get(ctx context.Context, key string) (value []byte, err error) {
	err = x.use(ctx, key, func(tx *sql.Tx) (err error) { value, err = get(ctx, tx, key); return err })
	return value, err
}

func (x *txn) Set(ctx context.Context, key string, value []byte) error {
	return x.use(ctx, key, func(tx *sql.Tx) error { return set(ctx, tx, key, value) })
}

func (x *txn) Delete(ctx context.Context, key string) error {
	return x.use(ctx, key, func(tx *sql.Tx) error { return remove(ctx, tx, key) })
}

func (x *txn) CompareAndSwap(ctx context.Context, key string, old, new []byte) (swapped bool, err error) {
	err = x.use(ctx, key, func(tx *sql.Tx) (err error) { swapped, err = swap(ctx, tx, key, old, new); return err })
	return swapped && err == nil, err
}

func (x *txn) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return list(ctx, func(from string) (keys []string, err error) {
		err = x.use(ctx, "list", func(tx *sql.Tx) (err error) { keys, err = page(ctx, tx, prefix, from); return err })
		return keys, err
	})
}

// locked runs fn in a transaction that has the lock of writers, before there are tables.
func (s *Store) locked(ctx context.Context, fn func(tx *sql.Tx) error) error {
	release, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	return s.patiently(ctx, func() error {
		conn, tx, err := transaction(ctx, ctx, s.db, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS fliplet_chat_schema (version INTEGER NOT NULL)`)
			if err == nil {
				_, err = tx.ExecContext(ctx, `INSERT INTO fliplet_chat_schema SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM fliplet_chat_schema)`)
			}
			if err == nil {
				err = fn(tx)
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			discard(conn)
			return err
		}
		return conn.Close()
	})
}
