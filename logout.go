package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Logout ends the user's streams, clears the user's chat token on the server, which
// logs the user's other devices out of it, too, and forgets the user here: identity
// and caches, and what another component left in Storage to log the user in.
// Messages that wait in the outbox stay there for the user's next login, since they
// were accepted. Take them out with [Outbox.Discard] before if they shall not be
// sent.
//
// Logout may be called from anywhere, and never outlives ctx. Streams end whatever
// the network says, also when ctx has ended; functions that run are not waited for.
// Storage is wiped beside the request. When ctx ends first that goes on for at most
// half a minute, and no longer than the Chat. An error tells that the token may still be on the server, or something
// of the user in Storage. Logging out without a login does nothing.
//
// Errors: what the server or Storage said; the context's cause; [ErrClosed].
func (c *Chat) Logout(ctx context.Context) (err error) {
	defer wrap("logout", &err)
	local, end, err := c.begin(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	defer end()
	s := c.leave()
	if s == nil {
		return nil
	}
	s.stop(fmt.Errorf("logged out: %w", ErrNotLoggedIn))
	c.known.clear()
	wiped := c.wipe(s)
	if ctx.Err() != nil {
		// Most stores take less than the moment that an ended context still allows.
		moment, cancel := context.WithTimeout(local, wipeMoment)
		defer cancel()
		return errors.Join(context.Cause(ctx), first(moment, wiped))
	}
	remote, cancel := context.WithCancelCause(local)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
	return errors.Join(c.clearToken(remote, s), first(remote, wiped))
}

const (
	// wipeFor bounds the wiping of Storage, which outlives the Logout that began it.
	wipeFor = 30 * time.Second
	// wipeMoment is how long Logout waits for it when its context has ended.
	wipeMoment = 100 * time.Millisecond
)

// wipe begins to remove what Storage holds of a user, and sends the outcome.
func (c *Chat) wipe(s *session) <-chan error {
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(c.work.Context(), wipeFor)
	began := c.work.Go(func() {
		defer cancel()
		done <- s.cache.Forget(ctx, c.opts.CrossLoginEmailKey)
	})
	if !began {
		cancel()
		done <- errClosing
	}
	return done
}

// first waits for an outcome, or for the end of ctx.
func first(ctx context.Context, outcome <-chan error) error {
	select {
	case err := <-outcome:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-outcome: // both at once
		return err
	default:
		return fmt.Errorf("storage is still being wiped: %w", context.Cause(ctx))
	}
}

// clearToken makes the user's chat token worthless.
func (c *Chat) clearToken(ctx context.Context, s *session) error {
	if err := c.logins.lock(ctx); err != nil {
		return err
	}
	defer c.logins.unlock()
	_, err := c.client.Update(ctx, c.opts.DataSourceID, s.contactID, M{wire.UserToken: nil})
	if errors.Is(err, datasource.ErrNotFound) {
		return nil // the contact is gone, and the token with it
	}
	return err
}

// leave ends the session and returns it.
func (c *Chat) leave() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.session
	c.session = nil
	return s
}
