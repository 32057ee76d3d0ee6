package chat

import (
	"context"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/pins"
	"github.com/fliplet/fliplet-chat-go/internal/roster"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Definition is what a conversation's data source says about it.
type Definition struct {
	// Participants are the flUserIds of the members.
	Participants []string
	// RemovedParticipants are the flUserIds of those who left or were removed.
	RemovedParticipants []string
	// Group is what Create was given. Fliplet's widget reads "public", "readOnly" and
	// "type" from it. It is set for one-to-one chats, too.
	Group M
	// Metadata is what Create was given; the SDK does not read it.
	Metadata M

	// all holds every field, also unknown ones.
	all wire.Definition
}

func readDefinition(d wire.Definition) Definition {
	out := Definition{
		Participants: d.List(wire.Participants), RemovedParticipants: d.List(wire.Removed),
		Group: d.Object(wire.Group), Metadata: d.Object(wire.Metadata), all: d,
	}
	if out.Participants == nil {
		out.Participants = []string{}
	}
	return out
}

// Format prints the definition without its content.
func (d Definition) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "definition with %d participants", len(d.Participants))
}

// definition returns a conversation's definition from the cache, or else from the
// server.
func (c *Chat) definition(ctx context.Context, conversationID int64) (wire.Definition, error) {
	if d, ok := c.known.Get(conversationID); ok {
		return d, nil
	}
	return c.freshDefinition(ctx, conversationID)
}

// conversationSource reads the data source of a conversation. Any other data source
// is an error.
func (c *Chat) conversationSource(ctx context.Context, id int64) (*datasource.DataSource, error) {
	ds, err := c.client.DataSource(ctx, id)
	if err != nil {
		return nil, missing(err, "conversation", id)
	}
	if ds.Type != wire.TypeConversation {
		return nil, fmt.Errorf("data source %d is %w: %w", id, roster.ErrNoConversation, ErrNotFound)
	}
	return ds, nil
}

func (c *Chat) freshDefinition(ctx context.Context, conversationID int64) (wire.Definition, error) {
	ds, err := c.conversationSource(datasource.AskAgain(ctx), conversationID) // a stream may wait for it
	if err != nil {
		return wire.Definition{}, err
	}
	d := wire.ParseDefinition(ds.Definition)
	c.known.Put(conversationID, d)
	c.settle(ctx)
	return d, nil
}

// settleOf is settle for what was read for a user, unless they have logged out since: then
// nothing of them may be stored.
func (c *Chat) settleOf(ctx context.Context, s *session) {
	if c.current() == s {
		c.settle(ctx)
	}
}

// settle compares the keys in definitions that were read with those seen before. A
// failure of Storage shows where a key is needed, and who needs one waits for it.
func (c *Chat) settle(ctx context.Context) {
	if c.opts.Keys == nil {
		c.cache.Soon(ctx, func(ctx context.Context) { _ = c.pins.Settle(ctx) })
	}
}

// Values are where the pins of keys are.
func (o *owner) Values() pins.Values { return (*Chat)(o).cacheOf((*Chat)(o).current()) }
func (o *owner) Read(ctx context.Context, id int64) (wire.Definition, error) {
	return (*Chat)(o).freshDefinition(ctx, id)
}
