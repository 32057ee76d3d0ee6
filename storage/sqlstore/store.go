package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// Store is a [storage.Store] in a file of SQLite. It is safe for concurrent use, also by
// several processes.
type Store struct {
	db       *sql.DB
	owned    bool     // Close closes it
	only     *os.File // the lock of Alone, nil without
	path     string
	file     os.FileInfo // as it was opened
	patience time.Duration
	writer   chan struct{} // a lock for the writers of this Store, first come first served
	closed   atomic.Bool
}

var (
	_ storage.Store         = (*Store)(nil)
	_ storage.Lister        = (*Store)(nil)
	_ storage.Transactional = (*Store)(nil)
	_ storage.Exclusive     = (*Store)(nil)
)

// maxKey is how long a key may be.
const maxKey = 1024

func check(ctx context.Context, key string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("sqlstore: key of %d bytes; give 1 to %d", len(key), maxKey)
	}
	return nil
}

// Get returns the value of a key, or an error that matches [storage.ErrNotFound]. It waits
// for no transaction, and sees none that is not committed.
//
// Other errors: [ErrCorrupt], [ErrClosed], the context's.
func (s *Store) Get(ctx context.Context, key string) (value []byte, err error) {
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	if s.closed.Load() {
		return nil, ErrClosed
	}
	err = s.patiently(ctx, func() (err error) { value, err = get(ctx, s.db, key); return err })
	return value, err
}

// Set stores a value. It is on the disk when Set returns.
//
// Errors: [ErrInTransaction]; [ErrBusy]; [ErrMoved]; [ErrReadOnly]; [ErrCorrupt];
// [ErrClosed]; the context's; those of the file system, such as a full disk.
func (s *Store) Set(ctx context.Context, key string, value []byte) error {
	return s.write(ctx, key, func() error { return set(ctx, s.db, key, value) })
}

// Delete removes a key. Errors: as Set.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.write(ctx, key, func() error { return remove(ctx, s.db, key) })
}

// CompareAndSwap stores new if the present value equals old, in one statement. Errors: as Set.
func (s *Store) CompareAndSwap(ctx context.Context, key string, old, new []byte) (swapped bool, err error) {
	err = s.write(ctx, key, func() (err error) { swapped, err = swap(ctx, s.db, key, old, new); return err })
	return swapped && err == nil, err
}

// List yields the keys that begin with prefix, in ascending order of their bytes. It reads
// them in pages. See [storage.Lister].
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return list(ctx, func(from string) (keys []string, err error) {
		if s.closed.Load() {
			return nil, ErrClosed
		}
		err = s.patiently(ctx, func() (err error) { keys, err = page(ctx, s.db, prefix, from); return err })
		return keys, err
	})
}

// write makes a change, one at a time.
func (s *Store) write(ctx context.Context, key string, fn func() error) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	if x := within(ctx); x != nil && x.of == s && x.begun() {
		return ErrInTransaction
	}
	release, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	return s.patiently(ctx, fn)
}

// lock takes the lock of this Store's writers, which release gives back.
func (s *Store) lock(ctx context.Context) (release func(), err error) {
	t := time.NewTimer(s.patience)
	defer t.Stop()
	select {
	case s.writer <- struct{}{}:
	case <-t.C:
		return nil, fmt.Errorf("%w, for %v", ErrBusy, s.patience)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	release = func() { <-s.writer }
	switch {
	case ctx.Err() != nil: // both were ready
		err = context.Cause(ctx)
	case s.closed.Load():
		err = ErrClosed
	default:
		err = s.stays()
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

func get(ctx context.Context, q querier, key string) (value []byte, err error) {
	err = q.QueryRowContext(ctx, `SELECT value FROM fliplet_chat_values WHERE key = ?`, []byte(key)).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: %q", storage.ErrNotFound, key)
	}
	if err == nil && value == nil {
		value = []byte{}
	}
	return value, err
}

func set(ctx context.Context, q querier, key string, value []byte) error {
	_, err := q.ExecContext(ctx, `INSERT INTO fliplet_chat_values (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, []byte(key), blob(value))
	return err
}

func remove(ctx context.Context, q querier, key string) error {
	_, err := q.ExecContext(ctx, `DELETE FROM fliplet_chat_values WHERE key = ?`, []byte(key))
	return err
}

func swap(ctx context.Context, q querier, key string, old, new []byte) (bool, error) {
	var result sql.Result
	var err error
	switch {
	case old == nil && new == nil:
		_, err = get(ctx, q, key)
		if errors.Is(err, storage.ErrNotFound) {
			return true, nil
		}
		return false, err
	case old == nil:
		result, err = q.ExecContext(ctx, `INSERT INTO fliplet_chat_values (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING`, []byte(key), blob(new))
	case new == nil:
		result, err = q.ExecContext(ctx, `DELETE FROM fliplet_chat_values WHERE key = ? AND value = ?`, []byte(key), blob(old))
	default:
		result, err = q.ExecContext(ctx, `UPDATE fliplet_chat_values SET value = ? WHERE key = ? AND value = ?`, blob(new), []byte(key), blob(old))
	}
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// blob is a value for a driver, which would make NULL of nil.
func blob(v []byte) []byte {
	if v == nil {
		return []byte{}
	}
	return v
}

// pageSize is how many keys one query of a listing reads.
const pageSize = 256

// page returns the first keys with a prefix that come after from; those of a new listing
// with from == "".
func page(ctx context.Context, q querier, prefix, from string) (keys []string, err error) {
	query, args := `SELECT key FROM fliplet_chat_values WHERE key > ?1 AND key >= ?2`, []any{blob([]byte(from)), blob([]byte(prefix))}
	if end := successor(prefix); end != nil {
		query += ` AND key < ?3`
		args = append(args, end)
	}
	rows, err := q.QueryContext(ctx, query+fmt.Sprintf(` ORDER BY key LIMIT %d`, pageSize), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var key []byte
		if err := rows.Scan(&key); err != nil {
			return nil, err
		}
		keys = append(keys, string(key))
	}
	return keys, rows.Err()
}

// successor is the first key after all that begin with prefix, nil if there is none.
func successor(prefix string) []byte {
	end := bytes.TrimRight([]byte(prefix), "\xff")
	if len(end) == 0 {
		return nil
	}
	end[len(end)-1]++
	return end
}

// list yields the keys of pages.
func list(ctx context.Context, next func(from string) ([]string, error)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for from := ""; ; {
			if ctx.Err() != nil {
				yield("", context.Cause(ctx))
				return
			}
			keys, err := next(from)
			for _, key := range keys {
				if ctx.Err() != nil {
					err = context.Cause(ctx)
					break
				}
				if !yield(key, nil) {
					return
				}
				from = key
			}
			if err != nil {
				yield("", err)
				return
			}
			if len(keys) < pageSize {
				return
			}
		}
	}
}
