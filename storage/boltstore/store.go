package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"runtime/debug"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/fliplet/fliplet-chat-go/storage"
)

// Store is a [storage.Store] in a file. It is safe for concurrent use.
type Store struct {
	db     *bbolt.DB
	path   string
	file   *os.File      // the one that db has open
	writer chan struct{} // a lock for writers that can wait with a context
}

var (
	_ storage.Store     = (*Store)(nil)
	_ storage.Lister    = (*Store)(nil)
	_ storage.Exclusive = (*Store)(nil)
	_ storage.Scrubber  = (*Store)(nil)
)

var bucket = []byte("values")

// Exclusive reports that only one process at a time can have the file open, see
// [storage.Exclusive].
func (s *Store) Exclusive() bool { return true }

// Close closes the file, after the calls under way. Closing again does nothing.
func (s *Store) Close() error {
	s.writer <- struct{}{}
	defer func() { <-s.writer }()
	return s.db.Close()
}

// String names the file.
func (s *Store) String() string { return "boltstore " + s.path }

// Get returns the value of a key, or an error that matches [storage.ErrNotFound].
//
// Other errors: [ErrCorrupt], [ErrClosed], the context's.
func (s *Store) Get(ctx context.Context, key string) (value []byte, err error) {
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	err = s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			present, err := get(tx, key)
			if err == nil && present == nil {
				err = fmt.Errorf("%w: %q", storage.ErrNotFound, key)
			}
			value = bytes.Clone(present)
			return err
		})
	})
	return value, err
}

// Set stores a value. After an error the value before is still there.
//
// Errors: [ErrCorrupt], [ErrClosed], the context's, and those of the file system,
// such as a full disk.
func (s *Store) Set(ctx context.Context, key string, value []byte) error {
	return s.update(ctx, key, func(tx *bbolt.Tx) error { return put(tx, key, value) })
}

// Delete removes a key. Errors: as Set.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.update(ctx, key, func(tx *bbolt.Tx) error { return remove(tx, key) })
}

// CompareAndSwap stores new if the present value equals old, in one transaction.
// Errors: as Set.
func (s *Store) CompareAndSwap(ctx context.Context, key string, old, new []byte) (swapped bool, err error) {
	err = s.update(ctx, key, func(tx *bbolt.Tx) error {
		present, err := get(tx, key)
		if err != nil {
			return err
		}
		if (present == nil) != (old == nil) || !bytes.Equal(present, old) {
			return errUnchanged
		}
		swapped = true
		if new == nil {
			return remove(tx, key)
		}
		return put(tx, key, new)
	})
	return swapped && err == nil, err
}

// errUnchanged rolls back a transaction that has nothing to write, so that nothing
// is written to the disk.
var errUnchanged = errors.New("unchanged")

// update runs a write transaction, one at a time.
func (s *Store) update(ctx context.Context, key string, fn func(*bbolt.Tx) error) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	release, err := s.write(ctx)
	if err != nil {
		return err
	}
	defer release()
	err = s.guard(func() error { return s.db.Update(fn) })
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// write takes the writers' lock, which release gives back.
func (s *Store) write(ctx context.Context) (release func(), err error) {
	select {
	case s.writer <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	release = func() { <-s.writer }
	if ctx.Err() != nil { // both were ready
		release()
		return nil, context.Cause(ctx)
	}
	return release, nil
}

func check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if key == "" || len(key) > bbolt.MaxKeySize {
		return fmt.Errorf("boltstore: key of %d bytes; give 1 to %d", len(key), bbolt.MaxKeySize)
	}
	return nil
}

// A checksum over key and value is stored in front of each value, since bbolt checks
// only the pages that lead to it.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

func unpack(key, stored []byte) ([]byte, error) {
	if len(stored) < 4 || binary.BigEndian.Uint32(stored) != checksum(key, stored[4:]) {
		return nil, fmt.Errorf("%w: the value of %q is not what was stored", ErrCorrupt, key)
	}
	return stored[4:], nil
}

// get returns a value that lasts as long as the transaction, nil if there is none.
func get(tx *bbolt.Tx, key string) ([]byte, error) {
	stored := tx.Bucket(bucket).Get([]byte(key))
	if stored == nil {
		return nil, nil
	}
	return unpack([]byte(key), stored)
}

func put(tx *bbolt.Tx, key string, value []byte) error {
	stored := make([]byte, 4, 4+len(value))
	binary.BigEndian.PutUint32(stored, checksum([]byte(key), value))
	return tx.Bucket(bucket).Put([]byte(key), append(stored, value...))
}

func remove(tx *bbolt.Tx, key string) error {
	b := tx.Bucket(bucket)
	if b.Get([]byte(key)) == nil {
		return errUnchanged
	}
	return b.Delete([]byte(key))
}

// guard turns what a damaged file does to bbolt into an error: bbolt panics on pages
// that make no sense, and reading behind the end of a file that was cut is a memory
// fault.
func (s *Store) guard(fn func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrCorrupt, v)
		}
	}()
	err = fn()
	switch {
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return ErrClosed
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return fmt.Errorf("%w, or no store at all: %w", ErrCorrupt, err)
	}
	return err
}
