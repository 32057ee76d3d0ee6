package wire

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// encryptionKey is the field of the passphrase of a conversation's bodies. A key per
// conversation is documented; the field is this SDK's choice. Everybody who can read
// the definition can read the bodies.
const encryptionKey = "encryptionKey"

const alphanumeric = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// BodyKey is the passphrase in a definition, "" when it has none.
func (d Definition) BodyKey() string {
	s, _ := d.Value(encryptionKey).(string)
	return s
}

// BodyKeyIsText reports whether a definition has no passphrase, or one that is text.
func (d Definition) BodyKeyIsText() bool {
	v := d.Value(encryptionKey)
	_, text := v.(string)
	return text || v == nil
}

// SetBodyKey stores a new passphrase of 32 random characters, as Fliplet's clients do.
func (d Definition) SetBodyKey() error { return d.Set(encryptionKey, NewPassphrase()) }

// NewPassphrase returns 32 random characters of 0-9a-zA-Z, about 190 bits.
func NewPassphrase() string {
	out := make([]byte, 0, 32)
	var b [64]byte
	for len(out) < cap(out) {
		rand.Read(b[:]) //nolint:errcheck // never returns an error
		for _, c := range b {
			// 248 is the largest multiple of 62 in a byte, so all characters are equally
			// likely.
			if c < 248 && len(out) < cap(out) {
				out = append(out, alphanumeric[c%62])
			}
		}
	}
	return string(out)
}

// FallbackBodyKey is the passphrase of a conversation that stores none, this SDK's
// choice. Everybody can compute it, so it only obfuscates.
func FallbackBodyKey(conversationID int64) string {
	sum := sha256.Sum256([]byte("fliplet-chat:" + strconv.FormatInt(conversationID, 10)))
	return hex.EncodeToString(sum[:])[:32]
}
