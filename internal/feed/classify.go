package feed

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
	// The deletion of a message that was never delivered is not delivered either.
	if !row.Deleted {
		r.addNew(row)
	}
}

// addNew adds a message that was never delivered to the batch. If a send was stored
// twice, only the row with the lowest id is delivered.
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
