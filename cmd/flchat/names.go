package main

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/google/uuid"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
)

// lookUps is how many people are looked for one by one who are not found together: those
// whose id is derived and not stored yet.
const lookUps = 5

// names knows what people and conversations are called.
type names struct {
	c             *chat.Chat
	people        map[string]string // by flUserId; "" for somebody without a name
	conversations map[int64]*chat.Conversation
}

func newNames(c *chat.Chat) *names {
	n := &names{c: c, people: map[string]string{}, conversations: map[int64]*chat.Conversation{}}
	if me := c.User(); me != nil {
		n.people[me.UserID] = contactName(me.Data)
	}
	return n
}

// learn looks up people who are not known yet, in one request for a hundred of them. Who is not found
// is shown by the id: a name is not worth a failure.
func (n *names) learn(ctx context.Context, ids ...string) {
	var unknown []string
	for _, id := range ids {
		if _, ok := n.people[id]; !ok && id != "" && !slices.Contains(unknown, id) {
			unknown = append(unknown, id)
		}
	}
	for some := range slices.Chunk(unknown, 100) {
		found, err := n.c.Contacts(ctx, chat.Where(chat.M{"flUserId": chat.M{"$in": some}}))
		if err != nil {
			return
		}
		for _, p := range found {
			n.people[p.UserID] = cmp.Or(n.people[p.UserID], contactName(p.Data))
		}
		asked := 0
		for _, id := range some {
			if _, ok := n.people[id]; ok {
				continue
			}
			n.people[id] = ""
			if asked++; asked <= lookUps {
				if p, err := n.c.ContactByUserID(ctx, id); err == nil {
					n.people[id] = contactName(p.Data)
				}
			}
		}
	}
}

// person is what somebody is called, on one line.
func (n *names) person(id string) string {
	return cmp.Or(n.people[id], cmp.Or(line(id), "somebody"))
}

// load reads the user's conversations, and who is in them.
func (n *names) load(ctx context.Context) ([]*chat.Conversation, error) {
	all, err := n.c.Conversations(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, conv := range all {
		n.conversations[conv.ID] = conv
		if title(conv) == "" {
			ids = append(ids, conv.Definition.Participants[:min(len(conv.Definition.Participants), 10)]...)
		}
	}
	n.learn(ctx, ids...)
	return all, nil
}

// conversation is what a conversation is called: its name, or who is in it.
func (n *names) conversation(ctx context.Context, id int64) string {
	conv := n.conversations[id]
	if conv == nil { // it has begun since
		var err error
		if conv, err = n.c.Conversation(ctx, id); err != nil {
			return fmt.Sprintf("conversation %d", id)
		}
		n.conversations[id] = conv
		n.learn(ctx, conv.Definition.Participants[:min(len(conv.Definition.Participants), 10)]...)
	}
	if name := title(conv); name != "" {
		return name
	}
	var others []string
	for _, p := range conv.Definition.Participants {
		if me := n.c.User(); me == nil || p != me.UserID {
			others = append(others, n.person(p))
		}
	}
	switch {
	case len(others) == 0:
		return fmt.Sprintf("conversation %d", id)
	case len(others) > 3:
		return fmt.Sprintf("%s and %d more", strings.Join(others[:3], ", "), len(others)-3)
	}
	return strings.Join(others, ", ")
}

// title is the name that somebody gave a conversation, "" without one: clients then make up a UUID.
func title(conv *chat.Conversation) string {
	name := line(conv.Name)
	if _, err := uuid.Parse(name); err == nil {
		return ""
	}
	return name
}

// contactName is the first of the usual columns that holds something, on one line.
func contactName(data chat.M) string { return line(archive.NameIn(data)) }

// tint is the colour of somebody, always the same one.
func tint(id string) style {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	tints := []style{green, yellow, blue, magenta, cyan}
	return tints[int(h.Sum32())%len(tints)]
}
