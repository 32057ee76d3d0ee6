package chat_test

import (
	"context"
	"fmt"
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

// stuck is a Store whose calls of some kinds hang until their context ends.
type stuck struct {
	storage.Store
	mu    sync.Mutex
	kinds map[string]bool
}

func (s *stuck) on(kinds ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kinds = map[string]bool{}
	for _, k := range kinds {
		s.kinds[k] = true
	}
}

func (s *stuck) hang(ctx context.Context, kind string) error {
	s.mu.Lock()
	hangs := s.kinds[kind]
	s.mu.Unlock()
	if !hangs {
		return nil
	}
	<-ctx.Done()
	return ctx.Err() // not its cause, as most drivers do
}

func (s *stuck) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.hang(ctx, "Get"); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key)
}

func (s *stuck) Set(ctx context.Context, key string, value []byte) error {
	if err := s.hang(ctx, "Set"); err != nil {
		return err
	}
	return s.Store.Set(ctx, key, value)
}

func (s *stuck) Delete(ctx context.Context, key string) error {
	if err := s.hang(ctx, "Delete"); err != nil {
		return err
	}
	return s.Store.Delete(ctx, key)
}

func (s *stuck) CompareAndSwap(ctx context.Context, key string, old, value []byte) (bool, error) {
	if err := s.hang(ctx, "CompareAndSwap"); err != nil {
		return false, err
	}
	return s.Store.CompareAndSwap(ctx, key, old, value)
}

// Whoever waits for a Store that hangs when the Chat is closed learns that it was closed.
func TestWhoWaitsForAStoreThatHangsLearnsThatTheChatWasClosed(t *testing.T) {
	t.Parallel()
	type call func(ctx context.Context, c *chat.Chat, conv *chat.Conversation) error
	calls := map[string]call{
		"Login": func(ctx context.Context, c *chat.Chat, _ *chat.Conversation) error {
			_, err := c.Login(ctx, chat.M{"Email": "bob@example.org"})
			return err
		},
		"Login, offline": func(ctx context.Context, c *chat.Chat, _ *chat.Conversation) error {
			_, err := c.Login(ctx, chat.M{"Email": "bob@example.org"}, chat.Offline())
			return err
		},
		"Logout": func(ctx context.Context, c *chat.Chat, _ *chat.Conversation) error { return c.Logout(ctx) },
		"Message": func(ctx context.Context, c *chat.Chat, v *chat.Conversation) error {
			_, err := c.Message(ctx, v.ID, chat.Draft{Body: "x", GUID: "x"})
			return err
		},
		"Messages": func(ctx context.Context, c *chat.Chat, _ *chat.Conversation) error {
			_, err := c.Messages(ctx)
			return err
		},
		"Conversations": func(ctx context.Context, c *chat.Chat, _ *chat.Conversation) error {
			_, err := c.Conversations(ctx)
			return err
		},
		"Conversations, offline": func(ctx context.Context, c *chat.Chat, _ *chat.Conversation) error {
			_, err := c.Conversations(ctx, chat.Offline())
			return err
		},
		"Contacts": func(ctx context.Context, c *chat.Chat, _ *chat.Conversation) error {
			_, err := c.Contacts(ctx)
			return err
		},
		"Contacts, offline": func(ctx context.Context, c *chat.Chat, _ *chat.Conversation) error {
			_, err := c.Contacts(ctx, chat.Offline())
			return err
		},
		"Poll": func(ctx context.Context, c *chat.Chat, _ *chat.Conversation) error { return c.Poll(ctx) },
		"Events": func(ctx context.Context, c *chat.Chat, _ *chat.Conversation) error {
			for _, err := range c.Events(ctx) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"Events, offline": func(ctx context.Context, c *chat.Chat, _ *chat.Conversation) error {
			for _, err := range c.Events(ctx, chat.Offline()) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"Stream, offline": func(ctx context.Context, c *chat.Chat, _ *chat.Conversation) error {
			sub, err := c.Stream(ctx, func(*chat.Message) {}, chat.Offline())
			if err != nil {
				return err
			}
			<-sub.Done()
			return sub.Err()
		},
		"Consume": func(ctx context.Context, c *chat.Chat, _ *chat.Conversation) error {
			return c.Consume(ctx, "a", func(context.Context, *chat.Message) error { return nil })
		},
		"AcceptKey": func(ctx context.Context, _ *chat.Chat, v *chat.Conversation) error { return v.AcceptKey(ctx) },
		"Reencrypt": func(ctx context.Context, c *chat.Chat, v *chat.Conversation) error {
			_, err := c.Reencrypt(ctx, v.ID, nil)
			return err
		},
		"Flush": func(ctx context.Context, c *chat.Chat, _ *chat.Conversation) error { return c.Outbox().Flush(ctx) },
		"Discard": func(ctx context.Context, c *chat.Chat, v *chat.Conversation) error {
			_, err := c.Outbox().Discard(ctx, v.ID, "waits")
			return err
		},
	}
	for name, do := range calls {
		for _, kinds := range [][]string{{"Get"}, {"Set"}, {"CompareAndSwap"}, {"Delete"}, {"Get", "Set", "CompareAndSwap", "Delete"}} {
			for _, end := range []string{"Close", "Shutdown"} {
				for _, after := range []time.Duration{0, time.Second, 4 * time.Second} {
					t.Run(fmt.Sprint(name, ", ", kinds, ", ", end, " after ", after), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							w := newWorld(t, fliplettest.InProcess())
							jane := w.login("jane")
							conv := w.converse(jane, "bob")
							w.say(jane, conv, "before")
							disk := &stuck{Store: storage.NewMemory()}
							bob := w.login("bob", func(o *chat.Options) {
								o.Storage, o.CrossLogin, o.Outbox = disk, true, &chat.OutboxOptions{}
							})
							mine, err := bob.Conversation(t.Context(), conv.ID)
							require.NoError(t, err)
							time.Sleep(time.Minute)
							disk.on(kinds...)
							result := make(chan error, 1)
							begun := time.Now()
							go func() { result <- do(t.Context(), bob, mine) }()
							if after > 0 {
								time.Sleep(after)
							} else {
								synctest.Wait()
							}
							select {
							case <-result: // it does not wait for the Store
							default:
								closed := time.Now()
								if end == "Close" {
									require.NoError(t, bob.Close())
								} else {
									ctx, cancel := context.WithTimeout(t.Context(), 17*time.Second)
									defer cancel()
									_ = bob.Shutdown(ctx)
								}
								err := <-result
								took := time.Since(closed)
								if end == "Close" {
									assert.LessOrEqual(t, took, time.Second, "%v after %v: %v", name, time.Since(begun), err)
								}
								if err != nil && (end == "Close" || took >= 17*time.Second) { // Shutdown lets a Store take its time
									assert.ErrorIs(t, err, chat.ErrClosed, "after %v", took)
								}
							}
							disk.on()
							_ = bob.Close()
							time.Sleep(time.Minute)
						})
					})
				}
			}
		}
	}
}
