package sift

import (
	"encoding/json"
	"math"
	"strings"
)

// A value is one of a row's or a query's JSON values as encoding/json decodes
// them: nil, bool, float64 or json.Number, string, []any, map[string]any. Three
// more types appear inside this package: object, a query's object with its keys
// in order; undefined, what a missing column reads as; and builtin, a function
// that every JavaScript value inherits.
type (
	undefined struct{}
	builtin   string
	object    []member
	member    struct {
		name  string
		value any
	}
)

func (o object) get(name string) (any, bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return undefined{}, false
}

type kind uint8

const (
	kindUndefined kind = iota
	kindNull
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
	kindFunction
)

func kindOf(v any) kind {
	switch v.(type) {
	case undefined:
		return kindUndefined
	case nil:
		return kindNull
	case bool:
		return kindBool
	case string:
		return kindString
	case json.Number, float64, int, int64:
		return kindNumber
	case []any:
		return kindArray
	case builtin:
		return kindFunction
	}
	return kindObject
}

// isNullish reports null and undefined, the two values that are loosely equal
// to nothing but each other.
func isNullish(v any) bool { return kindOf(v) <= kindNull }

// numeric returns the value of a number or, as JavaScript has it, of a boolean.
func numeric(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		return decimal(string(v)), true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	}
	return 0, false
}

// truthy is JavaScript's conversion to boolean.
func truthy(v any) bool {
	switch kindOf(v) {
	case kindUndefined, kindNull:
		return false
	case kindBool, kindNumber:
		f, _ := numeric(v)
		return f != 0 && !math.IsNaN(f)
	case kindString:
		return v.(string) != ""
	}
	return true
}

const objectText = "[object Object]"

// text is JavaScript's String(v): lists join their elements with commas and
// objects are all alike. An object with a column called toString cannot be
// converted, in a list neither: that is a TypeError.
func text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case nil:
		return "null", nil
	case bool:
		if v {
			return "true", nil
		}
		return "false", nil
	case undefined:
		return "undefined", nil
	case builtin:
		return "function " + string(v) + "() { [native code] }", nil
	case []any:
		var b strings.Builder
		if err := join(&b, v); err != nil {
			return "", err
		}
		return b.String(), nil
	}
	if f, ok := numeric(v); ok {
		return string(appendNumber(nil, f)), nil
	}
	if _, shadowed := ownProperty(v, "toString"); shadowed {
		return "", errNoText()
	}
	return objectText, nil
}

func errNoText() error {
	return &Error{TypeError, "an object with a toString column cannot be turned into text"}
}

func join(b *strings.Builder, list []any) error {
	for i, v := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		if isNullish(v) {
			continue
		}
		if nested, ok := v.([]any); ok {
			if err := join(b, nested); err != nil {
				return err
			}
			continue
		}
		s, err := text(v)
		if err != nil {
			return err
		}
		b.WriteString(s)
	}
	return nil
}

// checkText returns the error that text would, without building any.
func checkText(v any) error {
	switch v := v.(type) {
	case []any:
		for _, elem := range v {
			if err := checkText(elem); err != nil {
				return err
			}
		}
	case map[string]any, object:
		if _, shadowed := ownProperty(v, "toString"); shadowed {
			return errNoText()
		}
	}
	return nil
}

// number is JavaScript's Number(v).
func number(v any) (float64, error) {
	if f, ok := numeric(v); ok {
		return f, nil
	}
	switch v := v.(type) {
	case undefined:
		return math.NaN(), nil
	case nil:
		return 0, nil
	case string:
		return toNumber(v), nil
	}
	s, err := text(v)
	if err != nil {
		return 0, err
	}
	return toNumber(s), nil
}

// strictlyEqual is ===. Lists and objects are equal to themselves only, and no
// row shares one with a query.
func strictlyEqual(a, b any) bool {
	ka, kb := kindOf(a), kindOf(b)
	if ka != kb {
		return false
	}
	switch ka {
	case kindUndefined, kindNull:
		return true
	case kindBool, kindString:
		return a == b
	case kindNumber:
		x, _ := numeric(a)
		y, _ := numeric(b)
		return x == y
	}
	return false
}
