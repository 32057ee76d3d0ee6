package chat_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
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
	"github.com/fliplet/fliplet-chat-go/storage"
)

// doors are the ways to receive: run hands messages to fn until it ends, and returns
// why.
var doors = map[string]func(ctx context.Context, c *chat.Chat, fn func(*chat.Message), onError chat.ErrorOption) error{
	"Stream": func(ctx context.Context, c *chat.Chat, fn func(*chat.Message), onError chat.ErrorOption) error {
		sub, err := c.Stream(ctx, fn, onError)
		if err != nil {
			return err
		}
		<-sub.Done()
		return sub.Err()
	},
	"Events": func(ctx context.Context, c *chat.Chat, fn func(*chat.Message), onError chat.ErrorOption) error {
		for m, err := range c.Events(ctx, onError) {
			if err != nil {
				return err
			}
			fn(m)
		}
		return nil
	},
	"Consume": func(ctx context.Context, c *chat.Chat, fn func(*chat.Message), onError chat.ErrorOption) error {
		return c.Consume(ctx, "door", func(_ context.Context, m *chat.Message) error { fn(m); return nil }, onError)
	},
}

// throughDoors runs a test for each door in a bubble of its own.
func throughDoors(t *testing.T, test func(t *testing.T, w *world, run func(c *chat.Chat, fn func(*chat.Message), onError func(error)) (ended <-chan error))) {
	t.Parallel()
	for name, door := range doors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				test(t, newWorld(t, fliplettest.InProcess()), func(c *chat.Chat, fn func(*chat.Message), onError func(error)) <-chan error {
					ended := make(chan error, 1)
					go func() { ended <- door(t.Context(), c, fn, chat.OnError(onError)) }()
					synctest.Wait()
					time.Sleep(time.Minute)
					return ended
				})
			})
		})
	}
}

// errorList keeps errors.
type errorList struct {
	mu   sync.Mutex
	errs []error
}

func (r *errorList) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

func (r *errorList) all() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.errs)
}

func TestFailedPollsAreToldAndEndNothing(t *testing.T) {
	throughDoors(t, func(t *testing.T, w *world, run func(*chat.Chat, func(*chat.Message), func(error)) <-chan error) {
		jane, bob := w.login("jane", atLeisure), w.login("bob")
		conv := w.converse(bob, "jane")
		var errs errorList
		got := newRecorder()
		ended := run(jane, got.add, errs.add)
		assert.Empty(t, errs.all())
		down := w.Always(fliplettest.CrossSource, fliplettest.Status(503))
		time.Sleep(time.Minute)
		down.Off()
		failed := errs.all()
		assert.Greater(t, len(failed), 3)
		for _, err := range failed {
			require.ErrorIs(t, err, chat.ErrOffline)
			var e *chat.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, "poll", e.Op)
		}
		w.say(bob, conv, "after the outage")
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"after the outage"}, bodies(got.all()))
		assert.Len(t, errs.all(), len(failed))
		require.NoError(t, jane.Close())
		require.ErrorIs(t, <-ended, chat.ErrClosed)
		assert.Len(t, errs.all(), len(failed), "an end that the program made is no failure")
	})
}

func TestARevokedTokenEndsEveryStream(t *testing.T) {
	type refusal struct {
		fault    fliplettest.Fault
		within   time.Duration
		requests int
	}
	for name, f := range map[string]refusal{
		"401": {fliplettest.RefuseToken(), 5 * time.Minute, 6}, "403": {fliplettest.Status(403), 20 * time.Minute, 300}, // in no words that are documented
	} {
		t.Run(name, func(t *testing.T) {
			throughDoors(t, func(t *testing.T, w *world, run func(*chat.Chat, func(*chat.Message), func(error)) <-chan error) {
				jane := w.login("jane", atLeisure)
				w.converse(jane, "bob")
				var errs errorList
				ended := run(jane, func(*chat.Message) {}, errs.add)
				w.Always(fliplettest.AnyRoute, f.fault)
				before, began := len(w.Requests()), time.Now()
				var err error
				select {
				case err = <-ended:
				case <-time.After(24 * time.Hour):
					require.Fail(t, "it goes on", "%d requests", len(w.Requests())-before)
				}
				require.ErrorIs(t, err, chat.ErrUnauthorized)
				require.ErrorIs(t, err, datasource.ErrUnauthorized)
				assert.Less(t, time.Since(began), f.within)
				synctest.Wait()
				require.NotEmpty(t, errs.all())
				last := errs.all()[len(errs.all())-1]
				require.ErrorIs(t, last, chat.ErrUnauthorized)
				time.Sleep(24 * time.Hour)
				assert.LessOrEqual(t, len(w.Requests())-before, f.requests, "nobody asks any more")
				h := jane.Health()
				require.ErrorIs(t, h.LastError, chat.ErrUnauthorized)
				assert.Zero(t, h.Listeners)
			})
		})
	}
}

func TestAStrayRefusalEndsNoStream(t *testing.T) {
	throughDoors(t, func(t *testing.T, w *world, run func(*chat.Chat, func(*chat.Message), func(error)) <-chan error) {
		jane, bob := w.login("jane", atLeisure), w.login("bob")
		conv := w.converse(bob, "jane")
		got := newRecorder()
		ended := run(jane, got.add, func(error) {})
		for _, code := range []int{401, 403} {
			for skip := range 4 { // whichever request of polls and logins it hits
				w.After(skip, 1, fliplettest.AnyRoute, fliplettest.Status(code))
				time.Sleep(time.Hour)
			}
			// A proxy refuses everything for a moment.
			off := w.Always(fliplettest.AnyRoute, fliplettest.Status(code))
			require.Error(t, jane.Poll(t.Context()))
			off.Off()
			time.Sleep(time.Hour)
		}
		// The token of the user is dead, and a proxy refuses the login that would renew it.
		w.loggedOutElsewhere("jane")
		w.Next(1, fliplettest.Query, fliplettest.Status(403))
		time.Sleep(time.Hour)
		select {
		case err := <-ended:
			require.NoError(t, err, "it has ended")
		default:
		}
		bob = w.login("bob")
		w.say(bob, conv, "still here")
		time.Sleep(time.Hour)
		assert.Equal(t, []string{"still here"}, bodies(got.all()))
		require.NoError(t, jane.Close())
		<-ended
	})
}

func TestARefusalWithoutARefusedLoginEndsNoStream(t *testing.T) {
	t.Parallel()
	denied := fliplettest.Answer(403, `{"type":"datasource.access","message":"no"}`)
	for name, refuse := range map[string]func(w *world){
		"logins work": func(w *world) { w.Always(fliplettest.CrossSource, fliplettest.Status(401)) },
		"the rules of the contacts refuse a login": func(w *world) {
			w.Always(fliplettest.CrossSource, fliplettest.Status(403))
			w.Always(fliplettest.Query, denied)
		},
		"the server is down for logins": func(w *world) {
			w.Always(fliplettest.CrossSource, fliplettest.Status(403))
			w.Always(fliplettest.Query, fliplettest.Status(503))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fliplettest.InProcess())
				jane := w.login("jane", atLeisure)
				var errs errorList
				sub, err := jane.Stream(t.Context(), func(*chat.Message) {}, chat.OnError(errs.add))
				require.NoError(t, err)
				time.Sleep(time.Minute)
				refuse(w)
				time.Sleep(time.Hour)
				require.NoError(t, sub.Err())
				assert.NotEmpty(t, errs.all(), "it is told")
				sub.Stop()
			})
		})
	}
}

func TestOnErrorMayBeSlowAndCallAnything(t *testing.T) {
	throughDoors(t, func(t *testing.T, w *world, run func(*chat.Chat, func(*chat.Message), func(error)) <-chan error) {
		jane, bob := w.login("jane", atLeisure), w.login("bob")
		conv := w.converse(bob, "jane")
		got := newRecorder()
		calls := 0
		ended := run(jane, got.add, func(error) {
			if calls++; calls == 1 {
				time.Sleep(24 * time.Hour)
				_ = jane.Poll(t.Context())
				require.NoError(t, jane.Close())
			}
		})
		down := w.Always(fliplettest.CrossSource, fliplettest.Status(500))
		time.Sleep(time.Hour)
		down.Off()
		w.say(bob, conv, "meanwhile")
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"meanwhile"}, bodies(got.all()))
		require.ErrorIs(t, <-ended, chat.ErrClosed)
		require.NoError(t, jane.Shutdown(t.Context()))
		assert.Equal(t, 1, calls, "it ended when the Chat did")
	})
}

func TestOnErrorIsNotCalledAfterStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.login("jane", atLeisure)
		var errs errorList
		w.Always(fliplettest.CrossSource, fliplettest.Status(500))
		sub, err := jane.Stream(t.Context(), func(*chat.Message) {}, chat.OnError(func(err error) { errs.add(err); time.Sleep(time.Minute) }))
		require.NoError(t, err)
		stream := func() int { return len(errs.all()) }
		time.Sleep(30 * time.Second)
		assert.Equal(t, 1, stream(), "the others wait")
		sub.Stop()
		time.Sleep(time.Hour)
		assert.Equal(t, 1, stream())
	})
}

var errOwn = errors.New("the index rejected it")

func TestAFailedFunctionIsLoggedWithItsTextAndToldOfEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		var log syncBuffer
		jane, bob := w.login("jane", atLeisure, func(o *chat.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) }), w.login("bob")
		conv := w.converse(bob, "jane")
		m := w.say(bob, conv, "TOP SECRET BODY")
		var errs errorList
		attempts := 0
		ctx, cancel := context.WithCancel(t.Context())
		err := jane.Consume(ctx, "index", func(_ context.Context, m *chat.Message) error {
			switch attempts++; attempts {
			case 1:
				return errOwn
			case 2:
				panic(m.Body)
			case 3:
				m.Body = m.Files[7]
			}
			time.AfterFunc(time.Second, cancel)
			return nil
		}, chat.OnError(errs.add))
		require.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		require.Len(t, errs.all(), 3)
		require.ErrorIs(t, errs.all()[0], errOwn)
		assert.EqualError(t, errs.all()[0], fmt.Sprintf("chat: consume: message %d, attempt 1: the index rejected it", m.ID))
		for _, err := range errs.all()[1:] {
			var p *chat.PanicError
			require.ErrorAs(t, err, &p)
		}
		assert.ErrorContains(t, errs.all()[2], "index out of range")
		text := log.String()
		for _, part := range []string{errOwn.Error(), "name=index", fmt.Sprintf("message=%d", m.ID), "attempt=3", "index out of range", "health_test.go"} {
			assert.Contains(t, text, part)
		}
		assert.NotContains(t, text, "TOP SECRET")

		// A stream ends with it.
		log.Reset()
		var streamed errorList
		sub, err := jane.Stream(t.Context(), func(*chat.Message) { panic(errOwn) }, chat.OnError(streamed.add))
		require.NoError(t, err)
		ended(t, sub.Done())
		synctest.Wait()
		require.ErrorIs(t, sub.Err(), errOwn)
		require.Len(t, streamed.all(), 1)
		require.ErrorIs(t, streamed.all()[0], errOwn)
		assert.Contains(t, log.String(), errOwn.Error())
		assert.Contains(t, log.String(), "health_test.go", "the stack")
	})
}

// named and spoken are values that programs panic with.
type (
	named  string
	spoken struct{ secret string }
)

func (spoken) String() string { return "in a word" }

// The value of a panic is the caller's own text, and needed beside the stack. The body of
// a message is not.
func TestThePanicOfAFunctionIsLoggedWithItsValueAndWithoutTheBody(t *testing.T) {
	const body = "TOP \"SECRET\" 4711"
	values := map[string]struct {
		value func(m *chat.Message) any
		shown string // "" for the type alone
	}{
		"text":            {func(*chat.Message) any { return "the index has no such field" }, `the index has no such field`},
		"a number":        {func(*chat.Message) any { return 42 }, `panic=42`},
		"a named text":    {func(*chat.Message) any { return named("own words") }, `own words`},
		"a Stringer":      {func(*chat.Message) any { return spoken{body} }, `in a word`},
		"a message":       {func(m *chat.Message) any { return m }, ""},
		"a copy":          {func(m *chat.Message) any { return *m }, ""},
		"the body":        {func(m *chat.Message) any { return m.Body }, `(the body)`},
		"with the body":   {func(m *chat.Message) any { return "cannot read " + m.Body + "!" }, `cannot read (the body)!`},
		"the body, as %q": {func(m *chat.Message) any { return fmt.Sprintf("cannot read %q", m.Body) }, `cannot read`},
		"very long":       {func(*chat.Message) any { return strings.Repeat("x", 1<<20) }, `xxx…`},
	}
	t.Parallel()
	for _, door := range []string{"Stream", "Consume"} { // the body of a loop is the caller's own
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, fliplettest.InProcess())
			bob := w.login("bob")
			w.say(bob, w.converse(bob, "jane"), body)
			for name, is := range values {
				var log syncBuffer
				var told errorList
				jane := w.login("jane", func(o *chat.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
				ended := make(chan error, 1)
				go func() {
					ended <- doors[door](t.Context(), jane, func(m *chat.Message) { panic(is.value(m)) }, chat.OnError(told.add))
				}()
				time.Sleep(time.Minute)
				require.NoError(t, jane.Close())
				<-ended
				synctest.Wait()
				text := log.String()
				assert.Contains(t, text, "health_test.go", name)
				assert.Contains(t, text, is.shown, name)
				assert.Equal(t, is.shown != "", strings.Contains(text, " panic="), name)
				require.NotEmpty(t, told.all())
				for _, err := range told.all() {
					text += err.Error()
				}
				assert.NotContains(t, text, "SECRET", name)
				assert.NotContains(t, text, "TOP ", name) // a number may be in an address
				assert.NotContains(t, text, strings.Repeat("x", 1001), name)
			}
		})
	}
}

func TestAPanicSaysWhoseFunctionItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jane, bob := w.login("jane"), w.login("bob")
	w.say(jane, w.converse(jane, "bob"), "hello")
	boom := func(*chat.Message) { panic("boom") }
	sub, err := bob.Stream(t.Context(), boom)
	require.NoError(t, err)
	<-sub.Done()
	require.ErrorContains(t, sub.Err(), "stream function panicked with a string")

	told := make(chan error, 100)
	stop := consume(bob, "bot", func(context.Context, *chat.Message) error { panic("boom") },
		chat.MaxAttempts(1), chat.OnError(func(err error) { told <- err }),
		chat.DeadLetter(func(context.Context, *chat.Message, error) error { panic("boom") }))
	require.ErrorContains(t, <-told, "attempt 1: consumer's function panicked with a string")
	require.ErrorContains(t, <-told, "attempt 2: function of DeadLetter panicked with a string")
	require.ErrorIs(t, stop(), context.Canceled)
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *syncBuffer) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Reset()
}

// It replaces slog.Default, so it runs alone.
func TestWithoutALoggerGapsAndFailuresGoToTheDefaultOne(t *testing.T) { //nolint:paralleltest // it changes slog.Default
	var log syncBuffer
	usual := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(usual)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane, bob := w.login("jane", atLeisure), w.login("bob")
		conv := w.converse(bob, "jane")
		w.say(bob, conv, "hello")
		big := w.AddRows(conv.ID, datasource.M{"body": strings.Repeat("x", 2<<20), "guid": "big", "fromUserId": "u", "readBy": []string{}})[0]
		run := func(fail error, opts ...chat.ConsumeOption) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := jane.Consume(ctx, fmt.Sprint(fail), func(context.Context, *chat.Message) error { return fail }, opts...)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		run(nil)
		assert.Contains(t, log.String(), fmt.Sprintf("message=%d", big))
		assert.Contains(t, log.String(), "gap")
		run(errOwn)
		assert.Contains(t, log.String(), errOwn.Error())

		log.Reset()
		run(errors.New("told elsewhere"), chat.OnError(func(error) {}), chat.OnGap(func(chat.Gap) {}))
		run(nil, chat.OnGap(func(chat.Gap) {}))
		w.Always(fliplettest.AnyRoute, fliplettest.Status(500))
		_ = jane.Poll(t.Context())
		run(nil)
		assert.Empty(t, log.String(), "nothing else is logged")
	})
}

func TestHealthTellsOfPollsAndRequestsNothing(t *testing.T) {
	t.Parallel()
	assert.Equal(t, chat.Health{}, (*chat.Chat)(nil).Health())
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		jane := w.connect(atLeisure)
		assert.Equal(t, chat.Health{}, jane.Health())
		user, err := jane.Login(t.Context(), chat.M{"Email": "jane@example.org"})
		require.NoError(t, err)
		assert.Equal(t, chat.Health{User: user.UserID}, jane.Health())
		_, err = jane.Stream(t.Context(), func(*chat.Message) {})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		h := jane.Health()
		assert.Equal(t, 1, h.Listeners)
		assert.Less(t, time.Since(h.LastPoll), 3*time.Minute)
		good := h.LastPoll

		w.Always(fliplettest.CrossSource, fliplettest.Answer(500, `{"message":"the disk is full"}`))
		time.Sleep(time.Hour)
		asked := len(w.Requests())
		h = jane.Health()
		assert.Len(t, w.Requests(), asked)
		assert.GreaterOrEqual(t, h.LastPoll, good)
		assert.Greater(t, time.Since(h.LastPoll), 50*time.Minute)
		assert.Greater(t, h.FailedPolls, 100)
		require.ErrorContains(t, h.LastError, "the disk is full")
		w.Release()
		time.Sleep(time.Minute)
		h = jane.Health()
		assert.Zero(t, h.FailedPolls)
		require.NoError(t, h.LastError)
		assert.Less(t, time.Since(h.LastPoll), time.Minute)
		require.NoError(t, jane.Logout(t.Context()))
		assert.Equal(t, chat.Health{}, jane.Health())
		require.NoError(t, jane.Close())
		assert.Equal(t, chat.Health{}, jane.Health())
	})
}

func TestHealthTellsOfTheOutboxAndTheLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		limiter := datasource.NewLimiter(20, time.Minute)
		jane := w.login("jane", func(o *chat.Options) {
			o.Client = w.over(w.Transport(), limiter)
			o.Outbox = &chat.OutboxOptions{}
		})
		conv := w.converse(jane, "bob")
		assert.Zero(t, jane.Health().Outbox)
		w.Always(fliplettest.Insert, fliplettest.LoseRequest())
		for range 3 {
			_, err := jane.Outbox().Add(t.Context(), conv.ID, chat.Draft{Body: "x"})
			require.NoError(t, err)
		}
		assert.Equal(t, 3, jane.Health().Outbox)
		for jane.Health().LimiterWait == 0 {
			time.Sleep(time.Second)
			_, _ = jane.Contacts(t.Context())
		}
		assert.LessOrEqual(t, jane.Health().LimiterWait, time.Minute)
		require.NoError(t, jane.Close())
	})
}

// over is a client with a transport of the test's own, without a limit unless one is
// given.
func (w *world) over(rt http.RoundTripper, limiter ...datasource.Limiter) *datasource.Client {
	w.t.Helper()
	client, err := datasource.NewClient(datasource.Config{
		Token: w.Token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: rt}, Limiter: append(limiter, datasource.Unlimited())[0],
	})
	require.NoError(w.t, err)
	return client
}

func TestHealthTellsOfConsumers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fliplettest.InProcess())
		store := storage.NewMemory()
		shared := func(o *chat.Options) { o.Storage = store; atLeisure(o) }
		one, two, bob := w.login("jane", shared), w.login("jane", shared), w.login("bob")
		conv := w.converse(bob, "jane")
		var fail atomic.Bool
		fail.Store(true)
		var ends sync.WaitGroup
		start := func(c *chat.Chat, name string) {
			ends.Go(func() {
				err := c.Consume(t.Context(), name, func(_ context.Context, m *chat.Message) error {
					if fail.Load() && m.Body == "second" {
						return errOwn
					}
					return nil
				})
				assert.ErrorIs(t, err, chat.ErrClosed)
			})
			time.Sleep(time.Second)
		}
		start(one, "b")
		start(one, "a")
		start(two, "b")
		assert.Equal(t, []chat.ConsumerHealth{{Name: "a", Receiving: true}, {Name: "b", Receiving: true}}, one.Health().Consumers)
		assert.Equal(t, []chat.ConsumerHealth{{Name: "b"}}, two.Health().Consumers, "it stands by")
		var bad *chat.Message
		for _, body := range []string{"first", "second", "third"} {
			if m := w.say(bob, conv, body); body == "second" {
				bad = m
			}
		}
		require.NoError(t, one.Poll(t.Context()))
		time.Sleep(10 * time.Second)
		for _, h := range one.Health().Consumers {
			assert.Equal(t, 2, h.Lag, "two are not handled")
			require.Len(t, h.Failing, 1)
			f := h.Failing[0]
			assert.Equal(t, []int64{conv.ID, bad.ID}, []int64{f.ConversationID, f.MessageID})
			assert.Greater(t, f.Attempts, 1)
			require.ErrorIs(t, f.Err, errOwn)
		}
		fail.Store(false)
		time.Sleep(2 * time.Minute)
		assert.Equal(t, []chat.ConsumerHealth{{Name: "a", Receiving: true}, {Name: "b", Receiving: true}}, one.Health().Consumers)
		require.NoError(t, one.Close())
		time.Sleep(time.Minute)
		assert.Empty(t, one.Health().Consumers)
		assert.Equal(t, []chat.ConsumerHealth{{Name: "b", Receiving: true}}, two.Health().Consumers, "it took over")
		require.NoError(t, two.Close())
		ends.Wait()
	})
}
