// Package page reads the JSON that pages send: messages and the like in the shape of the
// JavaScript API, and drafts. Whoever writes it is not trusted with size, nesting or types.
package page

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// What one value from a page may hold. A row that was read fits, whatever JSON escapes of
// it: that makes of 1 MiB six at most.
const (
	// MaxBytes is the size of a message, contact, conversation or channel.
	MaxBytes = 16 << 20
	// maxDepth is how deep values may nest, and maxValues how many there may be.
	maxDepth  = 1010
	maxValues = 100_000
)

// Object is a JSON object whose fields are read one by one. Null is like a field that is
// not there. The first field of another type than asked for is the object's error.
type Object struct {
	fields map[string]json.RawMessage
	err    error
}

// Parse reads an object of at most limit bytes.
func Parse(raw []byte, limit int) (*Object, error) {
	if err := check(raw, limit); err != nil {
		return nil, err
	}
	o := &Object{}
	if err := json.Unmarshal(raw, &o.fields); err != nil || o.fields == nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("not JSON: an error at byte %d", syntax.Offset)
		}
		return nil, errors.New("not a JSON object")
	}
	return o, nil
}

// check refuses what would take too much to read. It knows strings and brackets only.
func check(raw []byte, limit int) error {
	if len(raw) > limit {
		return fmt.Errorf("%d bytes; at most %d MiB are read", len(raw), limit>>20)
	}
	depth, values, inText := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case inText:
		case c == '{' || c == '[':
			depth, values = depth+1, values+1
		case c == '}' || c == ']':
			depth--
		case c == ',':
			values++
		}
		switch {
		case depth > maxDepth:
			return fmt.Errorf("nested deeper than %d levels", maxDepth)
		case values > maxValues:
			return fmt.Errorf("more than %d values", maxValues)
		}
	}
	return nil
}

// wellFormed refuses text that is not Unicode, which would be read as other text. raw is
// what was parsed.
func (o *Object) wellFormed(raw []byte) error {
	if unicoded(raw) == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(o.fields)) {
		if err := unicoded(o.fields[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return fmt.Errorf("the name of a field: %w", unicoded(raw))
}

// unicoded checks JSON: its bytes, and whether each escaped half of a character has its
// other half.
func unicoded(raw []byte) error {
	if !utf8.Valid(raw) {
		return errors.New("not UTF-8")
	}
	for rest := raw; ; {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 || i+1 >= len(rest) {
			return nil
		}
		rest = rest[i:]
		r, size := escaped(rest)
		if utf16.IsSurrogate(r) {
			low, more := escaped(rest[size:])
			if utf16.DecodeRune(r, low) == utf8.RuneError {
				return errors.New("half of a character, a surrogate without the other one; JavaScript's toWellFormed repairs that")
			}
			size += more
		}
		rest = rest[size:]
	}
}

// escaped reads the escape that JSON begins with, and how long it is: 0 if there is none.
func escaped(raw []byte) (r rune, size int) {
	switch {
	case len(raw) < 2 || raw[0] != '\\':
		return 0, 0
	case raw[1] != 'u' || len(raw) < 6:
		return 0, 2
	}
	n, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	if err != nil {
		return 0, 2
	}
	return rune(n), 6
}

// Err is what was wrong with the fields that were read.
func (o *Object) Err() error { return o.err }

// Has reports whether a field is there.
func (o *Object) Has(name string) bool {
	raw, ok := o.fields[name]
	return ok && string(raw) != "null"
}

// Names are those of all fields.
func (o *Object) Names() []string {
	out := make([]string, 0, len(o.fields))
	for name := range o.fields {
		out = append(out, name)
	}
	return out
}

// Raw is a field as it came, nil if it is not there.
func (o *Object) Raw(name string) json.RawMessage {
	if !o.Has(name) {
		return nil
	}
	return o.fields[name]
}

// Value is a field with exact numbers, nil if it is not there.
func (o *Object) Value(name string) (v any) {
	if o.Has(name) {
		dec := json.NewDecoder(bytes.NewReader(o.fields[name]))
		dec.UseNumber()
		_ = dec.Decode(&v) // Parse has read it
	}
	return v
}

// refuse makes an error of a field the object's, unless it has one.
func (o *Object) refuse(name, want string) {
	if o.err == nil {
		o.err = fmt.Errorf("%s: %s", name, want)
	}
}

// Int is a whole number, however it is written, or text that holds one.
func (o *Object) Int(name string) int64 {
	v := o.Value(name)
	if v == nil {
		return 0
	}
	text := wire.Text(v)
	if _, number := v.(json.Number); number {
		text = plain(text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		o.refuse(name, "want a whole number")
	}
	return n
}

// plain is a number of JSON without fraction and exponent, if it is whole and not too
// large: 1 for 1.0, 1e0 and 10e-1.
func plain(number string) string {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(number), "e")
	shift, err := strconv.Atoi(cmp.Or(exponent, "0"))
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if err != nil || shift < -len(digits) || shift > 20 {
		if strings.Trim(digits, "-0") == "" {
			return "0"
		}
		return number
	}
	for shift -= len(fraction); shift < 0 && strings.HasSuffix(digits, "0"); shift++ {
		digits = digits[:len(digits)-1]
	}
	if shift < 0 && strings.Trim(digits, "-0") != "" {
		return number // there is something behind the point
	}
	if digits == "" || digits == "-" {
		digits = "0"
	}
	return digits + strings.Repeat("0", max(shift, 0))
}

// Text is a text.
func (o *Object) Text(name string) string {
	s, ok := o.Value(name).(string)
	if !ok && o.Has(name) {
		o.refuse(name, "want a text")
	}
	return s
}

// Texts is a list of texts.
func (o *Object) Texts(name string) []string {
	list, ok := o.Value(name).([]any)
	out := make([]string, len(list))
	for i, v := range list {
		var isText bool
		out[i], isText = v.(string)
		ok = ok && isText
	}
	if !ok && o.Has(name) {
		o.refuse(name, "want a list of texts")
	}
	return out
}

// Bool is a flag.
func (o *Object) Bool(name string) bool {
	b, ok := o.Value(name).(bool)
	if !ok && o.Has(name) {
		o.refuse(name, "want true or false")
	}
	return b
}

// Fields are the fields of an object.
func (o *Object) Fields(name string) wire.M {
	m, ok := o.Value(name).(wire.M)
	if !ok && o.Has(name) {
		o.refuse(name, "want an object")
	}
	return m
}

// Time is a time as JSON.stringify writes it.
func (o *Object) Time(name string) time.Time {
	if !o.Has(name) {
		return time.Time{}
	}
	s := o.Text(name)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || !Printable(t) {
		o.refuse(name, `want a time such as "2026-02-01T08:00:00.000Z"`)
		return time.Time{}
	}
	return t.UTC()
}

// Printable reports whether JSON can carry a time.
func Printable(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 0 && year <= 9999
}

// Row is a row as the JavaScript API has it. deletedAt is written even when null:
// Fliplet's widget ignores a message without it.
type Row struct {
	ID           int64   `json:"id"`
	DataSourceID int64   `json:"dataSourceId"`
	Data         wire.M  `json:"data"`
	CreatedAt    *string `json:"createdAt"`
	UpdatedAt    *string `json:"updatedAt"`
	DeletedAt    *string `json:"deletedAt"`
}

// Timestamp formats a time as the API does, nil for the zero time and for one that JSON
// cannot carry.
func Timestamp(t time.Time) *string {
	if t.IsZero() || !Printable(t) {
		return nil
	}
	return new(wire.Timestamp(t))
}
