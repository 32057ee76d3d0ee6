package bodies

import (
	"context"
	"errors"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/few"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Keys gives a conversation's key. It may make requests.
type Keys interface {
	Key(ctx context.Context, conversation int64) (string, error)
}

// OwnKeys are the keys in definitions.
type OwnKeys interface {
	Keys
	// KeyToWrite is Key for bodies that are written.
	KeyToWrite(ctx context.Context, conversation int64) (string, error)
	// AtHand is Key without a request, false for a key that is not known yet.
	AtHand(conversation int64) (string, bool)
}

// Writer says how the bodies that somebody writes are protected.
type Writer interface{ Writes() Protection }

// Writes makes a Protection a Writer: it is that of all bodies.
func (p Protection) Writes() Protection { return p }

// Bodies opens and seals bodies. It is safe for concurrent use.
type Bodies struct {
	// Least is the protection below which a body is withheld, and not written.
	Least Protection
	// Writer says how the bodies that are written are protected.
	Writer
	// Sealed and Unsealed make and open authenticated bodies; nil where there are no keys
	// for them.
	Sealed   func(body string, at envelope.Binding) (string, error)
	Unsealed func(stored string, at envelope.Binding) (string, error)
	// Own gives the conversations' keys in the passphrase format, or Keys where it is nil. Keys
	// is asked once, and what opens bodies is remembered.
	Own  OwnKeys
	Keys Keys

	copies few.Rare[copies] // of Sealed bodies
	given  few.Rare[given]  // by Keys
}

// passphrase is the key of a conversation.
func (b *Bodies) passphrase(ctx context.Context, conversation int64) (string, error) {
	if b.Own != nil {
		return b.Own.Key(ctx, conversation)
	}
	return b.Keys.Key(ctx, conversation)
}

// Seal encrypts a body for storage, if bodies are encrypted. An empty body stays
// empty.
func (b *Bodies) Seal(ctx context.Context, at envelope.Binding, body string) (string, error) {
	writes := b.Writes()
	if body == "" || writes == Plain {
		return body, nil
	}
	if writes < b.Least {
		return "", errors.New("the Cipher has no writer, and Options.MinProtection refuses anything else; promote a key")
	}
	if writes == Authenticated {
		return b.Sealed(body, at)
	}
	from := b.passphrase
	if b.Own != nil {
		from = b.Own.KeyToWrite
	}
	key, err := b.usable(ctx, at.ConversationID, from)
	if err != nil {
		return "", err
	}
	return envelope.SealPassphrase(body, key)
}

// Open returns the text of a stored body, and how it was protected. Encryption can be
// changed later, so a conversation may mix plain text, the passphrase format and
// authenticated bodies; each body shows its format. A value that is not text is plain,
// and its text is "".
//
// With an error it returns the body as stored. Refused plain text is left out, so
// that a caller who ignores the error does not show it. The error of a body that is
// withheld, in contrast to one that does not open, comes with the protection that the
// body claims to have.
func (b *Bodies) Open(ctx context.Context, at envelope.Binding, stored any) (string, Protection, error) {
	if stored == nil || stored == "" {
		return "", Plain, nil
	}
	text, isText := stored.(string)
	body, had := wire.Text(stored), Plain
	var computed bool
	var err error
	if isText {
		body, had, computed, err = b.decrypt(ctx, at, text)
	}
	if computed {
		had = Plain
	}
	if err == nil && had < b.Least {
		if !isText || !envelope.LooksPassphrase(text) {
			text = ""
		}
		err = ErrUnprotected
	}
	if err != nil {
		return text, had, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return body, had, nil
}

// decrypt returns the text of a stored body and how it was protected. computed: under
// the key that everybody can compute.
func (b *Bodies) decrypt(ctx context.Context, at envelope.Binding, stored string) (_ string, had Protection, computed bool, err error) {
	switch {
	case envelope.LooksAuthenticated(stored):
		if b.Unsealed == nil {
			return "", Plain, false, fmt.Errorf("%w: Options.Cipher is not set", ErrWrongKey)
		}
		body, err := b.Unsealed(stored, at)
		if err != nil {
			return "", Plain, false, err
		}
		return body, Authenticated, false, nil
	case !envelope.LooksPassphrase(stored):
		return stored, Plain, false, nil
	case b.Least > Encrypted:
		return "", Encrypted, false, ErrUnprotected // without reading the key
	}
	key, err := b.key(ctx, at.ConversationID)
	if err != nil {
		return "", Plain, false, err
	}
	body, had, err := openPassphrase(stored, key)
	if err == nil && b.Own == nil {
		b.given.Get().keep(at.ConversationID, key)
	}
	return body, had, had == Encrypted && key == wire.FallbackBodyKey(at.ConversationID), err
}

// openPassphrase is decrypt of a body in the passphrase format.
func openPassphrase(stored, key string) (string, Protection, error) {
	body, err := envelope.OpenPassphrase(stored, key)
	if err == nil {
		return body, Encrypted, nil
	}
	why := ErrWrongKey
	if e, ok := errors.AsType[*envelope.Error](err); ok {
		switch e.Kind {
		case envelope.KindNotEncrypted:
			return stored, Plain, nil // plain text that begins like ciphertext
		case envelope.KindBadBase64, envelope.KindTruncated:
			why = ErrMalformed
		}
	}
	return "", Plain, fmt.Errorf("%w: %w", why, err)
}

// key is the passphrase of a conversation.
func (b *Bodies) key(ctx context.Context, conversation int64) (string, error) {
	return b.usable(ctx, conversation, b.passphrase)
}

// usable is what from gives, if it may be used. The passphrase that everybody can compute
// protects nothing.
func (b *Bodies) usable(ctx context.Context, conversation int64, from func(context.Context, int64) (string, error)) (string, error) {
	key, err := from(ctx, conversation)
	switch {
	case err != nil:
	case key == "":
		err = errors.New("Keys gave an empty passphrase")
	case b.Least >= Encrypted && key == wire.FallbackBodyKey(conversation):
		err = errors.New("it stores no key of its own, and Options.MinProtection refuses the one that everybody can compute")
	}
	if err != nil {
		return "", fmt.Errorf("%w: conversation %d: %w", ErrKeyUnavailable, conversation, err)
	}
	return key, nil
}

// Genuine reports whether a stored body opens under the protection that bodies are
// written with. Where bodies are written in plain text everything does.
func (b *Bodies) Genuine(ctx context.Context, at envelope.Binding, stored any) bool {
	writes := max(b.Writes(), b.Least)
	if writes == Plain {
		return true
	}
	text, _ := stored.(string)
	switch {
	case envelope.LooksAuthenticated(text):
		if b.Unsealed == nil {
			return false
		}
		_, err := b.Unsealed(text, at)
		return err == nil
	case writes > Encrypted || !envelope.LooksPassphrase(text):
		return false
	}
	key, ok := b.atHand(ctx, at.ConversationID)
	if !ok || b.Least >= Encrypted && key == wire.FallbackBodyKey(at.ConversationID) {
		return false
	}
	_, had, err := openPassphrase(text, key)
	return err == nil && had == Encrypted
}

// Same reports whether a row that was found holds what was to be sent: sealed is what was
// made of it, and both have the same binding. alike compares the texts; nil: they are
// equal. proven: only the sender can have written it, for this send.
func (b *Bodies) Same(ctx context.Context, at envelope.Binding, found, sealed any, alike func(got, want string) bool) (same, proven bool) {
	text, own := wire.Text(found), wire.Text(sealed)
	if text == "" && found != nil && found != "" {
		return false, false // a list or an object
	}
	if text == own || text == "" {
		return text == own, text != "" && text == own && b.Writes() > Plain // of the same attempt
	}
	// Another attempt may have sealed it anew, and Reencrypt may have moved it.
	got, had, _, err := b.decrypt(ctx, at, text)
	if err != nil || had < max(b.Writes(), b.Least) {
		return false, false
	}
	want, _, _, err := b.decrypt(ctx, at, own)
	if err != nil || alike == nil && got != want || alike != nil && !alike(got, want) {
		return false, false
	}
	return true, had == Authenticated
}
