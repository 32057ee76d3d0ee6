package chat

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fliplet/fliplet-chat-go/internal/bodies"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
)

// Cipher seals message bodies with AES-256-GCM, which detects a body that was
// changed or moved to another conversation or message. The format is described in
// docs/encryption.md; docs/js/envelope.js reads and writes it, too. One key, the
// writer, seals; all keys open. Each body names its key.
//
// Change keys in stages, so that every message stays readable: [Cipher.Add] the new
// key everywhere; when every program has it, [Cipher.Promote] it. [Chat.Reencrypt]
// then moves what the old key wrote, and [Cipher.Remove] removes the old key.
//
// A Cipher is safe for concurrent use, and several Chats may share one. Closing a
// Chat does not close it. Printed, logged or marshalled, it shows only the names of
// its keys.
type Cipher struct {
	mu   sync.Mutex // held by changes
	ring atomic.Pointer[ring]
}

// ring is the set of keys of a Cipher. It is replaced, never changed.
type ring struct {
	writer *Key // nil: read-only
	keys   map[string]*Key
}

// errWiped: a key was used after its Cipher was closed.
var errWiped = bodies.ErrClosed

// NewCipher returns a Cipher that writes with one key and reads with all.
//
// With a nil writer it only reads: bodies are written in the passphrase format until
// a key is promoted. That is the first stage of a move to authenticated bodies.
//
// Errors: [ErrInvalid] for a nil reader, for no key at all, and for two keys of the
// same name.
func NewCipher(writer *Key, readers ...*Key) (_ *Cipher, err error) {
	defer wrap("new cipher", &err)
	r := &ring{writer: writer, keys: map[string]*Key{}}
	keys := readers
	if writer != nil {
		keys = append([]*Key{writer}, readers...)
	}
	if len(keys) == 0 {
		return nil, invalid("writer, readers: none; make a key with NewKey, DeriveKeys or StretchPassphrase")
	}
	for _, k := range keys {
		if err := r.admit(k); err != nil {
			return nil, err
		}
	}
	c := &Cipher{}
	c.ring.Store(r)
	return c, nil
}

func (r *ring) admit(k *Key) error {
	if k == nil || k.id == "" {
		return invalid("key: nil, or not made by this package")
	}
	if r.keys[k.id] != nil {
		return invalid("key: there is one named %q already; every key needs a name of its own", k.id)
	}
	r.keys[k.id] = k
	return nil
}

// Add adds a key that opens bodies.
//
// Errors: [ErrInvalid] for a name that is taken; [ErrClosed].
func (c *Cipher) Add(k *Key) error {
	return c.change("add key", func(r *ring) error { return r.admit(k) })
}

// Promote makes a key the writer. The previous writer still opens bodies. A body
// that is being sealed meanwhile may still get the previous one.
//
// Errors: [ErrNotFound] for a key that was not added; [ErrClosed].
func (c *Cipher) Promote(id string) error {
	return c.change("promote key", func(r *ring) error {
		k := r.keys[id]
		if k == nil {
			return fmt.Errorf("key %q: %w; add it first", id, ErrNotFound)
		}
		r.writer = k
		return nil
	})
}

// Remove wipes a key. Bodies that it sealed are unreadable from then on.
//
// Errors: [ErrInvalid] for the writer; [ErrNotFound]; [ErrClosed].
func (c *Cipher) Remove(id string) error {
	return c.change("remove key", func(r *ring) error {
		k := r.keys[id]
		switch {
		case k == nil:
			return fmt.Errorf("key %q: %w", id, ErrNotFound)
		case k == r.writer:
			return invalid("id: %q is the writer; promote another key first", id)
		}
		delete(r.keys, id)
		k.wipe()
		return nil
	})
}

// change replaces the ring by a changed copy.
func (c *Cipher) change(op string, fn func(*ring) error) (err error) {
	defer wrap(op, &err)
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.ring.Load()
	if old == nil {
		return ErrClosed
	}
	r := &ring{writer: old.writer, keys: maps.Clone(old.keys)}
	if err := fn(r); err != nil {
		return err
	}
	c.ring.Store(r)
	return nil
}

// Writer is the name of the key that seals, "" when there is none.
func (c *Cipher) Writer() string {
	if r := c.ring.Load(); r != nil && r.writer != nil {
		return r.writer.id
	}
	return ""
}

// Close wipes all keys: no body can be sealed or opened from then on. Secrets are
// overwritten; expanded AES keys, to which Go gives no access, are left to the
// garbage collector. Closing again does nothing.
func (c *Cipher) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.ring.Swap(nil); r != nil {
		for _, k := range r.keys {
			k.wipe()
		}
	}
	return nil
}

// readOnly reports whether there is no writer. A closed Cipher is not read-only: it
// fails, rather than let bodies be written with less protection.
func (c *Cipher) readOnly() bool {
	r := c.ring.Load()
	return r != nil && r.writer == nil
}

// seal seals a body with the writer.
func (c *Cipher) seal(body string, at envelope.Binding) (string, error) {
	r := c.ring.Load()
	if r == nil || r.writer == nil {
		return "", fmt.Errorf("%w: %w", ErrKeyUnavailable, errWiped)
	}
	aead, err := r.writer.aead(at.ConversationID)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrKeyUnavailable, err)
	}
	return aead.Seal(body, at)
}

// open opens a body that [envelope.LooksAuthenticated].
func (c *Cipher) open(stored string, at envelope.Binding) (string, error) {
	return bodies.Unseal(stored, at, func(id string) (*envelope.AEAD, error) {
		r := c.ring.Load()
		if r == nil {
			return nil, errWiped
		}
		if k := r.keys[id]; k != nil {
			return k.aead(at.ConversationID)
		}
		return nil, nil
	})
}

// String names the keys and hides them.
func (c *Cipher) String() string {
	if c == nil {
		return "chat.Cipher(nil)"
	}
	r := c.ring.Load()
	if r == nil {
		return "chat.Cipher(closed)"
	}
	names := slices.Sorted(maps.Keys(r.keys))
	writer := "none"
	if r.writer != nil {
		writer = r.writer.id
	}
	return "chat.Cipher(writer " + writer + ", keys " + strings.Join(names, " ") + ", redacted)"
}

// GoString is String, for %#v.
func (c *Cipher) GoString() string { return c.String() }

// Format writes String for every verb.
func (c *Cipher) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) } //nolint:errcheck // as fmt itself

// LogValue is String, for log/slog.
func (c *Cipher) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText is String, for encoders such as encoding/json.
func (c *Cipher) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
