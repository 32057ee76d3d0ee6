package flipletd

import (
	"slices"
	"sync"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// When there is an index of a column. One is built by the second query that could use
// it, and goes when writes had to keep it up that nobody used, a quarter as many as the
// source has rows, or to make room.
const (
	askedBefore   = 1   // queries that could have used it
	fewRows       = 16  // of a source: reading them all is as good
	mostColumns   = 8   // indexes of one source
	mostAsked     = 64  // columns of one source that are counted
	writesUnused  = 512 // at least
	mostBytes     = 256 << 20
	askedTooLarge = -1000 // queries until an index that was too large is tried again
)

// columnIndexer is the indexes of columns of all sources. Its lock is for readers of the
// store, of whom there are several; writers are alone.
type columnIndexer struct {
	mu       sync.Mutex
	building bool
	uses     uint64
	bytes    int64
	most     int64 // bytes
	all      []*postings
}

// postings is the index of a column, nil if there is none (yet). The caller holds the
// store's lock.
func (st *store) postings(s *source, column string) *postings {
	x := &st.columns
	x.mu.Lock()
	defer x.mu.Unlock()
	if p := s.columns[column]; p != nil {
		x.uses++
		p.used, p.writes = x.uses, 0
		return p
	}
	if len(s.rows) < fewRows || x.building {
		return nil
	}
	if asked, known := s.asked[column]; asked < askedBefore {
		if !known && len(s.asked) >= mostAsked {
			clear(s.asked)
		}
		if s.asked == nil {
			s.asked = make(map[string]int)
		}
		s.asked[column]++
		return nil
	}
	x.building = true
	x.mu.Unlock()
	p := newPostings(s, column, x.most)
	x.mu.Lock()
	x.building = false
	if p == nil {
		s.asked[column] = askedTooLarge
		return nil
	}
	delete(s.asked, column)
	for len(s.columns) >= mostColumns {
		x.drop(x.oldest(s))
	}
	for x.bytes+p.size() > x.most && len(x.all) > 0 {
		x.drop(x.oldest(nil))
	}
	x.uses++
	p.used = x.uses
	if s.columns == nil {
		s.columns = make(map[string]*postings)
	}
	s.columns[column] = p
	x.all = append(x.all, p)
	x.bytes += p.size()
	return p
}

// oldest is the index that was used longest ago, of one source or of all.
func (x *columnIndexer) oldest(s *source) *postings {
	var found *postings
	for _, p := range x.all {
		if (s == nil || p.source == s) && (found == nil || p.used < found.used) {
			found = p
		}
	}
	return found
}

func (x *columnIndexer) drop(p *postings) {
	x.all = slices.DeleteFunc(x.all, func(o *postings) bool { return o == p })
	x.bytes -= p.size()
	delete(p.source.columns, p.column)
}

// indexColumns keeps the indexes of a source true. The caller is the writer.
func (st *store) indexColumns(s *source, old, v *version) {
	for _, p := range s.columns {
		before := p.size()
		p.replace(old, v)
		st.columns.bytes += p.size() - before
		if p.writes++; p.writes > max(writesUnused, len(s.rows)/4) || p.size() > st.columns.most {
			st.columns.drop(p)
		}
	}
}

// probe is a condition of a query for which a column's index has the rows.
type probe struct {
	column string
	terms  []term // one of them
	not    bool   // none of them
	exact  bool
}

// probes is what an index can do for a query's clause.
type probes struct {
	of []probe
	// alone says that a row matches when it is live and the one probe holds.
	alone bool
	// ordered says that a row on which a condition fails may not be passed over for a
	// later one.
	ordered bool
}

func siftProbes(f *sift.Filter) (found probes) {
	if f == nil {
		return found
	}
	of, all := f.Lookups()
	for _, l := range of {
		to := probe{column: l.Column, not: l.Not, exact: l.Exact}
		for _, v := range l.Values {
			for _, element := range []bool{false, true} {
				switch v := v.(type) {
				case nil:
					to.terms = append(to.terms, term{kind: noValue, element: element})
				case string:
					to.terms = append(to.terms, term{kind: aText, element: element, text: v},
						term{kind: aNumber, element: element, number: sift.Number(v)}) // NaN is not found
				case float64:
					to.terms = append(to.terms, term{kind: aNumber, element: element, number: v}, term{kind: aTextNumber, element: element, number: v})
				}
			}
		}
		found.of = append(found.of, to)
	}
	found.ordered = true
	found.alone = all && len(of) == 1 && of[0].Exact
	return found
}

func rowProbes(f *rowquery.Filter) (found probes) {
	if f == nil {
		return found
	}
	of, all := f.Lookups()
	for _, l := range of {
		to := probe{column: l.Column, not: l.Not, exact: l.Exact}
		element := l.As == rowquery.Element
		for _, v := range l.Values {
			switch v := v.(type) {
			case string:
				to.terms = append(to.terms, term{kind: aText, element: element, text: v})
				if l.As == rowquery.AsText {
					to.terms = append(to.terms, term{kind: aNumber, number: sift.Number(v)})
				}
			case float64:
				to.terms = append(to.terms, term{kind: aNumber, element: element, number: v})
			case bool:
				to.terms = append(to.terms, term{kind: aNumber, element: element, number: numberOf(v)})
			}
		}
		found.of = append(found.of, to)
	}
	found.alone = all && len(of) == 1 && of[0].Exact
	return found
}

// candidates are the rows of a source among which all matches are.
type candidates struct {
	p    *postings
	rows []int64 // that have one of the terms, ascending
	not  bool
	n    int // about how many
}

// candidates picks the index that leaves the fewest rows, nil if there is none.
func (q *scan) candidates(s *source) *candidates {
	var best *candidates
	for _, l := range q.probes.of {
		p := q.st.postings(s, l.column)
		switch {
		case p == nil && q.probes.ordered:
			return best
		case p == nil:
			continue
		}
		c := &candidates{p: p, rows: p.rows(l.terms), not: l.not}
		if c.n = len(c.rows) + len(p.odd); l.not {
			c.n = s.live - len(c.rows) + len(p.odd)
		}
		if best == nil || c.n < best.n {
			best = c
		}
		if q.probes.ordered && len(p.odd) > 0 {
			return best
		}
	}
	return best
}

// each calls fn with the rows, ascending, until it fails.
func (c *candidates) each(st *store, fn func(*version) error) error {
	if c.not {
		rows, odd := c.rows, c.p.odd
		for _, v := range c.p.source.rows {
			var has, strange bool
			has, rows = at(rows, v.ID)
			strange, odd = at(odd, v.ID)
			if has && !strange || !v.live() {
				continue
			}
			if err := fn(v); err != nil {
				return err
			}
		}
		return nil
	}
	rows, odd := c.rows, c.p.odd
	for len(rows) > 0 || len(odd) > 0 {
		var id int64
		if len(odd) == 0 || len(rows) > 0 && rows[0] <= odd[0] {
			if id = rows[0]; len(odd) > 0 && odd[0] == id {
				odd = odd[1:]
			}
			rows = rows[1:]
		} else {
			id, odd = odd[0], odd[1:]
		}
		if err := fn(st.entries[id]); err != nil {
			return err
		}
	}
	return nil
}

// at reports whether an ascending list goes on with an id, and goes past it.
func at(list []int64, id int64) (bool, []int64) {
	if len(list) > 0 && list[0] == id {
		return true, list[1:]
	}
	return false, list
}

// count is how many rows match when the probe alone decides: the index tells it of all
// but the odd ones.
func (c *candidates) count(q *scan) (n int, err error) {
	n = len(c.rows)
	matching := 0
	for _, id := range c.p.odd {
		if _, has := slices.BinarySearch(c.rows, id); has {
			n--
		}
		ok, err := q.keeps(q.st.entries[id])
		if err != nil {
			return 0, err
		}
		if ok {
			matching++
		}
	}
	if c.not {
		n = c.p.source.live - len(c.p.odd) - n
	}
	return n + matching, nil
}
