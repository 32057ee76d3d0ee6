package chat

import (
	"context"
)

// Unread is a handle on the messages the user has not read: those without the
// user among their readers, in any of the user's conversations.
type Unread struct{ chat *Chat }

// Unread returns a handle; it makes no request.
func (c *Chat) Unread() Unread { return Unread{c} }

// Get returns all unread messages, oldest first.
//
// Errors: [ErrNotLoggedIn], [ErrClosed].
func (h Unread) Get(ctx context.Context) (_ []*Message, err error) {
	defer wrap("unread messages", &err)
	ctx, s, end, err := h.chat.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	rows, err := h.chat.source.unread(ctx, s)
	if err != nil {
		return nil, err
	}
	return h.chat.messages(ctx, rows, s.userID), nil
}

// Count counts the unread messages.
//
// Errors: [ErrNotLoggedIn], [ErrClosed].
func (h Unread) Count(ctx context.Context) (_ int, err error) {
	defer wrap("count unread messages", &err)
	ctx, s, end, err := h.chat.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	return h.chat.source.countUnread(ctx, s)
}
