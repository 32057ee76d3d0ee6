package feed

// join is the reading of a conversation that the user joined after the listener began.
//
// What was created up to until is history. A listener from the beginning gets all of
// it, one from the newest page at most a page, one from now nothing; what is left out is
// a gap. What was created later is new. All of it comes before the next poll, so that
// it is in order.
type join struct {
	conversation   int64
	created, until Time
	// at is how far the conversation was read by creation; before that is begun, its
	// newest page is read.
	at     Key
	paging bool
	limit  int
	told   bool // of the gap
}

func (j *join) query(s Start) Query {
	if j.paging || s == FromBeginning {
		return Query{Kind: Created, Conversation: j.conversation, After: j.at, Limit: j.limit}
	}
	return Query{Kind: Newest, Conversation: j.conversation, Limit: j.limit}
}

// takeJoin takes a page of the first join.
func (r *reader) takeJoin(p page) {
	j := &r.joins[0]
	if p.query != j.query(r.start) {
		return // of a join that is over
	}
	if r.skips(j.conversation) {
		r.endJoin() // the one that reads it now has one of its own
		return
	}
	if r.joined == nil {
		r.joined = map[int64]Time{}
	}
	r.joined[j.conversation] = j.until
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
	var oldest Key
	had, again := r.mem.had(j.conversation), false // again: the user was in it before
	older := false                                 // there is history on the page
	for i := range p.rows {
		row := &p.rows[i]
		if row.Conversation != j.conversation || row.Deleted || row.Foreign {
			continue
		}
		if oldest == (Key{}) {
			oldest = row.createdKey()
		}
		_, known := r.mem.lookup(row.ID)
		again = again || known || row.createdKey().Compare(had) <= 0
		switch older = older || row.Created <= j.until; {
		case known:
			r.missedChange(row)
		case row.createdKey().Compare(had) <= 0, r.batch.has(row.ID), r.start == FromNow && row.Created <= j.until:
		default:
			r.addNew(row)
		}
	}
	switch {
	case p.full && oldest != (Key{}) && oldest.Time > j.until && !again:
		// More than a page has come since the user joined.
		r.batch.reset()
		j.paging, j.at, j.limit = true, afterAll(j.until), r.cfg.PageSize
		if j.created <= j.until {
			r.leaveOut(j, Key{Time: j.until + 1})
			r.flush()
		}
		return
	case r.start == FromNow && older && !again:
		r.leaveOut(j, Key{Time: j.until + 1})
	case r.start == FromNow && older:
		r.mem.setFloor(j.conversation, later(r.mem.floors[j.conversation], afterAll(j.until)))
	case p.full && oldest != (Key{}) && !again:
		r.leaveOut(j, oldest.clamp(p.clock))
	}
	r.endJoin()
}

// missedChange considers a row that the listener had before the user left. The next poll
// brings the later changes, in order.
func (r *reader) missedChange(row *Row) {
	if row.Updated <= r.settled {
		r.consider(row)
	}
}

// leaveOut makes what was created before a key history that is not loaded.
func (r *reader) leaveOut(j *join, before Key) {
	if before.ID == 0 {
		r.mem.setFloor(j.conversation, afterAll(before.Time-1))
	} else {
		r.mem.setFloor(j.conversation, Key{before.Time, before.ID - 1})
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
	last, had := j.at, r.mem.had(j.conversation)
	firm := max(j.until, beginning+r.cfg.overlap()) - r.cfg.overlap() // what is younger may be followed by rows that are older
	if r.start != FromBeginning {
		had = r.mem.gone[j.conversation] // its floor is where the reading began
	}
	for i := range p.rows {
		row := &p.rows[i]
		k := row.createdKey()
		if k.Compare(j.at) <= 0 || row.Conversation != j.conversation || row.Deleted || row.Foreign {
			continue
		}
		last = k
		if _, known := r.mem.lookup(row.ID); known {
			r.missedChange(row)
		} else if k.Compare(had) > 0 && !r.batch.has(row.ID) {
			r.addNew(row)
		}
	}
	if p.full && !(p.ordered && last.Compare(p.query.After) > 0) {
		r.batch.reset()
		j.limit = p.query.Limit * 2
		return
	}
	if r.start == FromBeginning {
		r.mem.read(j.conversation, earlier(last, afterAll(firm)), p.rows)
	}
	if j.at = last; p.full {
		j.limit = r.cfg.PageSize
		r.flush()
	} else {
		r.endJoin()
	}
	// A history may be long. No poll brings these rows again unless they change.
	for i := range p.rows {
		if row := &p.rows[i]; r.mem.full() && row.Created <= min(firm, last.Time-r.cfg.overlap()) && row.Updated <= r.settled {
			r.mem.forgetOne(row.ID)
		}
	}
}

// endJoin makes the conversation one of the listener's.
func (r *reader) endJoin() {
	r.conversations[r.joins[0].conversation] = struct{}{}
	r.joins = r.joins[1:]
	r.flush()
}
