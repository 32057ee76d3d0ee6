package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/unanswered"
)

// desk looks after the conversations of all agents of an app, and speaks as them. It keeps no
// state of its own: who waits, and since when, is in the conversations, so a restart loses
// nothing.
type desk struct {
	app      *chat.App
	waiting  unanswered.Finder
	staff    map[string]bool // flUserIds of those whose messages are answers
	lead     int64           // the contact who is called in
	patience time.Duration
}

func newDesk(app *chat.App, staff map[string]bool, lead int64, patience time.Duration) *desk {
	d := &desk{app: app, staff: staff, lead: lead, patience: patience}
	d.waiting = unanswered.Finder{
		Source:  app,
		Answers: func(m *chat.Message) bool { return staff[m.FromUserID] },
		Only:    func(conv *chat.Conversation) bool { return d.agent(conv) != "" },
	}
	return d
}

// agent is who speaks in a conversation: the first of the staff who is in it, "" if nobody is.
func (d *desk) agent(conv *chat.Conversation) string {
	people := conv.Participants().IDs()
	if i := slices.IndexFunc(people, func(id string) bool { return d.staff[id] }); i >= 0 {
		return people[i]
	}
	return ""
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
	err = d.waiting.Each(ctx, func(w unanswered.Waiting) error {
		if now.Sub(w.Message.CreatedAt) < d.patience {
			return nil
		}
		if err := d.escalate(ctx, w.Conversation, w.Message); err != nil {
			return err
		}
		escalated = append(escalated, w.Conversation.ID)
		return nil
	})
	return escalated, err
}

// escalate calls the lead in and says so as the agent, which is an answer: the time begins
// anew. The GUID follows from the message, so that one message escalates once, whatever is
// repeated after a failure.
func (d *desk) escalate(ctx context.Context, conv *chat.Conversation, m *chat.Message) error {
	agent := d.agent(conv) // before the lead is in it
	if err := conv.Participants().Add(ctx, d.lead); err != nil {
		return err
	}
	_, err := d.app.Send(ctx, chat.M{"flUserId": agent}, conv.ID, chat.Draft{
		Body: fmt.Sprintf("Nobody has answered for %v. I have called in the lead.", d.patience),
		GUID: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, "escalation/", m.ID)).String(),
	})
	return err
}
