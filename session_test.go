package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// columns are what a contact's row holds on the server.
func (w *world) columns(source, id int64) datasource.M {
	w.t.Helper()
	for _, row := range w.Rows(source) {
		if row.ID == id {
			return row.Data
		}
	}
	require.Fail(w.t, "no such contact")
	return nil
}

// token is a contact's chat token, as stored.
func (w *world) token(name string) string {
	token, _ := w.columns(w.contacts, w.ids[name])["flUserToken"].(string)
	return token
}

// dead reports whether the server refuses a chat token.
func (w *world) dead(token string) bool {
	_, err := w.Client().FindAcross(w.t.Context(), fmt.Appendf(nil, `{"flUserToken":%q}`, token), nil)
	return errors.Is(err, datasource.ErrForbidden)
}

// loggedOutElsewhere lets another of a contact's devices log out.
func (w *world) loggedOutElsewhere(name string) {
	w.t.Helper()
	require.NoError(w.t, w.login(name).Logout(w.t.Context()))
}

// remove deletes a contact as a person in Studio would.
func (w *world) remove(source, id int64) {
	w.t.Helper()
	token, _ := w.AddToken(fliplettest.UserToken)
	require.NoError(w.t, w.ClientFor(token).Delete(w.t.Context(), source, id))
}

func TestLoginFindsTheContact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	contacts, ids := w.AddContacts(
		datasource.M{"Email": "other@example.org", "Team": "B", "Number": 41},
		datasource.M{"Email": "Jo@X.com", "Team": "A", "Number": 42, "flUserToken": "a-known-token"},
		datasource.M{"Email": "banjo@x.com", "Team": "A", "Number": "0042"},
	)
	for name, query := range map[string]chat.M{
		"by primary key":          {"Email": "Jo@X.com"},
		"without regard to case":  {"Email": chat.M{"$iLike": "jo@x.com"}},
		"with space around":       {"Email": chat.M{"$iLike": "jo@x.com"}, "Team": "A"},
		"by several columns":      {"Email": "Jo@X.com", "Team": "A"},
		"by a number":             {"Number": 42},
		"by its chat token":       {"flUserToken": "a-known-token"},
		"by alternatives":         {"$or": []any{chat.M{"Email": "nobody"}, chat.M{"Email": "Jo@X.com"}}},
		"by a list*":              {"Email": chat.M{"$in": []string{"Jo@X.com"}}},
		"by $filters*":            {"$filters": []any{chat.M{"column": "Email", "condition": "==", "value": "Jo@X.com"}}},
		"by an options object":    {"where": chat.M{"Email": "Jo@X.com"}},
		"the exact one of a part": {"Email": chat.M{"$iLike": "JO@X.COM"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := (&world{Server: w.Server, t: t}).connect(func(o *chat.Options) { o.DataSourceID = contacts })
			var opts []chat.LoginOption
			if strings.HasSuffix(name, "*") {
				opts = append(opts, chat.AnyOperator())
			}
			contact, err := c.Login(t.Context(), query, opts...)
			require.NoError(t, err)
			assert.Equal(t, ids[1], contact.ID)
			assert.Equal(t, contact.UserID, c.User().UserID)
			assert.Equal(t, "a-known-token", contact.Data["flUserToken"], "a token that is there is used")
			assert.Equal(t, contact.UserID, contact.Data["flUserId"])
		})
	}
}

func TestLoginThatFindsNobodyIsA404(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect()
	for _, query := range []chat.M{{"Email": "nobody@example.org"}, {"flUserToken": "gone"}, {"Email": chat.M{"$iLike": "ane@example.org"}}} {
		_, err := c.Login(t.Context(), query)
		require.ErrorIs(t, err, chat.ErrContactNotFound)
		var e *chat.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, 404, e.Code)
		assert.Equal(t, "login", e.Op)
	}
	assert.Nil(t, c.User())
	before := len(w.Requests())
	_, err := c.Login(t.Context(), nil)
	require.ErrorIs(t, err, chat.ErrInvalid)
	assert.Len(t, w.Requests(), before, "no request was made")
}

func TestFailedLoginLeavesTheUserWhoIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.login("jane")
	_, err := c.Login(t.Context(), chat.M{"Email": "nobody@example.org"})
	require.ErrorIs(t, err, chat.ErrContactNotFound)
	assert.Equal(t, w.ids["jane"], c.User().ID)
}

func TestSwitchingUsersEndsTheStreamsOfTheOneBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.login("jane")
	conv := w.converse(c, "bob")
	r := newRecorder()
	sub, err := c.Stream(t.Context(), r.add)
	require.NoError(t, err)
	_, err = c.Login(t.Context(), chat.M{"Email": "eve@example.org"})
	require.NoError(t, err)
	ended(t, sub.Done())
	require.ErrorIs(t, sub.Err(), chat.ErrNotLoggedIn)
	toEve := stream(t, c)
	w.say(w.login("jane"), conv, "not for Eve")
	require.NoError(t, c.Poll(t.Context()))
	assert.Empty(t, toEve.all())
	assert.Empty(t, r.all())
	assert.False(t, w.dead(w.token("jane")), "only a logout ends a token")
}

func TestLoggingInAgainKeepsTheStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	_, err := bob.Login(t.Context(), chat.M{"Full name": "bob"})
	require.NoError(t, err)
	w.say(jane, conv, "hello again")
	toBob.wait(t, 1)
}

func TestLoginGivesUpWaitingForAnotherOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		c := w.connect()
		w.Next(1, fliplettest.Query, fliplettest.Delay(time.Hour))
		slow := make(chan error, 1)
		go func() { _, err := c.Login(t.Context(), chat.M{"Email": "jane@example.org"}); slow <- err }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Login(ctx, chat.M{"Email": "bob@example.org"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, <-slow)
		assert.Equal(t, w.ids["jane"], c.User().ID)
	})
}

func TestClosedChatRefusesEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.login("jane")
	require.NoError(t, c.Close())
	_, err := c.Login(t.Context(), chat.M{"Email": "jane@example.org"})
	require.ErrorIs(t, err, chat.ErrClosed)
	require.ErrorIs(t, c.Logout(t.Context()), chat.ErrClosed)
}

func TestNothingOfASessionShowsSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.login("jane")
	token := w.token("jane")
	contact := c.User()
	raw, err := json.Marshal(contact)
	require.NoError(t, err)
	for _, text := range []string{string(raw), fmt.Sprintf("%v %+v %#v %s", contact, contact, contact, contact), fmt.Sprintf("%v %+v %#v", c, c, c)} {
		assert.NotContains(t, text, token)
		assert.NotContains(t, text, w.Token)
	}
	w.Always(fliplettest.CrossSource, fliplettest.RefuseChatToken())
	_, err = c.Messages(t.Context())
	require.Error(t, err)
	assert.NotContains(t, strings.ToLower(fmt.Sprintf("%v %+v %#v", err, err, err)), token)
}
