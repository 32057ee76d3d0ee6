package receive

import (
	"context"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

const (
	// stallLimit is how long Poll waits while no event is handled.
	stallLimit = time.Second
	// callerLimit is how long it waits when only functions are left that were running
	// when it was called: one of them may be the caller.
	callerLimit = 50 * time.Millisecond
)

// await waits for a poll that was requested; nil: none was, since there is no listener.
func (r *Receiver) await(ctx context.Context, w *pendingPoll) error {
	if w == nil {
		return nil
	}
	defer r.endPoll()
	for {
		s := r.progress(w)
		if s.over {
			return s.err
		}
		var late <-chan time.Time
		if s.polled {
			late = time.After(s.wait)
		}
		select {
		case <-s.changed:
		case <-late: // a function does not return
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
	waits    []awaited // for whom the caller waits
}

// awaited is a listener for whom a caller waits.
type awaited struct {
	*listener
	busy  bool // when the poll was requested
	acked uint64

	last   uint64    // acked when it was looked at last
	idle   bool      // it had nothing to do then
	since  time.Time // of its last progress
	polled time.Time // when the poll was over; zero before
	upto   feed.Mark // what there was to handle then
}

// patience says how much longer the caller waits for the listener; 0: it does not. mu is
// held.
func (a *awaited) patience(now time.Time, polled bool) time.Duration {
	l := a.listener
	idle := l.stopped || !l.busy && !l.pending()
	if l.acked != a.last || a.idle && !idle {
		a.since = now
	}
	a.last, a.idle = l.acked, idle
	if !polled {
		return 0
	}
	if a.polled.IsZero() {
		a.polled, a.upto = now, l.feed.Mark(l.id)
	}
	if idle || len(l.with.first) == 0 && a.upto.Handled() { // what comes later belongs to later polls
		return 0
	}
	until := a.polled.Add(callerLimit)
	if limit := a.since.Add(stallLimit); limit.After(until) && (!a.busy || l.acked != a.acked) {
		until = limit
	}
	return until.Sub(now)
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
	now := time.Now()
	w := &pendingPoll{loop: r.loop, ticket: ask(r.feed, now), failures: r.failures()}
	for _, l := range r.listeners {
		w.waits = append(w.waits, awaited{listener: l, busy: l.busy, acked: l.acked, last: l.acked, idle: !l.busy && !l.pending(), since: now})
	}
	r.loop.wake()
	r.waiters++
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return w
}

// endPoll ends the wait for a poll.
func (r *Receiver) endPoll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiters--; r.waiters == 0 {
		r.changed = nil
	}
}

// progress is the state of a pendingPoll.
type progress struct {
	over    bool // with err
	err     error
	polled  bool          // only deliveries are left
	wait    time.Duration // for them, if nothing changes
	changed <-chan struct{}
}

func (r *Receiver) progress(w *pendingPoll) progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.loop != w.loop && r.failures() == w.failures:
		return progress{over: true, err: r.ended()} // stopped, or the last listener has left
	case r.failures() != w.failures:
		return progress{over: true, err: r.seldom.lastErr}
	}
	s := progress{polled: r.feed.Done(w.ticket), changed: r.changed}
	now := time.Now()
	for i := range w.waits {
		s.wait = max(s.wait, w.waits[i].patience(now, s.polled))
	}
	s.over = s.polled && s.wait == 0
	return s
}
