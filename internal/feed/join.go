package feed

import (
	"slices"
	"time"
)

// join is the reading of a conversation that the user joined after the listener began.
//
// What was created up to until is history. A listener from the beginning gets all of
// it, one from the newest page at most a page, one from now nothing; what is left out is
// a gap. What was created later is new. All of it comes before the next poll, so that
// it is in order.
type join struct {
	conversation   int64
	created, until Time
	// asked and answered are when the user's own call that joined was, on the owner's clock:
	// zero if it was somebody else's.
	asked, answered time.Time
	// back: the server's clock was set back since the user joined. Nothing that came after
	// that has a time before otherwise. If it was set back before, times after ahead and up to
	// aheadTo are of before. bound is the highest id of what came before the join, as far as
	// that was looked at.
	back           bool
	otherwise      Time
	ahead, aheadTo Time
	bound          int64
	// seen is the highest id of what is from before the join by its time, as long as the
	// clock had not been set back.
	seen int64
	// blind: the ids of the newest rows have to be looked at before more is read by creation.
	blind bool
	// at is how far the conversation was read by creation; before that is begun, its
	// newest page is read.
	at     Key
	paging bool
	limit  int
	told   bool  // of the gap
	looked bool  // at the ids of the newest rows
	left   int64 // the lowest id of what is left to the next poll; 0: nothing is
}

// newJoin is the join of a conversation, nothing of which is read.
func (r *reader) newJoin(conversation int64, until Time) join {
	return join{conversation: conversation, until: until, otherwise: endOfTime, at: Key{Time: beginning}, limit: r.cfg.PageSize}
}

func (j *join) query(s Start) Query {
	if s == FromBeginning && !j.blind || s != FromBeginning && j.paging {
		return Query{Kind: Created, Conversation: j.conversation, After: j.at, Limit: j.limit}
	}
	return Query{Kind: Newest, Conversation: j.conversation, Limit: j.limit}
}

// takeJoin takes a page of the first join.
func (r *reader) takeJoin(now time.Time, p page) {
	j := &r.joins[0]
	if p.query != j.query(r.start) {
		return // of a join that is over
	}
	if r.skips(j.conversation) {
		r.endJoin() // the one that reads it now has one of its own
		return
	}
	j.reckon(now, &p, max(p.high, r.shown), r.cfg.overlap())
	if r.start == FromBeginning {
		if j.look(p); p.query.Kind == Newest {
			j.blind, j.looked = false, true
			return
		}
		if p.full && !j.looked && !j.answered.IsZero() {
			j.blind = true // the clock may be set back while a long history is read
			if slices.ContainsFunc(p.rows, func(row Row) bool { return j.has(&row) && j.doubtful(&row) }) {
				return
			}
		}
	}
	until := j.until
	if j.back {
		until = min(until, j.otherwise-1)
	}
	if r.joined == nil {
		r.joined = map[int64]Time{}
	}
	if r.joined[j.conversation] != until {
		r.joined[j.conversation] = until
		if r.start == FromBeginning {
			r.checkpoint() // what is history stays history after a restart
		}
	}
	if p.query.Kind == Newest {
		r.takeNewest(p, j)
	} else {
		r.takeOldest(p, j)
	}
}

// takeNewest takes the newest page of a joined conversation.
func (r *reader) takeNewest(p page, j *join) {
	if p.full && !p.ordered {
		j.limit = p.query.Limit * 2
		return
	}
	j.look(p)
	first, older, again := r.survey(p, j)
	switch all := p.full && first != (Key{}) && first.Time > j.until; {
	case again:
		if older && r.start == FromNow {
			r.leaveOut(j, p.rows, j.edge(p.rows))
		}
	case all && j.created <= j.until:
		r.leaveOut(j, nil, j.edge(p.rows))
		r.mem.idsBelow(j.conversation, p)
	case r.start == FromNow && older:
		r.leaveOut(j, p.rows, j.edge(p.rows))
	case p.full && first != (Key{}) && !all:
		r.leaveOut(j, p.rows, first.clamp(p.clock))
	}
	if !p.full || first.Time <= j.until {
		r.mem.idsSeen(j.conversation, j.but(p.rows))
	}
	// From here on the conversation is read by creation, so that a listener which ends in
	// the middle of the page goes on there, whatever has been sent meanwhile.
	j.paging, j.limit = true, r.cfg.PageSize
	if j.at = (Key{first.Time, first.ID - 1}); first == (Key{}) || first.Time > j.until || r.start == FromNow {
		j.at = afterAll(j.until)
	}
	r.flush()
	r.checkpoint()
	if p.full && first.Time > j.until {
		return // more than a page has come since the user joined
	}
	for i := range p.rows {
		if row := &p.rows[i]; j.has(row) && (row.createdKey().Compare(j.at) > 0 || j.stepped(row)) {
			r.batch.byID = r.batch.byID || j.back || j.bound != 0
			if r.start == FromNow && j.stale(row) {
				r.keepOut(row)
			} else {
				r.joinRow(row, j)
			}
		}
	}
	r.endJoin()
}

// keepOut makes a row known that is not delivered, so that no poll takes it for new.
func (r *reader) keepOut(row *Row) {
	if !r.knows(row.ID) {
		r.mem.put(row)
	}
}

// has reports whether a row is a message of the joined conversation.
func (j *join) has(row *Row) bool {
	return row.Conversation == j.conversation && !row.Deleted && !row.Foreign
}

// survey looks at the newest page of a joined conversation: for the first row of it,
// whether there is history on it, and whether the user was in it before.
func (r *reader) survey(p page, j *join) (first Key, older, again bool) {
	had := r.mem.had(j.conversation)
	for i := range p.rows {
		row := &p.rows[i]
		if !j.has(row) {
			continue
		}
		if first == (Key{}) {
			first = row.createdKey()
		}
		again = again || r.mem.has(row.ID) || row.createdKey().Compare(had) <= 0
		older = older || !j.later(row)
	}
	return first, older, again
}

// joinRow takes one row of a joined conversation.
func (r *reader) joinRow(row *Row, j *join) {
	had := r.mem.gone[j.conversation]
	if r.start == FromBeginning {
		had = r.mem.had(j.conversation)
	} // else its floor is where the reading began
	if r.mem.has(row.ID) {
		r.missedChange(row)
	} else if row.createdKey().Compare(had) > 0 && !r.batch.has(row.ID) {
		r.addNew(row)
	} else if left, ok := r.left[j.conversation]; ok && r.mem.forgot(row) && row.Updated > left && row.Updated <= r.settled {
		r.batch.see(row, false)
		r.batch.updates = append(r.batch.updates, Event{Row: *row, Update: true, Changed: AllParts})
	}
}

// missedChange considers a row that the listener had before the user left. The next poll
// brings the later changes, in order.
func (r *reader) missedChange(row *Row) {
	if row.Updated <= r.settled {
		r.consider(row)
	}
}

// leaveOut makes what was created before a key history that is not loaded. newest are
// the newest rows, nil if these are not all that there are after the key.
func (r *reader) leaveOut(j *join, newest []Row, before Key) {
	if before.ID == 0 {
		r.mem.setFloor(j.conversation, afterAll(j.until))
	} else {
		r.mem.setFloor(j.conversation, Key{before.Time, before.ID - 1})
	}
	if newest != nil {
		r.mem.idsUpto(j.conversation, j.but(newest), afterAll(1<<62))
	}
	if !j.told {
		j.told = true
		r.batch.gaps = append(r.batch.gaps, Event{Gap: &Gap{
			Conversation: j.conversation, Before: before, Reason: "older history of a joined conversation was not loaded",
		}})
	}
}

// takeOldest takes a page of a joined conversation by creation.
func (r *reader) takeOldest(p page, j *join) {
	last := j.at
	firm := max(j.until, beginning+r.cfg.overlap()) - r.cfg.overlap() // what is younger may be followed by rows that are older
	for i := range p.rows {
		row := &p.rows[i]
		if k := row.createdKey(); k.Compare(j.at) > 0 && j.has(row) {
			switch last = k; {
			case j.waits(row) && r.brings(row): // behind the history, or the next ones would be before it
				j.left = lowest(j.left, row.ID)
			case r.start != FromBeginning && j.stale(row): // the gap stands for it
				r.keepOut(row)
			default:
				r.joinRow(row, j)
			}
		}
	}
	if p.full && !(p.ordered && last.Compare(p.query.After) > 0) {
		r.batch.reset()
		j.limit = p.query.Limit * 2
		return
	}
	if r.start == FromBeginning {
		r.mem.read(j.conversation, earlier(last, afterAll(firm)), j.but(p.rows))
	}
	if j.at = last; p.full {
		j.limit = r.cfg.PageSize
		r.flush()
	} else {
		r.endJoin()
	}
	// A history may be long. No poll brings these rows again unless they change.
	for i := range p.rows {
		if row := &p.rows[i]; r.start == FromBeginning && r.mem.full() && row.Created <= min(firm, last.Time-r.cfg.overlap()) && row.Updated <= r.settled {
			r.mem.forgetOne(row.ID)
		}
	}
}

// brings reports whether the next poll brings a row in any case. A backlog does not: for it
// the history of the conversation was read.
func (r *reader) brings(row *Row) bool {
	return r.phase == live && (row.Updated > r.settled || r.top != 0 && row.ID > r.top)
}

// endJoin makes the conversation one of the listener's.
func (r *reader) endJoin() {
	r.conversations.add(r.joins[0].conversation)
	r.joins = r.joins[1:]
	r.flush()
	r.joinEnd = r.queue.last
}
