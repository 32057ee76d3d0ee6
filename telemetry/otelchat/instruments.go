package otelchat

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/fliplet/fliplet-chat-go/hooks"
)

type attr = attribute.KeyValue

// The attributes of the conventions, and our own, which begin with chat.
const (
	keySystem        = attribute.Key("messaging.system")
	keyOperation     = attribute.Key("messaging.operation.name")
	keyOperationType = attribute.Key("messaging.operation.type")
	keyConversation  = attribute.Key("messaging.message.conversation_id")
	keyMessage       = attribute.Key("messaging.message.id")
	keyGroup         = attribute.Key("messaging.consumer.group.name")
	keyError         = attribute.Key("error.type")
	keyMethod        = attribute.Key("http.request.method")
	keyTemplate      = attribute.Key("url.template")
	keyStatus        = attribute.Key("http.response.status_code")
	keyResend        = attribute.Key("http.request.resend_count")
	keyKind          = attribute.Key("chat.listener.kind")
	keyGap           = attribute.Key("chat.gap.kind")
	keyHolder        = attribute.Key("chat.lease.holder")
	keyEvent         = attribute.Key("chat.lease.event")
	keyState         = attribute.Key("chat.outbox.state")
	keyRefusal       = attribute.Key("chat.outbox.refusal")
)

var system = keySystem.String("fliplet")

// operation are the attributes of an operation.
func operation(name, kind string) []attr {
	return []attr{system, keyOperation.String(name), keyOperationType.String(kind)}
}

// set is the set of attributes of a class.
func set(c class, with []attr) attribute.Set {
	all := append([]attr{}, with...)
	if c != none {
		all = append(all, keyError.String(c.String()))
	}
	return attribute.NewSet(all...)
}

// option is one option for attributes that have no class.
func option(with ...attr) []metric.AddOption {
	return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(with...))}
}

// The bounds of the histograms. Each has ten series for every set of attributes.
var (
	quick = metric.WithExplicitBucketBoundaries(0.01, 0.05, 0.1, 0.5, 1, 5, 15)
	slow  = metric.WithExplicitBucketBoundaries(1, 2.5, 5, 10, 30, 120, 600)
)

// instruments are what hooks write to.
type instruments struct {
	sent, requests, gaps, leases, outbox metric.Int64Counter
	failures, refusals                   metric.Int64Counter
	duration, process, lag, wait         metric.Float64Histogram

	sentBy, requestBy        byClass[metric.AddOption]
	sendBy, pollBy, handleBy byClass[metric.RecordOption]
	consumed                 [3]atomic.Int64 // by kind; observed, which costs a message less than a counter
	gapHistory, gapMessage   []metric.AddOption
	leaseBy                  [2][4][]metric.AddOption
	outboxBy                 map[string][]metric.AddOption
	refusedBy                [4][]metric.AddOption
	failedBy                 map[class][]metric.AddOption
	began                    sync.Once
}

func (i *instruments) make(meter metric.Meter) error {
	var errs []error
	count := func(to *metric.Int64Counter, name, unit, what string) {
		var err error
		*to, err = meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		errs = append(errs, err)
	}
	measure := func(to *metric.Float64Histogram, name, what string, bounds metric.HistogramOption) {
		var err error
		*to, err = meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(what), bounds)
		errs = append(errs, err)
	}
	count(&i.sent, "messaging.client.sent.messages", "{message}", "Attempts to store a message.")
	count(&i.requests, "chat.requests", "{request}", "Attempts at requests, by how they ended.")
	count(&i.gaps, "chat.gaps", "{gap}", "What could not be delivered.")
	count(&i.leases, "chat.lease.events", "{event}", "What happened to the leases of consumers and outboxes.")
	count(&i.outbox, "chat.outbox.messages", "{message}", "Messages of outboxes that were stored, have failed, were given up and kept, or wait after a failed attempt.")
	count(&i.refusals, "chat.outbox.refusals", "{message}", "Messages that outboxes did not accept.")
	count(&i.failures, "chat.handler.failures", "{failure}", "Attempts at handling a message that the program's function has failed.")
	measure(&i.duration, "messaging.client.operation.duration", "Duration of sends and of rounds of polling.", quick)
	measure(&i.process, "messaging.process.duration", "Duration of the handling of a message by the program.", quick)
	measure(&i.lag, "chat.delivery.lag", "From the change on the server to its delivery, by two clocks; without history and replays.", slow)
	measure(&i.wait, "chat.limiter.wait", "How long requests waited for the limiter, of those that waited.", quick)

	i.sentBy, i.requestBy = added(operation("send", "send")...), added()
	i.sendBy, i.pollBy = recorded(class.ofServer, operation("send", "send")...), recorded(class.ofServer, operation("poll", "receive")...)
	i.handleBy = recorded(class.ofFunction, operation("process", "process")...)
	i.gapHistory, i.gapMessage = option(keyGap.String("history")), option(keyGap.String("unreadable"))
	for k, holder := range []string{"consumer", "outbox"} {
		for e := range i.leaseBy[k] {
			i.leaseBy[k][e] = option(keyHolder.String(holder), keyEvent.String(hooks.LeaseEvent(e).String())) //nolint:gosec // four events
		}
	}
	i.failedBy = map[class][]metric.AddOption{}
	for _, c := range []class{other, panicked} {
		i.failedBy[c] = option(keyError.String(c.String()))
	}
	i.outboxBy = map[string][]metric.AddOption{}
	for r := range i.refusedBy {
		i.refusedBy[r] = option(keyRefusal.String(hooks.RefusalReason(r).String())) //nolint:gosec // four reasons
	}
	for _, s := range []string{"stored", "failed", "kept", "retried"} {
		i.outboxBy[s] = option(keyState.String(s))
	}
	return errors.Join(errs...)
}

// begin begins the counters whose first count is news already at 0: of a series that is born
// at 1 no rate and no increase shows that. It is called when metrics are first collected,
// since there may be no SDK before.
func (i *instruments) begin() {
	ctx := context.Background()
	i.gaps.Add(ctx, 0, i.gapHistory...)
	i.gaps.Add(ctx, 0, i.gapMessage...)
	for holder := range i.leaseBy {
		for e := range i.leaseBy[holder] {
			i.leases.Add(ctx, 0, i.leaseBy[holder][e]...)
		}
	}
	for _, opts := range i.outboxBy {
		i.outbox.Add(ctx, 0, opts...)
	}
	for _, opts := range i.refusedBy {
		i.refusals.Add(ctx, 0, opts...)
	}
	for _, opts := range i.failedBy {
		i.failures.Add(ctx, 0, opts...)
	}
}
