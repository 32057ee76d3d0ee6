package chat

import (
	"context"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/bodies"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/pins"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Keys gives the passphrase that encrypts the bodies of a conversation, and the keys
// of their files; it is sent nowhere. Key is called for every message, from several
// goroutines: cache what is costly to get. A poll waits for it too, a tenth of a second
// once per conversation, to tell messages that were stored twice. After an error the
// message is delivered with it in Message.Err; a send fails with it. Other messages are
// not delayed.
//
// The default is the conversation's own key, stored in its definition. A [Keystore]
// is an alternative.
type Keys interface {
	Key(ctx context.Context, conversationID int64) (string, error)
}

// Protection says how well a stored body is protected.
type Protection int

const (
	// Plain text, a body under a key that everybody can compute, and whatever was not
	// opened.
	Plain Protection = iota
	// Encrypted in the passphrase format of crypto-js: nobody reads it without the
	// key, but changes are not detected.
	Encrypted
	// Authenticated by a [Cipher]: changes are detected, and so is another sender in
	// version 2 of the format.
	Authenticated
)

// String is a word for the protection.
func (p Protection) String() string {
	switch p {
	case Plain:
		return "none"
	case Encrypted:
		return "encrypted"
	case Authenticated:
		return "authenticated"
	}
	return fmt.Sprintf("Protection(%d)", int(p))
}

// Why a message cannot be read. Each Message.Err matches [ErrUnreadable] and one of
// the others. None of them holds a key or any of the text.
var (
	// ErrUnreadable: a body cannot be shown, for any reason.
	ErrUnreadable = named(bodies.ErrUnreadable)
	// ErrWrongKey: no known key opens the body. In the passphrase format the body may
	// also be damaged: the format does not distinguish the two.
	ErrWrongKey = named(bodies.ErrWrongKey)
	// ErrTampered: an authenticated body was changed, moved to another conversation,
	// message or sender, stored a second time, or sealed with another key of that name. Of
	// a message without text the same is said of the list of its files.
	ErrTampered = named(bodies.ErrTampered)
	// ErrMalformed: a body looks like ciphertext but cannot be decoded. It was damaged
	// or cut off, comes from a later version, or was typed by a person.
	ErrMalformed = named(bodies.ErrMalformed)
	// ErrKeyUnavailable: the key could not be read. [Keys] failed, with its error in
	// the chain, or the [Cipher] is closed, or [ErrKeyChanged].
	ErrKeyUnavailable = named(bodies.ErrKeyUnavailable)
	// ErrUnprotected: the body is readable, but less protected than
	// Options.MinProtection asks for, so it is withheld.
	ErrUnprotected = named(bodies.ErrUnprotected)
	// ErrKeyChanged: the definition of the conversation holds another key than it did
	// before, or none. Neither is used before [Conversation.AcceptKey]. Sends match it,
	// too. An error that matches it matches [ErrKeyUnavailable].
	ErrKeyChanged = named(pins.ErrChanged)
)

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

// genuine tells rows whose body opens under the protection of this Chat. nil: all do.
func (c *Chat) genuine() func(context.Context, *datasource.Entry) bool {
	if !c.opts.EncryptMessages {
		return nil
	}
	return func(ctx context.Context, row *datasource.Entry) bool {
		at, stored := binding(row), row.Data[wire.Body]
		of := at
		if list := row.Data[wire.SealedFiles]; wire.Text(stored) == "" && list != nil {
			of, stored = filesBinding(row), list
		}
		ok := c.bodies.Genuine(ctx, of, stored)
		if !rows.Deleted(row) && ctx.Err() == nil {
			c.bodies.Holds(row.ID, at, ok && envelope.LooksAuthenticated(wire.Text(stored)))
		}
		return ok
	}
}

// sealPatch encrypts the body in a patch of a message. An authenticated body is bound
// to the guid and sender of its row, so the row is read first. Without a guid the body
// is bound to the others alone.
func (c *Chat) sealPatch(ctx context.Context, conversationID, messageID int64, patch M) error {
	body, hasBody := patch[wire.Body].(string)
	_, hasGUID := patch[wire.GUID]
	_, hasFrom := patch[wire.From]
	_, hasFiles := patch[wire.File]
	hasFiles = hasFiles && c.sealsFiles()
	at := envelope.Binding{ConversationID: conversationID}
	if hasGUID || hasFrom || hasFiles || hasBody && body != "" && c.writes() == Authenticated {
		row, err := c.client.FindByID(ctx, conversationID, messageID)
		if err != nil {
			return missing(err, "message", messageID)
		}
		row.DataSourceID = conversationID
		at = binding(row)
		version := max(envelope.Version(wire.Text(row.Data[wire.Body])), envelope.Version(wire.Text(row.Data[wire.SealedFiles])))
		if hasBody && c.writes() == Authenticated {
			version = 2
		}
		changed := func(column, now string) bool { _, has := patch[column]; return has && wire.Text(patch[column]) != now }
		switch {
		case (version > 0 || row.Data[wire.SealedFiles] != nil) && changed(wire.GUID, at.GUID):
			return fmt.Errorf("data: column %q cannot be changed: %w", wire.GUID, ErrSealed)
		case version > 1 && changed(wire.From, at.Sender):
			return fmt.Errorf("data: column %q cannot be changed: %w", wire.From, ErrSealed)
		}
		if hasGUID {
			row.Data[wire.GUID], at.GUID = patch[wire.GUID], wire.Text(patch[wire.GUID])
		}
		if hasFrom {
			row.Data[wire.From], at.Sender = patch[wire.From], wire.Text(patch[wire.From])
		}
		if hasFiles {
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
	sealed, err := c.bodies.Seal(ctx, at, body)
	if err != nil {
		return err
	}
	patch[wire.Body] = sealed
	return nil
}

// binding is what a row's body is sealed to.
func binding(row *datasource.Entry) envelope.Binding {
	return bindingOf(row.DataSourceID, row.Data)
}

func bindingOf(conversationID int64, row M) envelope.Binding {
	return envelope.Binding{ConversationID: conversationID, GUID: wire.Text(row[wire.GUID]), Sender: wire.Text(row[wire.From])}
}
