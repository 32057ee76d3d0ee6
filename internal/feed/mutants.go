package feed

import (
	"cmp"
	"slices"
)

// Mutant is a deliberate defect of the engine. The simulator plants each in turn
// and has to notice it: that is how we know that its silence means something.
// The zero Mutant is the engine as it is.
type Mutant uint8

const (
	_ Mutant = iota
	strictTime
	noOverlap
	settlesEarly
	ackedEarly
	acksLost
	forgetsNeeded
	tombstonesLost
	updatesNew
	twinsShown
	sortedByID
	updatesUnsorted
	endNotRead
	mendingSkipped
	joinsIgnored
	historySkipped
	historyBeforeFirst
	historyNew
	heldDropped
	gapSilent
	orderTrusted
	floorNotRaised
	bandIgnored
	tiesForgotten
	idsSeen
	hashIgnored
	staleWins
	replaysPlain
	queueUnbounded
	laggardsForgotten
	pollFromNewest
	pokeLost
	gapIgnored
	namedIgnored
	planLost
	mutants
)

// Mutants returns all defects.
func Mutants() []Mutant {
	out := make([]Mutant, 0, mutants-1)
	for m := strictTime; m < mutants; m++ {
		out = append(out, m)
	}
	return out
}

// String says what is wrong.
func (m Mutant) String() string {
	return [...]string{
		"none",
		"pages go on after a time, not after a time and an id",
		"changes are not read again for late rows",
		"a position settles before its window has passed",
		"the cursor moves before the acknowledgement",
		"acknowledgements are not read from a stored cursor",
		"versions that a poll can bring again are forgotten",
		"deletions of known messages are dropped",
		"updates are told as new messages",
		"repeated sends are told twice",
		"new messages are sorted by id alone",
		"updates are not sorted",
		"what changed while a backlog was read waits for another poll",
		"changes among the older rows are skipped after a backlog",
		"joined conversations bring no history",
		"conversations found through a message bring no history",
		"the history loaded ends before the first message found",
		"history that was not loaded is told as new",
		"rows of conversations not yet known are dropped",
		"history that was not loaded is not reported",
		"pages out of order are paged on from",
		"what is forgotten leaves no floor",
		"what a backlog forgot is told again",
		"a forgotten row takes all of its instant along",
		"imports with an id below one seen are history",
		"a second change within a timestamp is not seen",
		"an older version replaces a newer one",
		"replays are not marked",
		"a full queue does not stop the reading",
		"listeners with a full queue miss the poll for good",
		"a shared poll begins where the farthest listener is",
		"a poke does nothing",
		"pokes have no smallest distance",
		"the time named by the server is ignored",
		"no poll is planned when the last listener has no room",
	}[m]
}

// Break returns the configuration with a defect planted. Only simulations call it.
func (c Config) Break(m Mutant) Config {
	c.mutant = m
	return c
}

// is reports whether a defect is planted.
func (c *Config) is(m Mutant) bool { return c.mutant == m }

// position is where a page that ended with key k goes on.
func (c *Config) position(k Key) Key {
	if c.is(strictTime) {
		return afterAll(k.Time)
	}
	return k
}

// ackedAt is how many events must be acknowledged before a position counts.
func (c *Config) ackedAt(queued uint64) uint64 {
	if c.is(ackedEarly) {
		return 0
	}
	return queued
}

// unsort spoils the order of a batch.
func (c *Config) unsort(b *batch) {
	switch {
	case c.is(sortedByID):
		slices.SortFunc(b.news, func(x, y Event) int { return cmp.Compare(x.Row.ID, y.Row.ID) })
	case c.is(updatesUnsorted):
		slices.SortFunc(b.updates, func(x, y Event) int { return cmp.Compare(x.Row.ID, y.Row.ID) })
	}
}

// supersedes reports whether a row is a later version than one delivered.
func (r *reader) supersedes(row *Row, v version) bool {
	switch {
	case r.cfg.is(tombstonesLost) && row.Deleted, r.cfg.is(hashIgnored) && row.Updated == v.updated:
		return false
	case r.cfg.is(staleWins) && row.Updated < v.updated:
		return true
	}
	return v.superseded(row)
}
