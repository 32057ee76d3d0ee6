package rows

import (
	"context"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// Find reads the rows of one conversation in an order, even if the server ignores
// order, limit or offset. It skips the rows of the offset itself. limit 0 means all; of
// rows that have more than about 256 MiB together the largest then come without their
// content and with an Err.
func (s *Source) Find(ctx context.Context, id int64, q datasource.Query, limit, offset int) ([]datasource.Entry, error) {
	if q.NoLimit = limit == 0; limit > 0 {
		q.Limit = offset + limit
	}
	keep := func(e *datasource.Entry) bool { return !deleted(e) && of(e, id) }
	for {
		rows, err := s.Client.Find(ctx, id, q)
		if tooLarge(err) {
			p := pieces{client: s.Client, id: id, q: q, keep: keep}
			if limit > 0 {
				p.skip, p.most = offset, offset+limit
			}
			rows, err = p.read(ctx, err)
			return cut(rows, id, limit, offset), err
		}
		if err != nil {
			return nil, err
		}
		full, kept := limit > 0 && len(rows) >= q.Limit, Arrange(rows, q.Order)
		rows = slices.DeleteFunc(unique(rows), func(e datasource.Entry) bool { return !keep(&e) })
		if !full || kept && len(rows) >= offset+limit {
			return cut(rows, id, limit, offset), nil
		}
		q.Limit *= 2
	}
}

// cut returns the part of the rows that was asked for.
func cut(rows []datasource.Entry, id int64, limit, offset int) []datasource.Entry {
	rows = rows[min(len(rows), offset):]
	if limit > 0 {
		rows = rows[:min(len(rows), limit)]
	}
	for i := range rows {
		rows[i].DataSourceID = id
	}
	return rows
}
