package storage

import (
	"context"
	"errors"
	"iter"
)

// ErrNotFound is returned, possibly wrapped, by [Store.Get] for a key without a value.
var ErrNotFound = errors.New("storage: key not found")

// ErrRolledBack is matched by an error of [Transactional.Update] after which certainly none of
// the changes has taken effect, although the function returned nil: when the database has
// refused the commit, because of a constraint that it checks then, say.
var ErrRolledBack = errors.New("storage: the transaction was rolled back")

// Store keeps values by key. Keys are UTF-8 text of at most 1,024 bytes, values
// any bytes; a chat writes values up to about a megabyte.
//
// Implementations are safe for concurrent use, copy what they take and what they
// give, and return the context's error when it ends first. A value is stored
// whole or not at all.
type Store interface {
	// Get returns the value of a key, or an error that matches ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
	// Set stores a value, replacing the one before.
	Set(ctx context.Context, key string, value []byte) error
	// Delete removes a key. A key without a value is no error.
	Delete(ctx context.Context, key string) error
	// CompareAndSwap stores new if the present value equals old, and reports
	// whether it did. A nil old stands for "no value yet", a nil new removes the
	// key; an empty, non-nil slice is a value. The comparison and the write are
	// one step for everybody who uses the store.
	CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error)
}

// Lister is an optional ability of a Store: it lists the keys that have a value.
// Without it a chat keeps lists of its own.
type Lister interface {
	// List yields the keys that begin with prefix, in ascending order of their
	// bytes; "" is the beginning of every key.
	//
	// A key that is added or removed during the listing may be yielded or not. A
	// key that is there all the time is yielded once. No lock and no transaction is
	// held while the loop body runs, so the body may call the Store.
	//
	// The listing ends after its first error, which comes with an empty key. That
	// is the context's error when the context ends first. Ranging again lists again.
	List(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// Exclusive is an optional ability of a Store: it reports whether only one process at
// a time can have the store open. Then the claims of a killed process are taken over
// at once; otherwise they have to expire.
type Exclusive interface {
	Exclusive() bool
}

// Transactional is an optional ability of a Store: several changes become one, together
// with what fn itself writes to the same database. On such a Store [Chat.Consume] runs
// its function and moves its position in one transaction.
//
// [Chat.Consume]: https://pkg.go.dev/github.com/fliplet/fliplet-chat-go#Chat.Consume
type Transactional interface {
	Store
	// Update calls fn once with a Store whose changes take effect together when fn returns
	// nil and Update does, and not at all otherwise. Reads through tx see what was written
	// through it. fn gets a context made from ctx, in which the implementation may carry its
	// transaction; it ends when fn has returned, and tx is of no use after that. tx is a
	// [Lister] if the Store is one.
	//
	// A swap through tx compares with what is committed at that moment and what was written
	// through tx. If it reported true, that holds until the end of the transaction: where
	// somebody else has changed the key meanwhile, it reported false, or Update fails.
	//
	// Several transactions may be under way at a time. A Store that lets only one of them
	// write takes that lock at the first use of tx, rather than at the first write: the second
	// use waits for no transaction but for one that has written the same key.
	// Update returns fn's error as it is. After any other error the changes may have taken
	// effect or not, as after a lost answer to Set: a read tells. None has after one that
	// matches [ErrRolledBack]. fn that panics changes nothing, and the panic goes on.
	Update(ctx context.Context, fn func(ctx context.Context, tx Store) error) error
}

// Watcher is an optional ability of a Store: it tells of changes, so that whoever waits
// for one need not look again and again.
type Watcher interface {
	// Watch returns a channel on which a value arrives when the value of a key was set,
	// swapped or deleted, by whomever. Changes that come before that was received are told
	// once, and nobody who writes waits for it. The watch ends with ctx; the channel is not
	// closed then.
	//
	// Watch may return before it is connected to what tells it. When it is, and when it is
	// again after that was lost, it tells of a change, too: so whoever reads the key after
	// Watch has returned, and again each time it is told, has seen what came before. Still a
	// change may be told late or never, and one may be told where there was none: read now
	// and then without being told.
	//
	// An error that matches [errors.ErrUnsupported] says that the Store cannot do it.
	Watch(ctx context.Context, key string) (<-chan struct{}, error)
}

// Scrubber is an optional ability of a Store that keeps its values somewhere that
// outlives it: it removes what deleted and replaced values have left behind there.
// [Chat.Logout] asks for it after it has deleted what the user's session stored.
//
// [Chat.Logout]: https://pkg.go.dev/github.com/fliplet/fliplet-chat-go#Chat.Logout
type Scrubber interface {
	// Scrub returns when no value that was deleted or replaced before the call can be
	// read from where the Store keeps its values. It changes no value. An error that
	// matches [errors.ErrUnsupported] says that the Store cannot do it.
	Scrub(ctx context.Context) error
}
