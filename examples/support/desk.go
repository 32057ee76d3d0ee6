package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	chat "github.com/fliplet/fliplet-chat-go"
)

// desk looks after the conversations of a support account. It keeps no state of its
// own: who waits, and since when, is in the conversations, so a restart loses nothing.
type desk struct {
	chat     *chat.Chat
	staff    map[string]bool // flUserIds of those whose messages are answers
	lead     int64           // the contact who is called in
	patience time.Duration
}

// watch looks at all conversations now and then, until ctx ends. A look costs one
// request, and one more for each conversation.
func (d *desk) watch(ctx context.Context, every time.Duration, failed func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		if _, err := d.sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
			failed(err) // the next look will find what this one did not
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// sweep escalates what nobody has answered, and says which conversations that was. One
// that cannot be read or escalated holds up none behind it; the error names them all.
func (d *desk) sweep(ctx context.Context, now time.Time) (escalated []int64, err error) {
	conversations, err := d.chat.Conversations(ctx)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, conv := range conversations {
		m, err := d.waiting(ctx, conv)
		due := err == nil && m != nil && now.Sub(m.CreatedAt) >= d.patience
		if due {
			err = d.escalate(ctx, conv, m)
		}
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("conversation %d: %w", conv.ID, err))
		case due:
			escalated = append(escalated, conv.ID)
		}
	}
	return escalated, errors.Join(failed...)
}

// waiting is the oldest message since the last answer; nil if nobody waits.
func (d *desk) waiting(ctx context.Context, conv *chat.Conversation) (oldest *chat.Message, err error) {
	for m, err := range d.chat.History(ctx, conv.ID) { // the newest first
		switch {
		case err != nil:
			return nil, err
		case d.staff[m.FromUserID]:
			return oldest, nil
		case !m.IsDeleted:
			oldest = m
		}
	}
	return oldest, nil
}

// escalate calls the lead in and says so, which is an answer: the time begins anew.
// The GUID follows from the message, so that one message escalates once, whatever is
// repeated after a failure.
func (d *desk) escalate(ctx context.Context, conv *chat.Conversation, m *chat.Message) error {
	if err := conv.Participants().Add(ctx, d.lead); err != nil {
		return err
	}
	_, err := d.chat.Message(ctx, conv.ID, chat.Draft{
		Body: fmt.Sprintf("Nobody has answered for %v. I have called in the lead.", d.patience),
		GUID: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, "escalation/", m.ID)).String(),
	})
	return err
}
