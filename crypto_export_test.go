package chat

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
)

// Seal and Open use a Cipher as a Chat does.
func Seal(c *Cipher, conversationID int64, guid, sender, body string) (string, error) {
	return c.seal(body, envelope.Binding{ConversationID: conversationID, GUID: guid, Sender: sender})
}

func Open(c *Cipher, conversationID int64, guid, sender, stored string) (string, error) {
	return c.open(stored, envelope.Binding{ConversationID: conversationID, GUID: guid, Sender: sender})
}

// CachedKeys is how many derived keys a Key keeps.
func CachedKeys(k *Key) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.recent.Len()
}

// Wiped reports whether a Key is unusable and its secret is gone.
func Wiped(k *Key) bool {
	_, err := k.aead(1)
	if k.fixed != nil {
		_, err = k.fixed.Seal("x", envelope.Binding{ConversationID: 1})
	}
	return err != nil && k.secret == nil && CachedKeys(k) == 0
}

// DerivedFor is the derivation as docs/encryption.md states it.
func DerivedFor(t *testing.T, secret []byte, id string, conversationID int64) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, fmt.Sprintf("fliplet-chat:1:%s:%d", id, conversationID), 32)
	require.NoError(t, err)
	return key
}

// Argon2id is the stretching as docs/encryption.md states it.
func Argon2id(passphrase string, salt []byte, time, memory uint32, lanes uint8) []byte {
	return argon2.IDKey([]byte(passphrase), salt, time, memory, lanes, 32)
}

// KnownKeys is how many conversations' keys a Chat remembers.
func KnownKeys(c *Chat) int {
	return c.known.Len()
}
