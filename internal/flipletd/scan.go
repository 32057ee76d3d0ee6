package flipletd

import (
	"cmp"
	"container/heap"
	"slices"
	"sort"
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
	probes  probes                       // what keep implies about columns; none when it keeps tombstones
	order   []ordering
	offset  int
	limit   int  // 0 is none
	all     bool // the total is wanted, not only the page

	found  []*candidates // of each source; none of the state of an earlier time
	looked int64
}

// keeps is keep, and counts the rows that were looked at.
func (q *scan) keeps(v *version) (bool, error) {
	q.looked++
	return q.keep(v)
}

// current says that the indexes show what the reader sees.
func (q *scan) current() bool { return !q.st.plain && q.st.current(q.at) }

// run returns a page and how many rows there are; the number is right only
// when all is set.
func (q *scan) run() (page []*version, total int, err error) {
	defer func() { q.st.looked.Add(q.looked) }()
	q.narrow()
	if q.all && q.probes.alone && q.current() {
		if total, err = q.countAll(); err != nil {
			return nil, 0, err
		}
		q.all = false
		page, _, err = q.page()
		return page, total, err
	}
	return q.page()
}

// narrow leaves only sources in which something can match.
func (q *scan) narrow() {
	if q.bounds.DataSourceIDs != nil {
		q.sources = slices.DeleteFunc(slices.Clone(q.sources), func(s *source) bool {
			_, in := slices.BinarySearch(q.bounds.DataSourceIDs, s.id)
			return !in
		})
	}
	if !q.current() || q.bounds.IDs != nil {
		return
	}
	q.found = make([]*candidates, len(q.sources))
	for i, s := range q.sources {
		q.found[i] = q.candidates(s)
	}
}

func (q *scan) page() (page []*version, total int, err error) {
	var inOrder func() ([]*version, int, error)
	if q.current() && q.bounds.IDs == nil {
		w, indexed := q.indexed()
		if !indexed && len(q.order) == 0 && len(q.sources) == 1 && q.sources[0].ordered == 0 {
			w, indexed = newestFirst(), true
		}
		if indexed {
			lists := make([][]*version, len(q.sources))
			for i, s := range q.sources {
				lists[i] = q.within(s, &w)
			}
			if !q.few(lists) {
				return q.walk(w, lists)
			}
			// Behind the page may be a row that the query fails on: then only a walk tells
			// whether it is met.
			inOrder = func() ([]*version, int, error) { return q.walk(w, lists) }
		}
	}
	var rows []*version
	if err := q.gather(func(v *version) { rows = append(rows, v) }); err != nil && inOrder != nil {
		return inOrder()
	} else if err != nil {
		return nil, 0, err
	}
	sortRows(rows, q.order)
	return paginate(rows, q.offset, q.limit), len(rows), nil
}

// few says that it is less work to sort what can match than to walk an order until the
// page is full. Matches are taken to lie anywhere in it.
func (q *scan) few(lists [][]*version) bool {
	can, walked := 0, 0
	for i, s := range q.sources {
		n := len(lists[i])
		walked += n
		if c := q.found[i]; c != nil {
			n = min(n, c.n)
		}
		can += min(n, len(q.fromBounds(s)))
	}
	if q.all || q.limit == 0 {
		return can < walked/2
	}
	return can == 0 || can < walked && can < walked/can*(q.offset+q.limit)
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
	defer func() { q.st.looked.Add(q.looked) }()
	q.narrow()
	return q.countAll()
}

func (q *scan) countAll() (n int, err error) {
	if q.bounds.IDs != nil {
		err = q.gather(func(*version) { n++ })
		return n, err
	}
	for i := range q.sources {
		c := q.foundIn(i)
		if c != nil && q.probes.alone {
			var some int
			some, err = c.count(q)
			n += some
		} else {
			err = q.gatherIn(i, func(*version) { n++ })
		}
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (q *scan) foundIn(i int) *candidates {
	if i < len(q.found) {
		return q.found[i]
	}
	return nil
}

// gather passes every kept entry to fn, in no order.
func (q *scan) gather(fn func(*version)) error {
	if q.bounds.IDs != nil {
		return q.gatherIDs(fn)
	}
	for i := range q.sources {
		if err := q.gatherIn(i, fn); err != nil {
			return err
		}
	}
	return nil
}

// visit passes an entry to fn if it is kept.
func (q *scan) visit(v *version, fn func(*version)) error {
	ok, err := q.keeps(v)
	if ok && err == nil {
		fn(v)
	}
	return err
}

func (q *scan) gatherIDs(fn func(*version)) error {
	for _, id := range q.bounds.IDs {
		v := q.st.entries[id]
		if v == nil || !slices.ContainsFunc(q.sources, func(s *source) bool { return s.id == v.DataSourceID }) {
			continue
		}
		if v = v.asOf(q.at); v == nil {
			continue
		}
		if err := q.visit(v, fn); err != nil {
			return err
		}
	}
	return nil
}

// gatherIn is gather for one of the sources.
func (q *scan) gatherIn(i int, fn func(*version)) (err error) {
	s := q.sources[i]
	c := q.foundIn(i)
	if q.current() && (q.bounds.UpdatedFrom != nil || q.bounds.CreatedFrom != nil) {
		if list := q.fromBounds(s); c == nil || len(list) < c.n {
			for _, v := range list {
				if v.replaced {
					continue
				}
				if err := q.visit(v, fn); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if c != nil {
		return c.each(q.st, func(v *version) error { return q.visit(v, fn) })
	}
	q.st.each(s, q.at, func(v *version) bool {
		err = q.visit(v, fn)
		return err == nil
	})
	return err
}

// fromBounds is the part of an index that the bounds leave.
func (q *scan) fromBounds(s *source) []*version {
	switch {
	case q.bounds.UpdatedFrom != nil:
		return s.updated.between(q.bounds.UpdatedFrom, q.bounds.UpdatedTo, 0)
	case q.bounds.CreatedFrom != nil:
		return s.created.between(q.bounds.CreatedFrom, q.bounds.CreatedTo, 0)
	}
	return s.rows
}

// sequence is an order that an index delivers by itself: by a time and then by the
// id, or by the id alone, each in its own direction.
type sequence struct {
	list       func(*source) []*version
	key        func(*version) time.Time
	column     string
	desc       bool // the times fall
	descending bool // the ids fall
}

func noTime(*version) time.Time { return time.Time{} }

// indexed finds the index for the wanted order. Rows that have one time come in the
// order of their ids, ascending unless the order says otherwise, and nothing that it
// says after the id counts.
func (q *scan) indexed() (w sequence, ok bool) {
	if len(q.order) == 0 || q.order[0].data {
		return w, false
	}
	first := q.order[0]
	w.column, w.desc = first.column, first.desc
	if len(q.order) > 1 && first.column != "id" {
		second := q.order[1]
		if second.data || second.column != "id" {
			return w, false
		}
		w.descending = second.desc
	}
	switch first.column {
	case "updatedAt":
		w.list, w.key = func(s *source) []*version { return s.updated.list }, byUpdated
	case "createdAt":
		w.list, w.key = func(s *source) []*version { return s.created.list }, byCreated
	case "id":
		w.list, w.key, w.descending = func(s *source) []*version { return s.rows }, noTime, first.desc
	default:
		return w, false
	}
	return w, true
}

func (w *sequence) less(a, b *version) bool {
	if c := w.key(a).Compare(w.key(b)); c != 0 {
		return c < 0 != w.desc
	}
	return cmp.Less(a.ID, b.ID) != w.descending
}

// cursor walks a part of one index. Where times and ids go in different directions it
// takes the rows of one time as a run.
type cursor struct {
	*sequence
	rest []*version // ascending; those of the run are gone from it
	run  []*version // ascending
}

// head is the row that the cursor stands at, nil behind the last.
func (c *cursor) head() *version {
	if len(c.run) == 0 && !c.load() {
		return nil
	}
	if c.descending {
		return c.run[len(c.run)-1]
	}
	return c.run[0]
}

func (c *cursor) load() bool {
	n := len(c.rest)
	switch {
	case n == 0:
		return false
	case c.desc == c.descending:
		c.run, c.rest = c.rest, nil
	case c.desc:
		t, i := c.key(c.rest[n-1]), n-1
		if i > 0 && c.key(c.rest[i-1]).Equal(t) {
			i = sort.Search(n, func(i int) bool { return !c.key(c.rest[i]).Before(t) })
		}
		c.run, c.rest = c.rest[i:], c.rest[:i]
	default:
		t, i := c.key(c.rest[0]), 1
		if n > 1 && c.key(c.rest[1]).Equal(t) {
			i = sort.Search(n, func(i int) bool { return c.key(c.rest[i]).After(t) })
		}
		c.run, c.rest = c.rest[:i], c.rest[i:]
	}
	return true
}

func (c *cursor) next() bool {
	if c.descending {
		c.run = c.run[:len(c.run)-1]
	} else {
		c.run = c.run[1:]
	}
	return c.head() != nil
}

// merged is a heap of cursors by their heads.
type merged struct {
	sequence
	cursors []cursor
}

func (m *merged) Len() int           { return len(m.cursors) }
func (m *merged) Swap(i, j int)      { m.cursors[i], m.cursors[j] = m.cursors[j], m.cursors[i] }
func (m *merged) Less(i, j int) bool { return m.less(m.cursors[i].head(), m.cursors[j].head()) }
func (m *merged) Push(any)           {}
func (m *merged) Pop() any {
	m.cursors = m.cursors[:len(m.cursors)-1]
	return nil
}

// within is the part of a source's index that the bounds leave.
func (q *scan) within(s *source, w *sequence) []*version {
	list := w.list(s)
	ix := index{key: w.key, list: list}
	switch w.column {
	case "createdAt":
		return ix.between(q.bounds.CreatedFrom, q.bounds.CreatedTo, 0)
	case "updatedAt":
		from, id := q.bounds.UpdatedFrom, int64(0)
		if q.after.given && (from == nil || !q.after.time.Before(*from)) {
			from, id = &q.after.time, q.after.id
		}
		// Rows that are beyond lie at the end: what was bounded by time is extended to them.
		list = ix.between(nil, q.bounds.UpdatedTo, 0)
		start := len(list) - len(ix.between(from, q.bounds.UpdatedTo, id))
		return list[min(start, q.after.earliest(s, &ix)):]
	}
	return list
}

// walk merges the indexes of all sources and stops when the page is full.
func (q *scan) walk(w sequence, lists [][]*version) (page []*version, total int, err error) {
	m := &merged{sequence: w}
	for _, list := range lists {
		if len(list) > 0 {
			c := cursor{sequence: &m.sequence, rest: list}
			c.load()
			m.cursors = append(m.cursors, c)
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
		ok, err := q.keeps(v)
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
func newestFirst() sequence {
	return sequence{
		list: func(s *source) []*version { return s.rows }, key: noTime, column: "id", desc: true, descending: true,
	}
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
