package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

const (
	sealedMarker = "flsealed:"        // common to all versions, ours to choose
	sealedName1  = sealedMarker + "1" // a version, as it stands in the associated data
	sealedName2  = sealedMarker + "2"
	sealedHeader = sealedName2 + ":" // of what Seal writes
	keySize      = 32
	nonceSize    = 12
	tagSize      = 16
	maxKeyID     = 64
)

// sealedText has one spelling for each byte string, line breaks apart: those are refused by comparing lengths.
var sealedText = base64.RawURLEncoding.Strict()

// AEAD is a key prepared for sealing and opening authenticated envelopes: AES-256-GCM and the name of the key. Make it once
// per key with [NewAEAD] and keep it. It is safe for concurrent use and must not be copied. However it is printed,
// logged or marshalled, it shows its key id and no key.
type AEAD struct {
	keyID  string
	prefix [2][]byte // the part of the associated data that is the same for all bodies, by version
	gcm    atomic.Pointer[cipher.AEAD]
}

// NewAEAD prepares a 32-byte key under the name keyID, which every envelope will show: 1 to 64 characters of A-Z, a-z, 0-9,
// dot, underscore and hyphen. Two keys must not share a name. Errors are [KindBadKey] and [KindBadKeyID]. The key is not
// kept: the caller may overwrite it as soon as NewAEAD has returned.
func NewAEAD(keyID string, key []byte) (*AEAD, error) {
	if !validKeyID(keyID) {
		return nil, fail(KindBadKeyID)
	}
	if len(key) != keySize {
		return nil, fail(KindBadKey)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fail(KindBadKey)
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block) // puts the nonce in front of the ciphertext
	if err != nil {
		return nil, fail(KindBadKey)
	}
	a := &AEAD{keyID: keyID}
	for i, name := range []string{sealedName1, sealedName2} {
		a.prefix[i] = appendField(appendField(nil, name), keyID)
	}
	a.gcm.Store(&gcm)
	return a, nil
}

// KeyID is the name given to [NewAEAD].
func (a *AEAD) KeyID() string { return a.keyID }

// Wipe makes the key unusable: from then on Seal and Open fail with [KindWiped], while calls under way finish. It
// drops the only reference to the expanded key, which Go gives no way to overwrite; the memory is reused when the garbage
// collector gets to it. Calling it again does nothing.
func (a *AEAD) Wipe() { a.gcm.Store(nil) }

// Seal encrypts plaintext, any UTF-8 text, for the place b under a fresh random nonce, as version 2. Errors are [KindBadPlaintext],
// [KindBadBinding] and [KindWiped].
func (a *AEAD) Seal(plaintext string, b Binding) (string, error) {
	gcm := a.gcm.Load()
	switch {
	case gcm == nil:
		return "", fail(KindWiped)
	case !utf8.ValidString(plaintext):
		return "", fail(KindBadPlaintext)
	case b.ConversationID <= 0:
		return "", fail(KindBadBinding)
	}
	// One buffer serves for the associated data, the body and the text, in this order. Sealing in place also leaves no copy
	// of the plaintext behind.
	prefix := a.prefix[1]
	adSize := len(prefix) + b.size(2)
	bodySize := nonceSize + len(plaintext) + tagSize
	textSize := len(sealedHeader) + len(a.keyID) + 1 + sealedText.EncodedLen(bodySize)
	buf := make([]byte, 0, adSize+bodySize+textSize)
	ad := b.append(append(buf, prefix...), 2)
	body := append(ad[adSize:], plaintext...)
	body = (*gcm).Seal(body[:0], nil, body, ad)
	text := append(body[bodySize:], sealedHeader...)
	text = append(text, a.keyID...)
	text = append(text, ':')
	return string(sealedText.AppendEncode(text, body)), nil
}

// Open decrypts what [AEAD.Seal] made under the same key, key id and binding, and what its version 1 made, which did not
// bind the sender. Everything else, whether damaged, moved,
// sealed under another key or no envelope at all, fails with [KindUnauthentic]. Use [LooksAuthenticated] to recognize
// plain text beforehand and [KeyID] to choose the key. After [AEAD.Wipe] it fails with [KindWiped]. An envelope whose
// content is not text fails with [KindBadUTF8].
func (a *AEAD) Open(stored string, b Binding) (string, error) {
	gcm := a.gcm.Load()
	if gcm == nil {
		return "", fail(KindWiped)
	}
	version, keyID, encoded, ok := splitSealed(stored)
	if !ok || keyID != a.keyID {
		return "", fail(KindUnauthentic)
	}
	prefix := a.prefix[version-1]
	adSize := len(prefix) + b.size(version)
	buf := make([]byte, 0, adSize+sealedText.DecodedLen(len(encoded)))
	ad := b.append(append(buf, prefix...), version)
	body, err := sealedText.AppendDecode(ad[adSize:], []byte(encoded))
	if err != nil || sealedText.EncodedLen(len(body)) != len(encoded) {
		return "", fail(KindUnauthentic)
	}
	plaintext, err := (*gcm).Open(body[:0], nil, body, ad)
	if err != nil {
		return "", fail(KindUnauthentic)
	}
	if !utf8.Valid(plaintext) {
		return "", fail(KindBadUTF8)
	}
	return string(plaintext), nil
}

// LooksAuthenticated reports whether stored claims to be an authenticated envelope of any version: it begins with
// "flsealed:". Such text is never plain; see the package comment for why.
func LooksAuthenticated(stored string) bool { return strings.HasPrefix(stored, sealedMarker) }

// KeyID gives the key id an envelope names. It is false when stored is not an envelope of a known version with a complete
// header and room for a body. The name is not authenticated before [AEAD.Open] has succeeded: use it to choose a key and
// for nothing else.
func KeyID(stored string) (string, bool) {
	_, id, _, ok := splitSealed(stored)
	return id, ok
}

// Version gives the version of an envelope, 0 where [KeyID] is false. It is authenticated as little as the key id.
func Version(stored string) int {
	version, _, _, _ := splitSealed(stored)
	return version
}

func splitSealed(stored string) (version int, keyID, encoded string, ok bool) {
	rest, ok := strings.CutPrefix(stored, sealedMarker)
	if !ok || len(rest) < 2 || rest[1] != ':' || rest[0] != '1' && rest[0] != '2' {
		return 0, "", "", false
	}
	keyID, encoded, _ = strings.Cut(rest[2:], ":")
	if !validKeyID(keyID) || len(encoded) < sealedText.EncodedLen(nonceSize+tagSize) {
		return 0, "", "", false
	}
	return int(rest[0] - '0'), keyID, encoded, true
}

func validKeyID(id string) bool {
	if id == "" || len(id) > maxKeyID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// String names the key and hides it.
func (a *AEAD) String() string {
	if a == nil {
		return "envelope.AEAD(nil)"
	}
	return "envelope.AEAD(" + a.keyID + ", key redacted)"
}

// GoString is String, for %#v.
func (a *AEAD) GoString() string { return a.String() }

// Format writes String for every verb, so that no verb prints the fields.
func (a *AEAD) Format(f fmt.State, _ rune) { io.WriteString(f, a.String()) }

// LogValue is String, for log/slog.
func (a *AEAD) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON is String as a JSON string. A key id needs no escaping.
func (a *AEAD) MarshalJSON() ([]byte, error) { return []byte(`"` + a.String() + `"`), nil }
