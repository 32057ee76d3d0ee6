package chat

import (
	"context"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/roster"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// change edits a conversation's definition on the server; see [roster.Change]. member
// has to be one.
func (v *Conversation) change(ctx context.Context, member string, edit, kept func(wire.Definition) bool) error {
	return v.apply(ctx, roster.Change{Member: member, Edit: edit, Kept: kept}, func(time.Time) {})
}

// apply makes a change of which Edit and Kept are given. made is called each time the
// server has made it, with its time of that, which is zero if the server does not say.
func (v *Conversation) apply(ctx context.Context, change roster.Change, made func(at time.Time)) error {
	c := v.chat
	change.Conversation, change.NotFound = v.ID, ErrNotFound
	change.Read = func(ctx context.Context) (wire.Definition, error) { return c.freshDefinition(ctx, v.ID) }
	change.Write = func(ctx context.Context, def wire.Definition) (wire.Definition, error) {
		ds, err := c.client.UpdateDataSource(ctx, v.ID, datasource.SourcePatch{Definition: def.JSON()})
		if err == nil && len(ds.Definition) > 0 {
			def = wire.ParseDefinition(ds.Definition)
		}
		if err == nil {
			made(ds.UpdatedAt)
		}
		return def, missing(err, "conversation", v.ID)
	}
	def, err := change.Make(ctx)
	if err == nil {
		v.adopt(def)
	}
	return err
}

// adopt sets the fields from a definition and caches it.
func (v *Conversation) adopt(def wire.Definition) {
	v.chat.known.Put(v.ID, def)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.show(def)
}

// Participants is a handle on the members of a conversation.
type Participants struct{ v *Conversation }

// Participants returns a handle; it makes no request.
func (v *Conversation) Participants() Participants { return Participants{v} }

// IDs returns a copy of the members' flUserIds as last read, never nil. It makes no
// request.
func (p Participants) IDs() []string {
	return append([]string{}, p.v.current().List(wire.Participants)...)
}

// Fetch returns the contacts of the members, in the order of IDs. Members without a
// contact are left out, and those whose contact [Chat.Contacts] leaves out.
func (p Participants) Fetch(ctx context.Context) (_ []*Contact, err error) {
	defer wrap("fetch participants", &err)
	ctx, _, end, err := p.v.owner().enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	return p.v.chat.contactsByUserID(ctx, p.IDs())
}

// Add makes contacts members; ids are Contact.IDs. Other clients may change the
// members at the same time. If all are members already nothing is written.
//
// Errors: [ErrInvalid], [ErrContactNotFound], [ErrNotLoggedIn], [ErrClosed]; [ErrNotFound],
// also for a user who is not a member any more.
func (p Participants) Add(ctx context.Context, ids ...int64) (err error) {
	defer wrap("add participants", &err)
	return p.edit(ctx, ids, func(d wire.Definition, users []string) bool { return d.Add(users...) }, true)
}

// Remove removes contacts from the members. Removing the user leaves the
// conversation. Otherwise it is like [Participants.Add].
func (p Participants) Remove(ctx context.Context, ids ...int64) (err error) {
	defer wrap("remove participants", &err)
	return p.edit(ctx, ids, func(d wire.Definition, users []string) bool { return d.Remove(users...) }, false)
}

func (p Participants) edit(ctx context.Context, ids []int64, edit func(wire.Definition, []string) bool, in bool) error {
	ids, err := contactIDs(ids)
	if err != nil {
		return err
	}
	ctx, s, end, err := p.v.owner().enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	contacts, err := p.v.chat.contactsByID(ctx, ids)
	if err != nil {
		return err
	}
	users := make([]string, len(contacts))
	for i, contact := range contacts {
		users[i] = contact.UserID
	}
	err = p.v.change(ctx, s.userID,
		func(d wire.Definition) bool { return edit(d, users) },
		func(d wire.Definition) bool {
			for _, u := range users {
				if d.Has(u) != in {
					return false
				}
			}
			return true
		})
	if err == nil {
		if !p.v.current().Has(s.userID) {
			s.roster.Left(p.v.ID)
		}
		s.receiver.Joined()
	}
	return err
}
