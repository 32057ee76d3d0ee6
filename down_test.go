package chat_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// outcome is the error of a call with a result.
func outcome[T any](_ T, err error) error { return err }

// requesting are calls that make a request, by the operation that their errors name.
func requesting(ctx context.Context, c *chat.Chat, conv *chat.Conversation, m *chat.Message) map[string]func() error {
	other := conv.ID + 1_000_000
	return map[string]func() error{
		"login":                 func() error { return outcome(c.Login(ctx, chat.M{"Email": "bob@example.org"})) },
		"contacts":              func() error { return outcome(c.Contacts(ctx)) },
		"contact":               func() error { return outcome(c.ContactByUserID(ctx, "somebody")) },
		"conversations":         func() error { return outcome(c.Conversations(ctx)) },
		"conversation":          func() error { return outcome(c.Conversation(ctx, conv.ID)) },
		"create conversation":   func() error { return outcome(c.Create(ctx, chat.NewConversation{Participants: []int64{other}})) },
		"join conversation":     func() error { return outcome(c.JoinConversation(ctx, "code")) },
		"send":                  func() error { return outcome(c.Message(ctx, conv.ID, chat.Draft{Body: "x"})) },
		"update message":        func() error { return outcome(c.UpdateMessage(ctx, conv.ID, m.ID, chat.M{"x": 1})) },
		"delete message":        func() error { return c.DeleteMessage(ctx, conv.ID, m.ID) },
		"messages":              func() error { return outcome(c.Messages(ctx)) },
		"fetch messages":        func() error { return outcome(conv.Messages().Fetch(ctx)) },
		"message":               func() error { return outcome(conv.Messages().Get(ctx, m.ID)) },
		"unread messages":       func() error { return outcome(c.Unread().Get(ctx)) },
		"count unread messages": func() error { return outcome(c.Unread().Count(ctx)) },
		"create channel":        func() error { return outcome(c.Channels().Create(ctx, "a channel")) },
		"list channels":         func() error { return outcome(c.Channels().List(ctx)) },
		"join channel":          func() error { return outcome(c.Channels().Join(ctx, other)) },
		"delete channel":        func() error { return c.Channels().Delete(ctx, other) },
		"fetch participants":    func() error { return outcome(conv.Participants().Fetch(ctx)) },
		"add participants":      func() error { return conv.Participants().Add(ctx, other) },
		"remove participants":   func() error { return conv.Participants().Remove(ctx, other) },
		"mute":                  func() error { return conv.Notifications().Mute(ctx) },
		"mark as read": func() error {
			return c.MarkMessagesAsRead(ctx, &chat.Message{ID: m.ID, ConversationID: m.ConversationID})
		},
		"accept key":  func() error { return conv.AcceptKey(ctx) },
		"invite code": func() error { return outcome(conv.InviteCode(ctx)) },
		"reencrypt":   func() error { return outcome(c.Reencrypt(ctx, conv.ID, nil)) },
		"poll":        func() error { return c.Poll(ctx) },
		"history": func() error {
			for _, err := range c.History(ctx, conv.ID) {
				return err
			}
			return nil
		},
	}
}

func TestEveryCallSaysThatTheServerIsDown(t *testing.T) {
	t.Parallel()
	down := map[string]fliplettest.Fault{"nothing answers": fliplettest.LoseRequest()}
	for _, code := range []int{429, 500, 502, 503, 504, 520, 521} {
		down[fmt.Sprint(code)] = fliplettest.Status(code)
	}
	down["a gateway's page"] = fliplettest.Answer(530, "<html>origin unreachable</html>")
	down["501"] = fliplettest.Status(501)
	for name, fault := range down {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, fliplettest.InProcess())
			jane := w.login("jane")
			conv := w.converse(jane, "bob")
			sent := w.say(jane, conv, "hello")
			require.NoError(t, sent.Err)
			stream(t, jane)
			w.Always(fliplettest.AnyRoute, fault)
			for op, call := range requesting(t.Context(), jane, conv, sent) {
				err := call()
				require.Error(t, err, "%s: %s", name, op)
				assert.Equal(t, name != "501", errors.Is(err, chat.ErrOffline), "%s: %s: %v", name, op, err)
				assert.Equal(t, name != "501", datasource.Temporary(err), "%s: %s: %v", name, op, err)
				failed, ok := errors.AsType[*chat.Error](err)
				require.True(t, ok)
				assert.Equal(t, op, failed.Op)
				switch {
				case name == "501":
					assert.Equal(t, 501, failed.Code, "%s: %v", op, err)
				case op == "login":
					assert.Equal(t, 400, failed.Code, "%s: %v", name, err)
				default:
					assert.Zero(t, failed.Code, "%s: %s: %v", name, op, err)
				}
			}
			require.NoError(t, jane.Close())
		})
	}
}

func TestWhatIsToldOfASendSaysThatTheServerIsDown(t *testing.T) {
	t.Parallel()
	for _, fault := range []fliplettest.Fault{fliplettest.Status(500), fliplettest.Status(503), fliplettest.Status(521), fliplettest.LoseRequest()} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, fliplettest.InProcess())
			var mu sync.Mutex
			var told []error
			jane := w.login("jane", func(o *chat.Options) {
				o.Outbox = &chat.OutboxOptions{OnChange: func(ch chat.SendChange) {
					mu.Lock()
					defer mu.Unlock()
					if ch.Err != nil {
						told = append(told, ch.Err)
					}
				}}
			})
			conv := w.converse(jane, "bob")
			w.Always(fliplettest.AnyRoute, fault)
			_, err := jane.Outbox().Add(t.Context(), conv.ID, chat.Draft{Body: "hello"})
			require.NoError(t, err)
			time.Sleep(time.Minute)
			pending := jane.Outbox().Pending()
			require.Len(t, pending, 1)
			mu.Lock()
			defer mu.Unlock()
			require.NotEmpty(t, told)
			for _, err := range append(told, pending[0].Err) {
				require.ErrorIs(t, err, chat.ErrOffline)
				assert.True(t, datasource.Temporary(err), "%v", err)
			}
			require.NoError(t, jane.Close())
		})
	}
}

func TestAnEndedContextDoesNotSayThatTheServerIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		w.Always(fliplettest.AnyRoute, fliplettest.Delay(time.Hour))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := jane.Contacts(ctx)
		require.ErrorIs(t, err, context.Canceled)
		assert.NotErrorIs(t, err, chat.ErrOffline)
		time.AfterFunc(time.Second, func() { _ = jane.Close() })
		_, err = jane.Contacts(t.Context())
		require.ErrorIs(t, err, chat.ErrClosed)
		assert.NotErrorIs(t, err, chat.ErrOffline)
	})
}

func TestOfflineListsOfAnEmptyCacheAreEmpty(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		store := storage.NewMemory()
		jane := w.login("jane", func(o *chat.Options) { o.Storage = store })
		w.converse(jane, "bob")
		require.NoError(t, w.Close())
		contacts, err := jane.Contacts(t.Context(), chat.Offline())
		require.NoError(t, err)
		assert.NotNil(t, contacts)
		assert.Empty(t, contacts)
		conversations, err := jane.Conversations(t.Context(), chat.Offline())
		require.NoError(t, err)
		assert.NotNil(t, conversations)
		assert.Empty(t, conversations, "nothing has listed them")
		_, err = jane.Contacts(t.Context())
		require.ErrorIs(t, err, chat.ErrOffline)

		bob := w.connect(func(o *chat.Options) { o.Storage = store })
		contacts, err = bob.Contacts(t.Context(), chat.Offline())
		require.NoError(t, err, "before a login")
		assert.Empty(t, contacts)
	})
}

func TestOfflineListsWithoutALoginAreNobodys(t *testing.T) {
	t.Parallel()
	empty := func(t *testing.T, c *chat.Chat, when string) {
		contacts, err := c.Contacts(t.Context(), chat.Offline())
		require.NoError(t, err, when)
		assert.NotNil(t, contacts, when)
		assert.Empty(t, contacts, when)
		conversations, err := c.Conversations(t.Context(), chat.Offline())
		require.NoError(t, err, when)
		assert.NotNil(t, conversations, when)
		assert.Empty(t, conversations, when)
	}
	for name, failing := range map[string]bool{"a store that works": false, "a store that keeps what is deleted": true} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, w *world) {
				store := &readOnly{Store: storage.NewMemory()}
				jane := w.connect(func(o *chat.Options) { o.Storage = store })
				empty(t, jane, "before a login")
				require.NoError(t, outcome(jane.Login(t.Context(), chat.M{"Email": "jane@example.org"})))
				w.converse(jane, "bob")
				require.NoError(t, outcome(jane.Contacts(t.Context())))
				require.NoError(t, outcome(jane.Conversations(t.Context())))
				contacts, err := jane.Contacts(t.Context(), chat.Offline())
				require.NoError(t, err)
				assert.NotEmpty(t, contacts)
				conversations, err := jane.Conversations(t.Context(), chat.Offline())
				require.NoError(t, err)
				assert.Len(t, conversations, 1)

				store.failing.Store(failing)
				assert.Equal(t, failing, jane.Logout(t.Context()) != nil)
				empty(t, jane, "after a logout")
				require.ErrorIs(t, outcome(jane.Conversations(t.Context())), chat.ErrNotLoggedIn)
				require.NoError(t, outcome(jane.Login(t.Context(), chat.M{"Email": "bob@example.org"})))
				empty(t, jane, "after the login of somebody else")
			})
		})
	}
}

// readOnly is a Store that can fail to change anything.
type readOnly struct {
	storage.Store
	failing atomic.Bool
}

func (s *readOnly) Set(ctx context.Context, key string, value []byte) error {
	if s.failing.Load() {
		return errBroken
	}
	return s.Store.Set(ctx, key, value)
}

func (s *readOnly) Delete(ctx context.Context, key string) error {
	if s.failing.Load() {
		return errBroken
	}
	return s.Store.Delete(ctx, key)
}

func (s *readOnly) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if s.failing.Load() {
		return false, errBroken
	}
	return s.Store.CompareAndSwap(ctx, key, old, new)
}
