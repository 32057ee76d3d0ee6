package outbox

import (
	"context"
	"time"

	"github.com/fliplet/fliplet-chat-go/hooks"
)

// watch is who is told of what becomes of messages, and of the claim. It is nil when
// nobody is. None of it is called with the outbox's mu held.
type watch struct {
	messages []hooks.OutboxHook
	leases   []hooks.LeaseHook
}

func newWatch(all []hooks.Hook) *watch {
	w := &watch{hooks.Of[hooks.OutboxHook](all), hooks.Of[hooks.LeaseHook](all)}
	if w.messages == nil && w.leases == nil {
		return nil
	}
	return w
}

// teller is what the Notifier calls: the hooks, and then onChange, which may be nil. It
// is nil if nobody is to be told.
func (w *watch) teller(onChange func(Change)) func(Change) {
	if w == nil || w.messages == nil {
		return onChange
	}
	return func(c Change) {
		o := hooks.Outbox{
			Conversation: c.Record.Conversation, GUID: c.Record.GUID, State: hooks.OutboxState(c.State),
			Waited: max(0, time.Since(c.Record.QueuedAt)), Attempts: c.Attempts, Err: c.Err, Pending: c.Pending,
		}
		for _, h := range w.messages {
			h.OnOutbox(o)
		}
		if onChange != nil {
			onChange(c)
		}
	}
}

// leased tells what became of the claim.
func (w *watch) leased(e hooks.LeaseEvent, err error) {
	if w == nil {
		return
	}
	for _, h := range w.leases {
		h.OnLease(hooks.Lease{Event: e, Err: err})
	}
}

// Sends are those who are told of attempts to store a message.
type Sends []hooks.SendHook

// Begin tells of an attempt. The context is the one to make it with; end tells how it
// ended.
func (l Sends) Begin(ctx context.Context, conversation int64, guid string) (_ context.Context, end func(error)) {
	if len(l) == 0 {
		return ctx, untold
	}
	s := hooks.Send{Conversation: conversation, GUID: guid}
	for _, h := range l {
		ctx = h.OnSendStart(ctx, s)
	}
	began := time.Now()
	return ctx, func(err error) {
		for _, h := range l {
			h.OnSendEnd(ctx, s, hooks.Outcome{Duration: time.Since(began), Err: err})
		}
	}
}

func untold(error) {}
