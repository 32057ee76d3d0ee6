package feed

import (
	"slices"
	"time"
)

// Ids grow even when times do not. A row that is stored while a server's clock is
// behind, or by the one of several machines whose clock is, has a time that polls have
// passed. Its id tells that it is new, and each poll asks for such rows, too.
//
// Only new rows have a new id: what was changed by such a clock is found when the clock of
// answers shows the step as well, see step.go.

// lowest returns the lower of two bounds, of which 0 is none.
func lowest(a, b int64) int64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// highest returns the highest id of rows, at least n.
func highest(n int64, rows []Row) int64 {
	for i := range rows {
		n = max(n, rows[i].ID)
	}
	return n
}

// gauge notes the highest id there is before the first poll: what came before the listener
// is not new, whatever its time is. What may have come since counts as new. It reports
// false while there are more such rows than a page has.
func (r *reader) gauge(now time.Time, p page) bool {
	if r.gauged {
		return true
	}
	early := func(row *Row) bool { return row.ID > r.top && row.UpdatedKey().Compare(r.at) <= 0 }
	newest, passed, all := beginning, r.top, true
	for i := range p.rows {
		if row := &p.rows[i]; early(row) {
			newest = max(newest, row.Updated)
		} else {
			all = false
		}
	}
	since := newest - Time(now.Sub(r.subscribed).Microseconds()) - tick
	for i := range p.rows {
		if row := &p.rows[i]; early(row) && row.Updated < since {
			passed = max(passed, row.ID)
		}
	}
	again := p.full && all && passed > r.top
	r.top, r.gauged = passed, !again
	return !again
}

// late considers a row whose time the poll has passed.
func (r *reader) late(row *Row) {
	if r.top == 0 || row.ID <= r.top || row.Deleted || row.Foreign || r.skips(row.Conversation) {
		return
	}
	if r.knows(row.ID) || r.conversations.has(row.Conversation) && r.mem.old(row) {
		return
	}
	if r.batch.late == nil {
		r.batch.late = map[int64]bool{}
	}
	r.batch.late[row.ID] = true
	r.batch.byID = r.batch.byID || row.Updated < r.at.Time-skew
	r.consider(row)
}

// passes reports whether a page ends among rows whose time has passed although there may be
// more of them, and the page cannot be larger. Then the poll goes on behind it.
func (r *reader) passes(p page, last Key) bool {
	if !p.short || !p.ordered || last.Compare(r.at) > 0 {
		return false
	}
	end := p.rows[len(p.rows)-1].UpdatedKey()
	if end.Compare(p.query.From) <= 0 {
		return false
	}
	if r.passed = end; p.query.From == (Key{}) {
		r.pageTop = r.reached(p)
	}
	return true
}

// reached is the highest id of which a poll has read all that came before it. The first
// row of all is not before any other.
func (r *reader) reached(p page) int64 {
	r.high = highest(r.high, p.rows)
	if p.upto == 0 || r.top == 0 {
		return highest(r.top, p.rows)
	}
	return max(r.top, min(r.high, p.upto))
}

// holdsLate reports whether such a row waits for its conversation to be known.
func (b *batch) holdsLate() bool {
	for _, h := range b.held {
		if slices.ContainsFunc(h.rows, func(r Row) bool { return b.late[r.ID] }) {
			return true
		}
	}
	return false
}

// abandon drops the batch of a poll for a backlog, which reads its rows by their time. It
// does not find those whose time has passed, so these are delivered first.
func (r *reader) abandon() {
	var late []Event
	for _, e := range r.batch.news {
		if r.batch.late[e.Row.ID] {
			late = append(late, e)
		}
	}
	r.batch.reset()
	if len(late) == 0 {
		return
	}
	for i := range late {
		r.batch.see(&late[i].Row, false)
	}
	r.batch.news = append(r.batch.news, late...)
	r.flush()
}
