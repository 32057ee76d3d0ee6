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
	return p.at(key).Set(ctx, key, value)
}

func (p *positions) Delete(ctx context.Context, key string) error { return p.at(key).Delete(ctx, key) }

func (p *positions) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	return p.at(key).CompareAndSwap(ctx, key, old, new)
}

// Exclusive: the file is open in this process alone.
func (p *positions) Exclusive() bool { return p.file.Exclusive() }

// Update is a transaction of the file.
func (p *positions) Update(ctx context.Context, fn func(ctx context.Context, tx storage.Store) error) error {
	return p.file.Update(ctx, func(ctx context.Context, tx storage.Store) error { return fn(ctx, keptOnly{tx}) })
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
