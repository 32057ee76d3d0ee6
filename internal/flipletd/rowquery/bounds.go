package rowquery

import (
	"math"
	"slices"
	"time"
)

// Bounds is what every row matched by a filter satisfies, for an ordered
// index to skip the others. A nil field says nothing. Rows inside of the
// bounds need not match.
type Bounds struct {
	// IDs and DataSourceIDs, when not nil, hold every id that can match, in
	// ascending order and without repeats. Both are empty when no row can
	// match at all.
	IDs, DataSourceIDs []int64
	// The times are inclusive; a row whose column is NULL is outside. An
	// upper bound covers the whole of its last microsecond.
	CreatedFrom, CreatedTo, UpdatedFrom, UpdatedTo *time.Time
}

// Bounds returns what the filter implies about a matching row. It looks
// through $and, $or and $not, so the page after a row, written as
//
//	{"$or": [{"updatedAt": {"$gt": T}}, {"updatedAt": T, "id": {"$gt": N}}]}
//
// starts at T. The result belongs to the caller.
func (f *Filter) Bounds() Bounds {
	in := f.within
	if in.nothing {
		return Bounds{IDs: []int64{}, DataSourceIDs: []int64{}}
	}
	return Bounds{
		IDs:           slices.Clone(in.ids),
		DataSourceIDs: slices.Clone(in.sources),
		CreatedFrom:   in.created.start(),
		CreatedTo:     in.created.end(),
		UpdatedFrom:   in.updated.start(),
		UpdatedTo:     in.updated.end(),
	}
}

// region is a set of rows, large enough to hold those that a condition picks.
type region struct {
	nothing          bool
	ids, sources     []int64 // ascending; nil for any
	created, updated span
}

// span is a range of microseconds since 1970, both ends included.
type span struct{ from, to int64 }

var always = span{from: math.MinInt64, to: math.MaxInt64}

func everywhere() region { return region{created: always, updated: always} }
func nowhere() region    { return region{nothing: true} }

func regionIf(any bool) region {
	if any {
		return everywhere()
	}
	return nowhere()
}

// and is the overlap of two regions.
func (a region) and(b region) region {
	if a.nothing || b.nothing {
		return nowhere()
	}
	both := region{
		ids:     intersect(a.ids, b.ids),
		sources: intersect(a.sources, b.sources),
		created: a.created.and(b.created),
		updated: a.updated.and(b.updated),
	}
	if isEmpty(both.ids) || isEmpty(both.sources) || both.created.isEmpty() || both.updated.isEmpty() {
		return nowhere()
	}
	return both
}

// or is a region that holds two others.
func (a region) or(b region) region {
	switch {
	case a.nothing:
		return b
	case b.nothing:
		return a
	}
	return region{
		ids:     union(a.ids, b.ids),
		sources: union(a.sources, b.sources),
		created: a.created.or(b.created),
		updated: a.updated.or(b.updated),
	}
}

// hull joins the regions of many conditions, halving so that a long list of
// ids is sorted in merges rather than one by one.
func hull[T any](of []T, in func(T) region) region {
	switch len(of) {
	case 0:
		return nowhere()
	case 1:
		return in(of[0])
	}
	half := len(of) / 2
	return hull(of[:half], in).or(hull(of[half:], in))
}

func isEmpty(ids []int64) bool { return ids != nil && len(ids) == 0 }

func intersect(a, b []int64) []int64 {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	both := []int64{}
	for _, id := range a {
		if _, found := slices.BinarySearch(b, id); found {
			both = append(both, id)
		}
	}
	return both
}

func union(a, b []int64) []int64 {
	if a == nil || b == nil {
		return nil
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func (s span) and(o span) span { return span{from: max(s.from, o.from), to: min(s.to, o.to)} }
func (s span) or(o span) span  { return span{from: min(s.from, o.from), to: max(s.to, o.to)} }
func (s span) isEmpty() bool   { return s.from > s.to }

func (s span) start() *time.Time {
	if s.from == always.from {
		return nil
	}
	return new(time.UnixMicro(s.from).UTC())
}

func (s span) end() *time.Time {
	if s.to == always.to {
		return nil
	}
	return new(time.UnixMicro(s.to).UTC().Add(time.Microsecond - time.Nanosecond))
}

// spanOf is where a time column stands in the given relation to an instant.
func spanOf(op relation, instant int64) (span, bool) {
	switch op {
	case equal:
		return span{from: instant, to: instant}, true
	case less:
		return span{from: always.from, to: instant - 1}, true
	case lessOrEqual:
		return span{from: always.from, to: instant}, true
	case greater:
		return span{from: instant + 1, to: always.to}, true
	case greaterOrEqual:
		return span{from: instant, to: always.to}, true
	}
	return always, false
}
