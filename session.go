package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/cache"
	"github.com/fliplet/fliplet-chat-go/internal/few"
	"github.com/fliplet/fliplet-chat-go/internal/fleet/hub"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
	"github.com/fliplet/fliplet-chat-go/internal/roster"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/internal/where"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// session is a logged-in user.
type session struct {
	contactID int64
	userID    string
	// token is the chat token. Each login stores a new pointer, so that comparing
	// pointers shows whether there was a login since.
	token  atomic.Pointer[string]
	author wire.Author

	last *loggedIn // guarded by Chat.mu

	renewal wait.Shared

	roster    *roster.Roster // which conversations are the user's
	rows      *rows.Source   // the rows of the user's conversations
	cache     *cache.User
	receiver  *receive.Receiver
	consumers few.Rare[receive.Consumers]
	outbox    *outbox.Outbox // nil when it is off
	desk      *hub.Desk      // at an App; nil without one
	watch     *watching      // of an App's own listeners; nil without
}

// loggedIn is what the last login has brought. The same user may log in again with another query.
type loggedIn struct {
	token string
	query where.Packed
	user  keptContact
}

// newLogin is the result of a login, in little memory, and without the row that it came with.
func newLogin(query where.Login, contact *Contact, token string) loggedIn {
	return loggedIn{strings.Clone(token), query.Pack(), keep(contact)}
}

// become makes a login the last one. The caller holds Chat.mu.
func (s *session) become(l *loggedIn) {
	s.last = l
	s.token.Store(&l.token)
}

// stop ends what runs for the user. It does not wait.
func (s *session) stop(cause error) {
	s.receiver.Stop(cause)
	s.desk.Leave()
	s.watch.leave()
	if s.outbox != nil {
		s.outbox.Stop(cause)
	}
}

// login is the query of the last login.
func (s *session) login(c *Chat) where.Login {
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.last.query.Login()
}

// startWithin is how long a login waits for the outbox to look into Storage.
const startWithin = time.Second

// startSending lets the outbox begin.
func (s *session) startSending(ctx context.Context) {
	if s != nil && s.outbox != nil {
		ctx, cancel := context.WithTimeout(ctx, startWithin)
		defer cancel()
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

// renew replaces a chat token that the server refused with 403. Usually a logout on
// another device has cleared it. Concurrent calls for one token share one login.
func (c *Chat) renew(ctx context.Context, s *session, refused *string) error {
	return s.renewal.Do(ctx, func() (renewed bool, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.session != s {
			return true, ErrNotLoggedIn
		}
		return s.token.Load() != refused, nil
	}, func(ctx context.Context) error { return c.logInAgain(ctx, s, refused) })
}

// logInAgain reads the session's contact again, online, and uses its token.
func (c *Chat) logInAgain(ctx context.Context, s *session, refused *string) error {
	if err := c.logins.Lock(ctx); err != nil {
		return err
	}
	defer c.logins.Unlock()
	c.mu.Lock()
	query, gone, renewed := s.last.query.Login(), c.session != s, s.token.Load() != refused
	c.mu.Unlock()
	switch {
	case gone:
		return ErrNotLoggedIn // logged out while we waited
	case renewed:
		return nil // logged in while we waited
	}
	c.log.Info("chat token refused, logging in again")
	s.cache.DropToken(ctx)
	c.shareUser(ctx, s, "")
	contact, token, err := c.findAgain(ctx, s, query)
	if errors.Is(err, ErrContactNotFound) {
		return fmt.Errorf("log in again: %w", err)
	}
	if err != nil {
		return err
	}
	if contact.UserID != s.userID {
		return errAnotherUser
	}
	c.mu.Lock()
	if gone = c.session != s; !gone {
		s.become(new(newLogin(query, contact, token)))
	}
	c.mu.Unlock()
	if gone {
		return ErrNotLoggedIn // logged out meanwhile
	}
	c.rememberUser(ctx, s, query, contact, token)
	return nil
}

// errAnotherUser: the query of a session finds somebody else now.
var errAnotherUser = errors.New("log in again: the query finds another user now")

// findAgain finds the session's own contact among those of its query. Nothing is
// stored on the row of anybody else.
func (c *Chat) findAgain(ctx context.Context, s *session, query where.Login) (*Contact, string, error) {
	if query.Column(wire.UserToken) == nil {
		rows, err := c.find(ctx, query)
		if err != nil {
			return nil, "", err
		}
		i := slices.IndexFunc(rows, func(e datasource.Entry) bool { return e.ID == s.contactID })
		if i < 0 {
			i = slices.IndexFunc(rows, func(e datasource.Entry) bool { return c.contact(&e).UserID == s.userID })
		}
		if i < 0 {
			return nil, "", errAnotherUser
		}
		return c.identify(ctx, query, &rows[i])
	}
	// The query's token is no longer valid, but the contact's id is known.
	row, err := c.client.FindByID(ctx, c.opts.DataSourceID, s.contactID)
	if absent(err) {
		return nil, "", ErrContactNotFound
	}
	if err != nil {
		return nil, "", err
	}
	query = query.Without(wire.UserToken)
	if row.ID != s.contactID || len(where.Choose(query, columnsOf, *row)) == 0 {
		return nil, "", errAnotherUser
	}
	return c.identify(ctx, query, row)
}

// noContact makes sure, with another request than the login's, that the session's contact does
// not exist any more, or is not that of the query.
func (c *Chat) noContact(ctx context.Context, s *session) bool {
	query := s.login(c)
	if query.Column(wire.UserToken) != nil { // the login has asked for the row
		found, err := c.client.Select(ctx, c.opts.DataSourceID, datasource.Query{Type: "select", Where: M{wire.UserID: s.userID}})
		return err == nil && !slices.ContainsFunc(found.Entries, func(e datasource.Entry) bool { return e.ID == s.contactID || c.contact(&e).UserID == s.userID })
	}
	row, err := c.client.FindByID(ctx, c.opts.DataSourceID, s.contactID)
	if answer, ok := errors.AsType[*datasource.Error](err); ok {
		return absent(err) && answer.Code == "" // as the service's 404 is documented
	}
	return err == nil && row.ID == s.contactID && (len(where.Choose(query, columnsOf, *row)) == 0 || c.contact(row).UserID != s.userID)
}

// authorized calls fn with the user's chat token. After a 403 it logs in and calls fn
// once more, not in a loop.
func (c *Chat) authorized(ctx context.Context, s *session, fn func(token string) error) error {
	token := s.token.Load()
	err := fn(*token)
	if !errors.Is(err, datasource.ErrForbidden) {
		return err
	}
	if err := c.renew(ctx, s, token); err != nil {
		return &renewalError{err: err}
	}
	return fn(*s.token.Load())
}

// User returns a copy of the logged-in contact, nil before login.
func (c *Chat) User() *Contact {
	if c != nil && c.asleep != nil && !c.asleep.over.Load() {
		return c.asleep.user.contact()
	}
	if c.made() != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return nil
	}
	return c.session.last.user.contact()
}
