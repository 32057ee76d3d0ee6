package fleet

import (
	"cmp"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Recent is what the log has of the changes after a position, in the server's own times. So a
// position outlives the log, whose stamps are of this process.
//
// Its parts are from different moments, since the conversations are read one after the other.
// An engine that is told of the earliest ([feed.Feed.Earlier]) settles nothing that a later
// read may still bring.
type Recent struct {
	// Rows are the latest versions, in order of change. A deletion that was found late has the
	// time at which it was found, and so has what follows a version from the future whose time has come.
	Rows []feed.Row
	// Clock is the server's time. Asked and Since are the moment since which all conversations
	// have been read: on the clock of this machine, and on the server's at the latest.
	Clock feed.Time
	Asked time.Time
	Since feed.Time
	// Without are the conversations that the fleet does not know yet.
	Without []int64
	// Highest is the highest id of what was read before that moment.
	Highest int64
}

// Recent returns the changes of conversations after a position. It reports false if the log
// has not all of them, or not their content: then the server has to be asked.
func (f *Fleet) Recent(now time.Time, after feed.Key, conversations []int64) (Recent, bool) {
	return f.RecentFrom(now, after, after, 0, conversations)
}

// RecentFrom is Recent for a listener that has got from elsewhere what the server had when its
// clock was at begin. What came later is in the log, also with an earlier time. For one that knows
// nothing of what was there before a time, since, what was written later by a clock that was set
// back behind it has the time at which it was found.
func (f *Fleet) RecentFrom(now time.Time, begin, after feed.Key, since feed.Time, conversations []int64) (Recent, bool) {
	l := f.log
	if whole := l.whole(); begin.Time < whole || begin.Time == whole && !begin.WholeInstant() {
		return Recent{}, false
	}
	at := f.Now(now)
	r := Recent{Clock: at, Asked: now, Since: at}
	wanted := make(map[int64]bool, len(conversations))
	for _, id := range conversations {
		wanted[id] = true
		c := f.dirty.convs[id]
		if c == nil {
			r.Without = append(r.Without, id)
			continue
		}
		since, asked := c.until+feed.Time(f.cfg.Overlap.Microseconds()), c.read
		if at, ok := f.serverAt(asked); ok {
			since = min(since, at) // one of several machines may have been ahead
		}
		if c.until == 0 { // it was not read yet
			since = c.track.settled
			asked = now.Add(-time.Duration(max(0, r.Clock-since)) * time.Microsecond)
		}
		if r.Since = min(r.Since, since); asked.Before(r.Asked) {
			r.Asked = asked
		}
	}
	add := func(n int) bool {
		e := l.at(n)
		if !wanted[e.Row.Conversation] {
			return true
		}
		if e.Row.Updated <= r.Since {
			r.Highest = max(r.Highest, e.Row.ID)
		}
		row := e.Row
		row.Past, row.First, row.Copy = nil, 0, false // it may be several versions
		passed := l.passed[n]
		switch row.Updated = e.Changed; {
		case row.Deleted:
			row.Updated = max(e.Changed, e.Row.Updated)
		case passed != 0 && feed.Clamp(passed, at) == passed: // nothing tells the engine any more that it was in the future
			row.Updated = max(e.Row.Updated, passed+1)
		case since != 0 && e.Changed <= since && e.Row.Updated > since && row.ID > f.odd.top && f.wrong(now):
			row.Created, row.Updated = e.Row.Updated, e.Row.Updated
		}
		if l.rows[row.ID] != n || (feed.Key{Time: row.Updated, ID: row.ID}).Compare(after) <= 0 {
			return true
		}
		r.Rows = append(r.Rows, row)
		return row.Payload != nil
	}
	first := l.after(begin.Time - 1)
	for _, n := range l.ahead { // their times are later than that of their arrival
		if n < first && n >= l.base && !add(n) {
			return Recent{}, false
		}
	}
	for _, n := range l.since(first, conversations, false) {
		if !add(n) {
			return Recent{}, false
		}
	}
	slices.SortFunc(r.Rows, func(a, b feed.Row) int {
		return cmp.Or(cmp.Compare(a.Updated, b.Updated), cmp.Compare(a.ID, b.ID))
	})
	return r, true
}
