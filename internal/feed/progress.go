package feed

import "time"

// window is a position waiting for its overlap to pass.
type window struct {
	upto    Time
	settled Time      // what was settled when it opened
	from    time.Time // on the owner's clock; only differences are used
}

func (w *window) open() bool { return !w.from.IsZero() }

// holdOrFlush delivers a page of a backlog at once, unless it has rows of unknown
// conversations.
func (r *reader) holdOrFlush() {
	if len(r.batch.held) > 0 {
		r.needsMembers = true
		return
	}
	r.flush()
}

// finish ends a paging when its batch has no held rows.
func (r *reader) finish(now time.Time) {
	if len(r.batch.held) > 0 {
		r.needsMembers = true
	}
	if r.needsMembers {
		return
	}
	r.flush()
	if !r.ending {
		return
	}
	r.ending = false
	switch r.phase {
	case catching:
		r.phase, r.limit = mending, r.cfg.PageSize
		r.ahead = r.mem.after(r.endSeen)
		r.at = r.since()
		r.from = r.at.Time
		if r.createdFrom == beginning {
			r.mended() // there are no older rows
		}
	case mending:
		r.mended()
	case live:
		r.polling, r.changing, r.loading = false, nil, false
		r.limit = r.cfg.PageSize
		r.pos = max(r.pos, r.seen)
		if r.partial {
			return // the next poll reads all of it again
		}
		r.lied = false
		if r.blank || r.polled == beginning { // not again once something has told otherwise
			r.blankUntilNow(now)
		}
		r.top = max(r.top, r.pageTop)
		if r.pollClock != 0 {
			r.polled = r.pollClock
		} else {
			r.polled = r.pos
		}
		if !r.hollow {
			r.observe(now)
		}
	}
}

// mended ends a backlog. All of it was read after its end was measured; from then on
// no row older than the window before that end could become visible. Later changes
// come with the next poll, which begins at once.
func (r *reader) mended() {
	r.phase, r.missed, r.unsure = live, true, false
	r.top = max(r.top, r.pageTop)
	r.pos = max(r.pos, r.endSeen)
	r.settle(r.endSettled())
	r.forget()
	r.checkpoint()
}

// endSettled is what is settled once a backlog is read: its end but for the window, and
// nothing if no end was seen.
func (r *reader) endSettled() Time {
	return max(r.endSeen, beginning+r.cfg.overlap()) - r.cfg.overlap()
}

func (r *reader) settle(upto Time) { r.settled = max(r.settled, upto) }

// observe settles what can be settled after a complete poll.
//
// The server's clock has reached a timestamp when an answer shows it. So every change
// one window before the newest change of the first page was visible when that page
// was read, and later pages were read later. And what was seen a window ago, by the
// local clock, was visible when the poll began. Only elapsed time counts, so a wrong
// clock does no harm.
func (r *reader) observe(now time.Time) {
	if r.first != beginning {
		r.settle(r.first - r.cfg.overlap())
	}
	if r.window.open() && r.pollBegan.Sub(r.window.from) >= r.cfg.Overlap {
		r.settle(r.window.upto)
		r.firm = max(r.firm, r.window.settled)
		r.window = window{}
	}
	if !r.window.open() && (r.pos > r.settled || r.settled > r.firm) {
		r.window = window{upto: r.pos, settled: r.settled, from: now}
	}
	r.forget()
}

// flush queues the batch for the listener: new messages in order of creation, then
// changes in order of change.
func (r *reader) flush() {
	b := &r.batch
	if b.empty() {
		return
	}
	b.sort()
	for i := range b.news {
		r.created = advance(r.created, b.news[i].Row.Created, r.clock)
	}
	if r.replay {
		if r.replayed == nil {
			r.replayed = map[int64]bool{}
		}
		for i := range b.news {
			r.replayed[b.news[i].Row.ID] = true
		}
	}
	for i := range b.updates {
		b.updates[i].Reset = r.changing[b.updates[i].Row.ID]
	}
	r.push(b.gaps...)
	r.push(b.news...)
	r.push(b.updates...)
	moved, highest := false, r.mem.highest
	for id, v := range b.seen.all() {
		if id > highest {
			r.mem.add(id, v)
		} else {
			moved = r.mem.set(id, v) || moved
		}
	}
	if moved {
		for id, v := range b.seen.all() {
			r.mem.claim(id, v) // of a send that has left its row in this very batch
		}
	}
	b.reset()
	r.forget()
	r.checkpoint()
}

// push queues events for the listener.
func (r *reader) push(events ...Event) {
	for i := range events {
		if row := &events[i].Row; row.Unreadable && !row.Deleted {
			events[i].Gap = &Gap{Conversation: row.Conversation, Row: row.ID}
		}
		events[i].from = r
	}
	r.queue.push(events...)
}

// unread reports whether a backlog has still to read a row that was seen before.
func (r *reader) unread(id int64, v version) bool {
	return r.phase == catching && Key{v.created, id}.Compare(r.at) > 0
}

// forget bounds the memory to versions that a re-read may return again.
func (r *reader) forget() {
	if r.phase == catching || r.phase == mending {
		end, from := r.endSettled(), r.createdFrom
		r.mem.forgetAbove(from, func(id int64, v version) bool {
			if _, joined := r.joined[v.conversation]; joined && r.top != 0 && id > max(r.top, r.pageTop) {
				return true // a join has read it ahead of the backlog
			}
			return v.updated > end || v.created > r.endSeen || v.created <= from || r.unread(id, v)
		})
		return
	}
	// Above top there may be rows with earlier times that are still to come.
	needed := func(id int64, v version) bool {
		return v.updated > r.firm || v.created > r.firm || r.top != 0 && id > r.top
	}
	r.mem.unband(r.firm)
	if r.cfg.Apart > 0 && r.ledger == nil {
		r.mem.forgetApart(needed)
	} else {
		r.mem.forget(needed)
	}
}
