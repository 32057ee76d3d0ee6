package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// What an error means, for errors.Is.
var (
	// ErrVersion: the Store's tables were made by a program of another version.
	ErrVersion = errors.New("sqlstore: the tables are of another version")
	// ErrCorrupt: the file is not a SQLite database, or is damaged.
	ErrCorrupt = errors.New("sqlstore: the file is damaged, or no SQLite database")
	// ErrReadOnly: the file cannot be written.
	ErrReadOnly = errors.New("sqlstore: the file cannot be written")
	// ErrMoved: the file was removed or replaced after it was opened. What is written to it
	// now would be lost.
	ErrMoved = errors.New("sqlstore: the file was removed or replaced while it was open")
	// ErrBusy: somebody else has had the lock of writers for longer than the [Patience].
	ErrBusy = errors.New("sqlstore: another transaction keeps the file locked")
	// ErrLocked: another Store, of this process or another one, has the file open [Alone].
	ErrLocked = errors.New("sqlstore: the file is in use")
	// ErrClosed: the Store was closed.
	ErrClosed = errors.New("sqlstore: closed")
	// ErrInTransaction: a call of the Store that writes has the context of a transaction, for
	// which it would have to wait.
	ErrInTransaction = errors.New("sqlstore: the transaction of this context has begun, and nothing else can write; do it before the first call of Tx, or through the transaction")
	// ErrNoTransaction: the context is not that of a transaction, or the transaction is over.
	ErrNoTransaction = errors.New("sqlstore: no transaction in this context; give the one that the function of Consume or Update got")
	// ErrEnded: the transaction was over before its function, which has committed it or rolled
	// it back, or went on after an error for which SQLite does that by itself; see [Tx].
	ErrEnded = errors.New("sqlstore: the transaction was over before its function; return the error of the statement that failed, and neither commit it nor roll it back")
)

// Option changes how [Open] and [New] work.
type Option func(*config)

type config struct {
	patience time.Duration
	alone    bool
}

// Patience is how long a call waits for another transaction that writes, in whatever
// process, if its context does not end sooner. Default 1 min. It must be positive.
func Patience(d time.Duration) Option { return func(c *config) { c.patience = d } }

// Alone makes [Open] keep other processes from opening the file with Alone, by a lock of the
// operating system on a file beside it, whose name ends in ".lock", also where symbolic links
// lead to it. Then the claims of a killed process are taken over at once, rather than when they
// have expired: see [storage.Exclusive]. Every process that keeps chats in the file has to give
// it. It is for Open only, and an error that matches [errors.ErrUnsupported] where the system has
// no such lock.
func Alone() Option { return func(c *config) { c.alone = true } }

// Open opens the file at path, and makes it if there is none. The folder must exist. It
// uses the driver of database/sql that the program has imported under the name "sqlite", as
// modernc.org/sqlite has, or "sqlite3".
//
// Errors: [ErrVersion]; [ErrCorrupt]; [ErrReadOnly]; [ErrBusy]; [ErrLocked]; no driver; the
// context's; those of the file system.
func Open(ctx context.Context, path string, opts ...Option) (*Store, error) {
	if path == "" || path == ":memory:" || strings.HasPrefix(path, "file:") {
		return nil, fmt.Errorf("sqlstore: path is %q; give the plain name of a file, or a database of your own to New", path)
	}
	driver := ""
	for _, name := range []string{"sqlite", "sqlite3"} {
		if driver == "" && slices.Contains(sql.Drivers(), name) {
			driver = name
		}
	}
	if driver == "" {
		return nil, errors.New(`sqlstore: no driver for SQLite; import _ "modernc.org/sqlite", or another one`)
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open %s: %w", path, err)
	}
	cfg := configure(opts)
	if cfg.patience <= 0 {
		return nil, fmt.Errorf("sqlstore: Patience is %v; give a positive one", cfg.patience)
	}
	var only *os.File
	if cfg.alone {
		if only, err = lockFile(named(full) + ".lock"); err != nil {
			return nil, err
		}
	}
	s, err := openFile(ctx, driver, full, cfg)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlstore: open %s: %w", path, err), unlock(only))
	}
	s.owned, s.only = true, only
	return s, nil
}

// making guards the making of files.
var making sync.Mutex

// openFile opens a file, which is made if there is none. One that is there is left to SQLite:
// whoever else closes it gives up the locks that SQLite holds in this process.
func openFile(ctx context.Context, driver, path string, cfg config) (*Store, error) {
	making.Lock()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the caller names it
	if err == nil {
		err = f.Close()
	}
	making.Unlock()
	if err != nil && !errors.Is(err, os.ErrExist) {
		return nil, notWritten(err)
	}
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	name := filepath.ToSlash(path)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name // a drive
	}
	// What a driver does not know it leaves alone. This is for the caller's own statements.
	db, err := sql.Open(driver, "file://"+(&url.URL{Path: name}).EscapedPath()+"?_pragma=busy_timeout(1000)&_busy_timeout=1000")
	if err != nil {
		return nil, err
	}
	s := newStore(db, cfg)
	if err := s.open(ctx); err != nil {
		if code(err) == codeCantOpen {
			err = cmp.Or(besides(path), err)
		}
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// notWritten adds what an error of the file system means.
func notWritten(err error) error {
	if errors.Is(err, os.ErrPermission) || readOnly(err) {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return err
}

// besides says why no file can be made in the folder of a database, where SQLite needs two of
// its own; nil if one can. It opens none of those: closing them would give up SQLite's locks.
func besides(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-probe-*")
	if err != nil {
		return notWritten(err)
	}
	_, _ = f.Close(), os.Remove(f.Name())
	return nil
}

// named is the file that a path names, whatever links lead there: SQLite puts its own files beside
// that, too.
func named(path string) string {
	if file, err := filepath.EvalSymlinks(path); err == nil {
		return file
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil { // it is to be made
		return filepath.Join(folder, filepath.Base(path))
	}
	return path
}

// lockFile locks a file of its own for this Store, until it is closed.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // beside what the caller names
	if err != nil {
		return nil, fmt.Errorf("sqlstore: Alone: %w", notWritten(err))
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// unlock gives up a lock; nil is none.
func unlock(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// New keeps a Store in a database of SQLite that the caller has opened, and closes. It
// needs two connections at a time, or more, and a file. It puts the file into WAL mode.
//
// Errors: as [Open].
func New(ctx context.Context, db *sql.DB, opts ...Option) (*Store, error) {
	cfg := configure(opts)
	switch {
	case db == nil:
		return nil, errors.New("sqlstore: db is nil; give a database of SQLite")
	case cfg.patience <= 0:
		return nil, fmt.Errorf("sqlstore: Patience is %v; give a positive one", cfg.patience)
	case cfg.alone:
		return nil, errors.New("sqlstore: Alone is for Open")
	case db.Stats().MaxOpenConnections == 1:
		return nil, errors.New("sqlstore: the database has one connection, and reads would wait for transactions; SetMaxOpenConns to 2 or more")
	}
	s := newStore(db, cfg)
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("sqlstore: open: %w", err)
	}
	return s, nil
}

func configure(opts []Option) config {
	cfg := config{patience: time.Minute}
	for _, o := range opts {
		if o != nil {
			o(&cfg)
		}
	}
	return cfg
}

func newStore(db *sql.DB, cfg config) *Store {
	return &Store{db: db, patience: cfg.patience, writer: make(chan struct{}, 1)}
}

// open prepares the database.
func (s *Store) open(ctx context.Context) error {
	var name, mode string
	var seq int
	if err := s.patiently(ctx, func() error { return s.db.QueryRowContext(ctx, `PRAGMA database_list`).Scan(&seq, &name, &s.path) }); err != nil {
		return err
	}
	if s.path == "" {
		return errors.New("the database is in memory; give one in a file, or use storage.NewMemory")
	}
	var err error
	if s.file, err = os.Stat(s.path); err != nil {
		return err
	}
	if err := s.patiently(ctx, func() error { return s.db.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode) }); err != nil {
		return err
	}
	if !strings.EqualFold(mode, "wal") {
		if err := s.patiently(ctx, func() error { return s.db.QueryRowContext(ctx, `PRAGMA journal_mode=WAL`).Scan(&mode) }); err != nil {
			return err
		}
	}
	if !strings.EqualFold(mode, "wal") {
		return fmt.Errorf("the file cannot be put into WAL mode, and stays in mode %q", mode)
	}
	return s.migrate(ctx)
}

// Close closes a Store of [Open], after the transactions under way. A database that was
// given to [New] stays open. Closing again does nothing.
func (s *Store) Close() error {
	s.writer <- struct{}{}
	defer func() { <-s.writer }()
	if s.closed.Swap(true) || !s.owned {
		return nil
	}
	return errors.Join(s.db.Close(), unlock(s.only))
}

// Exclusive reports whether the Store was opened [Alone]; see [storage.Exclusive].
func (s *Store) Exclusive() bool { return s.only != nil }

// DB is the database, for the caller's own tables.
func (s *Store) DB() *sql.DB { return s.db }

// String names the file.
func (s *Store) String() string { return "sqlstore " + s.path }
