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

// inPieces reads a page that is too large for one answer: it halves the limit, down to
// one row, and goes on behind what it has. more: there may be rows after these.
//
// A page of n rows takes at most log2(n) requests that fail and n that do not. Rows
// that are too large by themselves do not count, so with the usual limits of package
// datasource a page of 200 rows takes at most 25.
func (s *Source) inPieces(ctx context.Context, w want, failed error) (out unchecked, more bool, err error) {
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
		w.after, w.beyond = w.end(rows), 0
	}
}
