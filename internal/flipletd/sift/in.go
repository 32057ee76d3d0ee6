package sift

import "strings"

// inList is $in with a list. A plain value is compared loosely, an element of
// a list strictly.
type inList struct {
	elems []node // every element as a condition
	plain bool   // the elements are all scalars: the tables below decide

	texts   map[string]struct{}
	numbers map[float64]struct{} // of the numbers
	asLoose map[float64]struct{} // numbers and booleans as numbers
	asAny   map[float64]struct{} // texts as well

	hasNull, hasTrue, hasFalse bool

	nullText bool  // an element reads "null", which null is equal to
	refused  error // an element cannot be turned into text
}

func newInList(list []any, elems []node) *inList {
	n := &inList{
		elems:   elems,
		plain:   true,
		texts:   map[string]struct{}{},
		numbers: map[float64]struct{}{},
		asLoose: map[float64]struct{}{},
		asAny:   map[float64]struct{}{},
	}
	for _, v := range list {
		s, err := text(v)
		if err != nil {
			n.refused = err
		}
		n.nullText = n.nullText || s == "null"
		if f, ok := numeric(v); ok {
			n.asLoose[f] = struct{}{}
			n.asAny[f] = struct{}{}
		}
		switch kindOf(v) {
		case kindNull:
			n.hasNull = true
		case kindBool:
			n.hasTrue = n.hasTrue || v == true
			n.hasFalse = n.hasFalse || v == false
		case kindNumber:
			f, _ := numeric(v)
			n.numbers[f] = struct{}{}
		case kindString:
			n.texts[s] = struct{}{}
			n.asAny[toNumber(s)] = struct{}{} // NaN is never found again
		default:
			n.plain = false
		}
	}
	return n
}

func (n *inList) match(v any, at place) (bool, error) {
	if err := at.meter.look(v); err != nil {
		return false, err
	}
	if list, ok := v.([]any); ok {
		for _, elem := range list {
			if n.holds(elem) {
				return true, nil
			}
		}
		return false, nil
	}
	switch k := kindOf(v); {
	case k == kindObject:
		return n.matchObject(v, at.meter)
	case k == kindNull:
		if n.refused != nil {
			return false, n.refused
		}
		if n.nullText {
			return true, nil
		}
	case k == kindUndefined && n.hasNull:
		return true, nil
	case v == objectText:
		// The original takes text that reads like an object for one, and then
		// looks for the very text.
		return n.holds(v), nil
	}
	if n.plain {
		return n.holdsLoosely(v), nil
	}
	for i := len(n.elems) - 1; i >= 0; i-- {
		if ok, err := n.elems[i].match(v, place{state: inOperand, meter: at.meter}); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

// matchObject never finds an object, yet the search may fail.
func (n *inList) matchObject(v any, m *Meter) (bool, error) {
	if len(n.elems) == 0 {
		return false, nil
	}
	if n.refused != nil {
		return false, n.refused
	}
	if err := checkText(v); err != nil || n.plain {
		return false, err
	}
	for i := len(n.elems) - 1; i >= 0; i-- {
		if _, err := n.elems[i].match(v, place{state: inOperand, meter: m}); err != nil {
			return false, err
		}
	}
	return false, nil
}

// holds reports whether the list has an element strictly equal to v.
func (n *inList) holds(v any) bool {
	found := false
	switch v := v.(type) {
	case nil:
		return n.hasNull
	case bool:
		return v && n.hasTrue || !v && n.hasFalse
	case string:
		_, found = n.texts[v]
	default:
		if f, ok := numeric(v); ok {
			_, found = n.numbers[f]
		}
	}
	return found
}

func (n *inList) holdsLoosely(v any) bool {
	found := false
	switch v := v.(type) {
	case nil, undefined:
		return n.hasNull
	case string:
		if _, found = n.texts[v]; !found && len(n.asLoose) > 0 {
			_, found = n.asLoose[toNumber(v)]
		}
	case builtin:
		s, _ := text(v)
		_, found = n.texts[s]
	default:
		if f, ok := numeric(v); ok {
			_, found = n.asAny[f]
		}
	}
	return found
}

// inText is $in with text in place of a list: a substring test, and a value
// loosely equal to one of the characters matches too.
type inText struct {
	text   string
	digits [10]bool // which numbers a single character equals
}

func newInText(s string) *inText {
	n := &inText{text: s}
	for _, r := range s {
		switch {
		case '0' <= r && r <= '9':
			n.digits[r-'0'] = true
		case isSpace(r):
			n.digits[0] = true
		}
	}
	return n
}

func (n *inText) match(v any, at place) (bool, error) {
	if list, ok := v.([]any); ok {
		if err := at.meter.spend(1); err != nil {
			return false, err
		}
		for i := len(list) - 1; i >= 0; i-- {
			if err := at.meter.spend(cost(list[i]) + len(n.text)/64); err != nil {
				return false, err
			}
			if ok, err := n.holds(list[i]); err != nil || ok {
				return ok, err
			}
		}
		return false, nil
	}
	if err := at.meter.spend(cost(v) + len(n.text)/64); err != nil {
		return false, err
	}
	if f, ok := numeric(v); ok && f >= 0 && f <= 9 && f == float64(int(f)) && n.digits[int(f)] {
		return true, nil
	}
	return n.holds(v)
}

func (n *inText) holds(v any) (bool, error) {
	s, err := text(v)
	return err == nil && strings.Contains(n.text, s), err
}

// inNothing is $in with anything else. Only an empty list escapes.
type inNothing struct{}

func (inNothing) match(v any, at place) (bool, error) {
	if list, ok := v.([]any); ok && len(list) == 0 {
		return false, at.meter.spend(1)
	}
	return false, &Error{TypeError, "$in and $nin need a list"}
}
