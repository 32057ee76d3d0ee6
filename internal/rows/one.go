package rows

import (
	"context"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// Find reads the rows of one conversation in an order, even if the server ignores
// order, limit or offset. It skips the rows of the offset itself. limit 0 means all.
func (s *Source) Find(ctx context.Context, id int64, q datasource.Query, limit, offset int) ([]datasource.Entry, error) {
	if q.NoLimit = limit == 0; limit > 0 {
		q.Limit = offset + limit
	}
	for {
		rows, err := s.Client.Find(ctx, id, q)
		if tooLarge(err) {
			rows, err = allByID(ctx, s.Client, id, q, err)
			q.Limit = 0
		}
		if err != nil {
			return nil, err
		}
		full, kept := q.Limit > 0 && len(rows) >= q.Limit, Arrange(rows, q.Order)
		rows = slices.DeleteFunc(unique(rows), func(e datasource.Entry) bool { return deleted(&e) || !of(&e, id) })
		if full && (!kept || len(rows) < offset+limit) {
			q.Limit *= 2
			continue
		}
		rows = rows[min(len(rows), offset):]
		if limit > 0 {
			rows = rows[:min(len(rows), limit)]
		}
		for i := range rows {
			rows[i].DataSourceID = id
		}
		return rows, nil
	}
}
