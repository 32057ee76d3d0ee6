package archive

import (
	"context"
	"errors"
	"strings"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/sqlstore"
)

// positions is the Storage of an export. Of all that a Chat keeps only the position of the
// consumer is in the file: identities, which have a chat token, and the cache are in memory,
// so that a file which is given away gives nothing else away.
type positions struct {
	storage.Store                 // in memory
	file          *sqlstore.Store // nil until the first consumer begins
}

func newPositions() *positions { return &positions{Store: storage.NewMemory()} }

var _ storage.Transactional = (*positions)(nil)

// kept reports whether a key is kept in the file.
func kept(key string) bool { return strings.Contains(key, "consume/") }

func (p *positions) at(key string) storage.Store {
	if kept(key) {
		return p.file
	}
	return p.Store
}

func (p *positions) Get(ctx context.Context, key string) ([]byte, error) {
	return p.at(key).Get(ctx, key)
}

func (p *positions) Set(ctx context.Context, key string, value []byte) error {
	return p.write(ctx, key, func(ctx context.Context, s storage.Store) error { return s.Set(ctx, key, value) })
}

func (p *positions) Delete(ctx context.Context, key string) error {
	return p.write(ctx, key, func(ctx context.Context, s storage.Store) error { return s.Delete(ctx, key) })
}

func (p *positions) CompareAndSwap(ctx context.Context, key string, old, new []byte) (swapped bool, err error) {
	err = p.write(ctx, key, func(ctx context.Context, s storage.Store) (err error) {
		swapped, err = s.CompareAndSwap(ctx, key, old, new)
		return err
	})
	return swapped && err == nil, err
}

// write writes a key, one that is in the file together with the hash of all of them.
func (p *positions) write(ctx context.Context, key string, fn func(ctx context.Context, s storage.Store) error) error {
	if !kept(key) {
		return fn(ctx, p.Store)
	}
	return p.update(ctx, fn)
}

// update runs fn in a transaction of the file. What fails beside fn is the file's own failure,
// which another attempt would meet again.
func (p *positions) update(ctx context.Context, fn func(ctx context.Context, s storage.Store) error) error {
	var failed error
	err := p.file.Update(ctx, signed(func(ctx context.Context, tx storage.Store) error {
		failed = fn(ctx, tx)
		return failed
	}))
	if err != nil && failed == nil && ctx.Err() == nil {
		return fileError{err}
	}
	return err
}

// signed lets what is written be followed by its hash.
func signed(fn func(ctx context.Context, s storage.Store) error) func(ctx context.Context, s storage.Store) error {
	return func(ctx context.Context, s storage.Store) error {
		if err := fn(ctx, s); err != nil {
			return err
		}
		tx, err := sqlstore.Tx(ctx)
		if err != nil {
			return err
		}
		return sign(ctx, tx)
	}
}

// Exclusive: the file is open in this process alone.
func (p *positions) Exclusive() bool { return p.file.Exclusive() }

// Update is a transaction of the file.
func (p *positions) Update(ctx context.Context, fn func(ctx context.Context, tx storage.Store) error) error {
	return p.update(ctx, func(ctx context.Context, tx storage.Store) error { return fn(ctx, keptOnly{tx}) })
}

// keptOnly is a transaction, in which only what is in the file can be.
type keptOnly struct{ storage.Store }

var errNotKept = errors.New("archive: this key is kept in memory, and in no transaction")

func (k keptOnly) Set(ctx context.Context, key string, value []byte) error {
	if !kept(key) {
		return errNotKept
	}
	return k.Store.Set(ctx, key, value)
}

func (k keptOnly) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if !kept(key) {
		return false, errNotKept
	}
	return k.Store.CompareAndSwap(ctx, key, old, new)
}
