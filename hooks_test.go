package chat_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
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
	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// observer is a hook of every kind that keeps what it was told, as a line each.
type observer struct {
	mu    sync.Mutex
	lines []string
	raw   []any
}

type seenBy struct{}

func (w *observer) add(raw any, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf(format, args...))
	w.raw = append(w.raw, raw)
}

// told are the lines that begin with a word.
func (w *observer) told(word string) (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.lines {
		if strings.HasPrefix(l, word+" ") {
			out = append(out, strings.TrimPrefix(l, word+" "))
		}
	}
	return out
}

func (w *observer) OnRequest(_ context.Context, r hooks.Request) {
	w.add(r, "request %s %s write=%t status=%d failed=%t", r.Method, r.Route, r.Write, r.Status, r.Err != nil)
}

func (w *observer) OnLimiterWait(_ context.Context, l hooks.Wait) {
	w.add(l, "wait write=%t %v noSlot=%t", l.Write, l.Duration, errors.Is(l.Err, datasource.ErrNoSlot))
}

func (w *observer) OnPoll(p hooks.Poll) { w.add(p, "poll failed=%t", p.Err != nil) }

func (w *observer) OnSendStart(ctx context.Context, s hooks.Send) context.Context {
	return context.WithValue(ctx, seenBy{}, s.GUID)
}

func (w *observer) OnSendEnd(ctx context.Context, s hooks.Send, o hooks.Outcome) {
	w.add(s, "send same=%t failed=%t", ctx.Value(seenBy{}) == s.GUID, o.Err != nil)
}

func (w *observer) OnDelivery(d hooks.Delivery) {
	w.add(d, "delivery %v%s update=%t lag=%v", d.Kind, d.Consumer, d.Update, d.Lag.Round(time.Second))
}

func (w *observer) OnHandlerStart(ctx context.Context, d hooks.Delivery) context.Context {
	return context.WithValue(ctx, seenBy{}, d.Message)
}

func (w *observer) OnHandlerEnd(ctx context.Context, d hooks.Delivery, o hooks.Outcome) {
	w.add(d, "handler %v attempt=%d same=%t took=%v failed=%t", d.Kind, d.Attempt, ctx.Value(seenBy{}) == d.Message, o.Duration, o.Err != nil)
}

func (w *observer) OnGap(g hooks.Gap) { w.add(g, "gap %v message=%t", g.Kind, g.Message != 0) }

func (w *observer) OnLease(l hooks.Lease) {
	w.add(l, "lease %s %v failed=%t", l.Consumer, l.Event, l.Err != nil)
}

func (w *observer) OnOutbox(o hooks.Outbox) {
	w.add(o, "outbox %v attempts=%d pending=%d", o.State, o.Attempts, o.Pending)
	if o.Kept {
		w.add(o, "kept %v failed=%t", o.State, o.Err != nil)
	}
}

func (w *observer) OnRefusal(r hooks.Refusal) {
	w.add(r, "refusal %v conversation=%t guid=%s failed=%t", r.Reason, r.Conversation != 0, r.GUID, r.Err != nil)
}

// watched are options with a hook of every kind, and waits that can be told.
func watched(h ...chat.Hook) func(*chat.Options) {
	return func(o *chat.Options) { o.Hooks = h }
}

func TestHooksAreToldOfSendsDeliveriesAndHandlersOfEveryKind(t *testing.T) {
	throughDoors(t, func(t *testing.T, w *world, run func(*chat.Chat, func(*chat.Message), func(error)) <-chan error) {
		seen := &observer{}
		jane := w.login("jane", watched(seen))
		conv := w.converse(jane, "bob")
		ended := run(jane, func(m *chat.Message) { time.Sleep(3 * time.Second) }, nil)
		w.say(jane, conv, "secret words")
		time.Sleep(time.Minute)
		require.NoError(t, jane.Close())
		<-ended

		assert.Equal(t, []string{"same=true failed=false"}, seen.told("send"))
		require.Len(t, seen.told("handler"), 1)
		kind := strings.Fields(seen.told("handler")[0])[0]
		assert.Contains(t, []string{"stream", "events", "consume"}, kind)
		require.Len(t, seen.told("delivery"), 1)
		assert.True(t, strings.HasPrefix(seen.told("delivery")[0], kind))
		assert.True(t, strings.HasSuffix(seen.told("delivery")[0], "update=false lag=0s"), "%v", seen.told("delivery"))
		assert.Equal(t, []string{kind + " attempt=1 same=true took=3s failed=false"}, seen.told("handler"))
		assert.Contains(t, seen.told("request"), "PUT v1/data-sources/{}/data write=true status=200 failed=false")
		assert.Contains(t, seen.told("poll"), "failed=false")
		if kind == "consume" {
			assert.Equal(t, []string{"door acquired failed=false", "door released failed=false"}, seen.told("lease"))
		}
	})
}

func TestAFunctionThatEndsItsGoroutineIsToldAsOneThatFails(t *testing.T) {
	t.Parallel()
	for name, listen := range map[string]func(context.Context, *chat.Chat, func(*chat.Message)) error{
		"stream": func(ctx context.Context, c *chat.Chat, fn func(*chat.Message)) error {
			sub, err := c.Stream(ctx, fn)
			if err != nil {
				return err
			}
			<-sub.Done()
			return sub.Err()
		},
		"consume": func(ctx context.Context, c *chat.Chat, fn func(*chat.Message)) error {
			return c.Consume(ctx, "exits", func(_ context.Context, m *chat.Message) error { fn(m); return nil })
		},
		"events": func(ctx context.Context, c *chat.Chat, fn func(*chat.Message)) error {
			for m := range c.Events(ctx) {
				fn(m)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				seen := &observer{}
				jane := w.login("jane", watched(seen))
				conv := w.converse(jane, "bob")
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() {
					err := context.Canceled // of a loop, which is this goroutine
					defer func() { ended <- err }()
					var exited atomic.Bool
					err = listen(ctx, jane, func(*chat.Message) {
						if !exited.Swap(true) {
							runtime.Goexit()
						}
					})
				}()
				time.Sleep(time.Minute)
				w.say(jane, conv, "hello")
				time.Sleep(time.Minute)
				failed := name != "events" // whose errors are the program's own
				require.NotEmpty(t, seen.told("handler"))
				assert.Equal(t, fmt.Sprintf("%s attempt=1 same=true took=0s failed=%t", name, failed), seen.told("handler")[0])
				if name == "stream" {
					require.ErrorContains(t, <-ended, "runtime.Goexit")
					ended <- nil
				}
				cancel()
				<-ended
			})
		})
	}
}

// keysOfSlowServers take their time for every key.
type keysOfSlowServers struct{ chat.Keys }

func (keysOfSlowServers) Key(context.Context, int64) (string, error) {
	time.Sleep(2 * time.Second)
	return "0123456789abcdef0123456789abcdef", nil
}

func TestOpeningTheBodyIsPartOfHowLongHandlingTakes(t *testing.T) {
	throughDoors(t, func(t *testing.T, w *world, run func(*chat.Chat, func(*chat.Message), func(error)) <-chan error) {
		seen := &observer{}
		jane := w.login("jane", watched(seen), func(o *chat.Options) { o.Keys, o.EncryptMessages = keysOfSlowServers{}, true })
		conv := w.converse(jane, "bob")
		ended := run(jane, func(*chat.Message) { time.Sleep(3 * time.Second) }, nil)
		for range 2 { // one after the other, and at once
			w.say(jane, conv, "one")
			w.say(jane, conv, "two")
			time.Sleep(time.Minute)
		}
		require.NoError(t, jane.Close())
		<-ended
		require.Len(t, seen.told("handler"), 4)
		for _, line := range seen.told("handler") {
			assert.Contains(t, line, "took=5s")
		}
	})
}

func TestHooksAreToldOfPollsThatFailAndOfTheirRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		seen := &observer{}
		jane := w.login("jane", watched(seen))
		w.converse(jane, "bob")
		sub, err := jane.Stream(t.Context(), func(*chat.Message) {})
		require.NoError(t, err)
		time.Sleep(time.Second)
		assert.NotContains(t, seen.told("poll"), "failed=true")
		w.Next(1, fliplettest.CrossSource, fliplettest.Status(500))
		time.Sleep(time.Second)
		sub.Stop()
		failed := 0
		for _, p := range seen.told("poll") {
			if p == "failed=true" {
				failed++
			}
		}
		assert.Equal(t, 1, failed)
		assert.Contains(t, seen.told("request"), "POST v1/data-sources/data write=false status=500 failed=true")
	})
}

func TestAHandlersFailuresAreToldWithTheirAttemptsAndDeliveredOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		seen := &observer{}
		jane := w.login("jane", watched(seen))
		conv := w.converse(jane, "bob")
		w.say(jane, conv, "hello")
		ctx, cancel := context.WithCancel(t.Context())
		tries := 0
		err := jane.Consume(ctx, "tries", func(ctx context.Context, m *chat.Message) error {
			assert.Equal(t, m.ID, ctx.Value(seenBy{}), "the function has the context that the hook made")
			if tries++; tries < 3 {
				return errors.New("not now")
			}
			cancel()
			return nil
		})
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, []string{
			"consume attempt=1 same=true took=0s failed=true", "consume attempt=2 same=true took=0s failed=true",
			"consume attempt=3 same=true took=0s failed=false",
		}, seen.told("handler"))
		assert.Len(t, seen.told("delivery"), 1)
	})
}

func TestAMessageOfABatchThatIsUndoneIsDeliveredOnceAndItsAttemptsGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		seen := &observer{}
		jane := w.login("jane", watched(seen), func(o *chat.Options) { o.Storage = storage.NewMemory() })
		conv := w.converse(jane, "bob")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		fails := 0
		go func() {
			ended <- jane.Consume(ctx, "batches", func(_ context.Context, m *chat.Message) error {
				if fails++; m.Body == "third" && fails < 12 { // alone, too
					return errors.New("not now")
				}
				return nil
			}, chat.Batch(5))
		}()
		time.Sleep(time.Minute)
		for _, body := range []string{"first", "second", "third", "fourth", "fifth"} {
			w.AddRows(conv.ID, datasource.M{"body": body, "fromUserId": "u", "guid": body})
		}
		time.Sleep(10 * time.Minute)
		cancel()
		<-ended
		assert.Len(t, seen.told("delivery"), 5, "%v", seen.told("delivery"))
		attempts := map[int64]int{}
		seen.mu.Lock()
		defer seen.mu.Unlock()
		for i, raw := range seen.raw {
			if d, ok := raw.(hooks.Delivery); ok && strings.HasPrefix(seen.lines[i], "handler ") {
				assert.Equal(t, attempts[d.Message]+1, d.Attempt, "message %d", d.Message)
				attempts[d.Message] = d.Attempt
			}
		}
		require.Len(t, attempts, 5)
		again := 0
		for _, n := range attempts {
			if n > 1 {
				again++
			}
		}
		assert.GreaterOrEqual(t, again, 3, "those before the one that fails are handled again: %v", attempts)
	})
}

func TestHooksAreToldOfTheOutboxWithoutOnChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		seen := &observer{}
		jane := w.login("jane", watched(seen), func(o *chat.Options) { o.Outbox = &chat.OutboxOptions{} })
		conv := w.converse(jane, "bob")
		_, err := jane.Outbox().Add(t.Context(), conv.ID, chat.Draft{Body: "later"})
		require.NoError(t, err)
		require.NoError(t, jane.Outbox().Flush(t.Context()))
		time.Sleep(time.Minute)
		told := seen.told("outbox")
		require.NotEmpty(t, told)
		assert.Equal(t, "stored attempts=0 pending=0", told[len(told)-1])
		assert.Equal(t, []string{" acquired failed=false", " released failed=false"}, seen.told("lease"))
	})
}

func TestHooksAreToldOfWhatAnOutboxDoesNotAccept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		seen, store := &observer{}, &failingStore{Store: storage.NewMemory()}
		jane := w.login("jane", watched(seen), func(o *chat.Options) { o.Outbox, o.Storage = &chat.OutboxOptions{Limit: 1}, store })
		conv := w.converse(jane, "bob")
		ctx := t.Context()
		w.Always(fliplettest.Insert, fliplettest.Status(503))

		expect := []string{}
		refused := func(want string, err error) {
			t.Helper()
			require.Error(t, err)
			expect = append(expect, want)
			assert.Equal(t, expect, seen.told("refusal"))
		}
		_, err := jane.Outbox().Add(ctx, conv.ID, chat.Draft{GUID: "g-1"})
		refused("invalid conversation=true guid=g-1 failed=true", err)
		_, err = jane.Message(ctx, conv.ID, chat.Draft{})
		refused("invalid conversation=true guid= failed=true", err)
		file := chat.File{Name: "much", Content: make([]byte, 1<<20)}
		_, err = jane.Outbox().Add(ctx, conv.ID, chat.Draft{Body: "a file", Files: []chat.File{file}})
		require.ErrorIs(t, err, chat.ErrInvalid)
		refused("invalid conversation=true guid= failed=true", err)
		_, err = jane.Outbox().Add(ctx, 999, chat.Draft{Body: "to nobody"})
		refused("other conversation=true guid= failed=true", err)

		store.fail.Store(true)
		_, err = jane.Outbox().Add(ctx, conv.ID, chat.Draft{GUID: "g-2", Body: "not stored"})
		refused("storage conversation=true guid=g-2 failed=true", err)
		store.fail.Store(false)
		time.Sleep(time.Minute)

		brief, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err = jane.Message(brief, conv.ID, chat.Draft{Body: "accepted"})
		require.ErrorIs(t, err, chat.ErrQueued)
		assert.Equal(t, expect, seen.told("refusal"), "what was accepted is not refused")
		_, err = jane.Outbox().Add(ctx, conv.ID, chat.Draft{Body: "one too many"})
		require.ErrorIs(t, err, chat.ErrOutboxFull)
		refused("full conversation=true guid= failed=true", err)
		_, err = jane.Message(ctx, conv.ID, chat.Draft{Body: "one too many"})
		refused("full conversation=true guid= failed=true", err)

		require.NoError(t, jane.Logout(ctx))
		_, err = jane.Outbox().Add(ctx, conv.ID, chat.Draft{Body: "whose"})
		refused("other conversation=true guid= failed=true", err)
	})
}

func TestHooksAreToldWhichMessagesAnOutboxGaveUpAndKeeps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		seen := &observer{}
		jane := w.login("jane", watched(seen), func(o *chat.Options) { o.Outbox = &chat.OutboxOptions{} })
		conv := w.converse(jane, "bob")
		ctx := t.Context()
		refusing := w.Always(fliplettest.Insert, fliplettest.Answer(422, `{"message":"no"}`))
		_, err := jane.Message(ctx, conv.ID, chat.Draft{Body: "given up"})
		require.Error(t, err)
		refusing.Off()
		w.Next(1, fliplettest.Insert, fliplettest.Answer(400, `{"type":"datasource.access","message":"no"}`))
		_, err = jane.Message(ctx, conv.ID, chat.Draft{Body: "refused"})
		require.Error(t, err)
		synctest.Wait()
		assert.Equal(t, []string{"failed failed=true"}, seen.told("kept"))
		assert.Len(t, jane.Outbox().Pending(), 1)
	})
}

// leaseholder is a LeaseHook that does not return before it may.
type leaseholder struct{ may chan struct{} }

func (l leaseholder) OnLease(hooks.Lease) { <-l.may }

func TestALeaseHookThatIsSlowHoldsUpNoMessageOfTheOutbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		slow := leaseholder{make(chan struct{})}
		jane := w.login("jane", watched(slow), func(o *chat.Options) { o.Outbox = &chat.OutboxOptions{} })
		conv := w.converse(jane, "bob")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for range 2 {
			_, err := jane.Message(ctx, conv.ID, chat.Draft{Body: "hello"})
			require.NoError(t, err)
		}
		require.NoError(t, jane.Outbox().Flush(ctx))
		close(slow.may)
		require.NoError(t, jane.Shutdown(ctx))
	})
}

func TestHooksAreToldOfGapsAndOfWaitsForTheLimiter(t *testing.T) {
	throughDoors(t, func(t *testing.T, w *world, run func(*chat.Chat, func(*chat.Message), func(error)) <-chan error) {
		seen := &observer{}
		client, err := datasource.NewClient(datasource.Config{
			Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: w.Transport()},
			Limiter: datasource.NewLimiter(2, 10*time.Second), MaxResponseBytes: 256 << 10,
		})
		require.NoError(t, err)
		jane := w.login("jane", watched(seen), func(o *chat.Options) { o.Client, o.LivePollInterval, o.PollInterval = client, 0, 0 })
		conv := w.converse(jane, "bob")
		w.AddRows(conv.ID, datasource.M{"body": strings.Repeat("x", 1<<20)})
		ended := run(jane, func(*chat.Message) {}, nil)
		require.NoError(t, jane.Close())
		<-ended
		require.NotEmpty(t, seen.told("wait"))
		require.Len(t, seen.told("gap"), 1)
		assert.Contains(t, seen.told("gap")[0], "message=true")
	})
}

// Canary: no hook is ever told what is secret.
func TestNoHookIsToldASecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		seen := &observer{}
		jane := w.login("jane", watched(seen), func(o *chat.Options) {
			o.Outbox, o.Storage = &chat.OutboxOptions{}, storage.NewMemory()
		})
		conv := w.converse(jane, "bob")
		sub, err := jane.Stream(t.Context(), func(*chat.Message) {})
		require.NoError(t, err)
		w.Next(1, fliplettest.Insert, fliplettest.Status(400))
		w.Next(1, fliplettest.CrossSource, fliplettest.LoseAnswer())
		w.say(jane, conv, "the secret words")
		time.Sleep(time.Second)
		sub.Stop()
		seen.mu.Lock()
		defer seen.mu.Unlock()
		all := fmt.Sprintf("%+v %+v", seen.lines, seen.raw)
		for _, secret := range []string{"secret words", w.Token, conv.EncryptionKey(), jane.User().Data["flUserToken"].(string), "?", "auth_token"} {
			assert.NotContains(t, all, secret)
		}
	})
}

func TestAHookThatIsANilPointerIsRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := chat.Connect(t.Context(), chat.Options{
		Client: w.Client(), DataSourceID: 1, AppID: w.AppID, Hooks: []chat.Hook{nil, &observer{}, (*observer)(nil)},
	})
	require.ErrorIs(t, err, chat.ErrInvalid)
	require.ErrorContains(t, err, "Options.Hooks[2]: a nil *chat_test.observer; give a value, or leave it out")
	require.NoError(t, hooks.Check([]hooks.Hook{nil, struct{}{}, &observer{}, (*int)(nil)}))
}

func TestHooksAreFoundByWhatTheyImplement(t *testing.T) {
	t.Parallel()
	assert.Nil(t, hooks.Of[hooks.PollHook](nil))
	assert.Nil(t, hooks.Of[hooks.PollHook]([]hooks.Hook{struct{}{}, 7, nil}))
	assert.Len(t, hooks.Of[hooks.PollHook]([]hooks.Hook{1, &observer{}}), 1)
}
