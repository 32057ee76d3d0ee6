package flipletd

import (
	"maps"
	"slices"
	"time"
)

// tx is one write request: what it will change, gathered while the request is
// checked, then applied in one step. Dropping a tx undoes it. It is used under
// the store's write lock, from begin to commit.
type tx struct {
	st      *store
	now     time.Time // by the server's clock
	stamp   time.Time // createdAt and updatedAt of what is written
	visible time.Time // when readers see it; zero is at once
	late    bool      // a lever delayed visible

	rows  []*version
	byID  map[int64]int // entry id → its place in rows
	metas map[int64]*meta
	order []int64 // of metas
	files []*mediaFile
	after []func()
	extra []Record

	// For the audit log: who writes, what the write is as a whole, the data source
	// that it is about if it changes none, and what a dataSource.update sets.
	by         *credential
	logs       logType
	about      *meta
	attributes []string
}

// begin starts a write for the one who calls, which the audit log has as rows or, too, as
// one of its types. The caller holds the write lock.
func (c *call) begin(logs logType) *tx {
	t := c.st.begin(c.now, c.fx)
	t.by, t.logs = c.cred, logs
	return t
}

// described is the data source that a write is about as a whole.
func (t *tx) described() *meta {
	if t.about != nil {
		return t.about
	}
	return t.metas[t.order[0]]
}

// begin starts a write stamped now, or earlier and visible later when levers
// ask for it. The caller holds the write lock.
func (st *store) begin(now time.Time, fx *Effects) *tx {
	st.pushes.settle(st, now)
	t := &tx{
		st: st, now: now, stamp: milliseconds(now.Add(-fx.Backdate)), late: fx.VisibleAfter > 0,
		byID: make(map[int64]int), metas: make(map[int64]*meta),
	}
	if t.late || st.history {
		t.visible = time.Now().Add(fx.VisibleAfter)
	}
	return t
}

// edit returns a description that the tx may change. Any write to a source or
// its entries moves the source's updatedAt: public clients show that as the
// time of the last activity (the bump itself is assumed).
func (t *tx) edit(s *source) *meta {
	m := t.metas[s.id]
	if m == nil {
		m = s.meta.clone()
		m.updatedAt, m.visible, m.late = t.stamp, t.visible, t.late
		t.metas[s.id] = m
		t.order = append(t.order, s.id)
	}
	return m
}

// create plans a new source.
func (t *tx) create(m *meta) {
	m.id = t.st.newID(kindSource)
	m.createdAt, m.updatedAt, m.visible, m.late = t.stamp, t.stamp, t.visible, t.late
	t.metas[m.id] = m
	t.order = append(t.order, m.id)
}

// entry is the state of an entry of the source with what this tx has changed
// so far, nil when there is none.
func (t *tx) entry(s *source, id int64) *version {
	if i, ok := t.byID[id]; ok {
		if v := t.rows[i]; v.DataSourceID == s.id {
			return v
		}
		return nil
	}
	if v := t.st.entries[id]; v != nil && v.DataSourceID == s.id {
		return v
	}
	return nil
}

// insert plans a new entry; id 0 asks for a new one.
func (t *tx) insert(m *meta, id int64, data map[string]any, order *int64) *version {
	if id == 0 {
		id = t.st.newID(kindEntry)
	}
	m.grow(data)
	return t.plan(newVersion(id, m.id, data, order, t.stamp, t.stamp, time.Time{}))
}

// update plans new columns for an entry.
func (t *tx) update(m *meta, v *version, data map[string]any, order *int64) *version {
	m.grow(data)
	return t.plan(newVersion(v.ID, m.id, data, order, v.created, t.stamp, v.deleted))
}

// remove plans a tombstone. The columns are kept inside, and reported as {}
// unless a lever says otherwise.
func (t *tx) remove(v *version) *version {
	return t.plan(newVersion(v.ID, v.DataSourceID, v.data(), v.Order, v.created, t.stamp, t.stamp))
}

func (t *tx) plan(v *version) *version {
	v.visible, v.late = t.visible, t.late
	if i, ok := t.byID[v.ID]; ok {
		t.rows[i] = v
		return v
	}
	t.byID[v.ID] = len(t.rows)
	t.rows = append(t.rows, v)
	return v
}

// attach says which entry the planned files belong to.
func (t *tx) attach(v *version) {
	for _, f := range t.files {
		f.entryID = v.ID
	}
}

// commit writes the journal, then the store. On an error nothing has changed.
func (t *tx) commit() error {
	if t.st.journal != nil {
		records := slices.Clone(t.extra)
		for _, id := range t.order {
			records = append(records, t.metas[id].record())
		}
		for _, v := range t.rows {
			records = append(records, v.record())
		}
		for _, f := range t.files {
			records = append(records, f.record())
		}
		if len(records) > 0 {
			if err := t.st.journal.Apply(records); err != nil {
				return err
			}
		}
	}
	t.st.revision++
	t.st.audit.note(t)
	for _, id := range t.order {
		t.st.putMeta(t.metas[id])
	}
	for _, v := range t.rows {
		t.st.put(t.st.sources[v.DataSourceID], v)
	}
	for _, f := range t.files {
		t.st.putFile(f)
	}
	for _, fn := range t.after {
		fn()
	}
	return nil
}

// merge is the shallow merge of documented updates: keys that are sent replace
// whole values, the others stay, null is a value.
func merge(old, patch map[string]any) map[string]any {
	out := make(map[string]any, len(old)+len(patch))
	maps.Copy(out, old)
	maps.Copy(out, patch)
	return out
}
