package rows

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// Readable reads the rows of a data source that match a query and can be read, in the
// query's order, even if the server ignores the condition, order, limit or offset. What is
// too large for one answer it reads in pieces, with at most twice the requests of single
// rows. It fails when the rows are more than about 256 MiB and the query has no limit, so
// that no row is missing that was looked for.
func Readable(ctx context.Context, client *datasource.Client, id int64, q datasource.Query) ([]datasource.Entry, error) {
	found, err := read(ctx, client, id, q, true)
	return found.Entries, err
}

// ByID reads rows by their ids, in one request unless they are large. Rows that are gone are left out.
func ByID(ctx context.Context, client *datasource.Client, source int64, ids []int64) (map[int64]*datasource.Entry, error) {
	found, err := Readable(ctx, client, source, datasource.Query{Type: "select", ID: M{"$in": ids}})
	if err != nil {
		return nil, err
	}
	by := make(map[int64]*datasource.Entry, len(found))
	for i := range found {
		if found[i].DeletedAt == nil {
			by[found[i].ID] = &found[i]
		}
	}
	return by, nil
}

// Listed is Readable for lists, in which a row may be missing: of rows that are too large
// together the largest are left out. Total is set if the query asks for it and it is known.
func Listed(ctx context.Context, client *datasource.Client, id int64, q datasource.Query) (datasource.Result, error) {
	return read(ctx, client, id, q, false)
}

func read(ctx context.Context, client *datasource.Client, id int64, q datasource.Query, strict bool) (datasource.Result, error) {
	m := match(&q)
	r := reading{client: client, id: id, strict: strict, keep: m.keep}
	found, err := r.rows(ctx, q)
	if err != nil {
		return datasource.Result{}, err
	}
	found.Entries = slices.DeleteFunc(found.Entries, func(e datasource.Entry) bool { return e.Err != nil })
	return found, nil
}

// reading reads the rows of one data source.
type reading struct {
	client *datasource.Client
	id     int64
	keep   func(*datasource.Entry) bool
	strict bool // rather fail than leave out the content of the largest rows
}

// rows are those that match a query, in its order.
func (r *reading) rows(ctx context.Context, q datasource.Query) (datasource.Result, error) {
	m := match(&q)
	if Shaped(&q) {
		return r.shaped(ctx, q, &m)
	}
	ask := q
	// The rows of the offset are read, too: a server may ignore it.
	if ask.Offset = 0; q.Limit > 0 {
		ask.Limit = q.Offset + q.Limit
	}
	enough := ask.Limit
	for {
		p := pieces{client: r.client, id: r.id, q: ask, keep: r.keep, strict: r.strict}
		found, err := r.client.Select(ctx, r.id, ask)
		all := false
		if err == nil {
			err = r.cut(ctx, ask, found)
		}
		if tooLarge(err) || errors.Is(err, ErrCut) {
			if enough > 0 {
				p.skip, p.most = q.Offset, enough
			}
			found = &datasource.Result{}
			found.Entries, err = allOf(ctx, &p, err)
			all = true
		}
		if err != nil {
			return datasource.Result{}, err
		}
		full, kept := !all && ask.Limit > 0 && len(found.Entries) >= ask.Limit, Arrange(found.Entries, q.Order)
		before := len(found.Entries)
		found.Entries = slices.DeleteFunc(unique(found.Entries), func(e datasource.Entry) bool { return !r.keep(&e) })
		switch missing := full && len(found.Entries) < enough; {
		case full && !kept, missing && len(found.Entries) < before/2:
			// In the wrong order, or among rows that do not match, the limit selects the wrong
			// rows: read them all.
			ask.Limit, ask.NoLimit = 0, true
			continue
		case missing: // some came twice, or are gone
			ask.Limit *= 2
			continue
		}
		if len(found.Entries) < before { // the server counts otherwise
			if found.Total = nil; q.IncludePagination && ask.Limit == 0 && !all {
				found.Total = new(len(found.Entries))
			}
		}
		found.Entries = found.Entries[min(len(found.Entries), q.Offset):]
		if q.Limit > 0 {
			found.Entries = found.Entries[:min(len(found.Entries), q.Limit)]
		}
		m.project(found.Entries)
		return *found, nil
	}
}

// cut is an error if an answer lacks rows although it has fewer than were asked for.
func (r *reading) cut(ctx context.Context, q datasource.Query, found *datasource.Result) error {
	n := len(found.Entries)
	if !found.More || q.Limit > 0 && n >= q.Limit {
		return nil
	}
	if in, _ := q.ID.(M); in != nil {
		if ids, ok := in["$in"].([]int64); ok && n >= len(ids) {
			return nil
		}
	}
	q.Offset, q.Limit, q.NoLimit = n, atOnce, false
	behind, err := r.client.Find(ctx, r.id, q)
	if tooLarge(err) || err == nil && unseen(found.Entries, behind) {
		return ErrCut
	}
	return err
}

// shaped are the rows of a query whose limit and offset are the server's.
func (r *reading) shaped(ctx context.Context, q datasource.Query, m *matching) (datasource.Result, error) {
	found, err := r.client.Select(ctx, r.id, q)
	if err != nil {
		return datasource.Result{}, err
	}
	if q.Aggregate == nil {
		found.Entries = slices.DeleteFunc(unique(found.Entries), func(e datasource.Entry) bool { return !r.keep(&e) })
		m.project(found.Entries)
	}
	if q.Limit > 0 {
		found.Entries = found.Entries[:min(len(found.Entries), q.Limit)]
	}
	return *found, nil
}

// allOf reads what was too large for one answer, from the first row on.
func allOf(ctx context.Context, p *pieces, failed error) ([]datasource.Entry, error) {
	in, _ := p.q.ID.(M)
	ids, _ := in["$in"].([]int64)
	switch {
	case p.q.ID == nil:
		return p.read(ctx, failed)
	case len(ids) < 2:
		return nil, failed
	}
	var out []datasource.Entry
	for _, half := range [][]int64{ids[:len(ids)/2], ids[len(ids)/2:]} {
		part := *p
		part.q.ID = M{"$in": half}
		found, err := p.client.Select(ctx, p.id, part.q)
		if err != nil && !tooLarge(err) {
			return nil, err
		}
		if err == nil && (len(half) == 1 || !found.More || len(found.Entries) >= len(half)) {
			out = append(out, found.Entries...)
			continue
		}
		rows, err := allOf(ctx, &part, err)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	Arrange(out, p.q.Order)
	return out, nil
}

// pieces reads the rows of one data source that are too large for one answer.
type pieces struct {
	client *datasource.Client
	id     int64
	q      datasource.Query
	keep   func(*datasource.Entry) bool // nil: all rows
	most   int                          // how many rows that are kept, 0 for all
	skip   int                          // how many of them do not need their content
	strict bool                         // rather fail than leave out the content of the largest
}

// atOnce is how many rows are asked for at a time.
const atOnce = 200

// read returns the rows in the order of the query.
func (p *pieces) read(ctx context.Context, failed error) ([]datasource.Entry, error) {
	if p.most > 1 {
		if rows, ok, err := p.byOffset(ctx); ok || err != nil {
			return rows, err
		}
	}
	return p.byID(ctx, failed)
}

// byOffset reads the first rows in the order of the query. Each piece begins with the last
// row of the one before. ok is false when it does not, or when the order is not kept:
// the server ignores the query, or rows moved.
func (p *pieces) byOffset(ctx context.Context) (out []datasource.Entry, ok bool, err error) {
	q, size, read := p.q, min(p.most/2, atOnce), 0
	q.NoLimit = false
	var last datasource.Entry
	for {
		q.Limit, q.Offset = min(size, p.most-len(out)+1), max(read-1, 0)
		if size == 1 {
			q.Limit, q.Offset = 1, read
		}
		found, err := p.client.Select(ctx, p.id, q)
		if tooLarge(err) && q.Limit > 1 {
			size = q.Limit / 2
			continue
		}
		if err != nil {
			return nil, false, err
		}
		full, rows := found.More, unique(found.Entries)
		if q.Offset < read {
			if len(rows) == 0 || rows[0].ID != last.ID {
				return nil, false, nil
			}
			if rows = rows[1:]; full && len(rows) == 0 {
				return nil, false, nil
			}
		}
		line := slices.Clone(rows)
		if read > 0 {
			line = slices.Insert(line, 0, last)
		}
		if !Arrange(line, p.q.Order) {
			return nil, false, nil
		}
		for _, e := range rows {
			if read++; p.keep == nil || p.keep(&e) {
				if len(out) < p.skip {
					e.Data, e.Extra = nil, nil
				}
				out = append(out, e)
			}
		}
		if len(rows) > 0 {
			last = rows[len(rows)-1]
		}
		if !full || len(out) >= p.most {
			return out[:min(len(out), p.most)], true, nil
		}
	}
}

// byID reads all rows in the order of their ids, and keeps those that are wanted.
func (p *pieces) byID(ctx context.Context, failed error) ([]datasource.Entry, error) {
	k := keeper{order: p.q.Order, most: p.most, room: maxAll}
	if p.strict {
		k.room = math.MaxInt
	}
	q := p.q
	q.NoLimit, q.Limit, q.Offset, q.Order = false, atOnce, 0, []datasource.Order{{Column: "id", Direction: datasource.Asc}}
	for last := int64(0); ; {
		found, err := p.client.Select(ctx, p.id, q)
		if tooLarge(err) && q.Limit > 1 {
			q.Limit, failed = q.Limit/2, err
			continue
		}
		if err != nil {
			return nil, err
		}
		full, bound, rows := found.More, last, unique(found.Entries)
		for i := range rows {
			id := rows[i].ID
			if id <= bound || full && id <= last {
				return nil, Unordered(failed)
			}
			last = max(last, id)
		}
		more := full && len(rows) > 0
		if p.keep != nil {
			rows = slices.DeleteFunc(rows, func(e datasource.Entry) bool { return !p.keep(&e) })
		}
		if k.add(rows); p.strict && k.weight > maxAll {
			return nil, failed
		}
		if !more {
			return k.done(), nil
		}
		q.ID = M{"$gt": last}
	}
}
