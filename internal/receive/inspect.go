package receive

import (
	"time"

	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Listening is one listener, for people to look at.
type Listening struct {
	Kind     hooks.Kind
	Consumer string
	feed.State
	// Handled counts the events since it began. Busy: one is being handled.
	Handled uint64
	Busy    bool
}

// Trouble is a request of the loop that failed.
type Trouble struct {
	At  time.Time
	Err error
}

// keptTroubles is how many of the last troubles are kept.
const keptTroubles = 8

// trouble notes a failure. mu is held.
func (r *Receiver) trouble(err error) {
	s := r.seldomUsed()
	s.lastErr, s.inRound = err, err
	s.failures++
	if len(s.troubles) >= keptTroubles {
		s.troubles = append(s.troubles[:0], s.troubles[1:]...)
	}
	s.troubles = append(s.troubles, Trouble{time.Now(), err})
}

// inspect is Inspect without those beside it.
func (r *Receiver) inspect() (list []Listening, due time.Time, last []Trouble) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.listeners {
		list = append(list, Listening{Kind: l.kind, Consumer: l.with.name, State: l.feed.Inspect(l.id), Handled: l.acked, Busy: l.busy})
	}
	if r.loop != nil {
		due = r.feed.Due()
	}
	if r.seldom != nil {
		last = append(last, r.seldom.troubles...)
	}
	return list, due, last
}
