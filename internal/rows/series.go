package rows

import (
	"errors"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// errShort is the error of a server that ignores what was asked for, and of which it is
// not known whether it has sent everything.
var errShort = errors.New("the server ignores conditions and offset, so that rows may be missing")

// fewest is how many rows an answer has at least that a server has cut although more were
// asked for.
const fewest = 10

// strange reports whether an answer has rows that were not asked for. A server that
// ignores conditions may also send fewer rows than the limit, so that a short answer
// does not show the end.
func (w *want) strange(rows []datasource.Entry) bool {
	return len(rows) >= fewest && slices.ContainsFunc(rows, func(e datasource.Entry) bool { return !w.within(&e) || !w.asked(&e) })
}

// readOn goes on behind a short and strange answer until the server has nothing more, or
// there are w.limit rows within the bounds. Each answer has to hold the last row of the
// one before, so that none is left out, and not all of the first one again, which shows
// that the server observes the offset.
func (w *want) readOn(first []datasource.Entry, ask func(offset int) ([]datasource.Entry, error)) (_ []datasource.Entry, more bool, err error) {
	// A row without an id is nowhere in an order.
	withID := func(rows []datasource.Entry) []datasource.Entry {
		return slices.DeleteFunc(slices.Clone(rows), func(e datasource.Entry) bool { return e.ID <= 0 })
	}
	if first = withID(first); len(first) == 0 {
		return nil, false, nil
	}
	var out []datasource.Entry
	seen, begin := map[int64]struct{}{}, first
	sorted := true
	for rows := first; ; {
		sorted = sorted && slices.IsSortedFunc(rows, w.compare)
		last, fresh := rows[len(rows)-1].ID, 0
		for _, e := range rows {
			if _, again := seen[e.ID]; again {
				continue
			}
			seen[e.ID] = struct{}{}
			fresh++
			if w.within(&e) {
				out = append(out, e)
			}
		}
		if fresh == 0 || len(out) > w.limit {
			slices.SortStableFunc(out, w.compare)
		}
		if more = more || len(out) > w.limit; more {
			clear(out[w.limit:])
			out = out[:w.limit]
		}
		if fresh == 0 || sorted && more {
			return out, more, nil
		}
		for offset := len(seen) - 1; ; offset /= 2 {
			if rows, err = ask(offset); err != nil {
				return nil, false, err
			}
			rows = withID(rows)
			got := make(map[int64]struct{}, len(rows))
			for _, e := range rows {
				got[e.ID] = struct{}{}
			}
			_, joined := got[last]
			observed := len(begin) == 1 || slices.ContainsFunc(begin, func(e datasource.Entry) bool { _, there := got[e.ID]; return !there })
			if joined && observed {
				break
			}
			if joined || offset <= 1 {
				// Rows that are in every answer, wherever it begins, shift the others.
				known := !slices.ContainsFunc(rows, func(e datasource.Entry) bool { _, again := seen[e.ID]; return !again })
				if observed && known {
					slices.SortStableFunc(out, w.compare)
					return out, more, nil
				}
				return nil, false, errShort
			}
		}
	}
}
