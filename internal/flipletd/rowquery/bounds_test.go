package rowquery_test

import (
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
)

// covers reports whether an index that keeps to the bounds finds the row.
func covers(b rowquery.Bounds, r *rowquery.Row) bool {
	return (b.IDs == nil || slices.Contains(b.IDs, r.ID)) &&
		(b.DataSourceIDs == nil || slices.Contains(b.DataSourceIDs, r.DataSourceID)) &&
		inRange(b.CreatedFrom, b.CreatedTo, r.CreatedAt) &&
		inRange(b.UpdatedFrom, b.UpdatedTo, r.UpdatedAt)
}

func inRange(from, to, t *time.Time) bool {
	if t == nil {
		return from == nil && to == nil
	}
	return (from == nil || !t.Before(*from)) && (to == nil || !t.After(*to))
}
