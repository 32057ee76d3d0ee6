package receive

import (
	"context"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// stallLimit is how long Poll waits while no event is handled.
const stallLimit = time.Second

// Poll requests a poll and returns when its events are delivered to the listeners
// that were idle when it was called. It waits at most a second for a function that
// does not return. Without a listener it does nothing.
//
// Errors: that of the source if the poll failed; the cause of Stop; the cause of ctx.
func (r *Receiver) Poll(ctx context.Context, reset bool) error {
	w := r.requestPoll(reset)
	if w == nil {
		return nil
	}
	defer r.endPoll()
	var handled uint64
	var since time.Time // of the last progress, once only deliveries are left
	for {
		s := r.progress(w)
		if s.over {
			return s.err
		}
		var late <-chan time.Time
		if s.polled {
			if since.IsZero() || s.handled != handled {
				since, handled = time.Now(), s.handled
			}
			late = time.After(stallLimit - time.Since(since))
		}
		select {
		case <-s.changed:
		case <-late:
			return nil // a function does not return
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// pendingPoll is a poll that a caller waits for.
type pendingPoll struct {
	loop     *loop
	ticket   uint64
	failures uint64
	idle     []*listener // whose events the caller waits for
}

// requestPoll asks the engine for a poll. It returns nil without listeners.
func (r *Receiver) requestPoll(reset bool) *pendingPoll {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loop == nil {
		return nil
	}
	ask := (*feed.Feed).Poke
	if reset {
		ask = (*feed.Feed).Reset
	}
	w := &pendingPoll{loop: r.loop, ticket: ask(r.feed, time.Now()), failures: r.failures}
	for _, l := range r.listeners {
		if !l.busy {
			w.idle = append(w.idle, l)
		}
	}
	r.loop.notify()
	r.waiters++
	return w
}

// endPoll ends the wait for a poll.
func (r *Receiver) endPoll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters--
}

// progress is the state of a pendingPoll.
type progress struct {
	over    bool // with err
	err     error
	polled  bool   // only deliveries are left
	handled uint64 // events that the idle listeners have handled
	changed <-chan struct{}
}

func (r *Receiver) progress(w *pendingPoll) progress {
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

// delivered reports whether listeners have handled every event. mu is held.
func delivered(list []*listener) bool {
	for _, l := range list {
		if !l.stopped && (l.busy || l.pending()) {
			return false
		}
	}
	return true
}
