package feed

// Resume is [Feed.Seed] for a cache that has every change up to a time, except of rows
// older than its own. The listener does not begin with the newest page but resumes
// where the cache ends, so it also gets deletions, and changes of older rows.
//
// Without rows or a time it is Seed.
func (f *Feed) Resume(id ID, rows []Row, upto Time) {
	f.Seed(id, rows)
	if e := f.find(id); e != nil && e.phase == initial && len(rows) > 0 && upto > 0 {
		e.resume(rows, upto)
	}
}

// resume makes the reader one that was live until upto.
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
