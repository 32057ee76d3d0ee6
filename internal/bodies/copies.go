package bodies

import (
	"fmt"
	"hash/maphash"
	"sync"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
)

// maxCopies is how many authenticated bodies are remembered at least, and half of how
// many at most.
const maxCopies = 4096

// copies remembers which row an authenticated body was first seen in. An envelope opens
// in every row of its conversation, guid and sender, so whoever can write rows can store
// a genuine row again. Nothing in the two tells them apart, so the one that was read
// first counts: the text is shown once.
type copies struct {
	mu       sync.Mutex
	seed     maphash.Seed
	now, old map[uint64]int64 // the row of each place; old is dropped when now is full
}

// Copy returns an error if another row has opened in the same place.
func (b *Bodies) Copy(at envelope.Binding, row int64) error {
	if row <= 0 || at.GUID == "" {
		return nil // not stored, or nothing to tell rows apart by
	}
	c := &b.copies
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == nil {
		c.seed, c.now = maphash.MakeSeed(), map[uint64]int64{}
	}
	place := maphash.Comparable(c.seed, at)
	first, seen := c.now[place]
	if !seen {
		if first, seen = c.old[place]; !seen {
			first = row
		}
		if len(c.now) >= maxCopies {
			c.now, c.old = map[uint64]int64{}, c.now
		}
	}
	c.now[place] = first
	if first != row {
		return fmt.Errorf("%w: %w: it is a copy of message %d", ErrUnreadable, ErrTampered, first)
	}
	return nil
}

// Forget drops what is remembered of rows.
func (b *Bodies) Forget() {
	b.copies.mu.Lock()
	defer b.copies.mu.Unlock()
	b.copies.now, b.copies.old = nil, nil
}
