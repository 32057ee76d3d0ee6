package rows

import (
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/where"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// The columns by which rows are ordered, each together with the id.
const (
	createdAt = "createdAt"
	updatedAt = "updatedAt"
)

// want describes a page of rows, ordered by a time and the id.
type want struct {
	column string
	newest bool // newest first
	// after is the exclusive bound at which the page begins, in its order.
	after         feed.Key
	beyond        int64    // rows with a higher id besides, wherever they are; 0: none
	from          feed.Key // of these rows: those after it; zero: all
	conversations []int64  // none: all of the user
	// What the rows must fulfil.
	updatedTo, createdTo feed.Time // inclusive; 0: no bound
	unreadBy             string    // "" is nobody
	where                M
	match                *where.Rows // where as it is checked here; nil when there is none
	unchecked            error       // why where cannot be checked here
	deletions            bool        // deleted rows, too
	limit                int
	clock                *clock // notes the times of the answers; may be nil
	partial              bool   // conversations that cannot be read may be left out
	above                int64  // only rows with a higher id; 0: all
	byID                 bool   // of a look: the highest ids, instead of the latest times
	sight                *sight // set where peeks
	skimmed              bool   // the server has just shown which conversations have rows
	first                bool   // the first page of a poll
	old                  *age   // notes how old the answer is; nil unless partial
	chain                *chain // of the pages of a poll; nil unless they are read one conversation after the other
	waits                bool   // a refusal for the rate is waited out
	large                bool   // a page may have maxPage bytes
	room                 *Room  // for the rows of the first request; may be nil
}

func (w *want) unbounded() bool { return w.after == (feed.Key{}) || w.after.FromStart() }

// ChangeKey is where a row of the server is in the order of change.
func ChangeKey(e *datasource.Entry) feed.Key { return feed.Key{Time: Micros(e.UpdatedAt), ID: e.ID} }

func (w *want) key(e *datasource.Entry) feed.Key {
	t := e.CreatedAt
	if w.column == updatedAt && !e.UpdatedAt.IsZero() || t.IsZero() {
		t = e.UpdatedAt
	}
	return feed.Key{Time: Micros(t), ID: e.ID}
}

func (w *want) compare(a, b datasource.Entry) int {
	n := w.key(&a).Compare(w.key(&b))
	if w.newest {
		return -n
	}
	return n
}

// within reports whether a row lies within the bounds.
func (w *want) within(e *datasource.Entry) bool {
	if w.above != 0 && e.ID <= w.above {
		return false
	}
	if !w.unbounded() {
		n := w.key(e).Compare(w.after)
		if (w.newest && n >= 0 || !w.newest && n <= 0) && (w.beyond == 0 || e.ID <= w.beyond || w.from != (feed.Key{}) && w.key(e).Compare(w.from) <= 0) {
			return false
		}
	}
	return (w.updatedTo == 0 || Micros(e.UpdatedAt) <= w.updatedTo) && (w.createdTo == 0 || Micros(e.CreatedAt) <= w.createdTo)
}

// fits reports whether a row matches, as far as that can be checked here. A server
// may ignore filters.
func (w *want) fits(e *datasource.Entry) bool { return (w.deletions || !Deleted(e)) && w.asked(e) }

// asked is fits for the filters that the server was given.
func (w *want) asked(e *datasource.Entry) bool {
	switch {
	case len(w.conversations) > 0 && !slices.Contains(w.conversations, e.DataSourceID):
		return false
	case e.Err != nil: // it has no content to look at, and the server has
		return true
	case w.unreadBy != "" && slices.Contains(wire.Strings(e.Data[wire.ReadBy]), w.unreadBy):
		return false
	}
	return w.match == nil || w.match.Match(&where.Row{
		ID: e.ID, DataSourceID: e.DataSourceID, Order: e.Order,
		CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt, DeletedAt: e.DeletedAt, Data: e.Data,
	})
}

// window drops duplicates and rows outside the bounds, and sorts. sound: the server
// observed order and bounds. If not, the rows that a full page lacks can be anywhere.
func (w *want) window(rows []datasource.Entry) (_ []datasource.Entry, sound bool) {
	rows = slices.DeleteFunc(unique(rows), func(e datasource.Entry) bool { return e.ID <= 0 })
	sound = slices.IsSortedFunc(rows, w.compare)
	n := len(rows)
	rows = slices.DeleteFunc(rows, func(e datasource.Entry) bool { return !w.within(&e) })
	slices.SortStableFunc(rows, w.compare)
	return rows, sound && len(rows) == n
}

// fitting makes a page of the matching rows of a window of one conversation.
func (w *want) fitting(rows []datasource.Entry, more bool) Page {
	page := Page{Next: w.end(rows), More: more}
	page.Rows = slices.DeleteFunc(rows, func(e datasource.Entry) bool { return !w.fits(&e) })
	return page
}

// end is where the page after these rows begins.
func (w *want) end(rows []datasource.Entry) feed.Key {
	if len(rows) == 0 {
		return w.after
	}
	return w.key(&rows[len(rows)-1])
}

// unique drops duplicates.
func unique(rows []datasource.Entry) []datasource.Entry {
	seen := make(map[int64]struct{}, len(rows))
	return slices.DeleteFunc(rows, func(e datasource.Entry) bool {
		_, again := seen[e.ID]
		seen[e.ID] = struct{}{}
		return again
	})
}

// Deleted reports whether a row is a tombstone.
func Deleted(e *datasource.Entry) bool { return wire.Deleted(e.DeletedAt, e.Data) }

// Micros is a time as the engine has it, 0 for none.
func Micros(t time.Time) feed.Time {
	if t.IsZero() {
		return 0
	}
	return feed.Time(t.UnixMicro())
}

func stamp(t feed.Time) string { return wire.Timestamp(time.UnixMicro(int64(t))) }
