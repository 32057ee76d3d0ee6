package receive

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/claim"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/storage"
)

const (
	// mostAside is how many conversations may be set aside. Beyond it a consumer waits.
	mostAside = 1000
	// mostUnproven is how many conversations are set aside, one right after the other,
	// while nothing succeeds: when everything fails, that is an outage to wait for.
	mostUnproven = 16
)

// dispatcher hands the events of one consumer to its functions. It belongs to one
// goroutine; only the functions run in others.
type dispatcher struct {
	*Consumer
	rd    durable
	at    *position
	lease *claim.Lease

	lanes   map[int64]*lane
	list    []*lane // the same
	arrived uint64  // how many events
	running int     // turns
	results chan *turn
	tx      storage.Transactional // nil if effects and position are stored apart
	ended   error                 // why no turn begins any more

	unproven int       // set aside since something succeeded
	asideAt  time.Time // when the last one was
}

// run dispatches until something ends it, and returns the cause. What was handled is
// stored before anything else is handled. So no more events are handled twice, when
// another process takes over, than functions run at a time.
func (d *dispatcher) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for {
		if err := d.over(ctx); err != nil {
			return d.end(ctx, err)
		}
		now := time.Now()
		d.pull(now)
		stored, err := d.store(ctx)
		if err == nil && d.at.ours && !now.Before(d.lease.Until()) && d.running < d.Parallel && d.idle() && d.next(now) != nil {
			err = d.renew(ctx)
		}
		if err = cmp.Or(err, d.ended); err != nil {
			cancel(err)
			for d.running > 0 {
				d.settle(ctx, <-d.results)
			}
			return err
		}
		// It may have taken long to store.
		if now = time.Now(); d.at.ours && now.Before(d.lease.Until()) && d.over(ctx) == nil {
			d.start(ctx, now)
		}
		if stored || d.relieve(now) {
			continue
		}
		d.wait(ctx, now)
	}
}

// idle reports whether the dispatcher may wait for the Store. Where a transaction may keep
// everybody else from writing, it waits for none that waits for it in turn.
func (d *dispatcher) idle() bool { return d.tx == nil || d.running == 0 }

// renew renews a lease that has run out: this process may have been suspended, and
// another one at work. A Store that fails is asked again, until ctx ends.
func (d *dispatcher) renew(ctx context.Context) error {
	for backoff := 10 * time.Millisecond; !time.Now().Before(d.lease.Until()); backoff = min(2*backoff, mostStoreBackoff) {
		err := d.lease.Renew(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, claim.ErrLost):
			return claim.ErrLost
		}
		if wait.Sleep(ctx, backoff) != nil {
			return nil // which over says
		}
	}
	return nil
}

// over is why no more events are handled, nil before.
func (d *dispatcher) over(ctx context.Context) error {
	if err := d.rd.Stopped(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// end waits for the functions that run, and stores what they have handled.
func (d *dispatcher) end(ctx context.Context, cause error) error {
	for d.running > 0 {
		d.settle(ctx, <-d.results)
	}
	if _, err := d.store(ctx); err != nil {
		d.Log.Warn("a consumer ended before its position was stored", "name", d.Name, "error", err)
	}
	return cause
}

// pull takes what has been read.
func (d *dispatcher) pull(now time.Time) {
	for {
		e, ok := d.rd.pull()
		if !ok {
			return
		}
		l := d.lanes[e.Conversation()]
		if l == nil {
			l = &lane{conversation: e.Conversation()}
			d.lanes[l.conversation] = l
			d.list = append(d.list, l)
		}
		d.arrived++
		if d.Ignore != nil && d.Ignore(e) {
			d.finish(l.ignore(e)...)
		} else {
			d.drop(l.add(e, d.arrived, now, d.Policy))
		}
		d.tidy(l)
	}
}

// tidy drops an empty lane.
func (d *dispatcher) tidy(l *lane) {
	if len(l.waiting) == 0 && l.running == 0 && !l.unsaved {
		delete(d.lanes, l.conversation)
		d.list = slices.DeleteFunc(d.list, func(other *lane) bool { return other == l })
	}
}

// errExited: FailNow of a test, say, was called in a function. Whoever waits for it would wait for ever.
var errExited = errors.New("the function has ended its goroutine, by runtime.Goexit or FailNow of a test")

// start starts what is due, in the order in which it came.
func (d *dispatcher) start(ctx context.Context, now time.Time) {
	for d.running < d.Parallel {
		t := d.gather(now)
		if t == nil {
			return
		}
		d.running++
		go func() {
			exited := true
			defer func() {
				if exited {
					t.failed = errExited
				}
				if exited && d.Undone != nil {
					d.Undone(ctx, t.events[t.at].Event, errExited)
				}
				d.results <- t
			}()
			t.failed = d.try(ctx, t)
			exited = false
		}()
	}
}

// next is the lane whose first event is to be handled now, nil if there is none.
func (d *dispatcher) next(now time.Time) (l *lane) {
	for _, other := range d.list {
		if other.ready() && !now.Before(other.due(d.Policy)) && (l == nil || other.waiting[0].place < l.waiting[0].place) {
			l = other
		}
	}
	return l
}

// try makes one attempt.
func (d *dispatcher) try(ctx context.Context, t *turn) error {
	if len(t.events) > 1 {
		return d.within(ctx, t, func(ctx context.Context) error {
			for i := range t.events {
				t.at = i
				if err := d.handle(ctx, &t.events[i]); err != nil {
					return err
				}
			}
			t.at = 0
			return nil
		})
	}
	e := &t.events[0]
	failed := d.within(ctx, t, func(ctx context.Context) error { return d.handle(ctx, e) })
	if failed == nil || ctx.Err() != nil || t.ended != nil {
		return failed
	}
	if d.GiveUp != nil && (IsPermanent(failed) || e.attempt >= d.MaxAttempts && !d.outage(failed)) {
		last := failed
		failed = d.within(ctx, t, func(ctx context.Context) error { return d.GiveUp(ctx, e.Event, last) })
	}
	if IsPermanent(failed) && ctx.Err() == nil && t.ended == nil {
		d.Failing.Note(e.Event, nil)
		return d.within(ctx, t, nil)
	}
	return failed
}

// handle calls the function.
func (d *dispatcher) handle(ctx context.Context, e *tried) (failed error) {
	told := d.Receiver.watch.handling(hooks.Consume, d.Name, d.handOver(&e.Event))
	within := told.begin(ctx, &e.Event)
	failed = errExited // unless it returns
	defer func() { told.end(failed) }()
	return d.Handle(within, e.Event)
}

// outage reports whether an error says nothing about the message.
func (d *dispatcher) outage(err error) bool {
	return d.Outage != nil && d.Outage(err) || d.tx != nil && d.Storage() != nil
}

// settle takes what came of a turn.
func (d *dispatcher) settle(ctx context.Context, t *turn) {
	d.running--
	for _, s := range t.shares {
		s.running = 0
	}
	d.ended = cmp.Or(d.ended, t.ended)
	if t.failed == nil {
		d.done(t)
		d.succeeded()
		return
	}
	if ctx.Err() != nil || t.ended != nil {
		return
	}
	l, first := t.blame(d.MinBackoff)
	if d.outage(t.failed) && first {
		l.excused++
	}
	l.retry = time.Now().Add(l.backoff/2 + rand.N(l.backoff))
	l.backoff = min(2*l.backoff, d.MaxBackoff)
	if !first {
		return
	}
	if d.Policy != (Policy{}) {
		if done := l.overtaken(); len(done) > 0 {
			l.unsaved = d.tx == nil
			d.drop(done)
			return
		}
	}
	if apart, _ := d.rd.apart(l.conversation); apart {
		d.setAside(l, true) // nothing more of it is read before this event is done with
	}
}

// succeeded notes that not everything fails. After an outage the others are tried again
// at once, rather than set aside.
func (d *dispatcher) succeeded() {
	if d.unproven >= mostUnproven {
		for _, l := range d.list {
			l.retry, l.backoff = time.Time{}, d.MinBackoff
		}
	}
	d.unproven = 0
}

// drop acknowledges events that are not handled, or not any more.
func (d *dispatcher) drop(events []feed.Event) {
	for _, e := range events {
		d.Failing.Note(e, nil)
	}
	d.finish(events...)
}

// finish acknowledges events of one conversation.
func (d *dispatcher) finish(events ...feed.Event) {
	if len(events) == 0 {
		return
	}
	d.settled(events...)
	d.rd.finish(events...)
	d.relax()
}

// relax sets aside what holds up the position.
func (d *dispatcher) relax() {
	for {
		conversation, ok := d.rd.straggler()
		if !ok {
			return
		}
		l := d.lanes[conversation]
		if l == nil || !d.setAside(l, l.running > 0 || l.attempts > 0 || d.Policy == Policy{}) {
			return
		}
	}
}

// setAside sets the conversation of a lane aside. held: its first event stays.
func (d *dispatcher) setAside(l *lane, held bool) bool {
	if l.running > 1 {
		return false // no more than one stays
	}
	apart, all := d.rd.apart(l.conversation)
	if !apart && all >= mostAside {
		return false
	}
	keep := 0
	if held {
		keep = 1
	}
	dropped := 0
	for _, w := range l.waiting[keep:] {
		dropped += len(w.all())
	}
	if !d.rd.setAside(l.conversation, held, dropped) {
		return false
	}
	clear(l.waiting[keep:])
	l.waiting = l.waiting[:keep]
	d.tidy(l)
	return true
}

// relieve sets conversations aside that keep all others from being read. It reports
// whether there is something to do now.
func (d *dispatcher) relieve(now time.Time) bool {
	if d.running >= d.Parallel || !d.rd.full() {
		return false
	}
	var worst *lane
	for _, l := range d.list {
		failing := l.attempts > 0 && l.running == 0
		if apart, _ := d.rd.apart(l.conversation); apart || !failing && (l.running != 1 || len(l.waiting) == 1) {
			continue
		}
		if worst == nil || len(l.waiting) > len(worst.waiting) {
			worst = l
		}
	}
	if worst == nil || d.unproven >= mostUnproven && now.Before(d.asideAt.Add(d.MaxBackoff)) {
		return false
	}
	if !d.setAside(worst, true) {
		return false
	}
	d.unproven++
	d.asideAt = now
	return true
}

// store stores what has changed. It reports whether there may be something to do now.
// While transactions run they store it.
func (d *dispatcher) store(ctx context.Context) (bool, error) {
	if !d.idle() || d.ended != nil {
		return false, d.ended
	}
	c, some := d.rd.commit(!d.at.ours)
	if some {
		if err := d.at.save(ctx, c); err != nil {
			return false, err
		}
	}
	for _, l := range slices.Clone(d.list) {
		if l.unsaved {
			l.unsaved, some = false, true
			d.tidy(l)
		}
	}
	return some, nil
}

// wait waits until there is something to do.
func (d *dispatcher) wait(ctx context.Context, now time.Time) {
	var next time.Time
	earlier := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if d.at.ours && d.running < d.Parallel {
		for _, l := range d.list {
			if l.ready() {
				earlier(l.due(d.Policy))
			}
		}
	}
	if d.unproven >= mostUnproven {
		if t := d.asideAt.Add(d.MaxBackoff); t.After(now) {
			earlier(t)
		}
	}
	var due <-chan time.Time
	if !next.IsZero() {
		t := time.NewTimer(next.Sub(now))
		defer t.Stop()
		due = t.C
	}
	select {
	case r := <-d.results:
		d.settle(ctx, r)
		for {
			select {
			case r := <-d.results: // those that are stored together take one write
				d.settle(ctx, r)
				continue
			default:
			}
			return
		}
	case <-d.rd.ready: // also when the reader was stopped
	case <-due:
	case <-ctx.Done():
	}
}
