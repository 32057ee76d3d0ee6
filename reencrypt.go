package chat

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/reencrypt"
	"github.com/fliplet/fliplet-chat-go/internal/roster"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Reencryption is the progress of [Chat.Reencrypt].
type Reencryption struct {
	// Seen counts the messages read, over all passes.
	Seen int
	// Moved counts the bodies, and keys of files, written in the new format, including those of earlier,
	// interrupted calls.
	Moved int
	// Unreadable counts the bodies, and keys of files, that this pass did not change because no key opens
	// them or Options.MinProtection refuses them.
	Unreadable int
	// Pass begins at 1. Passes end with one that finds nothing to move, at most the
	// fifth.
	Pass int
	// MessageID is the last message read.
	MessageID int64
}

// Reencrypt moves the bodies of a conversation to the format that this Chat writes:
// to the key that is the Cipher's writer, in version 2 of the format, or without one from plain text to the
// passphrase format. It changes nothing else in the rows, and no body that has the
// format already. progress, which may be nil, is called after each page and each
// write; it must not block.
//
// Reencrypt may be interrupted at any point, even by the end of the process. Its
// progress is kept in Storage, and the next call resumes there. No body is encrypted
// twice. Each of the passes, at least two, makes one request per 200 messages and one
// per body that it moves.
//
// Members can go on writing. The server replaces a body only if it is still the one
// that was read; a message that is edited meanwhile is read again. Further passes
// look for bodies that programs with older options have written meanwhile; change
// the options of those programs first.
//
// For members each move is an edit: streams deliver the message as an update. A body
// that was not authenticated may have been changed by others, and Reencrypt cannot
// detect that. Check such bodies first, or set Options.MinProtection to skip them. The
// sender of a body of version 1 may have been changed, too; afterwards it looks genuine.
//
// Concurrent calls for one conversation are safe, but repeat each other's requests.
// Reencrypt needs no login, but a user who is logged in has to be a member.
//
// Errors: [ErrInvalid] when this Chat does not encrypt; [ErrNotFound];
// [ErrKeyUnavailable]; [ErrClosed]; the server's error. The result is valid also
// with an error.
func (c *Chat) Reencrypt(ctx context.Context, conversationID int64, progress func(Reencryption)) (_ Reencryption, err error) {
	defer wrap("reencrypt", &err)
	if conversationID <= 0 {
		return Reencryption{}, invalid("conversationID: %d is not the id of a conversation", conversationID)
	}
	if err := c.made(); err != nil {
		return Reencryption{}, err
	}
	if c.writes() == Plain {
		return Reencryption{}, invalid("Options.EncryptMessages: not set, so there is nothing to move bodies to")
	}
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return Reencryption{}, err
	}
	defer end()
	if s := c.current(); s != nil {
		err = s.roster.Check(ctx, conversationID)
	} else {
		_, err = c.definition(ctx, conversationID)
	}
	if err != nil {
		return Reencryption{}, err
	}
	target := c.bodyFormat()
	report := func(p reencrypt.Progress) {
		if progress != nil {
			progress(Reencryption(p))
		}
	}
	p, err := reencrypt.Run(ctx, reencrypt.Config{
		Client: c.client, Conversation: conversationID, PageSize: batchSize, Attempts: roster.ChangeAttempts, Log: c.log,
		Store: c.cache.Store(), Key: fmt.Sprintf("fl-chat-reencrypt/%s/%d", c.host(), conversationID), Target: target,
		Reseal: func(ctx context.Context, row *datasource.Entry, column, stored string) (string, error) {
			at := binding(row)
			if column == wire.SealedFiles {
				if _, err := c.sealedFiles(ctx, row); err != nil {
					return "", fmt.Errorf("%w: %w", ErrUnreadable, err)
				}
				at = filesBinding(row)
			}
			return c.reseal(ctx, at, stored, target)
		},
		Skip: func(err error) bool { return errors.Is(err, ErrUnreadable) && !errors.Is(err, ErrKeyUnavailable) },
	}, report)
	return Reencryption(p), missing(wait.Because(ctx, err), "conversation", conversationID)
}

// host is the host of the API.
func (c *Chat) host() string {
	if u, err := url.Parse(c.client.BaseURL()); err == nil && u.Host != "" {
		return u.Host
	}
	return c.client.BaseURL()
}

// bodyFormat names the format that this Chat writes.
func (c *Chat) bodyFormat() string {
	if c.writes() == Authenticated {
		return "version 2, key " + c.opts.Cipher.Writer()
	}
	return "passphrase"
}

// reseal returns a row's body, or list of files, in the format target, "" if it has that already.
func (c *Chat) reseal(ctx context.Context, at envelope.Binding, stored, target string) (string, error) {
	if c.bodyFormat() != target {
		return "", errors.New("the Cipher's writer was changed meanwhile; call again")
	}
	body, _, err := c.bodies.Open(ctx, at, stored)
	if err != nil || body == "" || c.hasFormat(stored, body, target) {
		return "", err
	}
	sealed, err := c.bodies.Seal(ctx, at, body)
	if err != nil {
		return "", err
	}
	// A body that cannot be opened must not replace one that can.
	if again, _, err := c.bodies.Open(ctx, at, sealed); err != nil || again != body {
		return "", errors.Join(errors.New("the sealed body cannot be read back"), err)
	}
	return sealed, nil
}

// hasFormat reports whether a readable body has the format target.
func (c *Chat) hasFormat(stored, body, target string) bool {
	if c.writes() == Authenticated {
		id, _ := envelope.KeyID(stored)
		return envelope.Version(stored) == 2 && "version 2, key "+id == target
	}
	return stored != body
}
