package sift

import (
	"maps"
	"slices"
)

// Lookup is a condition that an index over the values of a column can answer: the
// column, or an element of it when it is a list, equals one of the values as $eq has
// it. A row whose column is an empty list, an object, or a list with lists or objects in
// it has to be asked all the same.
type Lookup struct {
	Column string
	Values []any // text, float64, or nil for null and missing
	Not    bool  // it equals none of them
	// Exact says that the condition holds for no other rows than these; else for some
	// of them.
	Exact bool
}

// Lookups returns the conditions that every row that matches satisfies, in the order in
// which they are tried, up to one of another kind: that may fail, and a row on which it
// fails must not be passed over for what comes behind it. all says that there are no
// others.
func (f *Filter) Lookups() (found []Lookup, all bool) {
	return lookups(f.root, nil)
}

func lookups(n node, found []Lookup) ([]Lookup, bool) {
	switch n := n.(type) {
	case all:
		for _, sub := range n {
			var ok bool
			if found, ok = lookups(sub, found); !ok {
				return found, false
			}
		}
		return found, true
	case *path:
		if l, ok := n.lookup(); ok {
			return append(found, l), true
		}
	case not:
		if p, ok := n.node.(*path); ok {
			if l, ok := p.lookup(); ok && l.Exact {
				l.Not = !l.Not
				return append(found, l), true
			}
		}
	}
	return found, false
}

func (n *path) lookup() (l Lookup, ok bool) {
	if len(n.segments) != 1 {
		return l, false
	}
	l = Lookup{Column: n.segments[0].name, Exact: true}
	switch cond := n.cond.(type) {
	case anyOf:
		l.Values, ok = plainOperand(cond.test)
	case differs:
		l.Values, ok = plainOperand(cond.test)
		l.Not = true
	case *inList:
		// On a list it is strict, so not every row that is found matches.
		l.Exact = false
		ok = cond.plain && !cond.nullText
		for _, text := range slices.Sorted(maps.Keys(cond.texts)) {
			l.Values = append(l.Values, text)
		}
		for _, number := range slices.Sorted(maps.Keys(cond.asLoose)) {
			l.Values = append(l.Values, number)
		}
	}
	return l, ok
}

// plainOperand is what a test for equality compares with.
func plainOperand(t test) ([]any, bool) {
	switch t := t.(type) {
	case isNull:
		return []any{nil}, true
	case equal:
		switch {
		case t.refused != nil || t.isRef:
		case t.isText:
			return []any{t.text}, true
		default:
			return []any{t.number}, true
		}
	}
	return nil, false
}

// Number is what JavaScript's Number makes of text.
func Number(text string) float64 { return toNumber(text) }
