package rows

import (
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Columns are the Payload of a row of an [Answer] that is ordinary: a live one that could be read,
// and that has none of the columns that few messages have and that make something of them (see
// content.special). All else of it that a message has is in the [feed.Row], so nobody has to keep
// the page that it came in, and there is no need to look for these columns.
type Columns map[string]any

// Row makes the row of an event again. An ordinary one lacks the fields that no message has: Order
// and Extra.
func Row(r *feed.Row) (e datasource.Entry, ordinary bool) {
	columns, ordinary := r.Payload.(Columns)
	if !ordinary {
		return *r.Payload.(*datasource.Entry), false
	}
	e.ID, e.DataSourceID, e.Data = r.ID, r.Conversation, columns
	e.CreatedAt, e.UpdatedAt = time.UnixMicro(int64(r.Created)).UTC(), time.UnixMicro(int64(r.Updated)).UTC()
	return e, true
}

// payload is what the engine is given of a row.
func payload(e *datasource.Entry, special bool) any {
	if special || e.Data == nil || e.DeletedAt != nil || e.Err != nil || !inMicros(e.CreatedAt) || !inMicros(e.UpdatedAt) {
		return e
	}
	return Columns(e.Data)
}

// inMicros reports whether a time is there, and is the one that its microseconds make.
func inMicros(t time.Time) bool {
	return !t.IsZero() && t.Nanosecond()%int(time.Microsecond) == 0 && t.Location() == time.UTC
}

// columnsOf are the columns of a row in the engine, nil if it has none.
func columnsOf(r *feed.Row) map[string]any {
	switch p := r.Payload.(type) {
	case Columns:
		return p
	case *datasource.Entry:
		return p.Data
	}
	return nil
}

// Room is for the rows of an answer, which the engine does not keep, and for those that they
// were made from, if all of them are ordinary.
type Room struct {
	rows    []feed.Row
	entries []datasource.Entry
}

var rooms = sync.Pool{New: func() any { return new(Room) }}

// maxRoom is for how many rows a room is used again.
const maxRoom = 1024

// Release says that nobody needs the rows any more. It may be called once. Nil has none.
func (r *Room) Release() {
	if r != nil && cap(r.rows) <= maxRoom {
		clear(r.rows) // they hold the page
		clear(r.entries)
		rooms.Put(r)
	}
}

// take returns the room for entries, which is not the Room's any more: of the requests for an
// answer one gets it.
func (r *Room) take() (into []datasource.Entry) {
	if r != nil {
		into, r.entries = r.entries[:0], nil
	}
	return into
}

// keep makes room of the entries that the rows were made from.
func (r *Room) keep(entries []datasource.Entry) {
	if cap(entries) > maxRoom {
		return
	}
	for i := range r.rows {
		if _, ordinary := r.rows[i].Payload.(Columns); !ordinary {
			return
		}
	}
	r.entries = entries
}
