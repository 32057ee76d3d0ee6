package chat

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/roster"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Create makes a conversation of the user and the given contacts. If exactly these
// people have one already, it is returned with IsNew false; its Name, Group and
// Metadata are not changed. Channels do not count, nor do groups that somebody has
// left.
//
// It makes four requests, two if the conversation is there already. Participants without
// flUserId cost one more, together: it is stored. Without Options.PrimaryKey they cost
// none, since nobody can have a conversation with people who have had no id. The first
// call of a Chat without Options.AppID costs one more.
//
// The server does not keep two clients from creating the same conversation at once.
// Both then get the one with the lower id; the duplicate stays unused.
//
// What is refused here, with [ErrInvalid], [ErrContactNotFound] or [datasource.ErrRowLimit],
// has written nothing. When the server refuses the new conversation, or fails at it,
// participants without flUserId may have got theirs: it is the one that they would have
// got with their first login.
//
// Errors: [ErrInvalid] for no participants, or for only the user, and, with
// [datasource.ErrRowLimit], for a Group or Metadata that could not be read again, see
// [datasource.Client.CheckLimits]; [datasource.ErrRowLimit] alone if that shows with the
// participants' flUserIds only; [ErrContactNotFound] naming the id, and for the user under
// several ids; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) Create(ctx context.Context, n NewConversation) (_ *Conversation, err error) {
	defer wrap("create conversation", &err)
	ids, err := contactIDs(n.Participants)
	if err != nil {
		return nil, err
	}
	if err := c.made(); err != nil {
		return nil, err
	}
	for field, value := range map[string]M{"Group": n.Group, "Metadata": n.Metadata} {
		if err := c.client.CheckLimits(value); err != nil {
			return nil, invalid("%s: %w", field, err)
		}
	}
	def, err := n.definition()
	if err != nil {
		return nil, invalid("Group or Metadata: %v", err)
	}
	if err := c.client.CheckLimits(def.JSON()); err != nil {
		return nil, invalid("Group and Metadata together: %w", err)
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if len(ids) == 1 && ids[0] == s.contactID {
		return nil, invalid("Participants: only the user; a conversation needs somebody else")
	}
	// Nothing is written before everything is known to be in order.
	found, err := c.contactRows(ctx, ids)
	if err != nil {
		return nil, err
	}
	people := []string{s.userID}
	for _, row := range found {
		if id := cmp.Or(c.storedUserID(row), c.deriveUserID(row)); !slices.Contains(people, id) {
			people = append(people, id)
		}
	}
	if len(people) == 1 {
		return nil, fmt.Errorf("Participants: only the user under several ids; a conversation needs somebody else: %w", ErrContactNotFound)
	}
	if def, err = n.definition(people...); err != nil {
		return nil, err
	}
	if err := c.client.CheckLimits(def.JSON()); err != nil {
		return nil, fmt.Errorf("Participants, Group and Metadata together: %w", err)
	}
	contacts, named, err := c.withUserIDs(ctx, found)
	if err != nil {
		return nil, err
	}
	people = people[:1]
	for _, contact := range contacts {
		if !slices.Contains(people, contact.UserID) {
			people = append(people, contact.UserID)
		}
	}
	// An id that is derived from a column may have been known before it was stored.
	if !named || c.opts.PrimaryKey != "" {
		if same, err := c.conversationOf(ctx, s, people, 0); err != nil || same != nil {
			return same, err
		}
	}
	created, err := c.createConversation(ctx, s, n, people)
	if err != nil {
		return nil, err
	}
	// Another client may have created a duplicate meanwhile.
	other, err := c.conversationOf(ctx, s, people, created.ID)
	if err == nil && other != nil && other.ID < created.ID {
		created = other
	}
	s.receiver.Joined()
	return created, nil
}

// definition is that of the new conversation.
func (n *NewConversation) definition(people ...string) (wire.Definition, error) {
	return wire.NewConversation(people, n.Group, n.Metadata, n.AllowInvite)
}

func (c *Chat) createConversation(ctx context.Context, s *session, n NewConversation, people []string) (*Conversation, error) {
	def, err := n.definition(people...)
	if err != nil {
		return nil, err
	}
	name := n.Name
	if strings.TrimSpace(name) == "" {
		name = uuid.NewString()
	}
	ds, err := c.createSource(ctx, name, c.opts.AppID, def)
	if err != nil {
		return nil, err
	}
	conv := c.conversation(ds, s.userID)
	c.settleOf(ctx, s)
	conv.IsNew = true
	return conv, nil
}

// createSource makes the data source of a conversation or channel. Without an app
// in the options it is created in the app of the contacts.
func (c *Chat) createSource(ctx context.Context, name string, appID int64, def wire.Definition) (*datasource.DataSource, error) {
	n := datasource.NewDataSource{
		Name: name, Type: wire.TypeConversation, AppID: appID, Definition: def.JSON(),
		AccessRules: wire.ConversationRules(), Bundle: new(false),
	}
	running := c.opts.AppID // the app whose users are notified, also of a channel on the master app
	if appID == 0 || running == 0 && c.opts.PushNotifications {
		contacts, err := c.home(ctx)
		if err != nil {
			return nil, fmt.Errorf("Options.AppID is not set, and the contacts data source does not tell: %w", err)
		}
		if appID == 0 {
			n.AppID, n.OrganizationID = contacts.AppID, contacts.OrganizationID
		}
		running = cmp.Or(running, contacts.AppID, appID)
	}
	n.Hooks = wire.PushHooks(running, c.opts.PushNotifications)
	ds, err := c.client.CreateDataSource(ctx, n)
	if err != nil {
		return nil, err
	}
	// A server may answer without what it was told.
	ds.AppID, ds.OrganizationID = cmp.Or(ds.AppID, n.AppID), cmp.Or(ds.OrganizationID, n.OrganizationID)
	ds.Name, ds.Type = cmp.Or(ds.Name, n.Name), cmp.Or(ds.Type, n.Type)
	for _, f := range []struct{ had, sent *json.RawMessage }{{&ds.Definition, &n.Definition}, {&ds.Hooks, &n.Hooks}, {&ds.AccessRules, &n.AccessRules}} {
		if len(*f.had) == 0 {
			*f.had = *f.sent
		}
	}
	return ds, nil
}

// home is the data source of the contacts, whose app and organization do not change. It
// is read once.
func (c *Chat) home(ctx context.Context) (*datasource.DataSource, error) {
	if ds := c.contacts.Load(); ds != nil {
		return ds, nil
	}
	ds, err := c.client.DataSource(ctx, c.opts.DataSourceID)
	if err == nil {
		c.contacts.Store(&datasource.DataSource{AppID: ds.AppID, OrganizationID: ds.OrganizationID})
	}
	return ds, err
}

// conversationOf finds the conversation of exactly these people; see [rows.Original] for
// several. The one with the id except is not theirs.
func (c *Chat) conversationOf(ctx context.Context, s *session, people []string, except int64) (*Conversation, error) {
	same, err := c.listConversations(ctx, []int64{c.opts.AppID}, wire.ByParticipant(s.userID), func(d wire.Definition) bool {
		return !d.Public() && len(d.List(wire.Removed)) == 0 && d.Just(people...)
	})
	same = slices.DeleteFunc(same, func(ds datasource.DataSource) bool { return ds.ID == except })
	if err != nil || len(same) == 0 {
		return nil, err
	}
	conv := c.conversation(rows.Original(same), s.userID)
	c.settleOf(ctx, s)
	return conv, nil
}

// contactIDs checks ids of contacts and removes duplicates.
func contactIDs(ids []int64) ([]int64, error) {
	if len(ids) == 0 {
		return nil, invalid("Participants: empty; give the ids of contacts")
	}
	out := make([]int64, 0, len(ids))
	for _, id := range ids {
		if id <= 0 {
			return nil, invalid("Participants: %d is not the id of a contact", id)
		}
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out, nil
}

// JoinConversation makes the user a participant of the conversation with this
// invite code. Surrounding space is ignored.
//
// Errors: [ErrInvalid] for an empty code, [ErrNotFound] when no conversation has
// it, [ErrNotLoggedIn], [ErrClosed].
func (c *Chat) JoinConversation(ctx context.Context, inviteCode string) (_ *Conversation, err error) {
	defer wrap("join conversation", &err)
	code := strings.TrimSpace(inviteCode)
	if code == "" {
		return nil, invalid("inviteCode: empty")
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	for _, app := range c.apps() {
		since := time.Now()
		found, err := c.listConversations(ctx, []int64{app}, wire.ByInviteCode(code), func(d wire.Definition) bool { return d.InviteCode() == code })
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			continue
		}
		conv := c.conversation(&found[0], s.userID)
		if err := conv.join(ctx, s, since); err != nil {
			return nil, err
		}
		return conv, nil
	}
	return nil, fmt.Errorf("no conversation has this invite code: %w", ErrNotFound)
}

// join makes the user a participant of a conversation that was read just now, since a time.
func (v *Conversation) join(ctx context.Context, s *session, since time.Time) error {
	answered := sync.OnceFunc(s.roster.Joining(v.ID, s.rows.Now()))
	defer answered()
	asked, made := time.Now(), 0 // more than once if another client undoes the change
	err := v.apply(ctx, roster.Change{
		First: &v.def, Since: since,
		Edit: func(d wire.Definition) bool { return d.Add(v.userID) },
		Kept: func(d wire.Definition) bool { return d.Has(v.userID) },
	}, func(at time.Time) {
		if made++; made == 1 {
			s.roster.Joined(v.ID, roster.Join{At: at, Asked: asked, Answered: time.Now()})
			answered()
			s.receiver.Joined() // what is stored before the first look at the conversation cannot be told from what was there
		}
	})
	switch {
	case err == nil && (made > 1 || !s.roster.Listed(v.ID)):
		s.receiver.Joined()
	case datasource.Doubtful(err): // not before the definition without the user was read
		s.roster.Joined(v.ID, roster.Join{At: v.UpdatedAt.Add(time.Microsecond)})
	}
	return err
}
