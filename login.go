package chat

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/where"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

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
	return c.loginWith(ctx, query, withDevice, opts...)
}

// deviceChoice says whether a login registers the user's device for pushes.
type deviceChoice bool

const (
	withDevice    deviceChoice = true
	withoutDevice deviceChoice = false
)

// loginWith is Login.
func (c *Chat) loginWith(ctx context.Context, query M, device deviceChoice, opts ...LoginOption) (*Contact, error) {
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
		before.stop(fmt.Errorf("another user logged in: %w", ErrNotLoggedIn))
		c.known.clear()
	}
	if c.calls.Context().Err() != nil {
		c.stopSession(errClosing) // closed meanwhile
		return nil, errClosing
	}
	c.current().startSending(ctx)
	if !cached {
		if device == withDevice {
			c.registerDevice(ctx, contact)
		}
		c.shareLogin(ctx, contact)
	}
	return contact.copy(), nil
}

// logIn finds the contact of a query, in the cache or online, and makes it the
// user. It returns the session of another user that this ended, if there was one.
func (c *Chat) logIn(ctx context.Context, query M, offline bool) (_ *Contact, before *session, cached bool, err error) {
	if err := c.logins.lock(ctx); err != nil {
		return nil, nil, false, err
	}
	defer c.logins.unlock()
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
		ended, s = s, c.newSession(contact)
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
	columns := make([]M, len(rows))
	for i := range rows {
		columns[i] = rows[i].Data
	}
	best := where.Best(columns, query)
	if best < 0 {
		return nil, "", ErrContactNotFound
	}
	return c.identify(ctx, &rows[best])
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
