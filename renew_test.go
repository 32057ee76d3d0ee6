package chat_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

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
					w.Next(1, fliplettest.Query, fliplettest.Delay(20*time.Second), fliplettest.Status(500))
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
