package boltjournal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// What an error of [Open] means, for errors.Is.
var (
	// ErrLocked: another process, or another Journal of this one, has the file
	// open.
	ErrLocked = errors.New("the file is in use")
	// ErrDamaged: the file is no journal, or not as it was written. Nothing in it
	// was changed. It may stay locked for as long as this process lives.
	ErrDamaged = errors.New("the file is damaged or belongs to something else")
)

// lockTimeout is how long Open waits for another process to close the file: one that
// is just stopping needs a moment.
const lockTimeout = 2 * time.Second

// The names in the file. Records are in a bucket of their kind inside of records,
// by id.
var (
	about   = []byte("about")
	format  = []byte("format")
	formatV = []byte("fliplet-local 1")
	records = []byte("records")
)

// Open opens the file at path, and makes it if there is none; the folder must
// exist. The file holds tokens and keys: it is made for its owner alone.
//
// Errors: [ErrLocked], [ErrDamaged], whatever the file system says. They name the
// file.
func Open(path string) (*Journal, error) {
	j := &Journal{}
	err := j.open(path)
	if err == nil {
		return j, nil
	}
	if j.db != nil {
		err = errors.Join(err, j.Close())
	}
	if errors.Is(err, berrors.ErrTimeout) {
		err = fmt.Errorf("%w by another process", ErrLocked)
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

func (j *Journal) open(path string) error {
	if path == "" {
		return errors.New("the name of the file is empty")
	}
	_, err := os.Lstat(path)
	fresh := errors.Is(err, os.ErrNotExist)
	var file *os.File
	err = guard(func() (err error) {
		j.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: lockTimeout,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				file, err = openRegular(name, flag, mode)
				return file, err
			},
		})
		return err
	})
	if err != nil {
		if j.db == nil && file != nil {
			// bbolt has done so, unless a damaged page made it panic. Then its memory
			// map stays behind, and with that the lock.
			file.Close()
		}
		return err
	}
	if err := guard(func() error { return j.whole(path) }); err != nil {
		return err
	}
	if err := guard(j.check); err != nil {
		return err
	}
	if fresh {
		return syncFolder(filepath.Dir(path))
	}
	return nil
}

func openRegular(name string, flag int, mode os.FileMode) (*os.File, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	return os.OpenFile(name, flag, mode)
}

// whole notices a file that has been cut off.
func (j *Journal) whole(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return j.db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("%w: %d of %d bytes are missing at its end", ErrDamaged, tx.Size()-info.Size(), tx.Size())
		}
		return nil
	})
}

// check refuses a file that is something else, and claims an empty one.
func (j *Journal) check() error {
	empty := false
	err := j.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(about)
		if b == nil {
			name, _ := tx.Cursor().First()
			if empty = name == nil; !empty {
				return fmt.Errorf("%w: a database, but not of a local Fliplet", ErrDamaged)
			}
			return nil
		}
		if v := b.Get(format); string(v) != string(formatV) {
			return fmt.Errorf("%w: its format is %q, this program knows %q", ErrDamaged, v, formatV)
		}
		if tx.Bucket(records) == nil {
			return fmt.Errorf("%w: there is no place for records", ErrDamaged)
		}
		return nil
	})
	if err != nil || !empty {
		return err
	}
	return j.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(about)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket(records); err != nil {
			return err
		}
		return b.Put(format, formatV)
	})
}

// syncFolder makes a new file's name durable, where the system can do that.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	_ = dir.Sync() // Windows has no such thing
	return nil
}

// guard turns what bbolt does with a damaged file into an error: it panics on
// pages that make no sense, and reading where a file has been cut off is a memory
// fault.
func guard(fn func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, v)
		}
	}()
	err = fn()
	switch {
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}
