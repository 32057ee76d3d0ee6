package flipletd

import (
	"cmp"
	"math"
	"net/http"
	"slices"
)

// commitRow is one element of a commit: an update when id is set.
type commitRow struct {
	id       int64
	data     map[string]any // nil: none sent
	order    *int64
	ordered  bool // order was sent, null included
	clientID any
}

// commitRequest is a checked commit.
type commitRequest struct {
	rows      []commitRow
	remove    []int64
	listed    bool // delete was sent, so that nothing else is removed
	appending bool
	extend    bool
	hooks     map[string]bool
	everyRow  bool // answer with the whole data set
	columns   []string
	gap       int64 // normalizeOrder
}

func (c *call) commitRequest() (*commitRequest, error) {
	fields, err := c.object()
	if err != nil {
		return nil, err
	}
	q := &commitRequest{
		appending: truthy(fields["append"]), extend: truthy(fields["extend"]), everyRow: fields["returnEntries"] != false,
		hooks: make(map[string]bool),
	}
	entries, given := fields["entries"]
	remove, listed := fields["delete"]
	if !given && !listed {
		return nil, badRequest("entries or delete is required.")
	}
	if given {
		if q.rows, err = commitRows(entries); err != nil {
			return nil, err
		}
	}
	if q.listed = listed && remove != nil; q.listed {
		list, ok := remove.([]any)
		if !ok {
			return nil, badRequest("delete must be an array of ids.")
		}
		for i, e := range list {
			id, ok := wholeNumber(e)
			if !ok {
				return nil, badRequest("delete[%d] must be an id.", i)
			}
			q.remove = append(q.remove, id)
		}
	}
	if v := fields["columns"]; v != nil {
		if q.columns, err = texts("columns", v); err != nil {
			return nil, err
		}
	}
	switch v := fields["runHooks"].(type) {
	case nil, bool:
		q.hooks[runInsert], q.hooks[runUpdate] = v == true, v == true
	case []any:
		for _, e := range v {
			name, ok := e.(string)
			if !ok {
				return nil, badRequest("runHooks must hold texts.")
			}
			q.hooks[name] = true
		}
	default:
		return nil, badRequest("runHooks must be an array.")
	}
	if v := fields["normalizeOrder"]; v != nil {
		o, _ := v.(map[string]any)
		gap, ok := wholeNumber(o["gap"])
		if !ok || gap <= 0 || gap > math.MaxInt32 {
			return nil, badRequest("normalizeOrder.gap must be a positive number.")
		}
		q.gap = gap
	}
	return q, nil
}

func commitRows(v any) ([]commitRow, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, badRequest("entries must be an array.")
	}
	rows := make([]commitRow, len(list))
	for i, e := range list {
		fields, ok := e.(map[string]any)
		if !ok {
			return nil, badRequest("entries[%d] must be an object.", i)
		}
		r := &rows[i]
		if id := fields["id"]; id != nil {
			if r.id, ok = wholeNumber(id); !ok || r.id <= 0 || r.id > maxEntryID {
				return nil, badRequest("entries[%d].id must be a positive number, at most %d.", i, int64(maxEntryID))
			}
		}
		if data, given := fields["data"]; given || r.id == 0 {
			if r.data, ok = data.(map[string]any); !ok {
				return nil, badRequest("entries[%d].data must be an object.", i)
			}
		}
		if order, given := fields["order"]; given {
			r.ordered = true
			if order != nil {
				n, ok := wholeNumber(order)
				if !ok {
					return nil, badRequest("entries[%d].order must be a whole number.", i)
				}
				r.order = &n
			}
		}
		r.clientID = fields["clientId"]
	}
	return rows, nil
}

// commitEntries applies inserts, updates and deletes. Its defaults destroy:
// without append or a delete list every row that is not listed goes, and
// without extend an update replaces all columns.
func (c *call) commitEntries() error {
	q, err := c.commitRequest()
	if err != nil {
		return err
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	s, m, err := c.source(primary)
	if err != nil {
		return err
	}
	c.asksForHooks = true // where runHooks names them
	tx := c.begin(logSourceCommit)
	dropped, err := c.checkCommit(tx, s, m, q)
	if err != nil {
		return err
	}
	if m.kind == "" {
		c.st.snapshot(tx, s, "commit", c.cred.userID)
	}
	edited := tx.edit(s)
	if q.columns != nil {
		edited.columns = q.columns
		edited.derive()
	}
	for _, v := range dropped {
		tx.remove(v)
	}
	type made struct {
		v        *version
		clientID any
	}
	var inserted []made
	left := len(q.rows) + 1
	if c.fx.Partial {
		left = c.fx.PartialBatch
	}
	for _, r := range q.rows {
		if r.id == 0 {
			continue
		}
		if left--; left < 0 {
			return c.breakOff(tx, 0)
		}
		old := tx.entry(s, r.id)
		if old == nil || !old.live() {
			continue // assumed: an update of nothing is passed over
		}
		data := old.data()
		switch {
		case r.data == nil:
		case q.extend || q.hooks[runUpdate] && len(m.hookList) > 0:
			data = merge(data, r.data)
		default:
			data = r.data
		}
		if q.hooks[runUpdate] {
			data = c.runHooks(m, runUpdate, data)
		}
		order := old.Order
		if r.ordered {
			order = r.order
		}
		v := tx.update(edited, old, data, order)
		if q.hooks[runUpdate] {
			c.afterWrite(tx, m, runUpdate, v)
		}
	}
	for _, r := range q.rows {
		if r.id != 0 {
			continue
		}
		if left--; left < 0 {
			return c.breakOff(tx, 0)
		}
		data := c.st.withGUID(m, r.data)
		if q.hooks[runInsert] {
			data = c.runHooks(m, runInsert, data)
		}
		v := tx.insert(edited, 0, data, r.order)
		if q.hooks[runInsert] {
			c.afterWrite(tx, m, runInsert, v)
		}
		inserted = append(inserted, made{v, r.clientID})
	}
	if q.gap != 0 {
		tx.renumber(s, edited, q.gap)
	}
	if err := tx.commit(); err != nil {
		return err
	}
	if !q.listed {
		c.srv.log.drop(len(dropped))
	}

	c.status = http.StatusOK
	b := append(c.out[:0], '{')
	if q.everyRow {
		rows := s.liveRows()
		defaultOrder(rows)
		b = append(b, `"entries":`...)
		b = append(appendEntries(b, rows, &listing{shape: &c.fx.Shape}), ',')
	}
	b = append(b, `"clientIds":[`...)
	first := true
	for _, n := range inserted {
		if n.clientID == nil {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		o := object{shape: &Shape{IDsAsStrings: c.fx.Shape.IDsAsStrings}}
		b = o.id(append(b, '{'), "id", n.v.ID)
		b = append(appendValue(append(b, `,"clientId":`...), n.clientID), '}')
	}
	c.out = append(b, ']', '}')
	return nil
}

// checkCommit asks the access rules for every verb of a commit and returns
// what it deletes.
func (c *call) checkCommit(tx *tx, s *source, m *meta, q *commitRequest) (removed []*version, err error) {
	listed := make(map[int64]bool, len(q.rows))
	var inserts []flatRow
	updates := 0
	for _, r := range q.rows {
		if r.id == 0 {
			inserts = append(inserts, flatRow{data: r.data})
			continue
		}
		listed[r.id] = true
		updates++
		if old := tx.entry(s, r.id); old != nil && old.live() {
			if _, err := c.allow(m, access{verb: verbUpdate, sent: r.data, stored: old}); err != nil {
				return nil, err
			}
		}
	}
	if updates > 0 {
		if _, err := c.allow(m, access{verb: verbUpdate, any: true}); err != nil {
			return nil, err
		}
	}
	if err := c.allowBulk(m, verbInsert, inserts); err != nil && len(inserts) > 0 {
		return nil, err
	}
	switch {
	case q.listed:
		seen := make(map[int64]bool, len(q.remove))
		for _, id := range q.remove {
			if v := tx.entry(s, id); v != nil && v.live() && !seen[id] {
				seen[id] = true
				removed = append(removed, v)
			}
		}
	case !q.appending:
		for _, v := range s.rows {
			if v.live() && !listed[v.ID] {
				removed = append(removed, v)
			}
		}
	}
	for _, v := range removed {
		if _, err := c.allow(m, access{verb: verbDelete, stored: v}); err != nil {
			return nil, err
		}
	}
	return removed, nil
}

// liveRows returns the newest live versions, ascending by id.
func (s *source) liveRows() []*version {
	rows := make([]*version, 0, s.live)
	for _, v := range s.rows {
		if v.live() {
			rows = append(rows, v)
		}
	}
	return rows
}

// renumber spreads the orders of all rows, in their present sequence.
func (t *tx) renumber(s *source, m *meta, gap int64) {
	var rows []*version
	for _, v := range s.rows {
		if _, changed := t.byID[v.ID]; !changed && v.live() {
			rows = append(rows, v)
		}
	}
	for _, v := range t.rows {
		if v.DataSourceID == s.id && v.live() {
			rows = append(rows, v)
		}
	}
	// Rows without an order come last, the older one first.
	slices.SortStableFunc(rows, func(a, b *version) int {
		return cmp.Or(compareOrder(a.Order, b.Order), cmp.Compare(a.ID, b.ID))
	})
	for i, v := range rows {
		order := int64(i) * gap
		if v.Order == nil || *v.Order != order {
			t.update(m, v, v.data(), &order)
		}
	}
}
