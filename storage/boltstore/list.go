package boltstore

import (
	"bytes"
	"context"
	"iter"

	"go.etcd.io/bbolt"
)

// batch is how many keys one read transaction of a listing collects.
const batch = 64

// List yields the keys that begin with prefix, in ascending order. It reads them in
// batches, so that no transaction is open while the loop body runs: pages that an
// open transaction still sees cannot be used again, and the file would grow.
//
// Errors: [ErrCorrupt], [ErrClosed], the context's. See [storage.Lister].
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		from := []byte(prefix)
		for {
			keys, err := s.keys(ctx, []byte(prefix), from)
			for _, key := range keys {
				if err = cause(ctx); err != nil {
					break
				}
				if !yield(key, nil) {
					return
				}
			}
			if err != nil {
				yield("", err)
				return
			}
			if len(keys) < batch {
				return
			}
			from = append([]byte(keys[len(keys)-1]), 0) // the least key behind it
		}
	}
}

// keys returns the first keys with a prefix that are not less than from.
func (s *Store) keys(ctx context.Context, prefix, from []byte) (keys []string, err error) {
	if err := cause(ctx); err != nil {
		return nil, err
	}
	err = s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			c := tx.Bucket(bucket).Cursor()
			for key, _ := c.Seek(from); key != nil && bytes.HasPrefix(key, prefix) && len(keys) < batch; key, _ = c.Next() {
				keys = append(keys, string(key))
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// cause is why a context has ended, nil while it has not.
func cause(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
