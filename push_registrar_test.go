package chat_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func withPush(r chat.PushRegistrar) func(*chat.Options) {
	return func(o *chat.Options) { o.Push, o.PushNotifications = r, true }
}

func TestLoginRegistersTheDeviceAndStoresItsSubscription(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	push := &registrar{id: "71"}
	c := w.login("jane", withPush(push))
	require.Len(t, push.got, 1)
	assert.Equal(t, c.User().UserID, push.got[0].UserID)
	assert.NotContains(t, push.got[0].Data, "flUserToken", "a registrar needs no credentials")
	assert.Equal(t, "71", w.columns(w.contacts, w.ids["jane"])["flPushSubscriptionId"])
	assert.Equal(t, "71", c.User().Data["flPushSubscriptionId"])

	writes := w.Count(fliplettest.Update)
	w.login("jane", withPush(push))
	assert.Equal(t, writes, w.Count(fliplettest.Update), "an id that is there is not written again")
	push.id = "72"
	w.login("jane", withPush(push))
	assert.Equal(t, "72", w.columns(w.contacts, w.ids["jane"])["flPushSubscriptionId"])
	push.id = ""
	w.login("jane", withPush(push))
	assert.Equal(t, "72", w.columns(w.contacts, w.ids["jane"])["flPushSubscriptionId"], "no subscription, nothing to store")
}

func TestRegistrarIsAskedOnlyWithPushNotifications(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	push := &registrar{id: "71"}
	w.login("jane", func(o *chat.Options) { o.Push = push })
	assert.Empty(t, push.got)
	w.login("jane", func(o *chat.Options) { o.PushNotifications = true })
}

// slow is a registrar that answers when the context ends.
type slow struct{}

func (slow) Subscribe(ctx context.Context, _ *chat.Contact) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

func TestNoRegistrarKeepsAnybodyFromLoggingIn(t *testing.T) {
	t.Parallel()
	for name, push := range map[string]chat.PushRegistrar{
		"fails":  &registrar{err: errors.New("declined")},
		"panics": &registrar{hook: func() { panic("at the disco") }},
		"hangs":  slow{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				c := w.connect(withPush(push))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				contact, err := c.Login(ctx, chat.M{"Email": "jane@example.org"})
				require.NoError(t, err)
				assert.Equal(t, contact.UserID, c.User().UserID)
				assert.NotContains(t, w.columns(w.contacts, w.ids["jane"]), "flPushSubscriptionId")
			})
		})
	}
	t.Run("its id cannot be stored", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.login("jane")
		w.Always(fliplettest.Update, fliplettest.Status(500))
		w.login("jane", withPush(&registrar{id: "71"}))
	})
}

func TestRegistrarMayUseTheChat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	push := &registrar{id: "71"}
	c := w.connect(withPush(push))
	push.hook = func() {
		push.hook = nil
		_, err := c.Login(t.Context(), chat.M{"Email": "jane@example.org"})
		assert.NoError(t, err)
	}
	_, err := c.Login(t.Context(), chat.M{"Email": "jane@example.org"})
	require.NoError(t, err)
	assert.Len(t, push.got, 2)
}
