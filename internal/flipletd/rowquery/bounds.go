package rowquery

import "time"

// Bounds is what every row matched by a filter satisfies, for an ordered
// index to skip the others. A nil field says nothing.
type Bounds struct {
	// IDs and DataSourceIDs, when not nil, hold every id that can match, in
	// ascending order and without repeats; empty means that no row can.
	IDs, DataSourceIDs []int64
	// The times are inclusive, and a row whose column is NULL is outside.
	CreatedFrom, CreatedTo, UpdatedFrom, UpdatedTo *time.Time
}

// Bounds returns what the filter implies about a matching row.
func (f *Filter) Bounds() Bounds { return Bounds{} }
