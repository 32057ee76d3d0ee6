package feed

import "time"

// State is how far a listener is, for people to look at. It has no part in anything.
type State struct {
	// Doing is "starting", "following", "measuring", "catching up" or "reading changes".
	Doing string
	// Settled: every change up to it was read, and no earlier one can become visible any
	// more. Newest is the newest change seen. 0 for none.
	Settled, Newest Time
	// Queued counts the events that wait, Room is how many fit before it is left out of the
	// polls.
	Queued, Room int
	// Aside counts the conversations that are read apart from the others.
	Aside int
	// Behind: it was left out of a poll, and reads on by itself. Parked: it has taken
	// nothing for long, and keeps a position in place of what waits.
	Behind, Parked bool
}

// Inspect says how far a listener is; the zero State if there is none.
func (f *Feed) Inspect(id ID) State {
	e := f.find(id)
	if e == nil {
		return State{}
	}
	doing := [...]string{initial: "starting", live: "following", measuring: "measuring", catching: "catching up", mending: "reading changes"}
	s := State{
		Doing: doing[e.phase], Queued: f.Pending(id), Room: f.cfg.Queue,
		Aside: f.Aside(id), Behind: e.missed, Parked: e.parked,
	}
	if e.settled != beginning {
		s.Settled = e.settled
	}
	if e.pos != beginning {
		s.Newest = e.pos
	}
	return s
}

// Due is when the next poll is to begin, unless something calls for one before.
func (f *Feed) Due() time.Time { return f.clock.next }
