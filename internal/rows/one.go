package rows

import (
	"context"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// Find reads the rows of one conversation in the query's order, even if the server ignores
// the condition, order, limit or offset. Of all rows, if they have more than about 256 MiB
// together, the largest come without their content and with an Err. Total is set if the
// query asks for it and it is known.
func (s *Source) Find(ctx context.Context, id int64, q datasource.Query) (datasource.Result, error) {
	q.NoLimit = q.Limit == 0
	m := match(&q)
	r := reading{client: s.Client, id: id, keep: func(e *datasource.Entry) bool {
		return !Deleted(e) && of(e, id) && m.keep(e)
	}}
	found, err := r.rows(ctx, q)
	for i := range found.Entries {
		found.Entries[i].DataSourceID = id
	}
	return found, err
}
