package datasource

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrNoSlot: a request was not made, since the client-side rate limit has no slot for it before the deadline of its
// context. The error matches context.DeadlineExceeded, too. Nothing was sent, and a later deadline can be met.
var ErrNoSlot = errors.New("datasource: the client-side rate limit leaves no slot before the deadline")

// A Limiter lets at most n requests start in any window of a fixed length. It is safe for concurrent use and keeps no
// goroutine. Clients with one token, or of one app, should share a Limiter: the server's limit can span them all.
//
// Those that wait take turns: one request of each Client, or View of it, after the other, and of each in the order in
// which they came. A View has turns of its own for what it writes, for reads that are asked again (see AskAgain) and for
// other reads, so that none of these holds up the others. Whoever has had an eighth of a window and wants more, and whoever
// asks with Unhurried, comes after all others, at an even pace, and leaves some slots free for them: a twentieth of the
// window. Some slots are theirs in any case, one of nine at best. A plain Client that nobody shares the Limiter with has all slots at once.
type Limiter struct {
	n   int
	per time.Duration

	mu      sync.Mutex
	starts  []start // of the requests in the current window, oldest first; at most n
	flows   map[turn]*flow
	crowded bool    // see alone
	ring    []*flow // those with waiters, in turn
	timer   *time.Timer
	spaced  time.Time // when the next request of the unhurried may start
	passed  int       // how many were let pass them since
	cleared time.Time
}

// turn is what takes turns.
type turn struct {
	who  *caller // nil: callers of Wait
	kind kind
}

// caller is one who makes requests, a Client or a View.
type caller struct{ view bool }

type kind uint8

const (
	others kind = iota
	sends
	live
	background
)

// flow is the requests of one turn.
type flow struct {
	kind  kind
	queue []*waiter
	had   int       // how many of starts are its
	used  time.Time // when it came last
}

type start struct {
	at time.Time
	of *flow
}

type waiter struct{ granted chan struct{} } // closed when it may start

// keepFlow is how long somebody takes part in turns after the last request, so that one who comes now and then finds slots.
const keepFlow = 5 * time.Minute

// maxPassed is how many requests pass those of the unhurried before one of theirs is let through.
const maxPassed = 8

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
// with the same token can call it, too. All of these take turns as one.
//
// Wait fails with an error that matches the context's when ctx ends first. When that is its deadline, and at once when
// the wait would be longer than the deadline allows, the error matches ErrNoSlot and context.DeadlineExceeded. A failed
// Wait takes no slot.
func (l *Limiter) Wait(ctx context.Context) error { return l.wait(ctx, turn{}) }

func (l *Limiter) wait(ctx context.Context, t turn) error {
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	if l.n == 0 {
		return nil
	}
	l.mu.Lock()
	now := time.Now()
	f := l.flow(now, t)
	if len(l.ring) == 0 {
		if ok, _ := l.ready(f, now); ok {
			l.let(f, now)
			l.mu.Unlock()
			return nil
		}
	}
	if deadline, ok := ctx.Deadline(); ok {
		if d := l.expect(f, now); deadline.Sub(now) < d {
			l.mu.Unlock()
			return &noSlot{after: d, err: context.DeadlineExceeded}
		}
	}
	w := &waiter{granted: make(chan struct{})}
	l.join(f, w)
	l.serve(now)
	l.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serve(time.Now()) // the slot may come at this moment
	select {
	case <-w.granted:
		return nil
	default:
	}
	l.leave(f, w)
	l.serve(time.Now())
	err := contextError(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = &noSlot{err: err}
	}
	return err
}

// Load says how many requests have started in the current window, of how many that may, and how many wait. Without a
// limit all are 0. It takes no slot.
func (l *Limiter) Load() (used, of, waiting int) {
	if l.n == 0 {
		return 0, 0, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(time.Now())
	for _, f := range l.ring {
		waiting += len(f.queue)
	}
	return len(l.starts), l.n, waiting
}

// noSlot is an ErrNoSlot.
type noSlot struct {
	after time.Duration // when there is one; 0: unknown
	err   error
}

func (e *noSlot) Error() string {
	if e.after > 0 {
		return fmt.Sprintf("datasource: the client-side rate limit leaves no slot for %s: %v", e.after.Round(time.Millisecond), e.err)
	}
	return fmt.Sprintf("%v: %v", ErrNoSlot, e.err)
}
func (e *noSlot) Unwrap() error        { return e.err }
func (e *noSlot) Is(target error) bool { return target == ErrNoSlot }
