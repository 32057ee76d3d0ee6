package chat_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// inBubble runs a test in virtual time with Jane's message to Bob.
func inBubble(t *testing.T, test func(t *testing.T, w *world, jane *chat.Chat, conv *chat.Conversation)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane")
		w.login("bob")
		conv := w.converse(jane, "bob")
		w.say(jane, conv, "hello")
		test(t, w, jane, conv)
	})
}

func TestLogoutEndsAConsumerWhoseFunctionFails(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *chat.Chat, _ *chat.Conversation) {
		bob := w.login("bob")
		var calls atomic.Int64
		ended := make(chan error, 1)
		go func() {
			ended <- bob.Consume(t.Context(), "c", func(context.Context, *chat.Message) error {
				calls.Add(1)
				return errors.New("cannot")
			})
		}()
		time.Sleep(10 * time.Second)
		require.NoError(t, bob.Logout(t.Context()))
		n := calls.Load()
		assert.Positive(t, n)
		require.ErrorIs(t, <-ended, chat.ErrNotLoggedIn)
		time.Sleep(time.Hour)
		assert.Equal(t, n, calls.Load())
	})
}

func TestShutdownDoesNotWaitForAMessageToSucceed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *chat.Chat, _ *chat.Conversation) {
		bob := w.login("bob")
		var calls atomic.Int64
		go func() {
			_ = bob.Consume(t.Context(), "c", func(context.Context, *chat.Message) error {
				calls.Add(1)
				return errors.New("cannot")
			}, chat.RetryBackoff(time.Second, time.Second))
		}()
		time.Sleep(10 * time.Second)
		n := calls.Load()
		began := time.Now()
		require.NoError(t, bob.Shutdown(t.Context()))
		assert.LessOrEqual(t, time.Since(began), time.Second)
		assert.Equal(t, n, calls.Load())
	})
}

// slowStore takes a second to swap.
type slowStore struct{ storage.Store }

func (s *slowStore) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	time.Sleep(time.Second)
	return s.Store.CompareAndSwap(ctx, key, old, new)
}

func TestNoConsumersFunctionBeginsAfterAnEnding(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world, jane *chat.Chat, conv *chat.Conversation) {
				bob := w.login("bob", storing(&slowStore{storage.NewMemory()}))
				var began, over atomic.Bool
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = bob.Consume(t.Context(), "c", func(context.Context, *chat.Message) error {
						began.Store(true)
						assert.False(t, over.Load(), "it begins after the end")
						return nil
					})
				}()
				time.Sleep(1500 * time.Millisecond) // the lease is taken, and the position is being stored
				_ = end(bob)                        // as the store may take longer than Shutdown's second
				over.Store(true)
				<-done
				assert.False(t, began.Load())
			})
		})
	}
}

func TestTheLoggerMayCallTheChat(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, jane *chat.Chat, conv *chat.Conversation) {
		var bob atomic.Pointer[chat.Chat]
		handler := &callingHandler{call: func() {
			if c := bob.Load(); c != nil {
				_ = c.Outbox().Len()
				_ = c.Close()
			}
		}}
		store := &failingStore{Store: storage.NewMemory()}
		c := w.login("bob", func(o *chat.Options) {
			o.Storage, o.Logger, o.Outbox, o.EncryptMessages = store, slog.New(handler), &chat.OutboxOptions{}, false
		})
		bob.Store(c)
		store.fail.Store(true)
		_, err := c.Outbox().Add(t.Context(), conv.ID, chat.Draft{Body: "x"})
		require.Error(t, err)
		time.Sleep(time.Minute)
		store.fail.Store(false)
		require.NoError(t, c.Close())
		require.NoError(t, c.Shutdown(t.Context()))
	})
}

// callingHandler calls something for every record.
type callingHandler struct{ call func() }

func (h *callingHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *callingHandler) Handle(context.Context, slog.Record) error {
	h.call()
	return nil
}
func (h *callingHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *callingHandler) WithGroup(string) slog.Handler      { return h }

// failingStore fails on demand.
type failingStore struct {
	storage.Store
	fail atomic.Bool
}

var errStore = errors.New("the disk is gone")

func (s *failingStore) Get(ctx context.Context, key string) ([]byte, error) {
	if s.fail.Load() {
		return nil, errStore
	}
	return s.Store.Get(ctx, key)
}

func (s *failingStore) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if s.fail.Load() {
		return false, errStore
	}
	return s.Store.CompareAndSwap(ctx, key, old, new)
}

func TestShutdownWaitsAlsoWhenAnotherEndingCameFirst(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world, jane *chat.Chat, conv *chat.Conversation) {
				bob := w.login("bob", func(o *chat.Options) { o.Outbox, o.EncryptMessages = &chat.OutboxOptions{}, false })
				w.Always(fliplettest.Insert, fliplettest.LoseRequest())
				_, err := bob.Outbox().Add(t.Context(), conv.ID, chat.Draft{Body: "unsent"})
				require.NoError(t, err)
				started, ended := make(chan struct{}), false
				_, err = bob.Stream(t.Context(), func(*chat.Message) {
					close(started)
					time.Sleep(time.Minute)
					ended = true
				})
				require.NoError(t, err)
				<-started
				_ = end(bob)
				require.NoError(t, bob.Shutdown(t.Context()))
				assert.True(t, ended)
			})
		})
	}
}

// slowKeys take a second.
type slowKeys struct{}

func (slowKeys) Key(context.Context, int64) (string, error) {
	time.Sleep(time.Second)
	return "passphrase", nil
}

func TestShutdownSendsWhatACallUnderWayAddsToTheOutbox(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, jane *chat.Chat, conv *chat.Conversation) {
		bob := w.login("bob", func(o *chat.Options) { o.Outbox, o.Keys = &chat.OutboxOptions{}, slowKeys{} })
		added := make(chan error, 1)
		go func() {
			_, err := bob.Outbox().Add(t.Context(), conv.ID, chat.Draft{Body: "accepted"})
			added <- err
		}()
		time.Sleep(100 * time.Millisecond)
		require.NoError(t, bob.Shutdown(t.Context()))
		require.NoError(t, <-added)
		assert.Len(t, w.Rows(conv.ID), 2, "what was accepted is sent")
	})
}

func TestNoLoopBodyGetsAMessageAfterAnEnding(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world, jane *chat.Chat, conv *chat.Conversation) {
				// The body of the message takes a second to open.
				writer := w.login("jane", func(o *chat.Options) { o.Keys = slowKeys{} })
				w.say(writer, conv, "sealed")
				bob := w.login("bob", func(o *chat.Options) { o.Keys = slowKeys{} })
				var over atomic.Bool
				done := make(chan struct{})
				go func() {
					defer close(done)
					for m, err := range bob.Events(t.Context()) {
						if err == nil {
							assert.False(t, over.Load(), "message %d", m.ID)
						}
					}
				}()
				time.Sleep(500 * time.Millisecond)
				_ = end(bob)
				over.Store(true)
				<-done
			})
		})
	}
}

func TestAConsumerThatBeganNowMissesNothingAfterwards(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, jane *chat.Chat, conv *chat.Conversation) {
		store := storage.NewMemory()
		run := func(d time.Duration) (got []string) {
			bob := w.login("bob", storing(store))
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			err := bob.Consume(ctx, "c", func(_ context.Context, m *chat.Message) error {
				got = append(got, m.Body)
				return nil
			}, chat.StartAt(chat.FromNow))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			return got
		}
		assert.Empty(t, run(time.Minute), "nothing happens while it runs")
		w.say(jane, conv, "between")
		assert.Equal(t, []string{"between"}, run(time.Minute))
	})
}

func TestOptionsOfConsumeAreChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.login("bob")
	before := len(w.Requests())
	for name, opt := range map[string]chat.ConsumeOption{
		"no attempts": chat.MaxAttempts(0), "nil dead letter": chat.DeadLetter(nil), "no wait": chat.RetryBackoff(0, time.Second),
		"longer before shorter": chat.RetryBackoff(time.Minute, time.Second), "for ever": chat.RetryBackoff(math.MaxInt64, math.MaxInt64),
		"no such start": chat.StartAt(99), "nothing parallel": chat.Parallel(0), "far too parallel": chat.Parallel(1_000_000),
		"no quiet": chat.PerConversation(chat.Debounce(0)), "quiet for a day": chat.PerConversation(chat.Debounce(24 * time.Hour)),
		"1 ns is not Latest": chat.PerConversation(chat.Debounce(1)), "no such policy": chat.PerConversation(-7),
	} {
		err := bob.Consume(t.Context(), "c", func(context.Context, *chat.Message) error { return nil }, opt)
		require.ErrorIs(t, err, chat.ErrInvalid, name)
	}
	_, err := bob.Stream(t.Context(), func(*chat.Message) {}, chat.StartAt(99))
	require.ErrorIs(t, err, chat.ErrInvalid)
	for _, err := range bob.Events(t.Context(), chat.StartAt(99)) {
		require.ErrorIs(t, err, chat.ErrInvalid)
	}
	assert.Len(t, w.Requests(), before)
}

func TestCloseEndsOnChangeAndShutdownWaitsForIt(t *testing.T) {
	for _, shutdown := range []bool{false, true} {
		inOutbox := func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				conv := w.talk()
				var told atomic.Int64
				started := make(chan struct{}, 100)
				jane := w.withOutbox(storage.NewMemory(), func(o *chat.OutboxOptions) {
					o.OnChange = func(chat.SendChange) {
						started <- struct{}{}
						time.Sleep(time.Second)
						told.Add(1)
					}
				})
				queue(t, jane, conv, "a", "b", "c")
				<-started
				if shutdown {
					require.NoError(t, jane.Shutdown(t.Context()))
					assert.GreaterOrEqual(t, told.Load(), int64(3))
				} else {
					require.NoError(t, jane.Close())
				}
				n := told.Load()
				time.Sleep(time.Hour)
				if shutdown {
					assert.Equal(t, n, told.Load())
				} else {
					assert.LessOrEqual(t, told.Load(), n+1, "the one that ran")
				}
			})
		}
		name := "Close"
		if shutdown {
			name = "Shutdown"
		}
		t.Run(name, inOutbox)
	}
}
