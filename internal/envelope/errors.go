package envelope

import "errors"

// Kind says what was wrong. Its values are stable words that may be stored or logged.
type Kind string

// What reading a body can find. The order of the first five is the order of the checks; see the package comment.
const (
	KindNotEncrypted Kind = "not-encrypted" // plain text: the marker of the passphrase format is not there
	KindBadBase64    Kind = "bad-base64"    // not canonical standard base64
	KindTruncated    Kind = "truncated"     // header or body incomplete
	KindBadPadding   Kind = "bad-padding"   // damaged, or the wrong passphrase or key
	KindBadUTF8      Kind = "bad-utf8"      // decrypted to something that is not text; damaged, or the wrong key
	KindUnauthentic  Kind = "unauthentic"   // not a body sealed under this key for this binding

	// KindWrongKeyID is for callers that choose a key with [KeyID] and hold none of that name. [AEAD.Open] itself
	// answers KindUnauthentic for a foreign key id, like for every other mismatch.
	KindWrongKeyID Kind = "wrong-key-id"
)

// What a caller can do wrong.
const (
	KindBadKey       Kind = "bad-key"       // a key of the wrong length, or an empty passphrase
	KindBadKeyID     Kind = "bad-key-id"    // not 1 to 64 characters of A-Z a-z 0-9 . _ -
	KindBadIV        Kind = "bad-iv"        // an IV that is not 16 bytes
	KindBadPlaintext Kind = "bad-plaintext" // text to seal that is not UTF-8
	KindBadBinding   Kind = "bad-binding"   // a conversation id that is not positive
	KindWiped        Kind = "wiped"         // the AEAD was wiped, or never made by NewAEAD
)

// The classes of failure. Match them with errors.Is; the [Kind] of an [Error] says which member of a class it is.
var (
	// ErrNotEncrypted is KindNotEncrypted: the text is plain, which is not a failure where plain text is allowed.
	ErrNotEncrypted = errors.New("envelope: not encrypted")
	// ErrUnreadable is KindBadBase64, KindTruncated, KindBadPadding or KindBadUTF8.
	ErrUnreadable = errors.New("envelope: unreadable")
	// ErrAuth is KindUnauthentic or KindWrongKeyID.
	ErrAuth = errors.New("envelope: not authentic")
	// ErrInput is a mistake of the caller: one of the KindBad… values about arguments.
	ErrInput = errors.New("envelope: bad argument")
	// ErrWiped is KindWiped.
	ErrWiped = errors.New("envelope: key wiped")
)

// Error is the only error type of this package. It carries a Kind and nothing else, so neither its text nor a dump of
// it can hold a key, a stored text or a plaintext.
type Error struct{ Kind Kind }

// Error describes the kind, naming the argument and the remedy where the caller made a mistake.
func (e *Error) Error() string {
	switch e.Kind {
	case KindNotEncrypted:
		return "envelope: the text is not encrypted"
	case KindBadBase64:
		return "envelope: the ciphertext is not canonical base64"
	case KindTruncated:
		return "envelope: the ciphertext is truncated"
	case KindBadPadding:
		return "envelope: the padding is wrong: another key, or a damaged ciphertext"
	case KindBadUTF8:
		return "envelope: the decrypted bytes are not UTF-8: another key, or a damaged ciphertext"
	case KindUnauthentic:
		return "envelope: not sealed under this key for this conversation, guid and sender"
	case KindWrongKeyID:
		return "envelope: sealed under a key that is not at hand"
	case KindBadKey:
		return "envelope: key: an AEAD takes 32 bytes, raw mode 16, 24 or 32, and a passphrase must not be empty"
	case KindBadKeyID:
		return "envelope: key id: use 1 to 64 characters of A-Z, a-z, 0-9, dot, underscore and hyphen"
	case KindBadIV:
		return "envelope: iv: it takes exactly 16 bytes"
	case KindBadPlaintext:
		return "envelope: plaintext: it must be valid UTF-8"
	case KindBadBinding:
		return "envelope: binding: the conversation id must be positive"
	case KindWiped:
		return "envelope: the key was wiped; make a new AEAD"
	}
	return "envelope: failed" // a Kind from elsewhere may hold anything, so it is not repeated
}

// Unwrap gives the class the kind belongs to, one of the Err… values, or nil for a kind of another package.
func (e *Error) Unwrap() error {
	switch e.Kind {
	case KindNotEncrypted:
		return ErrNotEncrypted
	case KindBadBase64, KindTruncated, KindBadPadding, KindBadUTF8:
		return ErrUnreadable
	case KindUnauthentic, KindWrongKeyID:
		return ErrAuth
	case KindBadKey, KindBadKeyID, KindBadIV, KindBadPlaintext, KindBadBinding:
		return ErrInput
	case KindWiped:
		return ErrWiped
	}
	return nil
}

// Is reports whether target is an Error of the same kind, so that errors.Is(err, &Error{Kind: KindBadPadding}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t != nil && t.Kind == e.Kind
}

func fail(k Kind) error { return &Error{Kind: k} }
