package fleet

import (
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// proof holds what an index names against what the list of conversations shows. That the audit
// log has the rows of chats is not documented, and neither is that hooks run for them.
type proof struct {
	first feed.Time // changes before it do not count
	lacks int       // so many in a row that the index has not named are too many

	last  feed.Time           // when the list before was taken
	named map[int64]feed.Time // the latest change of a conversation that was named
	owed  map[int64]debt      // changes in the list that were not
	right int                 // how many were, since one was not
	wrong int                 // how many were not, in a row
}

// debt is a change that the list shows.
type debt struct {
	changed feed.Time
	by      time.Time // when the index should have named it
}

const (
	// mostLacks is how many changes in a row an index lacks when it is of no use.
	mostLacks = 10
	// lateNames is how late it may be about what the list shows: with more the list, read each 4 s,
	// is earlier.
	lateNames = 10 * time.Second
	// fewRight is how many in a row it names when it is of use again.
	fewRight = 3
)

func newProof() proof {
	return proof{lacks: mostLacks, named: map[int64]feed.Time{}, owed: map[int64]debt{}}
}

// names notes that the index has named a conversation, for a change at a time.
func (p *proof) names(conversation int64, at feed.Time) {
	p.named[conversation] = max(p.named[conversation], at)
	if d, ok := p.owed[conversation]; ok && at >= d.changed-bump {
		delete(p.owed, conversation)
		p.agreed()
	}
}

func (p *proof) agreed() { p.right, p.wrong = p.right+1, 0 }

// compare notes what a list shows that was not named, before the fleet takes it.
func (p *proof) compare(now time.Time, list []Listing, v *View) {
	for i := range list {
		l := &list[i]
		before, known := v.Shown(l.Conversation)
		if !known || l.Changed <= before || l.Changed < p.first {
			continue
		}
		if p.named[l.Conversation] >= l.Changed-bump {
			p.agreed()
		} else if _, waits := p.owed[l.Conversation]; !waits {
			p.owed[l.Conversation] = debt{l.Changed, now.Add(lateNames)}
		}
	}
	for c, at := range p.named {
		if at < p.last-2*bump { // it was compared
			delete(p.named, c)
		}
	}
	p.last = v.Now(now)
}

// due judges what was owed for too long, and reports whether anything was. answered: the index
// could have named it.
func (p *proof) due(now time.Time, answered bool) (lacking bool) {
	for c, d := range p.owed {
		if now.Before(d.by) {
			continue
		}
		if delete(p.owed, c); answered {
			p.right, p.wrong, lacking = 0, p.wrong+1, true
		}
	}
	return lacking
}

// fails reports whether the index is of no use.
func (p *proof) fails() bool { return p.wrong >= p.lacks }
