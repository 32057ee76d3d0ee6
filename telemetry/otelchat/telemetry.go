package otelchat

import (
	"context"
	"errors"
	"reflect"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/hooks"
)

// scope is the name of the meter and the tracer.
const scope = "github.com/fliplet/fliplet-chat-go/telemetry/otelchat"

// Config says where numbers and spans go. The zero value takes the global providers.
type Config struct {
	// MeterProvider and TracerProvider default to those of package otel. A noop provider
	// turns one off.
	MeterProvider  metric.MeterProvider
	TracerProvider trace.TracerProvider
	// TracePolls makes a span of every round of polling, too. Without it requests have spans
	// only inside of others: those of sends, of handlers, and of the program.
	TracePolls bool
}

// Telemetry makes metrics and traces of Chats. It is safe for concurrent use.
type Telemetry struct {
	cfg    Config
	tracer trace.Tracer
	inst   instruments
	reg    metric.Registration
	// untraced: the provider is known to make no spans. standIn is the global one that makes
	// none until a program sets another.
	untraced bool
	standIn  trace.TracerProvider

	mu      sync.Mutex
	watched map[any]int // each *chat.Chat and *chat.App: how often
}

// New makes the instruments.
//
// Errors: those of the meter.
func New(cfg Config) (*Telemetry, error) {
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = otel.GetTracerProvider()
	}
	t := &Telemetry{cfg: cfg, tracer: cfg.TracerProvider.Tracer(scope), watched: map[any]int{}}
	meter := cfg.MeterProvider.Meter(scope)
	_, t.untraced = cfg.TracerProvider.(noop.TracerProvider)
	if reflect.TypeOf(cfg.TracerProvider).String() == "*global.tracerProvider" {
		t.standIn = cfg.TracerProvider
	}
	if err := t.inst.make(meter); err != nil {
		return nil, err
	}
	var err error
	t.reg, err = t.observe(meter)
	return t, err
}

// traces reports whether spans are made.
func (t *Telemetry) traces() bool {
	return !t.untraced && (t.standIn == nil || otel.GetTracerProvider() != t.standIn)
}

// Hook is what goes into Options.Hooks. The same value serves any number of Chats, and
// does no work but for its own metrics and spans.
func (t *Telemetry) Hook() chat.Hook { return hook{t} }

// Watch adds a Chat to the gauges, which tell what hooks cannot: how many messages wait in
// outboxes and for consumers, and how many Chats have polls that fail. They are sums over
// all Chats that are watched, looked at whenever metrics are collected, without a request:
// see [chat.Chat.Health]. stop ends it; until then the Chat stays
// in memory and is counted, also when it was closed. A Chat that is watched twice counts once,
// until both are stopped.
func (t *Telemetry) Watch(c *chat.Chat) (stop func()) { return t.watch(c) }

// WatchApp adds an App to the gauges, as one Chat: its own streams, loops and consumers, and what
// waits in the outbox of the people whom it sends for. Those of [chat.App.User] are Chats to
// [Telemetry.Watch]. See there for stop.
func (t *Telemetry) WatchApp(a *chat.App) (stop func()) { return t.watch(a) }

func (t *Telemetry) watch(c any) (stop func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watched[c]++
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.watched[c]--; t.watched[c] == 0 {
			delete(t.watched, c)
		}
	})
}

// Close ends the gauges, and the count of consumed messages. Hooks go on.
func (t *Telemetry) Close() error { return t.reg.Unregister() }

// gauges are what is observed.
type gauges struct {
	chats, listeners, failing, depth, lag metric.Int64ObservableGauge
	waiting                               metric.Int64ObservableGauge
	consumers                             metric.Int64ObservableGauge
	delay                                 metric.Float64ObservableGauge
}

func (t *Telemetry) observe(meter metric.Meter) (metric.Registration, error) {
	var g gauges
	var errs []error
	number := func(to *metric.Int64ObservableGauge, name, unit, what string) {
		var err error
		*to, err = meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(what))
		errs = append(errs, err)
	}
	number(&g.chats, "chat.watched", "{chat}", "Chats that are watched, and logged in, and Apps.")
	number(&g.listeners, "chat.listeners", "{listener}", "Streams, loops and consumers that receive.")
	number(&g.consumers, "chat.consumers", "{consumer}", "Consumers by state: receiving, standby, or failing because of their Storage.")
	number(&g.failing, "chat.polls.failing", "{chat}", "Chats whose last poll failed.")
	number(&g.depth, "chat.outbox.depth", "{message}", "Messages that are left to send: waiting, or given up and kept.")
	number(&g.lag, "chat.consumer.lag", "{message}", "Messages that were fetched and are not handled by their consumer yet.")
	number(&g.waiting, "chat.listener.lag", "{message}", "Messages that were fetched and are not handled by their stream or loop yet.")
	var err error
	g.delay, err = meter.Float64ObservableGauge("chat.limiter.delay", metric.WithUnit("s"),
		metric.WithDescription("How long a request that is made now would wait for the limiter, in the Chat that waits longest."))
	if err = errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	consumed, err := meter.Int64ObservableCounter("messaging.client.consumed.messages", metric.WithUnit("{message}"),
		metric.WithDescription("Messages, changes and deletions that were handed over."))
	if err != nil {
		return nil, err
	}
	var kinds [len(t.inst.consumed)]metric.MeasurementOption
	for k := range kinds {
		kind := hooks.Kind(k) //nolint:gosec // three kinds
		kinds[k] = metric.WithAttributeSet(attribute.NewSet(system, keyOperation.String("poll"), keyKind.String(kind.String())))
	}
	state := func(s string) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("chat.consumer.state", s)))
	}
	inOutbox := func(s string) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(keyState.String(s)))
	}
	waiting, kept := inOutbox("waiting"), inOutbox("kept")
	receiving, standby, failing := state("receiving"), state("standby"), state("failing")
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		t.inst.began.Do(t.inst.begin)
		for k := range kinds {
			if n := t.inst.consumed[k].Load(); n > 0 {
				o.ObserveInt64(consumed, n, kinds[k])
			}
		}
		s := t.sum()
		o.ObserveInt64(g.chats, s.chats)
		o.ObserveInt64(g.listeners, s.listeners)
		o.ObserveInt64(g.failing, s.failing)
		o.ObserveInt64(g.depth, s.depth, waiting)
		o.ObserveInt64(g.depth, s.kept, kept)
		o.ObserveInt64(g.lag, s.lag)
		o.ObserveInt64(g.waiting, s.waiting)
		o.ObserveInt64(g.consumers, s.receiving, receiving)
		o.ObserveInt64(g.consumers, s.standby, standby)
		o.ObserveInt64(g.consumers, s.storage, failing)
		o.ObserveFloat64(g.delay, s.delay)
		return nil
	}, consumed, g.chats, g.listeners, g.failing, g.depth, g.lag, g.waiting, g.consumers, g.delay)
}

// sums are over all Chats.
type sums struct {
	chats, listeners, failing, depth, lag int64
	waiting, kept                         int64
	receiving, standby, storage           int64
	delay                                 float64
}

// sum looks at all Chats. None of them is held up meanwhile.
func (t *Telemetry) sum() (s sums) {
	t.mu.Lock()
	list := make([]any, 0, len(t.watched))
	for c := range t.watched {
		list = append(list, c)
	}
	t.mu.Unlock()
	for _, c := range list {
		var h chat.Health
		here := true
		switch c := c.(type) {
		case *chat.App:
			h = c.Health().Own
		case *chat.Chat:
			h = c.Health()
			here = h.User != ""
		}
		s.delay = max(s.delay, h.LimiterWait.Seconds())
		if !here {
			continue
		}
		s.chats++
		s.listeners += int64(h.Listeners)
		s.waiting += int64(h.Waiting)
		s.depth += int64(h.Outbox - h.OutboxKept)
		s.kept += int64(h.OutboxKept)
		if h.FailedPolls > 0 {
			s.failing++
		}
		for _, k := range h.Consumers {
			s.lag += int64(k.Lag)
			switch {
			case k.Storage != nil:
				s.storage++
			case k.Receiving:
				s.receiving++
			default:
				s.standby++
			}
		}
	}
	return s
}
