package fleet

import (
	"fmt"
	"time"
)

// ailing is a conversation whose own reads fail, while those of others are answered. It holds up
// nobody, so nothing else would show that what is new in it does not come.
type ailing struct {
	since, last time.Time
	fails       int
	err         error
	told        bool
}

// ails notes that the read of a conversation by itself has failed. It reports whether others were
// read since that happened before, so that it is this one that fails.
func (f *Fleet) ails(now time.Time, c *conv, err error) (alone bool) {
	a := f.ailing[c.id]
	if a.fails == 0 {
		a.since = now
	}
	alone = a.fails > 0 && f.readAt.After(a.last)
	a.fails, a.last, a.err = a.fails+1, now, err
	if f.ailing == nil {
		f.ailing = map[int64]ailing{}
	}
	f.ailing[c.id] = a
	return alone
}

// healed notes that it was read. What looks show is not all that is new in it.
func (f *Fleet) healed(c *conv) {
	if len(f.ailing) > 0 {
		delete(f.ailing, c.id)
	}
}

// ill reports whether its reads have failed for a while, while others were read.
func (f *Fleet) ill(now time.Time, a ailing) bool {
	return a.fails > 1 && now.Sub(a.since) >= down && f.readAt.After(a.since)
}

// fallen are the conversations of a request that has failed of which that is new.
func (f *Fleet) fallen(now time.Time, r Request) (ids []int64) {
	for _, c := range r.convs {
		if a, known := f.ailing[c.id]; known && !a.told && f.ill(now, a) {
			a.told = true
			f.ailing[c.id] = a
			ids = append(ids, c.id)
		}
	}
	return ids
}

// Failing are the conversations whose own reads have failed for a while, while others were read,
// and why; nil: there are none.
func (f *Fleet) Failing(now time.Time) (out map[int64]error) {
	for id, a := range f.ailing {
		switch {
		case f.dirty.convs[id] == nil:
			delete(f.ailing, id)
		case f.ill(now, a):
			if out == nil {
				out = map[int64]error{}
			}
			out[id] = fmt.Errorf("conversation %d: %w", id, a.err)
		}
	}
	return out
}
