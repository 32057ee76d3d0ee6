package chat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Channel is a public conversation, joined or not. Channels belong to the master
// app, so all instances of an app share them.
type Channel struct {
	ID            int64
	Name          string
	NParticipants int
	Definition    Definition
}

// Channels is a handle on the public channels.
type Channels struct{ chat *Chat }

// Channels returns a handle; it makes no request.
func (c *Chat) Channels() Channels { return Channels{c} }

// Create makes a public channel. Its creator is not a member until they join.
//
// Errors: [ErrInvalid] for an empty name, [ErrNotLoggedIn], [ErrClosed].
func (h Channels) Create(ctx context.Context, name string) (_ *Channel, err error) {
	defer wrap("create channel", &err)
	if strings.TrimSpace(name) == "" {
		return nil, invalid("name: empty; a channel needs one")
	}
	ctx, _, end, err := h.chat.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	def := wire.NewDefinition()
	if err := errors.Join(def.Set(wire.Participants, []string{}), def.Set(wire.Group, M{"public": true}), def.SetBodyKey()); err != nil {
		return nil, err
	}
	ds, err := h.chat.createSource(ctx, name, h.chat.opts.MasterAppID, def)
	if err != nil {
		return nil, err
	}
	return channel(ds), nil
}

// List returns all public channels, the one with the latest activity first. It makes
// one request.
func (h Channels) List(ctx context.Context) (_ []*Channel, err error) {
	defer wrap("list channels", &err)
	ctx, _, end, err := h.chat.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	list, err := h.chat.listConversations(ctx, []int64{h.chat.opts.MasterAppID}, wire.ByPublic(), wire.Definition.Public)
	if err != nil {
		return nil, err
	}
	out := make([]*Channel, len(list))
	for i := range list {
		out[i] = channel(&list[i])
	}
	return out, nil
}

// Join makes the user a member and returns the channel as a conversation. Joining
// again changes nothing. It makes four requests, and more while other clients change the
// channel at the same time; one if the user is a member.
//
// Errors: [ErrNotFound]; [ErrInvalid] when the conversation is not public;
// [ErrNotLoggedIn]; [ErrClosed].
func (h Channels) Join(ctx context.Context, id int64) (_ *Conversation, err error) {
	defer wrap("join channel", &err)
	ctx, s, end, err := h.chat.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	since := time.Now()
	ds, err := h.public(ctx, id)
	if err != nil {
		return nil, err
	}
	conv := h.chat.conversation(ds, s.userID)
	if err := conv.join(ctx, since); err != nil {
		return nil, err
	}
	s.receiver.Joined()
	return conv, nil
}

// Delete moves a public channel to the trash. The server refuses this to the tokens
// of apps.
//
// Errors: [ErrNotFound]; [ErrInvalid] when the data source is not a public channel;
// [ErrNotLoggedIn]; [ErrClosed].
func (h Channels) Delete(ctx context.Context, id int64) (err error) {
	defer wrap("delete channel", &err)
	ctx, _, end, err := h.chat.enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	if _, err := h.public(ctx, id); err != nil {
		return err
	}
	return missing(h.chat.client.DeleteDataSource(ctx, id), "channel", id)
}

// public reads a channel. Any other data source is an error.
func (h Channels) public(ctx context.Context, id int64) (*datasource.DataSource, error) {
	if id <= 0 {
		return nil, invalid("id: %d is not the id of a channel", id)
	}
	ds, err := h.chat.client.DataSource(ctx, id)
	if err != nil {
		return nil, missing(err, "channel", id)
	}
	if ds.Type != wire.TypeConversation || !wire.ParseDefinition(ds.Definition).Public() {
		return nil, fmt.Errorf("%w id: data source %d is no public channel", ErrInvalid, id)
	}
	return ds, nil
}

func channel(ds *datasource.DataSource) *Channel {
	def := readDefinition(wire.ParseDefinition(ds.Definition))
	return &Channel{ID: ds.ID, Name: ds.Name, Definition: def, NParticipants: len(def.Participants)}
}
