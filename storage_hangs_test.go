package chat_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// Caching is not on anybody's way: with a Store that hangs, from the beginning or in
// between, messages arrive as soon as without one, calls take a moment longer at most, and
// what could not be stored is when the Store is well again.
func TestAStoreThatHangsStopsNoDeliveryAndNoCall(t *testing.T) {
	for _, how := range []string{"hangs", "fails"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				jane := w.login("jane")
				disk := &ill{Store: storage.NewMemory()}
				bob := w.connect(storing(disk), func(o *chat.Options) { o.CrossLogin = true })
				bound := func(what string, most time.Duration, call func() error) {
					began := time.Now()
					require.NoError(t, call(), what)
					assert.LessOrEqual(t, time.Since(began), most, what)
				}
				disk.fall(how)
				bound("Login", time.Second, func() error {
					_, err := bob.Login(t.Context(), chat.M{"Email": "bob@example.org"})
					return err
				})
				conv := w.converse(jane, "bob")
				r := newRecorder()
				times := map[string]time.Duration{}
				var mu sync.Mutex
				_, err := bob.Stream(context.Background(), func(m *chat.Message) {
					mu.Lock()
					times[m.Body] = time.Since(m.CreatedAt)
					mu.Unlock()
					r.add(m)
				})
				require.NoError(t, err)
				var want []string
				for i := range 20 {
					body := fmt.Sprint("message ", i)
					want = append(want, body)
					w.say(jane, conv, body)
					time.Sleep(3 * time.Second)
				}
				mu.Lock()
				for _, body := range want {
					limit := 300 * time.Millisecond
					if body == want[0] || body == want[1] {
						limit = 2500 * time.Millisecond // what is known of keys is asked for once
					}
					assert.Less(t, times[body], limit, body)
				}
				mu.Unlock()
				assert.Equal(t, want, bodies(r.all()))
				ctx := t.Context()
				for i := range 3 {
					for what, call := range map[string]func() error{
						"Contacts":      func() error { _, err := bob.Contacts(ctx); return err },
						"Conversations": func() error { _, err := bob.Conversations(ctx); return err },
						"Messages":      func() error { _, err := bob.Messages(ctx); return err },
						"Message":       func() error { _, err := bob.Message(ctx, conv.ID, chat.Draft{Body: "x"}); return err },
						"Poll":          func() error { return bob.Poll(ctx) },
						"Login": func() error {
							_, err := bob.Login(ctx, chat.M{"Email": "bob@example.org"})
							return err
						},
					} {
						bound(fmt.Sprint(what, i), 5*time.Second, call)
					}
				}
				disk.recover()
				time.Sleep(20 * time.Second)
				_, err = bob.Contacts(ctx)
				require.NoError(t, err)
				w.say(jane, conv, "the Store is well")
				time.Sleep(10 * time.Second)
				require.NoError(t, bob.Close())
				later := w.connect(storing(disk.Store), func(o *chat.Options) { o.CrossLogin = true })
				down := w.Always(fliplettest.AnyRoute, fliplettest.LoseRequest())
				_, err = later.Login(ctx, chat.M{"Email": "bob@example.org"}, chat.Offline())
				require.NoError(t, err, "what failed to be stored is stored now")
				contacts, err := later.Contacts(ctx, chat.Offline())
				require.NoError(t, err)
				assert.Len(t, contacts, 3)
				down.Off()
			})
		})
	}
}

// The first messages of a stream come as soon as without a Store, whatever its Get does.
func TestTheFirstMessageDoesNotWaitForACacheThatHangs(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]chat.From{"now": chat.FromNow, "newest": chat.FromNewest, "the beginning": chat.FromBeginning} {
		for door, listen := range map[string]func(ctx context.Context, c *chat.Chat, fn func(*chat.Message), opts ...chat.StreamOption) error{
			"Stream": func(ctx context.Context, c *chat.Chat, fn func(*chat.Message), opts ...chat.StreamOption) error {
				_, err := c.Stream(ctx, fn, opts...)
				return err
			},
			"Events": func(ctx context.Context, c *chat.Chat, fn func(*chat.Message), opts ...chat.StreamOption) error {
				go func() {
					for m, err := range c.Events(ctx, opts...) {
						if err == nil {
							fn(m)
						}
					}
				}()
				return nil
			},
		} {
			for _, sealed := range []bool{false, true} {
				t.Run(fmt.Sprint(door, ", from ", name, ", sealed ", sealed), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, fliplettest.InProcess())
						encrypts := func(o *chat.Options) { o.EncryptMessages = sealed }
						disk := &ill{Store: storage.NewMemory()}
						jane, bob := w.login("jane", encrypts), w.login("bob", storing(disk), encrypts)
						conv := w.converse(jane, "bob")
						w.say(jane, conv, "before")
						time.Sleep(time.Minute)
						disk.fall("hangs")
						r := newRecorder()
						began := time.Now()
						var first sync.Map
						require.NoError(t, listen(t.Context(), bob, func(m *chat.Message) {
							first.LoadOrStore(m.Body, time.Since(began))
							r.add(m)
						}, chat.StartAt(from)))
						if from == chat.FromNow {
							time.Sleep(time.Second)
							began = time.Now()
							w.say(jane, conv, "first")
							require.NoError(t, bob.Poll(t.Context()))
						}
						time.Sleep(time.Minute)
						got := r.all()
						require.NotEmpty(t, got)
						took, _ := first.Load(got[0].Body)
						limit := 500 * time.Millisecond
						if sealed {
							limit += 2 * time.Second // for what is known of keys, which nothing else can tell
						}
						assert.LessOrEqual(t, took, limit)
						require.NoError(t, bob.Close())
					})
				})
			}
		}
	}
}

// late is a Store whose writes take their time, whatever their context does.
type late struct {
	storage.Store
	gate chan struct{}
}

func (s *late) Set(ctx context.Context, key string, value []byte) error {
	<-s.gate
	return s.Store.Set(context.WithoutCancel(ctx), key, value)
}

// A write that is inside the Store when the user logs out brings nothing back.
func TestAWriteUnderWayBringsNothingBackAfterALogout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		disk := &late{Store: storage.NewMemory(), gate: make(chan struct{})}
		bob := w.connect(storing(disk), func(o *chat.Options) { o.CrossLogin = true })
		_, err := bob.Login(t.Context(), chat.M{"Email": "bob@example.org"})
		require.NoError(t, err)
		_, err = bob.Contacts(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, bob.Logout(ctx), context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, time.Since(began))
		began = time.Now()
		require.NoError(t, bob.Close())
		assert.Zero(t, time.Since(began))
		close(disk.gate)
		time.Sleep(time.Minute)
		for key, err := range disk.Store.(storage.Lister).List(t.Context(), "") {
			require.NoError(t, err)
			if !strings.HasSuffix(key, "fl-chat-source-id") {
				t.Error(key)
			}
		}
	})
}
