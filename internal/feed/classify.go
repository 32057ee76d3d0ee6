package feed

// consider classifies one row of a change or creation page.
func (r *reader) consider(row *Row) {
	v, known := r.batch.lookup(row.ID)
	if !known {
		v, known = r.mem.lookup(row.ID)
	}
	if known {
		if !v.superseded(row) {
			return
		}
		r.batch.see(row, v.duplicate)
		if !v.duplicate && !(v.deleted && row.Deleted) {
			r.batch.updates = append(r.batch.updates, Event{Row: *row, Update: true, Deleted: row.Deleted})
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
		r.batch.see(row, false)
		r.batch.updates = append(r.batch.updates, Event{Row: *row, Update: true, Deleted: row.Deleted})
		return
	}
	// A tombstone of a message never delivered says nothing to anyone.
	if !row.Deleted {
		r.addNew(row)
	}
}

// addNew puts a message never delivered before into the batch. Of a repeated
// send, stored twice, only the row with the lowest id is shown.
func (r *reader) addNew(row *Row) {
	if r.mem.duplicate(row) {
		r.batch.see(row, true)
		return
	}
	if r.batch.mergeDuplicate(row) {
		return
	}
	r.batch.see(row, false)
	r.batch.news = append(r.batch.news, Event{Row: *row})
}
