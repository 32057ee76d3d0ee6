package chat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"

	"github.com/fliplet/fliplet-chat-go/datasource"
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

	loggedOut bool // under Chat.recent: nothing of the user is cached any more
}

// turn is a lock whose waiters can give up.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turn) give() { <-t }

// Login finds the contact that matches a where clause over the columns of the
// contacts, such as M{"Email": M{"$iLike": "jo@x.com"}} or M{"flUserToken": "…"},
// and makes it the user of this Chat. M{"where": …} is understood, too.
//
// On the server $iLike finds its operand anywhere in the value (seen in Fliplet's
// sift), so a row whose column equals the operand, upper and lower case and
// surrounding space aside, is preferred, and when there is none the login is
// refused: jo@x.com is not banjo@x.com. Several equal rows: the first one.
//
// A contact without a flUserId or flUserToken gets one, stored on its row.
// Logging in as another contact ends the streams of the one before.
//
// With [Offline] the contact cached by an earlier session is used if it satisfies
// the query; otherwise the login is made online.
//
// Errors: [ErrContactNotFound] (code 404); [ErrOffline] (code 400) when the server
// cannot be reached and Offline found nothing; [ErrInvalid]; [ErrClosed].
func (c *Chat) Login(ctx context.Context, query M, opts ...LoginOption) (_ *Contact, err error) {
	defer wrap("login", &err)
	if inner, ok := query["where"].(M); ok && len(query) == 1 {
		query = inner
	}
	if len(query) == 0 {
		return nil, invalid("query: empty; say which contact, for instance M{\"Email\": \"jo@example.org\"}")
	}
	var o callOptions
	for _, opt := range opts {
		opt.applyLogin(&o)
	}
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	query = wire.CloneMap(query)
	contact, before, cached, err := c.logIn(ctx, query, o.offline)
	if err != nil {
		return nil, err
	}
	if before != nil {
		// Outside the lock: a function of the user before may be logging in, too.
		c.forgetUser(fmt.Errorf("another user logged in: %w", ErrNotLoggedIn))
	}
	c.outbox.start(ctx, c.current())
	if !cached {
		c.registerDevice(ctx, contact)
		c.shareLogin(ctx, contact)
	}
	return contact.copy(), nil
}

// logIn finds the contact of a query, in the cache or online, and makes it the
// user. It returns the session of another user that this ended, if there was one.
func (c *Chat) logIn(ctx context.Context, query M, offline bool) (_ *Contact, before *session, cached bool, err error) {
	if err := c.login.take(ctx); err != nil {
		return nil, nil, false, err
	}
	defer c.login.give()
	if offline {
		if contact, token := c.cachedUser(ctx, query); contact != nil {
			return contact, c.adopt(ctx, query, contact, token), true, nil
		}
	}
	contact, token, err := c.authenticate(ctx, query)
	if offline && unreachable(err) {
		return nil, nil, false, fmt.Errorf("%w: %w", ErrOffline, err)
	}
	if err != nil {
		return nil, nil, false, err
	}
	return contact, c.adopt(ctx, query, contact, token), false, nil
}

// adopt makes a contact the user of this Chat, and returns the session of another
// one that this ended.
func (c *Chat) adopt(ctx context.Context, query M, contact *Contact, token string) (ended *session) {
	c.mu.Lock()
	s := c.session
	if s == nil || s.contactID != contact.ID || s.userID != contact.UserID {
		ended, s = s, &session{contactID: contact.ID, userID: contact.UserID}
		c.session = s
	}
	s.take(query, contact, token)
	c.mu.Unlock()
	c.rememberUser(ctx, s, contact, token)
	return ended
}

// take makes the outcome of a login the session's. Chat.mu is held.
func (s *session) take(query M, contact *Contact, token string) {
	s.query, s.contact = query, contact.copy()
	s.token.Store(&token)
}

// authenticate finds the contact on the server and sees to its ids.
func (c *Chat) authenticate(ctx context.Context, query M) (*Contact, string, error) {
	rows, err := c.client.Find(ctx, c.opts.DataSourceID, datasource.Query{Type: "select", Where: query})
	if err != nil {
		return nil, "", err
	}
	row := pick(rows, query)
	if row == nil {
		return nil, "", ErrContactNotFound
	}
	return c.identify(ctx, row)
}

// identify stores what a contact's row lacks to chat, and returns the contact as
// the server has it then. What is there is never replaced: a new flUserId would
// orphan history, a new token would log the user's other devices out.
func (c *Chat) identify(ctx context.Context, row *datasource.Entry) (*Contact, string, error) {
	patch := M{}
	if c.storedUserID(row) == "" {
		patch[wire.UserID] = c.deriveUserID(row)
	}
	if wire.Text(row.Data[wire.UserToken]) == "" {
		patch[wire.UserToken] = wire.NewUserToken()
	}
	if len(patch) > 0 {
		stored, err := c.client.Update(ctx, c.opts.DataSourceID, row.ID, patch)
		if err != nil {
			return nil, "", err
		}
		merged := maps.Clone(row.Data)
		if merged == nil {
			merged = M{}
		}
		maps.Copy(merged, patch)
		// Another client may have been first: what the server says now is right.
		maps.Copy(merged, stored.Data)
		row.Data = merged
	}
	token := wire.Text(row.Data[wire.UserToken])
	contact := c.contact(row)
	if contact.UserID == "" || token == "" {
		return nil, "", errors.New("the server did not store the contact's flUserId and flUserToken")
	}
	return contact, token, nil
}

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
	if err := c.login.take(ctx); err != nil {
		return err
	}
	defer c.login.give()
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
	c.forgetToken(ctx, s)
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
	c.forgetUser(fmt.Errorf("logged out: %w", ErrNotLoggedIn))
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
	c.outbox.stop(cause)
	c.known.clear()
}

// User is the logged-in contact, a copy. It is nil before login.
func (c *Chat) User() *Contact {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return nil
	}
	return c.session.contact.copy()
}
