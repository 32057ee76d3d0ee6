package rows

import (
	"context"
	"maps"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// unchecked are the rows of an answer over all conversations. A server may answer with
// rows of other people's, so they leave the room in two ways only: through own, and
// through Answer, which tells the engine no more than their places.
type unchecked struct {
	rows    []datasource.Entry
	each    bool  // read from one conversation after the other
	doubted bool  // rows whose time has passed may be missing
	more    bool  // there may be rows behind those of one answer
	size    int64 // of the answer, in bytes
}

// own are those of the rows that match, in conversations of the user.
func (s *Source) own(ctx context.Context, w *want, u unchecked) ([]datasource.Entry, error) {
	rows := slices.DeleteFunc(u.rows, func(e datasource.Entry) bool { return !w.fits(&e) })
	foreign, err := s.foreign(ctx, rows) // rows that are left out anyway cost no request
	if err != nil {
		return nil, err
	}
	if foreign, err = s.listed(ctx, foreign); err != nil {
		return nil, err
	}
	if len(foreign) > 0 {
		rows = slices.DeleteFunc(rows, func(e datasource.Entry) bool { return foreign[e.DataSourceID] })
	}
	return rows, nil
}

// listed takes out of foreign conversations those that the list has, where one could not be
// read. A caller takes a part for all there is, while polls come again.
func (s *Source) listed(ctx context.Context, foreign map[int64]bool) (map[int64]bool, error) {
	unanswered := false
	for id := range foreign {
		unanswered = unanswered || s.Roster.Unanswered(id) != nil
	}
	if !unanswered {
		return foreign, nil
	}
	members, err := s.Members(ctx)
	if err != nil {
		return nil, err
	}
	foreign = maps.Clone(foreign)
	for _, m := range members {
		delete(foreign, m.ID)
	}
	return foreign, nil
}

// foreign returns those of the conversations of some rows that are not the user's.
func (s *Source) foreign(ctx context.Context, rows []datasource.Entry) (map[int64]bool, error) {
	seen := map[int64]struct{}{}
	var ids []int64
	for i := range rows {
		id := rows[i].DataSourceID
		if i > 0 && id == rows[i-1].DataSourceID {
			continue
		}
		if _, again := seen[id]; again {
			continue
		}
		seen[id] = struct{}{}
		if id > 0 {
			ids = append(ids, id)
		}
	}
	if len(seen) == 0 {
		return nil, nil
	}
	foreign, err := s.Roster.Foreign(ctx, ids)
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
