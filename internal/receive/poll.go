package receive

import (
	"context"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// patience is how long Poll waits for a function that makes no progress.
const patience = time.Second

// Poll asks for a poll, and returns when what it brought is delivered: it waits for
// the listeners that were idle when it was called, and at most a second for one
// whose function does not return. Without a listener there is nothing to do.
//
// Errors: what the source said, if the poll failed; why the Receiver was stopped;
// the cause of ctx.
func (r *Receiver) Poll(ctx context.Context, reset bool) error {
	w := r.order(reset)
	if w == nil {
		return nil
	}
	defer r.cancel()
	var handled uint64
	var since time.Time // when there was progress last, once only deliveries are left
	for {
		s := r.look(w)
		if s.over {
			return s.err
		}
		var late <-chan time.Time
		if s.polled {
			if since.IsZero() || s.handled != handled {
				since, handled = time.Now(), s.handled
			}
			late = time.After(patience - time.Since(since))
		}
		select {
		case <-s.changed:
		case <-late:
			return nil // somebody's function does not return
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// order is a poll that somebody waits for.
type order struct {
	loop     *loop
	ticket   uint64
	failures uint64
	idle     []*listener // who has to have had everything
}

// order asks the engine for a poll; nil when nobody listens.
func (r *Receiver) order(reset bool) *order {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loop == nil {
		return nil
	}
	ask := (*feed.Feed).Poke
	if reset {
		ask = (*feed.Feed).Reset
	}
	w := &order{loop: r.loop, ticket: ask(r.feed, time.Now()), failures: r.failures}
	for _, l := range r.listeners {
		if !l.busy {
			w.idle = append(w.idle, l)
		}
	}
	r.loop.nudge()
	r.waiters++
	return w
}

// cancel takes a waiter out.
func (r *Receiver) cancel() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters--
}

// progress is how far an order has come.
type progress struct {
	over    bool // with err
	err     error
	polled  bool   // only deliveries are left
	handled uint64 // events, by those who have to have had everything
	changed <-chan struct{}
}

func (r *Receiver) look(w *order) progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.loop != w.loop && r.failures == w.failures:
		return progress{over: true, err: r.over} // stopped, or the last listener has left
	case r.failures != w.failures:
		return progress{over: true, err: r.lastErr}
	}
	polled := r.feed.Done(w.ticket)
	if polled && delivered(w.idle) {
		return progress{over: true}
	}
	var handled uint64
	for _, l := range w.idle {
		handled += l.acked
	}
	return progress{polled: polled, handled: handled, changed: r.changed}
}

// delivered reports whether listeners have had everything. mu is held.
func delivered(list []*listener) bool {
	for _, l := range list {
		if !l.stopped && (l.busy || l.pending()) {
			return false
		}
	}
	return true
}
