package chat

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/cache"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// session is a logged-in user.
type session struct {
	contactID int64
	userID    string
	// token is the chat token. Each login stores a new pointer, so that comparing
	// pointers tells whether there has been one since.
	token atomic.Pointer[string]

	// Under Chat.mu. The same user may log in again with another query.
	query   M
	contact *Contact
	renewal *renewal

	rows     *rows.Source // the rows of the user's conversations
	cache    *cache.User
	receiver *receive.Receiver
	outbox   *outbox.Outbox // nil when it is off
}

// stop ends what runs for the user, and waits for nothing.
func (s *session) stop(cause error) {
	s.receiver.Stop(cause)
	if s.outbox != nil {
		s.outbox.Stop(cause)
	}
}

// startSending lets the outbox begin.
func (s *session) startSending(ctx context.Context) {
	if s != nil && s.outbox != nil {
		_ = s.outbox.Start(ctx) // it fails when the session is over
	}
}

// drain waits until nothing waits in the outbox.
func (s *session) drain(ctx context.Context) error {
	if s.outbox == nil {
		return nil
	}
	return s.outbox.Drain(ctx)
}

// oneAtATime is a lock whose waiters can give up.
type oneAtATime chan struct{}

func newOneAtATime() oneAtATime { return make(oneAtATime, 1) }

func (o oneAtATime) lock(ctx context.Context) error {
	select {
	case o <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (o oneAtATime) unlock() { <-o }

// renewal is a login under way that replaces a dead chat token.
type renewal struct {
	done      chan struct{}
	err       error
	abandoned bool // its caller went away, so it says nothing to others
}

// renew is what a 403 calls for: the chat token was cleared, usually by a logout
// on another device. One login serves everybody who met the same dead token.
func (c *Chat) renew(ctx context.Context, s *session, dead *string) error {
	for {
		c.mu.Lock()
		if c.session != s {
			c.mu.Unlock()
			return ErrNotLoggedIn
		}
		if s.token.Load() != dead {
			c.mu.Unlock()
			return nil // somebody else renewed it
		}
		r := s.renewal
		if r == nil {
			r = &renewal{done: make(chan struct{})}
			s.renewal = r
			c.mu.Unlock()
			r.err = c.logInAgain(ctx, s, dead)
			r.abandoned = ctx.Err() != nil
			c.mu.Lock()
			s.renewal = nil
			c.mu.Unlock()
			close(r.done)
			return r.err
		}
		c.mu.Unlock()
		select {
		case <-r.done:
			if !r.abandoned {
				return r.err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// logInAgain finds the session's contact once more, online, and takes its token.
func (c *Chat) logInAgain(ctx context.Context, s *session, dead *string) error {
	if err := c.logins.lock(ctx); err != nil {
		return err
	}
	defer c.logins.unlock()
	c.mu.Lock()
	query, gone, renewed := s.query, c.session != s, s.token.Load() != dead
	c.mu.Unlock()
	switch {
	case gone:
		return ErrNotLoggedIn // logged out while we waited
	case renewed:
		return nil // logged in while we waited
	}
	c.log.Info("chat token refused, logging in again")
	s.cache.DropToken(ctx)
	contact, token, err := c.findAgain(ctx, s, query)
	if errors.Is(err, ErrContactNotFound) {
		return fmt.Errorf("log in again: %w", err)
	}
	if err != nil {
		return err
	}
	if contact.UserID != s.userID {
		return errors.New("log in again: the query finds another user now")
	}
	c.mu.Lock()
	if gone = c.session != s; !gone {
		s.take(query, contact, token)
	}
	c.mu.Unlock()
	if gone {
		return ErrNotLoggedIn // logged out meanwhile
	}
	c.rememberUser(ctx, s, contact, token)
	return nil
}

func (c *Chat) findAgain(ctx context.Context, s *session, query M) (*Contact, string, error) {
	if _, byToken := query[wire.UserToken]; !byToken {
		return c.authenticate(ctx, query)
	}
	// The token of the query is gone; its contact is still known.
	row, err := c.client.FindByID(ctx, c.opts.DataSourceID, s.contactID)
	if errors.Is(err, datasource.ErrNotFound) {
		return nil, "", ErrContactNotFound
	}
	if err != nil {
		return nil, "", err
	}
	return c.identify(ctx, row)
}

// authorized runs fn with the user's chat token. A 403 leads to one login and one
// more try, never to a loop (seen in the public widget).
func (c *Chat) authorized(ctx context.Context, s *session, fn func(token string) error) error {
	token := s.token.Load()
	err := fn(*token)
	if !errors.Is(err, datasource.ErrForbidden) {
		return err
	}
	if err := c.renew(ctx, s, token); err != nil {
		return err
	}
	return fn(*s.token.Load())
}

// User is the logged-in contact, a copy. It is nil before login.
func (c *Chat) User() *Contact {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return nil
	}
	return c.session.contact.copy()
}
