package chat_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// endings are the calls that end something, each with a second at most.
var endings = map[string]func(*chat.Chat) error{
	"Close":  (*chat.Chat).Close,
	"Logout": func(c *chat.Chat) error { return c.Logout(context.Background()) },
	"Shutdown": func(c *chat.Chat) error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return c.Shutdown(ctx)
	},
}

// places are where an ending may be called from. Each lets do be called there with
// bob's Chat, and returns when that has returned.
var places = map[string]func(t *testing.T, bob *chat.Chat, do func()){
	"inside a stream function": func(t *testing.T, bob *chat.Chat, do func()) {
		sub, err := bob.Stream(context.Background(), func(*chat.Message) { do() })
		if err == nil {
			ended(t, sub.Done())
		}
	},
	"inside a loop body": func(t *testing.T, bob *chat.Chat, do func()) {
		for _, err := range bob.Events(context.Background()) {
			if err != nil {
				return
			}
			do()
		}
	},
	"between two next of a pulled iterator": func(t *testing.T, bob *chat.Chat, do func()) {
		next, stop := iter.Pull2(bob.Events(context.Background()))
		defer stop()
		if _, err, _ := next(); err != nil {
			return
		}
		do()
		_, err, ok := next()
		assert.True(t, ok)
		assert.Error(t, err)
	},
	"in a goroutine that a stream function waits for": func(t *testing.T, bob *chat.Chat, do func()) {
		sub, err := bob.Stream(context.Background(), func(*chat.Message) {
			done := make(chan struct{})
			go func() { defer close(done); do() }()
			<-done
		})
		if err == nil {
			ended(t, sub.Done())
		}
	},
	"inside a consumer's function": func(t *testing.T, bob *chat.Chat, do func()) {
		_ = bob.Consume(context.Background(), "c", func(context.Context, *chat.Message) error { do(); return nil })
	},
	"in a goroutine that a consumer's function waits for": func(t *testing.T, bob *chat.Chat, do func()) {
		_ = bob.Consume(context.Background(), "c", func(context.Context, *chat.Message) error {
			done := make(chan struct{})
			go func() { defer close(done); do() }()
			<-done
			return nil
		})
	},
}

func TestEndingsReturnWhereverTheyAreCalledFrom(t *testing.T) {
	t.Parallel()
	for place, call := range places {
		for name, end := range endings {
			t.Run(name+" "+place, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { // which fails when all hang
					w := newWorld(t, fliplettest.InProcess())
					jane, bob := w.login("jane"), w.login("bob")
					conv := w.converse(jane, "bob")
					w.say(jane, conv, "one")
					w.say(jane, conv, "two")
					calls := 0
					call(t, bob, func() {
						calls++
						began := time.Now()
						err := end(bob)
						took := time.Since(began)
						if name == "Shutdown" {
							assert.LessOrEqual(t, took, time.Second)
							if err != nil {
								assert.ErrorIs(t, err, context.DeadlineExceeded)
							}
						} else {
							assert.Zero(t, took)
							assert.NoError(t, err)
						}
					})
					assert.Equal(t, 1, calls, "nothing is delivered after it")
				})
			})
		}
	}
}

func TestCloseWaitsForNothingAndShutdownForEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane"), w.login("bob")
		w.say(jane, w.converse(jane, "bob"), "hello")
		started, ended := make(chan struct{}), false
		sub, err := bob.Stream(t.Context(), func(*chat.Message) {
			close(started)
			time.Sleep(time.Minute)
			ended = true
		})
		require.NoError(t, err)
		<-started
		began := time.Now()
		require.NoError(t, bob.Close())
		assert.Zero(t, time.Since(began))
		select {
		case <-sub.Done():
			t.Error("the function still runs")
		default:
		}
		require.NoError(t, bob.Shutdown(t.Context()), "after Close it only waits")
		assert.Equal(t, time.Minute, time.Since(began))
		assert.True(t, ended)
		<-sub.Done()
		require.ErrorIs(t, sub.Err(), chat.ErrClosed)
	})
}

func TestShutdownReturnsTheCauseOfItsContextAndClosesAllTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane"), w.login("bob")
		conv := w.converse(jane, "bob")
		w.say(jane, conv, "hello")
		release := make(chan struct{})
		_, err := bob.Stream(t.Context(), func(*chat.Message) { <-release })
		require.NoError(t, err)
		w.Always(fliplettest.Insert, fliplettest.Delay(time.Hour))
		sent := make(chan error)
		go func() {
			_, err := bob.Message(t.Context(), conv.ID, chat.Draft{Body: "slow"})
			sent <- err
		}()
		time.Sleep(time.Second)
		cause := errors.New("out of patience")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		began := time.Now()
		err = bob.Shutdown(ctx)
		require.ErrorIs(t, err, cause)
		var typed *chat.Error
		require.ErrorAs(t, err, &typed)
		assert.Equal(t, "shutdown", typed.Op)
		assert.Equal(t, time.Second, time.Since(began))
		require.ErrorIs(t, <-sent, chat.ErrClosed, "what runs is cut off")
		_, err = bob.Messages(t.Context())
		require.ErrorIs(t, err, chat.ErrClosed)
		close(release)
	})
}

func TestShutdownAcceptsNothingMoreAndLetsWhatRunsFinish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane"), w.login("bob")
		conv := w.converse(jane, "bob")
		w.Always(fliplettest.Insert, fliplettest.Delay(5*time.Second))
		var both sync.WaitGroup
		both.Go(func() {
			_, err := bob.Message(t.Context(), conv.ID, chat.Draft{Body: "under way"})
			assert.NoError(t, err)
		})
		time.Sleep(time.Second)
		both.Go(func() {
			time.Sleep(time.Second)
			_, err := bob.Message(t.Context(), conv.ID, chat.Draft{Body: "too late"})
			assert.ErrorIs(t, err, chat.ErrClosed)
		})
		require.NoError(t, bob.Shutdown(t.Context()))
		both.Wait()
		assert.Len(t, w.Rows(conv.ID), 1)
	})
}

func TestShutdownLetsAConsumersFunctionAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		store := storage.NewMemory()
		jane, bob := w.login("jane"), w.login("bob", storing(store))
		conv := w.converse(jane, "bob")
		w.say(jane, conv, "question")
		w.say(jane, conv, "another")
		started := make(chan struct{})
		stop := consume(bob, "bot", func(ctx context.Context, m *chat.Message) error {
			close(started)
			time.Sleep(time.Second) // the Chat is being shut down meanwhile
			_, err := bob.Message(context.Background(), conv.ID, chat.Draft{Body: "with another context"})
			assert.ErrorIs(t, err, chat.ErrClosed)
			_, err = bob.Message(ctx, conv.ID, chat.Draft{Body: "answer"})
			return err
		})
		<-started
		require.NoError(t, bob.Shutdown(t.Context()))
		require.ErrorIs(t, stop(), chat.ErrClosed)
		assert.Len(t, w.Rows(conv.ID), 3)

		bob = w.login("bob", storing(store))
		r := newRecorder()
		stop = consume(bob, "bot", func(_ context.Context, m *chat.Message) error { r.add(m); return nil })
		assert.Equal(t, "another", r.wait(t, 1)[0].Body, "the first one counts as handled")
		require.Error(t, stop())
	})
}

func TestShutdownSendsWhatWaitsInTheOutbox(t *testing.T) {
	inOutbox(t, func(t *testing.T, w *world, conv int64) {
		jane := w.withOutbox(storage.NewMemory())
		down := w.Always(fliplettest.AnyWrite, fliplettest.LoseRequest())
		queue(t, jane, conv, "a", "b", "c")
		go func() {
			time.Sleep(10 * time.Minute)
			down.Off()
		}()
		require.NoError(t, jane.Shutdown(t.Context()))
		assert.Equal(t, []string{"a", "b", "c"}, guids(w, conv))
	})
}

// stuckStore hangs in every write from some moment on, whatever its context says.
type stuckStore struct {
	storage.Store
	stuck chan struct{} // closed: let go
	on    bool
}

func (s *stuckStore) Delete(ctx context.Context, key string) error {
	if s.on {
		<-s.stuck
	}
	return s.Store.Delete(ctx, key)
}

func TestLogoutDoesNotOutliveItsContextWhateverHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		store := &stuckStore{Store: storage.NewMemory(), stuck: make(chan struct{})}
		jane, bob := w.login("jane"), w.login("bob", storing(store))
		w.say(jane, w.converse(jane, "bob"), "hello")
		started, release := make(chan struct{}), make(chan struct{})
		sub, err := bob.Stream(t.Context(), func(*chat.Message) { close(started); <-release })
		require.NoError(t, err)
		<-started
		store.on = true
		w.Always(fliplettest.Update, fliplettest.Delay(time.Hour))
		cause := errors.New("out of patience")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, bob.Logout(ctx), cause)
		assert.Equal(t, time.Second, time.Since(began))
		assert.Nil(t, bob.User())
		close(release)
		ended(t, sub.Done())
		close(store.stuck)
	})
}

func TestANilOrZeroChatGivesErrors(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, c := range map[string]*chat.Chat{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for op, call := range callsOf(c) {
				assert.ErrorIs(t, call(ctx), chat.ErrInvalid, op)
			}
			assert.Nil(t, c.User())
			assert.Equal(t, 200, c.BatchSize())
			assert.Zero(t, c.Outbox().Len())
			assert.Nil(t, c.Outbox().Pending())
			assert.NotEmpty(t, c.String())
			new(chat.Registry).Set(c)
		})
	}
}

// callsOf is every call of a Chat that can fail.
func callsOf(c *chat.Chat) map[string]func(context.Context) error {
	m := &chat.Message{ID: 1, ConversationID: 1, Files: []string{"https://example.org/a.png"}}
	return map[string]func(context.Context) error{
		"Login":            func(ctx context.Context) error { _, err := c.Login(ctx, chat.M{"Email": "a"}); return err },
		"Logout":           c.Logout,
		"Close":            func(context.Context) error { return c.Close() },
		"Shutdown":         c.Shutdown,
		"Contacts":         func(ctx context.Context) error { _, err := c.Contacts(ctx); return err },
		"Conversations":    func(ctx context.Context) error { _, err := c.Conversations(ctx); return err },
		"JoinConversation": func(ctx context.Context) error { _, err := c.JoinConversation(ctx, "x"); return err },
		"Create": func(ctx context.Context) error {
			_, err := c.Create(ctx, chat.NewConversation{Participants: []int64{1}})
			return err
		},
		"Message":            func(ctx context.Context) error { _, err := c.Message(ctx, 1, chat.Draft{Body: "x"}); return err },
		"UpdateMessage":      func(ctx context.Context) error { _, err := c.UpdateMessage(ctx, 1, 1, chat.M{"x": 1}); return err },
		"DeleteMessage":      func(ctx context.Context) error { return c.DeleteMessage(ctx, 1, 1) },
		"Messages":           func(ctx context.Context) error { _, err := c.Messages(ctx); return err },
		"MarkMessagesAsRead": func(ctx context.Context) error { return c.MarkMessagesAsRead(ctx, m) },
		"Unread.Get":         func(ctx context.Context) error { _, err := c.Unread().Get(ctx); return err },
		"Unread.Count":       func(ctx context.Context) error { _, err := c.Unread().Count(ctx); return err },
		"Stream":             func(ctx context.Context) error { _, err := c.Stream(ctx, func(*chat.Message) {}); return err },
		"Consume": func(ctx context.Context) error {
			return c.Consume(ctx, "n", func(context.Context, *chat.Message) error { return nil })
		},
		"Poll":            func(ctx context.Context) error { return c.Poll(ctx) },
		"Channels.List":   func(ctx context.Context) error { _, err := c.Channels().List(ctx); return err },
		"Channels.Create": func(ctx context.Context) error { _, err := c.Channels().Create(ctx, "x"); return err },
		"Channels.Join":   func(ctx context.Context) error { _, err := c.Channels().Join(ctx, 1); return err },
		"Channels.Delete": func(ctx context.Context) error { return c.Channels().Delete(ctx, 1) },
		"Outbox.Add":      func(ctx context.Context) error { _, err := c.Outbox().Add(ctx, 1, chat.Draft{Body: "x"}); return err },
		"Outbox.Flush":    func(ctx context.Context) error { return c.Outbox().Flush(ctx) },
		"Outbox.Discard":  func(ctx context.Context) error { _, err := c.Outbox().Discard(ctx, 1, "g"); return err },
		"Reencrypt":       func(ctx context.Context) error { _, err := c.Reencrypt(ctx, 1, nil); return err },
		"Download":        func(ctx context.Context) error { _, _, err := c.Download(ctx, m, 0, new(nowhere)); return err },
		"Events": func(ctx context.Context) error {
			for _, err := range c.Events(ctx) {
				return err
			}
			return nil
		},
		"History": func(ctx context.Context) error {
			for _, err := range c.History(ctx, 1) {
				return err
			}
			return nil
		},
	}
}

type nowhere struct{}

func (*nowhere) Write(p []byte) (int, error) { return len(p), nil }

// TestEndingsOfEveryKindAtOnceComeToRest starts and stops a Chat in every way at
// once, from every place.
func TestEndingsOfEveryKindAtOnceComeToRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	for _, body := range []string{"one", "two", "three"} {
		w.say(jane, conv, body)
	}
	token := w.token("jane")
	w.login("bob")
	ctx := context.Background()
	for range longtest.Size(300, 10_000) {
		bob := w.connect(func(o *chat.Options) { o.EncryptMessages = false })
		_, err := bob.Login(ctx, chat.M{"Email": "bob@example.org"})
		require.NoError(t, err)
		var all sync.WaitGroup
		var mu sync.Mutex
		i := 0
		for _, call := range places {
			mine := []func(*chat.Chat) error{endings["Close"], endings["Logout"], func(c *chat.Chat) error {
				brief, cancel := context.WithTimeout(ctx, time.Millisecond)
				defer cancel()
				return c.Shutdown(brief)
			}}[i%3]
			i++
			all.Go(func() {
				call(t, bob, func() {
					mu.Lock()
					defer mu.Unlock()
					_ = mine(bob) // by whoever comes first; the others find it ended
				})
			})
		}
		all.Wait()
		patience, cancel := context.WithTimeout(ctx, time.Minute)
		require.NoError(t, bob.Close())
		require.NoError(t, bob.Shutdown(patience))
		cancel()
	}
	assert.False(t, w.dead(token))
}
