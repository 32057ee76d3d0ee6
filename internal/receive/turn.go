package receive

import (
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// turn is what is handled in one go: an event, or a batch of them in one transaction.
type turn struct {
	shares []share
	events []tried // in the order in which they are handled

	failed error // what the first event met that failed, nil if all are done with
	at     int   // which one that was
	ended  error // the consumer has to end: nothing more is stored by this dispatcher
	// acks are what the transaction says is done with. stored: it has been committed, and
	// nobody writes the position before the turn is settled.
	acks   []feed.Event
	stored bool
}

// share is how many of the first events of a lane are in a turn. acks is how many
// acknowledgements each of them takes.
type share struct {
	*lane
	n    int
	acks []int
}

// tried is an event of a turn. number counts the attempts, attempt those that were not in
// an outage.
type tried struct {
	feed.Event
	of              int // which share
	attempt, number int
}

// gather takes what is to be handled now, nil if there is nothing.
func (d *dispatcher) gather(now time.Time) *turn {
	l := d.next(now)
	if l == nil {
		return nil
	}
	if l.attempts == 0 {
		l.excused, l.attempts = 0, d.doubtful(&l.waiting[0].Event)
	}
	t := &turn{}
	alone := l.attempts > 0 || l.waiting[0].tried > 0
	t.take(l)
	if d.Batch > 1 && !alone {
		d.fill(t, now)
	}
	if d.tx != nil {
		for k := range t.shares {
			s := &t.shares[k]
			for i := range s.n {
				all := s.waiting[i].all()
				t.acks, s.acks = append(t.acks, all...), append(s.acks, len(all))
			}
		}
	}
	return t
}

// take adds the next event of a lane.
func (t *turn) take(l *lane) {
	i := slices.IndexFunc(t.shares, func(s share) bool { return s.lane == l })
	if i < 0 {
		i = len(t.shares)
		t.shares = append(t.shares, share{lane: l})
		l.attempts++
	}
	e := tried{Event: l.waiting[l.running].Event, of: i, attempt: 1, number: 1}
	if l.running == 0 {
		e.attempt, e.number = l.attempts-l.excused, l.attempts
	}
	t.events = append(t.events, e)
	t.shares[i].n++
	l.running++
}

// fill makes a turn a batch: of what waits, as much as leaves something for the others
// that could run at the same time. What has failed before is handled alone.
func (d *dispatcher) fill(t *turn, now time.Time) {
	var fit []*lane
	all := 0
	for _, l := range d.list {
		switch {
		case l == t.shares[0].lane:
		case !l.ready() || l.attempts > 0 || l.waiting[0].tried > 0 || now.Before(l.due(d.Policy)) || d.doubtful(&l.waiting[0].Event) > 0:
			continue
		default:
			l.excused = 0
		}
		fit = append(fit, l)
		all += len(l.waiting)
	}
	free := d.Parallel - d.running
	most := min(d.Batch, (all+free-1)/free)
	for len(t.events) < most {
		var first *lane
		for _, l := range fit {
			i := l.running
			if i >= len(l.waiting) || i > 0 && (d.Policy != Policy{} || l.waiting[i].tried > 0 || d.doubtful(&l.waiting[i].Event) > 0) {
				continue
			}
			if first == nil || l.waiting[i].place < first.waiting[first.running].place {
				first = l
			}
		}
		if first == nil {
			return
		}
		t.take(first)
	}
}

// blame notes a failure, and returns the lane that has to wait, and whether the event that
// failed is its first one. The others of a batch are as they were: their effects are undone.
func (t *turn) blame(backoff time.Duration) (l *lane, first bool) {
	failed := t.events[t.at]
	l = t.shares[failed.of].lane
	i := 0
	for _, e := range t.events[:t.at] {
		if e.of == failed.of {
			i++
		}
	}
	for k, s := range t.shares {
		if k != failed.of || i > 0 {
			s.attempts = 0
		}
	}
	if i > 0 {
		l.waiting[i].tried = 1
	}
	if failed.number == 1 || l.backoff == 0 {
		l.backoff = backoff
	}
	return l, i == 0
}

// done acknowledges the events of a turn.
func (d *dispatcher) done(t *turn) {
	if t.stored {
		d.rd.finishStored(t.acks...)
		d.at.pen.Unlock()
	}
	var more []feed.Event
	for _, s := range t.shares {
		for i := range s.n {
			w := s.pop()
			events := w.all()
			if t.stored {
				d.settled(events...)
				events = events[s.acks[i]:] // they were added since the turn began
			}
			more = append(more, events...)
		}
		s.unsaved = d.tx == nil
		d.tidy(s.lane)
	}
	d.finish(more...)
	d.relax()
}
