package receive

import (
	"context"
	"time"

	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// watch is who is told of what a Receiver does. It is nil when nobody is. None of it is
// called with the Receiver's mu held.
type watch struct {
	polls      []hooks.PollHook
	deliveries []hooks.DeliveryHook
	handlers   []hooks.HandlerHook
	gaps       []hooks.GapHook
	leases     []hooks.LeaseHook
}

func newWatch(all []hooks.Hook) *watch {
	w := &watch{
		hooks.Of[hooks.PollHook](all), hooks.Of[hooks.DeliveryHook](all), hooks.Of[hooks.HandlerHook](all),
		hooks.Of[hooks.GapHook](all), hooks.Of[hooks.LeaseHook](all),
	}
	if w.polls == nil && w.deliveries == nil && w.handlers == nil && w.gaps == nil && w.leases == nil {
		return nil
	}
	return w
}

// polled tells of a round that is over; the zero value is none.
func (w *watch) polled(p hooks.Poll) {
	if w == nil || p.Requests == 0 {
		return
	}
	for _, h := range w.polls {
		h.OnPoll(p)
	}
}

// leased tells what became of a consumer's lease.
func (w *watch) leased(name string, e hooks.LeaseEvent, err error) {
	if w == nil {
		return
	}
	for _, h := range w.leases {
		h.OnLease(hooks.Lease{Consumer: name, Event: e, Err: err})
	}
}

// handling is an event that is being handled, and told of. The zero value is none.
type handling struct {
	ctx   context.Context
	began time.Time
	told  hooks.Delivery
	open  bool
}

// begin tells that an event is handed over. The context is the one to handle it with.
// attempt counts from 1.
func (w *watch) begin(ctx context.Context, kind hooks.Kind, name string, e *feed.Event, attempt int) (context.Context, handling) {
	if w == nil {
		return ctx, handling{}
	}
	if e.Gap != nil {
		if attempt == 1 {
			for _, h := range w.gaps {
				h.OnGap(hooks.Gap{Kind: kind, Consumer: name, Conversation: e.Gap.Conversation, Message: e.Gap.Row})
			}
		}
		return ctx, handling{}
	}
	if w.deliveries == nil && w.handlers == nil {
		return ctx, handling{}
	}
	now := time.Now()
	changed := time.UnixMicro(int64(e.Row.Updated))
	d := hooks.Delivery{
		Kind: kind, Consumer: name, Conversation: e.Row.Conversation, Message: e.Row.ID,
		Update: e.Update, Deleted: e.Deleted, History: e.History, Replay: e.Replay,
		Attempt: attempt, Changed: changed, Lag: now.Sub(changed),
	}
	if attempt == 1 {
		for _, h := range w.deliveries {
			h.OnDelivery(d)
		}
	}
	if w.handlers == nil {
		return ctx, handling{}
	}
	for _, h := range w.handlers {
		ctx = h.OnHandlerStart(ctx, d)
	}
	return ctx, handling{ctx: ctx, began: now, told: d, open: true}
}

// end tells that it was handled.
func (w *watch) end(t *handling, err error) {
	if !t.open {
		return
	}
	t.open = false
	o := hooks.Outcome{Duration: time.Since(t.began), Err: err}
	for _, h := range w.handlers {
		h.OnHandlerEnd(t.ctx, t.told, o)
	}
}
