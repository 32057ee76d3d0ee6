package cache

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// recent holds the newest messages in memory. mu is never held over a Store call.
type recent struct {
	mu   sync.Mutex
	rows map[int64]row // nil before open
	// opened is closed when the Store has answered; nil before it is asked. Until then early
	// has what was seen.
	opened chan struct{}
	early  []answer
	// upto: rows has every change up to this time, except of older messages. 0 if
	// there is no such time.
	upto  feed.Time
	tried time.Time // of the last attempt to store them
	dirty bool      // changed since the last call of page
	grown int       // about the bytes that came since rows were dropped last
}

// waiting is closed when the Store has answered, nil unless it is asked.
func (m *recent) waiting() chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows != nil {
		return nil
	}
	return m.opened
}

// answer is one that came before the Store's.
type answer struct {
	query feed.Query
	rows  []datasource.Entry
	clock feed.Time
}

// mostEarly bounds the answers that wait for a Store. With more of them what it has is
// given up: the next newest page takes its place.
const mostEarly = 64

// mostBytes is about how many bytes the rows have that are kept.
const mostBytes = 4 << 20

// opening says whether to begin to open, and when that is done: nil if there is nothing to
// wait for. Only the first call waits.
func (m *recent) opening() (begin bool, done chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows != nil || m.opened != nil {
		return false, nil
	}
	m.opened = make(chan struct{})
	return true, m.opened
}

// open begins with what an earlier session stored, and goes on with what came meanwhile.
func (m *recent) open(p page, size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows != nil || m.opened == nil {
		return
	}
	m.rows, m.upto = map[int64]row{}, p.Upto
	for _, r := range p.Rows {
		m.rows[r.ID] = r
	}
	for _, a := range m.early {
		m.take(a, size)
	}
	m.early = nil
}

// note adds the rows that answered a query, and reports whether it is time to store.
func (m *recent) note(q feed.Query, rows []datasource.Entry, clock feed.Time, size int) (due bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := answer{q, rows, clock}
	switch {
	case m.rows != nil:
		m.take(a, size)
		return m.dirty && time.Since(m.tried) >= saveEvery
	case m.opened != nil && len(m.early) < mostEarly:
		a.rows = slices.Clone(rows)
		for i := range a.rows {
			a.rows[i].Data = wire.CloneMap(rows[i].Data) // listeners may change theirs
		}
		m.early = append(m.early, a)
	default:
		m.early = nil
	}
	return false
}

// take adds the rows of an answer. mu is held.
func (m *recent) take(a answer, size int) {
	m.advance(a.query, a.rows, a.clock, size)
	for i := range a.rows {
		m.put(&a.rows[i])
	}
	if len(m.rows) > 2*size || m.grown > mostBytes {
		m.newest(size)
	}
}

// advance moves upto forward after the answer to a query, but not beyond the time of
// the answer.
func (m *recent) advance(q feed.Query, rows []datasource.Entry, clock feed.Time, size int) {
	var last feed.Time
	for i := range rows {
		last = max(last, feed.Clamp(feed.Time(rows[i].UpdatedAt.UnixMicro()), clock))
	}
	// A full page must be in the requested order. Otherwise the rows that it lacks can
	// be anywhere.
	full := len(rows) >= q.Limit
	switch {
	case q.Kind == feed.Newest && q.Conversation == 0 && q.Before == (feed.Key{}) && q.Limit >= size:
		if full && !slices.IsSortedFunc(rows, newestFirst) {
			return
		}
		// A row that is not on the page is older or deleted.
		clear(m.rows)
		m.upto, m.dirty = max(last, 0), true
	case q.Kind == feed.Changes && q.Conversation == 0 && q.UpdatedTo == 0 && q.CreatedTo == 0 && m.upto != 0 && q.After.Time <= m.upto:
		if full && !slices.IsSortedFunc(rows, firstChanged) {
			return
		}
		if last > m.upto {
			m.upto, m.dirty = last, true
		}
	}
}

func newestFirst(a, b datasource.Entry) int {
	return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
}

func firstChanged(a, b datasource.Entry) int {
	return cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), cmp.Compare(a.ID, b.ID))
}

// put adds one row. It copies the data, since listeners may change theirs.
func (m *recent) put(e *datasource.Entry) {
	old, known := m.rows[e.ID]
	switch {
	case e.DeletedAt != nil || wire.Bool(e.Data[wire.FlagDeleted]):
		if known {
			delete(m.rows, e.ID)
			m.dirty = true
		}
	case e.Err != nil: // what is known of it is out of date
		delete(m.rows, e.ID)
		m.dirty = m.dirty || known
	case !known || !e.UpdatedAt.Before(old.UpdatedAt):
		r := toRow(e)
		r.Data = wire.CloneMap(e.Data)
		m.rows[e.ID], m.dirty = r, true
		m.grown += wire.Weigh(r.Data)
	}
}

// newest returns the size newest rows, as far as these have no more than mostBytes, oldest first,
// and drops the others.
func (m *recent) newest(size int) []row {
	list := make([]row, 0, len(m.rows))
	for _, r := range m.rows {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b row) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	left, from := mostBytes, len(list)
	for from > 0 && len(list)-from < size {
		if left -= wire.Weigh(list[from-1].Data); left < 0 && from < len(list) {
			break
		}
		from--
	}
	for _, r := range list[:from] {
		delete(m.rows, r.ID)
	}
	m.grown = 0
	return list[from:]
}

func (m *recent) unsaved() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dirty
}

// page returns what to store.
func (m *recent) page(size int) page {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirty = false
	return page{m.upto, m.newest(size)}
}

// soil says that what page returned was not stored.
func (m *recent) soil() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirty = m.rows != nil
}

// postpone delays the next write, also after one that failed.
func (m *recent) postpone() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tried = time.Now()
}

// drop forgets everything.
func (m *recent) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows, m.opened, m.early, m.upto, m.tried, m.dirty = nil, nil, nil, 0, time.Time{}, false
}
