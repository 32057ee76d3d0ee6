package rowquery

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Lookup is a condition that an index over the values of a column in data can answer.
// A row whose column holds an object, a list with objects or lists in it, or a number
// with an exponent has to be asked all the same.
type Lookup struct {
	Column string
	Values []any // one of them: string, float64 or bool
	As     Sameness
	Not    bool // none of them
	// Exact says that the condition is TRUE for no other rows than these; else for some
	// of them.
	Exact bool
}

// Sameness is how a column has a value.
type Sameness uint8

const (
	Plain   Sameness = iota // it is that value
	Element                 // it is a list with that value in it
	AsText                  // as text it is that text: the text or the number
)

// Lookups returns conditions that must be TRUE for a row to match. all says that there
// are no others.
func (f *Filter) Lookups() (found []Lookup, all bool) {
	all = true
	for _, n := range f.all {
		var of []Lookup
		complete := false
		switch n := n.(type) {
		case containment:
			of, complete = n.lookups()
		case negation:
			if c, ok := n.of.(containment); ok {
				if of, complete = c.lookups(); complete && len(of) == 1 && of[0].Exact {
					of[0].Not = true
				} else {
					of, complete = nil, false
				}
			}
		case *related[string, string]:
			if n.op == equal {
				of, complete = n.of.lookup(n.operand)
			}
		case *member[string, string]:
			of, complete = n.of.lookup(n.list...)
		}
		found = append(found, of...)
		all = all && complete
	}
	return found, all
}

func (n containment) lookups() (found []Lookup, complete bool) {
	columns, ok := n.operand.(map[string]any)
	if !ok || n.inverse || len(columns) == 0 {
		return nil, false
	}
	complete = true
	for _, column := range sortedKeys(columns) {
		as, values := Plain, []any{columns[column]}
		if list, ok := columns[column].([]any); ok {
			as, values = Element, list
			complete = complete && len(list) > 0 // else any list will do
		}
		for _, v := range values {
			l := Lookup{Column: column, As: as, Values: []any{v}, Exact: true}
			switch v := v.(type) {
			case string, bool:
				l.Exact = v != true && v != false // an index may take true for 1
			case json.Number:
				f, _ := strconv.ParseFloat(string(v), 64) // an infinity beyond the range
				l.Values[0], l.Exact = f, false
			default:
				complete = false
				continue
			}
			found = append(found, l)
		}
	}
	return found, complete
}

// lookup is the comparison of a column, as text, with some texts.
func (s *scalar[V, O]) lookup(texts ...string) (found []Lookup, complete bool) {
	if s.column == "" {
		return nil, false
	}
	l := Lookup{Column: s.column, As: AsText}
	for _, text := range texts {
		if text == "true" || text == "false" || strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
			return nil, false // other values than text and numbers read like that
		}
		l.Values = append(l.Values, text)
	}
	return []Lookup{l}, true
}
