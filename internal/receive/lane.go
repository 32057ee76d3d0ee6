package receive

import (
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Policy says which of the waiting events of a conversation a [Consumer] handles. The
// zero value: all of them, in order.
type Policy struct {
	// Newest: of the messages the newest, and of the changes after it the newest. The
	// others are acknowledged without a call.
	Newest bool
	// Quiet: no sooner than nothing new has come for so long, or ten times as long after
	// the first that waits. It implies Newest.
	Quiet time.Duration
}

// longestQuiet is how many times Quiet an event waits at most.
const longestQuiet = 10

// lane holds the events of one conversation.
type lane struct {
	conversation int64
	waiting      []waiting // the first ones may be running, or the first one have failed
	running      int       // how many
	unsaved      bool      // what was acknowledged last is not stored yet

	attempts int
	excused  int // of these, those that failed in an outage
	backoff  time.Duration
	retry    time.Time

	since, last time.Time // when the first and the last arrived of those that wait to become quiet
}

// waiting is an event, with earlier and later ones that are acknowledged together with
// it. If a later version of a message were acknowledged alone, the message would be
// known after a crash, and not be delivered any more.
type waiting struct {
	feed.Event
	earlier, later []feed.Event
	place          uint64 // among the events of all conversations
	tried          int    // how often it has failed that was not the first one
}

// all returns the events in order.
func (w *waiting) all() []feed.Event { return slices.Concat(w.earlier, []feed.Event{w.Event}, w.later) }

// bare is an event without what it takes to handle it.
func bare(events ...feed.Event) []feed.Event {
	for i := range events {
		events[i].Row.Payload = nil
	}
	return events
}

// isNew reports whether an event is a new message.
func isNew(e feed.Event) bool { return e.Gap == nil && !e.Update && !e.Deleted && !e.Replay }

// add adds an event that has just arrived, and returns those that are done with because
// of it.
func (l *lane) add(e feed.Event, place uint64, now time.Time, p Policy) (done []feed.Event) {
	fresh := isNew(e)
	if l.since.IsZero() {
		l.since, l.last = now, now
	}
	if fresh {
		l.last = now
	}
	if !p.Newest && p.Quiet == 0 || e.Gap != nil {
		l.waiting = append(l.waiting, waiting{Event: e, place: place})
		return nil
	}
	from := l.running
	if !fresh {
		same := func(w waiting) bool { return isNew(w.Event) && w.Row.ID == e.Row.ID }
		if i := slices.IndexFunc(l.waiting[from:], same); i >= 0 {
			return l.change(from+i, e)
		}
	}
	kept := l.waiting[:from]
	for i, w := range l.waiting[from:] {
		if w.Gap != nil || !fresh && !w.Update && !w.Deleted {
			kept = append(kept, w)
			continue
		}
		if from+i == 0 {
			l.attempts = 0
		}
		if w.Row.ID == e.Row.ID {
			e.Changed |= w.Changed
		}
		if from == 1 && w.Row.ID == kept[0].Row.ID {
			kept[0].later = append(kept[0].later, bare(w.all()...)...)
			continue
		}
		done = append(done, w.all()...)
	}
	clear(l.waiting[len(kept):])
	l.waiting = append(kept, waiting{Event: e, place: place})
	return done
}

// overtaken removes the first event, which has failed, if a newer message waits, and
// returns what is done with because of that.
func (l *lane) overtaken() (done []feed.Event) {
	newer := func(w waiting) bool { return isNew(w.Event) }
	if l.waiting[0].Gap != nil || !slices.ContainsFunc(l.waiting[1:], newer) {
		return nil
	}
	w := l.pop()
	return w.all()
}

// ignore takes an event that need not be handled, and returns it if it is done with.
func (l *lane) ignore(e feed.Event) (done []feed.Event) {
	for i := len(l.waiting) - 1; i >= 0; i-- {
		if w := &l.waiting[i]; w.Row.ID == e.Row.ID {
			w.later = append(w.later, bare(e)...)
			return nil
		}
	}
	return []feed.Event{e}
}

// change changes a message that waits: it is still new, or gone before anybody had it.
func (l *lane) change(i int, e feed.Event) (done []feed.Event) {
	if e.Replay {
		return []feed.Event{e}
	}
	if i == 0 {
		l.attempts = 0
	}
	w := &l.waiting[i]
	if e.Deleted {
		done = append(w.all(), e)
		l.waiting = slices.Delete(l.waiting, i, i+1)
		return done
	}
	// If only the first one were acknowledged now, the message would come as a change
	// after a crash.
	w.earlier, w.later = bare(w.all()...), nil
	e.Update, e.Changed, e.Reset, e.History = false, 0, false, w.History
	w.Event = e
	return nil
}

// pop removes the first event, which is done with.
func (l *lane) pop() waiting {
	w := l.waiting[0]
	l.waiting = slices.Delete(l.waiting, 0, 1)
	l.attempts = 0
	if len(l.waiting) == 0 {
		l.since = time.Time{}
	} else {
		l.attempts = l.waiting[0].tried
	}
	return w
}

// due is when the first event may be handled. The zero time is at once.
func (l *lane) due(p Policy) time.Time {
	switch {
	case l.attempts > 0:
		return l.retry
	case p.Quiet == 0 || l.waiting[0].Gap != nil:
		return time.Time{}
	}
	quiet, latest := l.last.Add(p.Quiet), l.since.Add(longestQuiet*p.Quiet)
	if quiet.Before(latest) {
		return quiet
	}
	return latest
}

// ready reports whether the first event could be handled as far as the lane is
// concerned.
func (l *lane) ready() bool { return l.running == 0 && !l.unsaved && len(l.waiting) > 0 }
