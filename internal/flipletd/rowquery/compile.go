package rowquery

import (
	"maps"
	"slices"
	"strings"
)

// maxDepth bounds how deeply objects and lists may be nested in a clause, the
// outermost one included. It is our choice, far above any honest query.
const maxDepth = 100

// Filter is a compiled where clause. It is immutable and safe for concurrent
// use.
type Filter struct {
	// all must be TRUE for a row to match.
	all    []node
	within region
}

// Compile checks a where clause and prepares it for matching. The clause is
// decoded JSON: map[string]any, []any, string, [json.Number], bool and nil.
// An object without keys and nil match every row; a list of objects is their
// conjunction. The clause is not kept. The error is an [*Error].
func Compile(where any) (*Filter, error) {
	if isDeeper(where, maxDepth) {
		return nil, refused("the clause is nested more than %d deep", maxDepth)
	}
	condition, err := clause(where, isFalse)
	if err != nil {
		return nil, err
	}
	f := &Filter{within: everywhere()}
	switch n := condition.(type) {
	case nil:
		return f, nil
	case junction:
		if n.decider == isFalse {
			f.all = n.of
			break
		}
		f.all = []node{n}
	default:
		f.all = []node{n}
	}
	f.within = condition.trueIn()
	return f, nil
}

// Match reports whether the condition is TRUE for the row; FALSE and NULL are
// both false. The error is an [*Error] where PostgreSQL would fail: a cast of
// a value in data that is no number or boolean, or a pattern that ends in its
// escape character. SQL promises no order of evaluation, so PostgreSQL itself
// may or may not fail on a row that another condition excludes; Match never
// does.
func (f *Filter) Match(r *Row) (bool, error) {
	var failure error
	for _, n := range f.all {
		t, err := n.eval(r)
		switch {
		case err != nil:
			failure = err
		case t != isTrue:
			return false, nil
		}
	}
	return failure == nil, failure
}

func isDeeper(v any, depth int) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, value := range v {
			if depth == 0 || isDeeper(value, depth-1) {
				return true
			}
		}
	case []any:
		for _, element := range v {
			if depth == 0 || isDeeper(element, depth-1) {
				return true
			}
		}
	}
	return false
}

// clause compiles an object of columns and $and, $or, $not, whose entries are
// joined, or a list of such, which is always a conjunction. The node is nil
// when there is no condition at all.
func clause(where any, decider truth) (node, error) {
	switch where := where.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return each(sortedKeys(where), decider, func(key string) (node, error) {
			return entry(key, where[key])
		})
	case []any:
		return each(where, isFalse, func(item any) (node, error) { return clause(item, isFalse) })
	}
	return nil, badValue("a condition is an object such as {\"id\": 5}, or a list of objects")
}

// entry compiles one key of a where object.
func entry(key string, value any) (node, error) {
	switch key {
	case "$and":
		return group(key, value, isFalse)
	case "$or":
		n, err := group(key, value, isTrue)
		return orNothing(n), err
	case "$not":
		n, err := group(key, value, isFalse)
		return orNothing(not(n)), err
	}
	if isOperator(key) {
		return nil, &Error{Kind: UnknownOperator, Message: key + " must stand under a column"}
	}
	if strings.HasPrefix(key, "$") {
		return nil, unknownOperator(key, "at the top of a condition")
	}
	if t, ok := column(key); ok {
		return condition(t, value)
	}
	if below, ok := strings.CutPrefix(key, "data."); ok {
		return dotted(below, value)
	}
	return nil, &Error{Kind: UnknownColumn, Message: "unknown column " + quoted(key) +
		": the columns are " + columnNames + "; a column of a row's own stands under data"}
}

// orNothing is what Sequelize writes for $or and $not without a condition in
// them: 0 = 1.
func orNothing(n node) node {
	if n == nil {
		return constant(isFalse)
	}
	return n
}

// group compiles what stands under $and, $or or $not. For $or the decider is
// TRUE; an object's entries are then alternatives too.
func group(operator string, value any, decider truth) (node, error) {
	switch value := value.(type) {
	case map[string]any:
		return clause(value, decider)
	case []any:
		return each(value, decider, func(item any) (node, error) { return clause(item, isFalse) })
	}
	return nil, badValue("%s takes an object or a list of objects", operator)
}

// dotted compiles {"data.a.b": value} as {"data": {"a": {"b": value}}}.
func dotted(below string, value any) (node, error) {
	p := path{name: "data"}
	for key := range strings.SplitSeq(below, ".") {
		var err error
		if p, err = p.join(key); err != nil {
			return nil, err
		}
	}
	return along(p, value)
}

// condition compiles what stands under a column, or under an operator that
// joins conditions on it.
func condition(t term, value any) (node, error) {
	switch value := value.(type) {
	case map[string]any:
		return object(t, value)
	case []any:
		return apply(t, "$in", value)
	}
	return apply(t, "$eq", value)
}

func object(t term, value map[string]any) (node, error) {
	_, isDocument := t.(document)
	for _, operator := range []string{"$or", "$and"} {
		if _, ok := value[operator]; ok && len(value) > 1 {
			return nil, refused("%s: Sequelize drops what stands beside %s; put it into a list under $and", t.label(), operator)
		}
	}
	if len(value) == 0 && !isDocument {
		return nil, badValue("%s: an empty object is no value", t.label())
	}
	return each(sortedKeys(value), isFalse, func(key string) (node, error) {
		switch {
		case strings.HasPrefix(key, "$"):
			return operation(t, key, value[key])
		case isDocument:
			p, err := path{name: "data"}.join(key)
			if err != nil {
				return nil, err
			}
			return along(p, value[key])
		}
		return nil, badValue("%s takes a value or an object of operators such as $gt", t.label())
	})
}

// operation compiles one operator with its operand.
func operation(t term, operator string, operand any) (node, error) {
	switch operator {
	case "$and":
		return alternatives(t, operator, operand, isFalse)
	case "$or":
		return alternatives(t, operator, operand, isTrue)
	}
	return apply(t, operator, operand)
}

// alternatives compiles {column: {"$or": […]}}: conditions on one term. An
// empty list is no condition here, other than above the columns.
func alternatives(t term, operator string, operand any, decider truth) (node, error) {
	switch operand := operand.(type) {
	case map[string]any:
		return each(sortedKeys(operand), decider, func(key string) (node, error) {
			return condition(t, map[string]any{key: operand[key]})
		})
	case []any:
		return each(operand, decider, func(item any) (node, error) { return condition(t, item) })
	}
	return nil, badValue("%s: %s takes a list or an object", t.label(), operator)
}

// along compiles what stands under a path into data: operators apply to the
// value there, other keys lead further down.
//
// A bare list means $in, as it does for a column. Sequelize 4.44 writes
// "= ARRAY[…]" for it, on which PostgreSQL fails.
func along(p path, value any) (node, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return condition(p.term(value), value)
	}
	return each(sortedKeys(object), isFalse, func(key string) (node, error) {
		if strings.HasPrefix(key, "$") {
			return operation(p.term(object[key]), key, object[key])
		}
		below, err := p.join(key)
		if err != nil {
			return nil, err
		}
		return along(below, object[key])
	})
}

// each compiles many conditions and joins them.
func each[T any](items []T, decider truth, compile func(T) (node, error)) (node, error) {
	nodes := make([]node, 0, len(items))
	for _, item := range items {
		n, err := compile(item)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return join(decider, nodes), nil
}

// sortedKeys makes messages and evaluation independent of map order.
func sortedKeys(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }
