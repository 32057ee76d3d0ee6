package flipletd

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// term is one plain value that a column has, as the query languages compare it.
type term struct {
	kind    termKind
	element bool // of a list
	number  float64
	text    string
}

type termKind uint8

const (
	noValue     termKind = iota // null or missing
	aText                       // text, by its characters
	aTextNumber                 // text that JavaScript reads as a number, by that
	aNumber                     // a number, or a boolean as 0 or 1
)

// postings is an index of one column of a source: the live rows that have a term,
// ascending by id. It is changed under the store's write lock and read under any.
type postings struct {
	source *source
	column string
	one    map[term]int64 // terms of a single row
	many   map[term][]int64
	odd    []int64 // rows that have more to their column than the terms say
	bytes  int64   // about what it takes
	used   uint64  // when, by the store's count of uses
	writes int     // since it was used
}

// What a term of one row, a term of several and a row of these take, as measured.
const (
	termBytes = 128
	listBytes = 170
	rowBytes  = 10
)

func newPostings(s *source, column string, most int64) *postings {
	p := &postings{source: s, column: column, one: make(map[term]int64), many: make(map[term][]int64)}
	var terms []term
	for _, v := range s.rows {
		if !v.live() {
			continue
		}
		var odd bool
		terms, odd = termsOf(v.data(), column, terms[:0])
		for _, t := range terms {
			p.add(t, v.ID)
		}
		if odd {
			p.odd = insertID(p.odd, v.ID)
		}
		if p.size() > most {
			return nil
		}
	}
	return p
}

func (p *postings) size() int64 { return p.bytes + rowBytes*int64(len(p.odd)) }

// termsOf appends the terms of a column, without repeats. odd says that there is more to
// it: an object, lists within a list, or a number that may have no text.
func termsOf(data map[string]any, column string, terms []term) (_ []term, odd bool) {
	v := data[column]
	list, ok := v.([]any)
	if !ok {
		return appendTerms(terms, v, false)
	}
	odd = len(list) == 0 // which sift reads as text
	for _, e := range list {
		var more bool
		terms, more = appendTerms(terms, e, true)
		odd = odd || more
	}
	if len(terms) > 1 {
		slices.SortFunc(terms, compareTerms)
		terms = slices.Compact(terms)
	}
	return terms, odd
}

func appendTerms(terms []term, v any, element bool) (_ []term, odd bool) {
	switch v := v.(type) {
	case nil:
		return append(terms, term{kind: noValue, element: element}), false
	case string:
		terms = append(terms, term{kind: aText, element: element, text: v})
		if n := sift.Number(v); !math.IsNaN(n) {
			terms = append(terms, term{kind: aTextNumber, element: element, number: n})
		}
		return terms, false
	case bool:
		return append(terms, term{kind: aNumber, element: element, number: numberOf(v)}), false
	case json.Number:
		n, _ := strconv.ParseFloat(string(v), 64) // an infinity beyond the range, as in JavaScript
		return append(terms, term{kind: aNumber, element: element, number: n}), len(v) > 100 || strings.ContainsAny(string(v), "eE")
	}
	return terms, true
}

func numberOf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func compareTerms(a, b term) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), strings.Compare(a.text, b.text), cmp.Compare(a.number, b.number), cmp.Compare(toInt(a.element), toInt(b.element)))
}

func toInt(b bool) int { return int(numberOf(b)) }

// replace makes v, which may be nil, take the place of old, which may be nil too.
func (p *postings) replace(old, v *version) {
	if old != nil && !old.live() {
		old = nil
	}
	if v != nil && !v.live() {
		v = nil
	}
	var before, after []term
	var wasOdd, isOdd bool
	var id int64
	if old != nil {
		id = old.ID
		before, wasOdd = termsOf(old.data(), p.column, nil)
	}
	if v != nil {
		id = v.ID
		after, isOdd = termsOf(v.data(), p.column, nil)
	}
	for len(before) > 0 || len(after) > 0 {
		var c int
		switch {
		case len(before) == 0:
			c = 1
		case len(after) == 0:
			c = -1
		default:
			c = compareTerms(before[0], after[0])
		}
		if c < 0 {
			p.remove(before[0], id)
		} else if c > 0 {
			p.add(after[0], id)
		}
		if c <= 0 {
			before = before[1:]
		}
		if c >= 0 {
			after = after[1:]
		}
	}
	switch {
	case wasOdd && !isOdd:
		p.odd = removeID(p.odd, id)
	case isOdd && !wasOdd:
		p.odd = insertID(p.odd, id)
	}
}

func (p *postings) add(t term, id int64) {
	if list, ok := p.many[t]; ok {
		p.many[t] = insertID(list, id)
		p.bytes += rowBytes
		return
	}
	first, ok := p.one[t]
	if !ok {
		p.one[t] = id
		p.bytes += termBytes
		return
	}
	delete(p.one, t)
	p.many[t] = []int64{min(first, id), max(first, id)}
	p.bytes += listBytes + 2*rowBytes - termBytes
}

func (p *postings) remove(t term, id int64) {
	if p.one[t] == id {
		delete(p.one, t)
		p.bytes -= termBytes
		return
	}
	list := removeID(p.many[t], id)
	p.bytes -= rowBytes
	if p.many[t] = list; len(list) == 0 {
		delete(p.many, t)
		p.bytes -= listBytes
	}
}

// insertID adds an id to an ascending list, which new rows come to the end of.
func insertID(list []int64, id int64) []int64 {
	if n := len(list); n == 0 || list[n-1] < id {
		return append(list, id)
	}
	i, found := slices.BinarySearch(list, id)
	if found {
		return list
	}
	return slices.Insert(list, i, id)
}

func removeID(list []int64, id int64) []int64 {
	if i, found := slices.BinarySearch(list, id); found {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// rows are the ids of the rows that have one of the terms, ascending. The list may be
// the index's own.
func (p *postings) rows(terms []term) []int64 {
	var found []int64
	lists := 0
	for _, t := range terms {
		list := p.many[t]
		if id, ok := p.one[t]; ok {
			list = []int64{id}
		}
		if len(list) == 0 {
			continue
		}
		if lists++; lists == 1 {
			found = list
			continue
		}
		found = append(found[:len(found):len(found)], list...)
	}
	if lists > 1 {
		slices.Sort(found)
		found = slices.Compact(found)
	}
	return found
}
