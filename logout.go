package chat

import (
	"context"
	"errors"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Logout stops polling, clears the user's chat token on the server, which logs the
// user's other devices out of it, too, and forgets the user here: identity and
// caches, and what another component left in Storage to log the user in. Messages
// that wait in the outbox stay there for the user's next login, since they were
// accepted; take them out with [Outbox.Discard] before, if they shall not be sent.
//
// The local part is done whatever the network says, also when ctx has ended; an
// error then tells that the token on the server may still be there. Called from
// inside a stream's function it does not wait for that function. Logging out
// without a login does nothing.
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
	// Outside the lock: a function that runs may be logging in or out itself.
	cause := fmt.Errorf("logged out: %w", ErrNotLoggedIn)
	s.stopSending(cause)
	c.forgetUser(cause)
	errs := []error{c.forgetStored(local, s)}

	remote, cancel := context.WithCancelCause(local)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
	if ctx.Err() != nil {
		return errors.Join(append(errs, context.Cause(ctx))...)
	}
	if err := c.login.take(remote); err != nil {
		return errors.Join(append(errs, err)...)
	}
	defer c.login.give()
	_, err = c.client.Update(remote, c.opts.DataSourceID, s.contactID, M{wire.UserToken: nil})
	if errors.Is(err, datasource.ErrNotFound) {
		err = nil // the contact is gone, and the token with it
	}
	return errors.Join(append(errs, err)...)
}

// leave ends the session and returns it.
func (c *Chat) leave() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.session
	c.session = nil
	return s
}

// forgetUser ends what belongs to the user in this process.
func (c *Chat) forgetUser(cause error) {
	c.poller.stop(cause)
	c.known.clear()
}
