package chat

import (
	"context"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// registerDevice registers the user for push notifications. A failure is only
// logged: it must never keep anybody from chatting.
func (c *Chat) registerDevice(ctx context.Context, contact *Contact) {
	if c.opts.Push == nil || !c.opts.PushNotifications {
		return
	}
	if err := c.subscribeDevice(ctx, contact); err != nil {
		c.log.Warn("registering for push notifications failed", "error", err)
	}
}

// subscribeDevice asks the registrar, and stores the subscription's id on the
// contact, where hooks and screens find it (documented).
func (c *Chat) subscribeDevice(ctx context.Context, contact *Contact) (err error) {
	id, err := c.askRegistrar(ctx, contact)
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
		s.contact.Data[wire.SubscriptionID] = id
	}
	return nil
}

// askRegistrar keeps a registrar that panics from taking the login with it. What
// it panicked with may hold anything, so only its type is told.
func (c *Chat) askRegistrar(ctx context.Context, contact *Contact) (id string, err error) {
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
