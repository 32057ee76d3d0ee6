package feed

import (
	"maps"
	"time"
)

// Rows say when they were created and changed. One whose time lies after the clock of
// the answer that it came with is wrong about it: stored by a server with a bad clock,
// or by somebody who wants listeners to wait for the year 2099. It is delivered as it
// is, and pages go on behind it, in the order that the server keeps. But no position
// that outlasts a page moves beyond the answer's clock. So such a row is on the last
// pages of every poll, and known there.

// tick is how coarse the clock of an answer is: an HTTP date has whole seconds.
const tick = Time(time.Second / time.Microsecond)

// skew is how far a stored position may be ahead of an answer's clock before it is
// pulled back: several machines give the dates.
const skew = 60 * tick

// future reports whether a time lies after an answer's clock; 0 is no clock.
func future(t, clock Time) bool { return clock != 0 && t > clock+tick }

// Clamp returns a time, or the answer's clock for one that lies after it.
func Clamp(t, clock Time) Time {
	if future(t, clock) {
		return clock
	}
	return t
}

// advance returns the later of two times, where one from the future counts as a minute
// before the clock: another machine may give the clock than the one that stamps rows.
func advance(position, t, clock Time) Time {
	if future(t, clock) {
		t = clock - skew
	}
	return max(position, t)
}

func (k Key) clamp(clock Time) Key {
	if future(k.Time, clock) {
		return Key{Time: clock}
	}
	return k
}

// pullBack corrects a stored position that an earlier program moved beyond the clock,
// and reports whether the page has to be asked for again.
func (r *reader) pullBack(clock Time) bool {
	if r.settled <= clock+skew {
		r.pos, r.created, r.firm = Clamp(r.pos, clock), Clamp(r.created, clock), Clamp(r.firm, clock)
		r.createdFrom, r.endSeen = Clamp(r.createdFrom, clock), Clamp(r.endSeen, clock)
		if r.settled > clock && r.phase == live {
			r.setBack(r.settled - clock + r.cfg.overlap())
			return true
		}
		return false
	}
	// The newest creation that was certainly delivered. Ids tell what else was.
	known := beginning
	for _, k := range r.mem.gone {
		if !future(k.Time, clock) {
			known = max(known, k.Time-r.cfg.overlap())
		}
	}
	floor := later(r.mem.floor, afterAll(r.settled))
	r.mem.clamp(clock)
	if r.top != 0 {
		r.mem.raise(floor, r.top) // ids tell what lies below it from what came later
	}
	r.batch.reset()
	r.polling, r.ending, r.window = false, false, window{}
	r.limit = r.cfg.PageSize
	if r.ledger == nil {
		r.phase, r.missed, known = initial, false, beginning
		r.mem.floor, r.mem.bands, r.mem.maxID = Key{Time: beginning}, nil, 0
		r.top, r.gauged = 0, r.start == FromBeginning
	} else {
		r.phase, r.missed = measuring, true
		r.at, r.seen = Key{Time: known}, known
	}
	r.settled, r.firm, r.pos, r.created = known, known, known, known
	return true
}

// clamp lowers what the memory says of forgotten rows.
func (m *memory) clamp(clock Time) {
	m.floor = m.floor.clamp(clock)
	for id, k := range maps.Clone(m.gone) {
		m.gone[id] = k.clamp(clock)
	}
	for id, k := range maps.Clone(m.floors) {
		if _, some := m.floorIDs[id]; !some { // else ids tell what came later
			m.floors[id] = k.clamp(clock)
		}
	}
	for i := range m.bands {
		m.bands[i].From, m.bands[i].To = Clamp(m.bands[i].From, clock), m.bands[i].To.clamp(clock)
	}
}

// after reports whether a row is known that was created after a time.
func (m *memory) after(t Time) bool {
	for _, v := range m.rows.all() {
		if v.created > t {
			return true
		}
	}
	return false
}
