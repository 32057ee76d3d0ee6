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
	waiting      []waiting // the first one may be running, or have failed
	running      bool
	unsaved      bool // what was acknowledged last is not stored yet

	attempts int
	backoff  time.Duration
	retry    time.Time

	since, last time.Time // when the first and the last arrived of those that wait to become quiet
}

// waiting is an event with those that it stands for.
type waiting struct {
	feed.Event
	also  []feed.Event
	place uint64 // among the events of all conversations
}

// add adds an event that has just arrived, and returns those that are done with because
// of it.
func (l *lane) add(e feed.Event, place uint64, now time.Time, p Policy) (done []feed.Event) {
	fresh := e.Gap == nil && !e.Update && !e.Deleted && !e.Replay
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
	from := 0
	if l.running {
		from = 1
	}
	if !fresh {
		same := func(w waiting) bool { return w.Gap == nil && !w.Update && !w.Deleted && w.Row.ID == e.Row.ID }
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
		done = append(append(done, w.Event), w.also...)
	}
	clear(l.waiting[len(kept):])
	l.waiting = append(kept, waiting{Event: e, place: place})
	return done
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
		done = append(append(done, w.Event, e), w.also...)
		l.waiting = slices.Delete(l.waiting, i, i+1)
		return done
	}
	// Both are acknowledged together. If only the first one were, the message would come
	// as a change after a crash.
	w.also = append(w.also, w.Event)
	w.also[len(w.also)-1].Row.Payload = nil
	e.Update, e.Changed, e.History = false, 0, w.History
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
func (l *lane) ready() bool { return !l.running && !l.unsaved && len(l.waiting) > 0 }
