package chat

import (
	"context"
	"unicode/utf8"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// UpdateMessage replaces the columns of a message that data has; the others stay.
// "body" is encrypted if this Chat encrypts. The caller sets "isEdited". "file" takes
// URLs, which replace the list of attachments; only Message uploads files. It returns
// the whole message.
//
// Errors: [ErrInvalid] for no columns; [ErrNotFound]; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) UpdateMessage(ctx context.Context, conversationID, messageID int64, data M) (_ *Message, err error) {
	defer wrap("update message", &err)
	if err := checkIDs(conversationID, messageID); err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, invalid("data: empty; give the columns to change")
	}
	if _, ok := data[wire.UserToken]; ok {
		return nil, invalid("data: column %q is a credential", wire.UserToken)
	}
	patch := wire.CloneMap(data)
	body, hasBody := patch[wire.Body]
	text, isText := body.(string)
	if hasBody && (!isText || !utf8.ValidString(text)) {
		return nil, invalid("data: column %q is not UTF-8 text", wire.Body)
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if err := c.sealPatch(ctx, conversationID, messageID, patch); err != nil {
		return nil, err
	}
	row, err := c.client.Update(ctx, conversationID, messageID, patch)
	if err == nil && len(row.Data) == 0 { // a server may answer without the columns
		row, err = c.client.FindByID(ctx, conversationID, messageID)
	}
	if err != nil {
		return nil, missing(err, "message", messageID)
	}
	s.receiver.Poke()
	row.DataSourceID = conversationID
	return c.message(ctx, row, s.userID), nil
}

// DeleteMessage deletes a message for everybody. Streams deliver it with IsDeleted.
//
// Errors: [ErrInvalid]; [ErrNotFound]; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) DeleteMessage(ctx context.Context, conversationID, messageID int64) (err error) {
	defer wrap("delete message", &err)
	if err := checkIDs(conversationID, messageID); err != nil {
		return err
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := c.client.Delete(ctx, conversationID, messageID); err != nil {
		return missing(err, "message", messageID)
	}
	s.receiver.Poke()
	return nil
}

func checkIDs(conversationID, messageID int64) error {
	if conversationID <= 0 {
		return invalid("conversationID: %d is not the id of a conversation", conversationID)
	}
	if messageID <= 0 {
		return invalid("messageID: %d is not the id of a message", messageID)
	}
	return nil
}
