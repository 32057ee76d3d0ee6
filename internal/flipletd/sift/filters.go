package sift

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift/jsregexp"
)

// filters compiles $filters: a list of {column, condition, value}, all of which must
// hold.
func (c *compiler) filters(a any) (node, error) {
	list, ok := a.([]any)
	if !ok {
		return nil, &Error{TypeError, "$filters needs a list"}
	}
	nodes := make(all, 0, len(list))
	for i, item := range list {
		o, ok := item.(object)
		if !ok {
			return nil, filterError(i, "needs to be an object with column and condition")
		}
		n, err := c.filter(i, o)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

func filterError(i int, problem string) *Error {
	return &Error{TypeError, fmt.Sprintf("$filters[%d] %s", i, problem)}
}

// filter compiles one condition. A condition that needs a value and has none, or
// empty text, is not filled in yet and holds for every row, as in Fliplet's list
// widget.
func (c *compiler) filter(i int, o object) (node, error) {
	condition, _ := o.get("condition")
	name, ok := condition.(string)
	if !ok {
		return nil, filterError(i, "needs a condition")
	}
	if name == "none" {
		return constant(true), nil
	}
	column, _ := o.get("column")
	columnName, ok := column.(string)
	if !ok {
		return nil, filterError(i, "needs a column")
	}
	cond, err := c.rowTest(i, name, o)
	if err != nil || cond == nil {
		return constant(true), err
	}
	return columnTest{columnName, cond}, nil
}

// rowTest prepares what is asked of the column, nil for nothing.
func (c *compiler) rowTest(i int, name string, o object) (rowTest, error) {
	value, _ := o.get("value")
	switch name {
	case "empty":
		return isEmpty{}, nil
	case "notempty":
		return negated{isEmpty{}}, nil
	case "datebetween":
		return newDateBetween(i, o)
	}
	if isNullish(value) || value == "" {
		return nil, nil
	}
	switch name {
	case "==":
		return newSame(value)
	case "!=":
		same, err := newSame(value)
		return negated{same}, err
	case ">", ">=", "<", "<=":
		return newNumberCompare(name, value), nil
	case "between":
		return newBetween(i, value)
	case "contains":
		return newHasText(value, false)
	case "notcontain", "notcontains":
		return newHasText(value, true)
	case "oneof":
		return newOneOf(value), nil
	case "notoneof", "notin":
		return negated{newOneOf(value)}, nil
	case "regex":
		pattern, err := text(value)
		if err != nil {
			return nil, err
		}
		re, err := c.compileRegex(pattern, "gi")
		return matches{re}, err
	case "dateis", "datebefore", "dateafter":
		return newDateCompare(i, name, value, o)
	}
	return nil, &Error{UnknownOperator, fmt.Sprintf("unknown condition %.50q in $filters[%d]", name, i)}
}

// columnTest looks at one column of a row. A dot in its name has no meaning; the
// documentation does not say.
type columnTest struct {
	name string
	cond rowTest
}

func (n columnTest) match(v any, at place) (bool, error) {
	value, _ := ownProperty(v, n.name)
	if err := at.meter.look(value); err != nil {
		return false, err
	}
	return n.cond.holds(value, at.meter)
}

// rowTest is a condition of $filters. A missing column is nil, like null.
type rowTest interface {
	holds(v any, m *Meter) (bool, error)
}

type negated struct{ rowTest }

func (n negated) holds(v any, m *Meter) (bool, error) {
	ok, err := n.rowTest.holds(v, m)
	return err == nil && !ok, err
}

// isEmpty is empty: null, "", [] and {}. Numbers and booleans are not.
type isEmpty struct{}

func (isEmpty) holds(v any, _ *Meter) (bool, error) {
	switch v := v.(type) {
	case nil:
		return true, nil
	case string:
		return v == "", nil
	case []any:
		return len(v) == 0, nil
	case map[string]any:
		return len(v) == 0, nil
	}
	return false, nil
}

// newSame prepares ==: against a number numbers compare, and text that is one;
// against anything else lower-cased text.
func newSame(value any) (rowTest, error) {
	if f, ok := numeric(value); ok && kindOf(value) == kindNumber {
		return between{f, f}, nil
	}
	s, err := text(value)
	return sameText{lower(s)}, err
}

type sameText struct{ text string }

func (n sameText) holds(v any, _ *Meter) (bool, error) {
	if v == nil {
		return false, nil
	}
	s, err := text(v)
	return err == nil && (s == n.text || lower(s) == n.text), err
}

// hasText is contains, and the opposite. Neither holds for a row without the
// column.
type hasText struct {
	sub    string
	absent bool
}

func newHasText(value any, absent bool) (rowTest, error) {
	s, err := text(value)
	return hasText{lower(s), absent}, err
}

func (n hasText) holds(v any, _ *Meter) (bool, error) {
	if v == nil {
		return false, nil
	}
	s, err := text(v)
	return err == nil && containsLower(s, n.sub) != n.absent, err
}

// matches is regex, without regard to case.
type matches struct{ re *jsregexp.Regexp }

func (n matches) holds(v any, m *Meter) (bool, error) {
	if v == nil {
		return false, nil
	}
	s, err := text(v)
	if err != nil {
		return false, err
	}
	return regex{n.re}.test(s, m)
}

// numberCompare is > >= < <=. Two texts that are not numbers compare as text,
// without regard to case; anything else as numbers.
type numberCompare struct {
	condition string
	text      string
	number    float64
	isText    bool
}

func newNumberCompare(condition string, value any) numberCompare {
	s, _ := text(value)
	s = lower(s)
	f, ok := plainNumber(s)
	return numberCompare{condition: condition, text: s, number: f, isText: !ok}
}

func (n numberCompare) holds(v any, _ *Meter) (bool, error) {
	if v == nil {
		return false, nil
	}
	if f, ok := numeric(v); ok && kindOf(v) == kindNumber {
		return n.accepts(f, n.number), nil
	}
	s, err := text(v)
	if err != nil {
		return false, err
	}
	f, isNumber := plainNumber(s)
	if !isNumber && n.isText {
		return n.accepts(float64(compareUnits(lower(s), n.text)), 0), nil
	}
	return n.accepts(f, n.number), nil
}

func (n numberCompare) accepts(a, b float64) bool {
	switch n.condition {
	case ">":
		return a > b
	case ">=":
		return a >= b
	case "<":
		return a < b
	}
	return a <= b
}

// plainNumber reports the number that s spells in the way JavaScript would
// write it. For other text it still returns its loose value, NaN for none.
func plainNumber(s string) (f float64, ok bool) {
	trimmed := strings.TrimFunc(s, isSpace)
	if f = parseFloat(trimmed); !math.IsNaN(f) {
		var buf [32]byte
		ok = string(appendNumber(buf[:0], f)) == trimmed
	}
	if !ok {
		f = math.NaN()
		if trimmed != "" {
			f = toNumber(trimmed)
		}
	}
	return f, ok
}

// between is inclusive. An end that is missing or no number is no bound.
type between struct{ from, to float64 }

func newBetween(i int, value any) (rowTest, error) {
	o, ok := value.(object)
	if !ok {
		return nil, filterError(i, "needs a value with from and to")
	}
	end := func(name string, none float64) float64 {
		v, _ := o.get(name)
		if f := looseNumber(v); !math.IsNaN(f) {
			return f
		}
		return none
	}
	return between{end("from", math.Inf(-1)), end("to", math.Inf(1))}, nil
}

func (n between) holds(v any, _ *Meter) (bool, error) {
	f := looseNumber(v)
	return n.from <= f && f <= n.to, nil
}

// looseNumber is the number of a number or of text that is one, else NaN.
func looseNumber(v any) float64 {
	if s, ok := v.(string); ok && strings.TrimFunc(s, isSpace) != "" {
		return toNumber(s)
	}
	if f, ok := numeric(v); ok && kindOf(v) == kindNumber {
		return f
	}
	return math.NaN()
}

// oneOf is oneof: the value, or an element of a list, is among the options.
// Options given as text are separated by commas, and then the value's text is
// what counts.
type oneOf struct {
	options []any
	texts   []string
}

func newOneOf(value any) oneOf {
	switch v := value.(type) {
	case []any:
		return oneOf{options: v}
	case string:
		return oneOf{texts: splitOptions(v)}
	}
	return oneOf{options: []any{value}}
}

func (n oneOf) holds(v any, m *Meter) (bool, error) {
	if list, ok := v.([]any); ok {
		for _, elem := range list {
			if ok, err := n.has(elem, m); err != nil || ok {
				return ok, err
			}
		}
		return false, nil
	}
	return n.has(v, m)
}

func (n oneOf) has(v any, m *Meter) (bool, error) {
	if err := m.spend(len(n.options) + len(n.texts)); err != nil {
		return false, err
	}
	for _, option := range n.options {
		if strictlyEqual(option, v) {
			return true, nil
		}
	}
	if v == nil || len(n.texts) == 0 {
		return false, nil
	}
	s, err := text(v)
	return err == nil && slices.Contains(n.texts, s), err
}

// splitOptions splits text at commas outside double quotes. Quotes and the
// white space around an option are not part of it.
func splitOptions(s string) []string {
	var options []string
	start, quoted := 0, false
	for i := 0; i <= len(s); i++ {
		switch {
		case i < len(s) && s[i] == '"':
			quoted = !quoted
		case i == len(s), s[i] == ',' && !quoted:
			option := strings.TrimFunc(s[start:i], isSpace)
			if n := len(option); n > 1 && option[0] == '"' && option[n-1] == '"' {
				option = option[1 : n-1]
			}
			options = append(options, option)
			start = i + 1
		}
	}
	return options
}
