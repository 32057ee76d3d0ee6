package flipletd

import (
	"cmp"
	"slices"
	"time"
)

// index holds the versions of one source in the order of (time, id). New rows
// come last as a rule, so a sorted slice is appended to; an overtaken version
// stays behind, marked, until half of the slice is such. That makes a write
// cheap whatever the size, and a page costs its own length.
type index struct {
	key   func(*version) time.Time
	list  []*version
	stale int
}

func byUpdated(v *version) time.Time { return v.updated }
func byCreated(v *version) time.Time { return v.created }

// search is the position of the first version at or after (t, id).
func (ix *index) search(t time.Time, id int64) int {
	lo, hi := 0, len(ix.list)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if c := ix.key(ix.list[mid]).Compare(t); c < 0 || c == 0 && ix.list[mid].ID < id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// between is the part from (from, id) to the end of to; nil is no bound.
func (ix *index) between(from, to *time.Time, id int64) []*version {
	end := len(ix.list)
	if to != nil {
		end = ix.search(to.Add(time.Nanosecond), 0)
	}
	start := 0
	if from != nil {
		start = min(ix.search(*from, id), end)
	}
	return ix.list[start:end]
}

func (ix *index) add(v *version) {
	if n := len(ix.list); n == 0 || ix.before(ix.list[n-1], v) {
		ix.list = append(ix.list, v)
		return
	}
	ix.list = slices.Insert(ix.list, ix.search(ix.key(v), v.ID), v)
}

// fill makes the index that of these rows, each the newest version.
func (ix *index) fill(rows []*version) {
	ix.list = slices.Clone(rows)
	slices.SortFunc(ix.list, func(a, b *version) int {
		return cmp.Or(ix.key(a).Compare(ix.key(b)), cmp.Compare(a.ID, b.ID))
	})
}

func (ix *index) before(a, b *version) bool {
	c := ix.key(a).Compare(ix.key(b))
	return c < 0 || c == 0 && a.ID < b.ID
}

// replace puts v where old was, or leaves old behind when v sorts elsewhere.
func (ix *index) replace(old, v *version) {
	if ix.key(old).Equal(ix.key(v)) {
		for i := ix.search(ix.key(old), old.ID); i < len(ix.list) && ix.list[i].ID == old.ID; i++ {
			if ix.list[i] == old {
				ix.list[i] = v
				return
			}
		}
	}
	ix.add(v)
	if ix.stale++; ix.stale > 64 && ix.stale > len(ix.list)/2 {
		ix.list = slices.DeleteFunc(ix.list, func(v *version) bool { return v.replaced })
		ix.stale = 0
	}
}
