package bodies

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync"

	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// maxCopies is how many authenticated bodies are remembered at least, and half of how
// many at most.
const maxCopies = 4096

// copies remembers which row each authenticated body counts in. An envelope opens in
// every row of its conversation, guid and sender, so whoever can write rows can store a
// genuine row again. Nothing in the two tells them apart, so that one counts which all
// readers agree on: the one with the lowest id. The exception is a row that was read
// before with something else in it: it got the body later, whatever its id.
type copies struct {
	mu     sync.Mutex
	seed   maphash.Seed
	places recent[uint64, int64] // the row of each place
	rows   recent[int64, spot]   // what each row held when it was read last
}

// spot is where a row belongs. The zero spot is that of a row without an authenticated
// body.
type spot struct{ binding, place uint64 }

// Copy returns an error if the authenticated body of a row counts in another row.
// Without a guid the sealed text itself identifies the body: no two have the same nonce.
// A tombstone claims nothing.
func (b *Bodies) Copy(at envelope.Binding, sealed string, row int64, deleted bool) error {
	if row <= 0 {
		return nil // not stored
	}
	c := b.copies.Get()
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.spot(at, sealed)
	before, read := c.rows.get(row)
	moved := read && before.binding != now.binding
	if moved {
		c.release(row, before)
	}
	first, taken := c.places.get(now.place)
	switch {
	case taken && first == row:
		return nil
	case taken && (row > first || moved || deleted):
		if !moved { // else it would be forgotten that it was
			c.rows.put(row, now)
		}
		return fmt.Errorf("%w: %w: it is a copy of message %d", ErrUnreadable, ErrTampered, first)
	case !deleted:
		c.places.put(now.place, row)
		c.rows.put(row, now)
	}
	return nil
}

// Settle notes what a row holds that was opened, with or without an error, and returns
// that error, or that of a copy.
func (b *Bodies) Settle(at envelope.Binding, sealed any, row int64, deleted bool, had Protection, err error) error {
	switch {
	case err == nil && had == Authenticated:
		return b.Copy(at, wire.Text(sealed), row, deleted)
	case !deleted && !errors.Is(err, ErrKeyUnavailable):
		b.Holds(row, at, false)
	}
	return err
}

// Holds notes what a row was read with, before its message is made: the body of a
// binding, or nothing that is authenticated. What counted in it may then count in
// another row.
func (b *Bodies) Holds(row int64, at envelope.Binding, authenticated bool) {
	if b.Unsealed == nil || row <= 0 {
		return // nothing is ever authenticated
	}
	c := b.copies.Get()
	c.mu.Lock()
	defer c.mu.Unlock()
	before, read := c.rows.get(row)
	switch {
	case !authenticated:
		c.release(row, before)
		c.rows.put(row, spot{})
	case read && before.binding != c.spot(at, "").binding:
		c.release(row, before)
	}
}

// spot is where a body belongs. mu is held.
func (c *copies) spot(at envelope.Binding, sealed string) spot {
	if c.seed == (maphash.Seed{}) {
		c.seed = maphash.MakeSeed()
	}
	s := spot{binding: maphash.Comparable(c.seed, at) | 1} // not that of the zero spot
	if s.place = s.binding; at.GUID == "" {
		s.place = maphash.Comparable(c.seed, sealedIn{s.binding, sealed})
	}
	return s
}

type sealedIn struct {
	binding uint64
	sealed  string
}

// release gives up the place of a row. mu is held.
func (c *copies) release(row int64, s spot) {
	if first, taken := c.places.get(s.place); taken && first == row {
		c.places.drop(s.place)
	}
}

// Forget drops what is remembered of rows and of the caller's Keys.
func (b *Bodies) Forget() {
	if c := b.copies.Made(); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.places, c.rows = recent[uint64, int64]{}, recent[int64, spot]{}
	}
	if g := b.given.Made(); g != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.keys, g.retryAt = nil, nil
	}
}

// recent is a map of the keys that were used last: at least maxCopies of them.
type recent[K comparable, V any] struct{ now, old map[K]V }

func (r *recent[K, V]) get(k K) (V, bool) {
	v, ok := r.now[k]
	if !ok {
		if v, ok = r.old[k]; ok {
			r.put(k, v)
		}
	}
	return v, ok
}

func (r *recent[K, V]) put(k K, v V) {
	if r.now == nil || len(r.now) >= maxCopies {
		if _, there := r.now[k]; !there {
			r.now, r.old = map[K]V{}, r.now
		}
	}
	r.now[k] = v
}

func (r *recent[K, V]) drop(k K) {
	delete(r.now, k)
	delete(r.old, k)
}
