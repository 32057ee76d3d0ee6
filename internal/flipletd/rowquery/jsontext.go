package rowquery

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// jsonText returns a JSON value other than null as the #>> operator does: a
// string bare, anything else in jsonb's own spelling. It allocates only for
// objects, arrays and numbers with an exponent. It reports false for a number
// that jsonb cannot hold and for values that are no JSON.
func jsonText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	case json.Number:
		return numericText(string(v))
	case map[string]any, []any:
		text, ok := appendJSON(nil, v)
		return string(text), ok
	}
	return "", false
}

// numericText spells a JSON number as PostgreSQL prints a numeric: without
// an exponent, with the closing zeros it was written with.
func numericText(s string) (string, bool) {
	if isPlainNumber(s) {
		return s, true
	}
	d, ok := parseDecimal(s)
	if !ok || !d.fits() {
		return "", false
	}
	digits := d.whole + d.fraction
	point := len(d.whole) + d.exponent
	var b strings.Builder
	if d.negative {
		b.WriteByte('-')
	}
	if d.count == 0 || point <= d.first {
		b.WriteByte('0')
	} else {
		b.WriteString(digits[d.first:min(point, len(digits))])
		b.WriteString(strings.Repeat("0", max(0, point-len(digits))))
	}
	if scale := d.scale(); scale > 0 {
		b.WriteByte('.')
		leading := min(scale, max(0, -point))
		b.WriteString(strings.Repeat("0", leading))
		b.WriteString(digits[len(digits)-(scale-leading):])
	}
	return b.String(), true
}

// isPlainNumber tells the common spellings that PostgreSQL prints unchanged.
func isPlainNumber(s string) bool {
	whole, rest := cutDigits(strings.TrimPrefix(s, "-"))
	if whole == "" || len(whole) > 1 && whole[0] == '0' || s[0] == '-' && whole == "0" {
		return false
	}
	if rest == "" {
		return true
	}
	fraction, rest := cutDigits(strings.TrimPrefix(rest, "."))
	return fraction != "" && rest == ""
}

// scale is the number of digits behind the point once the exponent is gone.
func (d decimal) scale() int { return max(0, len(d.fraction)-d.exponent) }

// fits reports whether PostgreSQL's numeric type can hold the number.
func (d decimal) fits() bool {
	return d.scale() <= 16383 && d.exponent < maxExponent && (d.count == 0 || d.magnitude() <= 131071)
}

// appendJSON writes jsonb's text: keys by length, then by bytes, and a blank
// after each comma and colon.
func appendJSON(to []byte, v any) ([]byte, bool) {
	switch v := v.(type) {
	case nil:
		return append(to, "null"...), true
	case string:
		return appendString(to, v), true
	case []any:
		to = append(to, '[')
		for i, element := range v {
			if i > 0 {
				to = append(to, ", "...)
			}
			var ok bool
			if to, ok = appendJSON(to, element); !ok {
				return to, false
			}
		}
		return append(to, ']'), true
	case map[string]any:
		to = append(to, '{')
		for i, key := range jsonbKeys(v) {
			if i > 0 {
				to = append(to, ", "...)
			}
			to = append(appendString(to, key), ": "...)
			var ok bool
			if to, ok = appendJSON(to, v[key]); !ok {
				return to, false
			}
		}
		return append(to, '}'), true
	}
	text, ok := jsonText(v)
	return append(to, text...), ok
}

func jsonbKeys(object map[string]any) []string {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	return keys
}

// appendString quotes as jsonb prints: only what JSON demands is escaped.
func appendString(to []byte, s string) []byte {
	const hex = "0123456789abcdef"
	to = append(to, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			to = append(to, '\\', c)
		case c == '\b':
			to = append(to, `\b`...)
		case c == '\f':
			to = append(to, `\f`...)
		case c == '\n':
			to = append(to, `\n`...)
		case c == '\r':
			to = append(to, `\r`...)
		case c == '\t':
			to = append(to, `\t`...)
		case c < ' ':
			to = append(to, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			to = append(to, c)
		}
	}
	return append(to, '"')
}
