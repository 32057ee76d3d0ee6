package chat

import (
	"context"
	"errors"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Keys gives the passphrase that encrypts the bodies of a conversation. It is
// asked for every message, from several goroutines: keep what is costly to get.
// An error delays nothing else; the message is delivered with it in Message.Err,
// and a send fails with it.
//
// The default is the conversation's own key, kept in its definition; a [Keystore]
// is another one.
type Keys interface {
	Key(ctx context.Context, conversationID int64) (string, error)
}

// Protection says how well a stored body is protected.
type Protection int

const (
	// Plain text.
	Plain Protection = iota
	// Encrypted in the passphrase format of crypto-js: hidden from who has no key,
	// but not protected against changes.
	Encrypted
	// Authenticated by a [Cipher]: a changed body is noticed.
	Authenticated
)

// Why a message cannot be read. Each Message.Err matches [ErrUnreadable] and one of
// the others; none holds a key or any of the text.
var (
	// ErrUnreadable: a body is not shown, for whatever reason.
	ErrUnreadable = sentinel("the body cannot be read")
	// ErrWrongKey: no key at hand opens the body. In the passphrase format that may
	// as well mean that it was damaged, which the format cannot tell.
	ErrWrongKey = sentinel("no key at hand opens the body")
	// ErrTampered: an authenticated body was changed, moved to another conversation
	// or message, or sealed with another key of that name.
	ErrTampered = sentinel("the body was changed after it was sealed")
	// ErrMalformed: a body looks like ciphertext but cannot be decoded. It was damaged
	// or cut off, comes from a later version, or somebody typed it.
	ErrMalformed = sentinel("the body is damaged ciphertext")
	// ErrKeyUnavailable: the key could not be had: [Keys] failed, whose error is in
	// the chain, or the [Cipher] is closed.
	ErrKeyUnavailable = sentinel("the key of the body is not available")
	// ErrUnprotected: the body is readable, but less protected than
	// Options.MinProtection asks for, so it is withheld.
	ErrUnprotected = sentinel("the body is less protected than Options.MinProtection demands")
)

// conversationKeys are the default Keys: the passphrase in the conversation's
// definition, or one derived from its id where there is none.
type conversationKeys struct{ chat *Chat }

func (k conversationKeys) Key(ctx context.Context, conversationID int64) (string, error) {
	if key, ok := k.chat.known.key(conversationID); ok {
		return key, nil
	}
	if err := k.chat.known.failure(conversationID); err != nil {
		return "", err
	}
	def, err := k.chat.freshDefinition(ctx, conversationID)
	if err != nil {
		if ctx.Err() == nil { // an impatient caller says nothing about the conversation
			k.chat.known.fail(conversationID, err)
		}
		return "", err
	}
	return bodyKey(conversationID, def), nil
}

func bodyKey(conversationID int64, def wire.Definition) string {
	if key := def.BodyKey(); key != "" {
		return key
	}
	return wire.FallbackBodyKey(conversationID)
}

// keys are the Keys in use.
func (c *Chat) keys() Keys {
	if c.opts.Keys != nil {
		return c.opts.Keys
	}
	return conversationKeys{c}
}

// passphrase is a conversation's key in the passphrase format.
func (c *Chat) passphrase(ctx context.Context, conversationID int64) (string, error) {
	key, err := c.keys().Key(ctx, conversationID)
	if err == nil && key == "" {
		err = errors.New("Keys gave an empty passphrase")
	}
	if err != nil {
		return "", fmt.Errorf("%w: conversation %d: %w", ErrKeyUnavailable, conversationID, err)
	}
	return key, nil
}

// writes is the protection that this Chat gives to what it writes.
func (c *Chat) writes() Protection {
	switch {
	case !c.opts.EncryptMessages:
		return Plain
	case c.opts.Cipher == nil || c.opts.Cipher.readOnly():
		return Encrypted
	}
	return Authenticated
}

// seal encrypts a body for storage, if this Chat encrypts. An empty body stays.
func (c *Chat) seal(ctx context.Context, at envelope.Binding, body string) (string, error) {
	writes := c.writes()
	if body == "" || writes == Plain {
		return body, nil
	}
	if writes < c.opts.MinProtection {
		return "", errors.New("the Cipher has no writer, and Options.MinProtection refuses anything else; promote a key")
	}
	if writes == Authenticated {
		return c.opts.Cipher.seal(body, at)
	}
	key, err := c.passphrase(ctx, at.ConversationID)
	if err != nil {
		return "", err
	}
	return envelope.SealPassphrase(body, key)
}

// open gives a stored body to the user. Conversations mix plain text, the
// passphrase format and authenticated bodies, since encryption can be changed
// later: each body says what it is.
//
// With an error comes the body as it is stored, except that text which was refused
// for being plain is left out: whoever ignores the error must not show it.
func (c *Chat) open(ctx context.Context, at envelope.Binding, stored string) (string, error) {
	if stored == "" {
		return "", nil
	}
	body, had, err := c.decrypt(ctx, at, stored)
	if err == nil && had < c.opts.MinProtection {
		if had == Plain {
			stored = ""
		}
		err = ErrUnprotected
	}
	if err != nil {
		return stored, &Error{Op: "read body", Err: fmt.Errorf("%w: %w", ErrUnreadable, err)}
	}
	return body, nil
}

// decrypt reads a stored body and says how it was protected.
func (c *Chat) decrypt(ctx context.Context, at envelope.Binding, stored string) (string, Protection, error) {
	switch {
	case envelope.LooksAuthenticated(stored):
		if c.opts.Cipher == nil {
			return "", Authenticated, fmt.Errorf("%w: Options.Cipher is not set", ErrWrongKey)
		}
		body, err := c.opts.Cipher.open(stored, at)
		return body, Authenticated, err
	case !envelope.LooksPassphrase(stored):
		return stored, Plain, nil
	case c.opts.MinProtection > Encrypted:
		return "", Encrypted, ErrUnprotected // and no need for its key
	}
	key, err := c.passphrase(ctx, at.ConversationID)
	if err != nil {
		return "", Encrypted, err
	}
	body, err := envelope.OpenPassphrase(stored, key)
	if err == nil {
		return body, Encrypted, nil
	}
	why := ErrWrongKey
	if e, ok := errors.AsType[*envelope.Error](err); ok {
		switch e.Kind {
		case envelope.KindNotEncrypted:
			return stored, Plain, nil // text that only begins like ciphertext
		case envelope.KindBadBase64, envelope.KindTruncated:
			why = ErrMalformed
		}
	}
	return "", Encrypted, fmt.Errorf("%w: %w", why, err)
}

// sealPatch encrypts the body in a patch of a message. An authenticated body is
// bound to the guid of its row, which is therefore read first; a row without a guid
// has its body bound to the conversation alone.
func (c *Chat) sealPatch(ctx context.Context, conversationID, messageID int64, patch M) error {
	body, hasBody := patch[wire.Body].(string)
	_, hasGUID := patch[wire.GUID]
	at := envelope.Binding{ConversationID: conversationID, GUID: wire.Text(patch[wire.GUID])}
	if hasGUID || hasBody && body != "" && c.writes() == Authenticated {
		row, err := c.client.FindByID(ctx, conversationID, messageID)
		if err != nil {
			return missing(err, "message", messageID)
		}
		guid := wire.Text(row.Data[wire.GUID])
		if hasGUID && at.GUID != guid && (hasBody && c.writes() == Authenticated || envelope.LooksAuthenticated(wire.Text(row.Data[wire.Body]))) {
			return invalid("data: column %q cannot be changed: the message's body is sealed to it", wire.GUID)
		}
		if !hasGUID {
			at.GUID = guid
		}
	}
	if !hasBody {
		return nil
	}
	sealed, err := c.seal(ctx, at, body)
	if err != nil {
		return err
	}
	patch[wire.Body] = sealed
	return nil
}

// binding is the place of a row's body.
func binding(row *datasource.Entry) envelope.Binding {
	return envelope.Binding{ConversationID: row.DataSourceID, GUID: wire.Text(row.Data[wire.GUID])}
}
