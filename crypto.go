package chat

import (
	"context"
	"errors"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Keys gives the passphrase that encrypts the bodies of a conversation, and the keys
// of their files; it is sent nowhere. Key is called for every message, from several
// goroutines: cache what is costly to get. After an error the message is delivered with
// it in Message.Err; a send fails with it. Other messages are not delayed.
//
// The default is the conversation's own key, stored in its definition. A [Keystore]
// is an alternative.
type Keys interface {
	Key(ctx context.Context, conversationID int64) (string, error)
}

// Protection says how well a stored body is protected.
type Protection int

const (
	// Plain text.
	Plain Protection = iota
	// Encrypted in the passphrase format of crypto-js: nobody reads it without the
	// key, but changes are not detected.
	Encrypted
	// Authenticated by a [Cipher]: changes are detected.
	Authenticated
)

// Why a message cannot be read. Each Message.Err matches [ErrUnreadable] and one of
// the others. None of them holds a key or any of the text.
var (
	// ErrUnreadable: a body cannot be shown, for any reason.
	ErrUnreadable = sentinel("the body cannot be read")
	// ErrWrongKey: no known key opens the body. In the passphrase format the body may
	// also be damaged: the format does not distinguish the two.
	ErrWrongKey = sentinel("no key at hand opens the body")
	// ErrTampered: an authenticated body was changed, moved to another conversation
	// or message, or sealed with another key of that name.
	ErrTampered = sentinel("the body was changed after it was sealed")
	// ErrMalformed: a body looks like ciphertext but cannot be decoded. It was damaged
	// or cut off, comes from a later version, or was typed by a person.
	ErrMalformed = sentinel("the body is damaged ciphertext")
	// ErrKeyUnavailable: the key could not be read. [Keys] failed, with its error in
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
		if ctx.Err() == nil { // else the caller gave up, and the next one may succeed
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

// writes is the protection of the bodies that this Chat writes.
func (c *Chat) writes() Protection {
	switch {
	case !c.opts.EncryptMessages:
		return Plain
	case c.opts.Cipher == nil || c.opts.Cipher.readOnly():
		return Encrypted
	}
	return Authenticated
}

// seal encrypts a body for storage, if this Chat encrypts. An empty body stays
// empty.
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

// open returns the text of a stored body. Encryption can be changed later, so a
// conversation may mix plain text, the passphrase format and authenticated bodies;
// each body shows its format.
//
// With an error it returns the body as stored. Refused plain text is left out, so
// that a caller who ignores the error does not show it.
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

// decrypt returns the text of a stored body and how it was protected.
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
		return "", Encrypted, ErrUnprotected // without reading the key
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
			return stored, Plain, nil // plain text that begins like ciphertext
		case envelope.KindBadBase64, envelope.KindTruncated:
			why = ErrMalformed
		}
	}
	return "", Encrypted, fmt.Errorf("%w: %w", why, err)
}

// sealPatch encrypts the body in a patch of a message. An authenticated body is
// bound to the guid of its row, so the row is read first. Without a guid the body is
// bound to the conversation alone.
func (c *Chat) sealPatch(ctx context.Context, conversationID, messageID int64, patch M) error {
	body, hasBody := patch[wire.Body].(string)
	_, hasGUID := patch[wire.GUID]
	_, hasFiles := patch[wire.File]
	hasFiles = hasFiles && c.sealsFiles()
	at := envelope.Binding{ConversationID: conversationID, GUID: wire.Text(patch[wire.GUID])}
	if hasGUID || hasFiles || hasBody && body != "" && c.writes() == Authenticated {
		row, err := c.client.FindByID(ctx, conversationID, messageID)
		if err != nil {
			return missing(err, "message", messageID)
		}
		guid := wire.Text(row.Data[wire.GUID])
		if hasGUID && at.GUID != guid && (hasBody && c.writes() == Authenticated || envelope.LooksAuthenticated(wire.Text(row.Data[wire.Body])) || row.Data[wire.SealedFiles] != nil) {
			return invalid("data: column %q cannot be changed: the message is sealed to it", wire.GUID)
		}
		if !hasGUID {
			at.GUID = guid
		}
		if row.DataSourceID, row.Data[wire.GUID] = conversationID, at.GUID; hasFiles {
			list, err := c.sealedFiles(ctx, row)
			if err == nil {
				err = c.sealFiles(ctx, row, list.Replace(wire.Strings(row.Data[wire.File]), wire.Strings(patch[wire.File])), patch)
			}
			if err != nil {
				return fmt.Errorf("files of message %d: %w", messageID, err)
			}
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

// binding is what a row's body is sealed to.
func binding(row *datasource.Entry) envelope.Binding {
	return envelope.Binding{ConversationID: row.DataSourceID, GUID: wire.Text(row.Data[wire.GUID])}
}
