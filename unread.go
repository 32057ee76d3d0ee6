package chat

import (
	"context"
	"slices"
)

// Unread is a handle on the messages of the user's conversations that do not have
// the user in ReadBy.
type Unread struct{ chat *Chat }

// Unread returns a handle; it makes no request.
func (c *Chat) Unread() Unread { return Unread{c} }

// maxUnread is how many unread messages Get returns.
const maxUnread = 1000

// Get returns the newest 1,000 unread messages, oldest first. To get the ones before,
// mark these as read. [Unread.Count] counts them all.
//
// Errors: [ErrNotLoggedIn], [ErrClosed].
func (h Unread) Get(ctx context.Context) (_ []*Message, err error) {
	defer wrap("unread messages", &err)
	ctx, s, end, err := h.chat.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	found, err := s.rows.Unread(ctx, maxUnread)
	if err != nil {
		return nil, err
	}
	slices.Reverse(found)
	return h.chat.messages(ctx, found, s.userID), nil
}

// Count counts the unread messages, on the server, with one request or a few. A server
// without the query over all conversations takes at least two for each. Users of an [App] who count
// within 100 ms share requests: one for the list of conversations, and one for 100 of them.
//
// Errors: [ErrNotLoggedIn], [ErrClosed].
func (h Unread) Count(ctx context.Context) (_ int, err error) {
	defer wrap("count unread messages", &err)
	ctx, s, end, err := h.chat.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	if a := h.chat.app; a != nil {
		return a.unread.Count(ctx, s.userID, s.rows.CountUnread)
	}
	return s.rows.CountUnread(ctx)
}
