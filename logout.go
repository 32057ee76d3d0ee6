package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Logout ends the user's streams, clears the user's chat token on the server, and
// removes from Storage the user's identity and caches, and the login that [Subscribe]
// would read. A [storage.Scrubber] is then told to overwrite their remains. Without the token the user's other devices are logged out, too.
// Messages in the outbox stay for the user's next login; remove them before with
// [Outbox.Discard] if they must not be sent. Logout makes one request. Without a
// login it does nothing.
//
// Logout may be called from anywhere, and returns when ctx ends. Streams end even if
// the server cannot be reached or ctx has ended. It does not wait for running
// functions. Storage is wiped at the same time as the request is made. If ctx ends
// first, wiping goes on for at most half a minute, and no longer than the Chat. After
// an error the token may still be on the server, or data of the user in Storage.
//
// Errors: those of the server and Storage; the context's cause; [ErrClosed].
func (c *Chat) Logout(ctx context.Context) (err error) {
	defer wrap("logout", &err)
	if err := given(ctx); err != nil {
		return err
	}
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
	c.forgetRead()
	wiped := c.wipe(s)
	if ctx.Err() != nil {
		// Most stores are done within wipeGrace.
		grace, cancel := context.WithTimeout(local, wipeGrace)
		defer cancel()
		return errors.Join(context.Cause(ctx), outcome(grace, wiped))
	}
	remote, stop := wait.Both(local, ctx)
	defer stop()
	return errors.Join(c.clearToken(remote, s), outcome(remote, wiped))
}

const (
	// wipeTimeout bounds the wiping of Storage, which may outlive its Logout.
	wipeTimeout = 30 * time.Second
	// wipeGrace is how long Logout waits for it when its context has ended.
	wipeGrace = 100 * time.Millisecond
)

// wipe starts to remove a user's data from Storage. The channel gets the outcome.
func (c *Chat) wipe(s *session) <-chan error {
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(c.work.Context(), wipeTimeout)
	began := c.work.Go(func() {
		defer cancel()
		done <- s.cache.Forget(ctx)
	})
	if !began {
		cancel()
		done <- errClosing
	}
	return done
}

// outcome waits for the outcome of wipe, or for the end of ctx.
func outcome(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done: // both happened at once
		return err
	default:
		return fmt.Errorf("storage is still being wiped: %w", context.Cause(ctx))
	}
}

// clearToken removes the user's chat token from the server.
func (c *Chat) clearToken(ctx context.Context, s *session) error {
	if err := c.logins.Lock(ctx); err != nil {
		return err
	}
	defer c.logins.Unlock()
	_, err := c.client.Update(ctx, c.opts.DataSourceID, s.contactID, M{wire.UserToken: nil})
	if absent(err) {
		return nil // the contact is gone, and the token with it
	}
	return err
}

// forgetRead drops what was read for a user: definitions with the keys of
// conversations, and which rows bodies were seen in.
func (c *Chat) forgetRead() {
	c.known.Clear()
	c.pins.Clear()
	c.bodies.Forget()
}

// leave removes the session from the Chat and returns it.
func (c *Chat) leave() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.session
	c.session = nil
	return s
}
