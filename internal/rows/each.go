package rows

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/pages"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// fetchEach is fetch without the cross-source endpoint: it merges a page of each of
// the user's conversations that may have rows of it. It reads the list of conversations
// every time, which is the only way to find new ones.
func (s *Source) fetchEach(ctx context.Context, w want) (Page, error) {
	if w.clock == nil {
		w.clock = &clock{server: &s.time}
	}
	if w.peeks() {
		w.sight = &sight{listed: time.Now()}
	}
	if s.Named && len(w.conversations) > 0 {
		named := make([]Member, len(w.conversations))
		for i, id := range w.conversations {
			named[i].ID = id
		}
		return s.fetchOf(ctx, named, w)
	}
	members, rests := s.sick().listed()
	var err error
	if !w.partial || !rests {
		var listed []Member
		if listed, err = s.Members(ctx); err == nil {
			listed = s.keepOn(ctx, members, listed)
			s.sick().list(listed)
			return s.fetchOf(ctx, listed, w)
		}
		if !w.partial || len(members) == 0 || ctx.Err() != nil {
			return Page{}, err
		}
		s.sick().unlisted()
		if errors.Is(err, datasource.ErrNoAnswer) {
			return Page{}, err // the poll has waited long enough; the next one does without
		}
	}
	page, failed := s.fetchOf(ctx, members, w)
	if failed != nil {
		return Page{}, cmp.Or(err, failed)
	}
	page.Left.any, page.Left.err = true, err // new conversations are missing
	return page, nil
}

// fetchOf is fetchEach for these conversations of the user.
func (s *Source) fetchOf(ctx context.Context, members []Member, w want) (Page, error) {
	if page, ok, err := s.fetchSome(ctx, members, w); ok {
		return page, err
	}
	if len(w.conversations) > 0 {
		members = slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return !slices.Contains(w.conversations, m.ID) })
	}
	if err := s.peek(ctx, members, &w); err != nil {
		return Page{}, err
	}
	var ids []int64
	for _, m := range members {
		ids = append(ids, m.ID)
	}
	got, err := s.concurrently(ctx, ids, w)
	if err != nil {
		return Page{}, err
	}
	rows := got.rows
	if w.peeks() {
		newest := map[int64][]feed.Key{}
		for i := range rows { // the latest change is the last one
			newest[rows[i].DataSourceID] = []feed.Key{w.key(&rows[i])}
		}
		_ = s.stands(members, newest, w.sight.listed)
	}
	page := w.page(rows, got.cut)
	page.Left, page.doubted = got.left, w.peeks() && w.sight.doubted.Load()
	return page, nil
}

// page is the page that begins with these rows, the first of those that there are. cut: there
// may be more although these are fewer than the limit.
func (w *want) page(rows []datasource.Entry, cut bool) Page {
	page := Page{Rows: rows, More: cut && len(rows) > 0 || len(rows) >= w.limit}
	if page.More {
		page.Next = w.end(rows)
	}
	return page
}

// gone reports whether an error says that a conversation was deleted.
func (s *Source) gone(err error, w want) bool {
	answer, ok := errors.AsType[*datasource.Error](err)
	return ok && !w.partial && errors.Is(err, datasource.ErrNotFound) && answer.Coded()
}

// pageOf reads at least w.limit matching rows of a conversation, or all of them, or as many as
// a page should have bytes. more: there may be others behind these. A
// conversation that was deleted meanwhile has none. Only the service can say so, and for a
// poll the next list says it.
func (s *Source) pageOf(ctx context.Context, id int64, w want) (out []datasource.Entry, more bool, err error) {
	behind, weight, most := w, 0, pages.Aim
	if w.large {
		most = maxPage
	}
	for {
		rows, more, err := s.step(ctx, id, behind)
		if s.gone(err, w) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		page := behind.fitting(rows, more)
		out = append(out, page.Rows...)
		for i := range page.Rows {
			weight += rowWeight(&page.Rows[i])
		}
		if !page.More || len(out) >= w.limit || weight > most {
			return out, page.More || len(out) >= w.limit, nil
		}
		if page.Next == behind.after {
			return nil, false, Unordered(ErrCut)
		}
		behind.after = page.Next
	}
}

// step reads one page after a bound. The filters beside where are joined with AND, so
// the other rows of the bound's timestamp and the rows after it take two requests.
func (s *Source) step(ctx context.Context, id int64, w want) (rows []datasource.Entry, more bool, err error) {
	t, beyond := stamp(w.after.Time), "$gt"
	if w.newest {
		beyond = "$lt"
	}
	var queries []datasource.Query
	filter := func(time any, bound M) {
		var id any
		if w.above != 0 && bound == nil {
			bound = M{"$gt": w.above}
		}
		if bound != nil {
			id = bound
		}
		q := datasource.Query{ID: id}
		if w.column == updatedAt {
			q.UpdatedAt = time
		} else {
			q.CreatedAt = time
		}
		queries = append(queries, q)
	}
	switch {
	case w.unbounded():
		filter(nil, nil)
	case !w.newest && w.after.WholeInstant():
		filter(M{"$gt": t}, nil)
	case !w.newest && w.after.ID == 0:
		filter(M{"$gte": t}, nil)
	default:
		filter(t, M{beyond: max(w.after.ID, w.above)})
		filter(M{beyond: t}, nil)
	}
	var gone []datasource.Entry
	for _, q := range queries {
		var answer *datasource.Result
		if answer, more, err = s.askOne(ctx, id, w, q); err != nil {
			return nil, false, err
		}
		rows, gone = append(rows, answer.Entries...), append(gone, answer.Deleted...)
		if more {
			break
		}
	}
	rows = unique(rows) // a server that ignores the filters sends duplicates
	if w.deletions && !w.newest {
		dated := s.dates.rows(id, w, rows, gone)
		if more && len(rows) > 0 {
			// Rows after the page come with the next one.
			last := rows[len(rows)-1]
			dated = slices.DeleteFunc(dated, func(e datasource.Entry) bool { return w.compare(e, last) > 0 })
		}
		rows = append(rows, dated...)
		slices.SortStableFunc(rows, w.compare)
	}
	return rows, more, nil
}

// askOne reads one page. If a full page is not reliable it asks for a larger one,
// which in the end holds everything. If an answer is too large it asks for fewer rows.
func (s *Source) askOne(ctx context.Context, id int64, w want, q datasource.Query) (_ *datasource.Result, more bool, err error) {
	direction := datasource.Asc
	if w.newest {
		direction = datasource.Desc
	}
	q.Order = []datasource.Order{{Column: w.column, Direction: direction}, {Column: "id", Direction: direction}}
	wanted := w.limit
	if w.unreadBy != "" {
		q.Where = wire.UnreadByColumn(w.unreadBy)
	}
	narrow(&q, w)
	sent := w
	sent.match = nil // it is looked at here only
	for {
		began := time.Now()
		answer, large, err := Paced(ctx, s.Client, &s.Endpoint.one, id, &q, wanted)
		if err != nil {
			return nil, false, err
		}
		w.clock.note(answer.Answered, began)
		full := len(answer.Entries) >= q.Limit
		answer.More = answer.More && (full || !s.wholeOne(ctx, id, w, answer))
		if answer.More && !identified(answer.Entries) {
			return nil, false, errNoIDs
		}
		if !full && sent.strange(answer.Entries) {
			if large != nil {
				return nil, false, Unordered(large)
			}
			answer.Entries, answer.More, err = w.readOn(answer.Entries, func(offset int) ([]datasource.Entry, error) {
				q.Offset = offset
				return s.Client.Find(ctx, id, q)
			})
			if err != nil {
				return nil, false, err
			}
		}
		before := answer.Entries
		if answer.More && !full {
			before = slices.Clone(before)
		}
		var sound bool
		if answer.Entries, sound = w.window(answer.Entries); answer.More && !sound {
			if large != nil || full && q.Limit < wanted {
				return nil, false, Unordered(cmp.Or(large, ErrCut))
			}
			if full {
				wanted *= 2
				continue
			}
			q.Offset = len(before)
			behind, err := s.Client.Find(ctx, id, q)
			if q.Offset = 0; err != nil {
				return nil, false, err
			}
			if unseen(before, behind) {
				return nil, false, Unordered(ErrCut)
			}
			answer.More = false
		}
		answer.Entries = slices.DeleteFunc(answer.Entries, func(e datasource.Entry) bool { return !of(&e, id) })
		for i := range answer.Entries {
			answer.Entries[i].DataSourceID = id
		}
		return answer, answer.More, nil
	}
}

// narrow adds the bounds that the query of one data source has, so that the server
// does not send rows that would be dropped here.
func narrow(q *datasource.Query, w want) {
	updated := M{}
	if w.updatedTo != 0 {
		updated["$lte"] = stamp(w.updatedTo)
	}
	if w.deletions && !w.newest && q.UpdatedAt == nil {
		updated["$gte"] = stamp(0) // only a query by updatedAt returns deletions
	}
	q.UpdatedAt = both(q.UpdatedAt, updated)
	created := M{}
	if w.createdTo != 0 {
		created["$lte"] = stamp(w.createdTo)
	}
	q.CreatedAt = both(q.CreatedAt, created)
	if w.match == nil {
		return
	}
	for _, f := range [...]struct {
		filter *any
		name   string
	}{{&q.ID, "id"}, {&q.CreatedAt, createdAt}, {&q.UpdatedAt, updatedAt}} {
		if bound := w.match.Bounds[f.name]; *f.filter == nil && bound != nil {
			*f.filter = bound
		}
	}
}

// both joins the operators of two filters. A plain value is left as it is.
func both(filter any, more M) any {
	if len(more) == 0 {
		return filter
	}
	switch f := filter.(type) {
	case nil:
		return more
	case M:
		joined := maps.Clone(f)
		maps.Copy(joined, more)
		return joined
	}
	return filter
}
