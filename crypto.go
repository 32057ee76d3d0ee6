package chat

import (
	"context"
	"errors"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Keys gives the passphrase that encrypts the bodies of a conversation. It is
// asked for every message, from several goroutines: keep what is costly to get.
// An error delays nothing else; the message is delivered with it in Message.Err,
// and a send fails with it.
type Keys interface {
	Key(ctx context.Context, conversationID int64) (string, error)
}

// ErrUnreadable: a body is ciphertext that its conversation's key does not open.
// Message.Err matches it; the body is left as it is stored.
var ErrUnreadable = errors.New("body cannot be decrypted")

// conversationKeys are the default Keys: the passphrase in the conversation's
// definition, or one derived from its id where there is none.
type conversationKeys struct{ chat *Chat }

func (k conversationKeys) Key(ctx context.Context, conversationID int64) (string, error) {
	def, err := k.chat.definition(ctx, conversationID)
	if err != nil {
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

// seal encrypts a body for storage, if this Chat encrypts. An empty body stays.
func (c *Chat) seal(ctx context.Context, conversationID int64, body string) (string, error) {
	if !c.opts.EncryptMessages || body == "" {
		return body, nil
	}
	key, err := c.keys().Key(ctx, conversationID)
	if err != nil {
		return "", fmt.Errorf("key of conversation %d: %w", conversationID, err)
	}
	return envelope.SealPassphrase(body, key)
}

// open decrypts a stored body. Plain text passes through: conversations hold both,
// since encryption can be switched on later. On an error the stored text is
// returned with it.
func (c *Chat) open(ctx context.Context, conversationID int64, stored string) (string, error) {
	if !envelope.LooksPassphrase(stored) {
		return stored, nil
	}
	key, err := c.keys().Key(ctx, conversationID)
	if err != nil {
		return stored, fmt.Errorf("%w: key of conversation %d: %w", ErrUnreadable, conversationID, err)
	}
	plain, err := envelope.OpenPassphrase(stored, key)
	if err == nil {
		return plain, nil
	}
	if errors.Is(err, envelope.ErrNotEncrypted) {
		return stored, nil // text that only begins like ciphertext
	}
	return stored, fmt.Errorf("%w: %w", ErrUnreadable, err)
}
