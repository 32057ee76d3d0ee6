package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
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
		"by a list":               {"Email": chat.M{"$in": []string{"Jo@X.com"}}},
		"by $filters":             {"$filters": []any{chat.M{"column": "Email", "condition": "==", "value": "Jo@X.com"}}},
		"by an options object":    {"where": chat.M{"Email": "Jo@X.com"}},
		"the exact one of a part": {"Email": chat.M{"$iLike": "JO@X.COM"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := (&world{Server: w.Server, t: t}).connect(func(o *chat.Options) { o.DataSourceID = contacts })
			contact, err := c.Login(t.Context(), query)
			require.NoError(t, err)
			assert.Equal(t, ids[1], contact.ID)
			assert.Equal(t, contact.UserID, c.User().UserID)
			assert.Equal(t, "a-known-token", contact.Data["flUserToken"], "a token that is there is used")
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

func TestWithoutPrimaryKeyAnIdentityIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	legacy := func(o *chat.Options) { o.PrimaryKey = "" }
	first := w.login("jane", legacy).User()
	require.NoError(t, uuid.Validate(first.UserID))
	stored := w.columns(w.contacts, first.ID)
	assert.Equal(t, first.UserID, stored["flUserId"])
	assert.Len(t, stored["flUserToken"], 64)
	second := w.login("jane", legacy).User()
	assert.Equal(t, first.UserID, second.UserID)
	assert.Equal(t, first.Data["flUserToken"], second.Data["flUserToken"])
	assert.NotEqual(t, first.UserID, w.login("bob", legacy).User().UserID)
}

func TestFirstLoginsAtOnceAgreeOnAnIdentity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		const devices = 8
		var wg sync.WaitGroup
		ids, chats := make([]string, devices), make([]*chat.Chat, devices)
		for i := range devices {
			c := w.connect(func(o *chat.Options) { o.PrimaryKey = "" })
			chats[i] = c
			w.After(i, 1, fliplettest.Update, fliplettest.Delay(time.Duration(i)*time.Millisecond))
			wg.Go(func() {
				contact, err := c.Login(t.Context(), chat.M{"Email": "jane@example.org"})
				if assert.NoError(t, err) {
					ids[i] = contact.UserID
				}
			})
		}
		wg.Wait()
		for _, id := range ids {
			assert.Equal(t, w.columns(w.contacts, w.ids["jane"])["flUserId"], id)
		}
		for _, c := range chats { // whose token was overwritten notices and reads the last one
			_, err := c.Messages(t.Context())
			assert.NoError(t, err)
		}
	})
}

func TestWithPrimaryKeyTheIdentityIsDerived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	contacts, ids := w.AddContacts(datasource.M{"Email": " Jo@X.com "}, datasource.M{"Email": "al@x.com"}, datasource.M{"Email": nil})
	in := func(o *chat.Options) { o.DataSourceID = contacts }
	jo := w.connect(in)
	_, err := jo.Login(t.Context(), chat.M{"Email": chat.M{"$iLike": "jo@x.com"}})
	require.NoError(t, err)
	first := jo.User().UserID
	assert.Len(t, first, 32)
	assert.Equal(t, first, w.columns(contacts, ids[0])["flUserId"])

	// The row is imported again: without its flUserId, and spelt differently.
	again := w.AddRows(contacts, datasource.M{"Email": "jo@x.COM"})
	w.remove(contacts, ids[0])
	back := w.connect(in)
	_, err = back.Login(t.Context(), chat.M{"Email": "jo@x.COM"})
	require.NoError(t, err)
	assert.Equal(t, again[0], back.User().ID)
	assert.Equal(t, first, back.User().UserID)

	al := w.connect(in)
	_, err = al.Login(t.Context(), chat.M{"Email": "al@x.com"})
	require.NoError(t, err)
	assert.NotEqual(t, first, al.User().UserID)
}

func TestAnIdentityThatIsThereIsNeverReplaced(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]any{"text": "chosen-by-somebody", "a number": json.Number("7"), "a large number": json.Number("9007199254740993")} {
		for flow, key := range map[string]string{"legacy": "", "derived": "Email"} {
			t.Run(name+", "+flow, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				contacts, ids := w.AddContacts(datasource.M{"Email": "jo@x.com", "flUserId": id})
				c := w.connect(func(o *chat.Options) { o.DataSourceID, o.PrimaryKey = contacts, key })
				contact, err := c.Login(t.Context(), chat.M{"Email": "jo@x.com"})
				require.NoError(t, err)
				assert.Equal(t, fmt.Sprint(id), contact.UserID)
				assert.Equal(t, id, w.columns(contacts, ids[0])["flUserId"], "the row keeps what it had")
			})
		}
	}
}

func TestADeadTokenIsRenewedOnceForAllCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		bob := w.login("bob")
		w.loggedOutElsewhere("bob")
		old := w.Count(fliplettest.Query)
		asked := w.Count(fliplettest.CrossSource)
		const calls = 12
		w.Next(calls, fliplettest.CrossSource, fliplettest.Delay(time.Second))
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() {
				_, err := bob.Unread().Count(t.Context())
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.Equal(t, 1, w.Count(fliplettest.Query)-old, "logins")
		assert.Equal(t, 2*calls, w.Count(fliplettest.CrossSource)-asked, "each was refused once, and made once more")
		assert.False(t, w.dead(w.token("bob")))
		assert.Equal(t, w.token("bob"), bob.User().Data["flUserToken"])
	})
}

// The row may still hold the very token that the server refuses: one login must
// serve everybody then, too.
func TestARefusedTokenThatIsStillStoredTakesOneLogin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		bob := w.login("bob")
		old := w.Count(fliplettest.Query)
		const calls = 12
		w.Next(calls, fliplettest.CrossSource, fliplettest.Delay(time.Second), fliplettest.RefuseChatToken())
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() {
				_, err := bob.Unread().Count(t.Context())
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.Equal(t, 1, w.Count(fliplettest.Query)-old)
	})
}

func TestATokenRefusedTwiceIsAnErrorNotALoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.login("bob")
	logins, asked := w.Count(fliplettest.Query), w.Count(fliplettest.CrossSource)
	w.Always(fliplettest.CrossSource, fliplettest.RefuseChatToken())
	_, err := bob.Messages(t.Context())
	require.ErrorIs(t, err, datasource.ErrForbidden)
	var e *chat.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, 403, e.Code)
	assert.Equal(t, 1, w.Count(fliplettest.Query)-logins)
	assert.Equal(t, 2, w.Count(fliplettest.CrossSource)-asked)
}

func TestALoginThatFailsIsSharedButNotOneThatWasGivenUp(t *testing.T) {
	t.Parallel()
	for name, givenUp := range map[string]bool{"fails": false, "is given up": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				bob := w.login("bob")
				w.Next(2, fliplettest.CrossSource, fliplettest.RefuseChatToken())
				old := w.Count(fliplettest.Query)
				if givenUp {
					w.Next(1, fliplettest.Query, fliplettest.Delay(time.Hour))
				} else {
					w.Next(1, fliplettest.Query, fliplettest.Delay(time.Hour), fliplettest.Status(500))
				}
				first, cancel := context.WithCancel(t.Context())
				defer cancel()
				errs := make(chan error, 2)
				go func() { _, err := bob.Messages(first); errs <- err }()
				synctest.Wait()
				go func() { _, err := bob.Messages(t.Context()); errs <- err }()
				synctest.Wait()
				if givenUp {
					cancel()
					require.ErrorIs(t, <-errs, context.Canceled)
					require.NoError(t, <-errs, "the other one logs in itself")
					assert.Equal(t, 2, w.Count(fliplettest.Query)-old)
					return
				}
				for range 2 {
					var refused *datasource.Error
					require.ErrorAs(t, <-errs, &refused)
					assert.Equal(t, 500, refused.StatusCode)
				}
				assert.Equal(t, 1, w.Count(fliplettest.Query)-old)
			})
		})
	}
}

func TestWhoLoggedInByTokenIsLoggedInAgainByTheContact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.login("bob")
	bob := w.connect()
	_, err := bob.Login(t.Context(), chat.M{"flUserToken": w.token("bob")})
	require.NoError(t, err)
	w.loggedOutElsewhere("bob")
	_, err = bob.Messages(t.Context())
	require.NoError(t, err)

	w.remove(w.contacts, w.ids["bob"])
	_, err = bob.Messages(t.Context())
	require.ErrorIs(t, err, chat.ErrContactNotFound)
}

func TestAReloginThatFindsSomebodyElseIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect()
	_, err := c.Login(t.Context(), chat.M{"Full name": "bob"})
	require.NoError(t, err)
	_, err = w.Client().Update(t.Context(), w.contacts, w.ids["bob"], chat.M{"Full name": "Robert", "flUserToken": nil})
	require.NoError(t, err)
	_, err = w.Client().Update(t.Context(), w.contacts, w.ids["eve"], chat.M{"Full name": "bob"})
	require.NoError(t, err)
	_, err = c.Messages(t.Context())
	require.ErrorContains(t, err, "another user")
	assert.Equal(t, w.ids["bob"], c.User().ID)
}

func TestStreamGoesOnAfterALogoutElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	toBob := stream(t, bob)
	w.loggedOutElsewhere("bob")
	w.say(jane, conv, "still there?")
	assert.Equal(t, []string{"still there?"}, bodies(toBob.wait(t, 1)))
}

func TestLogoutEndsTheTokenAndEverythingLocal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := newInspected()
	jane := w.login("jane", func(o *chat.Options) { o.Storage, o.CrossLogin = store, true })
	token := w.token("jane")
	require.Contains(t, store.dump(), token)
	require.False(t, w.dead(token))
	w.say(jane, w.converse(jane, "bob"), "hello")
	stream(t, jane).wait(t, 1)
	sub, err := jane.Stream(t.Context(), func(*chat.Message) {})
	require.NoError(t, err)
	require.NoError(t, jane.Logout(t.Context()))

	assert.True(t, w.dead(token))
	assert.Nil(t, jane.User())
	<-sub.Done()
	require.ErrorIs(t, sub.Err(), chat.ErrNotLoggedIn)
	_, err = jane.Messages(t.Context())
	require.ErrorIs(t, err, chat.ErrNotLoggedIn)
	assert.NotContains(t, store.dump(), token)
	assert.NotContains(t, store.dump(), "jane@example.org")
	require.NoError(t, jane.Logout(t.Context()), "logging out again does nothing")

	_, err = jane.Login(t.Context(), chat.M{"Email": "jane@example.org"})
	require.NoError(t, err)
	assert.NotEqual(t, token, w.token("jane"))
}

func TestLogoutStopsPollingBeforeItClearsTheToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		w.converse(jane, "bob")
		stream(t, jane)
		time.Sleep(time.Second)
		require.NoError(t, jane.Logout(t.Context()))
		time.Sleep(time.Hour)
		all := w.Requests()
		assert.Equal(t, fliplettest.Update, all[len(all)-1].Route, "nothing is asked after it")
	})
}

func TestLogoutForgetsTheUserWhateverTheNetworkSays(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		ctx   context.Context
		spoil func(*world)
		check func(*testing.T, error)
	}{
		"the server is gone":    {context.Background(), func(w *world) { w.Close() }, func(t *testing.T, err error) { require.Error(t, err) }},
		"the server refuses":    {context.Background(), func(w *world) { w.Always(fliplettest.Update, fliplettest.Status(500)) }, func(t *testing.T, err error) { require.ErrorContains(t, err, "500") }},
		"the context has ended": {gone, func(*world) {}, func(t *testing.T, err error) { require.ErrorIs(t, err, context.Canceled) }},
		"the contact is gone": {context.Background(), func(w *world) {
			w.remove(w.contacts, w.ids["jane"])
		}, func(t *testing.T, err error) { require.NoError(t, err) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			store := newInspected()
			jane := w.login("jane", func(o *chat.Options) { o.Storage = store })
			sub, err := jane.Stream(t.Context(), func(*chat.Message) {})
			require.NoError(t, err)
			token := w.token("jane")
			c.spoil(w)
			c.check(t, jane.Logout(c.ctx))
			assert.Nil(t, jane.User())
			<-sub.Done()
			assert.NotContains(t, store.dump(), token)
			assert.NotContains(t, store.dump(), "jane@example.org")
		})
	}
}

func TestLogoutEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		w.Always(fliplettest.Update, fliplettest.Delay(time.Hour))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, jane.Logout(ctx), context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(began))
		assert.Nil(t, jane.User())
	})
}

func TestStreamFunctionsMayLogOutAndIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	var both sync.WaitGroup
	both.Add(2)
	for range 2 { // both at once: neither waits for the other
		first := true
		_, err := bob.Stream(t.Context(), func(*chat.Message) {
			if first {
				first = false
				both.Done()
				both.Wait()
				assert.NoError(t, bob.Logout(context.Background()))
			}
		})
		require.NoError(t, err)
	}
	w.say(jane, conv, "go")
	both.Wait()
	for bob.User() != nil {
		require.NoError(t, t.Context().Err())
		time.Sleep(time.Millisecond)
	}
	_, err := bob.Login(t.Context(), chat.M{"Email": "bob@example.org"})
	require.NoError(t, err)

	done := make(chan error, 1)
	_, err = bob.Stream(t.Context(), func(*chat.Message) {
		_, err := bob.Login(context.Background(), chat.M{"Email": "eve@example.org"})
		done <- err
	})
	require.NoError(t, err)
	require.NoError(t, <-done)
	assert.Equal(t, w.ids["eve"], bob.User().ID)
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
	<-sub.Done()
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
