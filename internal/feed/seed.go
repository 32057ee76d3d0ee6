package feed

// Resume is [Feed.Seed] for a cache that has followed the rows up to a time: every
// change up to it is in rows, or older than what they hold. The listener then does
// not begin with the newest page but goes on where the cache ends, and so also
// learns what was deleted, and what changed among rows that are not new any more.
//
// Without rows or a time it is Seed.
func (f *Feed) Resume(id ID, rows []Row, upto Time) {
	f.Seed(id, rows)
	if e := f.find(id); e != nil && e.phase == initial && len(rows) > 0 && upto > 0 {
		e.resume(rows, upto)
	}
}

// resume makes the reader one that has been live until upto.
func (r *reader) resume(rows []Row, upto Time) {
	r.phase, r.missed = live, true
	r.pos = upto
	oldest := rows[0].Created
	for i := range rows {
		r.created = max(r.created, rows[i].Created)
		oldest = min(oldest, rows[i].Created)
	}
	r.mem.raise(afterAll(oldest), 0) // unknown rows from before are history
	r.mem.atMost(rows)
	r.settle(upto - r.cfg.overlap())
}
