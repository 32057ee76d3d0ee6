package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/sqlstore"
	"github.com/fliplet/fliplet-chat-go/storage/storagetest"
)

// sqliteError is an error as a driver returns it.
type sqliteError struct {
	code int
	text string
}

func (e sqliteError) Error() string { return fmt.Sprintf("%s (%d)", e.text, e.code) }
func (e sqliteError) Code() int     { return e.code }

// fault is what becomes of a call of the driver that fails.
type fault struct {
	name  string
	err   error
	done  bool // it was carried out, and its answer is lost
	undo  bool // SQLite has rolled the transaction back, as it may after an error
	gone  bool // the connection is of no use any more
	again int  // so many more calls fail
}

var (
	errIO   = sqliteError{10, "disk I/O error"}
	errBusy = sqliteError{5, "database is locked"}
	errFull = sqliteError{13, "database or disk is full"}
)

// faults are those that a driver may have. One of them says [driver.ErrBadConn] only for what
// it has not done: database/sql does that again.
var faults = []fault{
	{name: "fails", err: errIO},
	{name: "is done and fails", err: errIO, done: true},
	{name: "fails, and the next one, too", err: errIO, again: 1},
	{name: "is done and fails, and the next one fails, too", err: errIO, done: true, again: 1},
	{name: "fails, and the transaction is rolled back", err: errFull, undo: true},
	{name: "fails, and the connection is gone", err: driver.ErrBadConn, gone: true},
	{name: "is done and fails, and the connection is gone", err: errIO, done: true, gone: true},
	{name: "meets a lock", err: errBusy},
}

// failing opens connections through the driver of SQLite, of which one call fails.
type failing struct {
	driver driver.Driver
	dsn    string
	fault  fault

	mu    sync.Mutex
	left  int // calls before that; negative for none that fails
	again int
	hit   bool
}

// newFailing returns it with a database that has a Store's file, which sound has open, too.
func newFailing(t *testing.T, f fault) (*failing, *sql.DB, *sqlstore.Store) {
	t.Helper()
	path := fileOf(t)
	sound := open(t, path, sqlstore.Patience(3*time.Second))
	// No fault of these loses what was written, so nothing has to wait for the disk.
	x := &failing{
		driver: sound.DB().Driver(), fault: f, left: -1,
		dsn: "file://" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(1000)&_pragma=synchronous(off)",
	}
	db := sql.OpenDB(x)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return x, db, sound
}

// cut lets a call fail after so many.
func (x *failing) cut(after int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.left, x.again, x.hit = after, 0, false
}

// wasHit reports whether one has failed since.
func (x *failing) wasHit() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.hit
}

// now reports whether this call fails.
func (x *failing) now() (fails, again bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.again > 0:
		x.again--
		return true, true
	case x.left < 0:
		return false, false
	case x.left > 0:
		x.left--
		return false, false
	}
	x.left, x.again, x.hit = -1, x.fault.again, true
	return true, false
}

func (x *failing) Driver() driver.Driver { return x.driver }

func (x *failing) Connect(context.Context) (driver.Conn, error) {
	if fails, _ := x.now(); fails {
		return nil, x.fault.err
	}
	c, err := x.driver.Open(x.dsn)
	if err != nil {
		return nil, err
	}
	return &failingConn{of: x, sqliteConn: c.(sqliteConn)}, nil
}

// sqliteConn is what a connection of the driver can do.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
}

type failingConn struct {
	sqliteConn
	of   *failing
	gone atomic.Bool
}

// call makes a call of the driver.
func call[T any](c *failingConn, fn func() (T, error)) (value T, err error) {
	if c.gone.Load() {
		return value, driver.ErrBadConn
	}
	fails, again := c.of.now()
	if !fails {
		return fn()
	}
	f := c.of.fault
	if f.done && !again {
		if done, err := fn(); err == nil {
			if rows, ok := any(done).(driver.Rows); ok {
				rows.Close()
			}
		}
	}
	if f.undo {
		_, _ = c.sqliteConn.ExecContext(context.Background(), "ROLLBACK", nil)
	}
	c.gone.Store(f.gone)
	return value, f.err
}

func (c *failingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := call(c, func() (driver.Tx, error) { return c.sqliteConn.BeginTx(ctx, opts) })
	if err != nil {
		return nil, err
	}
	return failingTx{tx, c}, nil
}

func (c *failingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return call(c, func() (driver.Result, error) { return c.sqliteConn.ExecContext(ctx, query, args) })
}

func (c *failingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := call(c, func() (driver.Rows, error) { return c.sqliteConn.QueryContext(ctx, query, args) })
	if err != nil {
		return nil, err
	}
	return &failingRows{Rows: rows, of: c}, nil
}

func (c *failingConn) ResetSession(ctx context.Context) error {
	if c.gone.Load() {
		return driver.ErrBadConn
	}
	return c.sqliteConn.ResetSession(ctx)
}

func (c *failingConn) IsValid() bool { return !c.gone.Load() }

type failingTx struct {
	driver.Tx
	of *failingConn
}

func (x failingTx) Commit() error {
	_, err := call(x.of, func() (struct{}, error) { return struct{}{}, x.Tx.Commit() })
	return err
}

func (x failingTx) Rollback() error {
	_, err := call(x.of, func() (struct{}, error) { return struct{}{}, x.Tx.Rollback() })
	return err
}

// failingRows may fail at the first row, at every 50th, and at the end.
type failingRows struct {
	driver.Rows
	of *failingConn
	n  int
}

func (r *failingRows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if n := r.n; n%50 == 0 || errors.Is(err, io.EOF) {
		if _, cut := call(r.of, func() (struct{}, error) { return struct{}{}, nil }); cut != nil {
			return cut
		}
	}
	r.n++
	return err
}

func TestStoreUnderFaultsOfTheDriver(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run("a call that "+f.name, func(t *testing.T) {
			t.Parallel()
			storagetest.RunFaults(t, func(t *testing.T) storagetest.Faulty {
				x, db, sound := newFailing(t, f)
				s, err := sqlstore.New(t.Context(), db, sqlstore.Patience(3*time.Second))
				require.NoError(t, err)
				return storagetest.Faulty{Store: s, Sound: sound, Cut: x.cut, Hit: x.wasHit}
			})
		})
	}
}

// An effect and a position are stored together or not at all, whichever call of the driver
// fails. Only what is certainly not stored is called rolled back, and nothing stays locked.
func TestATransactionOfWhichAnyCallFailsIsDoneOrNot(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run("a call that "+f.name, func(t *testing.T) {
			t.Parallel()
			x, db, sound := newFailing(t, f)
			s, err := sqlstore.New(t.Context(), db, sqlstore.Patience(3*time.Second))
			require.NoError(t, err)
			_, err = sound.DB().Exec(`CREATE TABLE effects (id INTEGER PRIMARY KEY)`)
			require.NoError(t, err)
			archive := func(id int) error {
				return s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
					own, err := sqlstore.Tx(ctx)
					if err != nil {
						return err
					}
					if _, err := own.ExecContext(ctx, `INSERT INTO effects VALUES (?)`, id); err != nil {
						return err
					}
					return tx.Set(ctx, fmt.Sprint("position ", id), nil)
				})
			}
			stored := func(id int) bool {
				var rows int
				require.NoError(t, sound.DB().QueryRow(`SELECT count(*) FROM effects WHERE id = ?`, id).Scan(&rows))
				_, err := sound.Get(t.Context(), fmt.Sprint("position ", id))
				require.Equal(t, rows == 1, err == nil, "the effect and the position: %v", err)
				return rows == 1
			}
			lost := 0
			for step := 0; ; step++ {
				require.Less(t, step, 100)
				x.cut(step)
				err := archive(step)
				hit := x.wasHit()
				x.cut(-1)
				switch done := stored(step); {
				case err == nil:
					require.True(t, done, "call %d", step)
				case errors.Is(err, storage.ErrRolledBack):
					require.False(t, done, "call %d: %v", step, err)
				case done:
					lost++
				}
				require.NoError(t, s.Set(t.Context(), "another", nil), "after a fault of call %d, which was %v", step, err)
				_, unseen := sound.Get(t.Context(), "another")
				require.NoError(t, unseen, "what is written after a fault of call %d, which was %v", step, err)
				require.NoError(t, sound.Delete(t.Context(), "another"))
				require.NoError(t, archive(1000+step), "after a fault of call %d, which was %v", step, err)
				require.True(t, stored(1000+step))
				if !hit {
					require.NoError(t, err)
					require.Greater(t, step, 4)
					break
				}
			}
			if f.done {
				assert.Equal(t, 1, lost, "the answer to COMMIT")
			} else {
				assert.Zero(t, lost)
			}
		})
	}
}

// Whichever call of it fails, making the tables leaves nothing behind that is locked or half
// made, also where the database goes on to be used.
func TestMakingTheTablesFailsAnywhereAndIsDoneAgain(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run("a call that "+f.name, func(t *testing.T) {
			t.Parallel()
			for step := 0; ; step++ {
				require.Less(t, step, 100)
				x, db, sound := newFailing(t, f)
				_, err := sound.DB().Exec(`DROP TABLE fliplet_chat_values; DROP TABLE fliplet_chat_schema`)
				require.NoError(t, err)
				x.cut(step)
				_, err = sqlstore.New(t.Context(), db, sqlstore.Patience(3*time.Second))
				hit := x.wasHit()
				x.cut(-1)
				for range 3 { // each of the connections that are kept
					s, err := sqlstore.New(t.Context(), db, sqlstore.Patience(3*time.Second))
					require.NoError(t, err, "after a fault of call %d", step)
					require.NoError(t, s.Set(t.Context(), "key", []byte("1")), "after a fault of call %d", step)
					v, err := sound.Get(t.Context(), "key")
					require.NoError(t, err, "after a fault of call %d", step)
					require.Equal(t, "1", string(v))
					require.NoError(t, sound.Delete(t.Context(), "key"))
				}
				if !hit {
					require.NoError(t, err)
					require.Greater(t, step, 8)
					break
				}
			}
		})
	}
}

// Whether a transaction still lasts is a question to the driver. When that fails, too, the
// answer is no: the row is gone, and the position must not be stored without it.
func TestNothingIsStoredWhenTheLookAtATransactionFails(t *testing.T) {
	t.Parallel()
	x, db, sound := newFailing(t, fault{err: errFull, undo: true})
	s, err := sqlstore.New(t.Context(), db)
	require.NoError(t, err)
	err = s.Update(t.Context(), func(ctx context.Context, tx storage.Store) error {
		own, err := sqlstore.Tx(ctx)
		require.NoError(t, err)
		x.cut(0)
		_, err = own.ExecContext(ctx, `CREATE TABLE effects (id INTEGER PRIMARY KEY)`)
		require.ErrorIs(t, err, errFull)
		x.fault = fault{err: errIO, done: true}
		x.cut(0)
		require.ErrorIs(t, tx.Set(ctx, "first", nil), errIO)
		assert.ErrorIs(t, tx.Set(ctx, "position", nil), sqlstore.ErrEnded)
		return nil
	})
	require.ErrorIs(t, err, sqlstore.ErrEnded)
	_, err = sound.Get(t.Context(), "position")
	require.ErrorIs(t, err, storage.ErrNotFound)
}
