package feed

import (
	"slices"
)

// A listener that takes nothing, since its function never returns or nobody calls its
// iterator any more, would keep a page of rows for ever. It is parked: what is queued
// behind its next event is dropped, as if it had not been read, and it holds a position
// from which all of it is found again. It asks for nothing before that event is
// acknowledged.

// Park parks a listener. It reports false, and does nothing, for one that is not only
// waiting, or has nothing to drop. detach returns what is to stay of the payload of the
// event that stays: nothing of the page that it came with.
func (f *Feed) Park(id ID, detach func(payload any) any) bool {
	e := f.find(id)
	if e == nil || f.flight != nil && slices.Contains(f.flight.readers, e) || !e.parkable() {
		return false
	}
	e.park(detach)
	f.settle()
	return true
}

// parkable reports whether all that is queued can be found again by a poll, and nothing
// else is.
func (r *reader) parkable() bool {
	// One that is parked has one event, and what a batch holds belongs to a poll or a join.
	if r.ledger != nil || r.phase != live || r.polling || r.replay || len(r.joins) > 0 || r.queue.live < 2 || len(r.mem.bands) > 0 {
		return false
	}
	if r.cfg.Apart > 0 && r.queue.rest()[0].number <= r.joinEnd {
		return false // what a join has read does not come again where conversations are read apart
	}
	head := r.queue.items[r.queue.head].Row.ID
	sends := map[originKey]bool{}
	for _, e := range r.queue.rest() {
		row := &e.Row
		if e.Gap != nil && e.Gap.Row == 0 || e.Replay || e.Reset || row.ID == head || future(row.Updated, r.pos) || future(row.Created, r.pos) ||
			e.found() <= r.mem.lost || !e.Update && r.mem.old(row) {
			return false
		}
		if row.Origin != 0 {
			sends[originKey{row.Conversation, row.Origin}] = true
		}
	}
	// Who stands in for whom, of several rows of one send, depends on the order in which
	// they were read.
	for id, v := range r.mem.rows.all() {
		k := originKey{v.conversation, v.origin}
		if (v.duplicate || r.mem.holder(k) != id) && sends[k] || v.left != 0 && sends[originKey{v.conversation, v.left}] {
			return false
		}
	}
	return true
}

// found is the time after which the changes have an event again.
func (e *Event) found() Time {
	if e.Update {
		return e.Row.Updated
	}
	return min(e.Row.Created, e.Row.Updated)
}

// rest is what is queued behind the next event.
func (q *queue) rest() []item { return q.items[q.head+1:] }

func (r *reader) park(detach func(any) any) {
	bound := r.settled
	changed := map[int64]PartSet{} // of rows with changes that are dropped
	for _, e := range r.queue.rest() {
		row := &e.Row
		v, known := r.mem.lookup(row.ID)
		switch {
		case !e.Update:
			r.mem.unsee(row.ID, v)
			r.loading = r.loading || e.History
		case known: // it has had an earlier version
			before, again := changed[row.ID]
			if !again {
				v.hash, v.deleted, v.duplicate = ^v.hash, false, false
			}
			for i := range v.parts {
				if e.Changed&^before&(1<<i) != 0 {
					v.parts[i] = ^v.parts[i]
				}
			}
			changed[row.ID] = before | e.Changed
			r.mem.rows.put(row.ID, v)
		}
		bound = min(bound, e.found()-1)
	}
	// The next poll may end before it has read all of that again, and settles no more.
	r.settled, r.pos, r.firm, r.window = bound, min(r.pos, bound), min(r.firm, bound), window{}
	head := r.queue.items[r.queue.head]
	head.Row.Payload = detach(head.Row.Payload)
	head.Row.Size = 0 // what is left of it is small
	r.queue = queue{items: []item{head}, live: 1, last: head.number}
	r.batch = batch{byID: r.batch.byID}
	// New maps have no room for what was deleted from these.
	r.mem.rows, r.mem.origins = r.mem.rows.clone(), r.mem.origins.clone()
	r.parked, r.missed = true, true
}

// unsee forgets a row as if it had not been delivered.
func (m *memory) unsee(id int64, v version) {
	m.rows.drop(id)
	if k := (originKey{v.conversation, v.origin}); m.holder(k) == id {
		m.origins.drop(k)
	}
}
