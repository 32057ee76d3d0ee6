package fleet

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Source makes the requests of a fleet. Several calls run at a time.
type Source interface {
	Ask(ctx context.Context, r Request) (Answer, error)
}

// DriverConfig is what a [Driver] works with. All fields but Budget are required.
type DriverConfig struct {
	Fleet  Config
	Log    *Log
	Source Source
	// Judge says what a failed request means.
	Judge func(error) Failure
	// Strategy is that of the fleet.
	Strategy Strategy
	// Changed is told the conversations in which something is new, and Moved the users
	// whose conversations are others. They are called one at a time, without a lock.
	Changed func(conversations []int64)
	Moved   func(users map[int32]bool)
	// Gate shares the limit with others; nil: the source does.
	Gate *Gate
}

// Driver drives a [Fleet] with a real clock. It is safe for concurrent use.
type Driver struct {
	cfg  DriverConfig
	wake chan struct{}

	mu    sync.Mutex
	fleet *Fleet
	asked [classes]bool // those that wait at the gate
	err   error         // of the last request, nil if it was answered
	tell  sync.Mutex    // held while Changed and Moved are called
}

// NewDriver returns a driver that does nothing yet.
func NewDriver(cfg DriverConfig) *Driver {
	return &Driver{cfg: cfg, wake: make(chan struct{}, 1), fleet: New(cfg.Fleet, cfg.Strategy, cfg.Log)}
}

// With calls fn with the fleet, and with its log, while nobody else uses them. fn must not
// block.
func (d *Driver) With(fn func(f *Fleet, now time.Time)) {
	d.mu.Lock()
	fn(d.fleet, time.Now())
	d.mu.Unlock()
	d.notify()
}

// Ring says that a bell has named a conversation.
func (d *Driver) Ring(conversation int64) {
	d.With(func(f *Fleet, now time.Time) { f.Ring(now, conversation) })
}

// Sent says that a message was sent to a conversation.
func (d *Driver) Sent(conversation int64) {
	d.With(func(f *Fleet, now time.Time) { f.Sent(now, conversation) })
}

func (d *Driver) notify() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// fleets are the classes in which a fleet asks by itself.
var fleets = [...]Class{Live, Index, Backfill}

// Run drives the fleet until ctx ends, and returns when nothing of it runs any more.
func (d *Driver) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var next time.Time
		for _, class := range fleets {
			at := d.due(class)
			switch now := time.Now(); {
			case at.IsZero():
			case at.After(now):
				if next.IsZero() || at.Before(next) {
					next = at
				}
			default:
				running.Go(func() { d.ask(ctx, class) })
			}
		}
		var due <-chan time.Time
		if !next.IsZero() {
			timer.Reset(time.Until(next))
			due = timer.C
		}
		select {
		case <-due:
		case <-d.wake:
		case <-ctx.Done():
			return
		}
	}
}

// due is when a request of a class is wanted. One whose time has come is taken to be asked.
func (d *Driver) due(class Class) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asked[class] {
		return time.Time{}
	}
	now := time.Now()
	at := d.fleet.Due(now, class)
	d.asked[class] = !at.IsZero() && !at.After(now)
	return at
}

// ask waits for a slot and makes the request that is the most urgent then.
func (d *Driver) ask(ctx context.Context, class Class) {
	defer d.notify()
	if d.cfg.Gate != nil {
		if err := d.cfg.Gate.Wait(ctx, class, ""); err != nil {
			d.unasked(class)
			return
		}
	}
	d.mu.Lock()
	d.asked[class] = false
	r, ok := d.fleet.Next(time.Now(), class)
	d.mu.Unlock()
	if !ok {
		if d.cfg.Gate != nil {
			d.cfg.Gate.Unused()
		}
		return
	}
	d.notify() // another one may follow at once
	a, err := d.cfg.Source.Ask(ctx, r)
	var why Failure
	if err != nil {
		why = d.cfg.Judge(err)
	}
	if d.cfg.Gate != nil {
		d.cfg.Gate.Ended(why.Wait)
	}
	d.tell.Lock()
	defer d.tell.Unlock()
	changed, moved := d.answered(r, a, why, err)
	if len(moved) > 0 {
		d.cfg.Moved(moved)
	}
	if len(changed) > 0 {
		d.cfg.Changed(changed)
	}
}

func (d *Driver) unasked(class Class) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked[class] = false
}

func (d *Driver) answered(r Request, a Answer, why Failure, err error) (changed []int64, moved map[int32]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err = err; err != nil {
		d.fleet.Fail(time.Now(), r, why, err)
		return nil, nil
	}
	changed = append(changed, d.fleet.Take(time.Now(), r, a)...)
	return changed, d.fleet.Moved()
}

// down is how long no request has to be answered until the server is taken to be down.
const down = 10 * time.Second

// Down is why no request was answered for a while; nil if one was.
func (d *Driver) Down() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil || time.Since(d.fleet.succeeded) < down {
		return nil
	}
	return d.err
}

// Recent is [Fleet.Recent].
func (d *Driver) Recent(after feed.Key, conversations []int64) (Recent, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fleet.Recent(time.Now(), after, conversations)
}

// Whole is where [Driver.Recent] can begin.
func (d *Driver) Whole() feed.Key {
	d.mu.Lock()
	defer d.mu.Unlock()
	return feed.Key{Time: d.fleet.log.whole(), ID: math.MaxInt64}
}

// Answer answers a query of a listener's engine.
func (d *Driver) Answer(b *Inbox, q feed.Query) Page {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fleet.Tick(time.Now())
	return b.Answer(q)
}

// Gate lets requests wait for their slot in a [Budget]. It is safe for concurrent use and
// keeps no goroutine.
type Gate struct {
	mu      sync.Mutex
	budget  *Budget
	waiting map[Ticket]chan struct{}
	timer   *time.Timer
}

// NewGate returns a gate. Nobody else may use the budget.
func NewGate(b *Budget) *Gate { return &Gate{budget: b, waiting: map[Ticket]chan struct{}{}} }

// Wait returns when a request may start; then [Gate.Ended] or [Gate.Unused] has to be called.
// It fails with the cause of ctx.
func (g *Gate) Wait(ctx context.Context, class Class, user string) error {
	g.mu.Lock()
	t := g.budget.Ask(class, user)
	let := make(chan struct{})
	g.waiting[t] = let
	g.serve()
	g.mu.Unlock()
	select {
	case <-let:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, waits := g.waiting[t]; !waits { // it was let through at this very moment
		g.budget.Unused()
	} else {
		delete(g.waiting, t)
		g.budget.Leave(class, user, t)
	}
	g.serve()
	return context.Cause(ctx)
}

// Ended says that a request has ended; refused is the wait that the server has asked for,
// 0 if it did not refuse it for the limit.
func (g *Gate) Ended(refused time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.budget.Ended(now)
	if refused > 0 {
		g.budget.Refused(now, now.Add(refused))
	}
	g.serve()
}

// Unused says that a request was not made after all.
func (g *Gate) Unused() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.budget.Unused()
	g.serve()
}

// serve lets through whoever may start now, and sets the timer for the next. mu is held.
func (g *Gate) serve() {
	for {
		t, _, at, ok := g.budget.Next(time.Now())
		if !ok {
			if at.IsZero() {
				return
			}
			if g.timer == nil {
				g.timer = time.AfterFunc(time.Until(at), func() {
					g.mu.Lock()
					defer g.mu.Unlock()
					g.serve()
				})
			} else {
				g.timer.Reset(time.Until(at))
			}
			return
		}
		close(g.waiting[t])
		delete(g.waiting, t)
	}
}
