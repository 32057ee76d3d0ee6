package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// story is what the people do, written to out as it happens.
type story struct {
	out    io.Writer
	client *datasource.Client
	opts   chat.Options
	// alone: nobody but the people of this story uses the server.
	alone bool
	// timeout is how long a server may take to show what was written.
	timeout time.Duration

	people []*person
	sent   []sent
}

// sent is a message of the story and the people who must get it.
type sent struct {
	*chat.Message
	text    string
	to      []*person
	deleted bool
}

// join logs somebody in and opens their stream.
func (s *story) join(ctx context.Context, name, column, value string) (*person, error) {
	c, err := chat.Connect(ctx, s.opts)
	if err != nil {
		return nil, err
	}
	p := &person{name: name, chat: c}
	s.people = append(s.people, p)
	user, err := c.Login(ctx, chat.M{column: chat.M{"$iLike": value}})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p.contactID = user.ID
	if _, err := c.Stream(ctx, p.receive); err != nil {
		return nil, err
	}
	if err := c.Poll(ctx); err != nil {
		return nil, err
	}
	return p, s.check(user.UserID != "" && user.UserID == p.userID(), "%s is contact %d", name, user.ID)
}

// end closes everybody's chat.
func (s *story) end() {
	for _, p := range s.people {
		p.chat.Close()
	}
}

// twoPeople is the part that is played against a real account, too.
func (s *story) twoPeople(ctx context.Context, a, b *person) (*chat.Conversation, error) {
	s.chapter("%s and %s talk", a.name, b.name)
	conv, err := a.chat.Create(ctx, chat.NewConversation{Participants: []int64{b.contactID}})
	if err != nil {
		return nil, err
	}
	again, err := b.chat.Create(ctx, chat.NewConversation{Participants: []int64{a.contactID}})
	if err != nil {
		return nil, err
	}
	if err := s.check(again.ID == conv.ID && !again.IsNew, "whoever opens the conversation, it is the same one, %d", conv.ID); err != nil {
		return nil, err
	}
	var said []*chat.Message
	for i, text := range []string{
		"Hello " + b.name + " 👋", "Hi " + a.name + ", what's up?", "The demo is on Thrusday.", "Don't tell anyone yet!", "Promised",
	} {
		from := a
		if i == 1 || i == 4 {
			from = b
		}
		m, err := s.say(ctx, from, conv, text)
		if err != nil {
			return nil, err
		}
		said = append(said, m)
	}
	for _, part := range []func() error{
		func() error { return s.stored(ctx, conv) },
		func() error { return s.edit(ctx, a, conv, said[2], "The demo is on Thursday.") },
		func() error { return s.read(ctx, b, a) },
		func() error { return s.delete(ctx, a, conv, said[3]) },
	} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	return conv, nil
}

// say sends a text and sees that it arrives.
func (s *story) say(ctx context.Context, from *person, conv *chat.Conversation, text string) (*chat.Message, error) {
	m, err := from.chat.Message(ctx, conv.ID, chat.Draft{Body: text})
	if err != nil {
		return nil, err
	}
	return m, s.arrives(ctx, from, conv, m, text)
}

// arrives checks that a message came once, readable, to everybody in the
// conversation, and not at all to anybody else.
func (s *story) arrives(ctx context.Context, from *person, conv *chat.Conversation, m *chat.Message, text string) error {
	members := conv.Participants().IDs()
	record := sent{Message: m, text: text}
	var names []string
	for _, p := range s.people {
		member := slices.Contains(members, p.userID())
		if err := s.eventually(ctx, p, func() bool { return !member || p.latest(m.ID) != nil }); err != nil {
			return err
		}
		got := p.latest(m.ID)
		switch {
		case !member && got != nil:
			return fmt.Errorf("%s got a message of others", p.name)
		case !member:
			continue
		case got == nil:
			return fmt.Errorf("a message of %s did not reach %s", from.name, p.name)
		case got.Err != nil:
			return fmt.Errorf("%s cannot read a message of %s: %w", p.name, from.name, got.Err)
		case got.Body != text || got.FromUserID != from.userID() || got.ConversationID != conv.ID:
			return fmt.Errorf("%s got another message than the one %s sent", p.name, from.name)
		case p.arrivals(m.ID) != 1:
			return fmt.Errorf("%s got a message of %s %d times", p.name, from.name, p.arrivals(m.ID))
		}
		record.to = append(record.to, p)
		if p != from {
			names = append(names, p.name)
		}
	}
	s.sent = append(s.sent, record)
	s.line(m.CreatedAt, from.name+" → "+strings.Join(names, ", ")+" ✓", text)
	return nil
}

// stored shows what the server has of a conversation.
func (s *story) stored(ctx context.Context, conv *chat.Conversation) error {
	s.chapter("What Fliplet stores")
	rows, err := s.client.Find(ctx, conv.ID, datasource.Query{NoLimit: true})
	if err != nil {
		return err
	}
	for _, m := range s.sent {
		i := slices.IndexFunc(rows, func(r datasource.Entry) bool { return r.ID == m.ID })
		if i < 0 {
			return fmt.Errorf("message %d is not stored", m.ID)
		}
		body, _ := rows[i].Data["body"].(string)
		all, err := json.Marshal(rows[i].Data)
		if err != nil {
			return err
		}
		quoted, err := json.Marshal(m.text)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(body, "U2FsdGVkX1") || strings.Contains(string(all), strings.Trim(string(quoted), `"`)) {
			return fmt.Errorf("message %d is stored as plain text", m.ID)
		}
		if m.ID == s.sent[0].ID {
			s.note("body: %s", body)
		}
	}
	s.tick("all %d bodies are ciphertext", len(s.sent))
	return nil
}

// edit changes a message and sees that the change arrives as one.
func (s *story) edit(ctx context.Context, p *person, conv *chat.Conversation, m *chat.Message, text string) error {
	s.chapter("An edit, read marks, a deletion")
	if _, err := p.chat.UpdateMessage(ctx, conv.ID, m.ID, chat.M{"body": text, "isEdited": true}); err != nil {
		return err
	}
	i := slices.IndexFunc(s.sent, func(r sent) bool { return r.ID == m.ID })
	s.sent[i].text = text
	for _, other := range s.sent[i].to {
		changed := func() bool { got := other.latest(m.ID); return got.IsUpdate && got.Body == text && got.Err == nil }
		if err := s.eventually(ctx, other, changed); err != nil {
			return err
		}
		if !changed() {
			return fmt.Errorf("the edit of %s did not reach %s", p.name, other.name)
		}
	}
	s.line(m.CreatedAt, p.name+" (edited) ✓", text)
	return nil
}

// read marks what p has not read yet, and sees that the writer learns of it.
func (s *story) read(ctx context.Context, p, writer *person) error {
	want := 0
	for _, m := range s.sent {
		if m.FromUserID == writer.userID() && slices.Contains(m.to, p) {
			want++
		}
	}
	unread, err := s.unread(ctx, p)
	if err != nil {
		return err
	}
	if err := s.check(len(unread) == want, "%s has %d unread messages", p.name, len(unread)); err != nil {
		return err
	}
	if err := p.chat.MarkMessagesAsRead(ctx, unread...); err != nil {
		return err
	}
	left, err := s.unread(ctx, p)
	if err != nil {
		return err
	}
	if err := s.check(len(left) == 0, "%s has read them, none is left", p.name); err != nil {
		return err
	}
	seen := func() bool {
		return !slices.ContainsFunc(unread, func(m *chat.Message) bool {
			return !slices.Contains(writer.latest(m.ID).ReadBy, p.userID())
		})
	}
	if err := s.eventually(ctx, writer, seen); err != nil {
		return err
	}
	return s.check(seen(), "%s sees that %s has read them", writer.name, p.name)
}

// unread gives the messages of this story that p has not read. The count has to
// agree when nobody else writes.
func (s *story) unread(ctx context.Context, p *person) ([]*chat.Message, error) {
	list, err := p.chat.Unread().Get(ctx)
	if err != nil {
		return nil, err
	}
	n, err := p.chat.Unread().Count(ctx)
	if err != nil {
		return nil, err
	}
	if s.alone && n != len(list) {
		return nil, fmt.Errorf("%s has %d unread messages, but the count is %d", p.name, len(list), n)
	}
	return slices.DeleteFunc(list, func(m *chat.Message) bool {
		return !slices.ContainsFunc(s.sent, func(r sent) bool { return r.ID == m.ID })
	}), nil
}

// delete takes a message away from everybody.
func (s *story) delete(ctx context.Context, p *person, conv *chat.Conversation, m *chat.Message) error {
	if err := p.chat.DeleteMessage(ctx, conv.ID, m.ID); err != nil {
		return err
	}
	i := slices.IndexFunc(s.sent, func(r sent) bool { return r.ID == m.ID })
	s.sent[i].deleted = true
	for _, other := range s.sent[i].to {
		gone := func() bool { return other.latest(m.ID).IsDeleted }
		if err := s.eventually(ctx, other, gone); err != nil {
			return err
		}
		history, err := other.chat.Messages(ctx, chat.In(conv.ID))
		if err != nil {
			return err
		}
		if !gone() || slices.ContainsFunc(history, func(h *chat.Message) bool { return h.ID == m.ID }) {
			return fmt.Errorf("%s still has the message that %s deleted", other.name, p.name)
		}
	}
	s.tick("%s deleted %q, and it is gone for everybody", p.name, s.sent[i].text)
	return nil
}

// audit looks once more at everything that was sent: on the server, where each
// message is one row, and at each person, who got it once.
func (s *story) audit(ctx context.Context) error {
	var lost, twice int
	count := func(n int) {
		lost += max(0, 1-n)
		twice += max(0, n-1)
	}
	rows := map[int64][]datasource.Entry{}
	for _, m := range s.sent {
		if _, ok := rows[m.ConversationID]; !ok {
			list, err := s.client.Find(ctx, m.ConversationID, datasource.Query{NoLimit: true})
			if err != nil {
				return err
			}
			rows[m.ConversationID] = list
		}
		stored := map[int64]bool{}
		for _, r := range rows[m.ConversationID] {
			if r.Data["guid"] == m.GUID {
				stored[r.ID] = true
			}
		}
		if m.deleted {
			stored[m.ID] = true // the row had to go
		}
		count(len(stored))
	}
	for _, p := range s.people {
		if err := p.chat.Poll(ctx); err != nil {
			return err
		}
		var want int
		for _, m := range s.sent {
			if slices.Contains(m.to, p) {
				count(p.arrivals(m.ID))
				want++
			}
		}
		if got := p.distinct(); s.alone && got != want {
			return fmt.Errorf("%s got %d messages instead of %d", p.name, got, want)
		}
	}
	if lost+twice > 0 {
		return fmt.Errorf("%d messages, %d lost, %d twice", len(s.sent), lost, twice)
	}
	fmt.Fprintf(s.out, "\nok: %d messages, %d lost, %d twice\n", len(s.sent), lost, twice)
	return nil
}

// eventually polls for p until ok holds or the story's timeout is over.
func (s *story) eventually(ctx context.Context, p *person, ok func() bool) error {
	for began := time.Now(); ; {
		if err := p.chat.Poll(ctx); err != nil {
			return err
		}
		if ok() || time.Since(began) >= s.timeout {
			return nil
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *story) chapter(format string, args ...any) { fmt.Fprintf(s.out, "\n"+format+"\n", args...) }

func (s *story) note(format string, args ...any) { fmt.Fprintf(s.out, "  "+format+"\n", args...) }

func (s *story) tick(format string, args ...any) { s.note("✓ "+format, args...) }

// line prints what somebody said, with the server's time.
func (s *story) line(at time.Time, who, text string) {
	s.note("%s  %-18s  %s", at.Local().Format("15:04:05"), who, text)
}

// check ticks off what holds, and is the error that ends the story otherwise.
func (s *story) check(ok bool, format string, args ...any) error {
	if !ok {
		return errors.New("does not hold: " + fmt.Sprintf(format, args...))
	}
	s.tick(format, args...)
	return nil
}
