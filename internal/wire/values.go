package wire

import (
	"encoding/json"
	"strconv"
	"strings"
)

// M is a JSON object; numbers inside are json.Number.
type M = map[string]any

// Text reads a scalar as text, since multipart forms turn columns into text and
// imported contacts may hold numbers. Any other value is "".
func Text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// WithRoom returns a new T, and room for two texts in the same allocation.
func WithRoom[T any]() (*T, []string) {
	var block struct {
		value T
		room  [2]string
	}
	return &block.value, block.room[:0]
}

// Strings reads a list of scalars as text. A list written as JSON text, as multipart
// forms do, and a single value count as lists. The result is a copy.
func Strings(v any) []string { return StringsIn(nil, v) }

// StringsIn is Strings with room for a list, which is empty.
func StringsIn(room []string, v any) []string {
	switch v := v.(type) {
	case []string:
		return append([]string(nil), v...)
	case []any:
		if room == nil || len(v) > cap(room) {
			room = make([]string, 0, len(v))
		}
		for _, e := range v {
			if s := Text(e); s != "" {
				room = append(room, s)
			}
		}
		return room
	case string:
		if strings.HasPrefix(v, "[") {
			var list []any
			dec := json.NewDecoder(strings.NewReader(v))
			dec.UseNumber()
			if dec.Decode(&list) == nil {
				return Strings(list)
			}
		}
		if v == "" {
			return nil
		}
		return []string{v}
	case nil:
		return nil
	}
	if s := Text(v); s != "" {
		return []string{s}
	}
	return nil
}

// Objects reads a list of objects, as decoded JSON or as Go code writes it.
func Objects(v any) []M {
	switch v := v.(type) {
	case []M:
		return v
	case []any:
		out := make([]M, 0, len(v))
		for _, e := range v {
			if m, ok := e.(M); ok {
				out = append(out, m)
			}
		}
		return out
	}
	return nil
}

// Bool reads a flag that may be text.
func Bool(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return v == "true" || v == "1"
	case json.Number:
		return v.String() == "1"
	}
	return false
}

// Int reads a whole number that may be text; 0 if it is not a whole number.
func Int(v any) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(Text(v)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Clone copies a JSON value deeply.
func Clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return CloneMap(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = Clone(e)
		}
		return out
	case []string:
		return append([]string(nil), v...)
	}
	return v
}

// CloneMap copies an object deeply. nil stays nil.
func CloneMap(m M) M {
	if m == nil {
		return nil
	}
	out := make(M, len(m)+1)
	for k, v := range m {
		out[k] = Clone(v)
	}
	return out
}

// PackMap is a map that came as JSON in less memory; [UnpackMap] is the reverse.
func PackMap(m M) string {
	b, _ := json.Marshal(m) // it came as JSON
	return string(b)
}

// UnpackMap returns what was packed.
func UnpackMap(s string) (m M) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	_ = d.Decode(&m) // it was made of one
	return m
}

// List is a list of texts as JSON has it.
func List(texts []string) []any {
	out := make([]any, len(texts))
	for i, s := range texts {
		out[i] = s
	}
	return out
}

// Weigh estimates the memory of a value that came as JSON.
func Weigh(v any) int {
	n := 16
	switch v := v.(type) {
	case string:
		n += len(v)
	case []any:
		for _, e := range v {
			n += Weigh(e)
		}
	case M:
		n += 48
		for name, e := range v {
			n += len(name) + 16 + Weigh(e)
		}
	}
	return n
}
