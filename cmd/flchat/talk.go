package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
)

// What happens to a message, in the field "event" of a line.
const (
	eventMessage = "message"
	eventEdit    = "edit"
	eventRead    = "read"
	eventDelete  = "delete"
	eventGap     = "gap"
)

// messageLine is a message as programs get it.
type messageLine struct {
	Event          string     `json:"event"`
	ID             int64      `json:"id,omitempty"`
	ConversationID int64      `json:"conversationId"`
	Conversation   string     `json:"conversation"`
	From           string     `json:"from,omitempty"`   // flUserId
	Sender         string     `json:"sender,omitempty"` // name
	Body           string     `json:"body"`
	Files          []string   `json:"files,omitempty"`
	ReadBy         []string   `json:"readBy,omitempty"`
	GUID           string     `json:"guid,omitempty"`
	CreatedAt      *time.Time `json:"createdAt,omitempty"`
	UpdatedAt      *time.Time `json:"updatedAt,omitempty"`
	DeletedAt      *time.Time `json:"deletedAt,omitempty"`
	Read           bool       `json:"read"`
	Protection     string     `json:"protection,omitempty"`
	Error          string     `json:"error,omitempty"` // why body is not the text
}

// talk shows messages, one after another.
type talk struct {
	a      *app
	names  *names
	header string // of the conversation and day that were shown last
}

// show writes one message. event says what has happened to it.
func (t *talk) show(ctx context.Context, event string, m *chat.Message) error {
	t.names.learn(ctx, m.FromUserID)
	if t.a.out.json {
		out := messageLine{
			Event: event, ID: m.ID, ConversationID: m.ConversationID, Conversation: t.names.conversation(ctx, m.ConversationID),
			From: m.FromUserID, Body: m.Body, Files: m.Files, ReadBy: m.ReadBy, GUID: m.GUID, CreatedAt: moment(m.CreatedAt), UpdatedAt: moment(m.UpdatedAt),
			DeletedAt: m.DeletedAt, Read: m.IsReadByCurrentUser,
		}
		if m.FromUserID != "" {
			out.Sender = t.names.person(m.FromUserID)
		}
		if !m.IsDeleted {
			out.Protection = m.Protection.String()
		}
		if m.Err != nil {
			out.Error = m.Err.Error()
		}
		return t.a.out.JSON(out)
	}
	at := m.CreatedAt
	text := safe(m.Body)
	look := style("")
	for _, f := range m.Files {
		text = strings.TrimPrefix(text+"\n["+line(f)+"]", "\n")
	}
	switch {
	case event == eventDelete:
		at, text, look = m.UpdatedAt, fmt.Sprintf("(deleted message %d)", m.ID), dim
		if m.DeletedAt != nil {
			at = *m.DeletedAt
		}
	case event == eventRead:
		at, text, look = m.UpdatedAt, fmt.Sprintf("(message %d is read by %s)", m.ID, t.readers(ctx, m)), dim
	case m.Err != nil:
		text, look = "(cannot be read: "+line(m.Err.Error())+")", red
	case event == eventEdit:
		at, text = m.UpdatedAt, fmt.Sprintf("(edited message %d) %s", m.ID, text)
	}
	t.block(ctx, m.ConversationID, at, m.FromUserID, look, text)
	return t.a.out.failure()
}

// readers are those who have read a message, without the one who wrote it.
func (t *talk) readers(ctx context.Context, m *chat.Message) string {
	t.names.learn(ctx, m.ReadBy[:min(len(m.ReadBy), 10)]...)
	var who []string
	for _, id := range m.ReadBy {
		if id != m.FromUserID {
			who = append(who, t.names.person(id))
		}
	}
	if len(who) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(who[:3], ", "), len(who)-3)
	}
	return strings.Join(who, ", ")
}

// gap says what is missing.
func (t *talk) gap(ctx context.Context, g chat.Gap) error {
	if t.a.out.json {
		return t.a.out.JSON(messageLine{Event: eventGap, ID: g.MessageID, ConversationID: g.ConversationID, Conversation: t.names.conversation(ctx, g.ConversationID), Error: g.String()})
	}
	t.a.out.Printf("%s\n", t.a.out.Paint(yellow, "(missing: "+line(g.String())+")"))
	return t.a.out.failure()
}

// block writes a text beside its time and author, or below them where there is little room.
func (t *talk) block(ctx context.Context, conversation int64, at time.Time, from string, look style, text string) {
	p := t.a.out
	at = at.In(t.a.zone)
	width := p.width()
	const nameWidth, narrow = 14, 50
	title, day, number := t.names.conversation(ctx, conversation), at.Format(" · Monday 2 January 2006"), fmt.Sprintf(" (%d)", conversation)
	if header := number + day; header != t.header {
		if t.header != "" {
			p.Printf("\n")
		}
		t.header = header
		if width > 0 && width < narrow {
			day = at.Format(" · 2 Jan 2006")
		}
		if width > 0 {
			title = cut(title, max(width-columns(day)-columns(number), 4))
		}
		p.Printf("%s%s\n", p.Paint(bold, title+day), p.Paint(dim, number))
	}
	clock, name := p.Paint(dim, at.Format("15:04")), t.names.person(from)
	if from == "" {
		name = "-"
	}
	color := tint(from)
	if width > 0 && width < narrow {
		p.Printf("%s %s\n", clock, p.Paint(color, cut(name, max(width-6, 4))))
		for _, l := range wrap(text, max(width-2, 4)) {
			p.Printf("  %s\n", p.Paint(look, l))
		}
		return
	}
	room := 0
	if width > 0 {
		room = width - 5 - 2 - nameWidth - 2
	}
	for i, l := range wrap(text, room) {
		if i == 0 {
			p.Printf("%s  %s  %s\n", clock, p.Paint(color, pad(cut(name, nameWidth), nameWidth)), p.Paint(look, l))
			continue
		}
		p.Printf("%s%s\n", strings.Repeat(" ", 5+2+nameWidth+2), p.Paint(look, l))
	}
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
