package chat

import (
	"context"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Notifications is a handle on the user's push notifications of a conversation.
type Notifications struct{ v *Conversation }

// Notifications returns a handle; it makes no request.
func (v *Conversation) Notifications() Notifications { return Notifications{v} }

// Mute stops push notifications of the conversation for the user. It fails with
// [ErrNotFound] when the user is not a member any more.
func (n Notifications) Mute(ctx context.Context) error { return n.set(ctx, "mute", true) }

// Unmute resumes push notifications of the conversation for the user. It is like
// [Notifications.Mute].
func (n Notifications) Unmute(ctx context.Context) error { return n.set(ctx, "unmute", false) }

func (n Notifications) set(ctx context.Context, op string, on bool) (err error) {
	defer wrap(op, &err)
	ctx, s, end, err := n.v.owner().enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	if s.watch != nil {
		return ErrNotLoggedIn // the handle is an App's
	}
	return n.v.change(ctx, s.userID,
		func(d wire.Definition) bool { return d.Mute(s.userID, on) },
		func(d wire.Definition) bool { return d.Muted(s.userID) == on })
}

// PushRegistrar registers a user's device for push notifications. How Fliplet's apps
// do it is not public.
type PushRegistrar interface {
	// Subscribe returns the id of the subscription, or "" if there is none. The contact
	// has no chat token.
	Subscribe(ctx context.Context, c *Contact) (string, error)
}

// registerDevice registers the user for push notifications. A failure is only
// logged, so that it does not fail the login.
func (c *Chat) registerDevice(ctx context.Context, contact *Contact) {
	if c.opts.Push == nil || !c.opts.PushNotifications {
		return
	}
	if err := c.subscribeDevice(ctx, contact); err != nil {
		c.log.Warn("registering for push notifications failed", "error", err)
	}
}

// subscribeDevice calls the registrar and stores the subscription's id on the
// contact, where Fliplet's hooks read it.
func (c *Chat) subscribeDevice(ctx context.Context, contact *Contact) (err error) {
	id, err := c.callRegistrar(ctx, contact)
	if err != nil || id == "" || id == wire.Text(contact.Data[wire.SubscriptionID]) {
		return err
	}
	if _, err := c.client.Update(ctx, c.opts.DataSourceID, contact.ID, M{wire.SubscriptionID: id}); err != nil {
		return fmt.Errorf("store %s: %w", wire.SubscriptionID, err)
	}
	contact.Data[wire.SubscriptionID] = id
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.session; s != nil && s.contactID == contact.ID {
		now := s.last.user.contact()
		now.Data[wire.SubscriptionID] = id
		s.last.user = keep(now)
	}
	return nil
}

// callRegistrar turns a panic of the registrar into an error, so that the login goes
// on. The panic's value may hold a secret, so the error names only its type.
func (c *Chat) callRegistrar(ctx context.Context, contact *Contact) (id string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("Options.Push panicked with a %T", v)
		}
	}()
	shown := contact.copy()
	delete(shown.Data, wire.UserToken)
	id, err = c.opts.Push.Subscribe(ctx, shown)
	if err != nil {
		return "", fmt.Errorf("Options.Push: %w", err)
	}
	return id, nil
}
