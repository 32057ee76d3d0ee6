package rows

import (
	"context"
	"maps"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// foreign returns those of the conversations of some rows that are not the user's. With
// a want it looks only at rows that match it, so that rows that are left out anyway cost
// no request.
func (s *Source) foreign(ctx context.Context, rows []datasource.Entry, w *want) (map[int64]bool, error) {
	seen := map[int64]struct{}{}
	var ids []int64
	for i := range rows {
		e := &rows[i]
		if i > 0 && e.DataSourceID == rows[i-1].DataSourceID && w == nil {
			continue
		}
		if _, again := seen[e.DataSourceID]; again || w != nil && !w.fits(e) {
			continue
		}
		seen[e.DataSourceID] = struct{}{}
		if e.DataSourceID > 0 {
			ids = append(ids, e.DataSourceID)
		}
	}
	if len(seen) == 0 {
		return nil, nil
	}
	foreign, err := s.Foreign(ctx, ids)
	if err != nil {
		return nil, err
	}
	if len(foreign) > 0 {
		s.Endpoint.leaks.Store(true)
	}
	if len(seen) > len(ids) { // whose rows these are is not known
		foreign = maps.Clone(foreign)
		if foreign == nil {
			foreign = map[int64]bool{}
		}
		for id := range seen {
			foreign[id] = foreign[id] || id <= 0
		}
	}
	return foreign, nil
}

// of reports whether a row belongs to a conversation. A server may leave out what
// was asked for.
func of(e *datasource.Entry, conversation int64) bool {
	return e.DataSourceID == 0 || e.DataSourceID == conversation
}
