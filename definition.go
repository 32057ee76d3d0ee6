package chat

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
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

// MarshalJSON writes every field except the encryption key, the invite code and tokens.
func (d Definition) MarshalJSON() ([]byte, error) { return d.all.Shown().JSON(), nil }

// Format prints the definition without its content.
func (d Definition) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "definition with %d participants", len(d.Participants))
}

// knownConversations caches the definitions that a session has read, and their keys.
// It holds as many as the user has conversations.
type knownConversations struct {
	mu   sync.Mutex
	defs map[int64]wire.Definition
	keys map[int64]string // of bodies, decoded once
	// failed are conversations that could not be read, and until when not to retry:
	// each message of a page would cost a request.
	failed map[int64]failedRead
}

type failedRead struct {
	err   error
	until time.Time
}

// keyRetryDelay is how long a failure to read a key is remembered.
const keyRetryDelay = 5 * time.Second

func (k *knownConversations) put(id int64, d wire.Definition) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.defs == nil {
		k.defs, k.keys = map[int64]wire.Definition{}, map[int64]string{}
	}
	k.defs[id], k.keys[id] = d, bodyKey(id, d)
	delete(k.failed, id)
}

func (k *knownConversations) get(id int64) (wire.Definition, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	d, ok := k.defs[id]
	return d, ok
}

func (k *knownConversations) key(id int64) (string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.keys[id]
	return key, ok
}

// failure is why a conversation could not be read within keyRetryDelay, or nil.
func (k *knownConversations) failure(id int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f, ok := k.failed[id]; ok && time.Now().Before(f.until) {
		return f.err
	}
	return nil
}

func (k *knownConversations) fail(id int64, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failed == nil {
		k.failed = map[int64]failedRead{}
	}
	k.failed[id] = failedRead{err, time.Now().Add(keyRetryDelay)}
}

func (k *knownConversations) clear() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.defs, k.keys, k.failed = nil, nil, nil
}

// definition returns a conversation's definition from the cache, or else from the
// server.
func (c *Chat) definition(ctx context.Context, conversationID int64) (wire.Definition, error) {
	if d, ok := c.known.get(conversationID); ok {
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
		return nil, fmt.Errorf("data source %d is not a conversation: %w", id, ErrNotFound)
	}
	return ds, nil
}

func (c *Chat) freshDefinition(ctx context.Context, conversationID int64) (wire.Definition, error) {
	ds, err := c.conversationSource(ctx, conversationID)
	if err != nil {
		return wire.Definition{}, err
	}
	d := wire.ParseDefinition(ds.Definition)
	c.known.put(conversationID, d)
	return d, nil
}

// remember caches a conversation's definition.
func (c *Chat) remember(ds *datasource.DataSource) {
	c.known.put(ds.ID, wire.ParseDefinition(ds.Definition))
}
