package pgstore

import (
	"context"
	"iter"

	"github.com/jackc/pgx/v5"
)

// page is how many keys one statement of a listing reads.
const page = 500

// List yields the keys that begin with prefix, in ascending order. It reads pages of 500
// keys; no transaction is open and no connection is taken while the loop body runs. See
// [storage.Lister].
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return list(ctx, prefix, func(from, to []byte) (keys [][]byte, err error) {
		err = s.call(ctx, "list", "any", reading, func() error {
			keys, err = s.keys(ctx, s.pool, from, to)
			return err
		})
		return keys, err
	})
}

// list yields keys that are read in pages.
func list(ctx context.Context, prefix string, read func(from, to []byte) ([][]byte, error)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		from := []byte(prefix)
		for {
			keys, err := read(from, after(prefix))
			if err != nil {
				keys = nil
			}
			for _, key := range keys {
				if ctx.Err() != nil {
					err = context.Cause(ctx)
					break
				}
				if !yield(string(key), nil) {
					return
				}
			}
			if err != nil {
				yield("", err)
				return
			}
			if len(keys) < page {
				return
			}
			from = append(keys[len(keys)-1], 0) // the least key behind it
		}
	}
}

// after is the least key behind all those with a prefix, nil if there is none.
func after(prefix string) []byte {
	end := []byte(prefix)
	for len(end) > 0 {
		if last := len(end) - 1; end[last] < 0xff {
			end[last]++
			return end
		}
		end = end[:len(end)-1]
	}
	return nil
}

// keys returns the first keys from one on and before another one.
func (s *Store) keys(ctx context.Context, q runner, from, to []byte) ([][]byte, error) {
	sql, args := s.sql.list, []any{s.namespace, from, page}
	if to != nil {
		sql, args = s.sql.listTo, append(args, to)
	}
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[[]byte])
}
