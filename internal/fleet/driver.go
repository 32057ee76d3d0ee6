package fleet

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/budget"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Source makes the requests of a fleet. Several calls run at a time.
type Source interface {
	Ask(ctx context.Context, r Request) (Answer, error)
}

// DriverConfig is what a [Driver] works with. All fields are required.
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
}

// Driver drives a [Fleet] with a real clock. It is safe for concurrent use.
type Driver struct {
	cfg  DriverConfig
	wake chan struct{}

	mu    sync.Mutex
	fleet *Fleet
	err   error      // of the last request, nil if it was answered
	reads []*wanted  // reads that somebody waits for
	tell  sync.Mutex // held while Changed and Moved are called
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
var fleets = [...]budget.Class{budget.Live, budget.Index, budget.Backfill}

// Run drives the fleet until ctx ends, and returns when nothing of it runs any more.
func (d *Driver) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var next time.Time
		for _, class := range fleets {
			r, at := d.due(class)
			switch {
			case r.Kind != 0:
				running.Go(func() { d.ask(ctx, r) })
				d.notify() // another one may follow at once
			case !at.IsZero() && (next.IsZero() || at.Before(next)):
				next = at
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

// due is the request of a class whose time has come, or when one is wanted.
func (d *Driver) due(class budget.Class) (r Request, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if at = d.fleet.Due(now, class); at.IsZero() || at.After(now) {
		return r, at
	}
	if r, ok := d.fleet.Next(now, class); ok {
		return r, at
	}
	return r, time.Time{}
}

// ask makes a request.
func (d *Driver) ask(ctx context.Context, r Request) {
	defer d.notify()
	a, err := d.cfg.Source.Ask(ctx, r)
	var why Failure
	if err != nil {
		why = d.cfg.Judge(err)
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

func (d *Driver) answered(r Request, a Answer, why Failure, err error) (changed []int64, moved map[int32]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.looked(r, err)
	if r.Kind != Audit { // which has troubles of its own
		d.err = err
	}
	if err != nil {
		now := time.Now()
		d.fleet.Fail(now, r, why, err)
		return d.fleet.fallen(now, r), nil // who listens is to be told
	}
	changed = append(changed, d.fleet.Take(time.Now(), r, a)...)
	return changed, d.fleet.Moved()
}

// down is how long no request has to be answered until the server is taken to be down.
const down = 10 * time.Second

// Down is why no request was answered for a while, or none for rows; nil if one was.
func (d *Driver) Down() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if begun := d.fleet.unread; !begun.IsZero() && time.Since(begun) >= down {
		return d.fleet.unreadErr
	}
	if d.err == nil || time.Since(d.fleet.succeeded) < down {
		return nil
	}
	return d.err
}

// Failing is [Fleet.Failing].
func (d *Driver) Failing() map[int64]error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fleet.Failing(time.Now())
}

// Recent is [Fleet.RecentFrom].
func (d *Driver) Recent(begin, after feed.Key, since feed.Time, conversations []int64) (Recent, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fleet.RecentFrom(time.Now(), begin, after, since, conversations)
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
