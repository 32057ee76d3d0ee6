package feed

import "slices"

// consider classifies one row of a change or creation page.
func (r *reader) consider(row *Row) {
	if row.Foreign || r.skips(row.Conversation) {
		return
	}
	r.recall(row)
	if r.knows(row.ID) {
		v, _ := r.version(row.ID)
		if !v.superseded(row, r.clock) {
			return
		}
		// A duplicate that has become something else is a message of its own.
		duplicate := v.duplicate && (row.Deleted || row.Origin == v.origin && !r.vacant(row))
		r.batch.see(row, duplicate)
		if future(v.updated, r.clock) {
			// It would be sorted behind the change that replaces it.
			r.batch.updates = slices.DeleteFunc(r.batch.updates, func(e Event) bool { return e.Row.ID == row.ID })
		}
		if duplicate && !row.Deleted {
			r.mem.spare(row)
		} else if row.Deleted {
			r.mem.unspare(row.ID)
		}
		same := row.Hash == v.hash && row.Deleted == v.deleted && row.Unreadable == v.unreadable // written again as it was
		if !duplicate && !same && !(v.deleted && row.Deleted) {
			r.batch.updates = append(r.batch.updates, Event{Row: *row, Update: true, Changed: row.Parts.Since(v.parts), Deleted: row.Deleted})
		}
		if !v.duplicate && !row.Deleted && row.Origin != v.origin {
			r.succeed(originKey{v.conversation, v.origin})
		}
		return
	}
	if !r.conversations.has(row.Conversation) {
		// What was left out when the user joined does not tell that they have come back.
		if !row.Deleted && (!r.mem.skipped(row) || r.changed(row)) {
			r.batch.hold(row, r.at.Time)
		}
		return
	}
	if r.mem.old(row) {
		r.batch.repeats(row)
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
	if !r.unsent(row) && r.resent(row) {
		return
	}
	r.batch.see(row, false)
	r.batch.news = append(r.batch.news, Event{Row: *row, History: r.history(row)})
}

// resent deals with a row of a send that was seen before, unless it is the one to deliver.
func (r *reader) resent(row *Row) bool {
	if r.vacant(row) {
		// The send was delivered, so it is not new, but the row that it was in is not it
		// any more.
		r.batch.see(row, false)
		r.batch.updates = append(r.batch.updates, Event{Row: *row, Update: true, Changed: AllParts})
		return true
	}
	if id, ok := r.mem.delivered(row.Conversation, row.Origin); ok && id != row.ID {
		r.batch.see(row, true)
		r.mem.spare(row)
		return true
	}
	other, ok := r.batch.mergeDuplicate(row, r.history(row))
	if ok {
		r.mem.spare(other)
	}
	return ok
}

// unsent reports whether no row of a row's send was seen, which is what most are.
func (r *reader) unsent(row *Row) bool {
	k := originKey{row.Conversation, row.Origin}
	return !r.batch.origins.has(k) && !r.mem.origins.has(k)
}

// history reports whether a new row was created before the listener began, as far as its
// first reading shows it, or before the user joined.
func (r *reader) history(row *Row) bool {
	if r.batch.late[row.ID] {
		return false
	}
	if until, ok := r.joined[row.Conversation]; ok && r.beforeJoin(row, until) {
		return true
	}
	first := r.phase == initial || r.loading || r.start == FromBeginning && r.polled == beginning
	if r.lied { // some time has passed since
		return first && row.Created < r.began
	}
	return first && row.Created <= r.began+tick
}

// version is what was seen of a row last.
func (r *reader) version(id int64) (version, bool) {
	v, known := r.batch.lookup(id)
	if !known {
		v, known = r.mem.lookup(id)
	}
	return v, known
}

// knows is version for what is most often not known: a version is much to copy.
func (r *reader) knows(id int64) bool { return r.batch.has(id) || r.mem.has(id) }

// vacant reports whether the send of a row was delivered in another row that has become
// something else since. Deletion is no such change: what was deleted does not come back.
func (r *reader) vacant(row *Row) bool {
	if row.Deleted || row.Origin == 0 {
		return false
	}
	k := originKey{row.Conversation, row.Origin}
	id, ok := r.batch.origins.get(k)
	if !ok {
		if id, ok = r.mem.origins.get(k); !ok {
			return false
		}
	}
	v, known := r.version(id)
	return known && id != row.ID && v.origin != row.Origin && !v.deleted
}

// succeed delivers the duplicate of a send whose row has become something else: nobody
// may silence a message by making an older row its copy for a while.
func (r *reader) succeed(k originKey) {
	spare, ok := r.mem.spares[k]
	if !ok {
		return
	}
	delete(r.mem.spares, k)
	// The batch that it was found in may have been dropped.
	v, known := r.version(spare.ID)
	if known && v.duplicate && !v.superseded(&spare, r.clock) && v.hash == spare.Hash || !known && r.mem.forgot(&spare) {
		r.batch.see(&spare, false)
		r.batch.updates = append(r.batch.updates, Event{Row: spare, Update: true, Changed: AllParts})
	}
}
