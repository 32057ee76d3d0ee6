package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Channel is a public conversation, joined or not, with the fields of its data source.
// Channels belong to the master app, so all instances of an app share them.
type Channel struct {
	ID            int64
	Name          string
	NParticipants int
	Definition    Definition

	AppID, OrganizationID int64
	CreatedAt, UpdatedAt  time.Time
	// Columns are those that messages of the channel have had.
	Columns []string
	// Hooks and AccessRules are as the server has them. JSON leaves them out: hooks may
	// hold credentials for other services.
	Hooks, AccessRules json.RawMessage
	// Extra holds the fields that have no place above, such as bundle and encrypted.
	Extra map[string]json.RawMessage
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
	out := make([]*Channel, 0, len(list))
	for i := range list {
		if !h.foreign(&list[i]) {
			out = append(out, channel(&list[i]))
		}
	}
	return out, nil
}

// Join makes the user a member and returns the channel as a conversation. Joining
// again changes nothing. It makes four requests, and more while other clients change the
// channel at the same time; one if the user is a member.
//
// Errors: [ErrInvalid] for an id below 1; [ErrNotFound], also for what is no public channel
// of the master app; [ErrNotLoggedIn]; [ErrClosed].
func (h Channels) Join(ctx context.Context, id int64) (_ *Conversation, err error) {
	defer wrap("join channel", &err)
	if err := checkChannel(id); err != nil {
		return nil, err
	}
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
	if err := conv.join(ctx, s, since); err != nil {
		return nil, err
	}
	return conv, nil
}

// Delete moves a public channel to the trash. The server refuses this to the tokens
// of apps.
//
// Errors: those of [Channels.Join].
func (h Channels) Delete(ctx context.Context, id int64) (err error) {
	defer wrap("delete channel", &err)
	if err := checkChannel(id); err != nil {
		return err
	}
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

func checkChannel(id int64) error {
	if id <= 0 {
		return invalid("id: %d is not the id of a channel", id)
	}
	return nil
}

// public reads a channel. Any other data source is an error.
func (h Channels) public(ctx context.Context, id int64) (*datasource.DataSource, error) {
	ds, err := h.chat.client.DataSource(ctx, id)
	if err != nil {
		return nil, missing(err, "channel", id)
	}
	if ds.Type != wire.TypeConversation || !wire.ParseDefinition(ds.Definition).Public() {
		return nil, fmt.Errorf("data source %d is no public channel: %w", id, ErrNotFound)
	}
	if h.foreign(ds) {
		return nil, fmt.Errorf("channel %d belongs to app %d, not to that of Options.MasterAppID, %d: %w", id, ds.AppID, h.chat.opts.MasterAppID, ErrNotFound)
	}
	return ds, nil
}

// foreign reports whether a channel certainly belongs to another app than the master app.
func (h Channels) foreign(ds *datasource.DataSource) bool {
	master := h.chat.opts.MasterAppID
	return master != 0 && ds.AppID != 0 && ds.AppID != master
}

func channel(ds *datasource.DataSource) *Channel {
	def := readDefinition(wire.ParseDefinition(ds.Definition))
	return &Channel{
		ID: ds.ID, Name: ds.Name, Definition: def, NParticipants: len(def.Participants),
		AppID: ds.AppID, OrganizationID: ds.OrganizationID, CreatedAt: ds.CreatedAt, UpdatedAt: ds.UpdatedAt,
		Columns: ds.Columns, Hooks: ds.Hooks, AccessRules: ds.AccessRules, Extra: ds.Extra,
	}
}

// Format prints the channel without its definition.
func (ch Channel) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "channel %d (%d participants)", ch.ID, ch.NParticipants)
}
