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

// Before begins a [Chat.History] behind a message: with the next older one. The
// message may have been deleted meanwhile.
func Before(m *Message) HistoryOption { return beforeOption{m} }

type pageSizeOption int

func (o pageSizeOption) applyHistory(h *historyOptions) {
	if o <= 0 {
		h.err = invalid("PageSize: %d; give a positive number, or leave it out", int(o))
		return
	}
	h.pageSize = int(o)
}

// PageSize is how many messages a [Chat.History] asks for at a time; default 200.
// A program that shows fifty at a time saves by asking for as many.
func PageSize(n int) HistoryOption { return pageSizeOption(n) }

// History yields the messages of a conversation of the user's, the newest first,
// as far back as the loop goes. Pages are read when the loop gets to them, and none
// after it has ended; nothing is held open in between.
//
// Every message that exists all the while comes exactly once, also where many share
// a timestamp, and whatever is sent or deleted meanwhile; messages sent after the
// loop began are left out, as are deleted ones. Ranging again begins anew.
//
//	for m, err := range c.History(ctx, conv.ID) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(m.Body)
//	}
//
// An error is yielded with a nil message and ends the loop: [ErrInvalid];
// [ErrNotFound] for an unknown conversation; [ErrNotLoggedIn]; [ErrClosed]; the
// context's cause; or what the server said.
func (c *Chat) History(ctx context.Context, conversationID int64, opts ...HistoryOption) iter.Seq2[*Message, error] {
	o := historyOptions{pageSize: batchSize}
	for _, opt := range opts {
		opt.applyHistory(&o)
	}
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

// historyPage reads the page behind a position, and moves the position behind it.
func (c *Chat) historyPage(ctx context.Context, conversationID int64, after *feed.Key, limit int, first bool) (_ []*Message, more bool, err error) {
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, false, err
	}
	defer end()
	page, err := s.rows.Older(ctx, conversationID, *after, limit)
	if err != nil {
		return nil, false, err
	}
	if first && !page.More && len(page.Rows) == 0 {
		// Empty, or no conversation at all?
		if _, err := c.freshDefinition(ctx, conversationID); err != nil {
			return nil, false, err
		}
	}
	*after = page.Next
	return c.messages(ctx, page.Rows, s.userID), page.More, nil
}
