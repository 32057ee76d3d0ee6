package chat

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// rowSource reads rows of all the user's conversations at once: through the
// cross-source endpoint, of which little is published, and on a server that does
// not have it through documented endpoints, one conversation after another.
type rowSource struct {
	chat *Chat
	// without: this server has no cross-source endpoint.
	without *atomic.Bool
	graves  *graveyard
}

func newRowSource(c *Chat) rowSource {
	return rowSource{chat: c, without: new(atomic.Bool), graves: &graveyard{}}
}

// The columns that rows are read in the order of, each together with the id.
const (
	createdAt = "createdAt"
	updatedAt = "updatedAt"
)

// want is one page of rows, in the order of a time and the id.
type want struct {
	column string
	newest bool // newest first
	// after is the exclusive bound where the page begins, in its order.
	after         feed.Key
	conversations []int64 // none: all of the user
	// What the rows must fulfil.
	updatedTo, createdTo feed.Time // inclusive; 0: no bound
	unreadBy             string    // "" is nobody
	where                M
	match                *wire.RowWhere // where, as far as it can be checked here; nil otherwise
	tombstones           bool
	limit                int
}

func (w *want) unbounded() bool { return w.after == (feed.Key{}) || w.after.FromStart() }

func (w *want) key(e *datasource.Entry) feed.Key {
	t := e.CreatedAt
	if w.column == updatedAt && !e.UpdatedAt.IsZero() || t.IsZero() {
		t = e.UpdatedAt
	}
	return feed.Key{Time: micros(t), ID: e.ID}
}

func (w *want) compare(a, b datasource.Entry) int {
	n := w.key(&a).Compare(w.key(&b))
	if w.newest {
		return -n
	}
	return n
}

// within reports whether a row lies behind the bound and below the others.
func (w *want) within(e *datasource.Entry) bool {
	if !w.unbounded() {
		n := w.key(e).Compare(w.after)
		if w.newest && n >= 0 || !w.newest && n <= 0 {
			return false
		}
	}
	return (w.updatedTo == 0 || micros(e.UpdatedAt) <= w.updatedTo) && (w.createdTo == 0 || micros(e.CreatedAt) <= w.createdTo)
}

// fits reports whether a row is one of those asked for, as far as can be told
// here: a server may ignore what it was asked.
func (w *want) fits(e *datasource.Entry) bool {
	switch {
	case !w.tombstones && deleted(*e):
		return false
	case len(w.conversations) > 0 && !slices.Contains(w.conversations, e.DataSourceID):
		return false
	case w.unreadBy != "" && slices.Contains(wire.Strings(e.Data[wire.ReadBy]), w.unreadBy):
		return false
	}
	return w.match == nil || w.match.Match(&wire.RowFields{
		ID: e.ID, DataSourceID: e.DataSourceID, Order: e.Order,
		CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt, DeletedAt: e.DeletedAt, Data: e.Data,
	})
}

// window drops repeats and what lies outside of the bounds, and sorts. sound: the
// server kept to order and bounds. Where it does not, a full page says nothing about
// the rows it lacks.
func (w *want) window(rows []datasource.Entry) (_ []datasource.Entry, sound bool) {
	rows = unique(rows)
	sound = slices.IsSortedFunc(rows, w.compare)
	n := len(rows)
	rows = slices.DeleteFunc(rows, func(e datasource.Entry) bool { return e.ID <= 0 || !w.within(&e) })
	slices.SortStableFunc(rows, w.compare)
	return rows, sound && len(rows) == n
}

// fitting makes a page of the rows of a window that fit.
func (w *want) fitting(rows []datasource.Entry, more bool) rowPage {
	page := rowPage{next: w.after, more: more}
	if len(rows) > 0 {
		page.next = w.key(&rows[len(rows)-1])
	}
	page.rows = slices.DeleteFunc(rows, func(e datasource.Entry) bool { return !w.fits(&e) })
	return page
}

// search is what [Chat.Messages] asks for.
type search struct {
	where         M
	conversations []int64
	order         []datasource.Order
	limit, offset int
}

// latest returns live rows, the newest first unless an order is given.
func (r rowSource) latest(ctx context.Context, s *session, q search) ([]datasource.Entry, error) {
	w := want{column: createdAt, newest: true, conversations: q.conversations, where: q.where, limit: q.offset + q.limit}
	if len(q.where) > 0 {
		// What cannot be checked here is left to the server, if it can do it.
		var err error
		if w.match, err = wire.CompileRowWhere(q.where); err != nil {
			w.match = nil
			if r.without.Load() {
				return nil, invalid("Where: %v", err)
			}
		}
	}
	var rows []datasource.Entry
	var err error
	if len(q.order) > 0 {
		rows, err = r.ordered(ctx, s, w, q.order)
	} else {
		rows, err = r.all(ctx, s, w)
	}
	if err != nil {
		return nil, err
	}
	rows = rows[min(len(rows), q.offset):]
	return rows[:min(len(rows), q.limit)], nil
}

// unread returns every unread row, oldest first.
func (r rowSource) unread(ctx context.Context, s *session) ([]datasource.Entry, error) {
	return r.all(ctx, s, want{column: createdAt, unreadBy: s.userID})
}

// rowPage is a part of the rows asked for, sorted. It may hold more than the limit.
type rowPage struct {
	rows []datasource.Entry
	next feed.Key // where the page behind it begins
	more bool     // there may be one
}

// all reads page after page until w.limit rows are there, 0 meaning all of them.
func (r rowSource) all(ctx context.Context, s *session, w want) ([]datasource.Entry, error) {
	var out []datasource.Entry
	limit := w.limit
	for {
		w.limit = batchSize
		if limit > 0 {
			w.limit = min(batchSize, limit-len(out))
		}
		page, err := r.fetch(ctx, s, w)
		if err != nil {
			return nil, err
		}
		out = append(out, page.rows...)
		if !page.more || limit > 0 && len(out) >= limit {
			return out, nil
		}
		w.after = page.next
	}
}

// fetch returns one page.
func (r rowSource) fetch(ctx context.Context, s *session, w want) (rowPage, error) {
	if !r.without.Load() {
		page, err := r.fetchAcross(ctx, s, w)
		if !r.absent(ctx, s, err, len(w.where) == 0) {
			return page, err
		}
		if len(w.where) > 0 && w.match == nil {
			if _, err := wire.CompileRowWhere(w.where); err != nil {
				return rowPage{}, invalid("Where: %v", err)
			}
		}
	}
	return r.fetchEach(ctx, s, w)
}

// ordered is fetch in an order of the caller's.
func (r rowSource) ordered(ctx context.Context, s *session, w want, order []datasource.Order) ([]datasource.Entry, error) {
	if !r.without.Load() {
		rows, err := r.orderedAcross(ctx, s, w, order)
		if !r.absent(ctx, s, err, false) {
			return rows, err
		}
		if len(w.where) > 0 && w.match == nil {
			_, err := wire.CompileRowWhere(w.where)
			return nil, invalid("Where: %v", err)
		}
	}
	// Orders cannot be merged without looking at all rows.
	w.limit = 0
	rows, err := r.all(ctx, s, w)
	sortEntries(rows, order)
	return rows, err
}

// countUnread counts the unread rows, on the server where it can.
func (r rowSource) countUnread(ctx context.Context, s *session) (int, error) {
	if !r.without.Load() {
		n, list, err := r.countAcross(ctx, s)
		if !r.absent(ctx, s, err, true) && (err != nil || !list) {
			return n, err
		}
	}
	rows, err := r.unread(ctx, s)
	return len(rows), err
}

// page answers a query of the receive engine, which does its own checking.
func (r rowSource) page(ctx context.Context, s *session, q feed.Query) ([]datasource.Entry, error) {
	w := want{limit: q.Limit}
	switch q.Kind {
	case feed.Newest:
		w.column, w.newest, w.after = createdAt, true, q.Before
		if q.Conversation != 0 {
			w.conversations = []int64{q.Conversation}
		}
	case feed.Created:
		w.column, w.after = createdAt, q.After
	case feed.Changes:
		w.column, w.after, w.tombstones = updatedAt, q.After, true
		w.updatedTo, w.createdTo = q.UpdatedTo, q.CreatedTo
	case feed.Latest:
		w.column, w.newest, w.tombstones = updatedAt, true, true
	}
	if !r.without.Load() {
		rows, err := r.across(ctx, s, w)
		if !r.absent(ctx, s, err, true) {
			return rows, err
		}
	}
	page, err := r.fetchEach(ctx, s, w)
	return page.rows, err
}

// absent reports whether an error means that the server has no cross-source
// endpoint, and remembers it. own: the query was all our own work, so that it
// cannot be what is wrong; otherwise one that is decides.
func (r rowSource) absent(ctx context.Context, s *session, err error, own bool) bool {
	refused, ok := errors.AsType[*datasource.Error](err)
	if !ok || errors.Is(err, datasource.ErrAccessDenied) {
		return false
	}
	switch refused.StatusCode {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
	case http.StatusBadRequest:
		if !own {
			_, probe := r.across(ctx, s, want{column: createdAt, newest: true, limit: 1})
			return r.absent(ctx, s, probe, true)
		}
	default:
		return false
	}
	if !r.without.Swap(true) {
		r.chat.log.Warn("the server has no query over all conversations, asking for each", "status", refused.StatusCode)
	}
	return true
}

// find reads the rows of one conversation in an order, whatever the server makes of
// order, limit and offset. Rows are skipped here, so that a server that ignores the
// offset does no harm. limit 0 means all.
func (r rowSource) find(ctx context.Context, id int64, q datasource.Query, limit, offset int) ([]datasource.Entry, error) {
	if q.NoLimit = limit == 0; limit > 0 {
		q.Limit = offset + limit
	}
	for {
		rows, err := r.chat.client.Find(ctx, id, q)
		if err != nil {
			return nil, err
		}
		full, sound := q.Limit > 0 && len(rows) >= q.Limit, inOrder(rows, q.Order)
		rows = slices.DeleteFunc(unique(rows), deleted)
		if full && (!sound || len(rows) < offset+limit) {
			q.Limit *= 2
			continue
		}
		if !sound {
			sortEntries(rows, q.Order)
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

// unique drops rows that came before.
func unique(rows []datasource.Entry) []datasource.Entry {
	seen := make(map[int64]struct{}, len(rows))
	return slices.DeleteFunc(rows, func(e datasource.Entry) bool {
		_, again := seen[e.ID]
		seen[e.ID] = struct{}{}
		return again
	})
}

func stamp(t feed.Time) string { return wire.Timestamp(time.UnixMicro(int64(t))) }

func micros(t time.Time) feed.Time { return feed.Time(t.UnixMicro()) }
