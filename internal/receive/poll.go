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

// Poll requests a poll and returns when its events are delivered. It waits at most a
// second for a function that does not return, and only for a moment for one that was
// running when Poll was called. A listener whose queue is full has no part in the poll.
// Without a listener it does nothing.
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
			late = time.After(s.limit - time.Since(since))
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
	waits    []awaited // for whom the caller waits
}

// awaited is a listener as it was when a poll was requested.
type awaited struct {
	*listener
	busy  bool
	acked uint64
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
		w.waits = append(w.waits, awaited{l, l.busy, l.acked})
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
	polled  bool   // only deliveries are left
	handled uint64 // events of the listeners
	limit   time.Duration
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
	s := progress{polled: r.feed.Done(w.ticket), limit: callerLimit, changed: r.changed}
	left := 0
	for _, a := range w.waits {
		l := a.listener
		s.handled += l.acked
		if l.stopped || !l.busy && !l.pending() {
			continue
		}
		left++
		if !a.busy || l.acked != a.acked {
			s.limit = stallLimit
		}
	}
	s.over = s.polled && left == 0
	return s
}
