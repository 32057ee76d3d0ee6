package receive

import (
	"context"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Join adds a listener to the engine, at the position where it begins.
type Join func(f *feed.Feed, now time.Time) (feed.ID, error)

// Begin says how a listener begins.
type Begin struct {
	// First are events from elsewhere, such as a cache, that are delivered first.
	First []feed.Event
	// Consumer is the name of the consumer for which a Reader is.
	Consumer string
	Join     Join
	// Failed is told of each request of the loop that failed. Ended is called when the
	// listener was stopped. Both may be nil. They are called with the Receiver's mu held,
	// so they must neither block nor call back.
	Failed func(error)
	Ended  func()
}

// listener is the part that readers and pushers share: a queue of events in the
// engine, taken and acknowledged one at a time. The mu of the Receiver guards it.
type listener struct {
	r      *Receiver
	with   *extras
	id     feed.ID
	feed   *feed.Feed      // of the loop in which it began
	ctx    context.Context // see context
	cancel context.CancelCauseFunc
	detach func() bool // from the caller's context; nil if that never ends
	owner  notified

	kind    hooks.Kind
	stopped bool
	left    bool // no event is taken or acknowledged any more
	busy    bool // an event is taken and not acknowledged yet
	early   bool // that event is one of first
	taken   int  // how many a consumer has taken
	acked   uint64
	err     error

	still   uint64        // acked when it was looked at last
	stillAt time.Duration // since when it has been that, by the loop's clock; 0: it was not looked at
}

// extras are what most listeners begin without; see Begin.
type extras struct {
	name   string // of a consumer
	first  []feed.Event
	failed func(error)
	ended  func()
}

// noExtras are those of most. They are not changed.
var noExtras extras

func (b *Begin) extras() *extras {
	if b.Consumer == "" && len(b.First) == 0 && b.Failed == nil && b.Ended == nil {
		return &noExtras
	}
	return &extras{b.Consumer, b.First, b.Failed, b.Ended}
}

// notified is told by notify that there may be an event, or that the listener has stopped. The
// Receiver's mu is held, so it must neither block nor call back.
type notified interface{ notify() }

// attach makes l a listener until ctx ends.
func (r *Receiver) attach(ctx context.Context, l *listener, b Begin) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.startLoop(); err != nil {
		return err
	}
	now := time.Now()
	id, err := b.Join(r.feed, now)
	if err != nil {
		if len(r.listeners) == 0 {
			r.stopLoop(errNoListener)
		}
		return err
	}
	l.r, l.id, l.feed, l.with = r, id, r.feed, b.extras()
	r.listeners = append(r.listeners, l)
	if len(r.listeners) > 1 {
		r.shared.Store(true)
	}
	if ctx.Done() != nil { // one that never ends needs no watch
		l.detach = context.AfterFunc(ctx, func() { l.stop(context.Cause(ctx)) })
	}
	l.owner.notify()
	r.feed.Poke(now)
	r.loop.wake()
	return nil
}

// stop ends the listener. The last one ends the polling.
func (l *listener) stop(cause error) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.r.drop(l, cause)
}

// drop is stop with mu held.
func (r *Receiver) drop(l *listener, cause error) {
	r.remove(l, cause)
	if len(r.listeners) == 0 {
		r.stopLoop(errNoListener)
	}
}

// remove stops a listener. It may acknowledge a taken event until it leaves. mu is
// held.
func (r *Receiver) remove(l *listener, cause error) {
	if l.stopped {
		return
	}
	l.stopped, l.err = true, cause
	if l.with.ended != nil {
		l.with.ended()
	}
	if l.detach != nil {
		l.detach()
	}
	if l.cancel != nil {
		l.cancel(cause)
	}
	l.forget()
	r.listeners = slices.DeleteFunc(r.listeners, func(other *listener) bool { return other == l })
	l.owner.notify()
	r.announce()
}

// forget drops the queue of a stopped listener, whose function may never return: none of
// it is taken any more. That of a durable one is needed for its last position. mu is
// held.
func (l *listener) forget() {
	if len(l.with.first) > 0 {
		l.with.first = nil
	}
	if !l.feed.Durable(l.id) {
		l.feed.Unsubscribe(l.id)
	}
}

// removeAll stops all listeners. mu is held.
func (r *Receiver) removeAll(cause error) {
	for _, l := range slices.Clone(r.listeners) {
		r.remove(l, cause)
	}
}

// leave ends taking and acknowledging. mu is held.
func (l *listener) leave() {
	if !l.left {
		l.left, l.busy = true, false
		l.release(l.err)
		l.feed.Unsubscribe(l.id)
		l.r.announce()
	}
}

// parkAfter is how long a listener may take nothing before it holds a position in place of
// what it has not taken.
const parkAfter = 30 * time.Second

// park lets go of what is queued for a listener whose function does not return, or that
// nobody asks any more. It gets it later, should it go on. mu is held.
func (l *listener) park(now time.Time) {
	at := now.Sub(l.r.loop.alarm.clock.base) + 1
	switch {
	case !l.busy || l.early || l.acked != l.still || l.stillAt == 0:
		l.still, l.stillAt = l.acked, at
	case at-l.stillAt >= parkAfter:
		l.feed.Park(l.id, taken)
	}
}

// taken is what is kept of the row of an event that was taken: nothing, since it is the
// function's, which may be changing it.
func taken(any) any { return nil }

// pending reports whether there is an event to take. mu is held.
func (l *listener) pending() bool { return len(l.with.first) > 0 || l.feed.Pending(l.id) > 0 }

// take returns the head of the queue, which stays there until ack, nil if there is none. mu
// is held, and has to be until the event is copied.
func (l *listener) take() *feed.Event {
	if l.stopped {
		return nil
	}
	if len(l.with.first) > 0 {
		l.busy, l.early = true, true
		return &l.with.first[0]
	}
	e := l.feed.Peek(l.id)
	l.busy, l.early = e != nil, false
	return e
}

// ack removes the head of the queue, also when the listener was stopped meanwhile:
// the event was handled. mu is held.
func (l *listener) ack() {
	if !l.busy {
		return
	}
	l.busy = false
	l.acked++
	if l.early {
		if first := l.with.first; len(first) > 0 {
			l.with.first = first[1:]
		}
	} else if l.feed.Ack(l.id) && !l.stopped && l.r.loop != nil {
		l.r.loop.wake()
	}
	l.r.announce()
}

// context is what an event is prepared under. It ends with the listener. An idle
// listener has none. mu is held.
func (l *listener) context() context.Context {
	if l.ctx == nil {
		l.ctx, l.cancel = context.WithCancelCause(context.Background())
		if l.stopped {
			l.cancel(l.err)
		}
	}
	return l.ctx
}

// release ends the context of an idle listener. mu is held.
func (l *listener) release(cause error) {
	if l.cancel != nil {
		l.cancel(cause)
		l.ctx, l.cancel = nil, nil
	}
}

// cause is why the listener stopped.
func (l *listener) cause() error {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	return l.err
}
