package storage

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// What an error of an encrypted Store means, for errors.Is.
var (
	// ErrWrongKey: the values were stored with another key.
	ErrWrongKey = errors.New("storage: the values were encrypted with another key")
	// ErrTampered: a value was changed, or moved to another key of the Store.
	ErrTampered = errors.New("storage: a value is not what was stored")
)

// KeySize is the number of bytes of a key for [Encrypted].
const KeySize = 32

// Encrypted returns a Store that keeps its values in store, encrypted and
// authenticated with AES-256-GCM under keys derived from key. It makes no call of
// store; the key is compared with the one used before at the first call.
//
// Each value is bound to its key of the Store, so that values cannot be exchanged.
// Keys of the Store, which hold the ids of users, are replaced by an HMAC-SHA256, so
// only their number, the sizes of values and the times of writes stay visible. What
// nobody can see from inside is that a whole Store, or one value, was put back to an
// earlier state.
//
// key is [KeySize] random bytes, for instance from the key ring of the operating
// system. It cannot be changed: start with an empty store. Values that store holds in
// the clear are not seen and not removed.
//
// The result is a [Lister] or a [Transactional] if store is one. A listing reads every
// value, since the names are inside. It is [Exclusive] if store is, and its [Watcher] and
// [Scrubber] are those of store; without them Watch and Scrub return an error that matches
// [errors.ErrUnsupported].
//
// Errors: a nil store; a key that has another length or consists of one byte. Errors
// of the calls: [ErrWrongKey], [ErrTampered], those of store.
func Encrypted(store Store, key []byte) (Store, error) {
	switch {
	case store == nil:
		return nil, errors.New("storage: Encrypted: store is nil; give the Store that keeps the encrypted values")
	case len(key) != KeySize:
		return nil, fmt.Errorf("storage: Encrypted: key has %d bytes; give %d random bytes", len(key), KeySize)
	case bytes.Count(key, key[:1]) == KeySize:
		return nil, errors.New("storage: Encrypted: key is one byte again and again; give 32 random bytes")
	}
	names, values, err := deriveKeys(key)
	if err != nil {
		return nil, err
	}
	return (&encrypted{inner: store, names: names, values: values}).able(), nil
}

// able is e with the abilities of its inner Store.
func (e *encrypted) able() Store {
	l, lists := e.inner.(Lister)
	t, updates := e.inner.(Transactional)
	switch {
	case lists && updates:
		return &struct {
			*encryptedLister
			encryptedUpdater
		}{&encryptedLister{e, l}, encryptedUpdater{e, t}}
	case lists:
		return &encryptedLister{e, l}
	case updates:
		return &struct {
			*encrypted
			encryptedUpdater
		}{e, encryptedUpdater{e, t}}
	}
	return e
}

// encrypted is a Store whose values are sealed. It implements no Lister.
type encrypted struct {
	inner   Store
	names   []byte // key of the HMAC over keys
	values  cipher.AEAD
	matches atomic.Bool // the key is known to be the right one
}

var (
	_ Store     = (*encrypted)(nil)
	_ Exclusive = (*encrypted)(nil)
	_ Watcher   = (*encrypted)(nil)
	_ Scrubber  = (*encrypted)(nil)
	_ Lister    = (*encryptedLister)(nil)
)

const (
	sealedPrefix = "fl-sealed/1/v/"
	// checkKey holds a value by which a wrong key is told from an empty Store.
	checkKey  = "fl-sealed/1/check"
	checkText = "fliplet-chat storage"
)

// innerKey is the key under which the inner Store keeps a value.
func (e *encrypted) innerKey(key string) string {
	mac := hmac.New(sha256.New, e.names)
	mac.Write([]byte(key))
	return sealedPrefix + hex.EncodeToString(mac.Sum(nil))
}

// check compares the key with the one of earlier calls. claim: a Store without values
// is the caller's from now on.
func (e *encrypted) check(ctx context.Context, claim bool) error {
	for !e.matches.Load() {
		sealed, err := e.inner.Get(ctx, checkKey)
		switch {
		case errors.Is(err, ErrNotFound) && !claim:
			return nil
		case errors.Is(err, ErrNotFound):
			if _, err := e.inner.CompareAndSwap(ctx, checkKey, nil, e.seal(checkKey, checkText, nil)); err != nil {
				return err
			}
			continue // whoever was first, its key counts
		case err != nil:
			return err
		}
		if name, _, err := e.open(checkKey, sealed); err != nil || name != checkText {
			return ErrWrongKey
		}
		e.matches.Store(true)
	}
	return nil
}

func (e *encrypted) Get(ctx context.Context, key string) ([]byte, error) {
	if err := e.check(ctx, false); err != nil {
		return nil, err
	}
	_, value, err := e.read(ctx, key)
	return value, err
}

// read returns a value in both forms.
func (e *encrypted) read(ctx context.Context, key string) (sealed, value []byte, err error) {
	at := e.innerKey(key)
	sealed, err = e.inner.Get(ctx, at)
	if errors.Is(err, ErrNotFound) {
		return nil, nil, fmt.Errorf("%w: %q", ErrNotFound, key) // the inner error names another key
	}
	if err != nil {
		return nil, nil, err
	}
	name, value, err := e.open(at, sealed)
	if err != nil || name != key {
		return nil, nil, fmt.Errorf("%w: that of %q", ErrTampered, key)
	}
	return sealed, value, nil
}

func (e *encrypted) Set(ctx context.Context, key string, value []byte) error {
	if err := e.check(ctx, true); err != nil {
		return err
	}
	at := e.innerKey(key)
	return e.inner.Set(ctx, at, e.seal(at, key, value))
}

func (e *encrypted) Delete(ctx context.Context, key string) error {
	if err := e.check(ctx, false); err != nil {
		return err
	}
	return e.inner.Delete(ctx, e.innerKey(key))
}

func (e *encrypted) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if err := e.check(ctx, new != nil); err != nil {
		return false, err
	}
	at := e.innerKey(key)
	for {
		sealed, value, err := e.read(ctx, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return false, err
		}
		if (value != nil) != (old != nil) || !bytes.Equal(value, old) {
			return false, nil
		}
		var next []byte
		if new != nil {
			next = e.seal(at, key, new)
		}
		// Sealing a value twice gives two texts. So when the swap fails, another call has
		// written, perhaps the same value: look again.
		if done, err := e.inner.CompareAndSwap(ctx, at, sealed, next); done || err != nil {
			return done, err
		}
	}
}

// Exclusive is that of the inner Store.
func (e *encrypted) Exclusive() bool {
	x, ok := e.inner.(Exclusive)
	return ok && x.Exclusive()
}

// Watch is that of the inner Store.
func (e *encrypted) Watch(ctx context.Context, key string) (<-chan struct{}, error) {
	if w, ok := e.inner.(Watcher); ok {
		return w.Watch(ctx, e.innerKey(key))
	}
	return nil, fmt.Errorf("storage: %T has no Watch: %w", e.inner, errors.ErrUnsupported)
}

// Scrub is that of the inner Store.
func (e *encrypted) Scrub(ctx context.Context) error {
	if s, ok := e.inner.(Scrubber); ok {
		return s.Scrub(ctx)
	}
	return fmt.Errorf("storage: %T has no Scrub: %w", e.inner, errors.ErrUnsupported)
}

// Format prints no key.
func (e *encrypted) Format(f fmt.State, _ rune) { io.WriteString(f, "storage.Encrypted") } //nolint:errcheck // as fmt itself
