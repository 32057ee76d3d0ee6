package flipletd

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
)

// scan is a search over the entries of some sources. The caller holds the
// store's lock.
type scan struct {
	st      *store
	sources []*source
	at      time.Time                    // the state to look at
	keep    func(*version) (bool, error) // sees tombstones too
	bounds  rowquery.Bounds              // what keep implies
	after   keyset                       // what keep implies about (updatedAt, id)
	order   []ordering
	offset  int
	limit   int  // 0 is none
	all     bool // the total is wanted, not only the page
}

// run returns a page and how many rows there are; the number is right only
// when all is set.
func (q *scan) run() (page []*version, total int, err error) {
	if q.bounds.DataSourceIDs != nil {
		q.sources = slices.DeleteFunc(slices.Clone(q.sources), func(s *source) bool {
			_, in := slices.BinarySearch(q.bounds.DataSourceIDs, s.id)
			return !in
		})
	}
	if q.st.current(q.at) && q.bounds.IDs == nil {
		if ix, desc, ok := q.indexed(); ok {
			return q.walk(ix, desc)
		}
		if len(q.order) == 0 && len(q.sources) == 1 && q.sources[0].ordered == 0 {
			return q.newestFirst(q.sources[0])
		}
	}
	var rows []*version
	if err := q.gather(func(v *version) { rows = append(rows, v) }); err != nil {
		return nil, 0, err
	}
	sortRows(rows, q.order)
	return paginate(rows, q.offset, q.limit), len(rows), nil
}

func paginate(rows []*version, offset, limit int) []*version {
	rows = rows[min(offset, len(rows)):]
	if limit > 0 {
		rows = rows[:min(limit, len(rows))]
	}
	return rows
}

// count counts without sorting.
func (q *scan) count() (n int, err error) {
	err = q.gather(func(*version) { n++ })
	return n, err
}

// gather passes every kept entry to fn, in no order.
func (q *scan) gather(fn func(*version)) error {
	visit := func(v *version) error {
		ok, err := q.keep(v)
		if ok && err == nil {
			fn(v)
		}
		return err
	}
	if q.bounds.IDs != nil {
		for _, id := range q.bounds.IDs {
			v := q.st.entries[id]
			if v == nil || !slices.ContainsFunc(q.sources, func(s *source) bool { return s.id == v.DataSourceID }) {
				continue
			}
			if v = v.asOf(q.at); v == nil {
				continue
			}
			if err := visit(v); err != nil {
				return err
			}
		}
		return nil
	}
	for _, s := range q.sources {
		if q.st.current(q.at) && (q.bounds.UpdatedFrom != nil || q.bounds.CreatedFrom != nil) {
			for _, v := range q.fromBounds(s) {
				if v.replaced {
					continue
				}
				if err := visit(v); err != nil {
					return err
				}
			}
			continue
		}
		var err error
		q.st.each(s, q.at, func(v *version) bool {
			err = visit(v)
			return err == nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// fromBounds is the part of an index that the bounds leave.
func (q *scan) fromBounds(s *source) []*version {
	if from := q.bounds.UpdatedFrom; from != nil {
		return s.updated.list[s.updated.search(*from, 0):]
	}
	return s.created.list[s.created.search(*q.bounds.CreatedFrom, 0):]
}

// indexed says which index delivers the wanted order by itself: a time, alone
// or followed by the id in the same direction.
func (q *scan) indexed() (pick func(*source) *index, desc, ok bool) {
	if len(q.order) == 0 || len(q.order) > 2 || q.order[0].data {
		return nil, false, false
	}
	first := q.order[0]
	if len(q.order) == 2 {
		second := q.order[1]
		if second.data || second.column != "id" || second.desc != first.desc {
			return nil, false, false
		}
	} else if first.desc {
		return nil, false, false // ties go by ascending id
	}
	switch first.column {
	case "updatedAt":
		return func(s *source) *index { return &s.updated }, first.desc, true
	case "createdAt":
		return func(s *source) *index { return &s.created }, first.desc, true
	}
	return nil, false, false
}

// cursor walks one index.
type cursor struct {
	list []*version
	desc bool
}

func (c *cursor) head() *version {
	if c.desc {
		return c.list[len(c.list)-1]
	}
	return c.list[0]
}

func (c *cursor) next() bool {
	if c.desc {
		c.list = c.list[:len(c.list)-1]
	} else {
		c.list = c.list[1:]
	}
	return len(c.list) > 0
}

// merged is a heap of cursors by their heads.
type merged struct {
	cursors []cursor
	key     func(*version) time.Time
}

func (m *merged) Len() int      { return len(m.cursors) }
func (m *merged) Swap(i, j int) { m.cursors[i], m.cursors[j] = m.cursors[j], m.cursors[i] }
func (m *merged) Push(any)      {}
func (m *merged) Pop() any {
	m.cursors = m.cursors[:len(m.cursors)-1]
	return nil
}

func (m *merged) Less(i, j int) bool {
	a, b := m.cursors[i].head(), m.cursors[j].head()
	c := cmp.Or(m.key(a).Compare(m.key(b)), cmp.Compare(a.ID, b.ID))
	return c < 0 != m.cursors[i].desc
}

// walk merges the indexes of all sources and stops when the page is full.
func (q *scan) walk(pick func(*source) *index, desc bool) (page []*version, total int, err error) {
	m := &merged{}
	for _, s := range q.sources {
		ix := pick(s)
		m.key = ix.key
		list := ix.list
		var from, to *time.Time
		if q.order[0].column == "updatedAt" {
			from, to = q.bounds.UpdatedFrom, q.bounds.UpdatedTo
		} else {
			from, to = q.bounds.CreatedFrom, q.bounds.CreatedTo
		}
		id := int64(0)
		if q.order[0].column == "updatedAt" && q.after.given && (from == nil || !q.after.time.Before(*from)) {
			from, id = &q.after.time, q.after.id
		}
		end := len(list)
		if to != nil {
			end = ix.search(to.Add(time.Nanosecond), 0)
		}
		start := 0
		if from != nil {
			start = min(ix.search(*from, id), end)
		}
		if q.order[0].column == "updatedAt" {
			start = min(start, q.after.earliest(s, ix), end)
		}
		if list = list[start:end]; len(list) > 0 {
			m.cursors = append(m.cursors, cursor{list: list, desc: desc})
		}
	}
	heap.Init(m)
	for len(m.cursors) > 0 {
		v := m.cursors[0].head()
		if m.cursors[0].next() {
			heap.Fix(m, 0)
		} else {
			heap.Remove(m, 0)
		}
		if v.replaced {
			continue
		}
		ok, err := q.keep(v)
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			continue
		}
		if total++; total > q.offset && (q.limit == 0 || len(page) < q.limit) {
			page = append(page, v)
		}
		if !q.all && q.limit > 0 && len(page) == q.limit {
			break
		}
	}
	return page, total, nil
}

// newestFirst is the default order of a source whose rows have no order of
// their own: by falling id.
func (q *scan) newestFirst(s *source) (page []*version, total int, err error) {
	for _, v := range slices.Backward(s.rows) {
		ok, err := q.keep(v)
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			continue
		}
		if total++; total > q.offset && (q.limit == 0 || len(page) < q.limit) {
			page = append(page, v)
		}
		if !q.all && q.limit > 0 && len(page) == q.limit {
			break
		}
	}
	return page, total, nil
}

// keyset is a lower bound on (updatedAt, id), exclusive of nothing: rows
// before it cannot match, unless they have an id beyond another bound.
type keyset struct {
	given  bool
	time   time.Time
	id     int64
	beyond int64 // 0 is none
}

// earliest is where in an index the rows of a source begin that are beyond.
func (k keyset) earliest(s *source, ix *index) int {
	first := len(ix.list)
	if k.beyond > 0 {
		for _, v := range slices.Backward(s.rows) {
			if v.ID <= k.beyond {
				break
			}
			first = min(first, ix.search(ix.key(v), v.ID))
		}
	}
	return first
}

// keysetOf recognizes the clause by which clients page through a stream,
//
//	{"$or":[{"updatedAt":{"$gt":T}},{"updatedAt":T,"id":{"$gt":N}}]}
//
// or without its second part, with or without {"id":{"$gt":M}} besides, alone, beside other keys or inside an $and, so that a page costs the same
// wherever it lies within any number of rows of one millisecond. Anything
// else gives no bound, which is always right.
func keysetOf(where any) keyset {
	w, ok := where.(map[string]any)
	if !ok {
		return keyset{}
	}
	if and, ok := w["$and"].([]any); ok {
		for _, e := range and {
			if k := keysetOf(e); k.given {
				return k
			}
		}
	}
	or, ok := w["$or"].([]any)
	if !ok || len(or) < 2 || len(or) > 3 {
		return keyset{}
	}
	var beyond int64
	var times []map[string]any
	for _, e := range or {
		part, _ := e.(map[string]any)
		if id, ok := loneOperand(part["id"], "$gt"); ok && len(part) == 1 && beyond == 0 {
			if n, number := wholeNumber(id); number && n > 0 {
				beyond = n
				continue
			}
		}
		times = append(times, part)
	}
	switch {
	case len(times) == 1 && beyond > 0 && len(times[0]) == 1:
		if t, ok := loneOperand(times[0]["updatedAt"], "$gt"); ok {
			return keysetAt(t, 0, beyond)
		}
	case len(times) == 2:
		for i := range 2 {
			later, tied := times[i], times[1-i]
			t, ok := loneOperand(later["updatedAt"], "$gt")
			same, tie := tied["updatedAt"].(string)
			if !tie {
				if eq, ok := loneOperand(tied["updatedAt"], "$eq"); ok {
					same, tie = eq.(string)
				}
			}
			id, hasID := loneOperand(tied["id"], "$gt")
			n, number := wholeNumber(id)
			if ok && tie && hasID && number && t == any(same) && n < 1<<62 {
				return keysetAt(t, n+1, beyond)
			}
		}
	}
	return keyset{}
}

func keysetAt(t any, id, beyond int64) keyset {
	text, _ := t.(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	return keyset{given: err == nil, time: at, id: id, beyond: beyond}
}

// loneOperand is the operand of an object with that one operator.
func loneOperand(v any, operator string) (any, bool) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return nil, false
	}
	operand, ok := m[operator]
	return operand, ok
}
