package receive

import (
	"context"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Join adds a listener to the engine, at the place where it begins.
type Join func(f *feed.Feed, now time.Time) (feed.ID, error)

// Begin says how a listener begins.
type Begin struct {
	// First are events from elsewhere, such as a cache, that come before all others.
	First []feed.Event
	Join  Join
}

// listener is what readers and pushers have in common: a queue of events in the
// engine, of which one at a time is taken and acknowledged. The Receiver's lock
// guards everything but ctx.
type listener struct {
	r    *Receiver
	id   feed.ID
	feed *feed.Feed // of the loop it began in
	// ctx ends with the listener.
	ctx    context.Context
	cancel context.CancelCauseFunc
	detach func() bool // from the caller's context
	// notify tells whoever delivers that there may be something, or that the
	// listener has stopped. It is called with the Receiver's lock held, so it must
	// neither block nor call back.
	notify func()

	first   []feed.Event
	stopped bool
	left    bool // whoever delivers has gone
	busy    bool // an event is taken and not yet acknowledged
	early   bool // that event is one of first
	acked   uint64
	err     error
}

// attach makes l a listener, whose life ends with ctx.
func (r *Receiver) attach(ctx context.Context, l *listener, b Begin) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.wakeUp(); err != nil {
		return err
	}
	now := time.Now()
	id, err := b.Join(r.feed, now)
	if err != nil {
		if len(r.listeners) == 0 {
			r.rest(errNobody)
		}
		return err
	}
	l.r, l.id, l.feed, l.first = r, id, r.feed, b.First
	l.ctx, l.cancel = context.WithCancelCause(r.life.Context())
	r.listeners[id] = l
	if len(r.listeners) > 1 {
		r.shared.Store(true)
	}
	l.detach = context.AfterFunc(ctx, func() { l.stop(context.Cause(ctx)) })
	l.notify()
	r.feed.Poke(now)
	r.loop.nudge()
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
		r.rest(errNobody)
	}
}

// remove takes a listener out. What it has taken may still be acknowledged until it
// leaves. mu is held.
func (r *Receiver) remove(l *listener, cause error) {
	if l.stopped {
		return
	}
	l.stopped, l.err = true, cause
	l.detach()
	l.cancel(cause)
	delete(r.listeners, l.id)
	l.notify()
	r.announce()
}

// leave says that nothing is taken or acknowledged any more. mu is held.
func (l *listener) leave() {
	if !l.left {
		l.left, l.busy = true, false
		l.feed.Unsubscribe(l.id)
		l.r.announce()
	}
}

// pending reports whether there is something to take. mu is held.
func (l *listener) pending() bool { return len(l.first) > 0 || l.feed.Pending(l.id) > 0 }

// take returns the head of the queue, which stays there until ack. mu is held.
func (l *listener) take() (feed.Event, bool) {
	if l.stopped {
		return feed.Event{}, false
	}
	if len(l.first) > 0 {
		l.busy, l.early = true, true
		return l.first[0], true
	}
	e, ok := l.feed.Take(l.id)
	l.busy, l.early = ok, false
	return e, ok
}

// ack takes the head off the queue. It works for a listener that was stopped
// meanwhile, too: what was handled counts. mu is held.
func (l *listener) ack() {
	if !l.busy {
		return
	}
	l.busy = false
	l.acked++
	if l.early {
		l.first = l.first[1:]
	} else if l.feed.Ack(l.id) && !l.stopped && l.r.loop != nil {
		l.r.loop.nudge()
	}
	l.r.announce()
}

// cause is why the listener stopped.
func (l *listener) cause() error {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	return l.err
}
