package chat_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
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
	"a consumer gets nothing of a conversation that the user has left": func(b *both) any {
		l := newLedger()
		end := b.consume(l)
		time.Sleep(time.Minute)
		require.NoError(b.t, b.mine(b.room.ID).Participants().Remove(b.t.Context(), b.ids["jane"]))
		b.say(b.bob, b.room, "after")
		time.Sleep(3 * time.Minute)
		end()
		return l.bodies()
	},
	"a consumer gets nothing after others have removed the user, and goes on when they come back": func(b *both) any {
		l := newLedger()
		end := b.consume(l)
		time.Sleep(time.Minute)
		require.NoError(b.t, b.room.Participants().Remove(b.t.Context(), b.ids["jane"]))
		time.Sleep(3 * time.Minute)
		b.say(b.bob, b.room, "away")
		time.Sleep(3 * time.Minute)
		away := l.bodies()
		require.NoError(b.t, b.room.Participants().Add(b.t.Context(), b.ids["jane"]))
		b.say(b.bob, b.room, "back")
		time.Sleep(3 * time.Minute)
		end()
		return []any{away, l.bodies()}
	},
	"a consumer from now gets what is written after a join by others": func(b *both) any {
		l := newLedger()
		end := b.consume(l, chat.StartAt(chat.FromNow))
		talk := func(i int, body string) {
			b.AddRows(b.rooms[i], chat.M{"body": fmt.Sprint(body, i), "fromUserId": "somebody", "guid": fmt.Sprint(body, i)})
		}
		for i := range b.rooms {
			talk(i, "before ")
		}
		time.Sleep(5*time.Minute + 7*time.Second)
		for i, room := range b.rooms { // one of them right after the App has read the list
			b.set(room, "somebody", b.User().UserID)
			time.Sleep(time.Second)
			talk(i, "new ")
			time.Sleep(8 * time.Second)
			talk(i, "later ")
		}
		time.Sleep(3 * time.Minute)
		end()
		return l.bodies()
	},
	"a consumer from the beginning gets the history of what is joined": func(b *both) any {
		l := newLedger()
		end := b.consume(l, chat.StartAt(chat.FromBeginning))
		talk := b.converse(b.bob, "eve")
		for _, body := range []string{"one", "two", "three"} {
			b.say(b.bob, talk, body)
		}
		time.Sleep(5 * time.Minute)
		require.NoError(b.t, talk.Participants().Add(b.t.Context(), b.ids["jane"]))
		time.Sleep(3 * time.Minute)
		end()
		return []any{l.bodies(), len(l.ids()[talk.ID])}
	},
	"a message that fails is tried again before the next of its conversation": func(b *both) any {
		var mu sync.Mutex
		var got []string
		ctx, cancel := context.WithCancel(b.t.Context())
		over := make(chan error, 1)
		go func() {
			over <- b.Consume(ctx, "x", func(_ context.Context, m *chat.Message) error {
				mu.Lock()
				defer mu.Unlock()
				if got = append(got, m.Body); m.Body == "fails" {
					return errDead
				}
				return nil
			}, chat.MaxAttempts(3), chat.DeadLetter(func(_ context.Context, m *chat.Message, err error) error {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, "dead: "+m.Body)
				return nil
			}), chat.Batch(3))
		}()
		time.Sleep(time.Minute)
		b.say(b.bob, b.room, "fails")
		b.say(b.bob, b.room, "next")
		time.Sleep(3 * time.Minute)
		cancel()
		require.ErrorIs(b.t, <-over, context.Canceled)
		mu.Lock()
		defer mu.Unlock()
		return got
	},
	"of two consumers with one name one receives, and the other goes on": func(b *both) any {
		first, second := newLedger(), newLedger()
		endFirst := b.consume(first)
		time.Sleep(10 * time.Second)
		endSecond := b.consume(second)
		time.Sleep(time.Minute)
		endFirst()
		time.Sleep(time.Minute)
		b.say(b.bob, b.room, "for the second")
		time.Sleep(3 * time.Minute)
		endSecond()
		return []any{first.bodies(), second.bodies()}
	},
	"a consumer ends when the user logs out": func(b *both) any {
		over := make(chan error, 1)
		go func() {
			over <- b.Consume(b.t.Context(), "x", func(context.Context, *chat.Message) error { return nil })
		}()
		time.Sleep(time.Minute)
		require.NoError(b.t, b.Logout(b.t.Context()))
		return (<-over).Error()
	},
	"Poll with Reset delivers to consumers again": func(b *both) any {
		l := newLedger()
		end := b.consume(l)
		time.Sleep(time.Minute)
		require.NoError(b.t, b.Poll(b.t.Context(), chat.Reset()))
		time.Sleep(time.Minute)
		end()
		return l.bodies()
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

// mine is a conversation of the user's.
func (b *both) mine(id int64) *chat.Conversation {
	list, err := b.Conversations(b.t.Context())
	require.NoError(b.t, err)
	i := slices.IndexFunc(list, func(v *chat.Conversation) bool { return v.ID == id })
	require.GreaterOrEqual(b.t, i, 0)
	return list[i]
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
			same(t, scene)
		})
	}
}

// same plays a scene with both.
func same(t *testing.T, scene func(*both) any) {
	t.Helper()
	seen := map[bool]any{}
	for _, app := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t, 7)
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
}
