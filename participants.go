package chat

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// changeAttempts bounds the attempts at a change that other clients overwrite.
const changeAttempts = 12

// change edits a conversation's definition on the server: it reads, edits and writes
// the definition, and reads it again. edit reports whether it changed anything; kept
// reports whether a definition has the change.
//
// The server replaces definitions whole and has no conditional write: a client that
// read before our write and writes after it undoes ours. So change reads again until
// every such write must have happened.
func (v *Conversation) change(ctx context.Context, edit, kept func(wire.Definition) bool) error {
	c := v.chat
	for range changeAttempts {
		began := time.Now()
		def, err := c.freshDefinition(ctx, v.ID)
		if err != nil {
			return err
		}
		def = def.Clone()
		if !edit(def) {
			v.adopt(def)
			return nil
		}
		ds, err := c.client.UpdateDataSource(ctx, v.ID, datasource.SourcePatch{Definition: def.JSON()})
		if err != nil {
			return missing(err, "conversation", v.ID)
		}
		if len(ds.Definition) > 0 {
			def = wire.ParseDefinition(ds.Definition)
		}
		def, ok, err := v.settled(ctx, began, def, kept)
		if err != nil {
			return err
		}
		if ok {
			v.adopt(def)
			return nil
		}
	}
	return fmt.Errorf("conversation %d: other clients kept overwriting the change", v.ID)
}

// settled reads the definition until a concurrent change, if it takes about as long
// as our own, must have ended. It reports whether the change is still there.
func (v *Conversation) settled(ctx context.Context, began time.Time, def wire.Definition, kept func(wire.Definition) bool) (wire.Definition, bool, error) {
	for range 3 {
		if !kept(def) {
			return def, false, nil
		}
		if err := pause(ctx, began); err != nil {
			return def, false, err
		}
		var err error
		if def, err = v.chat.freshDefinition(ctx, v.ID); err != nil {
			return def, false, err
		}
	}
	return def, kept(def), nil
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
// contact are left out.
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
// Errors: [ErrInvalid], [ErrContactNotFound], [ErrNotFound], [ErrNotLoggedIn], [ErrClosed].
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
	err = p.v.change(ctx,
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
		s.receiver.Joined()
	}
	return err
}

// Notifications is a handle on the user's push notifications of a conversation.
type Notifications struct{ v *Conversation }

// Notifications returns a handle; it makes no request.
func (v *Conversation) Notifications() Notifications { return Notifications{v} }

// Mute stops push notifications of the conversation for the user.
func (n Notifications) Mute(ctx context.Context) error { return n.set(ctx, "mute", true) }

// Unmute resumes push notifications of the conversation for the user.
func (n Notifications) Unmute(ctx context.Context) error { return n.set(ctx, "unmute", false) }

func (n Notifications) set(ctx context.Context, op string, on bool) (err error) {
	defer wrap(op, &err)
	ctx, s, end, err := n.v.owner().enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	return n.v.change(ctx,
		func(d wire.Definition) bool { return d.Mute(s.userID, on) },
		func(d wire.Definition) bool { return d.Muted(s.userID) == on })
}

// shortestPause is what a pause lasts at least. Examples, which run on real time,
// shorten it.
var shortestPause = 40 * time.Millisecond

// pause waits one to two times as long as has passed since began: at least
// shortestPause and less than 2 s.
func pause(ctx context.Context, began time.Time) error {
	d := min(max(time.Since(began), shortestPause), time.Second)
	return wait.Sleep(ctx, d+rand.N(d))
}
