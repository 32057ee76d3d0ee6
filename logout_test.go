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
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestLogoutEndsTheTokenAndEverythingLocal(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
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
		ended(t, sub.Done())
		require.ErrorIs(t, sub.Err(), chat.ErrNotLoggedIn)
		_, err = jane.Messages(t.Context())
		require.ErrorIs(t, err, chat.ErrNotLoggedIn)
		assert.NotContains(t, store.dump(), token)
		assert.NotContains(t, store.dump(), "jane@example.org")
		require.NoError(t, jane.Logout(t.Context()), "logging out again does nothing")

		_, err = jane.Login(t.Context(), chat.M{"Email": "jane@example.org"})
		require.NoError(t, err)
		assert.NotEqual(t, token, w.token("jane"))
	})
}

func TestLogoutStopsPollingBeforeItClearsTheToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		w.converse(jane, "bob")
		stream(t, jane)
		time.Sleep(time.Second)
		w.Next(1, fliplettest.Update, fliplettest.Delay(10*time.Second))
		asked := len(w.Requests())
		require.NoError(t, jane.Logout(t.Context()))
		time.Sleep(time.Hour)
		all := w.Requests()[asked:]
		require.Len(t, all, 1, "nothing is asked meanwhile, nor after it")
		assert.Equal(t, fliplettest.Update, all[0].Route)
	})
}

func TestLogoutForgetsTheUserWhateverTheNetworkSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		gone  bool
		spoil func(*world)
		check func(*testing.T, error)
	}{
		"the server is gone":    {false, func(w *world) { w.Close() }, func(t *testing.T, err error) { require.Error(t, err) }},
		"the server refuses":    {false, func(w *world) { w.Always(fliplettest.Update, fliplettest.Status(500)) }, func(t *testing.T, err error) { require.ErrorContains(t, err, "500") }},
		"the context has ended": {true, func(*world) {}, func(t *testing.T, err error) { require.ErrorIs(t, err, context.Canceled) }},
		"the contact is gone": {false, func(w *world) {
			w.remove(w.contacts, w.ids["jane"])
		}, func(t *testing.T, err error) { require.NoError(t, err) }},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, w *world) {
				store := newInspected()
				jane := w.login("jane", func(o *chat.Options) { o.Storage = store })
				sub, err := jane.Stream(t.Context(), func(*chat.Message) {})
				require.NoError(t, err)
				token := w.token("jane")
				c.spoil(w)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.gone {
					cancel()
				}
				c.check(t, jane.Logout(ctx))
				assert.Nil(t, jane.User())
				ended(t, sub.Done())
				assert.NotContains(t, store.dump(), token)
				assert.NotContains(t, store.dump(), "jane@example.org")
			})
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
	errs := make(chan error, 2)
	for range 2 { // both at once: neither waits for the other
		first := true
		_, err := bob.Stream(t.Context(), func(*chat.Message) {
			if first {
				first = false
				both.Done()
				both.Wait()
				errs <- bob.Logout(context.Background())
			}
		})
		require.NoError(t, err)
	}
	w.say(jane, conv, "go")
	require.NoError(t, <-errs)
	require.NoError(t, <-errs)
	require.Nil(t, bob.User())
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

func TestStreamFunctionsMayEndTheChatAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	ends := []func() error{bob.Close, func() error { return bob.Logout(context.Background()) }, bob.Close}
	var all sync.WaitGroup
	all.Add(len(ends))
	errs := make(chan error, len(ends))
	subs := make([]*chat.Subscription, len(ends))
	for i, end := range ends {
		var err error
		subs[i], err = bob.Stream(t.Context(), func(*chat.Message) {
			all.Done()
			all.Wait()
			errs <- end()
		})
		require.NoError(t, err)
	}
	w.say(jane, conv, "go")
	for _, sub := range subs {
		ended(t, sub.Done())
		if err := <-errs; err != nil {
			assert.ErrorIs(t, err, chat.ErrClosed) // the logout came second
		}
	}
}

// What a gateway says of a page that it does not have says nothing of the contact.
func TestALogoutThatAGatewayHasAnsweredIsNoSuccess(t *testing.T) {
	t.Parallel()
	for body, gone := range map[string]bool{
		proxyPage: false, " ": false, `{}`: false, `{"error":"Not Found","message":"Not Found"}`: false, `{"message":"no such entry"}`: true,
	} {
		w := newWorld(t)
		jane := w.login("jane")
		token := w.token("jane")
		w.Next(1, fliplettest.Update, fliplettest.Answer(404, body))
		err := jane.Logout(t.Context())
		assert.False(t, w.dead(token))
		assert.Nil(t, jane.User())
		if gone {
			require.NoError(t, err, "%q: the contact is gone, and the token with it", body)
		} else {
			require.Error(t, err, "%q: the token may still be there", body)
		}
	}
}
