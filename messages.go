package chat

import (
	"context"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Messages returns the latest messages of the user's conversations, oldest first:
// at most [Limit], 200 unless given, of those in the conversations [In], matching
// [Where], whose language is that of rows. Deleted ones are left out. With
// [OrderBy] the order is that one, from its beginning.
//
// Fewer than the limit means there are no more. To read on, ask for messages with
// M{"createdAt": M{"$lte": …}} and skip those you have: several messages can share
// a timestamp.
//
// Errors: [ErrInvalid]; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) Messages(ctx context.Context, opts ...MessagesOption) (_ []*Message, err error) {
	defer wrap("messages", &err)
	var o callOptions
	for _, opt := range opts {
		opt.applyMessages(&o)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := c.searchable(&o); err != nil {
		return nil, err
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if o.scoped && len(o.in) == 0 {
		return []*Message{}, nil
	}
	limit := batchSize
	if o.limit != nil {
		limit = *o.limit
	}
	rows, err := c.source.latest(ctx, s, search{where: o.where, conversations: o.in, order: o.order, limit: limit, offset: o.offset})
	if err != nil {
		return nil, err
	}
	if len(o.order) == 0 {
		slices.Reverse(rows)
	}
	return c.messages(ctx, rows, s.userID), nil
}

// ConversationMessages is a handle on the messages of one conversation.
type ConversationMessages struct{ v *Conversation }

// Messages returns a handle; it makes no request.
func (v *Conversation) Messages() ConversationMessages { return ConversationMessages{v} }

// Fetch returns messages of the conversation in the order asked for, by default
// oldest first. [Where] takes a condition over columns here, unlike
// [Chat.Messages]. With EncryptMessages neither Where nor OrderBy may ask for the
// text of bodies, here and there: the server only has ciphertext, so that is refused.
//
// Errors: [ErrInvalid]; [ErrNotFound]; [ErrNotLoggedIn]; [ErrClosed].
func (h ConversationMessages) Fetch(ctx context.Context, opts ...FetchOption) (_ []*Message, err error) {
	defer wrap("fetch messages", &err)
	var o callOptions
	for _, opt := range opts {
		opt.applyFetch(&o)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := h.v.chat.searchable(&o); err != nil {
		return nil, err
	}
	ctx, s, end, err := h.v.chat.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	order := o.order
	if len(order) == 0 {
		order = []datasource.Order{{Column: "createdAt", Direction: datasource.Asc}, {Column: "id", Direction: datasource.Asc}}
	}
	limit := 0
	if o.limit != nil {
		limit = *o.limit
	}
	rows, err := h.v.chat.source.find(ctx, h.v.ID, datasource.Query{Where: o.where, Order: order}, limit, o.offset)
	if err != nil {
		return nil, missing(err, "conversation", h.v.ID)
	}
	return h.v.chat.messages(ctx, rows, s.userID), nil
}

func (c *Chat) messages(ctx context.Context, rows []datasource.Entry, userID string) []*Message {
	out := make([]*Message, len(rows))
	for i := range rows {
		out[i] = c.message(ctx, &rows[i], userID)
	}
	return out
}

// searchable refuses a search that the server cannot do because bodies are stored
// encrypted: it would find nothing, or the wrong rows, without saying so.
func (c *Chat) searchable(o *callOptions) error {
	if err := c.made(); err != nil {
		return err
	}
	if !c.opts.EncryptMessages {
		return nil
	}
	if asksForBody(o.where) {
		return invalid("Where: column %q is stored encrypted, so the server cannot search it; fetch the messages and look at Message.Body", wire.Body)
	}
	if slices.ContainsFunc(o.order, func(ord datasource.Order) bool { return isBody(ord.Column) }) {
		return invalid("OrderBy: column %q is stored encrypted, so the server cannot sort by it; fetch the messages and sort by Message.Body", wire.Body)
	}
	return nil
}

// asksForBody reports whether a condition, in either of the two languages, looks at
// the text of bodies. Whether there is a body at all the server can tell: empty
// ones are stored as they are.
func asksForBody(where any) bool {
	switch where := where.(type) {
	case map[string]any:
		for key, operand := range where {
			switch {
			case isBody(key):
				if !asksForPresence(operand) {
					return true
				}
			case key == "column": // of a $filters condition
				if name, _ := operand.(string); isBody(name) && where["condition"] != "empty" && where["condition"] != "notempty" {
					return true
				}
			case asksForBody(operand):
				return true
			}
		}
	case []map[string]any:
		return slices.ContainsFunc(where, func(m map[string]any) bool { return asksForBody(m) })
	case []any:
		return slices.ContainsFunc(where, asksForBody)
	}
	return false
}

func isBody(column string) bool { return strings.TrimPrefix(column, "data.") == wire.Body }

// asksForPresence reports whether a condition on a column is about having a value.
func asksForPresence(operand any) bool {
	switch operand := operand.(type) {
	case nil:
		return true
	case string:
		return operand == ""
	case map[string]any:
		for op, v := range operand {
			switch op {
			case "$exists":
			case "$eq", "$ne", "$not":
				if !asksForPresence(v) {
					return false
				}
			default:
				return false
			}
		}
		return true
	}
	return false
}

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
