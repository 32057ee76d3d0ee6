package pages

import (
	"sync"
	"time"
)

// Verified is how many rows an answer had at most that was found whole by asking for its parts.
// A smaller answer to the same kind of query is believed for a while: one of the same size may have
// been cut to it. The zero value is none. It is safe for concurrent use.
type Verified struct {
	mu   sync.Mutex
	rows int
	at   time.Time
}

// Has reports whether a larger answer than one with so many rows was found whole.
func (v *Verified) Has(now time.Time, rows int) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return rows < v.rows && now.Sub(v.at) < period
}

// Note notes an answer that was found whole.
func (v *Verified) Note(now time.Time, rows int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now.Sub(v.at) < period {
		rows = max(rows, v.rows)
	}
	v.rows, v.at = rows, now
}
