package sift

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift/jsregexp"
)

// Filter is a prepared where clause. It is immutable and safe for concurrent
// use.
type Filter struct{ root node }

// Compile prepares a where clause. where is decoded JSON: map[string]any,
// []any, string, json.Number or float64, bool or nil; it is not kept. It may
// also be a json.RawMessage, and then conditions are tried in the order in
// which they were written, as the original does: the order decides whether a
// row fails on one condition before another settles the matter. Of a map's
// keys the smaller comes first.
//
// An empty object matches every row; nil is the literal null and matches none.
//
// Every error is an *Error. Conditions inside the list of $in and $nin are
// prepared here too, but what is wrong with them comes up in Match, when the
// first row reaches them.
func Compile(where any) (*Filter, error) {
	var r reader
	var query any
	var err error
	if raw, ok := where.(json.RawMessage); ok {
		query, err = r.readRaw(raw)
	} else {
		query, err = r.read(where, 0)
	}
	if err != nil {
		return nil, err
	}
	var c compiler
	root, err := c.condition(query)
	if err != nil {
		return nil, err
	}
	return &Filter{root: root}, nil
}

// Match reports whether doc, the decoded JSON of a row's data with numbers as
// json.Number or float64, satisfies the clause. doc is only read.
//
// An error is an *Error: of kind TypeError where the original raises one on
// this row; of kind Refused for a regular expression that takes too long on
// it; of another kind for a condition inside $in that could not be prepared.
func (f *Filter) Match(doc any) (bool, error) { return f.MatchWithin(doc, nil) }

type compiler struct {
	regexSize int // of all regular expressions so far
}

// condition prepares what a key of an object, or an element of $and, stands
// for: an object is a set of operators and columns, anything else is equality.
func (c *compiler) condition(query any) (node, error) {
	o, ok := query.(object)
	if ok {
		// An object with a column of that name does not look like a plain one.
		_, shadowed := o.get("constructor")
		ok = !shadowed
	}
	if !ok {
		return anyOf{equality(query)}, nil
	}
	nodes := make(all, 0, len(o))
	for _, m := range o {
		if m.name == "$options" {
			continue
		}
		n, err := c.member(m, o)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	if len(nodes) == 1 {
		return nodes[0], nil
	}
	return nodes, nil
}

func equality(operand any) test {
	if operand == nil {
		return isNull{}
	}
	if list, ok := operand.([]any); ok && len(list) == 0 {
		return isEmptyList{}
	}
	return newEqual(operand)
}

// member prepares one key of an object.
func (c *compiler) member(m member, o object) (node, error) {
	switch a := m.value; m.name {
	case "$eq":
		return anyOf{equality(a)}, nil
	case "$ne":
		return differs{equality(a)}, nil
	case "$gt", "$gte", "$lt", "$lte":
		return anyOf{newInRange(m.name, a)}, nil
	case "$mod":
		return anyOf{newModulo(a)}, nil
	case "$like", "$iLike":
		return anyOf{newLike(a, m.name == "$iLike")}, nil
	case "$in":
		return c.in(a)
	case "$nin":
		n, err := c.in(a)
		return not{n}, err
	case "$not":
		n, err := c.condition(a)
		return not{n}, err
	case "$and", "$all":
		return c.list(m.name, a)
	case "$or":
		n, err := c.list(m.name, a)
		return some(n), err
	case "$nor":
		n, err := c.list(m.name, a)
		return not{some(n)}, err
	case "$size":
		return size{a}, nil
	case "$type":
		return newOfType(a), nil
	case "$regex":
		return c.regex(a, o)
	case "$elemMatch":
		n, err := c.condition(a)
		return elemMatch{n}, err
	case "$exists":
		return exists(truthy(a)), nil
	case "$match":
		return newDeepEqual(a)
	case "$filters":
		return c.filters(a)
	case "$where":
		return nil, &Error{Refused, "$where runs code and is not allowed; use the other operators"}
	}
	if n, ok, err := inheritedOperator(m); ok {
		return n, err
	}
	if strings.HasPrefix(m.name, "$") {
		return nil, &Error{UnknownOperator, fmt.Sprintf("unknown operator %.50q", m.name)}
	}
	return c.path(m)
}

func (c *compiler) path(m member) (node, error) {
	if strings.Count(m.name, ".") >= maxSegments {
		return nil, &Error{Refused, fmt.Sprintf("a path has more than %d parts", maxSegments)}
	}
	n := &path{}
	for name := range strings.SplitSeq(m.name, ".") {
		n.segments = append(n.segments, newSegment(name))
	}
	var err error
	n.cond, err = c.condition(m.value)
	return n, err
}

func (c *compiler) list(operator string, a any) (all, error) {
	list, ok := a.([]any)
	if !ok {
		return nil, &Error{TypeError, operator + " needs a list"}
	}
	nodes := make(all, len(list))
	for i, query := range list {
		var err error
		if nodes[i], err = c.condition(query); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

func (c *compiler) in(a any) (node, error) {
	if s, ok := a.(string); ok {
		return newInText(s), nil
	}
	list, ok := a.([]any)
	if !ok {
		return inNothing{}, nil
	}
	elems := make([]node, len(list))
	for i, query := range list {
		n, err := c.condition(query)
		if e, ok := errors.AsType[*Error](err); ok && e.Kind != Refused {
			n = raise{err}
		} else if err != nil {
			return nil, err
		}
		elems[i] = n
	}
	return newInList(list, elems), nil
}

func (c *compiler) regex(a any, o object) (node, error) {
	pattern, err := text(a)
	if err != nil {
		return nil, err
	}
	flags := ""
	if options, ok := o.get("$options"); ok {
		if flags, err = text(options); err != nil {
			return nil, err
		}
	}
	re, err := c.compileRegex(pattern, flags)
	return anyOf{regex{re}}, err
}

func (c *compiler) compileRegex(pattern, flags string) (*jsregexp.Regexp, error) {
	re, err := jsregexp.Compile(pattern, flags)
	if errors.Is(err, jsregexp.ErrTooLarge) {
		return nil, &Error{Refused, err.Error()}
	}
	if err != nil {
		return nil, &Error{BadRegex, err.Error()}
	}
	if c.regexSize += re.Size(); c.regexSize > maxRegex {
		return nil, &Error{Refused, "the regular expressions of the where clause are too large"}
	}
	return re, nil
}

// inheritedOperator handles keys that JavaScript's objects inherit. Fliplet's fork
// takes them for operators and calls the inherited method.
func inheritedOperator(m member) (n node, ok bool, err error) {
	switch m.name {
	case "toString", "toLocaleString", "valueOf":
		return constant(true), true, nil
	case "hasOwnProperty", "propertyIsEnumerable", "__lookupGetter__", "__lookupSetter__":
		return constant(false), true, checkText(m.value)
	case "isPrototypeOf":
		return constant(false), true, nil
	case "__proto__", "__defineGetter__", "__defineSetter__":
		return nil, true, &Error{TypeError, m.name + " cannot be a column in a where clause"}
	}
	return nil, false, nil
}
