package feed

import "slices"

// consider classifies one row of a change or creation page.
func (r *reader) consider(row *Row) {
	if row.Foreign {
		return
	}
	v, known := r.batch.lookup(row.ID)
	if !known {
		v, known = r.mem.lookup(row.ID)
	}
	if known {
		if !v.superseded(row, r.clock) {
			return
		}
		r.batch.see(row, v.duplicate)
		if future(v.updated, r.clock) {
			// It would be sorted behind the change that replaces it.
			r.batch.updates = slices.DeleteFunc(r.batch.updates, func(e Event) bool { return e.Row.ID == row.ID })
		}
		if !v.duplicate && !(v.deleted && row.Deleted) {
			r.batch.updates = append(r.batch.updates, Event{Row: *row, Update: true, Changed: row.Parts.since(v.parts), Deleted: row.Deleted})
		}
		return
	}
	if _, ok := r.conversations[row.Conversation]; !ok {
		if !row.Deleted {
			r.batch.hold(row, r.at.Time)
		}
		return
	}
	if r.mem.old(row) {
		r.batch.see(row, row.Deleted) // the end of one row does not hide another of its send
		if r.changed(row) {
			r.batch.updates = append(r.batch.updates, Event{Row: *row, Update: true, Changed: AllParts, Deleted: row.Deleted})
		}
		return
	}
	// The deletion of a message that was never delivered is not delivered either.
	if !row.Deleted {
		r.addNew(row)
	}
}

// changed reports whether a row of which no version was delivered has changed since the
// listener began and the user joined. Some tombstones have no time.
func (r *reader) changed(row *Row) bool {
	since := r.began
	if r.start == FromBeginning {
		since = beginning // it was delivered and forgotten
	}
	if until, ok := r.joined[row.Conversation]; ok {
		since = max(since, until)
	}
	return row.Deleted || row.Updated != row.Created && row.Updated >= since
}

// addNew adds a message that was never delivered to the batch. If a send was stored
// twice, only the row with the lowest id is delivered.
func (r *reader) addNew(row *Row) {
	if r.mem.duplicate(row) {
		r.batch.see(row, true)
		return
	}
	if r.batch.mergeDuplicate(row, r.history(row)) {
		return
	}
	r.batch.see(row, false)
	r.batch.news = append(r.batch.news, Event{Row: *row, History: r.history(row)})
}

// history reports whether a new row was created before the listener began, as far as its
// first reading shows it, or before the user joined.
func (r *reader) history(row *Row) bool {
	if until, ok := r.joined[row.Conversation]; ok && row.Created <= until {
		return true
	}
	first := r.phase == initial || r.start == FromBeginning && r.polled == beginning
	return first && row.Created <= r.began+tick
}
