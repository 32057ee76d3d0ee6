package chat_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
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

// consume runs a consumer in a goroutine until the returned function is called,
// which returns its error.
func consume(c *chat.Chat, name string, fn func(context.Context, *chat.Message) error, opts ...chat.ConsumeOption) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Consume(ctx, name, fn, opts...) }()
	return func() error {
		cancel()
		return <-done
	}
}

// unhurried polls at the cadence of production, for long stories on virtual time.
func unhurried(o *chat.Options) { o.LivePollInterval, o.PollInterval = 0, 0 }

func storing(s storage.Store) func(*chat.Options) {
	return func(o *chat.Options) { o.Storage = s }
}

func TestAConsumerThatWasAskedToEndReturnsNoErrorWithUntilDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob := w.login("bob")
	fn := func(context.Context, *chat.Message) error { return nil }
	require.NoError(t, consume(bob, "asked", fn, chat.UntilDone())())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, bob.Consume(over, "asked", fn, chat.UntilDone()), "before it began")
	require.ErrorIs(t, bob.Consume(t.Context(), "", fn, chat.UntilDone()), chat.ErrInvalid)
	require.ErrorIs(t, bob.Consume(nil, "asked", fn, chat.UntilDone()), chat.ErrInvalid) //nolint:staticcheck // that is tried
	done := make(chan error, 1)
	go func() { done <- bob.Consume(t.Context(), "closed", fn, chat.UntilDone()) }()
	require.Eventually(t, func() bool { return bob.Health().Listeners > 0 }, time.Minute, time.Millisecond)
	require.NoError(t, bob.Close())
	require.ErrorIs(t, <-done, chat.ErrClosed, "nobody has ended its context")
}

func TestConsumerGoesOnWhereItStopped(t *testing.T) {
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	store := storage.NewMemory()
	var want, got []string
	for round := range 3 {
		for i := range 5 {
			body := fmt.Sprintf("%d-%d", round, i)
			want = append(want, body)
			w.say(jane, conv, body)
		}
		bob := w.login("bob", storing(store))
		r := newRecorder()
		stop := consume(bob, "archive", func(_ context.Context, m *chat.Message) error { r.add(m); return nil })
		got = append(got, bodies(r.wait(t, 5))...)
		require.ErrorIs(t, stop(), context.Canceled)
		require.NoError(t, bob.Close())
	}
	assert.Equal(t, want, got)
}

func TestFailingMessageIsTriedAgainBeforeTheNext(t *testing.T) {
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	for i := range 3 {
		w.say(jane, conv, fmt.Sprint(i))
	}
	r, tries := newRecorder(), 0
	stop := consume(bob, "relay", func(_ context.Context, m *chat.Message) error {
		r.add(m)
		if m.Body == "1" {
			if tries++; tries == 2 {
				panic("handler")
			}
			if tries < 4 {
				return errors.New("not yet")
			}
		}
		return nil
	}, chat.RetryBackoff(time.Millisecond, time.Minute))
	assert.Equal(t, []string{"0", "1", "1", "1", "1", "2"}, bodies(r.wait(t, 6)))
	require.ErrorIs(t, stop(), context.Canceled)
}

func TestPoisonMessageGoesToTheDeadLetterAndTheRestGoesOn(t *testing.T) {
	w := newWorld(t)
	var dead []string
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	for _, body := range []string{"a", "poison", "b"} {
		w.say(jane, conv, body)
	}
	r := newRecorder()
	stop := consume(bob, "bot", func(_ context.Context, m *chat.Message) error {
		r.add(m)
		if m.Body == "poison" {
			return errors.New("cannot")
		}
		return nil
	}, chat.MaxAttempts(3), chat.RetryBackoff(time.Millisecond, time.Minute), chat.DeadLetter(func(_ context.Context, m *chat.Message, err error) error {
		dead = append(dead, m.Body+"/"+err.Error())
		return nil
	}))
	assert.Equal(t, []string{"a", "poison", "poison", "poison", "b"}, bodies(r.wait(t, 5)))
	require.ErrorIs(t, stop(), context.Canceled)
	assert.Equal(t, []string{"poison/cannot"}, dead)
}

func TestHandledMessageIsAcknowledgedAlthoughCloseCameFirst(t *testing.T) {
	w := newWorld(t)
	store := storage.NewMemory()
	jane, bob := w.login("jane"), w.login("bob", storing(store))
	conv := w.converse(jane, "bob")
	w.say(jane, conv, "first")
	w.say(jane, conv, "second")
	started, finish := make(chan struct{}), make(chan struct{})
	stop := consume(bob, "c", func(ctx context.Context, m *chat.Message) error {
		close(started)
		<-ctx.Done()
		<-finish
		return nil
	})
	<-started
	closed := make(chan error)
	go func() { closed <- bob.Close() }()
	close(finish)
	require.NoError(t, <-closed)
	require.ErrorIs(t, stop(), chat.ErrClosed)

	again := w.login("bob", storing(store))
	r := newRecorder()
	stop = consume(again, "c", func(_ context.Context, m *chat.Message) error { r.add(m); return nil })
	assert.Equal(t, []string{"second"}, bodies(r.wait(t, 1)))
	require.ErrorIs(t, stop(), context.Canceled)
}

func TestTwoConsumersOfOneNameDoNotBothDeliver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		store := storage.NewMemory()
		jane := w.login("jane")
		conv := w.converse(jane, "bob")
		var mu sync.Mutex
		var got []string
		fn := func(who string) func(context.Context, *chat.Message) error {
			return func(_ context.Context, m *chat.Message) error {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, who+m.Body)
				return nil
			}
		}
		one, two := w.login("bob", storing(store), unhurried), w.login("bob", storing(store), unhurried)
		stopOne := consume(one, "n", fn("one:"))
		time.Sleep(time.Second)
		stopTwo := consume(two, "n", fn("two:"))
		w.say(jane, conv, "1")
		time.Sleep(time.Minute)
		require.ErrorIs(t, stopOne(), context.Canceled)
		w.say(jane, conv, "2")
		time.Sleep(time.Minute)
		require.ErrorIs(t, stopTwo(), context.Canceled)
		assert.Equal(t, []string{"one:1", "two:2"}, got)
		for _, c := range []*chat.Chat{jane, one, two} {
			require.NoError(t, c.Close())
		}
	})
}

func TestConsumerOfADeadProcessIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		store := storage.NewMemory()
		jane := w.login("jane")
		conv := w.converse(jane, "bob")
		w.say(jane, conv, "hello")
		key := ""
		watched := watchKeys{Store: store, seen: func(k string) { key = k }}
		bob := w.login("bob", storing(watched))
		r := newRecorder()
		stop := consume(bob, "n", func(_ context.Context, m *chat.Message) error { r.add(m); return nil })
		time.Sleep(3 * time.Second)
		require.ErrorIs(t, stop(), context.Canceled)
		// Somebody else held the lease and never beat again.
		require.NoError(t, store.Set(t.Context(), key, []byte(`{"owner":"dead"}`)))
		w.say(jane, conv, "again")
		began := time.Now()
		stop = consume(bob, "n", func(_ context.Context, m *chat.Message) error { r.add(m); return nil })
		time.Sleep(40 * time.Second)
		require.ErrorIs(t, stop(), context.Canceled)
		assert.Equal(t, []string{"hello", "again"}, bodies(r.all()))
		assert.Less(t, time.Since(began), time.Minute)
		require.NoError(t, jane.Close())
		require.NoError(t, bob.Close())
	})
}

// watchKeys reports the key of the lease.
type watchKeys struct {
	storage.Store
	seen func(string)
}

func (s watchKeys) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if len(key) > 6 && key[len(key)-6:] == "/lease" {
		s.seen(key)
	}
	return s.Store.CompareAndSwap(ctx, key, old, new)
}

func TestDamagedPositionIsAnErrorThatNamesItsKey(t *testing.T) {
	w := newWorld(t)
	bob := w.login("bob", storing(damaged{storage.NewMemory()}))
	err := bob.Consume(t.Context(), "n", func(context.Context, *chat.Message) error { return nil })
	require.ErrorContains(t, err, "consume/n")
	require.ErrorContains(t, err, "damaged")
}

// damaged gives garbage for positions.
type damaged struct{ storage.Store }

func (d damaged) Get(ctx context.Context, key string) ([]byte, error) {
	if len(key) > 5 && key[len(key)-5:] == "/base" {
		return []byte("garbage"), nil
	}
	return d.Store.Get(ctx, key)
}

func TestEventsYieldWhatStreamsDeliver(t *testing.T) {
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	w.say(jane, conv, "1")
	got := []string{}
	for m, err := range bob.Events(t.Context()) {
		require.NoError(t, err)
		got = append(got, m.Body)
		if m.Body == "1" {
			w.say(jane, conv, "2")
			require.NoError(t, bob.Poll(t.Context()), "calls from inside the loop are allowed")
		}
		if m.Body == "2" {
			break
		}
	}
	assert.Equal(t, []string{"1", "2"}, got)
}

func TestEventsEndWithTheirReason(t *testing.T) {
	w := newWorld(t)
	bob := w.login("bob")
	cause := errors.New("enough")
	for name, tc := range map[string]struct {
		end  func(context.CancelCauseFunc, *chat.Chat)
		want error
	}{
		"context": {func(cancel context.CancelCauseFunc, _ *chat.Chat) { cancel(cause) }, cause},
		"close":   {func(_ context.CancelCauseFunc, c *chat.Chat) { go c.Close() }, chat.ErrClosed},
		"logout":  {func(_ context.CancelCauseFunc, c *chat.Chat) { go c.Logout(context.Background()) }, chat.ErrNotLoggedIn},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.login("bob")
			ctx, cancel := context.WithCancelCause(t.Context())
			tc.end(cancel, c)
			var last error
			for m, err := range c.Events(ctx) {
				assert.Nil(t, m)
				last = err
			}
			require.ErrorIs(t, last, tc.want)
		})
	}
	require.NoError(t, bob.Close())
	for _, err := range bob.Events(t.Context()) {
		require.ErrorIs(t, err, chat.ErrClosed)
	}
}

func TestEverythingMayBeCalledFromInsideAStream(t *testing.T) {
	w := newWorld(t)
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	for name, act := range map[string]func(*chat.Chat, *chat.Subscription) error{
		"send":   func(c *chat.Chat, _ *chat.Subscription) error { w.say(c, conv, "from inside"); return nil },
		"poll":   func(c *chat.Chat, _ *chat.Subscription) error { return c.Poll(context.Background()) },
		"stop":   func(_ *chat.Chat, s *chat.Subscription) error { s.Stop(); return nil },
		"logout": func(c *chat.Chat, _ *chat.Subscription) error { return c.Logout(context.Background()) },
		"close":  func(c *chat.Chat, _ *chat.Subscription) error { return c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			bob := w.login("bob")
			subs, done := make(chan *chat.Subscription, 1), make(chan error, 1)
			var once sync.Once
			s, err := bob.Stream(context.Background(), func(m *chat.Message) {
				once.Do(func() {
					sub := <-subs
					subs <- sub
					done <- act(bob, sub)
				})
			})
			require.NoError(t, err)
			subs <- s
			w.say(jane, conv, "hello")
			select {
			case err := <-done:
				require.NoError(t, err)
			case <-time.After(10 * time.Second):
				require.FailNow(t, "deadlock")
			}
			if slices.Contains([]string{"stop", "close", "logout"}, name) {
				ended(t, s.Done())
			}
		})
	}
}

func TestPanickingListenerEndsAloneAndSaysWhy(t *testing.T) {
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	conv := w.converse(jane, "bob")
	other := stream(t, bob)
	s, err := bob.Stream(context.Background(), func(*chat.Message) { panic("secret body") })
	require.NoError(t, err)
	w.say(jane, conv, "1")
	ended(t, s.Done())
	var p *chat.PanicError
	require.ErrorAs(t, s.Err(), &p)
	assert.Equal(t, "secret body", p.Value)
	assert.NotContains(t, p.Error(), "secret")
	w.say(jane, conv, "2")
	assert.Equal(t, []string{"1", "2"}, bodies(other.wait(t, 2)))
}

// What a consumer and an outbox store has these names. Renaming one loses positions,
// or messages, that another version has left behind.
func TestTheKeysInStorageKeepTheirNames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		store := storage.NewMemory()
		jane := w.login("jane")
		conv := w.converse(jane, "bob")
		w.say(jane, conv, "hello")
		bob := w.login("bob", func(o *chat.Options) {
			o.Storage, o.Outbox, o.EncryptMessages = store, &chat.OutboxOptions{}, false
		})
		r := newRecorder()
		stop := consume(bob, "archive", func(_ context.Context, m *chat.Message) error { r.add(m); return nil })
		r.wait(t, 1)
		w.say(jane, conv, "and again")
		r.wait(t, 2)
		synctest.Wait()
		down := w.Always(fliplettest.Insert, fliplettest.LoseRequest())
		_, err := bob.Outbox().Add(t.Context(), conv.ID, chat.Draft{Body: "waits"})
		require.NoError(t, err)
		prefix := fmt.Sprintf("fl-chat-cache/%s/%d/%s/", strings.TrimPrefix(w.URL, "http://"), w.contacts, bob.User().UserID)
		var names []string
		for key, err := range store.(storage.Lister).List(t.Context(), prefix) {
			require.NoError(t, err)
			name := strings.TrimPrefix(key, prefix)
			// Owners, segments and slots of the outbox have names of their own.
			name = regexp.MustCompile(`^outbox/owners/.+$`).ReplaceAllString(name, "outbox/owners/…")
			name = regexp.MustCompile(`^outbox/[^/]+/\d+$`).ReplaceAllString(name, "outbox/…/n")
			names = append(names, name)
		}
		slices.Sort(names)
		assert.Equal(t, []string{
			"consume/archive/base", "consume/archive/lease", "consume/archive/log/0", "logins", "messages",
			"outbox", "outbox/owners/…", "outbox/…/n", "pins", "user",
		}, slices.DeleteFunc(names, func(n string) bool { return n == "conversations" || n == "contacts" }))
		require.Error(t, stop())
		down.Off()
		require.NoError(t, bob.Shutdown(t.Context()))
	})
}
