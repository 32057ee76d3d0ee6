package rows

import (
	"context"
	"errors"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

const (
	// maxPage is about how many bytes of rows a page may have that is read in pieces. It
	// ends early then.
	maxPage = 96 << 20
	// maxAll is the same for all rows of a data source.
	maxAll = 256 << 20
)

// tooLarge reports whether fewer rows could be read.
func tooLarge(err error) bool {
	_, ok := errors.AsType[*datasource.ResponseTooLargeError](err)
	return ok
}

// unordered is the error of a server that ignores the order of an answer which is too
// large to be read whole.
func unordered(err error) error {
	return errors.Join(errors.New("the server does not keep to the order of rows"), err)
}

// errNoIDs is the error of a page whose rows cannot be told apart.
var errNoIDs = errors.New("the server sends a page of rows without ids")

// identified reports whether a row has an id.
func identified(rows []datasource.Entry) bool {
	return slices.ContainsFunc(rows, func(e datasource.Entry) bool { return e.ID > 0 })
}

// pieces reads a page that is too large for one answer: it halves the limit, down to
// one row, and goes on behind what it has. more: there may be rows after these.
//
// A page of n rows takes at most log2(n) requests that fail and n that do not. Rows
// that are too large by themselves do not count, so with the usual limits of package
// datasource a page of 200 rows takes at most 25.
func (s *Source) pieces(ctx context.Context, w want, failed error) (out unchecked, more bool, err error) {
	limit, size, weight := w.limit, w.limit/2, 0
	for {
		if size < 1 {
			return unchecked{}, false, failed
		}
		w.limit = min(size, limit-len(out.rows))
		u, err := s.across(ctx, w)
		if tooLarge(err) {
			size, failed = w.limit/2, err
			continue
		}
		if err != nil {
			return unchecked{}, false, err
		}
		full := len(u.rows) >= w.limit
		strange := !full && w.strange(u.rows)
		rows, sound := w.window(u.rows)
		if strange || full && (!sound || len(rows) == 0) {
			return unchecked{}, false, unordered(failed)
		}
		out.rows = append(out.rows, rows...)
		for i := range rows {
			weight += rowWeight(&rows[i])
		}
		if !full || len(out.rows) >= limit || weight > maxPage {
			return out, full, nil
		}
		w.after = w.end(rows)
	}
}

// Readable reads the rows of a data source that match a query and can be read, in the
// query's order, even if the server ignores order or limit. If they are too many for
// one answer it reads them by id, as many at a time as an answer can have, with at most
// twice the requests of single rows.
func Readable(ctx context.Context, client *datasource.Client, id int64, q datasource.Query) ([]datasource.Entry, error) {
	found, err := client.Find(ctx, id, q)
	all := false
	switch {
	case tooLarge(err):
		all = true
		found, err = allOf(ctx, client, id, q, err)
	case err == nil && !Arrange(found, q.Order) && (q.Limit > 0 || q.Offset > 0):
		// In the wrong order limit and offset select the wrong rows: read them all.
		all = true
		whole := q
		whole.Limit, whole.Offset, whole.NoLimit = 0, 0, true
		found, err = Readable(ctx, client, id, whole)
	}
	if err != nil {
		return nil, err
	}
	if all {
		found = found[min(len(found), q.Offset):]
	}
	if q.Limit > 0 {
		found = found[:min(len(found), q.Limit)]
	}
	return slices.DeleteFunc(found, func(e datasource.Entry) bool { return e.Err != nil }), nil
}

// allOf reads what was too large for one answer.
func allOf(ctx context.Context, client *datasource.Client, id int64, q datasource.Query, failed error) ([]datasource.Entry, error) {
	in, _ := q.ID.(M)
	ids, _ := in["$in"].([]int64)
	switch {
	case q.ID == nil:
		return allByID(ctx, client, id, q, failed)
	case len(ids) < 2:
		return nil, failed
	}
	var out []datasource.Entry
	for _, half := range [][]int64{ids[:len(ids)/2], ids[len(ids)/2:]} {
		q.ID = M{"$in": half}
		found, err := client.Find(ctx, id, q)
		if tooLarge(err) {
			found, err = allOf(ctx, client, id, q, err)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	Arrange(out, q.Order)
	return out, nil
}

func allByID(ctx context.Context, client *datasource.Client, id int64, q datasource.Query, failed error) ([]datasource.Entry, error) {
	order := q.Order
	q.NoLimit, q.Limit, q.Offset, q.Order = false, page, 0, []datasource.Order{{Column: "id", Direction: datasource.Asc}}
	var out []datasource.Entry
	weight, last := 0, int64(0)
	for weight <= maxAll && q.Limit > 0 {
		rows, err := client.Find(ctx, id, q)
		if tooLarge(err) {
			q.Limit /= 2
			failed = err
			continue
		}
		if err != nil {
			return nil, err
		}
		full := len(rows) >= q.Limit
		before := last
		for i := range rows {
			if full && rows[i].ID <= last {
				return nil, unordered(failed)
			}
			last = rows[i].ID
			weight += weigh(rows[i].Data)
		}
		out = append(out, rows...)
		if !full || last == before {
			Arrange(out, order)
			return out, nil
		}
		q.ID = M{"$gt": last}
	}
	return nil, failed
}

// page is how many rows allByID reads at a time.
const page = 200
