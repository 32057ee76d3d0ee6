package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	// ErrClosed: the Store was closed.
	ErrClosed = errors.New("sqlstore: closed")
	// ErrInTransaction: a call of the Store that writes has the context of a transaction, for
	// which it would have to wait.
	ErrInTransaction = errors.New("sqlstore: the transaction of this context has begun, and nothing else can write; do it before the first call of Tx, or through the transaction")
	// ErrNoTransaction: the context is not that of a transaction, or the transaction is over.
	ErrNoTransaction = errors.New("sqlstore: no transaction in this context; give the one that the function of Consume or Update got")
)

// Option changes how [Open] and [New] work.
type Option func(*config)

type config struct{ patience time.Duration }

// Patience is how long a call waits for another transaction that writes, in whatever
// process, if its context does not end sooner. Default 1 min. It must be positive.
func Patience(d time.Duration) Option { return func(c *config) { c.patience = d } }

// Open opens the file at path, and makes it if there is none. The folder must exist. It
// uses the driver of database/sql that the program has imported under the name "sqlite", as
// modernc.org/sqlite has, or "sqlite3".
//
// Errors: [ErrVersion]; [ErrCorrupt]; [ErrReadOnly]; [ErrBusy]; no driver; the context's;
// those of the file system.
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
	f, err := os.OpenFile(full, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the caller names it
	switch {
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%w: %w", ErrReadOnly, err)
	case err != nil:
		return nil, fmt.Errorf("sqlstore: open %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("sqlstore: open %s: %w", path, err)
	}
	db, err := sql.Open(driver, "file:"+(&url.URL{Path: filepath.ToSlash(full)}).EscapedPath())
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open %s: %w", path, err)
	}
	s, err := New(ctx, db, opts...)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.owned = true
	return s, nil
}

// New keeps a Store in a database of SQLite that the caller has opened, and closes. It
// needs two connections at a time, or more, and a file. It puts the file into WAL mode.
//
// Errors: as [Open].
func New(ctx context.Context, db *sql.DB, opts ...Option) (*Store, error) {
	cfg := config{patience: time.Minute}
	for _, o := range opts {
		o(&cfg)
	}
	switch {
	case db == nil:
		return nil, errors.New("sqlstore: db is nil; give a database of SQLite")
	case cfg.patience <= 0:
		return nil, fmt.Errorf("sqlstore: Patience is %v; give a positive one", cfg.patience)
	case db.Stats().MaxOpenConnections == 1:
		return nil, errors.New("sqlstore: the database has one connection, and reads would wait for transactions; SetMaxOpenConns to 2 or more")
	}
	s := &Store{db: db, patience: cfg.patience, writer: make(chan struct{}, 1)}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("sqlstore: open: %w", err)
	}
	return s, nil
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
	return s.db.Close()
}

// DB is the database, for the caller's own tables.
func (s *Store) DB() *sql.DB { return s.db }

// String names the file.
func (s *Store) String() string { return "sqlstore " + s.path }
