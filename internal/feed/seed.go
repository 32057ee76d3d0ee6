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
	oldest, newest := rows[0].Created, beginning
	for i := range rows {
		if oldest = min(oldest, rows[i].Created); rows[i].Created <= upto {
			newest = max(newest, rows[i].Created)
		}
	}
	if newest == beginning {
		return // all of them are from the future
	}
	r.phase, r.missed, r.stored = live, true, true
	r.pos, r.created = upto, newest
	r.mem.raise(afterAll(oldest), 0) // unknown rows from before are history
	r.mem.atMost(rows)
	r.settle(upto - r.cfg.overlap())
}
