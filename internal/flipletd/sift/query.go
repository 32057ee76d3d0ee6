package sift

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

const (
	maxDepth    = 100     // lists and objects inside one another
	maxValues   = 100_000 // values in a whole clause
	maxSegments = 100     // parts of a dotted path
	maxRegex    = 50_000  // instructions of all regular expressions together
)

// reader turns a clause into the values this package works on, with numbers as
// float64 and objects in order.
type reader struct{ values int }

func (r *reader) count(depth int) error {
	if r.values++; r.values > maxValues {
		return &Error{Refused, fmt.Sprintf("the where clause holds more than %d values", maxValues)}
	}
	if depth > maxDepth {
		return &Error{Refused, fmt.Sprintf("the where clause nests deeper than %d levels", maxDepth)}
	}
	return nil
}

// read converts decoded JSON.
func (r *reader) read(v any, depth int) (any, error) {
	if err := r.count(depth); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil, bool, string:
		return v, nil
	case []any:
		list := make([]any, len(v))
		for i, elem := range v {
			var err error
			if list[i], err = r.read(elem, depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		o := make(object, 0, len(v))
		for name, value := range v {
			converted, err := r.read(value, depth+1)
			if err != nil {
				return nil, err
			}
			o = append(o, member{name, converted})
		}
		// A map has no order. Any will do, as long as it is always the same.
		slices.SortFunc(o, func(a, b member) int { return cmp.Compare(a.name, b.name) })
		return o.inOrder(), nil
	}
	if f, ok := numeric(v); ok {
		return f, nil
	}
	return nil, &Error{Refused, fmt.Sprintf("the where clause holds a %T, which is not decoded JSON", v)}
}

// readRaw parses JSON text and keeps the order in which keys were written.
func (r *reader) readRaw(raw json.RawMessage) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	v, err := r.readToken(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, &Error{Refused, "the where clause is followed by other text"}
	}
	return v, nil
}

func (r *reader) readToken(dec *json.Decoder, depth int) (any, error) {
	if err := r.count(depth); err != nil {
		return nil, err
	}
	token, err := dec.Token()
	if err != nil {
		return nil, &Error{Refused, "the where clause is not JSON: " + err.Error()}
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			return r.readList(dec, depth+1)
		}
		return r.readObject(dec, depth+1)
	case json.Number:
		return decimal(string(token)), nil
	default:
		return token, nil
	}
}

func (r *reader) readList(dec *json.Decoder, depth int) (any, error) {
	list := []any{}
	for dec.More() {
		v, err := r.readToken(dec, depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, closed(dec)
}

func (r *reader) readObject(dec *json.Decoder, depth int) (any, error) {
	o := object{}
	places := map[string]int{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, &Error{Refused, "the where clause is not JSON: " + err.Error()}
		}
		name, _ := token.(string)
		v, err := r.readToken(dec, depth)
		if err != nil {
			return nil, err
		}
		if i, repeated := places[name]; repeated {
			o[i].value = v // the last one counts, in the place of the first
			continue
		}
		places[name] = len(o)
		o = append(o, member{name, v})
	}
	return o.inOrder(), closed(dec)
}

func closed(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return &Error{Refused, "the where clause is not JSON: " + err.Error()}
	}
	return nil
}

// inOrder puts keys in the order in which JavaScript visits them: whole numbers
// first, ascending, then the others as they came.
func (o object) inOrder() object {
	slices.SortStableFunc(o, func(a, b member) int {
		x, y := arrayIndex(a.name), arrayIndex(b.name)
		switch {
		case x >= 0 && y >= 0:
			return x - y
		case x >= 0:
			return -1
		case y >= 0:
			return 1
		}
		return 0
	})
	return o
}
