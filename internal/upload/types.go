package upload

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Retype is the patch that gives a row the types back which a form took from it. A form
// knows text only, so numbers, booleans, lists and objects may be stored as text, null
// not at all, and text that looks like JSON as what it looks like. A column that holds
// something else than was sent is somebody's, and stays.
func Retype(sent, stored wire.M) wire.M {
	patch := wire.M{}
	for column, v := range sent {
		if column == wire.File || column == wire.FileParts || column == wire.FileSchema {
			continue
		}
		raw, err := json.Marshal(v)
		if err != nil {
			continue // it was sent, so it can be marshalled
		}
		want, _ := decode(string(raw))
		now, there := stored[column]
		text, isText := now.(string)
		switch wanted := want.(type) {
		case nil:
			if !there || text == "null" {
				patch[column] = nil
			}
		case string:
			if read, ok := decode(wanted); there && !isText && ok && same(read, now) {
				patch[column] = v
			}
		default:
			if read, ok := decode(text); isText && ok && same(read, want) {
				patch[column] = v
			}
		}
	}
	return patch
}

// decode reads one JSON value with exact numbers.
func decode(text string) (v any, ok bool) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.UseNumber()
	if dec.Decode(&v) != nil {
		return nil, false
	}
	_, err := dec.Token()
	return v, err == io.EOF
}

// same compares decoded JSON; one number may be written in several ways.
func same(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		if !ok || a == b {
			return ok
		}
		x, errA := a.Float64()
		y, errB := b.Float64()
		return errA == nil && errB == nil && x == y
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case wire.M:
		b, ok := b.(wire.M)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, v := range a {
			if other, has := b[name]; !has || !same(v, other) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}
