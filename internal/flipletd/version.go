package flipletd

import (
	"bytes"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
)

// version is one state of one entry. A write makes a new version and never
// changes an old one, so a reader may keep versions after it let go of the
// store's lock. The exceptions are prev and replaced, which belong to the
// store and are touched under its lock only.
type version struct {
	rowquery.Row        // what a where clause sees; its pointers point below
	raw          []byte // Data as JSON

	created, updated, deleted time.Time // deleted is zero while the entry lives

	// When readers get to see it, by the system's clock, which no lever moves.
	// It is zero, which is at once, unless a lever makes readers late.
	visible  time.Time
	late     bool     // a lever delayed visible
	prev     *version // what readers see before visible; kept only while a lever needs it
	replaced bool     // a newer version exists
}

// rowTexts are buffers for the JSON of one row, which is kept at its own size.
var rowTexts = sync.Pool{New: func() any { return new([]byte) }}

// newVersion ties the pointers of the row to the version's own fields.
func newVersion(id, dataSourceID int64, data map[string]any, order *int64, created, updated, deleted time.Time) *version {
	scratch := rowTexts.Get().(*[]byte)
	*scratch = appendValue((*scratch)[:0], data)
	v := &version{created: created, updated: updated, deleted: deleted, raw: bytes.Clone(*scratch)}
	if cap(*scratch) <= maxPooled {
		rowTexts.Put(scratch)
	}
	v.Row = rowquery.Row{
		ID: id, DataSourceID: dataSourceID, Order: order, Data: data,
		CreatedAt: &v.created, UpdatedAt: &v.updated,
	}
	if !deleted.IsZero() {
		v.DeletedAt = &v.deleted
	}
	return v
}

// data is the entry's columns. Nobody may change the map.
func (v *version) data() map[string]any {
	m, _ := v.Data.(map[string]any)
	return m
}

func (v *version) live() bool { return v.deleted.IsZero() }

// asOf is what a reader at t sees of the entry: nil when it was not there yet.
func (v *version) asOf(t time.Time) *version {
	for v != nil && v.visible.After(t) {
		v = v.prev
	}
	return v
}
