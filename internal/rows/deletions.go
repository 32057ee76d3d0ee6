package rows

import (
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// deletionDates gives times to deletions. Only the ids of deleted rows in an answer
// are certain. A deletion without a time has no position in the order of changes, so
// it gets one, once.
type deletionDates struct {
	mu    sync.Mutex
	given map[int64]map[int64]feed.Time // conversation → row → date given
}

// rows are the deleted rows that belong to a page of live rows after w.after.
func (d *deletionDates) rows(conversation int64, w want, live, gone []datasource.Entry) []datasource.Entry {
	d.mu.Lock()
	defer d.mu.Unlock()
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
	before, dates := d.given[conversation], map[int64]feed.Time{}
	var out []datasource.Entry
	for _, e := range gone {
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
		// The server's time may lie before the page, the given one does not.
		if _, again := dates[id]; !again && (feed.Key{Time: given, ID: id}).Compare(w.after) > 0 {
			dates[id] = given
		}
	}
	for id, given := range dates {
		out = append(out, datasource.Entry{
			ID: id, DataSourceID: conversation, UpdatedAt: time.UnixMicro(int64(given)).UTC(), DeletedAt: new(time.Time),
		})
	}
	if d.given == nil {
		d.given = map[int64]map[int64]feed.Time{}
	}
	d.given[conversation] = dates
	return slices.DeleteFunc(out, func(e datasource.Entry) bool { return !w.within(&e) })
}
