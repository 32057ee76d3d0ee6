package sift

import (
	"math"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift/jsregexp"
)

// equal is $eq against a number, a boolean, text, a list or an object.
type equal struct {
	text    string  // what the operand is as text
	isText  bool    // the operand compares as text with text
	number  float64 // what it is as a number
	isRef   bool    // a list or object, which equals no other
	refused error   // an operand that cannot be compared at all
}

func newEqual(operand any) equal {
	if f, ok := numeric(operand); ok {
		return equal{number: f}
	}
	s, err := text(operand)
	k := kindOf(operand)
	return equal{text: s, isText: true, number: toNumber(s), isRef: k >= kindArray, refused: err}
}

func (n equal) test(v any, _ *Meter) (bool, error) {
	if n.refused != nil {
		return false, n.refused
	}
	if s, ok := v.(string); ok {
		return n.equalText(s), nil
	}
	if f, ok := numeric(v); ok {
		return f == n.number, nil
	}
	switch {
	case isNullish(v):
		return false, nil
	case n.isRef:
		return false, checkText(v)
	}
	s, err := text(v)
	return err == nil && n.equalText(s), err
}

func (n equal) equalText(s string) bool {
	if n.isText {
		return s == n.text
	}
	return toNumber(s) == n.number
}

// isNull is $eq against null.
type isNull struct{}

func (isNull) test(v any, _ *Meter) (bool, error) { return isNullish(v), nil }

// isEmptyList is $eq against [].
type isEmptyList struct{}

func (isEmptyList) test(v any, _ *Meter) (bool, error) {
	list, ok := v.([]any)
	return ok && len(list) == 0, nil
}

// differs is $ne: no element of a list may be equal.
type differs struct{ test }

func (n differs) match(v any, at place) (bool, error) {
	ok, err := anyOf{n.test}.match(v, at)
	return err == nil && !ok, err
}

// inRange is $gt, $gte, $lt and $lte. NaN, which is what anything without a
// number in it becomes, is in no range.
type inRange struct {
	bound          float64
	below, orEqual bool
}

func newInRange(operator string, operand any) inRange {
	return inRange{
		bound:   comparable(operand),
		below:   operator == "$lt" || operator == "$lte",
		orEqual: operator == "$gte" || operator == "$lte",
	}
}

func (n inRange) test(v any, _ *Meter) (bool, error) {
	f := comparable(v)
	switch {
	case n.orEqual && f == n.bound:
		return true, nil
	case n.below:
		return f < n.bound, nil
	}
	return f > n.bound, nil
}

// comparable is the number that a value counts as in a range.
func comparable(v any) float64 {
	if s, ok := v.(string); ok {
		return rangeNumber(s)
	}
	if f, ok := numeric(v); ok && kindOf(v) == kindNumber {
		return f
	}
	return math.NaN()
}

// modulo is $mod.
type modulo struct {
	divisor, remainder float64
	refused            error
}

func newModulo(operand any) modulo {
	if operand == nil {
		return modulo{refused: &Error{TypeError, "$mod needs a list of divisor and remainder"}}
	}
	first, second := newSegment("0"), newSegment("1")
	divisor, err := number(property(operand, &first))
	n := modulo{divisor: divisor, remainder: math.NaN(), refused: err}
	if remainder := property(operand, &second); !isNullish(remainder) && err == nil {
		n.remainder, n.refused = number(remainder)
	}
	return n
}

func (n modulo) test(v any, _ *Meter) (bool, error) {
	f, err := number(v)
	if err == nil {
		err = n.refused
	}
	return err == nil && math.Mod(f, n.divisor) == n.remainder, err
}

// like is $like and $iLike: a substring test in which % has no meaning.
type like struct {
	sub      string
	foldCase bool
	refused  error
}

func newLike(operand any, foldCase bool) like {
	sub, err := text(operand)
	if foldCase {
		sub = lower(sub)
	}
	return like{sub: sub, foldCase: foldCase, refused: err}
}

func (n like) test(v any, _ *Meter) (bool, error) {
	if kindOf(v) == kindUndefined {
		return false, nil
	}
	if n.refused != nil {
		return false, n.refused
	}
	s, err := text(v)
	if err != nil {
		return false, err
	}
	if n.foldCase {
		return containsLower(s, n.sub), nil
	}
	return strings.Contains(s, n.sub), nil
}

// regex is $regex. Only text matches.
type regex struct{ re *jsregexp.Regexp }

func (n regex) test(v any, m *Meter) (bool, error) {
	s, ok := v.(string)
	if !ok {
		return false, nil
	}
	matched, steps, err := n.re.MatchSteps(s)
	spent := m.spend(steps / 16)
	if err != nil {
		return false, &Error{Refused, err.Error()}
	}
	if spent != nil {
		return false, spent
	}
	return matched, nil
}

// size is $size: the length of a list, of text that is not empty, or a column
// called length.
type size struct{ operand any }

func (n size) match(v any, at place) (bool, error) {
	steps := 1
	if text, ok := v.(string); ok {
		steps = cost(text)
	}
	if err := at.meter.spend(steps); err != nil {
		return false, err
	}
	if !truthy(v) {
		return false, nil
	}
	var length any = undefined{}
	switch v := v.(type) {
	case []any:
		f, ok := n.operand.(float64)
		return ok && f == float64(len(v)), nil
	case string:
		f, ok := n.operand.(float64)
		return ok && f == float64(utf16Len(v)), nil
	case map[string]any, object:
		if own, ok := ownProperty(v, "length"); ok {
			length = own
		}
	}
	return strictlyEqual(n.operand, length), nil
}

// ofType is $type with one of the names that Fliplet's page lists.
type ofType struct {
	kind    kind
	refused error
}

func newOfType(operand any) ofType {
	switch operand {
	case "string":
		return ofType{kind: kindString}
	case "number":
		return ofType{kind: kindNumber}
	case "boolean":
		return ofType{kind: kindBool}
	case "array":
		return ofType{kind: kindArray}
	case "object":
		return ofType{kind: kindObject}
	}
	return ofType{refused: &Error{TypeError, "$type needs one of string, number, boolean, array, object"}}
}

func (n ofType) match(v any, at place) (bool, error) {
	if err := at.meter.spend(1); err != nil {
		return false, err
	}
	switch {
	case isNullish(v):
		return false, nil
	case n.refused != nil:
		return false, n.refused
	case n.kind == kindObject:
		return kindOf(v) >= kindArray, nil // in JavaScript a list is an object too
	}
	return kindOf(v) == n.kind, nil
}
