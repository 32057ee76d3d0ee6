package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/where"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Login finds the contact that matches a where clause over the columns of the
// contacts, such as M{"Email": M{"$iLike": "jo@x.com"}} or M{"flUserToken": "…"},
// and makes it the user of this Chat. M{"where": …} is accepted, too. It makes one
// request, and a second one for a contact without flUserId or flUserToken, which are
// then stored on its row. Options.Push may cause another.
//
// The query equals columns with values, or matches whole values with $iLike, joined
// by $and and $or; [AnyOperator] allows more. A value that is nil or blank is refused:
// it would find whoever lacks the column.
//
// The row that the server finds has to match the query here, too. On the server
// $iLike finds its operand anywhere in the value; Login accepts only a row whose column
// equals it, apart from case and surrounding space: jo@x.com does not log in
// banjo@x.com. Everything else is compared exactly. Of several such rows it takes the
// oldest.
//
// Logging in as another contact ends the streams of the previous one.
//
// With [Offline] the contact cached by an earlier session is used if it satisfies
// the query, and Offline says what finding it costs; otherwise the login is made online.
//
// When nobody is found, one more request reads the newest 100 contacts. If they lack a
// column of the query, others read which are declared and whether an older contact has
// it: the error names a column that does not exist, and lists those that do, or says that
// there are no contacts. flUserId and flUserToken are never missing: a first login writes
// them.
//
// Errors: [ErrInvalid], which names the column, before any request;
// [ErrContactNotFound] (code 404); [ErrOffline] (code 400) when the server cannot be
// reached, and with Offline nothing usable is cached; [ErrClosed].
func (c *Chat) Login(ctx context.Context, query M, opts ...LoginOption) (_ *Contact, err error) {
	defer wrap("login", &err)
	contact, err := c.loginWith(ctx, query, withDevice, opts...)
	return contact, c.misspelt(ctx, query, err)
}

// deviceChoice says whether a login registers the user's device for pushes.
type deviceChoice bool

const (
	withDevice    deviceChoice = true
	withoutDevice deviceChoice = false
)

// loginWith is Login with a choice about the device.
func (c *Chat) loginWith(ctx context.Context, query M, device deviceChoice, opts ...LoginOption) (*Contact, error) {
	o := chosen(callOptions{}, opts, LoginOption.applyLogin)
	login, err := where.ParseLogin(query, o.anyOperator)
	if err != nil {
		return nil, invalid("query: %v", err)
	}
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	contact, before, cached, err := c.logIn(ctx, login, o.offline)
	if err != nil {
		return nil, err
	}
	if before != nil {
		before.stop(fmt.Errorf("another user logged in: %w", ErrNotLoggedIn))
		c.forgetRead()
	}
	if c.calls.Stopped() {
		c.stopSession(errClosing) // Close came meanwhile
		return nil, errClosing
	}
	c.current().startSending(ctx)
	if !cached {
		if device == withDevice {
			c.registerDevice(ctx, contact)
		}
		c.shareLogin(ctx, contact)
	}
	contact = contact.copy()
	contact.withToken = o.withToken
	return contact, nil
}

// logIn finds the contact of a query, in the cache or online, and makes it the
// user. before is the session of another user, which the caller has to stop.
func (c *Chat) logIn(ctx context.Context, query where.Login, offline bool) (_ *Contact, before *session, cached bool, err error) {
	if err := c.logins.Lock(ctx); err != nil {
		return nil, nil, false, err
	}
	defer c.logins.Unlock()
	if offline {
		if contact, token := c.cachedUser(ctx, query); contact != nil {
			return contact, c.adopt(ctx, query, contact, token), true, nil
		}
	}
	contact, token, err := c.authenticate(ctx, query)
	if err != nil {
		return nil, nil, false, err
	}
	return contact, c.adopt(ctx, query, contact, token), false, nil
}

// adopt makes a contact the user of this Chat. It returns the session of another
// user that this one replaces.
func (c *Chat) adopt(ctx context.Context, query where.Login, contact *Contact, token string) (before *session) {
	c.mu.Lock()
	s := c.session
	if s == nil || s.contactID != contact.ID || s.userID != contact.UserID {
		before, s = s, c.newSession(contact)
		c.session = s
	}
	s.become(new(newLogin(query, contact, token)))
	c.mu.Unlock()
	c.rememberUser(ctx, s, query, contact, token)
	return before
}

// authenticate finds the contact on the server, and stores ids that it lacks.
func (c *Chat) authenticate(ctx context.Context, query where.Login) (*Contact, string, error) {
	rows, err := c.find(ctx, query)
	if err != nil {
		return nil, "", err
	}
	return c.identify(ctx, query, &rows[0])
}

// find reads the contacts that a query finds, and that match it here, too: at least
// one.
func (c *Chat) find(ctx context.Context, query where.Login) ([]datasource.Entry, error) {
	rows, err := rows.Readable(ctx, c.client, c.opts.DataSourceID, datasource.Query{Type: "select", Where: query.Where()})
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(e datasource.Entry) bool { return e.ID <= 0 || e.DeletedAt != nil })
	// By id, so that a row that somebody adds does not come before one that was there.
	slices.SortFunc(rows, func(a, b datasource.Entry) int { return cmp.Compare(a.ID, b.ID) })
	found := where.Choose(query, columnsOf, rows...)
	if len(found) == 0 {
		return nil, ErrContactNotFound
	}
	return found, nil
}

func columnsOf(e datasource.Entry) M { return e.Data }

// identify stores the flUserId and flUserToken that a contact's row lacks, and
// returns the contact as stored. It never replaces one: a new flUserId would orphan
// history, a new token would log out the user's other devices. What is stored has to
// match the query of the login like what was found.
func (c *Chat) identify(ctx context.Context, query where.Login, row *datasource.Entry) (*Contact, string, error) {
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
		// Another client may have been first, so the server's values count.
		merged, ok := query.Stored(row.Data, patch, stored.Data)
		if !ok {
			return nil, "", errors.New("the server answered with another contact")
		}
		row.Data = merged
	}
	token := wire.Text(row.Data[wire.UserToken])
	contact := c.contact(row)
	if contact.UserID == "" || token == "" {
		return nil, "", errors.New("the server did not store the contact's flUserId and flUserToken")
	}
	return contact, token, nil
}
