package rowquery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Contains reports whether PostgreSQL's doc @> filter holds for two decoded
// JSON values: map[string]any, []any, string, [json.Number], bool and nil for
// JSON null. A value of another type equals nothing.
//
//   - An object contains an object whose keys it has, each with a value that
//     contains the filter's.
//   - An array contains an array when each element of the filter has an equal
//     scalar or a containing object or array in it. Order and repeats do not
//     matter, and one element may serve several.
//   - Scalars are equal within their JSON type, numbers by exact value.
//   - An array contains a bare scalar at the top level only.
func Contains(doc, filter any) bool {
	if array, ok := doc.([]any); ok && isScalar(filter) {
		return hasScalar(array, filter)
	}
	return contains(doc, filter)
}

func contains(doc, filter any) bool {
	switch filter := filter.(type) {
	case map[string]any:
		doc, ok := doc.(map[string]any)
		if !ok || len(doc) < len(filter) {
			return false
		}
		for key, want := range filter {
			have, ok := doc[key]
			if !ok || !contains(have, want) {
				return false
			}
		}
		return true
	case []any:
		doc, ok := doc.([]any)
		if !ok {
			return false
		}
		for _, want := range filter {
			if !hasElement(doc, want) {
				return false
			}
		}
		return true
	}
	return equalScalars(doc, filter)
}

func hasElement(array []any, want any) bool {
	if isScalar(want) {
		return hasScalar(array, want)
	}
	for _, have := range array {
		if contains(have, want) {
			return true
		}
	}
	return false
}

func hasScalar(array []any, want any) bool {
	for _, have := range array {
		if equalScalars(have, want) {
			return true
		}
	}
	return false
}

func isScalar(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

func equalScalars(a, b any) bool {
	switch a := a.(type) {
	case nil:
		return b == nil
	case bool:
		b, ok := b.(bool)
		return ok && a == b
	case string:
		b, ok := b.(string)
		return ok && a == b
	case json.Number:
		b, ok := b.(json.Number)
		return ok && equalNumbers(string(a), string(b))
	}
	return false
}

// equalJSON is jsonb's = operator: the same keys and elements, the latter in
// the same order, numbers by value.
func equalJSON(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for key, x := range a {
			if y, ok := b[key]; !ok || !equalJSON(x, y) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i, x := range a {
			if !equalJSON(x, b[i]) {
				return false
			}
		}
		return true
	}
	return isScalar(b) && equalScalars(a, b)
}

// ContainsRaw is [Contains] for two JSON texts. Of repeated keys the last one
// counts. The error tells why PostgreSQL would not take a text as jsonb:
// besides bad syntax that is a \u0000, half of a surrogate pair, or a number
// of more than 131072 digits before the point or 16383 behind it.
func ContainsRaw(doc, filter json.RawMessage) (bool, error) {
	d, err := decodeJSONB(doc)
	if err != nil {
		return false, fmt.Errorf("rowquery: document: %w", err)
	}
	f, err := decodeJSONB(filter)
	if err != nil {
		return false, fmt.Errorf("rowquery: filter: %w", err)
	}
	return Contains(d, f), nil
}

func decodeJSONB(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, errors.New("not valid JSON")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	if !utf8.Valid(text) {
		return nil, errors.New("not valid UTF-8")
	}
	if err := checkEscapes(text); err != nil {
		return nil, err
	}
	return v, checkNumbers(v)
}

// checkEscapes refuses what encoding/json repairs and PostgreSQL does not.
// The text is valid JSON, so a backslash only occurs inside of a string and
// has its letter or digits behind it.
func checkEscapes(text []byte) error {
	for {
		at := bytes.IndexByte(text, '\\')
		if at < 0 {
			return nil
		}
		if text = text[at+1:]; text[0] != 'u' {
			text = text[1:]
			continue
		}
		unit := hexUnit(text[1:])
		text = text[5:]
		switch {
		case unit == 0:
			return errors.New(`\u0000 has no place in jsonb`)
		case unit >= 0xDC00 && unit <= 0xDFFF:
			return errors.New("half of a surrogate pair")
		case unit >= 0xD800 && unit <= 0xDBFF:
			if !bytes.HasPrefix(text, []byte(`\u`)) {
				return errors.New("half of a surrogate pair")
			}
			if low := hexUnit(text[2:]); low < 0xDC00 || low > 0xDFFF {
				return errors.New("half of a surrogate pair")
			}
			text = text[6:]
		}
	}
}

func hexUnit(digits []byte) (unit int) {
	for _, c := range digits[:4] {
		unit <<= 4
		switch {
		case c <= '9':
			unit += int(c - '0')
		default:
			unit += int(c|0x20-'a') + 10
		}
	}
	return unit
}

func checkNumbers(v any) error {
	switch v := v.(type) {
	case json.Number:
		if d, ok := parseDecimal(string(v)); !ok || !d.fits() {
			return errors.New("a number is beyond PostgreSQL's numeric type")
		}
	case []any:
		for _, element := range v {
			if err := checkNumbers(element); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, value := range v {
			if err := checkNumbers(value); err != nil {
				return err
			}
		}
	}
	return nil
}
