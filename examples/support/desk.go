package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	chat "github.com/fliplet/fliplet-chat-go"
)

// desk looks after the conversations of all agents of an app, and speaks as them. It keeps no
// state of its own: who waits, and since when, is in the conversations, so a restart loses
// nothing.
type desk struct {
	app      *chat.App
	staff    map[string]bool // flUserIds of those whose messages are answers
	lead     int64           // the contact who is called in
	patience time.Duration
	settled  map[int64]time.Time // as of when nobody waits in a conversation
}

// watch looks at all conversations now and then, until ctx ends. A look costs one
// request, and one more for each conversation in which somebody waits, or in which
// something has happened since the look before.
func (d *desk) watch(ctx context.Context, every time.Duration, failed func(error)) {
	for tick := time.Tick(every); ctx.Err() == nil; {
		if _, err := d.sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
			failed(err) // the next look will find what this one did not
		}
		select {
		case <-tick:
		case <-ctx.Done():
		}
	}
}

// sweep escalates what nobody has answered, and says which conversations that was. One
// that cannot be read or escalated holds up none behind it; the error names them all.
func (d *desk) sweep(ctx context.Context, now time.Time) (escalated []int64, err error) {
	conversations, err := d.app.Conversations(ctx)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, conv := range conversations {
		people := conv.Participants().IDs()
		i := slices.IndexFunc(people, func(id string) bool { return d.staff[id] })
		if i < 0 || conv.UpdatedAt.Equal(d.settled[conv.ID]) {
			continue
		}
		m, err := d.waiting(ctx, conv.ID)
		due := err == nil && m != nil && now.Sub(m.CreatedAt) >= d.patience
		if due {
			err = d.escalate(ctx, people[i], conv, m)
		}
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("conversation %d: %w", conv.ID, err))
		case due:
			escalated = append(escalated, conv.ID)
		case m == nil && now.Sub(conv.UpdatedAt) > time.Minute: // by now every server shows what was said
			d.settled[conv.ID] = conv.UpdatedAt
		}
	}
	return escalated, errors.Join(failed...)
}

// waiting is the oldest message since the last answer; nil if nobody waits.
func (d *desk) waiting(ctx context.Context, conversationID int64) (oldest *chat.Message, err error) {
	for m, err := range d.app.History(ctx, conversationID) { // the newest first
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

// escalate calls the lead in and says so as the agent, which is an answer: the time begins
// anew. The GUID follows from the message, so that one message escalates once, whatever is
// repeated after a failure.
func (d *desk) escalate(ctx context.Context, agent string, conv *chat.Conversation, m *chat.Message) error {
	if err := conv.Participants().Add(ctx, d.lead); err != nil {
		return err
	}
	_, err := d.app.Send(ctx, chat.M{"flUserId": agent}, conv.ID, chat.Draft{
		Body: fmt.Sprintf("Nobody has answered for %v. I have called in the lead.", d.patience),
		GUID: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, "escalation/", m.ID)).String(),
	})
	return err
}
