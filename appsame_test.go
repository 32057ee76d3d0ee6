package chat_test

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// both is somebody's Chat, of an App or of Connect, in an office.
type both struct {
	*office
	*chat.Chat
	t    *testing.T
	room *chat.Conversation // with bob
	bob  *chat.Chat
}

// sames are scenes that have the same outcome for a Chat of Connect and for one of an App's user.
// Each returns what it has seen.
var sames = map[string]func(b *both) any{
	"Poll delivers what others have just sent": func(b *both) any {
		l := newLedger()
		_, err := b.Stream(b.t.Context(), l.add, chat.StartAt(chat.FromNow))
		require.NoError(b.t, err)
		time.Sleep(3 * time.Minute)
		b.say(b.bob, b.room, "now")
		require.NoError(b.t, b.Poll(b.t.Context()))
		return l.bodies()
	},
	"Poll delivers to consumers": func(b *both) any {
		l := newLedger()
		end := b.consume(l, chat.StartAt(chat.FromNow))
		time.Sleep(3 * time.Minute)
		b.say(b.bob, b.room, "now")
		require.NoError(b.t, b.Poll(b.t.Context()))
		got := l.bodies()
		end()
		return got
	},
	"Health shows a poll that is no older than Options say": func(b *both) any {
		_, err := b.Stream(b.t.Context(), func(*chat.Message) {})
		require.NoError(b.t, err)
		time.Sleep(10 * time.Second)
		h := b.Health()
		return []any{b.oldest() < 2*time.Minute+5*time.Second, h.FailedPolls, h.Listeners, len(h.User) > 0}
	},
	"Health counts consumers": func(b *both) any {
		end := b.consume(newLedger())
		defer end()
		time.Sleep(10 * time.Second)
		h := b.Health()
		return []any{b.oldest() < 2*time.Minute+5*time.Second, h.FailedPolls, h.Listeners, h.Consumers}
	},
	"Poll delivers from a conversation that others have just made": func(b *both) any {
		l := newLedger()
		_, err := b.Stream(b.t.Context(), l.add)
		require.NoError(b.t, err)
		time.Sleep(3 * time.Minute)
		b.say(b.bob, b.converse(b.bob, "jane", "eve"), "a new one")
		require.NoError(b.t, b.Poll(b.t.Context()))
		time.Sleep(time.Second)
		require.NoError(b.t, b.Poll(b.t.Context()))
		return l.bodies()
	},
}

// oldest is how old the last poll was at most in half an hour.
func (b *both) oldest() (age time.Duration) {
	for range 360 {
		time.Sleep(5 * time.Second)
		age = max(age, time.Since(b.Health().LastPoll))
	}
	return age
}

// consume begins a consumer, and returns what ends it.
func (b *both) consume(l *ledger, opts ...chat.ConsumeOption) (end func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	over := make(chan error, 1)
	go func() {
		over <- b.Consume(ctx, "x", func(_ context.Context, m *chat.Message) error { l.add(m); return nil }, opts...)
	}()
	return func() {
		cancel()
		require.ErrorIs(b.t, <-over, context.Canceled)
	}
}

func TestAChatOfAnAppsUserDoesWhatAPlainOneDoes(t *testing.T) {
	t.Parallel()
	for name, scene := range sames {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := map[bool]any{}
			for _, app := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					o := newOffice(t, 3)
					bob := o.login("bob", func(o *chat.Options) { o.PollInterval = time.Minute })
					room := o.converse(bob, "jane")
					o.say(bob, room, "before")
					time.Sleep(20 * time.Second)
					b := &both{office: o, t: t, room: room, bob: bob}
					opts := chat.Options{
						Client:       sure(datasource.NewClient(datasource.Config{Token: o.Token, BaseURL: o.URL, HTTPClient: &http.Client{Transport: o.requests}})),
						DataSourceID: o.contacts, EncryptMessages: true, Storage: storage.NewMemory(), Logger: slog.New(slog.DiscardHandler),
					}
					query := chat.M{"Email": "jane@example.org"}
					var err error
					if app {
						b.Chat, err = o.in(t, func(a *chat.AppOptions) { a.Options = opts }).User(t.Context(), query)
						require.NoError(t, err)
					} else {
						b.Chat = sure(chat.Connect(t.Context(), opts))
						_, err = b.Login(t.Context(), query)
						require.NoError(t, err)
					}
					seen[app] = scene(b)
					var closing sync.WaitGroup
					closing.Go(func() { assert.NoError(t, b.Shutdown(context.Background())) })
					closing.Wait()
				})
			}
			assert.Equal(t, seen[false], seen[true])
			assert.NotEmpty(t, seen[false])
			t.Logf("%v", seen[false])
		})
	}
}
