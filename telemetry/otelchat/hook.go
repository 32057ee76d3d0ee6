package otelchat

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/fliplet/fliplet-chat-go/hooks"
)

// hook has the methods of package hooks.
type hook struct{ *Telemetry }

var (
	_ hooks.RequestHook  = hook{}
	_ hooks.WaitHook     = hook{}
	_ hooks.PollHook     = hook{}
	_ hooks.SendHook     = hook{}
	_ hooks.DeliveryHook = hook{}
	_ hooks.HandlerHook  = hook{}
	_ hooks.GapHook      = hook{}
	_ hooks.LeaseHook    = hook{}
	_ hooks.OutboxHook   = hook{}
	_ hooks.RefusalHook  = hook{}
)

// spanOf is the key of the span that a Telemetry has begun: that of the context may be
// another hook's by then.
type spanOf struct{ *Telemetry }

// begin begins a span. make gives its attributes, which nobody needs if it is not sampled.
func (h hook) begin(ctx context.Context, name string, kind trace.SpanKind, attrs func() []attr, opts ...trace.SpanStartOption) context.Context {
	if !h.traces() {
		return ctx
	}
	ctx, span := h.tracer.Start(ctx, name, append(opts, trace.WithSpanKind(kind))...)
	if !span.IsRecording() {
		return ctx
	}
	span.SetAttributes(attrs()...)
	return context.WithValue(ctx, spanOf{h.Telemetry}, span)
}

// end ends it. Of an error there is the class alone.
func (h hook) end(ctx context.Context, err error) {
	if !h.traces() {
		return
	}
	span, ok := ctx.Value(spanOf{h.Telemetry}).(trace.Span)
	if !ok {
		return
	}
	fail(span, err)
	span.End()
}

func fail(span trace.Span, err error) {
	if c := classOf(err); c != none {
		span.SetAttributes(keyError.String(c.String()))
		span.SetStatus(codes.Error, c.String())
	}
}

func (h hook) OnRequest(ctx context.Context, r hooks.Request) {
	h.inst.requests.Add(ctx, 1, h.inst.requestBy.of(r.Err)...)
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return // what polls ask is no trace of its own
	}
	_, span := h.tracer.Start(ctx, r.Method+" "+r.Route, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(r.Started))
	if span.IsRecording() {
		span.SetAttributes(keyMethod.String(r.Method), keyTemplate.String(r.Route))
		if r.Status != 0 {
			span.SetAttributes(keyStatus.Int(r.Status))
		}
		if r.Attempt > 1 {
			span.SetAttributes(keyResend.Int(r.Attempt - 1))
		}
		fail(span, r.Err)
	}
	span.End(trace.WithTimestamp(r.Started.Add(r.Duration)))
}

func (h hook) OnLimiterWait(ctx context.Context, w hooks.Wait) {
	h.inst.wait.Record(ctx, w.Duration.Seconds())
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.AddEvent("waited for the limiter", trace.WithAttributes(attribute.Float64("chat.limiter.wait", w.Duration.Seconds())))
	}
}

func (h hook) OnPoll(p hooks.Poll) {
	ctx := context.Background()
	h.inst.duration.Record(ctx, p.Duration.Seconds(), h.inst.pollBy.of(p.Err)...)
	if !h.cfg.TracePolls {
		return
	}
	_, span := h.tracer.Start(ctx, "poll", trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(p.Started))
	if span.IsRecording() {
		span.SetAttributes(operation("poll", "receive")...)
		span.SetAttributes(attribute.Int("chat.poll.requests", p.Requests), attribute.Int("chat.poll.rows", p.Rows))
		fail(span, p.Err)
	}
	span.End(trace.WithTimestamp(p.Started.Add(p.Duration)))
}

func (h hook) OnSendStart(ctx context.Context, s hooks.Send) context.Context {
	return h.begin(ctx, "send", trace.SpanKindProducer, func() []attr {
		return append(operation("send", "send"), keyConversation.String(id(s.Conversation)), keyMessage.String(s.GUID))
	})
}

func (h hook) OnSendEnd(ctx context.Context, _ hooks.Send, o hooks.Outcome) {
	h.inst.sent.Add(ctx, 1, h.inst.sentBy.of(o.Err)...)
	h.inst.duration.Record(ctx, o.Duration.Seconds(), h.inst.sendBy.of(o.Err)...)
	h.end(ctx, o.Err)
}

func (h hook) OnDelivery(d hooks.Delivery) {
	if int(d.Kind) < len(h.inst.consumed) {
		h.inst.consumed[d.Kind].Add(1)
	}
	if !d.History && !d.Replay {
		h.inst.lag.Record(context.Background(), max(0, d.Lag).Seconds())
	}
}

func (h hook) OnHandlerStart(ctx context.Context, d hooks.Delivery) context.Context {
	if !h.traces() {
		return ctx
	}
	// A trace of its own: what a consumer runs in lasts longer than any message.
	opts := []trace.SpanStartOption{trace.WithNewRoot()}
	if around := trace.SpanContextFromContext(ctx); around.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: around}))
	}
	return h.begin(ctx, "process", trace.SpanKindConsumer, func() []attr {
		attrs := append(operation("process", "process"),
			keyConversation.String(id(d.Conversation)), keyMessage.String(id(d.Message)), keyKind.String(d.Kind.String()),
			attribute.Int("chat.attempt", d.Attempt), attribute.Float64("chat.delivery.lag", d.Lag.Truncate(time.Millisecond).Seconds()))
		if d.Consumer != "" {
			attrs = append(attrs, keyGroup.String(d.Consumer))
		}
		return attrs
	}, opts...)
}

func (h hook) OnHandlerEnd(ctx context.Context, _ hooks.Delivery, o hooks.Outcome) {
	h.inst.process.Record(ctx, o.Duration.Seconds(), h.inst.handleBy.of(o.Err)...)
	if o.Err != nil {
		h.inst.failures.Add(ctx, 1, h.inst.failedBy[classOf(o.Err).ofFunction()]...)
	}
	h.end(ctx, o.Err)
}

func (h hook) OnGap(g hooks.Gap) {
	opts := h.inst.gapHistory
	if g.Message != 0 {
		opts = h.inst.gapMessage
	}
	h.inst.gaps.Add(context.Background(), 1, opts...)
}

func (h hook) OnLease(l hooks.Lease) {
	holder := 0
	if l.Consumer == "" {
		holder = 1
	}
	if int(l.Event) < len(h.inst.leaseBy[holder]) {
		h.inst.leases.Add(context.Background(), 1, h.inst.leaseBy[holder][l.Event]...)
	}
}

func (h hook) OnOutbox(o hooks.Outbox) {
	var state string
	switch {
	case o.Kept:
		state = "kept"
	case o.State == hooks.OutboxStored || o.State == hooks.OutboxFailed:
		state = o.State.String()
	case o.State == hooks.OutboxQueued && o.Err != nil:
		state = "retried"
	default:
		return
	}
	h.inst.outbox.Add(context.Background(), 1, h.inst.outboxBy[state]...)
}

func (h hook) OnRefusal(r hooks.Refusal) {
	if int(r.Reason) < len(h.inst.refusedBy) {
		h.inst.refusals.Add(context.Background(), 1, h.inst.refusedBy[r.Reason]...)
	}
}

func id(n int64) string { return strconv.FormatInt(n, 10) }
