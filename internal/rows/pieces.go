package rows

import (
	"context"
	"errors"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/pages"
)

const (
	// maxPage is about how many bytes the rows may have that a read of several pages keeps.
	maxPage = 32 << 20
	// maxNewest is the same of the newest page, which nobody asks for what is before it.
	maxNewest = 96 << 20
	// maxAll is the same for all rows of a data source.
	maxAll = 256 << 20
)

// tooLarge reports whether fewer rows could be read.
func tooLarge(err error) bool {
	_, ok := errors.AsType[*datasource.ResponseTooLargeError](err)
	return ok
}

// smaller notes that an answer to a query for so many rows was too large, and reports whether
// fewer can be asked for.
func smaller(pace *pages.Pace, limit int, err error) bool {
	large, ok := errors.AsType[*datasource.ResponseTooLargeError](err)
	return ok && pace.Refused(limit, large.Rows, large.Limit)
}

// light bounds an answer with several rows. One row can be had whatever its size is.
func light(ctx context.Context, limit int) context.Context {
	if limit <= 1 {
		return ctx
	}
	return datasource.AtMost(ctx, pages.Most)
}

// Paced asks for as many rows of a data source as an answer should have, and at most wanted: it
// sets q.Limit. large is why fewer were asked for than at first, nil if they were not.
func Paced(ctx context.Context, client *datasource.Client, pace *pages.Pace, id int64, q *datasource.Query, wanted int) (found *datasource.Result, large, err error) {
	for {
		q.Limit = pace.Limit(wanted)
		found, err = client.Select(light(ctx, q.Limit), id, *q)
		if err == nil {
			pace.Saw(pages.Page{Limit: q.Limit, Rows: len(found.Entries), Bytes: found.Size})
		}
		if !smaller(pace, q.Limit, err) {
			return found, large, err
		}
		large = err
	}
}

// Unordered is the error of a server that ignores the order of an answer which does not have
// all rows.
func Unordered(err error) error {
	return errors.Join(errors.New("the server does not keep to the order of rows"), err)
}

// ErrCut is the error of a server of which rows are missing that cannot be asked for.
var ErrCut = errors.New("the server sends fewer rows than it was asked for and has")

// errNoIDs is the error of a page whose rows cannot be told apart.
var errNoIDs = errors.New("the server sends a page of rows without ids")

// identified reports whether a row has an id.
func identified(rows []datasource.Entry) bool {
	return slices.ContainsFunc(rows, func(e datasource.Entry) bool { return e.ID > 0 })
}

// part reads the beginning of a page, as it came: as many rows as an answer should have. more:
// there may be rows behind these.
func (s *Source) part(ctx context.Context, w want) (u unchecked, more bool, err error) {
	pace, wanted := &s.Endpoint.across, w.limit
	for {
		w.limit = pace.Limit(wanted)
		u, err = s.across(light(ctx, w.limit), w)
		if err == nil {
			break
		}
		if !smaller(pace, w.limit, err) {
			return unchecked{}, false, err
		}
	}
	pace.Saw(pages.Page{Limit: w.limit, Rows: len(u.rows), Bytes: u.size})
	return u, u.more && (len(u.rows) >= wanted || len(u.rows) >= w.limit || !s.whole(ctx, w, u)), nil
}

// goesOn reports whether there may be rows behind an answer that has fewer than were wanted.
// They are asked for from its last row on, so it has to be in order.
func (s *Source) goesOn(ctx context.Context, w want, rows []datasource.Entry) (bool, error) {
	if kept, sound := w.window(slices.Clone(rows)); sound && len(kept) > 0 {
		return true, nil
	}
	behind, err := s.acrossFrom(ctx, w, len(rows))
	switch {
	case err != nil:
		return false, err
	case unseen(rows, behind.rows):
		return false, Unordered(ErrCut)
	}
	return false, nil
}

// unseen reports whether there are rows which are not among those that were read before.
func unseen(before, rows []datasource.Entry) bool {
	seen := make(map[int64]struct{}, len(before))
	for i := range before {
		seen[before[i].ID] = struct{}{}
	}
	return slices.ContainsFunc(rows, func(e datasource.Entry) bool { _, again := seen[e.ID]; return !again })
}

// next is part for the receive engine, which asks for what is behind it.
func (s *Source) next(ctx context.Context, w want) (u unchecked, more bool, err error) {
	u, more, err = s.part(ctx, w)
	if more && len(u.rows) < w.limit {
		more, err = s.goesOn(ctx, w, u.rows)
	}
	return u, more, err
}

// newest reads a page of the newest rows, in several parts if need be. Rows that come while it
// reads are before its first part. So it can be put together, as a page of changes cannot,
// which would not be of one moment.
func (s *Source) newest(ctx context.Context, w want) (out unchecked, more bool, err error) {
	limit, size := w.limit, int64(0)
	for {
		w.limit = limit - len(out.rows)
		u, more, err := s.next(ctx, w)
		ends := !more || len(u.rows) >= w.limit
		if err != nil || ends && len(out.rows) == 0 {
			return u, more, err
		}
		rows, sound := w.window(u.rows)
		if more && (!sound || len(rows) == 0) {
			return unchecked{}, false, Unordered(ErrCut)
		}
		out.rows, out.size = append(out.rows, rows...), out.size+u.size
		if size += u.size; ends || size > maxNewest {
			return out, more, nil
		}
		w.after = w.end(rows)
	}
}
