package chat

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"

	"golang.org/x/crypto/argon2"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
)

// Key is a named key of a [Cipher], or a secret from which a Cipher derives one
// key for each conversation. Every body sealed with it shows its name in plain text.
// Never give a name to a second key.
//
// A Key is safe for concurrent use. It belongs to one Cipher and is wiped with it.
// Printed, logged or marshalled, it shows only its name.
type Key struct {
	id    string
	fixed *envelope.AEAD // the key of all conversations; nil if they are derived

	mu     sync.Mutex
	secret []byte // nil for a fixed key, and after wipe
	recent envelope.Cache
}

// keySize is the size of an AES-256 key.
const keySize = 32

// NewKey makes a Key of 32 random bytes, the same for all conversations. It copies
// key, which may then be overwritten.
//
// id has 1 to 64 characters of A-Z, a-z, 0-9, dot, underscore and hyphen, such as
// "2025-06".
//
// Errors: [ErrInvalid] for any other id or length.
func NewKey(id string, key []byte) (_ *Key, err error) {
	defer wrap("new key", &err)
	if len(key) != keySize {
		return nil, invalid("key: %d bytes; AES-256 takes %d, for instance from crypto/rand", len(key), keySize)
	}
	aead, err := newAEAD(id, key)
	if err != nil {
		return nil, err
	}
	return &Key{id: id, fixed: aead}, nil
}

// DeriveKeys makes a Key that is different in each conversation, so that a leaked
// key of one conversation does not open the others. Its 32 bytes are HKDF-SHA256 of
// the secret, without salt, with the info "fliplet-chat:1:<id>:<conversation id>".
// Derived keys are cached.
//
// The secret has at least 32 random bytes and is copied. For a passphrase that a
// person can remember use [StretchPassphrase]. id is as for [NewKey].
//
// Errors: [ErrInvalid].
func DeriveKeys(id string, secret []byte) (_ *Key, err error) {
	defer wrap("derive keys", &err)
	if len(secret) < keySize {
		return nil, invalid("secret: %d bytes; give at least %d random ones, or use StretchPassphrase", len(secret), keySize)
	}
	k := &Key{id: id, secret: append([]byte(nil), secret...)}
	if _, err := k.derive(1); err != nil { // finds a bad id
		return nil, err
	}
	return k, nil
}

// The cost of argon2id: the second option that RFC 9106 recommends, for machines
// that cannot spare 2 GiB.
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
	minSalt      = 16
)

// StretchPassphrase makes a Key of a passphrase that a person can remember, with
// argon2id (3 passes, 64 MiB, 4 lanes). The call takes a fraction of a second and
// 64 MiB, and so does each guess of an attacker. It does not make a weak passphrase
// safe.
//
// The salt has at least 16 random bytes. It is not secret, and must be the same
// wherever the passphrase is used. id is as for [NewKey].
//
// Errors: [ErrInvalid].
func StretchPassphrase(id, passphrase string, salt []byte) (_ *Key, err error) {
	defer wrap("stretch passphrase", &err)
	if passphrase == "" {
		return nil, invalid("passphrase: empty")
	}
	if len(salt) < minSalt {
		return nil, invalid("salt: %d bytes; give at least %d random ones, and keep them: the key depends on them", len(salt), minSalt)
	}
	if err := checkKeyID(id); err != nil {
		return nil, err // before the expensive part
	}
	text := []byte(passphrase)
	defer clear(text)
	key := argon2.IDKey(text, salt, argonTime, argonMemory, argonThreads, keySize)
	defer clear(key)
	return NewKey(id, key)
}

// ID is the name of the key.
func (k *Key) ID() string { return k.id }

// aead returns the key for a conversation.
func (k *Key) aead(conversationID int64) (*envelope.AEAD, error) {
	if k.fixed != nil {
		return k.fixed, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if a := k.recent.Get(conversationID); a != nil {
		return a, nil
	}
	a, err := k.derive(conversationID)
	if err != nil {
		return nil, err
	}
	k.recent.Put(conversationID, a)
	return a, nil
}

// derive makes the key of a conversation. The caller holds mu, unless k is new.
func (k *Key) derive(conversationID int64) (*envelope.AEAD, error) {
	if k.secret == nil {
		return nil, errWiped
	}
	info := "fliplet-chat:1:" + k.id + ":" + strconv.FormatInt(conversationID, 10)
	key, err := hkdf.Key(sha256.New, k.secret, nil, info, keySize)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return newAEAD(k.id, key)
}

// wipe makes the key unusable and overwrites its secret.
func (k *Key) wipe() {
	if k.fixed != nil {
		k.fixed.Wipe()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.secret)
	k.secret = nil
	k.recent.Wipe()
}

func newAEAD(id string, key []byte) (*envelope.AEAD, error) {
	a, err := envelope.NewAEAD(id, key)
	if err != nil {
		return nil, invalid("id: %w", err)
	}
	return a, nil
}

func checkKeyID(id string) error {
	_, err := newAEAD(id, make([]byte, keySize))
	return err
}

// String names the key and hides it.
func (k *Key) String() string {
	if k == nil {
		return "chat.Key(nil)"
	}
	return "chat.Key(" + k.id + ", redacted)"
}

// GoString is String, for %#v.
func (k *Key) GoString() string { return k.String() }

// Format writes String for every verb.
func (k *Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) } //nolint:errcheck // as fmt itself

// LogValue is String, for log/slog.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText is String, for encoders such as encoding/json.
func (k *Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
