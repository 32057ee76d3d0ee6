package chat

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Conversation is a one-to-one chat, a group, or a joined channel: a data source
// of type "conversation".
//
// The fields are as of when it was read. Methods that change the conversation update
// them; do not read the fields while such a method runs. The methods themselves are
// safe for concurrent use.
type Conversation struct {
	ID         int64
	Name       string
	Definition Definition
	// UpdatedAt is the time of the last activity.
	CreatedAt, UpdatedAt time.Time
	// IsNew: the call that returned this value created the conversation.
	IsNew bool
	// IsChannel: the conversation is public, so everybody may join.
	IsChannel bool
	// NParticipants counts the members.
	NParticipants int
	// IsGroup: it was created with a Group, has more than two members, or somebody has
	// left. A group that shrank to two members is still a group.
	IsGroup bool

	AppID, OrganizationID int64

	chat   *Chat
	userID string
	told   toldConversation // of one that was read from JSON
	mu     sync.Mutex
	def    wire.Definition
}

// NewConversation says what to create.
type NewConversation struct {
	// Participants are Contact.IDs, not flUserIds, of at least one other person. The
	// user is added.
	Participants []int64
	// Name is the data source's name. Default: a new UUID. Display names of
	// one-to-one chats come from the contacts.
	Name string
	// Group makes the conversation a group, whatever its size, and is stored as
	// Definition.Group; see [Definition]. One that is empty, or has nothing but nulls and
	// "readOnly": false, as Fliplet's widget gives it to one-to-one chats, gets "public": false.
	Group M
	// Metadata is any data of the program's, stored as Definition.Metadata.
	Metadata M
	// AllowInvite gives the conversation an invite code.
	AllowInvite bool
}

// conversation makes the conversation of a data source that was just read.
func (c *Chat) conversation(ds *datasource.DataSource, userID string) *Conversation {
	def := wire.ParseDefinition(ds.Definition)
	c.known.Put(ds.ID, def)
	return c.handle(ds, def, userID)
}

func (c *Chat) handle(ds *datasource.DataSource, def wire.Definition, userID string) *Conversation {
	conv := &Conversation{
		ID: ds.ID, Name: ds.Name, CreatedAt: ds.CreatedAt, UpdatedAt: ds.UpdatedAt,
		AppID: ds.AppID, OrganizationID: ds.OrganizationID, chat: c, userID: userID,
	}
	conv.show(def)
	return conv
}

// show sets the fields from a definition.
func (v *Conversation) show(def wire.Definition) {
	v.def = def
	v.Definition = readDefinition(def)
	v.IsChannel = def.Public()
	v.NParticipants = len(v.Definition.Participants)
	v.IsGroup = !v.IsChannel && (v.NParticipants > 2 || len(v.Definition.RemovedParticipants) > 0 || def.Grouped())
}

// owner is the Chat that read the conversation, or nil for a nil or zero value.
func (v *Conversation) owner() *Chat {
	if v == nil {
		return nil
	}
	return v.chat
}

func (v *Conversation) current() wire.Definition {
	if v == nil {
		return wire.Definition{}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.def
}

// IsMuted reports whether the user muted the conversation.
func (v *Conversation) IsMuted() bool {
	return v != nil && (v.told.muted || v.current().Muted(v.userID))
}

// EncryptionKey is the conversation's own passphrase for message bodies: the one in its
// definition, else one computed from its id, which protects nothing. With Options.Keys
// set, another one is in use. It is "" where there is none to use: after
// [ErrKeyChanged], for a value that was read from JSON, and under Options.MinProtection for
// a computed one and one that Storage has no room to remember. It makes no request, so it
// answers after a removal, too.
func (v *Conversation) EncryptionKey() string {
	if v == nil {
		return ""
	}
	key := v.current().BodyKey()
	switch {
	case v.told.is || v.chat != nil && v.chat.pins.Refused(v.ID):
		return ""
	case key == "" && (v.chat == nil || v.chat.opts.MinProtection < Encrypted):
		return wire.FallbackBodyKey(v.ID)
	}
	return key
}

// InviteCode returns the code with which others can join. It makes one request if
// the conversation had no code when it was read, else none.
//
// Errors: [ErrNoInviteCode] when it was created without AllowInvite; [ErrNotFound].
func (v *Conversation) InviteCode(ctx context.Context) (_ string, err error) {
	defer wrap("invite code", &err)
	ctx, s, end, err := v.owner().enter(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	if err := s.roster.Check(ctx, v.ID); err != nil {
		return "", err
	}
	if code := v.current().InviteCode(); code != "" {
		return code, nil
	}
	if _, err := v.chat.freshDefinition(ctx, v.ID); err != nil {
		return "", err
	}
	if err := s.roster.Check(ctx, v.ID); err != nil {
		return "", err
	}
	if def, _ := v.chat.known.Get(v.ID); def.InviteCode() != "" {
		return def.InviteCode(), nil
	}
	return "", fmt.Errorf("conversation %d: %w", v.ID, ErrNoInviteCode)
}

// Conversations returns the user's conversations and joined channels, latest
// activity first.
//
// One whose definition breaks a limit, see [datasource.ErrRowLimit], is left out and
// logged. With [Offline] the last list is returned from the cache, without a request;
// it is empty if nothing is cached, and without a login. Otherwise it makes one request,
// or two when MasterAppID is not AppID.
//
// Errors: [ErrNotLoggedIn], [ErrOffline], [ErrClosed]; with Offline [ErrClosed] and those
// of Storage only.
func (c *Chat) Conversations(ctx context.Context, opts ...ConversationsOption) (_ []*Conversation, err error) {
	defer wrap("conversations", &err)
	o := chosen(callOptions{}, opts, ConversationsOption.applyConversations)
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	s := c.current()
	switch {
	case s == nil && o.offline:
		return []*Conversation{}, nil // they are somebody's
	case s == nil:
		return nil, ErrNotLoggedIn
	case o.offline:
		out, _, err := c.cachedConversations(ctx, s)
		return out, err
	}
	sources, err := c.memberships(ctx, s)
	if err != nil {
		return nil, err
	}
	out := make([]*Conversation, len(sources))
	for i := range sources {
		out[i] = c.conversation(&sources[i], s.userID)
	}
	return out, nil
}

// Conversation returns one of the user's conversations or joined channels. It makes
// one request.
//
// Errors: [ErrInvalid]; [ErrNotFound] when there is none with this id, or when the
// user is not a member; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) Conversation(ctx context.Context, id int64) (_ *Conversation, err error) {
	defer wrap("conversation", &err)
	if id <= 0 {
		return nil, invalid("id: %d is not the id of a conversation", id)
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	ds, err := c.conversationSource(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.watch == nil && !wire.ParseDefinition(ds.Definition).Has(s.userID) {
		return nil, fmt.Errorf("conversation %d: the user is not a member: %w", id, ErrNotFound)
	}
	conv := c.conversation(ds, s.userID)
	c.settleOf(ctx, s)
	return conv, nil
}

// Conversations returns the conversations and channels of the app, latest activity first, in
// one request, or two when MasterAppID is not AppID. Their handles read and change what a member
// may: see [App.Conversation].
//
// Errors: those of [Chat.Conversations].
func (a *App) Conversations(ctx context.Context) (_ []*Conversation, err error) {
	defer wrap("conversations", &err)
	ctx, end, err := a.watch.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	sources, err := a.watch.listConversations(ctx, a.watch.apps(), nil, nil)
	if err != nil {
		return nil, err
	}
	out := make([]*Conversation, len(sources))
	for i := range sources {
		out[i] = a.watch.conversation(&sources[i], "")
	}
	return out, nil
}

// Conversation is [Chat.Conversation] for any conversation of the app. Its handle reads messages,
// and reads and changes participants, without being one; [Notifications] are of a user, and fail
// with [ErrNotLoggedIn].
func (a *App) Conversation(ctx context.Context, id int64) (*Conversation, error) {
	return a.watch.Conversation(ctx, id)
}

// memberships lists the data sources of the user's conversations, latest activity
// first, even if the server ignores the filters, and caches the list.
func (c *Chat) memberships(ctx context.Context, s *session) ([]datasource.DataSource, error) {
	listed := c.known.Listing(s.userID)
	sources, err := c.listConversations(ctx, c.apps(), wire.ByParticipant(s.userID), func(d wire.Definition) bool { return d.Has(s.userID) })
	if err == nil && len(sources) == 0 {
		err = s.roster.ConfirmNone(ctx)
	}
	if err != nil {
		return nil, err
	}
	defs := make(map[int64]wire.Definition, len(sources))
	for i := range sources {
		defs[sources[i].ID] = wire.ParseDefinition(sources[i].Definition)
	}
	listed(defs)
	c.settleOf(ctx, s)
	s.cache.SaveConversations(ctx, sources)
	return sources, nil
}

// apps are those with conversations of this Chat. A list of them costs one request for
// each.
func (c *Chat) apps() []int64 {
	if c.opts.MasterAppID == c.opts.AppID {
		return []int64{c.opts.AppID}
	}
	return []int64{c.opts.AppID, c.opts.MasterAppID}
}

// listConversations lists those of some apps that keep takes; nil: all.
func (c *Chat) listConversations(ctx context.Context, apps []int64, filter M, keep func(wire.Definition) bool) ([]datasource.DataSource, error) {
	return rows.Conversations(ctx, c.client, c.log, rows.Listing{Apps: apps, Filter: filter, Keep: keep})
}

// Format prints the conversation without its definition.
func (v *Conversation) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "conversation %d (%d participants)", v.ID, v.NParticipants)
}

// AcceptKey says that the conversation's key was rotated: the one that its definition
// has now takes the place of the one that was seen before, for every program that shares
// the Storage. No key is accepted, too; bodies then have the one computed from the id,
// unless Options.MinProtection refuses that, and a key that appears is [ErrKeyChanged]. Ask
// whoever changed the key before: it may have been somebody who wants to read what is sent.
//
// AcceptKey makes one request. Bodies under the former key stay unreadable
// ([ErrWrongKey]). Conversations with Options.Keys need no call.
//
// Errors: [ErrInvalid] for a nil or zero Conversation; [ErrNotFound]; [ErrNotLoggedIn];
// [ErrClosed]; an error when the key is not text. After one of Storage nothing is
// accepted.
func (v *Conversation) AcceptKey(ctx context.Context) (err error) {
	defer wrap("accept key", &err)
	ctx, _, end, err := v.owner().enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := v.chat.pins.Accept(ctx, v.ID); err != nil {
		return fmt.Errorf("conversation %d: %w", v.ID, err)
	}
	if def, ok := v.chat.known.Get(v.ID); ok {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.show(def)
	}
	return nil
}
