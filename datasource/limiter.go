package datasource

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/budget"
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

// RefusedLimiter is an optional ability of a Limiter: it is told when the server has refused a request for its limit, so
// that it can hold back the others, too.
type RefusedLimiter interface {
	Limiter
	// Refused says that the server has answered 429 to a request for data sources, and takes none before until; the zero
	// time: it has named no moment. It must not block.
	Refused(until time.Time)
}

// AnsweredLimiter is an optional ability of a Limiter: it is told whether the server has answered a request for data
// sources, so that what a refusal has begun can end before the moment that it named, and an outage does not use up slots.
type AnsweredLimiter interface {
	Limiter
	// Answered says that the server has answered a request that started at a moment, neither with 429 nor with a status of
	// 500 and more. It must not block.
	Answered(started time.Time)
	// Unanswered says that a request got no answer, or one that says that the service is not there: 502, 503 and 504. It
	// must not block.
	Unanswered()
}

// A Window is the Limiter that NewLimiter makes. It lets at most n requests start in any window of a fixed length, and
// keeps no goroutine. Clients with one token, or of one app, should share one: the server's limit can span them all.
//
// Those that wait take turns by Class: sends come first, and a twentieth of the window, or as many slots as will be
// needed if sends go on as lately, is left free for them, and so many more that a fifth of n is free, or comes free,
// within a fifth of the window. Of the others, eight requests of ClassOther, of ClassLive, and of those who send very
// many, come to four of ClassIndex, two of ClassMark and one of ClassBackground. Within a class the Clients and Views
// take turns one by one, those first that have had few requests in the window; requests of one come in the order in
// which they were asked for. What programs ask for by themselves, of ClassLive, ClassIndex and ClassMark, starts at an
// even pace after an eighth of a window. Who has had an eighth of a window in one class, a fifth in sends, and
// ClassBackground, does so in any case, and leaves a further twentieth free. A plain Client that nobody shares the
// Window with has all slots at once.
//
// When the server refuses a request for data sources with 429, nothing starts before the moment that it names; half as many
// requests may start in a window from then on, and that grows by a hundredth of n in each second. A moment that is over a
// minute away may be wrong, or named by somebody on the way. Then the most urgent request starts each minute: if it is
// refused, too, whoever has waited for a minute gets an error that matches ErrRateLimited; if it is answered, the wait ends.
//
// When five requests in a row got no answer, the last one a tenth of a window after the first or later, requests start one
// by one, n/10 in a window, until one is answered: what has piled up by then finds most slots free.
type Window struct {
	per time.Duration // 0: there is no limit

	mu     sync.Mutex
	next   Capacity
	failed error // of every Wait, if not nil
	budget *budget.Budget[*caller, *waiter]
	timer  *time.Timer
}

type waiter struct {
	asked time.Time
	over  bool          // it may start, or has failed with err
	told  chan struct{} // closed then; nil before somebody waits
	err   error
}

// end ends a wait.
func (w *waiter) end(err error) {
	w.over, w.err = true, err
	if w.told != nil {
		close(w.told)
	}
}

// NewLimiter returns a Limiter that lets n requests start in any window of length per. Both must be positive.
func NewLimiter(n int, per time.Duration) *Window {
	if n <= 0 || per <= 0 {
		panic(fmt.Sprintf("datasource: NewLimiter(%d, %s): both must be positive; Unlimited never waits", n, per))
	}
	return &Window{per: per, budget: budget.New[*caller, *waiter](budget.Config{N: n, Per: per})}
}

// Unlimited returns a Limiter that never makes a request wait, for tests and for servers without a limit.
func Unlimited() *Window { return &Window{} }

// Wait implements [Limiter]. A Client calls WaitTurn; programs that make requests of their own with the same token can
// call Wait. All of these take turns as one.
//
// Wait fails with an error that matches the context's when ctx ends first. When that is its deadline, and at once when
// the wait would be longer than the deadline allows, the error matches ErrNoSlot and context.DeadlineExceeded, and
// ErrRateLimited while the server's last word is a 429. A failed Wait takes no slot.
func (l *Window) Wait(ctx context.Context) error { return l.WaitTurn(ctx, Turn{}) }

// WaitTurn implements [TurnLimiter].
func (l *Window) WaitTurn(ctx context.Context, t Turn) error {
	atOnce.note(ctx)
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
	w := &waiter{asked: now}
	ticket := l.ask(now, t, w)
	if deadline, ok := ctx.Deadline(); ok && !w.over {
		l.budget.Leave(ticket)
		if d := l.expect(now, t); deadline.Sub(now) < d {
			l.serve(now)
			refused := l.refusing(now)
			l.mu.Unlock()
			return &noSlot{after: d, refused: refused, err: context.DeadlineExceeded}
		}
		ticket = l.ask(now, t, w)
	}
	if w.over {
		defer l.mu.Unlock()
		return w.err
	}
	w.told = make(chan struct{})
	l.mu.Unlock()
	waited.note(ctx)
	select {
	case <-w.told:
		return w.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serve(time.Now()) // the slot may come at this moment
	if w.over {
		return w.err
	}
	l.budget.Leave(ticket)
	l.serve(time.Now())
	err := contextError(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = &noSlot{refused: l.refusing(time.Now()), err: err}
	}
	return err
}

// ask queues a request, and lets it start if it may. mu is held.
func (l *Window) ask(now time.Time, t Turn, w *waiter) *budget.Ticket[*caller, *waiter] {
	ticket := l.budget.Ask(now, t.who, t.class.turns(), t.who != nil && t.who.view, w)
	l.serve(now)
	return ticket
}

// Refused implements [RefusedLimiter].
func (l *Window) Refused(until time.Time) {
	if l == nil || l.per == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.budget.Refused(now, until)
	if hold, _ := l.budget.Held(now); hold > LongestWait {
		err := &held{now.Add(hold)}
		for _, t := range l.budget.Expel(func(w *waiter) bool { return now.Sub(w.asked) >= LongestWait }) {
			t.Value.end(err)
		}
	}
	l.serve(now)
}

// refusing reports whether nothing starts, since the server has refused a request with 429. mu is held.
func (l *Window) refusing(now time.Time) bool {
	hold, _ := l.budget.Held(now)
	return hold > 0
}

// holds is refusing for whoever does not wait.
func (l *Window) holds() bool {
	if l.per == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refusing(time.Now())
}

// Answered implements [AnsweredLimiter].
func (l *Window) Answered(started time.Time) {
	if l == nil || l.per == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.budget.Answered(now, started) {
		l.serve(now)
	}
}

// Unanswered implements [AnsweredLimiter].
func (l *Window) Unanswered() {
	if l == nil || l.per == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.budget.Unanswered(time.Now())
}

// serve lets through whoever may start now, and sets the timer for the others. mu is held.
func (l *Window) serve(now time.Time) {
	l.step(now)
	for {
		t, at, ok := l.budget.Next(now)
		if !ok {
			l.wake(now, at)
			return
		}
		t.Value.end(nil)
	}
}

// wake sets the timer, or ends it when nobody waits.
func (l *Window) wake(now, at time.Time) {
	if _, _, waiting := l.budget.Load(now); waiting == 0 {
		if l.timer != nil {
			l.timer.Stop()
			l.timer = nil
		}
		return
	}
	if at.IsZero() {
		at = now.Add(idle)
	}
	if until := l.next.Until; !until.IsZero() && until.Before(at) {
		at = until
	}
	if l.timer != nil {
		l.timer.Reset(at.Sub(now))
		return
	}
	l.timer = time.AfterFunc(at.Sub(now), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.serve(time.Now())
	})
}

// Load implements [Limiter].
func (l *Window) Load() (used, of, waiting int) {
	if l == nil || l.per == 0 {
		return 0, 0, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.step(now)
	return l.budget.Load(now)
}

// held is an ErrRateLimited of a request that was not made.
type held struct{ until time.Time }

func (e *held) Error() string {
	return "datasource: not sent: the server takes no requests before " + e.until.UTC().Format(time.RFC3339)
}
func (e *held) Is(target error) bool { return target == ErrRateLimited }

// noSlot is an ErrNoSlot.
type noSlot struct {
	after   time.Duration // when there is one; 0: unknown
	refused bool          // the server has refused others with 429, and until when
	err     error
}

func (e *noSlot) Error() string {
	if e.after > 0 {
		return fmt.Sprintf("datasource: the client-side rate limit leaves no slot for %s: %v", e.after.Round(time.Millisecond), e.err)
	}
	return fmt.Sprintf("%v: %v", ErrNoSlot, e.err)
}
func (e *noSlot) Unwrap() error { return e.err }
func (e *noSlot) Is(target error) bool {
	return target == ErrNoSlot || target == ErrRateLimited && e.refused
}
