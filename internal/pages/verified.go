package pages

import (
	"maps"
	"sync"
	"time"
)

// Verified are answers that were found whole by asking for their parts. The same answer is
// believed for a while, and so is a smaller one to the same kind of query: another one of the same
// size may have been cut to it. The zero value is none. It is safe for concurrent use.
type Verified struct {
	mu   sync.Mutex
	rows int
	at   time.Time
	same map[uint64]time.Time // when it was found whole, by a sum of the answer
}

// mostSame is how many answers are remembered.
const mostSame = 1024

// Has reports whether an answer with so many rows and this sum, or one with more rows, was found
// whole.
func (v *Verified) Has(now time.Time, rows int, sum uint64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	at, same := v.same[sum]
	return same && now.Sub(at) < period || rows < v.rows && now.Sub(v.at) < period
}

// Note notes an answer that was found whole.
func (v *Verified) Note(now time.Time, rows int, sum uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.same) >= mostSame {
		maps.DeleteFunc(v.same, func(_ uint64, at time.Time) bool { return now.Sub(at) >= period/2 })
	}
	if len(v.same) >= mostSame {
		clear(v.same)
	}
	if v.same == nil {
		v.same = map[uint64]time.Time{}
	}
	v.same[sum] = now
	if now.Sub(v.at) < period {
		rows = max(rows, v.rows)
	}
	v.rows, v.at = rows, now
}
