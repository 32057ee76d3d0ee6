package feed

import "time"

// A server's clock may be set back: by seconds when it is corrected, by hours after a
// mistake. Rows that are written then have times that polls have passed already. The
// clock of an answer shows it, held against the owner's, and positions go back by as
// much: what is read again is known, and ids tell what is new. Rows from before have
// times in the future then, see future.go.

// setBack notes the clock of an answer, and moves all listeners back if it was set
// back. sent is when the query was handed out: an answer that took long has an early
// clock.
func (f *Feed) setBack(sent, now time.Time, clock Time) bool {
	if clock == 0 {
		return false
	}
	least, most := clock-Time(now.UnixMicro()), clock+tick-Time(sent.UnixMicro())
	step := f.ahead - least
	stepped := f.dated && most+tick < f.ahead
	if f.dated && !stepped {
		least = max(least, f.ahead)
	}
	f.ahead, f.most = least, max(f.most, least)
	if !f.dated {
		f.most, f.dated = least, true
	}
	if !stepped {
		return false
	}
	for _, e := range f.readers {
		e.setBack(step)
		if e.ledger == nil || e.main != nil {
			continue
		}
		for _, p := range e.ledger.parts {
			if p.entry == nil && !p.joined {
				p.setBack(step)
			}
		}
	}
	return true
}

// setBack moves the reader back, so that it reads again what came since.
func (r *reader) setBack(step Time) {
	if r.phase == initial {
		if r.firstClock != 0 {
			r.firstClock -= step
		}
		if r.asked != 0 {
			r.asked -= step
		}
		return
	}
	if r.promise = 0; r.ledger != nil {
		r.ledger.stepped = true
	}
	r.batch.reset()
	r.batch.byID = true
	r.ending, r.needsMembers, r.blank = false, false, false // what is older than the listener may be new now
	back := func(t *Time) {
		if *t != beginning {
			*t -= step
		}
	}
	back(&r.settled)
	back(&r.pos)
	r.firm, r.created = min(r.firm, r.settled), min(r.created, r.settled)
	if step > skew { // a smaller one may be a mistake, and what is marked as history hardly matters
		back(&r.polled)
		back(&r.began)
	}
	for id := range r.joined {
		r.joined[id] -= step + 2*tick // dates have whole seconds
	}
	for i := range r.joins {
		r.joins[i].setBack(step)
	}
	r.window = window{}
	r.limit = r.cfg.PageSize
	if r.phase == live {
		r.polling, r.missed = false, true
		return
	}
	r.phase, r.unsure = measuring, true // a backlog has to be measured again
	r.at, r.seen = r.since(), r.since().Time
}
