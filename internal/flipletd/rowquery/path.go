package rowquery

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
)

// path leads to a value inside of data, as PostgreSQL's #>> operator walks:
// by key through objects, by index through arrays, negative from the end.
type path struct {
	name  string // data.a.b, for messages
	steps []step
}

type step struct {
	key     string
	index   int
	isIndex bool
}

// join returns the path to a key below.
func (p path) join(key string) (path, error) {
	name := p.name + "." + shortened(key)
	switch {
	case strings.Contains(key, "::"):
		return path{}, refused("%s: a cast in a path is not evaluated; the operand decides the cast", name)
	case key == "" || strings.ContainsAny(key, `{},"\`) || strings.Trim(key, pgSpace) != key || strings.EqualFold(key, "null"):
		// Sequelize writes the path as an array literal without quotes, where
		// PostgreSQL would read such a key as something else.
		return path{}, refused("%s: Sequelize cannot address this key; use $contains", name)
	}
	next := step{key: key}
	if n, err := strconv.ParseInt(key, 10, 32); err == nil {
		next.index, next.isIndex = int(n), true
	}
	return path{name: name, steps: append(p.steps[:len(p.steps):len(p.steps)], next)}, nil
}

// find returns nil for SQL NULL: a missing value or JSON null.
func (p path) find(r *Row) any {
	v := r.Data
	for _, s := range p.steps {
		switch at := v.(type) {
		case map[string]any:
			v = at[s.key]
		case []any:
			i := s.index
			if i < 0 {
				i += len(at)
			}
			if !s.isIndex || i < 0 || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

// term casts the path for an operand: a number makes it double precision, a
// boolean makes it boolean and anything else leaves it text. Of a list the
// first value decides.
func (p path) term(operand any) term {
	if list, ok := operand.([]any); ok {
		operand = nil
		if len(list) > 0 {
			operand = list[0]
		}
	}
	switch operand.(type) {
	case json.Number:
		return p.number()
	case bool:
		return p.boolean()
	}
	return p.text()
}

func (p path) text() term {
	unprintable := badValue("%s holds a number that PostgreSQL cannot store", p.name)
	column := ""
	if len(p.steps) == 1 {
		column = p.steps[0].key
	}
	return &scalar[string, string]{
		name: p.name, column: column,
		value: func(r *Row) (string, bool, error) {
			v := p.find(r)
			if v == nil {
				return "", false, nil
			}
			text, ok := jsonText(v)
			if !ok {
				return "", false, unprintable
			}
			return text, true, nil
		},
		operand: func(operand any) (string, bool) { text, ok := operand.(string); return text, ok },
		takes:   "text here; a number or boolean must be a plain operand or the first in its list",
		compare: cmp.Compare[string],
		order:   cmp.Compare[string],
	}
}

func (p path) number() term {
	failure := badValue("%s holds a value that is no number in a row that was searched; compare with text instead", p.name)
	return &scalar[float64, float64]{
		name: p.name,
		value: func(r *Row) (float64, bool, error) {
			v := p.find(r)
			if v == nil {
				return 0, false, nil
			}
			n, ok := castFloat(v)
			if !ok {
				return 0, false, failure
			}
			return n, true, nil
		},
		operand: func(operand any) (float64, bool) {
			switch operand := operand.(type) {
			case json.Number:
				n, err := strconv.ParseFloat(string(operand), 64)
				return n, err == nil
			case string:
				return parseFloat(operand)
			}
			return 0, false
		},
		takes:   "numbers here",
		compare: compareFloats,
		order:   compareFloats,
	}
}

// castFloat casts what #>> gives to double precision. An object or array is
// text that no number begins with.
func castFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		return parseFloat(string(v))
	case string:
		return parseFloat(v)
	}
	return 0, false
}

func (p path) boolean() term {
	failure := badValue("%s holds a value that is no boolean in a row that was searched; compare with text instead", p.name)
	return &scalar[bool, bool]{
		name: p.name,
		value: func(r *Row) (bool, bool, error) {
			v := p.find(r)
			if v == nil {
				return false, false, nil
			}
			b, ok := castBool(v)
			if !ok {
				return false, false, failure
			}
			return b, true, nil
		},
		operand: func(operand any) (bool, bool) {
			switch operand := operand.(type) {
			case bool:
				return operand, true
			case string:
				return parseBool(operand)
			}
			return false, false
		},
		takes:   "booleans here",
		compare: compareBools,
		order:   compareBools,
	}
}

// castBool casts what #>> gives to boolean: the number 1 and the text "yes"
// count as true.
func castBool(v any) (value, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		return parseBool(v)
	case json.Number:
		text, ok := numericText(string(v))
		if !ok {
			return false, false
		}
		return parseBool(text)
	}
	return false, false
}
