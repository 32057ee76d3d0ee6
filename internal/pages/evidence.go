package pages

import (
	"slices"
	"sync"
	"time"
)

// A server, or a gateway before it, may give fewer rows than it was asked for and has, and
// not say so: at most so many rows, or so many bytes. So an answer with fewer rows than were
// asked for does not show by itself that these are all. What shows it is an answer that was
// larger: the limit of the server is at least that. An answer that is as large as any other
// is not believed, and what is behind it is asked for; an empty answer shows the end.
//
// An ordinary server pays for that with one request each time that an answer is the largest
// of all, which becomes rare at once. Few limits are sensible, so small answers that are none
// of them are believed.

const (
	// leastRows is the number of rows from which on an answer may have been cut. Smaller ones
	// may if they have one of the numbers in usual.
	leastRows = 50
	// leastBytes is the same for bytes.
	leastBytes = 256 << 10
	// period is how long what was seen counts at least, and twice as long at most: the limit
	// of a server may change.
	period = 10 * time.Minute
)

// usual are small sizes of pages that servers and gateways are set to.
var usual = [...]int{10, 20, 25, 30, 40}

// Page is the size of an answer.
type Page struct {
	Limit  int   // how many rows were asked for; 0: all
	Rows   int   // how many came, whatever they were
	Bytes  int64 // of the answer; 0: not known
	Widest int64 // about the bytes of its largest row
	Beside int64 // about the bytes of what is no row of the page, such as deleted ones, which no limit holds for
}

// Evidence is what the answers of a server to one kind of query have shown of how large
// they may be. The zero value has seen nothing. It is safe for concurrent use.
type Evidence struct {
	// Least is the smallest number of rows that an answer may have been cut to; 0: one that
	// is sensible.
	Least int

	mu          sync.Mutex
	now, before size
	since       time.Time
}

// size is the largest answer of a time.
type size struct {
	rows          int
	bytes, widest int64
}

func (s *size) grow(o size) {
	s.rows, s.bytes, s.widest = max(s.rows, o.rows), max(s.bytes, o.bytes), max(s.widest, o.widest)
}

// More notes an answer, and reports whether there may be rows behind it.
func (e *Evidence) More(at time.Time, p Page) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch age := at.Sub(e.since); {
	case age >= 2*period || age < 0:
		e.now, e.before, e.since = size{}, size{}, at
	case age >= period:
		e.now, e.before, e.since = size{}, e.now, at
	}
	seen := e.now
	seen.grow(e.before)
	e.now.grow(size{p.Rows, max(0, p.Bytes-p.Beside), p.Widest})
	switch {
	case p.Limit > 0 && p.Rows >= p.Limit:
		return true
	case p.Rows == 0:
		return false
	}
	next := p.Bytes + max(seen.widest, p.Widest) // with one row more
	return e.round(p.Rows) && p.Rows >= seen.rows || next >= leastBytes && next >= seen.bytes
}

// round reports whether an answer with so many rows may have been cut.
func (e *Evidence) round(rows int) bool {
	if e.Least > 0 {
		return rows >= e.Least
	}
	return rows >= leastRows || slices.Contains(usual[:], rows)
}
