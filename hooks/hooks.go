// Package hooks has the interfaces of what watches a Chat: numbers, traces, logs.
//
// A hook is any value that implements one or more of the interfaces here. It is given
// in Options.Hooks of package chat, or to datasource.Client.View:
//
//	type slow struct{ log *slog.Logger }
//
//	func (s slow) OnRequest(ctx context.Context, r hooks.Request) {
//		if r.Duration > time.Second {
//			s.log.WarnContext(ctx, "slow", "method", r.Method, "route", r.Route)
//		}
//	}
//
// What no hook asks for is not measured. Without hooks nothing is allocated, and nothing
// is linked but this package, which imports the standard library alone.
//
// Hooks are called by many goroutines at the same time, in the order in which they were
// given, on the path of what they are told of: they have to be safe for concurrent use
// and should return within microseconds. They must not call the Chat that they watch, and
// a panic in one is not recovered, except in OnOutbox, where it is logged.
//
// No value here holds a token, a key, a password, a body, or the query of a URL. What a
// function of the program returned is its own, and so is its text: export the kind of
// [Outcome.Err], not its words. Further fields may be added to all structs here.
package hooks

import (
	"context"
	"fmt"
	"reflect"
	"time"
)

// Hook is a value that implements at least one interface of this package. Another one is
// called for nothing.
type Hook any

// Of returns the hooks that implement T, in order; nil if there are none.
func Of[T any](all []Hook) []T {
	var out []T
	for _, h := range all {
		if t, ok := h.(T); ok {
			out = append(out, t)
		}
	}
	return out
}

// Check refuses a hook that is a nil pointer in a value that is not nil: it would panic at
// its first call. A plain nil is no hook, and is left out. The error begins with the index of
// the hook.
func Check(all []Hook) error {
	for i, h := range all {
		if v := reflect.ValueOf(h); v.Kind() == reflect.Pointer && v.IsNil() && is(h) {
			return fmt.Errorf("[%d]: a nil %T; give a value, or leave it out", i, h)
		}
	}
	return nil
}

// is reports whether a value implements any of the interfaces.
func is(h Hook) bool {
	switch h.(type) {
	case RequestHook, WaitHook, PollHook, SendHook, DeliveryHook, HandlerHook, GapHook, LeaseHook, OutboxHook, RefusalHook:
		return true
	}
	return false
}

// RequestHook is told of every attempt at a request, when it is over.
type RequestHook interface {
	// OnRequest gets the context of the call. It may have ended.
	OnRequest(ctx context.Context, r Request)
}

// Request is one attempt at a request.
type Request struct {
	// Method is that of HTTP.
	Method string
	// Route is the path with {} for every part that is no word of the API, such as
	// "v1/data-sources/{}/data/query", without a query; "file" for what a URL of a file
	// leads to. There are a few dozen.
	Route string
	// Write: it is none that may be repeated without harm.
	Write bool
	// Attempt counts from 1.
	Attempt int
	// Status is that of the answer, 0 if there was none.
	Status int
	// Started is when it was sent, on the local clock, after any wait for the limiter.
	// Duration ends when the answer was decoded.
	Started  time.Time
	Duration time.Duration
	// Err is what came of it, as the caller of datasource.Client gets it; nil for success.
	Err error
}

// WaitHook is told of requests that the rate limiter has delayed.
type WaitHook interface {
	// OnLimiterWait is called when the wait is over. Waits below a millisecond are not told,
	// and requests that started or were refused at once have waited for nothing.
	OnLimiterWait(ctx context.Context, w Wait)
}

// Wait is how long a request waited for the limiter of its client.
type Wait struct {
	// Write as in [Request].
	Write    bool
	Duration time.Duration
	// Err is why the request was not made, datasource.ErrNoSlot for instance; nil when it
	// got its turn.
	Err error
}

// PollHook is told of every round of polling, when it is over.
type PollHook interface {
	OnPoll(p Poll)
}

// Poll is one round: the requests that it takes until there is nothing more to ask.
type Poll struct {
	// Started is when its first request was made, on the local clock.
	Started  time.Time
	Duration time.Duration
	// Requests counts what was asked (a repeated attempt is not another one), Rows what
	// came, known rows included.
	Requests, Rows int
	// Listeners counts those that receive.
	Listeners int
	// Err is the last failure; nil for a round that succeeded.
	Err error
}

// SendHook is told of every attempt to store a message on the server. There may be
// several for one message, above all with an outbox.
type SendHook interface {
	// OnSendStart returns the context for the attempt: ctx, or one made from it.
	OnSendStart(ctx context.Context, s Send) context.Context
	// OnSendEnd gets that context.
	OnSendEnd(ctx context.Context, s Send, o Outcome)
}

// Send is an attempt to store a message.
type Send struct {
	Conversation int64
	GUID         string
}

// Outcome is how something ended.
type Outcome struct {
	Duration time.Duration
	// Err is nil for success. Of a handler it is the error of the program's own function,
	// or a *chat.PanicError.
	Err error
}

// Kind is how events are received.
type Kind uint8

const (
	// Stream is Chat.Stream.
	Stream Kind = iota
	// Events is a loop over Chat.Events.
	Events
	// Consume is Chat.Consume.
	Consume
)

// String is the word for it: "stream", "events" or "consume".
func (k Kind) String() string {
	switch k {
	case Events:
		return "events"
	case Consume:
		return "consume"
	}
	return "stream"
}

// DeliveryHook is told of every message when it is handed over: to the function of a
// stream or consumer, or to the body of a loop.
type DeliveryHook interface {
	// OnDelivery is called once for a message and listener, however many attempts follow,
	// those after a batch that was undone included.
	OnDelivery(d Delivery)
}

// Delivery is a message, a change or a deletion that is handed over.
type Delivery struct {
	Kind Kind
	// Consumer is the name of the consumer, "" for the other kinds.
	Consumer              string
	Conversation, Message int64
	// Update, Deleted, History and Replay as the fields of a chat.Message: IsUpdate, …
	Update, Deleted, History, Replay bool
	// Attempt counts from 1. It is above 1 in a HandlerHook of a consumer only.
	Attempt int
	// Changed is when the server stored this version, on its clock.
	Changed time.Time
	// Lag is the time from Changed until the listener turned to it: opening the body is part
	// of the handler's Duration. It includes what the two clocks differ by, so
	// that it may be negative, and of History, Replay and backlogs the time since then.
	Lag time.Duration
}

// HandlerHook is told when a function of the program, or the body of a loop over Events,
// begins to handle a message, and when it has ended.
type HandlerHook interface {
	// OnHandlerStart returns the context for the function: ctx, or one made from it. Only
	// that of a consumer is given one.
	OnHandlerStart(ctx context.Context, d Delivery) context.Context
	// OnHandlerEnd gets the same context and delivery. o.Duration begins when the listener
	// turns to the message, so it includes opening the body. Of a loop o.Err is always nil.
	OnHandlerEnd(ctx context.Context, d Delivery, o Outcome)
}

// GapHook is told of what cannot be delivered, whether or not there is a function of
// chat.OnGap.
type GapHook interface {
	OnGap(g Gap)
}

// Gap is something that a listener does not get.
type Gap struct {
	Kind         Kind
	Consumer     string
	Conversation int64
	// Message is the message that cannot be read; 0 for a gap of history.
	Message int64
}

// LeaseHook is told about the leases of consumers and of outboxes: see Chat.Consume. Of an
// outbox it is told on a goroutine of its own, in order and one call at a time.
type LeaseHook interface {
	OnLease(l Lease)
}

// Lease is what happened to a lease.
type Lease struct {
	// Consumer is the name of the consumer; "" for the outbox.
	Consumer string
	Event    LeaseEvent
	// Err is what the Storage has met, with LeaseFailing. Its text is the Storage's own.
	Err error
}

// LeaseEvent is what happens to leases.
type LeaseEvent uint8

const (
	// LeaseAcquired: this process has it now.
	LeaseAcquired LeaseEvent = iota
	// LeaseLost: another process has taken it.
	LeaseLost
	// LeaseReleased: it was given back.
	LeaseReleased
	// LeaseFailing: the Storage fails, and is asked again. It is told every five seconds or
	// more rarely of a consumer, every second or more rarely of an outbox.
	LeaseFailing
)

// String is the word for it: "acquired", "lost", "released" or "failing".
func (e LeaseEvent) String() string {
	switch e {
	case LeaseLost:
		return "lost"
	case LeaseReleased:
		return "released"
	case LeaseFailing:
		return "failing"
	}
	return "acquired"
}

// OutboxHook is told what becomes of the messages in an outbox. It is called on a
// goroutine of its own, in order and one call at a time. When it is slow steps in between
// are left out, never OutboxStored or OutboxFailed.
type OutboxHook interface {
	OnOutbox(o Outbox)
}

// Outbox is where a message in the outbox stands.
type Outbox struct {
	Conversation int64
	GUID         string
	State        OutboxState
	// Waited is the time since it was accepted, by the clocks of the processes involved.
	Waited time.Duration
	// Attempts counts the requests of this process that failed, look-ups included, and Err
	// is what the last of them met.
	Attempts int
	Err      error
	// Kept: it was given up, with OutboxFailed, and stays in the outbox until somebody decides
	// or the next process tries it again. The other messages that fail are taken out.
	Kept bool
	// Pending is how many messages of the user are left to send.
	Pending int
}

// OutboxState is as chat.SendState.
type OutboxState uint8

const (
	// OutboxQueued: it waits, for the first time or again.
	OutboxQueued OutboxState = iota
	// OutboxRunning: an attempt or a look-up is under way.
	OutboxRunning
	// OutboxStored: the server has it.
	OutboxStored
	// OutboxFailed: it was refused, given up or discarded.
	OutboxFailed
)

// String is the word for it: "queued", "sending", "stored" or "failed".
func (s OutboxState) String() string {
	switch s {
	case OutboxRunning:
		return "sending"
	case OutboxStored:
		return "stored"
	case OutboxFailed:
		return "failed"
	}
	return "queued"
}

// RefusalHook is told of messages that an outbox did not accept: of Outbox.Add, and of
// Chat.Message with an outbox. Nobody sends such a message, but its sender again.
type RefusalHook interface {
	// OnRefusal is called right before the call returns.
	OnRefusal(r Refusal)
}

// Refusal is a message that an outbox did not accept.
type Refusal struct {
	Conversation int64
	// GUID is that of the draft, "" if it had none.
	GUID   string
	Reason RefusalReason
	// Err is what the caller gets. With RefusedStorage its text may be the Storage's own.
	Err error
}

// RefusalReason is why an outbox did not accept a message.
type RefusalReason uint8

const (
	// RefusedOther: the call has ended, nobody is logged in, the conversation is not the user's,
	// or its key is not at hand.
	RefusedOther RefusalReason = iota
	// RefusedInvalid: the draft is unusable.
	RefusedInvalid
	// RefusedFull: too many messages wait.
	RefusedFull
	// RefusedStorage: the Storage failed or did not answer. It may have the message.
	RefusedStorage
)

// String is the word for it: "other", "invalid", "full" or "storage".
func (r RefusalReason) String() string {
	switch r {
	case RefusedInvalid:
		return "invalid"
	case RefusedFull:
		return "full"
	case RefusedStorage:
		return "storage"
	}
	return "other"
}
