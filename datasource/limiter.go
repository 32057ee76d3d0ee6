package datasource

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Limiter lets at most n requests start in any window of a fixed length, and serves those that wait in the order
// in which they came. It is safe for concurrent use and starts no goroutine. Clients with one token, or of one app,
// should share a Limiter: the server's limit can span them all.
type Limiter struct {
	n   int
	per time.Duration

	mu     sync.Mutex
	starts []time.Time // of the requests in the current window, oldest first; at most n
	queue  []*waiter   // the first one waits for a slot, the others to be the first
}

type waiter struct{ first chan struct{} } // closed when it is the first of the queue

// NewLimiter returns a Limiter that lets n requests start in any window of length per. Both must be positive.
func NewLimiter(n int, per time.Duration) *Limiter {
	if n <= 0 || per <= 0 {
		panic(fmt.Sprintf("datasource: NewLimiter(%d, %s): both must be positive; Unlimited never waits", n, per))
	}
	return &Limiter{n: n, per: per}
}

// Unlimited returns a Limiter that never makes a request wait, for tests and for servers without a limit.
func Unlimited() *Limiter { return &Limiter{} }

// Wait blocks until a request may start, and counts it. A Client calls it; programs that make requests of their own
// with the same token can call it, too.
//
// Wait fails with an error that matches the context's when ctx ends first. It fails at once, with one that matches
// context.DeadlineExceeded, when the wait would be longer than the deadline allows. A failed Wait takes no slot.
func (l *Limiter) Wait(ctx context.Context) error {
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	if l.n == 0 {
		return nil
	}
	l.mu.Lock()
	now := time.Now()
	free := l.free(now, len(l.queue))
	if free <= 0 && len(l.queue) == 0 {
		l.starts = append(l.starts, now)
		l.mu.Unlock()
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok && deadline.Sub(now) < free {
		l.mu.Unlock()
		return fmt.Errorf("datasource: the client-side rate limit leaves no slot for %s: %w", free.Round(time.Millisecond), context.DeadlineExceeded)
	}
	w := &waiter{first: make(chan struct{})}
	l.queue = append(l.queue, w)
	if len(l.queue) == 1 {
		close(w.first)
	}
	l.mu.Unlock()
	return l.await(ctx, w)
}

// await waits until w is the first of the queue, then for a slot.
func (l *Limiter) await(ctx context.Context, w *waiter) error {
	select {
	case <-w.first:
	case <-ctx.Done():
		l.leave(w)
		return contextError(ctx)
	}
	for {
		l.mu.Lock()
		now := time.Now()
		free := l.free(now, 0)
		if free <= 0 {
			l.starts = append(l.starts, now)
			l.mu.Unlock()
			l.leave(w)
			return nil
		}
		l.mu.Unlock()
		timer := time.NewTimer(free)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			l.leave(w)
			return contextError(ctx)
		}
	}
}

// leave removes w from the queue and wakes the new first one.
func (l *Limiter) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.queue, w)
	l.queue = slices.Delete(l.queue, i, i+1)
	if i == 0 && len(l.queue) > 0 {
		close(l.queue[0].first)
	}
}

// free is the time until a slot is free for a request with ahead others before it. It forgets the starts that have
// left the window.
func (l *Limiter) free(now time.Time, ahead int) time.Duration {
	gone := 0
	for gone < len(l.starts) && now.Sub(l.starts[gone]) >= l.per {
		gone++
	}
	l.starts = slices.Delete(l.starts, 0, gone)
	// The slots to come, in order: those free now, one a window after each start, one a window after those taken now,
	// and so on from window to window.
	ahead -= l.n - len(l.starts)
	if ahead < 0 {
		return 0
	}
	wait := time.Duration(1+ahead/l.n) * l.per
	if i := ahead % l.n; i < len(l.starts) {
		wait -= now.Sub(l.starts[i])
	}
	return wait
}
