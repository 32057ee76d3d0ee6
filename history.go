package chat

import (
	"context"
	"iter"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// HistoryOption changes a [Chat.History].
type HistoryOption interface{ applyHistory(*historyOptions) }

type historyOptions struct {
	before   feed.Key
	pageSize int
	err      error
}

type beforeOption struct{ m *Message }

func (o beforeOption) applyHistory(h *historyOptions) {
	if o.m == nil || o.m.ID <= 0 || o.m.CreatedAt.IsZero() {
		h.err = invalid("Before: want a message with ID and CreatedAt")
		return
	}
	h.before = feed.Key{Time: rows.Micros(o.m.CreatedAt), ID: o.m.ID}
}

// Before begins a [Chat.History] with the message next older than m. m may have been
// deleted meanwhile. Only its ID and CreatedAt are used.
func Before(m *Message) HistoryOption { return beforeOption{m} }

type pageSizeOption int

func (o pageSizeOption) applyHistory(h *historyOptions) {
	if o <= 0 {
		h.err = invalid("PageSize: %d; give a positive number, or leave it out", int(o))
		return
	}
	h.pageSize = int(o)
}

// beforeKeyOption is Before for a place of which no message is known.
type beforeKeyOption feed.Key

func (o beforeKeyOption) applyHistory(h *historyOptions) { h.before = feed.Key(o) }

// PageSize is how many messages a [Chat.History] reads with one request. Default 200.
func PageSize(n int) HistoryOption { return pageSizeOption(n) }

// History yields the messages of a conversation, newest first. Each page is read when
// the loop gets to it; nothing is held open in between.
//
// A message that exists during the whole loop comes exactly once, also when many
// share a timestamp or others are sent or deleted meanwhile. Deleted messages are
// left out, and so are those sent after the loop began. Ranging again begins anew.
//
//	for m, err := range c.History(ctx, conv.ID) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(m.Body)
//	}
//
// An error is yielded with a nil message and ends the loop: [ErrInvalid];
// [ErrNotFound]; [ErrNotLoggedIn]; [ErrClosed]; the
// context's cause; or what the server said.
func (c *Chat) History(ctx context.Context, conversationID int64, opts ...HistoryOption) iter.Seq2[*Message, error] {
	o := chosen(historyOptions{pageSize: batchSize}, opts, HistoryOption.applyHistory)
	if conversationID <= 0 {
		o.err = invalid("conversationID: %d is not the id of a conversation", conversationID)
	}
	return func(yield func(*Message, error) bool) {
		err, after := o.err, o.before
		for first := true; err == nil; first = false {
			var page []*Message
			var more bool
			if page, more, err = c.historyPage(ctx, conversationID, &after, o.pageSize, first); err != nil {
				break
			}
			for _, m := range page {
				if !yield(m, nil) {
					return
				}
			}
			if !more {
				return
			}
		}
		wrap("history", &err)
		yield(nil, err)
	}
}

// historyPage reads the page after a position, and moves the position to its end.
func (c *Chat) historyPage(ctx context.Context, conversationID int64, after *feed.Key, limit int, first bool) (_ []*Message, more bool, err error) {
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, false, err
	}
	defer end()
	if err := s.roster.Check(ctx, conversationID); err != nil {
		return nil, false, err
	}
	page, err := s.rows.Older(ctx, conversationID, *after, limit)
	if err != nil {
		return nil, false, err
	}
	if first && !page.More && len(page.Rows) == 0 {
		// Find out whether the conversation is empty or does not exist.
		if _, err := c.freshDefinition(ctx, conversationID); err != nil {
			return nil, false, err
		}
	}
	*after = page.Next
	return c.messages(ctx, page.Rows, s.userID), page.More, nil
}

// Fill yields the messages that a [Gap] stands for: of a [GapHistory] those that a
// stream has left out, newest first, as [Chat.History] does; of a [GapUnreadable] the
// one message, with its Err unless it can be read by now.
//
// Cost: one request for 200 messages; two for a GapUnreadable. An error is yielded with
// a nil message and ends the loop: [ErrInvalid] for a gap without a kind or
// conversation, and those of History.
func (c *Chat) Fill(ctx context.Context, gap Gap) iter.Seq2[*Message, error] {
	switch {
	case gap.ConversationID > 0 && gap.Kind == GapHistory && !gap.Before.IsZero():
		return c.History(ctx, gap.ConversationID, beforeKeyOption{Time: rows.Micros(gap.Before), ID: gap.BeforeID})
	case gap.ConversationID > 0 && gap.Kind == GapUnreadable && gap.MessageID > 0:
		return func(yield func(*Message, error) bool) { yield(c.gapMessage(ctx, gap)) }
	}
	return func(yield func(*Message, error) bool) {
		err := invalid("gap: want one that OnGap was called with")
		wrap("fill", &err)
		yield(nil, err)
	}
}

// gapMessage reads the message of a GapUnreadable.
func (c *Chat) gapMessage(ctx context.Context, gap Gap) (*Message, error) {
	conversation, err := c.Conversation(ctx, gap.ConversationID)
	if err != nil {
		return nil, err
	}
	return conversation.Messages().Get(ctx, gap.MessageID)
}
