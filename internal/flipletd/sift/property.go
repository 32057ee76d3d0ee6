package sift

import (
	"math"
	"strings"
)

// segment is one part of a dotted path, with what it is as an index.
type segment struct {
	name    string
	index   int  // its place in a list, or -1
	numeric bool // Number(name) is a number, so it does not fan out over a list
	common  bool // some JavaScript value inherits the name
}

func newSegment(name string) segment {
	f := toNumber(name)
	return segment{
		name:    name,
		index:   arrayIndex(name),
		numeric: !math.IsNaN(f),
		common:  name == "constructor" || name == "__proto__" || contains(methods, name),
	}
}

// ownProperty returns a column of an object.
func ownProperty(v any, name string) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		value, ok := v[name]
		return value, ok
	case object:
		return v.get(name)
	}
	return nil, false
}

// property is v[name] for a v that is not null or missing: a column, an
// element, a character, a length, or something inherited.
func property(v any, s *segment) any {
	switch v := v.(type) {
	case map[string]any, object:
		if value, ok := ownProperty(v, s.name); ok {
			return value
		}
	case []any:
		if s.index >= 0 && s.index < len(v) {
			return v[s.index]
		}
		return undefined{} // list methods have no numeric names
	case string:
		if s.index >= 0 {
			if unit, ok := unitAt(v, s.index); ok {
				return unit
			}
			return undefined{}
		}
		if s.name == "length" {
			return float64(utf16Len(v))
		}
	}
	if s.common {
		return inherited(kindOf(v), s.name)
	}
	return undefined{}
}

// hasOwn is v.hasOwnProperty(name).
func hasOwn(v any, name string) (bool, error) {
	switch v := v.(type) {
	case undefined, nil:
		return false, &Error{TypeError, "$exists looked into a column that is null or missing; write the path with dots"}
	case map[string]any, object:
		if _, shadowed := ownProperty(v, "hasOwnProperty"); shadowed {
			return false, &Error{TypeError, "$exists cannot look into an object with a hasOwnProperty column"}
		}
		_, ok := ownProperty(v, name)
		return ok, nil
	case []any:
		i := arrayIndex(name)
		return i >= 0 && i < len(v) || name == "length", nil
	case string:
		i := arrayIndex(name)
		return i >= 0 && i < utf16Len(v) || name == "length", nil
	}
	return false, nil
}

// Names that JavaScript values inherit. In Fliplet's fork a path finds them, so
// "Name.link" is not null where Name is text.
const (
	objectMethods = " __defineGetter__ __defineSetter__ hasOwnProperty __lookupGetter__ __lookupSetter__" +
		" isPrototypeOf propertyIsEnumerable toString valueOf toLocaleString "
	stringMethods = " anchor at big blink bold charAt charCodeAt codePointAt concat endsWith fontcolor fontsize" +
		" fixed includes indexOf isWellFormed italics lastIndexOf link localeCompare match matchAll normalize" +
		" padEnd padStart repeat replace replaceAll search slice small split strike sub substr substring sup" +
		" startsWith toWellFormed trim trimStart trimLeft trimEnd trimRight toLocaleLowerCase" +
		" toLocaleUpperCase toLowerCase toUpperCase "
	numberMethods = " toExponential toFixed toPrecision "
	methods       = objectMethods + stringMethods + numberMethods
)

func inherited(k kind, name string) any {
	constructor, own := "Object", ""
	switch k {
	case kindString:
		constructor, own = "String", stringMethods
	case kindNumber:
		constructor, own = "Number", numberMethods
	case kindBool:
		constructor = "Boolean"
	}
	switch {
	case name == "__proto__":
		return map[string]any{}
	case name == "constructor":
		return builtin(constructor)
	case contains(objectMethods, name), contains(own, name):
		return builtin(name)
	}
	return undefined{}
}

// contains reports whether list, names set apart by spaces, holds name.
func contains(list, name string) bool {
	return name != "" && !strings.Contains(name, " ") && strings.Contains(list, " "+name+" ")
}
