package otelchat_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace/noop"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// The names of series in the table.
const (
	pollFails     = "messaging.client.operation.duration{error.type=unreachable,messaging.operation.name=poll}"
	sendRefused   = "messaging.client.operation.duration{error.type=4xx,messaging.operation.name=send}"
	sendFails     = "messaging.client.operation.duration{error.type=unreachable,messaging.operation.name=send}"
	handlerFails  = "messaging.process.duration{error.type=_OTHER,messaging.operation.name=process}"
	handlerPanics = "messaging.process.duration{error.type=panic,messaging.operation.name=process}"
	pollsFailing  = "chat.polls.failing{}"
	depth         = "chat.outbox.depth{chat.outbox.state=waiting}"
	kept          = "chat.outbox.depth{chat.outbox.state=kept}"
	consumerLag   = "chat.consumer.lag{}"
	listenerLag   = "chat.listener.lag{}"
)

func requests(class string) string { return "chat.requests{error.type=" + class + "}" }

func failures(class string) string { return "chat.handler.failures{error.type=" + class + "}" }

func sent(class string) string {
	return "messaging.client.sent.messages{error.type=" + class + ",messaging.operation.name=send}"
}

func outboxed(state string) string { return "chat.outbox.messages{chat.outbox.state=" + state + "}" }

func refusal(why string) string { return "chat.outbox.refusals{chat.outbox.refusal=" + why + "}" }

func leased(event string) string {
	return "chat.lease.events{chat.lease.event=" + event + ",chat.lease.holder=consumer}"
}

// fault is something that goes wrong, and the series that say so: these and no others.
type fault struct {
	name   string
	change func(*chat.Options)
	fn     func(n int) error // what the consumer's function does with its nth message
	act    func(t *testing.T, w *world)
	want   []string
	same   bool // as another one
	// limited: with the limiter that a client has by default; the others have none.
	limited bool
	// app: the listeners of an App move the same.
	app bool
}

// next lets the next n requests to a route have faults, while Bob speaks.
func next(n int, route fliplettest.Route, faults ...fliplettest.Fault) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		w.Next(n, route, faults...)
		require.NoError(t, w.say(w.bob, "hello"))
	}
}

// talk lets Bob speak.
func talk(t *testing.T, w *world) { require.NoError(t, w.say(w.bob, "hello")) }

// spoken lets Jane send while the next request to store a message has faults.
func spoken(n int, faults ...fliplettest.Fault) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		w.Next(n, fliplettest.Insert, faults...)
		_ = w.say(w.jane, "hello") // it fails or not, which the numbers say
	}
}

func outbox(o *chat.Options) { o.Outbox = &chat.OutboxOptions{} }

func outboxOfOne(o *chat.Options) { o.Outbox = &chat.OutboxOptions{Limit: 1} }

// accepted gives Jane's outbox a message that cannot be sent, and unsent says so.
func accepted(t *testing.T, w *world) {
	w.Always(fliplettest.Insert, fliplettest.Status(503))
	_, err := w.jane.Outbox().Add(t.Context(), w.talk.ID, chat.Draft{Body: "hello"})
	require.NoError(t, err)
}

var unsent = []string{depth, outboxed("retried"), requests("503"), sendFails, sent("503")}

// notAccepted gives it one that it does not take.
func notAccepted(t *testing.T, w *world, body string) {
	_, err := w.jane.Outbox().Add(t.Context(), w.talk.ID, chat.Draft{Body: body})
	require.Error(t, err)
}

// denied is a refusal of the access rules.
var denied = fliplettest.Answer(400, `{"type":"datasource.access","message":"no"}`)

var faults = []fault{
	{name: "nothing", app: true, act: talk, want: []string{}},
	{name: "a poll gets 500", act: next(1, fliplettest.CrossSource, fliplettest.Status(500)), want: []string{requests("500"), pollFails}},
	{name: "a request gets 429 and is tried again", act: next(1, fliplettest.CrossSource, fliplettest.TooMany(0)), want: []string{requests("429")}},
	{
		name: "a request gets 429 with the default limiter, where the others wait, too", limited: true,
		act: spoken(1, fliplettest.TooMany(40*time.Second)), want: []string{requests("429"), "chat.limiter.wait{}"},
	},
	{name: "a request gets 503 and is tried again", act: next(1, fliplettest.CrossSource, fliplettest.Status(503)), want: []string{requests("503")}},
	{name: "a connection breaks", act: next(1, fliplettest.CrossSource, fliplettest.LoseAnswer()), want: []string{requests("unreachable")}},
	{
		name: "the network swallows a poll", act: next(2, fliplettest.CrossSource, fliplettest.Delay(time.Hour)),
		want: []string{"chat.delivery.lag over 10 s", requests("timeout"), pollFails},
	},
	{name: "the server is down", app: true, act: func(_ *testing.T, w *world) { w.Always(fliplettest.AnyRoute, fliplettest.Status(502)) }, want: []string{pollsFailing, requests("502"), pollFails}},
	{name: "a send is refused", act: spoken(1, denied), want: []string{requests("400"), sendRefused, sent("400")}},
	{name: "a send is refused for its chat token, which is renewed", act: spoken(1, fliplettest.RefuseChatToken()), want: []string{requests("403"), sendRefused, sent("403")}},
	{name: "a send has no answer", act: spoken(1, fliplettest.LoseAnswer()), want: []string{requests("unreachable"), sendFails, sent("unreachable")}},
	{name: "a message in the outbox is refused", change: outbox, act: spoken(1, denied), want: []string{outboxed("failed"), requests("400"), sendRefused, sent("400")}},
	{name: "a message in the outbox is tried again", change: outbox, act: spoken(1, fliplettest.Status(503)), want: []string{outboxed("retried"), requests("503"), sendFails, sent("503")}},
	{
		name: "a message in the outbox cannot be sent", change: outbox,
		act:  accepted,
		want: unsent,
	},
	{
		name: "a message in the outbox is given up", change: outbox, act: spoken(3, fliplettest.Answer(422, `{"message":"no"}`)),
		want: []string{kept, outboxed("kept"), outboxed("retried"), requests("4xx"), sendRefused, sent("4xx")},
	},
	{name: "the outbox is full", change: outboxOfOne, act: func(t *testing.T, w *world) { accepted(t, w); notAccepted(t, w, "one too many") }, want: slices.Concat(unsent, []string{refusal("full")})},
	{name: "the outbox is given an invalid message", change: outbox, act: func(t *testing.T, w *world) { notAccepted(t, w, "") }, want: []string{refusal("invalid")}},
	{
		name: "the outbox cannot store a message", change: outbox,
		act: func(t *testing.T, w *world) {
			w.store.refuse(errors.New("no disk"))
			notAccepted(t, w, "hello")
			w.store.refuse(nil)
		},
		want: []string{refusal("storage")},
	},
	{
		name: "a call of the outbox ends too early", change: outbox,
		act: func(t *testing.T, w *world) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := w.jane.Outbox().Add(ctx, w.talk.ID, chat.Draft{Body: "hello"})
			require.ErrorIs(t, err, context.Canceled)
		},
		want: []string{refusal("other")},
	},
	{
		name: "the function fails once", app: true, act: talk,
		fn: func(n int) error {
			if n == 1 {
				return errors.New("not now")
			}
			return nil
		},
		want: []string{failures("_OTHER"), handlerFails},
	},
	{
		name: "the function panics once", app: true, act: talk,
		fn: func(n int) error {
			if n == 1 {
				panic("oh")
			}
			return nil
		},
		want: []string{failures("panic"), handlerPanics},
	},
	{
		name: "the function hangs", app: true, fn: func(int) error { time.Sleep(10 * time.Minute); return nil },
		act: talk, want: []string{consumerLag},
	},
	{
		name: "the function of a stream hangs", app: true, want: []string{listenerLag},
		act: func(t *testing.T, w *world) {
			w.listen(false, func(*chat.Message) { time.Sleep(10 * time.Minute) })
			talk(t, w)
			talk(t, w)
		},
	},
	{
		name: "the body of a loop hangs", app: true, want: []string{listenerLag}, same: true,
		act: func(t *testing.T, w *world) {
			w.listen(true, func(*chat.Message) { time.Sleep(10 * time.Minute) })
			talk(t, w)
		},
	},
	{
		name: "a message cannot be read", app: true,
		act:  func(_ *testing.T, w *world) { w.AddRows(w.talk.ID, datasource.M{"body": strings.Repeat("x", 1<<20)}) },
		want: []string{"chat.gaps{chat.gap.kind=unreadable}"},
	},
	{
		name: "a message becomes visible late", act: next(1, fliplettest.Insert, fliplettest.VisibleAfter(20*time.Second)),
		want: []string{"chat.delivery.lag over 10 s"},
	},
	{
		name: "the limiter is full", change: func(o *chat.Options) { o.Client = nil }, act: talk,
		want: []string{"chat.limiter.wait{}"},
	},
	{name: "another process takes the lease", app: true, act: func(t *testing.T, w *world) { w.store.steal(t) }, want: []string{leased("lost")}},
	{
		name: "the Storage fails", app: true, act: func(_ *testing.T, w *world) { w.store.fail(errors.New("no disk")) },
		want: []string{"chat.consumers{chat.consumer.state=failing}", leased("failing")},
	},
}

func TestEachFaultMovesItsOwnMetricsAndNoOthers(t *testing.T) {
	t.Parallel()
	require.Greater(t, len(faults), 15)
	seen := map[string]string{}
	for _, f := range faults {
		key := strings.Join(f.want, " ")
		if !f.same {
			assert.Empty(t, seen[key], "%s looks like %s", f.name, seen[key])
		}
		seen[key] = f.name
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, noop.NewTracerProvider())
				w.start(func(o *chat.Options) {
					if f.change != nil {
						f.change(o)
					}
					if f.limited {
						o.Client = w.client(nil)
					}
					if o.Client == nil { // one whose limit is soon full
						o.Client = w.client(datasource.NewLimiter(1, 3*time.Second))
					}
				})
				f.play(t, w)
			})
		})
	}
}

// play lets a consumer follow, and then the fault come.
func (f *fault) play(t *testing.T, w *world) {
	n := 0
	w.follow(func(context.Context, *chat.Message) error {
		n++
		if f.fn != nil {
			return f.fn(n)
		}
		return nil
	})
	f.act(t, w)
	time.Sleep(2 * time.Minute)
	want := append([]string{}, f.want...)
	slices.Sort(want)
	assert.Equal(t, want, w.alarms())
}

func TestFaultsMoveTheSameMetricsWithTheListenersOfAnApp(t *testing.T) {
	t.Parallel()
	n := 0
	for _, f := range faults {
		if !f.app {
			continue
		}
		n++
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, noop.NewTracerProvider())
				w.open(nil)
				f.play(t, w)
			})
		})
	}
	assert.GreaterOrEqual(t, n, 9)
}
