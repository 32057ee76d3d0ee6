package receive

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/life"
)

// Source answers what the engine asks. One call runs at a time.
type Source interface {
	// Page returns the rows of a query, in the order that the server gave them.
	Page(ctx context.Context, q feed.Query) ([]feed.Row, error)
	// Members returns the conversations of the user.
	Members(ctx context.Context) ([]feed.Member, error)
}

// Failure is what a failed request means for the polls that follow.
type Failure struct {
	Wait time.Duration // how long the server asked to be left alone; 0 when it did not say
	End  bool          // polling on is of no use: the listeners end with the error
}

// Config says what a Receiver works with. Source, Judge and Log are required.
type Config struct {
	Source Source
	Feed   feed.Config
	// Judge says what a failed request means.
	Judge func(error) Failure
	// Rested is called when a loop has ended, in its goroutine. May be nil.
	Rested func()
	Log    *slog.Logger
	// Life is what the Receiver is a part of.
	Life *life.Life
}

// Receiver receives for one user. It is safe for concurrent use.
type Receiver struct {
	cfg  Config
	life *life.Life
	// shared: there has been more than one listener, so rows are not one's alone.
	shared atomic.Bool

	mu        sync.Mutex
	feed      *feed.Feed
	listeners map[feed.ID]*listener
	loop      *loop // nil while nobody listens
	over      error // why the Receiver was stopped, nil before
	changed   chan struct{}
	waiters   int // who wait for changed
	failures  uint64
	lastErr   error
}

// New returns a Receiver without listeners, which does nothing.
func New(cfg Config) *Receiver {
	return &Receiver{cfg: cfg, life: cfg.Life.Part(), listeners: map[feed.ID]*listener{}, changed: make(chan struct{})}
}

// Stop ends all listeners with a cause, and the polling. It waits for nothing:
// functions that run go on, and no call of one begins after Stop has returned.
func (r *Receiver) Stop(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over == nil {
		r.over = cause
	}
	for _, l := range r.listeners {
		r.remove(l, cause)
	}
	r.rest(cause)
	r.life.Stop(cause)
}

// Wait returns when nothing of the Receiver runs, or with the cause of ctx.
func (r *Receiver) Wait(ctx context.Context) error { return r.life.Wait(ctx) }

// Poke asks for a poll soon, if anybody listens.
func (r *Receiver) Poke() {
	r.tell(func(f *feed.Feed, now time.Time) { f.Poke(now) })
}

// Joined says that the user's conversations may have changed.
func (r *Receiver) Joined() { r.tell((*feed.Feed).Joined) }

func (r *Receiver) tell(say func(*feed.Feed, time.Time)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loop != nil {
		say(r.feed, time.Now())
		r.loop.nudge()
	}
}

// announce wakes everybody who waits for a change. mu is held.
func (r *Receiver) announce() {
	if r.waiters > 0 {
		close(r.changed)
		r.changed = make(chan struct{})
	}
}

// loop is one life of the polling: from the first listener to the last.
type loop struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	wake   chan struct{}
}

// errNobody: the last listener has left.
var errNobody = errors.New("nobody listens any more")

// wakeUp begins to poll, unless it goes on already. mu is held.
func (r *Receiver) wakeUp() error {
	if r.over != nil {
		return r.over
	}
	if r.loop != nil {
		return nil
	}
	p := &loop{wake: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancelCause(r.life.Context())
	began := r.life.Go(func() {
		r.poll(p)
		if r.cfg.Rested != nil {
			r.cfg.Rested()
		}
	})
	if !began {
		p.cancel(errNobody)
		return context.Canceled // the whole was ended; whoever did so says why
	}
	r.loop, r.feed = p, feed.New(r.cfg.Feed)
	return nil
}

// rest ends the polling. mu is held.
func (r *Receiver) rest(cause error) {
	if r.loop != nil {
		r.loop.cancel(cause)
		r.loop = nil
		r.announce()
	}
}

func (p *loop) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// poll asks the engine what to do, does it, and tells it the outcome.
func (r *Receiver) poll(p *loop) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		action, ok := r.next(p)
		if !ok {
			return
		}
		if action.Query.Kind != 0 {
			r.ask(p, action.Query)
			continue
		}
		var due <-chan time.Time
		if !action.Until.IsZero() {
			timer.Reset(time.Until(action.Until))
			due = timer.C
		}
		select {
		case <-due:
		case <-p.wake:
		case <-p.ctx.Done():
			return
		}
	}
}

// next is what the engine wants done. It reports false when the loop is over.
func (r *Receiver) next(p *loop) (feed.Action, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loop != p {
		return feed.Action{}, false
	}
	return r.feed.Next(time.Now()), true
}

// ask makes one request for the engine.
func (r *Receiver) ask(p *loop, q feed.Query) {
	if q.Kind == feed.Members {
		members, err := r.cfg.Source.Members(p.ctx)
		r.answer(p, err, func(now time.Time) { r.feed.Members(now, members) })
		return
	}
	rows, err := r.cfg.Source.Page(p.ctx, q)
	r.answer(p, err, func(now time.Time) { r.feed.Page(now, rows) })
}

// answer tells the engine how a request ended, and lets listeners have the result.
func (r *Receiver) answer(p *loop, err error, apply func(now time.Time)) {
	var failure Failure
	if err != nil {
		failure = r.cfg.Judge(err)
	}
	if !r.settle(p, err, failure, apply) || err == nil {
		return
	}
	r.cfg.Log.Warn("poll failed", "error", err)
}

// settle is answer under the lock. It reports whether anybody was still interested.
func (r *Receiver) settle(p *loop, err error, failure Failure, apply func(now time.Time)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loop != p {
		return false
	}
	defer r.announce()
	if err == nil {
		apply(time.Now())
		for _, l := range r.listeners {
			l.notify()
		}
		return true
	}
	r.feed.Failed(time.Now(), failure.Wait)
	r.lastErr = err
	r.failures++
	if failure.End {
		for _, l := range r.listeners {
			r.remove(l, err)
		}
		r.rest(err)
	}
	return true
}
