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

// session is a logged-in user. The token changes during its life, and the contact,
// under Chat.mu, when the same user logs in again.
type session struct {
	query     M
	contactID int64
	userID    string
	token     atomic.Pointer[string]
	contact   *Contact
}

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
	c.login.Lock()
	defer c.login.Unlock()
	query = wire.CloneMap(query)
	if o.offline {
		if contact, err := c.cachedLogin(ctx, query); err != nil {
			return nil, err
		} else if contact != nil {
			return contact.copy(), nil
		}
	}
	contact, token, err := c.authenticate(ctx, query)
	if o.offline && unreachable(err) {
		return nil, fmt.Errorf("%w: %w", ErrOffline, err)
	}
	if err != nil {
		return nil, err
	}
	if err := c.adopt(ctx, query, contact, token); err != nil {
		return nil, err
	}
	c.registerDevice(ctx, contact)
	return contact.copy(), nil
}

// adopt makes a contact the user of this Chat.
func (c *Chat) adopt(ctx context.Context, query M, contact *Contact, token string) error {
	c.mu.Lock()
	before := c.session
	same := before != nil && before.contactID == contact.ID && before.userID == contact.UserID
	if same {
		before.contact = contact
		before.token.Store(&token)
	} else {
		s := &session{query: query, contactID: contact.ID, userID: contact.UserID, contact: contact}
		s.token.Store(&token)
		c.session = s
	}
	c.mu.Unlock()
	if before != nil && !same {
		c.forgetUser(fmt.Errorf("another user logged in: %w", ErrNotLoggedIn))
	}
	return c.rememberUser(ctx, contact, token)
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

// renew is what a 403 calls for: the chat token was cleared, usually by a logout
// on another device. One login serves everybody who met the same dead token.
func (c *Chat) renew(ctx context.Context, s *session, dead string) error {
	c.login.Lock()
	defer c.login.Unlock()
	c.mu.Lock()
	current := c.session
	c.mu.Unlock()
	if current != s {
		return ErrNotLoggedIn
	}
	if *s.token.Load() != dead {
		return nil // somebody else renewed it
	}
	c.forgetToken(ctx)
	query := s.query
	if _, byToken := query[wire.UserToken]; byToken {
		// The token of the query is gone; its contact is still known.
		row, err := c.client.FindByID(ctx, c.opts.DataSourceID, s.contactID)
		if errors.Is(err, datasource.ErrNotFound) {
			return fmt.Errorf("log in again: %w", ErrContactNotFound)
		}
		if err != nil {
			return err
		}
		return c.renewed(ctx, s, row)
	}
	rows, err := c.client.Find(ctx, c.opts.DataSourceID, datasource.Query{Type: "select", Where: query})
	if err != nil {
		return err
	}
	row := pick(rows, query)
	if row == nil {
		return fmt.Errorf("log in again: %w", ErrContactNotFound)
	}
	return c.renewed(ctx, s, row)
}

func (c *Chat) renewed(ctx context.Context, s *session, row *datasource.Entry) error {
	contact, token, err := c.identify(ctx, row)
	if err != nil {
		return err
	}
	if contact.UserID != s.userID {
		return errors.New("log in again: the query finds another user now")
	}
	s.token.Store(&token)
	return c.rememberUser(ctx, contact, token)
}

// authorized runs fn with the user's chat token. A 403 leads to one login and one
// more try, never to a loop (seen in the public widget).
func (c *Chat) authorized(ctx context.Context, s *session, fn func(token string) error) error {
	token := *s.token.Load()
	err := fn(token)
	if !errors.Is(err, datasource.ErrForbidden) {
		return err
	}
	c.log.Info("chat token refused, logging in again")
	if err := c.renew(ctx, s, token); err != nil {
		return err
	}
	return fn(*s.token.Load())
}

// Logout stops polling, clears the user's chat token on the server, which logs the
// user's other devices out of it, too, and forgets the user here.
//
// The local part is done whatever the network says, also when ctx has ended; an
// error then tells that the token on the server is still there. Logging out
// without a login does nothing.
func (c *Chat) Logout(ctx context.Context) (err error) {
	defer wrap("logout", &err)
	ended := ctx.Err() != nil
	ctx, end, err := c.begin(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	defer end()
	c.login.Lock()
	defer c.login.Unlock()
	c.mu.Lock()
	s := c.session
	c.session = nil
	c.mu.Unlock()
	if s == nil {
		return nil
	}
	c.forgetUser(fmt.Errorf("logged out: %w", ErrNotLoggedIn))
	errs := []error{c.forgetStored(ctx, s.userID)}
	if ended {
		return errors.Join(append(errs, errors.New("the context had ended, so the token was not cleared on the server"))...)
	}
	_, err = c.client.Update(ctx, c.opts.DataSourceID, s.contactID, M{wire.UserToken: nil})
	return errors.Join(append(errs, err)...)
}

// forgetUser ends what belongs to the user in this process.
func (c *Chat) forgetUser(cause error) {
	c.poller.stop(cause)
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

// registerDevice registers the user for push notifications. A failure is only
// logged: it must never keep anybody from chatting.
func (c *Chat) registerDevice(ctx context.Context, contact *Contact) {
	if c.opts.Push == nil || !c.opts.PushNotifications {
		return
	}
	id, err := c.opts.Push.Subscribe(ctx, contact.copy())
	if err == nil && id != "" && id != wire.Text(contact.Data[wire.SubscriptionID]) {
		_, err = c.client.Update(ctx, c.opts.DataSourceID, contact.ID, M{wire.SubscriptionID: id})
	}
	if err != nil {
		c.log.Warn("registering for push notifications failed", "error", err)
	}
}
