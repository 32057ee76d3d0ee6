package receive

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/life"
)

// Page is the answer to a query.
type Page struct {
	Rows []feed.Row // in the server's order
	// Short: there may be more rows, although these are fewer than the query's limit;
	// then they are in order.
	Short bool
	Clock feed.Clock // the server's own time of the answer
	Upto  int64      // see [feed.Feed.PageUpto]
	// Partial: rows are missing, which only a query with Partial may have; of the
	// conversations in Without as far as these are known. Err is why, where that is new.
	Partial bool
	Without []int64
	Err     error
	// Asked and Since are the moment from which the oldest part of the answer is, on this
	// machine's clock and on the server's; zero: it is of the moment of the query.
	Asked time.Time
	Since feed.Time
	// Room is released when the engine has had the rows. May be nil.
	Room interface{ Release() }
}

// Source answers the engine's queries. One call runs at a time.
type Source interface {
	Page(ctx context.Context, q feed.Query) (Page, error)
	// Members returns the conversations of the user.
	Members(ctx context.Context) ([]feed.Member, error)
}

// Engines are where the engines of loops come from.
type Engines interface {
	// Feed makes one, without listeners.
	Feed() *feed.Feed
}

// EngineFunc is a function as Engines.
type EngineFunc func() *feed.Feed

// Feed calls the function.
func (f EngineFunc) Feed() *feed.Feed { return f() }

// Failure is what a failed request means for later polls.
type Failure struct {
	Wait time.Duration // the wait that the server asked for, or 0
	End  bool          // further polls would fail, too: the listeners end with the error
}

// Config is what a Receiver works with. All fields but Rested, Hooks and Share are required.
type Config struct {
	Source  Source
	Engines Engines
	// Judge says what a failed request means.
	Judge func(error) Failure
	// Rested is called when the loop has ended, while nothing else of it runs. May be nil.
	Rested func()
	Log    *slog.Logger
	// Hooks are told of polls, deliveries and leases. They may be none.
	Hooks []hooks.Hook
	// Life is the life of which the Receiver's becomes a part.
	Life *life.Life
	// Share is a pointer to what Receivers have in common: those with the same one share a
	// timer. nil: nothing.
	Share any
}

// Receiver receives the rows of one user. It is safe for concurrent use.
type Receiver struct {
	cfg  work
	life life.Life
	// watch is who is told; nil if nobody is.
	watch *watch
	// shared: there was more than one listener, so several may have the same row.
	shared atomic.Bool
	// looped and pushed say that first and pusher were used, once and for all, since who has
	// them compares pointers. mu guards them.
	looped, pushed bool

	mu        sync.Mutex
	feed      *feed.Feed
	listeners []*listener
	loop      *loop         // nil without listeners
	changed   chan struct{} // nil while nobody has waited for it
	waiters   int           // how many wait for changed
	succeeded time.Time     // when the last poll did; zero before
	round     round
	seldom    *seldom // see there

	// The first loop and the first pusher lie here: mostly there are no others, and small pieces
	// cost more memory than they have.
	first  loop
	pusher Pusher
}

// work is the part of a Config that is needed all the time.
type work struct {
	source  Source
	engines Engines
	judge   func(error) Failure
	rested  func()
	log     *slog.Logger
	share   any
}

// seldom is what most receivers never have. A nil one has nothing.
type seldom struct {
	troubles []Trouble // the last ones
	beside   []*Receiver
	over     error  // the cause of Stop, nil before
	failures uint64 // of requests, so far
	lastErr  error  // of these
	failed   int    // polls since one succeeded
	err      error  // what the last of them met
	inRound  error  // the last of the poll under way
}

// ended is the cause of Stop, nil before. mu is held.
func (r *Receiver) ended() error {
	if r.seldom == nil {
		return nil
	}
	return r.seldom.over
}

// failures is how many requests have failed so far. mu is held.
func (r *Receiver) failures() uint64 {
	if r.seldom == nil {
		return 0
	}
	return r.seldom.failures
}

// others are the receivers beside this one. mu is held.
func (r *Receiver) others() []*Receiver {
	if r.seldom == nil {
		return nil
	}
	return slices.Clone(r.seldom.beside)
}

// seldomUsed is what is made when it is needed first. mu is held.
func (r *Receiver) seldomUsed() *seldom {
	if r.seldom == nil {
		r.seldom = new(seldom)
	}
	return r.seldom
}

// Status is how the polls of a Receiver go.
type Status struct {
	Listeners int
	Waiting   int       // events for streams and loops, those being handled included
	Succeeded time.Time // when the last poll did; zero before
	Failed    int       // polls since then
	Err       error     // what the last of them met
}

// round is the poll under way.
type round struct {
	asked, failed  bool
	requests, rows int32
	began          time.Time
}

// ownStatus says how its own polls go.
func (r *Receiver) ownStatus() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{Listeners: len(r.listeners), Succeeded: r.succeeded}
	if r.seldom != nil {
		s.Failed, s.Err = r.seldom.failed, r.seldom.err
	}
	for _, l := range r.listeners {
		if l.kind != hooks.Consume {
			s.Waiting += len(l.with.first) + l.feed.Pending(l.id)
		}
	}
	return s
}

// rest ends a poll, and returns what to tell of it: the engine has nothing more to ask for
// now. mu is held.
func (r *Receiver) rest() hooks.Poll {
	now := time.Now()
	for _, l := range r.listeners {
		l.park(now)
	}
	r.feed.Slim()
	if r.round.asked && !r.round.failed {
		if r.succeeded = time.Now(); r.seldom != nil {
			r.seldom.failed, r.seldom.err = 0, nil
		}
	}
	return r.endRound(now)
}

// endRound returns the round that is over. mu is held.
func (r *Receiver) endRound(now time.Time) hooks.Poll {
	last := r.round
	r.round = round{}
	p := hooks.Poll{
		Started: last.began, Duration: now.Sub(last.began), Requests: int(last.requests), Rows: int(last.rows),
		Listeners: len(r.listeners),
	}
	if r.seldom != nil {
		p.Err, r.seldom.inRound = r.seldom.inRound, nil
	}
	return p
}

// New returns a Receiver without listeners. It does not poll.
func New(cfg Config) *Receiver { return new(Receiver).Init(cfg) }

// Init is New for a zero Receiver that is a part of something else.
func (r *Receiver) Init(cfg Config) *Receiver {
	r.cfg = work{cfg.Source, cfg.Engines, cfg.Judge, cfg.Rested, cfg.Log, cfg.Share}
	r.watch = newWatch(cfg.Hooks)
	r.life.PartOf(cfg.Life)
	return r
}

// Stop ends all listeners with a cause, and the polling. It does not wait: a call of a
// function that is running, or just beginning, continues, and is its last one.
func (r *Receiver) Stop(cause error) {
	for _, part := range r.end(cause) {
		part.Stop(cause)
	}
	r.life.Stop(cause)
}

// end is Stop for its own listeners. It returns the receivers beside this one.
func (r *Receiver) end(cause error) []*Receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.seldomUsed(); s.over == nil {
		s.over = cause
	}
	r.removeAll(cause)
	r.stopLoop(cause)
	return r.others()
}

// Wait returns when nothing of the Receiver runs any more, or with the cause of ctx.
func (r *Receiver) Wait(ctx context.Context) error { return r.life.Wait(ctx) }

// Poke requests a poll soon, if there are listeners.
func (r *Receiver) Poke() {
	r.withFeed(func(f *feed.Feed, now time.Time) { f.Poke(now) })
}

// Joined says that the user's conversations may have changed.
func (r *Receiver) Joined() { r.withFeed((*feed.Feed).Joined) }

// withFeed calls change with the engine, if there is one, and wakes the loop. It does so with
// those beside it.
func (r *Receiver) withFeed(change func(*feed.Feed, time.Time)) {
	r.withOwnFeed(change)
	for _, part := range r.parts() {
		part.withFeed(change)
	}
}

func (r *Receiver) withOwnFeed(change func(*feed.Feed, time.Time)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loop != nil {
		change(r.feed, time.Now())
		r.loop.wake()
	}
}

// announce wakes the callers that wait for changed. mu is held.
func (r *Receiver) announce() {
	if r.waiters > 0 {
		close(r.changed)
		r.changed = make(chan struct{})
	}
}

// next is the engine's next action, and the poll that is over. It reports false when the
// loop is over. With a query it returns the context for it.
func (r *Receiver) next(p *loop) (_ feed.Action, over hooks.Poll, ctx context.Context, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loop != p {
		return feed.Action{}, over, nil, false
	}
	p.again = false
	now := time.Now()
	action := r.feed.Next(now)
	if action.Query.Kind == 0 {
		over = r.rest()
		r.announce() // a poll is also over when nobody has room for its rows
		return action, over, nil, true
	}
	if r.round.requests++; r.round.requests == 1 {
		r.round.began = now
	}
	return action, over, p.context(), true
}

// ask makes one request for the engine.
func (r *Receiver) ask(ctx context.Context, p *loop, q feed.Query) {
	if q.Kind == feed.Members {
		members, err := r.cfg.source.Members(ctx)
		r.answer(p, err, func(now time.Time) { r.feed.Members(now, members) })
		return
	}
	page, err := r.cfg.source.Page(ctx, q)
	r.answer(p, err, func(now time.Time) {
		r.round.rows += int32(len(page.Rows)) //nolint:gosec // of one poll
		if !page.Asked.IsZero() {
			r.feed.Earlier(page.Asked, page.Since)
		}
		switch {
		case page.Partial:
			r.feed.PartialPage(now, page.Rows, page.Clock, page.Without, page.Short)
		case page.Short:
			r.feed.ShortPage(now, page.Rows, page.Clock, page.Upto)
		default:
			r.feed.PageUpto(now, page.Rows, page.Clock, page.Upto)
		}
		if page.Err != nil {
			r.missed(page.Err)
		}
	})
	if page.Room != nil {
		page.Room.Release()
	}
}

// missed says that a part of a poll failed, while the rest goes on. mu is held.
func (r *Receiver) missed(err error) {
	r.trouble(err)
	for _, l := range r.listeners {
		if l.with.failed != nil {
			l.with.failed(err)
		}
	}
}

// answer gives the engine the outcome of a request, and notifies the listeners.
func (r *Receiver) answer(p *loop, err error, apply func(now time.Time)) {
	var failure Failure
	if err != nil {
		failure = r.cfg.judge(err)
	}
	over, running := r.settle(p, err, failure, apply)
	r.watch.polled(over)
	if !running || err == nil {
		return
	}
	r.cfg.log.Warn("poll failed", "error", err)
}

// settle is the part of answer that holds mu. It reports false if the loop was over, and
// the poll that is the last one.
func (r *Receiver) settle(p *loop, err error, failure Failure, apply func(now time.Time)) (over hooks.Poll, running bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loop != p {
		return over, false
	}
	defer r.announce()
	r.round.asked = true
	if err == nil {
		apply(time.Now())
		for _, l := range r.listeners {
			l.owner.notify()
		}
		return over, true
	}
	r.feed.Failed(time.Now(), failure.Wait)
	for _, l := range r.listeners {
		l.owner.notify() // a poll may go on without the list of conversations
	}
	r.round.failed = true
	r.trouble(err)
	r.seldom.failed++
	r.seldom.err = err
	for _, l := range r.listeners {
		if l.with.failed != nil {
			l.with.failed(err)
		}
	}
	if failure.End {
		over = r.endRound(time.Now())
		r.removeAll(err)
		r.stopLoop(err)
	}
	return over, true
}
