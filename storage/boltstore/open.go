package boltstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// What an error means, for errors.Is.
var (
	// ErrLocked: another process, or another Store of this one, has the file open.
	ErrLocked = errors.New("boltstore: the file is in use")
	// ErrCorrupt: the file is not a database, or is damaged. It was not changed.
	ErrCorrupt = errors.New("boltstore: the file is damaged")
	// ErrClosed: the Store was closed.
	ErrClosed = errors.New("boltstore: closed")
)

// Option changes how [Open] works.
type Option func(*config)

type config struct{ timeout time.Duration }

// Timeout is how long Open waits for another process to close the file. Default
// 3 s. It must be positive.
func Timeout(d time.Duration) Option { return func(c *config) { c.timeout = d } }

// Open opens the file at path, and makes it if there is none. The folder must exist.
// A file that others may read gets mode 0600 first.
//
// Errors: [ErrLocked] when the file is still in use after the [Timeout];
// [ErrCorrupt]; those of the file system.
func Open(path string, opts ...Option) (*Store, error) {
	cfg := config{timeout: 3 * time.Second}
	for _, o := range opts {
		if o != nil {
			o(&cfg)
		}
	}
	switch {
	case path == "":
		return nil, errors.New("boltstore: path is empty; give the name of a file")
	case cfg.timeout <= 0:
		return nil, fmt.Errorf("boltstore: Timeout is %v; give a positive one", cfg.timeout)
	}
	s := &Store{path: path, writer: make(chan struct{}, 1)}
	_, err := os.Lstat(path)
	fresh := errors.Is(err, os.ErrNotExist)
	var file *os.File
	err = s.guard(func() (err error) {
		s.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: cfg.timeout,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				file, err = os.OpenFile(name, flag, mode)
				if err != nil {
					return nil, err
				}
				return file, private(file)
			},
		})
		return err
	})
	if err == nil {
		err = s.guard(s.check)
	}
	if err == nil && fresh {
		err = syncFolder(path)
	}
	if err == nil {
		s.file = file
		return s, nil
	}
	if s.db != nil {
		err = errors.Join(err, s.Close())
	} else if file != nil {
		// bbolt has done both, unless a damaged page made it panic. The pages it
		// mapped then stay mapped, which keeps the lock even of a closed file.
		unlock(file)
		file.Close()
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("%w: %s, by another process or Store, for %v: close that one first", ErrLocked, path, cfg.timeout)
	}
	return nil, fmt.Errorf("boltstore: open %s: %w", path, err)
}

// smallest is the size of the two pages that describe a database.
const smallest = 2 * 4096

// private refuses a file that cannot be a store, and takes other users' rights to
// read it, since it holds tokens.
func private(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if size := info.Size(); size != 0 && size < smallest {
		return fmt.Errorf("%w, or no store at all: it has %d bytes", ErrCorrupt, size)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return f.Chmod(0o600)
}

// check reads everything once, so that damage is found when the file is opened.
func (s *Store) check() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	empty := false
	if err := s.db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("%w: %d of %d bytes are missing at its end", ErrCorrupt, tx.Size()-info.Size(), tx.Size())
		}
		b := tx.Bucket(bucket)
		if b == nil {
			empty = true
			return nil
		}
		return b.ForEach(func(key, stored []byte) error {
			_, err := unpack(key, stored)
			return err
		})
	}); err != nil || !empty {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
}

// syncFolder makes a new file's name durable, where the system can do that.
func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	_ = dir.Sync() // Windows has no such thing
	return nil
}
