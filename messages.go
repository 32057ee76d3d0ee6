package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/where"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Messages returns the latest messages of the user's conversations, oldest first:
// at most [Limit], default 200, from the conversations [In], default all, that match
// [WhereRow]. Deleted messages are left out. With [OrderBy] it returns the first
// messages in that order.
//
// Fewer than the limit means that there are no more. To read older ones, use
// WhereRow(M{"createdAt": M{"$lte": …}}) and skip those you have: several messages
// can share a timestamp.
//
// Errors: [ErrInvalid]; [ErrNotFound] for one of In; [errors.ErrUnsupported] for a WhereRow
// that neither this server nor the SDK can evaluate; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) Messages(ctx context.Context, opts ...MessagesOption) (_ []*Message, err error) {
	defer wrap("messages", &err)
	o := chosen(callOptions{}, opts, MessagesOption.applyMessages)
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := c.searchable(&o); err != nil {
		return nil, err
	}
	if err := c.client.CheckLimits(o.where); err != nil {
		return nil, invalid("WhereRow: %w", err)
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if o.scoped && len(o.in) == 0 {
		return []*Message{}, nil
	}
	if err := s.roster.Check(ctx, o.in...); err != nil {
		return nil, err
	}
	limit := batchSize
	if o.limit != nil {
		limit = *o.limit
	}
	found, err := s.rows.Search(ctx, rows.Search{Where: o.where, Conversations: o.in, Order: rows.Total(o.order), Limit: limit, Offset: o.offset})
	if refused, ok := errors.AsType[*rows.ConditionError](err); ok {
		return nil, fmt.Errorf("WhereRow: %w: %w", errors.ErrUnsupported, refused)
	}
	if err != nil {
		return nil, err
	}
	if len(o.order) == 0 {
		slices.Reverse(found)
	}
	return c.messages(ctx, found, s.userID), nil
}

// ConversationMessages is a handle on the messages of one conversation.
type ConversationMessages struct{ v *Conversation }

// Messages returns a handle; it makes no request.
func (v *Conversation) Messages() ConversationMessages { return ConversationMessages{v} }

// Fetch returns messages of the conversation, oldest first unless [OrderBy] is given,
// and all of them unless [Limit] is given. [Query] takes every option of a query. It makes
// one request unless they are too large
// for one answer, or the server ignores a part of the query; then they are read in parts.
// Of all messages that have more than 256 MiB
// together the largest come without their content and with an Err that matches
// [datasource.ErrRowLimit]. With EncryptMessages [Where] and [OrderBy] must not use the
// text of bodies, as in [Chat.Messages]: the server has only ciphertext.
//
// Errors: [ErrInvalid]; [ErrNotFound]; [ErrNotLoggedIn]; [ErrClosed].
func (h ConversationMessages) Fetch(ctx context.Context, opts ...FetchOption) (_ []*Message, err error) {
	defer wrap("fetch messages", &err)
	o := chosen(callOptions{}, opts, FetchOption.applyFetch)
	q, err := o.find()
	if err != nil {
		return nil, err
	}
	if err := h.v.owner().searchable(&o); err != nil {
		return nil, err
	}
	ctx, s, end, err := h.v.owner().enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if err := s.roster.Check(ctx, h.v.ID); err != nil {
		return nil, err
	}
	if len(q.Order) == 0 && q.Aggregate == nil {
		q.Order = []datasource.Order{{Column: "createdAt", Direction: datasource.Asc}, {Column: "id", Direction: datasource.Asc}}
	}
	rows.Need(&q, wire.MessageColumns()...)
	found, err := s.rows.Find(ctx, h.v.ID, q)
	if err != nil {
		return nil, missing(err, "conversation", h.v.ID)
	}
	o.tell(found.Total)
	if q.Aggregate != nil {
		return aggregated(found.Entries, h.v.ID), nil
	}
	out := h.v.chat.messages(ctx, found.Entries, s.userID)
	for i := range out {
		out[i].Extra = shown(found.Entries[i].Extra)
	}
	return out, nil
}

// aggregated are the rows that an aggregate has made of messages.
func aggregated(found []datasource.Entry, conversationID int64) []*Message {
	out := make([]*Message, len(found))
	for i := range found {
		out[i] = &Message{ConversationID: conversationID, Data: M{}, Extra: shown(found[i].Extra)}
	}
	return out
}

// Get returns one message of the conversation. It makes one request.
//
// Errors: [ErrInvalid] for an id below 1; [ErrNotFound] for a message that does not
// exist or was deleted; [ErrNotLoggedIn]; [ErrClosed].
func (h ConversationMessages) Get(ctx context.Context, id int64) (_ *Message, err error) {
	defer wrap("message", &err)
	if id <= 0 {
		return nil, invalid("id: %d is not the id of a message", id)
	}
	ctx, s, end, err := h.v.owner().enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if err := s.roster.Check(ctx, h.v.ID); err != nil {
		return nil, err
	}
	row, err := h.v.chat.client.FindByID(ctx, h.v.ID, id)
	if err != nil {
		return nil, missing(err, "message", id)
	}
	if rows.Deleted(row) {
		return nil, fmt.Errorf("message %d: %w", id, ErrNotFound)
	}
	return h.v.chat.message(ctx, row, s.userID, false), nil
}

func (c *Chat) messages(ctx context.Context, found []datasource.Entry, userID string) []*Message {
	out := make([]*Message, len(found))
	order := make([]int, len(found)) // by id, so that of two copies the older counts
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(found[a].ID, found[b].ID) })
	for _, i := range order {
		out[i] = c.message(ctx, &found[i], userID, false)
	}
	return out
}

// searchable refuses a search for the text of bodies that are stored encrypted: the
// server would find nothing, or the wrong rows, without an error.
func (c *Chat) searchable(o *callOptions) error {
	if err := c.made(); err != nil {
		return err
	}
	if !c.opts.EncryptMessages {
		return nil
	}
	if where.LooksAt(o.where, wire.Body) {
		option := "Where"
		if o.overRows {
			option = "WhereRow"
		}
		return invalid("%s: column %q is stored encrypted, so the server cannot search it; fetch the messages and look at Message.Body", option, wire.Body)
	}
	if slices.ContainsFunc(o.order, func(ord datasource.Order) bool { return where.Names(ord.Column, wire.Body) }) {
		return invalid("OrderBy: column %q is stored encrypted, so the server cannot sort by it; fetch the messages and sort by Message.Body", wire.Body)
	}
	return nil
}
