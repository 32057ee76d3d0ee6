package flipletd

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// change is one line of the audit log. It holds names of columns and no value of a row.
type change struct {
	id       int64
	kind     logType
	chat     bool
	batch    bool  // one of the rows of a change that is logged as a whole, too
	at       int64 // by the server's clock, in milliseconds
	seen     int64 // when readers get to see it, by the system's clock, in nanoseconds
	request  uint64
	by       *credential // nil is the test kit
	sourceID int64
	entryID  int64 // 0 is null
	appID    int64 // 0 is null
	orgID    int64
	columns  []string // shared with other changes; of a dataSource.update its attributes
	whole    *wholeChange
}

// wholeChange is what the changes of data sources have beyond those of entries.
type wholeChange struct {
	name                      string
	created, updated, deleted int
}

// auditLog is the newest changes, written when a tx commits. It is as cheap as that: what
// an answer shows is made up when somebody asks. It ends with the program, as the log of
// requests does. Guarded by the store's lock.
type auditLog struct {
	ring     []change // the oldest at start, once it is full
	start    int
	lastID   int64
	requests uint64

	// The lists of columns that were used last: rows that are written one after the
	// other mostly have the same.
	created, updated []string
}

// add makes a line.
func (l *auditLog) add(e change) {
	l.lastID++
	e.id = l.lastID
	if len(l.ring) < logKept {
		l.ring = append(l.ring, e)
		return
	}
	l.ring[l.start] = e
	l.start = (l.start + 1) % logKept
}

// each calls fn for every line, the oldest first.
func (l *auditLog) each(fn func(*change)) {
	for i := range l.ring {
		fn(&l.ring[(l.start+i)%len(l.ring)])
	}
}

// note writes down what a tx is about to put into the store.
func (l *auditLog) note(t *tx) {
	if len(t.rows) == 0 && t.logs == logRowsOnly {
		return
	}
	l.requests++
	seen := t.visible
	if seen.IsZero() {
		seen = time.Now()
	}
	e := change{at: t.now.UnixMilli(), seen: seen.UnixNano(), request: l.requests, by: t.by}
	var whole *wholeChange
	if t.logs != logRowsOnly {
		m := t.described()
		whole = &wholeChange{name: m.name}
		w := e
		w.of(m)
		w.kind, w.whole, w.columns = t.logs, whole, t.attributes
		l.add(w)
		e.batch = true
	}
	var last *meta
	for _, v := range t.rows {
		m := t.metas[v.DataSourceID]
		if m == nil {
			m = t.st.sources[v.DataSourceID].meta
		}
		if m != last {
			e.of(m)
			last = m
		}
		e.entryID = v.ID
		old := t.st.entries[v.ID]
		switch {
		case !v.live():
			if old == nil || !old.live() {
				continue
			}
			e.kind, e.columns = logEntryDelete, nil
		case old == nil || !old.live():
			e.kind, e.columns = logEntryCreate, l.columns(v.data())
		default:
			e.kind, e.columns = logEntryUpdate, l.changed(old.data(), v.data())
		}
		if whole != nil {
			whole.count(e.kind)
		}
		l.add(e)
	}
}

// time is when the change was made, by the server's clock.
func (e *change) time() time.Time { return time.UnixMilli(e.at).UTC() }

// of says which data source the change is in.
func (e *change) of(m *meta) {
	e.sourceID, e.appID, e.orgID, e.chat = m.id, appOf(m, e.by), m.orgID, isChat(m.kind)
	if e.orgID == 0 && e.by != nil {
		e.orgID = e.by.orgID
	}
}

func (w *wholeChange) count(kind logType) {
	switch kind {
	case logEntryCreate:
		w.created++
	case logEntryUpdate:
		w.updated++
	case logEntryDelete:
		w.deleted++
	}
}

// columns lists the columns of a row.
func (l *auditLog) columns(data map[string]any) []string {
	if l.created != nil && len(l.created) == len(data) {
		same := true
		for _, name := range l.created {
			if _, same = data[name]; !same {
				break
			}
		}
		if same {
			return l.created
		}
	}
	list := make([]string, 0, len(data))
	for name := range data {
		list = append(list, name)
	}
	slices.Sort(list)
	l.created = list
	return list
}

// changed lists the columns that two states of a row differ in.
func (l *auditLog) changed(old, now map[string]any) []string {
	var few [8]string
	list := few[:0]
	kept := 0
	for name, v := range now {
		was, had := old[name]
		if had {
			kept++
		}
		if !had || !equal(was, v) {
			list = append(list, name)
		}
	}
	if kept < len(old) {
		for name := range old {
			if _, has := now[name]; !has {
				list = append(list, name)
			}
		}
	}
	slices.Sort(list)
	if l.updated == nil || !slices.Equal(l.updated, list) {
		l.updated = append(make([]string, 0, len(list)), list...)
	}
	return l.updated
}

// equal compares two decoded JSON values.
func equal(a, b any) bool {
	switch a := a.(type) {
	case nil:
		return b == nil
	case string:
		s, ok := b.(string)
		return ok && s == a
	case json.Number:
		n, ok := b.(json.Number)
		return ok && n == a
	case bool:
		t, ok := b.(bool)
		return ok && t == a
	}
	return reflect.DeepEqual(a, b)
}

// requestID is the "requestId" of a write: a UUID that depends on the seed and on how many
// writes there were before.
func requestID(seed, n uint64) string {
	hi, lo := mix(seed^mix(n)), mix(mix(seed)+n)
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(0xc<<60) | 0x8<<60
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&(1<<48-1))
}
