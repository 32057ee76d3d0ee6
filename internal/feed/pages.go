package feed

import "time"

// page is one answer, sorted ascending by the query's key.
type page struct {
	query   Query
	rows    []Row
	ordered bool    // the rows came in the requested order
	full    bool    // there may be more
	short   bool    // so there may, although these are fewer rows than were asked for
	partial bool    // rows are missing
	without []int64 // of these conversations, at least
	clock   Time    // of the server; 0 if it is not known
	latest  Time    // what this answer says of it, were the machine that gives it ahead of others
	sent    time.Time
	high    Time  // what the clock would show had it never been set back; 0 if it is not known
	upto    int64 // rows with a higher id may be missing if their time has passed; 0: none is
	since   origin
}

// origin is the moment from which the oldest part of an answer is, on the owner's clock
// and on the server's. The zero value: all of it is of the moment of the query.
type origin struct {
	asked time.Time
	clock Time
}

func (r *reader) take(now time.Time, p page) {
	if r.clock = p.clock; r.stored && p.clock != 0 {
		r.stored = false
		if r.pullBack(p.clock) {
			return
		}
	}
	if r.began == beginning && p.clock != 0 {
		r.began = p.clock - Time(now.Sub(r.subscribed).Microseconds())
	}
	if r.belied(p) {
		return
	}
	r.skip(p)
	switch {
	case len(r.joins) > 0 && p.query.Conversation != 0 && (r.only == 0 || p.query == r.joins[0].query(r.start)):
		r.takeJoin(now, p)
	case p.query.Kind == Latest:
		r.takeLatest(p)
	case p.query.Kind == Created:
		r.takeCreated(now, p)
	case p.query.Kind == Changes:
		r.takeChanges(now, p)
	case r.phase == initial:
		r.takeInitial(now, p)
	default:
		r.takeReplay(p)
	}
}

// unreliable reports whether a full page cannot be continued, and makes the next one
// larger. After a page that is out of order, or ends where it began, missing rows can
// be anywhere; a larger page holds everything in the end.
func (r *reader) unreliable(p page, last Key) bool {
	if !p.full || p.ordered && last.Compare(p.query.After) > 0 {
		return false
	}
	r.limit, r.jumbled = p.query.Limit*2, 0
	if len(p.rows) > 0 {
		r.jumbled = mostEmptied
	}
	return true
}

// mostEmptied is how often an answer is not believed that has no rows after a page that had some. They
// may be gone.
const mostEmptied = 3

// emptied reports whether an answer has no rows after a page that could not be continued, so that it
// lacks what that had. It is asked for again: what the page had would be delivered without what comes
// before it.
func (r *reader) emptied(p page) bool {
	if len(p.rows) > 0 || r.jumbled == 0 {
		r.jumbled = 0
		return false
	}
	r.jumbled--
	return true
}

func (r *reader) takeInitial(now time.Time, p page) {
	if p.full && !p.ordered {
		r.limit = p.query.Limit * 2
		return
	}
	if r.start == FromNow && undated(p.rows) {
		p.rows, p.full = nil, false // all there is would be new: it says no more than an empty page
	}
	if r.dateStart(now, p) {
		return
	}
	if len(p.rows) == 0 && !r.doubted && len(r.conversations) > 0 && r.before == (Key{}) {
		r.doubted, r.firstClock = true, p.clock // something on the way may have answered: all there is would be new
		return
	}
	if r.lied && p.full && p.rows[0].Created >= r.began {
		r.limit = p.query.Limit * 2 // all of them have come since the listener began
		return
	}
	// Rows from the future may be many. They are read to find where real times begin; what
	// goes beyond a collection of them is history, of which only ids are kept. So is what came
	// after an empty first page, to find where history ends, if there is any.
	var oldest Key
	if p.full {
		oldest = p.rows[0].createdKey()
	}
	ahead := p.full && (future(oldest.Time, p.clock) || r.came(&p.rows[0], p.clock))
	came := r.takeOff(&p)
	for i := range p.rows {
		row := &p.rows[i]
		r.pos = advance(r.pos, row.Updated, p.clock)
		r.created = advance(r.created, row.Created, p.clock)
		if row.Foreign {
			continue
		}
		r.conversations.add(row.Conversation)
		switch {
		case row.Deleted:
		case r.start == FromNow || ahead && r.batch.pending() >= r.cfg.Collect:
			r.mem.put(row)
		default:
			r.consider(row)
		}
	}
	if ahead {
		if r.firstClock == 0 {
			r.firstClock = p.clock
		}
		r.before, r.limit = oldest, r.cfg.PageSize // none that tells where others are
		return
	}
	if p.full {
		r.mem.floor = Key{p.rows[0].Created, p.rows[0].ID - 1}
		if r.start == FromNow {
			newest := p.rows[0].Created
			for i := range p.rows {
				if t := p.rows[i].Created; !future(t, p.clock) {
					newest = t
				}
			}
			r.mem.floor = afterAll(newest)
		}
		r.mem.atMost(p.rows)
		r.tellHidden()
	}
	r.top = highest(r.top, p.rows)
	r.gauged = r.top == 0 // there are no rows
	r.checkpointInitial(p)
	if r.before != (Key{}) || came { // what changed since the first page is not on these pages
		r.pos, r.missed = min(r.pos, r.firstClock), true
		if r.asked != 0 {
			r.pos = min(r.pos, r.asked)
		}
	}
	r.phase, r.limit, r.first, r.lied = live, r.cfg.PageSize, r.pos, false
	r.blankUntilNow(now)
	r.polled = p.clock
	if p.clock == 0 {
		r.polled = r.pos
	}
	r.observe(now)
	r.flush()
	r.checkpoint()
}

// takeChanges reads one page in order of change: the poll of a live reader, or
// the last step of a backlog.
func (r *reader) takeChanges(now time.Time, p page) {
	if r.emptied(p) {
		return
	}
	last := r.at
	r.pageFrom = r.at
	r.partial = r.partial || p.partial
	for _, id := range p.without {
		if r.without == nil { // seldom there are any
			r.without = map[int64]bool{}
		}
		r.without[id] = true
		r.batch.leave(id) // its earlier rows come with those that are missing, in order
	}
	first := r.phase == live && r.at == r.since()
	if first && p.query.Beyond != 0 && !r.gauge(now, p) {
		return
	}
	for i := range p.rows {
		row := &p.rows[i]
		k := row.UpdatedKey()
		if first && k.Compare(r.at) <= 0 && !r.without[row.Conversation] {
			r.late(row)
		}
		if k.Compare(r.at) <= 0 || r.phase == mending && row.Created > r.createdFrom && !future(row.Created, p.clock) && !(r.ahead && r.knows(row.ID)) ||
			p.query.UpdatedTo != 0 && row.Updated > p.query.UpdatedTo {
			if p.short { // a larger page would have no more
				last = later(last, k)
			}
			continue
		}
		if r.without[row.Conversation] { // earlier rows of it must not come after later ones
			last = k
			continue
		}
		r.consider(row)
		last, r.seen = k, advance(r.seen, k.Time, p.clock)
	}
	if first && r.passes(p, last) || r.unreliable(p, last) {
		return
	}
	r.at = last
	if r.first == beginning {
		r.first, r.pollClock = r.seen, p.clock
	}
	if old := p.since; !old.asked.IsZero() { // what came since is not in that part
		r.first, r.pollClock = min(r.first, old.clock), min(r.pollClock, old.clock)
		if old.asked.Before(r.pollBegan) {
			r.pollBegan = old.asked
		}
	}
	if first && p.query.From == (Key{}) {
		r.pageTop = r.reached(p)
		r.hollow = len(p.rows) == 0 && (r.pos > r.settled || !r.batch.empty())
	}
	switch {
	case !p.full:
		r.ending = true
		r.finish(now)
	case r.phase == mending:
		r.holdOrFlush()
	case r.batch.pending() == 0:
		r.flush()
	case (r.batch.pending()+len(r.batch.updates) > r.cfg.Collect || r.batch.size() > r.cfg.Bytes || r.everything(p)) && !r.batch.holdsLate():
		// Too many to hold until the end of the poll. The batch is dropped, so the
		// backlog delivers its rows, in order of creation.
		r.abandon()
		r.polling, r.phase, r.partial, r.without = false, measuring, false, nil
	}
}

// everything reports whether a poll is the first reading of all there is, which is more
// than a page, for certain. What it would read before it is too much would be read again. A durable
// listener has a position behind what it has read, and reads everything once.
func (r *reader) everything(p page) bool {
	return r.start == FromBeginning && r.settled == beginning && r.ledger == nil && p.query.First && !r.partial && !p.short
}

func (r *reader) takeLatest(p page) {
	if r.doubted = len(p.rows) == 0 && !r.doubted; r.doubted {
		return // there are rows, or this would be no backlog
	}
	r.end, r.endSeen = r.at.Time, r.seen // where the abandoned poll was, if the answer is empty
	for i := range p.rows {
		r.end, r.endSeen = max(r.end, p.rows[i].Updated), advance(r.endSeen, p.rows[i].Updated, p.clock)
	}
	// Of rows with such times a later one may be behind an earlier one that is not read.
	r.unsure = r.unsure || future(r.end, p.clock)
	r.createdFrom, r.pageTop = max(r.created, r.settled), r.top
	r.phase, r.limit = catching, r.cfg.PageSize
	r.at = r.since()
	r.from = r.at.Time
}

func (r *reader) takeCreated(now time.Time, p page) {
	if r.emptied(p) {
		return
	}
	last, newer := r.at, false
	r.pageFrom = r.at
	for i := range p.rows {
		row := &p.rows[i]
		k := row.createdKey()
		if k.Compare(r.at) <= 0 {
			continue
		}
		last = k
		if min(row.Created, row.Updated) > r.end && !future(row.Created, p.clock) && (p.ordered || !p.full) {
			// Newer than the backlog, so left for the next poll or backlog: a reader that
			// is slower than the writers must not remember all their rows.
			newer = true
			continue
		}
		if min(row.Created, row.Updated) <= r.end && !r.unsure { // it was there when the end was measured
			r.pageTop = max(r.pageTop, row.ID)
		}
		// Known rows and history come in the next step, in order of change.
		if row.Deleted || r.batch.has(row.ID) {
			continue
		}
		if r.mem.old(row) {
			r.batch.stands(row)
			continue
		}
		if !r.mem.has(row.ID) {
			r.consider(row)
		}
	}
	switch {
	case newer && p.clock == 0:
		p.full = false
	case newer && p.full:
		last = later(last, afterAll(p.clock)) // what is left of the backlog is from the future
	}
	if r.unreliable(p, last) {
		return
	}
	r.at = last
	r.ending = !p.full
	if r.ending {
		r.finish(now)
		return
	}
	r.holdOrFlush()
}

func (r *reader) takeReplay(p page) {
	for i := range p.rows {
		row := &p.rows[i]
		v, known := r.mem.lookup(row.ID)
		joined := r.conversations.has(row.Conversation)
		switch {
		case row.Deleted || row.Foreign || !joined || r.skips(row.Conversation) || r.replayed[row.ID] || known && v.duplicate:
		case known && (row.Updated != v.updated || v.superseded(row, r.clock)):
			if r.changing == nil {
				r.changing = map[int64]bool{}
			}
			r.changing[row.ID] = true // the poll brings it
		case known || r.mem.old(row):
			r.push(Event{Row: *row, Replay: true})
		}
	}
	r.replay, r.replayed = false, nil
}
