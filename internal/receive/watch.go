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
// other, so that nothing is copied or allocated for a message. The zero value tells nobody.
type handling struct {
	by    *watch
	state handlingState
	base  time.Time     // when the whole clock was read
	wall  int64         // base in microseconds: arithmetic with times would be half of what is done here
	began time.Duration // since then
	ctx   context.Context
	told  hooks.Delivery // its Kind, Consumer and Attempt are those of all
}

// handlingState is what began of a handling says.
type handlingState uint8

const (
	stale   handlingState = iota // nothing, for a clock has to be read
	ended                        // when the one before ended, and nothing was waited for since
	turned                       // when an event was turned to, which is not handed over yet
	started                      // when an event was turned to that is being handled
	untimed                      // nothing, and nobody asks for it
)

// rereadAfter is how soon the whole clock is read again. Between, only the time since then
// is. And of events that follow each other the end of one is the beginning of the next:
// reading the clock is most of what is done here for a message.
const rereadAfter = time.Second

// handling is for events that are handled one after the other. attempt counts from 1.
func (w *watch) handling(kind hooks.Kind, consumer string, attempt int) (t handling) {
	if w == nil {
		return t
	}
	t.by = w
	t.told.Kind, t.told.Consumer, t.told.Attempt = kind, consumer, attempt
	if w.deliveries == nil && w.handlers == nil {
		t.state = untimed
	}
	return t
}

// turn notes when a listener turns to an event, before its body is opened. One that is not
// handed over then has taken time that is not the next one's.
func (t *handling) turn() {
	if t.state == ended && t.began < rereadAfter {
		t.state = turned
		return
	}
	t.read()
}

// read reads the clock for an event that is turned to.
func (t *handling) read() {
	if t.by != nil && t.state != untimed {
		t.base, t.began, t.state = time.Now(), 0, turned
		t.wall = t.base.UnixMicro()
	}
}

// since is the time between two moments, of which now is that of a clock, or the longest that a
// Duration has room for.
func since(from, now int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Microsecond)
	if min(from, now) >= -most/2 && max(from, now) <= most/2 { // as nearly always
		return time.Duration(now-from) * time.Microsecond
	}
	from = min(max(from, -2*most), 2*most) // so that the difference has room, too
	return time.Duration(min(max(now-from, -most), most)) * time.Microsecond
}

// waits says that something is waited for.
func (t *handling) waits() {
	if t.state != untimed {
		t.state = stale
	}
}

// begin tells that an event is handed over. The context is the one to handle it with.
func (t *handling) begin(ctx context.Context, e *feed.Event) context.Context {
	switch {
	case t.by == nil:
		return ctx
	case e.Gap != nil:
		t.gap(e)
		return ctx
	case t.state == untimed:
		return ctx
	case t.state != turned:
		t.read()
	}
	d := t.told // on the stack: passing what lies in the heap would copy it twice for each call
	d.Conversation, d.Message = e.Row.Conversation, e.Row.ID
	d.Update, d.Deleted, d.History, d.Replay = e.Update, e.Deleted, e.History, e.Replay
	d.Changed = time.UnixMicro(int64(e.Row.Updated))
	d.Lag = since(int64(e.Row.Updated), t.wall+t.began.Microseconds())
	t.state = stale
	if d.Attempt == 1 {
		for _, h := range t.by.deliveries {
			h.OnDelivery(d)
		}
	}
	if len(t.by.handlers) == 0 {
		return ctx
	}
	for _, h := range t.by.handlers {
		ctx = h.OnHandlerStart(ctx, d)
	}
	t.ctx, t.told, t.state = ctx, d, started
	return ctx
}

// gap tells of what cannot be delivered.
func (t *handling) gap(e *feed.Event) {
	if t.told.Attempt != 1 {
		return
	}
	for _, h := range t.by.gaps {
		h.OnGap(hooks.Gap{Kind: t.told.Kind, Consumer: t.told.Consumer, Conversation: e.Gap.Conversation, Message: e.Gap.Row})
	}
}

// end tells that it was handled.
func (t *handling) end(err error) {
	if t.state == started {
		t.tellEnd(err)
	}
}

// tellEnd is apart so that end costs nothing where nobody is told.
func (t *handling) tellEnd(err error) {
	now := time.Since(t.base)
	o := hooks.Outcome{Duration: now - t.began, Err: err}
	t.began, t.state = now, ended
	for _, h := range t.by.handlers {
		h.OnHandlerEnd(t.ctx, t.told, o)
	}
	t.ctx = nil
}
