package feed

import (
	"slices"
	"time"
)

// A server's clock may be set back shortly before a join, or between the join and the
// reading of the conversation. Times of before the join then come a second time. When that
// is known, ids tell what is what: those of what came after the join are higher than those
// of all that certainly came before it.

// believable is how far a clock is set back at most without being seen before.
const believable = 25 * 60 * 60 * tick

// reckon compares the time of the user's own join with the clock of a page. high is what
// the server's clock would show had it never been set back, as far as that is known.
func (j *join) reckon(now time.Time, p *page, high, overlap Time) {
	if j.answered.IsZero() || p.clock == 0 {
		return
	}
	stamp, least, most := j.until+1, Time(p.sent.Sub(j.answered).Microseconds()), Time(now.Sub(j.asked).Microseconds())
	clock := p.clock
	if p.latest > clock+2*tick { // it was set forward: the answers from before are still believed
		clock = p.latest
	}
	if stamp > clock+tick-least { // the page is younger than the join, and its clock is not
		j.back, j.otherwise = true, min(j.otherwise, p.clock-most-tick)
		return
	}
	if j.back {
		return
	}
	latest := max(stamp+most, p.clock, p.latest) + tick            // that anything can have which has come since
	if j.ahead, j.aheadTo = latest, high; high <= latest+overlap { // nobody has seen a later time
		j.ahead, j.aheadTo = max(latest, p.clock+skew, p.latest+skew), beginning
	}
	if most <= skew {
		j.aheadTo = max(j.aheadTo, stamp+believable) // else such a row may have come since
	}
}

func (j *join) save() savedJoin {
	s := savedJoin{j.conversation, j.created, j.until, j.at, j.paging, j.told, nil}
	if !j.answered.IsZero() || j.back {
		s.Ids = &savedIds{0, 0, j.back, j.otherwise, j.ahead, j.aheadTo, j.bound, j.seen, j.blind, j.looked}
		if !j.answered.IsZero() {
			s.Ids.Asked, s.Ids.Answered = j.asked.UnixMicro(), j.answered.UnixMicro()
		}
	}
	return s
}

func (r *reader) restoreJoin(s savedJoin) join {
	j := r.newJoin(s.Conversation, s.Until)
	j.created, j.at, j.paging, j.told = s.Created, s.At, s.Paging, s.Told
	if k := s.Ids; k != nil {
		if k.Answered != 0 {
			j.asked, j.answered = time.UnixMicro(k.Asked), time.UnixMicro(k.Answered)
		}
		j.back, j.otherwise, j.ahead, j.aheadTo = k.Back, k.Otherwise, k.Ahead, k.AheadTo
		j.bound, j.seen, j.blind, j.looked = k.Bound, k.Seen, k.Blind, k.Looked
	}
	return j
}

// setBack notes that the server's clock was set back since somebody else added the user.
func (j *join) setBack(step Time) {
	if !j.answered.IsZero() {
		return // each page tells
	}
	if j.back {
		j.otherwise -= step
	} else {
		j.otherwise = j.until - step - 2*tick
	}
	j.back, j.blind = true, true
}

// look notes the ids of what certainly came before the join.
func (j *join) look(p page) {
	for i := range p.rows {
		row := &p.rows[i]
		if !j.has(row) {
			continue
		}
		before := row.Created > j.ahead && row.Created <= j.aheadTo
		if j.back {
			before = row.Created < j.otherwise || row.Created <= j.until && future(row.Created, p.clock)
		}
		if before {
			j.bound = max(j.bound, row.ID)
		}
		if !j.back && row.Created <= j.until {
			j.seen = max(j.seen, row.ID)
		}
	}
}

// doubtful reports whether ids have to tell if a row came after the join.
func (j *join) doubtful(row *Row) bool {
	return row.Created > j.until || j.back && row.Created >= j.otherwise
}

// later reports whether a row came after the join.
func (j *join) later(row *Row) bool {
	switch {
	case !j.doubtful(row):
		return false
	case !j.back:
		return row.ID > j.bound
	}
	return row.Created > j.until || row.ID > max(j.bound, j.seen)
}

// stepped reports whether a row came after the join although its time does not say so.
func (j *join) stepped(row *Row) bool { return row.Created <= j.until && j.later(row) }

// waits reports whether a row may be left to the next poll: it came after the join although
// its time does not say so, or after such a row.
func (j *join) waits(row *Row) bool {
	return j.stepped(row) || j.left != 0 && row.ID > j.left && row.Created > j.until
}

// stale reports whether a row came before the join although its time does not say so.
func (j *join) stale(row *Row) bool { return row.Created > j.until && !j.later(row) }

// edge is the end of what came before the join, as far as rows show it.
func (j *join) edge(rows []Row) Key {
	last := j.until
	for i := range rows {
		if row := &rows[i]; j.has(row) && j.stale(row) {
			last = max(last, row.Created)
		}
	}
	return Key{Time: last + 1}
}

// but are rows without those that came after the join although their times do not say so.
func (j *join) but(rows []Row) []Row {
	if !j.back {
		return rows
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return j.stepped(&r) })
}

// beforeJoin reports whether a row of a conversation that was joined later, up to a time, came
// before the join. Ids that are higher than any seen in the join are those of later rows.
func (r *reader) beforeJoin(row *Row, until Time) bool {
	if i := slices.IndexFunc(r.joins, func(j join) bool { return j.conversation == row.Conversation }); i >= 0 {
		return !r.joins[i].later(row)
	}
	if row.Created > until {
		return false
	}
	seen, some := r.mem.floorIDs[row.Conversation]
	return !some || row.ID <= seen || r.start == FromBeginning && row.Created > until-r.cfg.overlap()
}
