package datasource

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// appendValue appends v as JSON: what encoding/json writes without its escapes for HTML. The types that decoding
// yields are written directly, since a map costs encoding/json two allocations per column; the rest is left to it.
func appendValue(b []byte, v any) ([]byte, error) { return appendNested(b, v, 0) }

var errTooDeep = errors.New("nested too deeply, or inside itself")

// at adds the place of a fault, except where the way there would be thousands of steps.
func at(place string, err error) error {
	if err == errTooDeep {
		return err
	}
	return fmt.Errorf("%s: %w", place, err)
}

func appendNested(b []byte, v any, depth int) ([]byte, error) {
	if depth++; depth > maxDepth {
		return b, errTooDeep
	}
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendString(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case json.Number:
		return appendNumber(b, v)
	case M:
		return appendObject(b, v, depth)
	case []M:
		return appendArray(b, v, depth, appendObject)
	case []any:
		return appendArray(b, v, depth, appendNested)
	case []string:
		return appendArray(b, v, depth, func(b []byte, s string, _ int) ([]byte, error) { return appendString(b, s), nil })
	}
	text, err := json.Marshal(v)
	if err != nil {
		return b, fmt.Errorf("%T cannot be written as JSON: %w", v, err)
	}
	return append(b, text...), nil
}

func appendNumber(b []byte, n json.Number) ([]byte, error) {
	if n == "" { // its zero value is written as 0
		return append(b, '0'), nil
	}
	s := scanner{b: []byte(n)}
	if c := n[0]; c == '-' || '0' <= c && c <= '9' {
		if _, err := s.number(); err == nil && s.i == len(n) {
			return append(b, n...), nil
		}
	}
	return b, errors.New("a json.Number that is not a number")
}

// appendObject writes the members in the order of their names, so that equal values give equal bytes.
func appendObject(b []byte, m M, depth int) ([]byte, error) {
	if m == nil {
		return append(b, "null"...), nil
	}
	var room [16]string // most rows fit
	names := room[:0]
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	var err error
	for i, name := range names {
		b = appendName(b, i, name)
		if b, err = appendNested(b, m[name], depth); err != nil {
			return b, at(strconv.Quote(name), err)
		}
	}
	if len(names) == 0 {
		b = append(b, '{')
	}
	return append(b, '}'), nil
}

func appendArray[T any](b []byte, list []T, depth int, element func([]byte, T, int) ([]byte, error)) ([]byte, error) {
	if list == nil {
		return append(b, "null"...), nil
	}
	b = append(b, '[')
	var err error
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = element(b, v, depth); err != nil {
			return b, at(fmt.Sprintf("[%d]", i), err)
		}
	}
	return append(b, ']'), nil
}

// appendName begins member number i of an object.
func appendName(b []byte, i int, name string) []byte {
	if i == 0 {
		b = append(b, '{')
	} else {
		b = append(b, ',')
	}
	return append(appendString(b, name), ':')
}

func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	if whole := append(b, s...); plainRun(whole[len(b):]) == len(s) { // as most are
		return append(whole, '"')
	}
	start := 0 // of what is not yet written
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			if c >= ' ' && c != '"' && c != '\\' {
				continue
			}
			b = append(b, s[start:i-1]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\b':
				b = append(b, `\b`...)
			case '\f':
				b = append(b, `\f`...)
			case '\n':
				b = append(b, `\n`...)
			case '\r':
				b = append(b, `\r`...)
			case '\t':
				b = append(b, `\t`...)
			default:
				b = append(b, `\u00`...)
				b = append(b, hex[c>>4], hex[c&15])
			}
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, s[start:i-size]...)
			b = append(b, `\ufffd`...)
			start = i
		case r == '\u2028' || r == '\u2029': // line ends in JavaScript source
			b = append(b, s[start:i-size]...)
			b = append(b, `\u202`...)
			b = append(b, hex[r&15])
			start = i
		}
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// An object is written member by member in the order of the calls; the zero value is ready. The first failure
// stays, and names the member.
type object struct {
	b     []byte
	n     int
	fault error
}

func (o *object) name(name string) {
	o.b = appendName(o.b, o.n, name)
	o.n++
}

func (o *object) add(name string, v any) {
	if o.fault != nil {
		return
	}
	o.name(name)
	var err error
	if o.b, err = appendValue(o.b, v); err != nil {
		o.fault = fmt.Errorf("%s: %w", name, err)
	}
}

// addRaw adds a value that is JSON already, unless it is nil.
func (o *object) addRaw(name string, raw json.RawMessage) {
	if raw == nil || o.fault != nil {
		return
	}
	s := scanner{b: raw, deepest: maxDepth}
	err := s.skip()
	if err == nil {
		err = s.end()
	}
	if err != nil {
		o.fault = fmt.Errorf("%s: %w", name, err)
		return
	}
	o.name(name)
	o.b = append(o.b, raw...)
}

func (o *object) bytes() ([]byte, error) {
	if o.fault != nil {
		return nil, fmt.Errorf("datasource: %w", o.fault)
	}
	if o.n == 0 {
		o.b = append(o.b, '{')
	}
	return append(o.b, '}'), nil
}
