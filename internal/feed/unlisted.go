package feed

import "time"

// relist is how long the list of conversations is not asked for after a failure.
const relist = 30 * time.Second

// goOn goes on without the list of conversations, which could not be read, if an earlier
// one is known. It reports whether that can be done: what is left out of a poll comes with
// a later one, but a backlog is read once.
func (f *Feed) goOn(now time.Time) bool {
	if !f.withoutList() {
		return false
	}
	f.flight = nil
	f.roster.again = now.Add(relist)
	f.unlisted(now)
	f.settle()
	f.schedule(now)
	return true
}

// withoutList reports whether nobody needs the list now.
func (f *Feed) withoutList() bool {
	if !f.roster.loaded {
		return false
	}
	for _, e := range f.readers {
		if e.needsMembers && e.conversations != nil && e.phase != live {
			return false
		}
	}
	return true
}

// unlisted gives the readers that wait for a list the earlier one. Rows of conversations
// that it does not have are left to later polls.
func (f *Feed) unlisted(now time.Time) {
	for _, e := range f.readers {
		switch {
		case !e.needsMembers:
		case e.conversations == nil || e.phase == initial:
			e.membership(now, f.roster.members, nil)
		default:
			e.needsMembers, e.partial = false, true
			clear(e.batch.held)
			e.finish(now)
		}
	}
}
