package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/fliplet/fliplet-chat-go/storage/sqlstore"
	_ "modernc.org/sqlite" // registers the driver, which needs no C compiler
)

// Source says whose chats an archive has.
type Source struct {
	API        string `json:"api"`      // the base address
	Contacts   int64  `json:"contacts"` // the data source of the contacts
	PrimaryKey string `json:"primaryKey"`
	UserID     string `json:"userId"` // whose export it is
}

// names and values are how a Source is kept.
func (s Source) values() map[string]string {
	return map[string]string{"api": s.API, "contacts": strconv.FormatInt(s.Contacts, 10), "primaryKey": s.PrimaryKey, "userId": s.UserID}
}

// magic begins every file of SQLite.
const magic = "SQLite format 3\x00"

// check reports what is wrong with a path before anything is written there. A file that is
// not there, or is empty, is a new archive, if one may be made.
func check(path string, mayBeNew bool) error {
	if path == "" {
		return usagef(nil, "no file: give the path of the archive")
	}
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		if !mayBeNew {
			return usagef(err, "%s: there is no archive here; flchat export makes one", path)
		}
		folder, err := os.Stat(filepath.Dir(path))
		if err != nil || !folder.IsDir() {
			return usagef(err, "%s: the folder %s does not exist; make it, or give another place", path, filepath.Dir(path))
		}
		return nil
	}
	if err != nil {
		return explain(path, err)
	}
	if !info.Mode().IsRegular() {
		return usagef(nil, "%s is no file; give the path of an archive", path)
	}
	file, err := os.Open(path) //nolint:gosec // it is the file that was asked for
	if errors.Is(err, os.ErrPermission) {
		return usagef(err, "%s cannot be read: change the rights of the file, or ask whoever it belongs to", path)
	}
	if err != nil {
		return explain(path, err)
	}
	defer file.Close()
	var head [100]byte
	n, _ := file.Read(head[:])
	if n < len(head) || string(head[:len(magic)]) != magic {
		return usagef(nil, "%s is no archive of flchat: give another file, or one that does not exist yet", path)
	}
	return nil
}

// Belongs reports whether a file is an archive, or one beside the archive at of.
func Belongs(path, of string) bool {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if target, err := filepath.EvalSymlinks(of); err == nil {
		of = target
	}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal", ".lock"} {
		if filepath.Clean(path) == filepath.Clean(of)+suffix {
			return true
		}
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false // a pipe would wait for somebody who writes
	}
	file, err := os.Open(path) //nolint:gosec // it is the file that was asked for
	if err != nil {
		return false
	}
	defer file.Close()
	head := make([]byte, len(magic))
	n, _ := io.ReadFull(file, head)
	return string(head[:n]) == magic
}

// number reads a number of the header, such as user_version.
func number(ctx context.Context, db queryer, pragma string) (n int64, err error) {
	err = db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&n)
	return n, err
}

// checkVersion reports whether the file has the tables of this version.
func checkVersion(ctx context.Context, path string, db queryer) (version int64, err error) {
	app, err := number(ctx, db, "application_id")
	if err != nil {
		return 0, explain(path, err)
	}
	if app != applicationID {
		return 0, usagef(nil, "%s is a database, but no archive of flchat: give another file, or one that does not exist yet", path)
	}
	version, err = number(ctx, db, "user_version")
	switch {
	case err != nil:
		return 0, explain(path, err)
	case version > Version+plausible, version < oldest:
		return 0, usagef(nil, "%s is damaged: its header says format %d, which no flchat writes. Take a copy from before, or export into a new file", path, version)
	case version > Version:
		return 0, usagef(nil, "%s was written by a newer flchat (its format is %d, this program knows %d), or its header is damaged: use a newer program", path, version, Version)
	}
	return version, nil
}

// plausible is how many formats there may be that this program does not know.
const plausible = 50

// openToWrite opens an archive, or makes one.
func openToWrite(ctx context.Context, path string) (_ *sqlstore.Store, err error) {
	if err := check(path, true); err != nil {
		return nil, err
	}
	if info, _ := os.Stat(path); info == nil || info.Size() > 0 {
		// Nothing is written, not even the Store's tables, into a file that is somebody else's.
		if info != nil {
			if _, err = unfinished(ctx, path); err != nil {
				return nil, err
			}
		}
	} else if err := os.Chmod(path, 0o600); err != nil { // an empty file, with whatever rights it has
		return nil, explain(path, err)
	}
	store, err := openAlone(ctx, path)
	if err != nil {
		return nil, explain(path, err)
	}
	defer func() {
		if err != nil {
			_ = store.Close()
		}
	}()
	// Only now nobody else can make the tables.
	isNew, version, err := begun(ctx, path, store.DB())
	if err != nil {
		return nil, err
	}
	if !isNew {
		faults, err := sound(ctx, store.DB(), version)
		if err = refuseFaults(path, faults, explain(path, err)); err == nil && version < Version {
			err = explain(path, upgrade(ctx, store.DB()))
		}
		return store, err
	}
	tx, err := store.DB().BeginTx(ctx, nil)
	if err != nil {
		return nil, explain(path, err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, schema+fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, Version)); err != nil {
		return nil, explain(path, err)
	}
	if err := sign(ctx, tx); err != nil {
		return nil, explain(path, err)
	}
	return store, explain(path, tx.Commit())
}

// unfinished reports whether a file has only what is in it when an export is killed before it
// has made its tables. Any other file has to be an archive.
func unfinished(ctx context.Context, path string) (bool, error) {
	db, err := openToRead(ctx, path)
	if err != nil {
		return false, err
	}
	defer db.Close()
	isNew, _, err := begun(ctx, path, db)
	return isNew, err
}

// begun reports whether an open file is to be made an archive, and which format it has otherwise.
func begun(ctx context.Context, path string, db queryer) (isNew bool, version int64, err error) {
	var app, tables int64
	if app, err = number(ctx, db, "application_id"); err == nil && app == 0 {
		err = db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'fliplet_chat_%' AND name NOT LIKE 'sqlite_%'`).Scan(&tables)
		if err == nil && tables == 0 {
			return true, 0, nil
		}
	}
	if err != nil {
		return false, 0, explain(path, err)
	}
	version, err = checkVersion(ctx, path, db)
	return false, version, err
}

// openToRead opens a file of SQLite in which nothing is written.
func openToRead(ctx context.Context, path string) (*sql.DB, error) {
	name := dsn(path) + "?mode=ro&_pragma=query_only(1)&_pragma=busy_timeout(10000)"
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, explain(path, err)
	}
	if _, err := number(ctx, db, "schema_version"); err == nil {
		return db, nil
	}
	_ = db.Close()
	// In a folder that cannot be written SQLite takes a file only when it is told that nobody
	// changes it. That is so unless an export has left its log there.
	if _, err := os.Stat(path + "-wal"); err == nil {
		return sql.Open("sqlite", name)
	}
	db, err = sql.Open("sqlite", name+"&immutable=1")
	return db, explain(path, err)
}

// alone lets an archive be one file again, from which can be read without files beside it.
// It fails while somebody reads, or after an export that was killed, and that is no harm.
func alone(path string) {
	db, err := sql.Open("sqlite", dsn(path)+"?mode=rw&_pragma=busy_timeout(200)")
	if err != nil {
		return
	}
	defer db.Close()
	_, _ = db.Exec("PRAGMA journal_mode = DELETE") //nolint:noctx // it takes no longer than its timeout
}

// dsn names a file to the driver.
func dsn(path string) string {
	absolute, err := filepath.Abs(path)
	if err != nil { // the working directory is gone
		absolute = path
	}
	return "file://" + (&url.URL{Path: absolute}).EscapedPath()
}

// claim notes whose archive it is, or refuses one of somebody else's.
func claim(ctx context.Context, path string, db *sql.DB, s Source) error {
	known, err := refuse(ctx, path, db, s)
	if err != nil || known {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return explain(path, err)
	}
	defer func() { _ = tx.Rollback() }()
	for name, value := range s.values() {
		if err := setMeta(ctx, tx, name, value); err != nil {
			return explain(path, err)
		}
	}
	if err := sign(ctx, tx); err != nil {
		return explain(path, err)
	}
	return explain(path, tx.Commit())
}

// unlocked is how long another export may take to give the lock back that has just ended, or
// a process that it has begun.
const unlocked = 3 * time.Second

// openAlone opens a file that no other export has.
func openAlone(ctx context.Context, path string) (*sqlstore.Store, error) {
	for until := time.Now().Add(unlocked); ; {
		store, err := sqlstore.Open(ctx, path, sqlstore.Alone())
		if !errors.Is(err, sqlstore.ErrLocked) || time.Now().After(until) {
			return store, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// peek refuses a file that is no archive, or somebody else's, before anything is written into
// it. Without a UserID any person's will do.
func peek(ctx context.Context, path string, s Source) error {
	if err := check(path, true); err != nil {
		return err
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return nil //nolint:nilerr // it is to be made
	}
	if begun, err := unfinished(ctx, path); err != nil || begun {
		return err
	}
	db, err := openToRead(ctx, path)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = refuse(ctx, path, db, s)
	return err
}

// refuse reports whether an archive is of a source already, and an error if that is another one.
func refuse(ctx context.Context, path string, db queryer, s Source) (known bool, err error) {
	var old Source
	known, err = readSource(ctx, db, &old)
	switch {
	case err != nil:
		return false, explain(path, err)
	case known && (old.API != s.API || old.Contacts != s.Contacts):
		return true, usagef(nil, "%s is the archive of another app: of contacts %d at %s, and this is contacts %d at %s; give another file", path, old.Contacts, old.API, s.Contacts, s.API)
	case known && s.UserID != "" && old.UserID != s.UserID:
		return true, usagef(nil, "%s is the archive of another person (%s): log in as that one with --as, or give another file", path, old.UserID)
	}
	return known, nil
}

// readSource reads whose archive it is; false for nobody's yet.
func readSource(ctx context.Context, db queryer, s *Source) (bool, error) {
	values := map[string]string{}
	rows, err := db.QueryContext(ctx, `SELECT name, value FROM meta`)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return false, err
		}
		values[name] = value
	}
	s.API, s.PrimaryKey, s.UserID = values["api"], values["primaryKey"], values["userId"]
	s.Contacts, _ = strconv.ParseInt(values["contacts"], 10, 64)
	return values["api"] != "" && values["userId"] != "", rows.Err()
}

// Archive is a file that is read. It is safe for concurrent use.
type Archive struct {
	Path   string
	Source Source
	Format int64 // that of the file, at most [Version]
	db     *sql.DB
}

// Open opens an archive to read it, also while an export writes into it. Whatever is wrong
// with the file is a [UsageError].
func Open(ctx context.Context, path string) (*Archive, error) {
	if err := check(path, false); err != nil {
		return nil, err
	}
	db, err := openToRead(ctx, path)
	if err != nil {
		return nil, err
	}
	a := &Archive{Path: path, db: db}
	if a.Format, err = checkVersion(ctx, path, db); err != nil {
		_ = db.Close()
		return nil, err
	}
	if _, err := readSource(ctx, db, &a.Source); err != nil {
		_ = db.Close()
		return nil, explain(path, err)
	}
	return a, nil
}

// Close closes the file.
func (a *Archive) Close() error { return a.db.Close() }

// Seal is the hash of everything in the archive: of the ends of its chains, and of where the
// chats come from. Two archives with the same records have the same.
func (a *Archive) Seal(ctx context.Context) (string, error) {
	s, err := seal(ctx, a.db)
	return s, explain(a.Path, err)
}
