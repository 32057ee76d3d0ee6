package chat

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// This file asks each conversation by itself, through documented endpoints only.

// askAtOnce is how many conversations are asked at a time.
const askAtOnce = 8

// fetchEach is fetch without the cross-source endpoint: the page of each of the
// user's conversations, merged. The list of conversations is read every time, for
// this is the only way to hear of new ones.
func (r rowSource) fetchEach(ctx context.Context, s *session, w want) (rowPage, error) {
	sources, err := r.chat.memberships(ctx, s)
	if err != nil {
		return rowPage{}, err
	}
	var ids []int64
	for i := range sources {
		r.chat.remember(&sources[i])
		if len(w.conversations) == 0 || slices.Contains(w.conversations, sources[i].ID) {
			ids = append(ids, sources[i].ID)
		}
	}
	pages, err := r.each(ctx, ids, w)
	if err != nil {
		return rowPage{}, err
	}
	rows := slices.Concat(pages...)
	slices.SortStableFunc(rows, w.compare)
	page := rowPage{rows: rows, more: len(rows) >= w.limit}
	if page.more {
		page.rows = rows[:w.limit]
		page.next = w.key(&rows[w.limit-1])
	}
	return page, nil
}

// each reads the pages of conversations, several at a time. The first failure ends
// the others.
func (r rowSource) each(ctx context.Context, ids []int64, w want) ([][]datasource.Entry, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pages := make([][]datasource.Entry, len(ids))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(askAtOnce, len(ids)) {
		wg.Go(func() {
			for i := range next {
				var err error
				if pages[i], err = r.pageOf(ctx, ids[i], w); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range ids {
		next <- i
	}
	close(next)
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return pages, nil
}

// pageOf reads at least w.limit rows of a conversation that fit, or all there are.
// A conversation that has gone meanwhile has none.
func (r rowSource) pageOf(ctx context.Context, id int64, w want) ([]datasource.Entry, error) {
	var out []datasource.Entry
	behind := w
	for {
		rows, more, err := r.step(ctx, id, behind)
		if errors.Is(err, datasource.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		page := behind.fitting(rows, more)
		out = append(out, page.rows...)
		if !page.more || len(out) >= w.limit {
			return out, nil
		}
		behind.after = page.next
	}
}

// step reads one page behind a bound. The filters beside where are all joined with
// AND, so the rest of an instant and what lies beyond it are asked for separately.
func (r rowSource) step(ctx context.Context, id int64, w want) (rows []datasource.Entry, more bool, err error) {
	t, beyond := stamp(w.after.Time), "$gt"
	if w.newest {
		beyond = "$lt"
	}
	var queries []datasource.Query
	filter := func(time, id any) {
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
		filter(t, M{beyond: w.after.ID})
		filter(M{beyond: t}, nil)
	}
	var buried []datasource.Entry
	for _, q := range queries {
		var answer *datasource.Result
		if answer, more, err = r.ask(ctx, id, w, q); err != nil {
			return nil, false, err
		}
		rows, buried = append(rows, answer.Entries...), append(buried, answer.Deleted...)
		if more {
			break
		}
	}
	rows = unique(rows) // a server that ignores the filters sends the same twice
	if w.tombstones && !w.newest {
		graves := r.graves.rows(id, w, rows, buried)
		if more && len(rows) > 0 {
			// What lies behind the page comes with the next one.
			last := rows[len(rows)-1]
			graves = slices.DeleteFunc(graves, func(e datasource.Entry) bool { return w.compare(e, last) > 0 })
		}
		rows = append(rows, graves...)
		slices.SortStableFunc(rows, w.compare)
	}
	return rows, more, nil
}

// ask makes the request for one page. Where a full page cannot be relied on it asks
// for a wider one, which eventually holds everything.
func (r rowSource) ask(ctx context.Context, id int64, w want, q datasource.Query) (_ *datasource.Result, more bool, err error) {
	direction := datasource.Asc
	if w.newest {
		direction = datasource.Desc
	}
	q.Order = []datasource.Order{{Column: w.column, Direction: direction}, {Column: "id", Direction: direction}}
	q.Limit = w.limit
	if w.unreadBy != "" {
		q.Where = wire.UnreadByColumn(w.unreadBy)
	}
	narrow(&q, w)
	for {
		answer, err := r.chat.client.Select(ctx, id, q)
		if err != nil {
			return nil, false, err
		}
		full := len(answer.Entries) >= q.Limit
		var sound bool
		if answer.Entries, sound = w.window(answer.Entries); full && !sound {
			q.Limit *= 2
			continue
		}
		for i := range answer.Entries {
			answer.Entries[i].DataSourceID = id
		}
		return answer, full, nil
	}
}

// narrow adds the bounds that a data source's own query can apply, so that it does
// not send rows that would be dropped here.
func narrow(q *datasource.Query, w want) {
	updated := M{}
	if w.updatedTo != 0 {
		updated["$lte"] = stamp(w.updatedTo)
	}
	if w.tombstones && !w.newest && q.UpdatedAt == nil {
		updated["$gte"] = stamp(0) // only a query by updatedAt brings tombstones (documented)
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

// both joins the operators of two filters. A plain value needs no further bound.
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

// graveyard dates tombstones. The list of deleted rows in an answer is documented
// to hold their ids, and nothing else for certain; without a time a tombstone has
// no place in the order of changes, so it is given one, once.
type graveyard struct {
	mu    sync.Mutex
	dates map[int64]map[int64]feed.Time // conversation → row → date given
}

// rows are the tombstones that belong to a page of live rows behind w.after.
func (g *graveyard) rows(conversation int64, w want, live, buried []datasource.Entry) []datasource.Entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	date := w.after.Time
	if w.unbounded() {
		date = 0
	}
	for i := range live {
		date = max(date, w.key(&live[i]).Time)
	}
	if date++; w.updatedTo != 0 {
		date = min(date, w.updatedTo)
	}
	before, dates := g.dates[conversation], map[int64]feed.Time{}
	var out []datasource.Entry
	for _, e := range buried {
		if e.ID <= 0 {
			continue
		}
		e.DataSourceID = conversation
		if e.DeletedAt == nil {
			e.DeletedAt = new(time.Time) // its date is not known
		}
		if e.UpdatedAt.IsZero() {
			e.UpdatedAt = *e.DeletedAt
		}
		if !e.UpdatedAt.IsZero() {
			out = append(out, e)
			continue
		}
		if dates[e.ID] = before[e.ID]; dates[e.ID] == 0 {
			dates[e.ID] = date
		}
	}
	for id, given := range before {
		// The server's own date may lie before the page; the one given does not.
		if _, again := dates[id]; !again && (feed.Key{Time: given, ID: id}).Compare(w.after) > 0 {
			dates[id] = given
		}
	}
	for id, given := range dates {
		out = append(out, datasource.Entry{
			ID: id, DataSourceID: conversation, UpdatedAt: time.UnixMicro(int64(given)).UTC(), DeletedAt: new(time.Time),
		})
	}
	if g.dates == nil {
		g.dates = map[int64]map[int64]feed.Time{}
	}
	g.dates[conversation] = dates
	out = slices.DeleteFunc(out, func(e datasource.Entry) bool { return !w.within(&e) })
	return out
}
