package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

// migration copies conversations from one app to another. People are the same if their
// primary key is, apart from case and space. Messages keep their authors, their order
// and their GUIDs, so a migration that was interrupted is simply run again: what is
// there already is found and not stored twice. When they were written is in the column
// "sentAt", since the server stamps rows itself.
//
// What it does not copy: files (their URLs are), and read marks. A one-to-one chat or
// group of the same people becomes the one that exists in the target. Nobody should
// write in the source meanwhile.
type migration struct {
	from, to chat.Options // each with a Client, contacts, an AppID and a PrimaryKey
	dryRun   bool         // only reads
	out      io.Writer
}

// person is a contact in both apps.
type person struct {
	key string
	id  int64 // of the contact in the target
}

// run migrates everything, or says what it would do. It begins only if everybody who
// wrote something exists in the target.
func (m *migration) run(ctx context.Context) error {
	people, err := m.people(ctx)
	if err != nil {
		return err
	}
	sources, err := m.from.Client.DataSources(ctx, datasource.SourceFilter{Type: "conversation", AppID: m.from.AppID})
	if err != nil {
		return err
	}
	slices.SortFunc(sources, func(a, b datasource.DataSource) int { return int(a.ID - b.ID) })
	var plans []plan
	var problems []error
	for i := range sources {
		p, err := m.plan(ctx, &sources[i], people)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		plans = append(plans, p)
		fmt.Fprintf(m.out, "%q: %d people, %d messages\n", p.name, len(p.members), len(p.messages))
	}
	if err := errors.Join(problems...); err != nil || m.dryRun {
		return err
	}
	writers := &writers{opts: m.to, chats: map[string]*chat.Chat{}}
	defer writers.close()
	for _, p := range plans {
		if err := p.write(ctx, writers); err != nil {
			return fmt.Errorf("%q: %w", p.name, err)
		}
	}
	return nil
}

// people maps flUserIds of the source to people of the target.
func (m *migration) people(ctx context.Context) (map[string]person, error) {
	var lists [2][]*chat.Contact
	for i, opts := range []chat.Options{m.from, m.to} {
		c, err := chat.Connect(ctx, opts) // contacts need no login
		if err != nil {
			return nil, err
		}
		lists[i], err = c.Contacts(ctx)
		c.Close()
		if err != nil {
			return nil, err
		}
	}
	ids := map[string]int64{}
	for _, c := range lists[1] {
		ids[keyOf(c, m.to.PrimaryKey)] = c.ID
	}
	people := map[string]person{}
	for _, c := range lists[0] {
		key := keyOf(c, m.from.PrimaryKey)
		if id := ids[key]; id != 0 && key != "" {
			people[c.UserID] = person{key, id}
		} else {
			fmt.Fprintf(m.out, "contact %d of the source is not in the target\n", c.ID)
		}
	}
	return people, nil
}

func keyOf(c *chat.Contact, column string) string {
	text, _ := c.Data[column].(string)
	return strings.ToLower(strings.TrimSpace(text))
}

// plan is one conversation to be written.
type plan struct {
	name     string
	members  []person
	messages []*chat.Message // oldest first
	authors  []person
}

// plan reads a conversation.
func (m *migration) plan(ctx context.Context, ds *datasource.DataSource, people map[string]person) (plan, error) {
	p := plan{name: ds.Name}
	opener, err := chat.NewOpener(chat.OpenerOptions{Source: ds, Keys: m.from.Keys, Cipher: m.from.Cipher})
	if err != nil {
		return p, err
	}
	for offset := 0; ; offset += pageSize {
		rows, err := m.from.Client.Find(ctx, ds.ID, datasource.Query{
			Limit: pageSize, Offset: offset, Order: []datasource.Order{{Column: "createdAt", Direction: datasource.Asc}, {Column: "id", Direction: datasource.Asc}},
		})
		if err != nil {
			return p, err
		}
		for _, row := range rows {
			msg := opener.Message(ctx, row)
			author, known := people[msg.FromUserID]
			switch {
			case msg.IsDeleted:
				continue
			case msg.Err != nil:
				return p, fmt.Errorf("%q: message %d: %w", ds.Name, msg.ID, msg.Err)
			case !known:
				return p, fmt.Errorf("%q: the author of message %d is not in the target", ds.Name, msg.ID)
			}
			p.messages, p.authors = append(p.messages, msg), append(p.authors, author)
		}
		if len(rows) < pageSize {
			break
		}
	}
	for _, id := range participants(ds) {
		if who, known := people[id]; known {
			p.members = append(p.members, who)
		}
	}
	if len(p.members) < 2 {
		return p, fmt.Errorf("%q: fewer than two of its people are in the target", ds.Name)
	}
	return p, nil
}

const pageSize = 200

// write makes the conversation, and sends each message as its author, one after
// another.
func (p *plan) write(ctx context.Context, w *writers) error {
	owner, err := w.login(ctx, p.members[0])
	if err != nil {
		return err
	}
	var others []int64
	for _, who := range p.members[1:] {
		others = append(others, who.id)
	}
	conv, err := owner.Create(ctx, chat.NewConversation{Name: p.name, Participants: others})
	if err != nil {
		return err
	}
	for i, msg := range p.messages {
		author, err := w.login(ctx, p.authors[i])
		if err != nil {
			return err
		}
		draft := chat.Draft{Body: msg.Body, GUID: msg.GUID, Data: chat.M{"sentAt": msg.CreatedAt.Format(time.RFC3339Nano)}}
		for _, url := range msg.Files {
			draft.Files = append(draft.Files, chat.File{URL: url})
		}
		if _, err := author.Message(ctx, conv.ID, draft); err != nil {
			return fmt.Errorf("message %d: %w", msg.ID, err)
		}
	}
	return nil
}

// writers are the people of the target, logged in when they are first needed.
type writers struct {
	opts  chat.Options
	chats map[string]*chat.Chat
}

func (w *writers) login(ctx context.Context, who person) (*chat.Chat, error) {
	if c := w.chats[who.key]; c != nil {
		return c, nil
	}
	c, err := chat.Connect(ctx, w.opts)
	if err != nil {
		return nil, err
	}
	w.chats[who.key] = c
	_, err = c.Login(ctx, chat.M{w.opts.PrimaryKey: chat.M{"$iLike": who.key}})
	return c, err
}

func (w *writers) close() {
	for _, c := range w.chats {
		c.Close()
	}
}
