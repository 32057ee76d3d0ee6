package receive

import (
	"context"
	"math"
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

// handling is an event that is being handled, and told of. It is used for one after the
// other, so that nothing is copied or allocated for a message.
type handling struct {
	base  time.Time     // when the whole clock was read
	wall  int64         // base in microseconds: arithmetic with times would be half of what is done here
	began time.Duration // since then
	going bool          // began is when the one before ended, and nothing was waited for since
	turns bool          // began is when an event was turned to, which is not handed over yet
	ctx   context.Context
	told  hooks.Delivery
	open  bool
}

// rereadAfter is how soon the whole clock is read again. Between, only the time since then
// is. And of events that follow each other the end of one is the beginning of the next:
// reading the clock is most of what is done here for a message.
const rereadAfter = time.Second

// turn notes when a listener turns to an event, before its body is opened. One that is not
// handed over then has taken time that is not the next one's.
func (w *watch) turn(t *handling) {
	if w == nil || w.deliveries == nil && w.handlers == nil {
		return
	}
	if !t.going || t.turns || t.began >= rereadAfter {
		t.base, t.began = time.Now(), 0
		t.wall = t.base.UnixMicro()
	}
	t.turns = true
}

// since is the time between two moments, or the longest that a Duration has room for.
func since(from, to int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Microsecond)
	from = min(max(from, -2*most), 2*most) // so that the difference has room, too
	return time.Duration(min(max(to-from, -most), most)) * time.Microsecond
}

// waits says that something is waited for.
func (t *handling) waits() {
	if t != nil {
		t.going = false
	}
}

// begin tells that an event is handed over. The context is the one to handle it with.
// attempt counts from 1.
func (w *watch) begin(ctx context.Context, t *handling, kind hooks.Kind, name string, e *feed.Event, attempt int) context.Context {
	if w == nil {
		return ctx
	}
	if e.Gap != nil {
		if attempt == 1 {
			for _, h := range w.gaps {
				h.OnGap(hooks.Gap{Kind: kind, Consumer: name, Conversation: e.Gap.Conversation, Message: e.Gap.Row})
			}
		}
		return ctx
	}
	if w.deliveries == nil && w.handlers == nil {
		return ctx
	}
	if !t.turns {
		w.turn(t)
	}
	t.turns, t.going = false, false
	now := t.wall + t.began.Microseconds()
	d := &t.told
	d.Kind, d.Consumer, d.Conversation, d.Message = kind, name, e.Row.Conversation, e.Row.ID
	d.Update, d.Deleted, d.History, d.Replay = e.Update, e.Deleted, e.History, e.Replay
	d.Attempt, d.Changed = attempt, time.UnixMicro(int64(e.Row.Updated))
	d.Lag = since(int64(e.Row.Updated), now)
	if attempt == 1 {
		for _, h := range w.deliveries {
			h.OnDelivery(*d)
		}
	}
	if w.handlers == nil {
		return ctx
	}
	for _, h := range w.handlers {
		ctx = h.OnHandlerStart(ctx, *d)
	}
	t.ctx, t.open = ctx, true
	return ctx
}

// end tells that it was handled.
func (w *watch) end(t *handling, err error) {
	if !t.open {
		return
	}
	t.open = false
	ended := time.Since(t.base)
	o := hooks.Outcome{Duration: ended - t.began, Err: err}
	for _, h := range w.handlers {
		h.OnHandlerEnd(t.ctx, t.told, o)
	}
	t.ctx, t.began, t.going = nil, ended, true
}
