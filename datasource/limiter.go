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

// A Limiter holds requests back before the server refuses them. A Client asks it before each attempt. NewLimiter makes the
// one that a Client has by default; package limiter has one that the replicas of a program share. Methods are safe for
// concurrent use.
//
// One of your own needs these three methods only. Then all who ask are one to it, and it decides alone who is next. Where
// many Chats or kinds of requests share it, implement TurnLimiter, too, or embed a *Window and leave the turns to it.
type Limiter interface {
	// Wait blocks until a request may start, and counts it. It fails when ctx ends first, with an error that matches the
	// context's, and should fail at once with ErrNoSlot when the deadline of ctx is too soon. A failed Wait takes no slot.
	Wait(ctx context.Context) error
	// Delay is how long a request that comes now would wait, as far as is known; 0 when it may start at once. It takes no
	// slot.
	Delay() time.Duration
	// Load says how many requests have started in the current window, of how many that may, and how many wait. Without a
	// limit all are 0. It takes no slot.
	Load() (used, of, waiting int)
}

// TurnLimiter is an optional ability of a Limiter: it is told whose turn a request takes, so that a bulk of one does not
// hold up the others.
type TurnLimiter interface {
	Limiter
	// WaitTurn is Wait for a request of t.
	WaitTurn(ctx context.Context, t Turn) error
	// DelayTurn is how long a request of t that comes now would wait; 0 when t has made none of late.
	DelayTurn(t Turn) time.Duration
}

// ImpairedLimiter is an optional ability of a Limiter: it reports that it lets less start than it should, such as one
// whose replicas cannot agree. Client.LimiterErr passes that on.
type ImpairedLimiter interface {
	Limiter
	// Err is nil when all is well, and otherwise matches ErrImpaired.
	Err() error
}

// ErrImpaired: a Limiter lets less start than it should.
var ErrImpaired = errors.New("datasource: the limiter lets less start than it should")

// A Window is the Limiter that NewLimiter makes. It lets at most n requests start in any window of a fixed length, and
// keeps no goroutine. Clients with one token, or of one app, should share one: the server's limit can span them all.
//
// Those that wait take turns: one request of each Client, or View of it, after the other, and of each in the order in
// which they came. A View has turns of its own for what it writes, for reads that are asked again (see AskAgain) and for
// other reads, so that none of these holds up the others. Whoever has had an eighth of a window and wants more, and whoever
// asks with Unhurried, comes after all others, at an even pace, and leaves some slots free for them: a twentieth of the
// window. Some slots are theirs in any case, one of nine at best. A plain Client that nobody shares the Window with has all slots at once.
type Window struct {
	per time.Duration // 0: there is no limit

	mu      sync.Mutex
	n       int // 0: nothing may start
	next    Capacity
	failed  error   // of every Wait, if not nil
	starts  []start // of the requests in the current window, oldest first; at most n, or what n was
	flows   map[Turn]*flow
	crowded bool    // see alone
	ring    []*flow // those with waiters, in turn
	timer   *time.Timer
	spaced  time.Time // when the next request of the unhurried may start
	passed  int       // how many were let pass them since
	cleared time.Time
}

// Turn says whose turn a request takes at a Limiter. Those of one caller and class are equal, so that it can be the key
// of a map. The zero Turn is that of programs that call Wait.
type Turn struct {
	who   *caller // nil: callers of Wait
	class Class
}

// Class is what kind of request it is.
func (t Turn) Class() Class { return t.class }

// SameCaller reports whether one Client, or View, makes the requests of both, whatever their classes.
func (t Turn) SameCaller(u Turn) bool { return t.who == u.who }

// caller is one who makes requests, a Client or a View.
type caller struct{ view bool }

// Class is a kind of requests, for a Limiter that treats them differently. There may be more of them in later versions:
// take those that you do not know for ClassOther.
type Class uint8

const (
	// ClassOther is everything without a class of its own, and all requests of a Client that is no View.
	ClassOther Class = iota
	// ClassSend is what a View writes.
	ClassSend
	// ClassLive is reads that are asked again, such as polls; see AskAgain.
	ClassLive
	// ClassBackground is what nobody waits for; see Unhurried.
	ClassBackground
)

// flow is the requests of one turn.
type flow struct {
	class Class
	queue []*waiter
	had   int       // how many of starts are its
	used  time.Time // when it came last
}

type start struct {
	at time.Time
	of *flow
}

type waiter struct {
	granted chan struct{} // closed when it may start, or with err
	err     error
}

// keepFlow is how long somebody takes part in turns after the last request, so that one who comes now and then finds slots.
const keepFlow = 5 * time.Minute

// maxPassed is how many requests pass those of the unhurried before one of theirs is let through.
const maxPassed = 8

// NewLimiter returns a Limiter that lets n requests start in any window of length per. Both must be positive.
func NewLimiter(n int, per time.Duration) *Window {
	if n <= 0 || per <= 0 {
		panic(fmt.Sprintf("datasource: NewLimiter(%d, %s): both must be positive; Unlimited never waits", n, per))
	}
	return &Window{n: n, per: per}
}

// Unlimited returns a Limiter that never makes a request wait, for tests and for servers without a limit.
func Unlimited() *Window { return &Window{} }

// Wait implements [Limiter]. A Client calls WaitTurn; programs that make requests of their own with the same token can
// call Wait. All of these take turns as one.
//
// Wait fails with an error that matches the context's when ctx ends first. When that is its deadline, and at once when
// the wait would be longer than the deadline allows, the error matches ErrNoSlot and context.DeadlineExceeded. A failed
// Wait takes no slot.
func (l *Window) Wait(ctx context.Context) error { return l.WaitTurn(ctx, Turn{}) }

// WaitTurn implements [TurnLimiter].
func (l *Window) WaitTurn(ctx context.Context, t Turn) error {
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	if l.per == 0 {
		return nil
	}
	l.mu.Lock()
	if l.failed != nil {
		defer l.mu.Unlock()
		return l.failed
	}
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
		if d := l.hope(f, now); deadline.Sub(now) < d {
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
		return w.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serve(time.Now()) // the slot may come at this moment
	select {
	case <-w.granted:
		return w.err
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

// Load implements [Limiter].
func (l *Window) Load() (used, of, waiting int) {
	if l == nil || l.per == 0 {
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
