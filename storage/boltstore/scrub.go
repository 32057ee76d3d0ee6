package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// A bbolt file never forgets by itself: pages of deleted and replaced values are
// listed as free and keep their bytes until they are used again.

// maxRewrite is the size of all keys and values up to which Scrub also writes what is
// left anew.
const maxRewrite = 64 << 20

// readerWait is the time between two looks whether readers of old pages have ended.
const readerWait = time.Millisecond

// Scrub overwrites in the file what deleted and replaced values have left behind, and
// returns when that is on the disk. Up to 64 MiB of keys and values it also writes
// what is left anew, since the names of deleted keys can stay as signposts inside the
// tree; in a larger file such names may be found afterwards, but no value. Other
// writers wait meanwhile, readers do not. A crash in the middle loses nothing.
//
// Scrub overwrites its file. It cannot reach copies that a file system with snapshots
// or a flash disk keeps of overwritten blocks: encrypt with [storage.Encrypted] where
// that matters.
//
// Errors: [ErrCorrupt], [ErrClosed], the context's, and those of the file system; then
// everything that was stored is still there, and so may be what was deleted.
func (s *Store) Scrub(ctx context.Context) error {
	if err := cause(ctx); err != nil {
		return err
	}
	release, err := s.write(ctx)
	if err != nil {
		return err
	}
	defer release()
	for _, step := range []func(context.Context) error{s.rewrite, s.commit, s.settle, s.overwrite} {
		if err := cause(ctx); err != nil {
			return err
		}
		if err := s.guard(func() error { return step(ctx) }); err != nil {
			return fmt.Errorf("boltstore: scrub: %w", err)
		}
	}
	return nil
}

// rewrite stores every value again in a tree without history, in one transaction.
func (s *Store) rewrite(ctx context.Context) error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		type pair struct{ key, stored []byte }
		var all []pair
		size := 0
		err := tx.Bucket(bucket).ForEach(func(key, stored []byte) error {
			if size += len(key) + len(stored); size > maxRewrite {
				return errUnchanged
			}
			all = append(all, pair{bytes.Clone(key), bytes.Clone(stored)})
			return cause(ctx)
		})
		if err != nil {
			return err
		}
		if err := tx.DeleteBucket(bucket); err != nil {
			return err
		}
		b, err := tx.CreateBucket(bucket)
		if err != nil {
			return err
		}
		for _, p := range all {
			if err := b.Put(p.key, p.stored); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// commit writes a transaction without changes: then neither of the two states that
// bbolt keeps needs a page from before rewrite.
func (s *Store) commit(context.Context) error {
	return s.db.Update(func(*bbolt.Tx) error { return nil })
}

// settle waits until no reader sees free pages any more. Readers that come later do
// not see them.
func (s *Store) settle(ctx context.Context) error {
	for {
		tx, err := s.db.Begin(true) // this releases the pages of readers that have ended
		if err != nil {
			return err
		}
		if err := tx.Rollback(); err != nil {
			return err
		}
		if s.db.Stats().PendingPageN == 0 {
			return nil
		}
		select {
		case <-time.After(readerWait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// overwrite fills every page that is free, and what is behind the last page, with
// zeros. The caller holds the writers' lock, so that no page is taken meanwhile.
func (s *Store) overwrite(ctx context.Context) error {
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was changed
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	size := int64(s.db.Info().PageSize)
	page, zeros := make([]byte, size), make([]byte, size)
	last := tx.Size() / size
	for id := int64(2); id*size < info.Size(); id++ { // 0 and 1 describe the database
		if id < last {
			p, err := tx.Page(int(id))
			if err != nil {
				return err
			}
			if p != nil && p.Type != "free" {
				continue
			}
		}
		n := min(size, info.Size()-id*size)
		if _, err := s.file.ReadAt(page[:n], id*size); err != nil {
			return err
		}
		if bytes.Equal(page[:n], zeros[:n]) {
			continue
		}
		if err := cause(ctx); err != nil {
			return err
		}
		if _, err := s.file.WriteAt(zeros[:n], id*size); err != nil {
			return err
		}
	}
	return s.file.Sync()
}
