package main

import (
	"context"
	"fmt"
	"maps"

	chat "github.com/fliplet/fliplet-chat-go"
)

// write makes the conversation, and sends each message as its author, one after
// another. Who has left the conversation leaves it then.
func (p *plan) write(ctx context.Context, w *writers) error {
	open := p.open
	if p.public {
		open = p.openChannel
	}
	conv, err := open(ctx, w)
	if err != nil {
		return err
	}
	for i, draft := range p.drafts {
		author, err := w.login(ctx, p.authors[i])
		if err != nil {
			return err
		}
		if _, err := author.Message(ctx, conv.ID, draft); err != nil {
			return fmt.Errorf("message %d: %w", p.messages[i].ID, err)
		}
	}
	if len(p.left) == 0 {
		return nil
	}
	return conv.Participants().Remove(ctx, contacts(p.left)...)
}

// open returns the conversation in the target, with everybody in it.
func (p *plan) open(ctx context.Context, w *writers) (*chat.Conversation, error) {
	owner, err := w.login(ctx, p.members[0])
	if err != nil {
		return nil, err
	}
	if p.there != 0 {
		conv, err := owner.Conversation(ctx, p.there)
		if err != nil || len(p.left) == 0 {
			return conv, err
		}
		return conv, conv.Participants().Add(ctx, contacts(p.left)...)
	}
	n := chat.NewConversation{Name: p.name, Participants: contacts(p.everybody()[1:]), Metadata: chat.M{}}
	maps.Copy(n.Metadata, p.metadata)
	n.Metadata[migratedFrom] = p.from
	if len(p.group) > 0 {
		n.Group = p.group
	}
	conv, err := owner.Create(ctx, n)
	if err == nil && !conv.IsNew && len(p.left) > 0 {
		return nil, fmt.Errorf("somebody has left it, and all its people have conversation %d meanwhile", conv.ID)
	}
	return conv, err
}

// openChannel returns the channel in the target, with everybody in it.
func (p *plan) openChannel(ctx context.Context, w *writers) (conv *chat.Conversation, err error) {
	var id int64
	for i, who := range p.everybody() {
		c, err := w.login(ctx, who)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if id, err = channelOf(ctx, c, p.name); err != nil {
				return nil, err
			}
		}
		joined, err := c.Channels().Join(ctx, id)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			conv = joined
		}
	}
	return conv, nil
}

// channelOf is the id of the channel of this name, which is made if there is none.
func channelOf(ctx context.Context, c *chat.Chat, name string) (int64, error) {
	list, err := c.Channels().List(ctx)
	if err != nil {
		return 0, err
	}
	for _, channel := range list {
		if channel.Name == name {
			return channel.ID, nil
		}
	}
	channel, err := c.Channels().Create(ctx, name)
	if err != nil {
		return 0, err
	}
	return channel.ID, nil
}

// contacts are the ids of the contacts.
func contacts(people []person) (ids []int64) {
	for _, who := range people {
		ids = append(ids, who.id)
	}
	return ids
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
