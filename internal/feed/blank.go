package feed

import (
	"slices"
	"time"
)

// Something on the way may answer with an empty list where there are rows. A listener that
// has begun with such answers does not know what was there before it. What it finds later
// tells: a message that is older than the listener by more than clocks disagree was there
// when the first page was empty. Then it begins once more, so that it gets what was there
// as it would have got it from an honest answer.

// unbelieved is how long empty answers may be wrong. After that a row with a time from
// before the listener is one of a machine with a wrong clock.
const unbelieved = 10 * time.Minute

// blankUntilNow notes whether the listener has seen no row yet.
func (r *reader) blankUntilNow(now time.Time) {
	r.blank = r.pos == beginning && r.only == 0 && now.Sub(r.subscribed) < unbelieved
}

// belied begins once more if a page shows that an empty first page was wrong. It reports
// whether it did.
func (r *reader) belied(p page) bool {
	if !r.blank || r.began == beginning || p.query.Conversation != 0 || p.query.Kind != Changes && p.query.Kind != Created {
		return false
	}
	before := false
	for i := range p.rows {
		row := &p.rows[i]
		_, joined := r.joined[row.Conversation] // what was there before a join is told by it
		before = before || max(row.Created, row.Updated) < r.began-skew && !row.Deleted && !row.Foreign && !joined && r.conversations.has(row.Conversation)
	}
	if !before {
		return false
	}
	r.batch.reset()
	r.blank, r.lied, r.polling, r.ending, r.phase, r.missed = false, true, false, false, live, true
	switch r.start {
	case FromNewest:
		r.phase, r.missed, r.limit, r.gauged = initial, false, r.cfg.PageSize, false
	case FromBeginning:
		r.polled = beginning
	}
	return true
}

// came reports whether a row came after the empty first page of a listener from now, which was
// asked for again, or after a start whose first page came late. What was stamped a little before
// an empty page may have been visible after it.
func (r *reader) came(row *Row, clock Time) bool {
	if r.start != FromNow || future(row.Created, clock) {
		return false
	}
	return r.doubted && r.firstClock != 0 && row.Created > r.firstClock-r.cfg.overlap() || r.asked != 0 && row.Created > r.asked
}

// undated reports whether no row of an answer has a time: the source gives none, or the first of all.
func undated(rows []Row) bool {
	return !slices.ContainsFunc(rows, func(row Row) bool { return row.Created > tick })
}

// late is how late the first page of a listener from now may be asked for, or come, without
// a thought of what came before it. The clock of an answer has whole seconds.
const late = 2 * time.Second

// dateStart finds out, from the first page of a listener from now, what came since it began:
// what was created after r.asked. That is never a time before the start, so what was there is
// not new. It reports whether the page is asked for again, since it took too long to tell: what
// is not on this one came after the start in any case.
func (r *reader) dateStart(now time.Time, p page) bool {
	if r.start != FromNow || r.lied || p.clock == 0 || r.firstClock != 0 {
		return false
	}
	if n := len(p.rows); !r.slow && now.Sub(p.sent) > late && n > 0 && p.rows[n-1].Created > r.began && !future(p.rows[n-1].Created, p.clock) {
		r.slow, r.asked = true, p.rows[n-1].Created
		return true
	}
	if before := p.sent.Sub(r.subscribed); before > late {
		if at := p.clock + tick - Time(before.Microseconds()); r.asked == 0 || at < r.asked {
			r.asked = at
		}
	}
	return false
}

// takeOff takes the rows that came since off a page, and reports whether there were any. They are
// no history: the next poll brings them, so that a durable listener has a position before them.
func (r *reader) takeOff(p *page) bool {
	is := func(row Row) bool { return r.came(&row, p.clock) }
	if !slices.ContainsFunc(p.rows, is) {
		return false
	}
	p.rows = slices.DeleteFunc(slices.Clone(p.rows), is)
	return true
}

// skip leaves out the rows of a page that were there when the listener began from now and
// got an empty page. There is a gap, since a machine with a wrong clock may have stored them
// later.
func (r *reader) skip(p page) {
	if !r.lied || r.start != FromNow {
		return
	}
	until := r.began - tick
	for i := range p.rows {
		row := &p.rows[i]
		if _, joined := r.joined[row.Conversation]; row.Created > until || row.Foreign || joined || !r.conversations.has(row.Conversation) {
			continue
		}
		if _, told := r.mem.floors[row.Conversation]; !told && !row.Deleted {
			r.mem.setFloor(row.Conversation, afterAll(until))
			r.push(Event{Gap: &Gap{
				Conversation: row.Conversation, Before: Key{Time: until + 1}, Reason: "the first answer hid the history of a conversation, which was not loaded",
			}})
		}
		r.mem.idsUpto(row.Conversation, p.rows[i:i+1], afterAll(until))
	}
}

// tellHidden says that older history was left out by a listener that has begun once more: if
// it was no mistake but the clock that was wrong, some of that came after the listener.
func (r *reader) tellHidden() {
	if !r.lied || r.start != FromNewest {
		return
	}
	for _, id := range r.conversations {
		r.batch.gaps = append(r.batch.gaps, Event{Gap: &Gap{
			Conversation: id, Before: Key{r.mem.floor.Time, r.mem.floor.ID + 1}, Reason: "the first answer hid the history of a conversation, of which only the newest page was loaded",
		}})
	}
}
