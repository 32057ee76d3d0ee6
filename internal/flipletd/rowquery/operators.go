package rowquery

import "slices"

// isOperator reports whether Sequelize 4 knows the key as an operator.
func isOperator(key string) bool {
	switch key {
	case "$and", "$or", "$not", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$notIn", "$is",
		"$like", "$notLike", "$iLike", "$notILike", "$between", "$notBetween",
		"$contains", "$contained", "$overlap":
		return true
	}
	return isUnsupported(key)
}

// isUnsupported tells Sequelize's other operators: for ranges and arrays,
// which no column has, regular expressions, and SQL of the caller's own.
func isUnsupported(key string) bool {
	switch key {
	case "$regexp", "$notRegexp", "$iRegexp", "$notIRegexp",
		"$any", "$all", "$values", "$col", "$raw",
		"$adjacent", "$strictLeft", "$strictRight", "$noExtendLeft", "$noExtendRight":
		return true
	}
	return false
}

// apply compiles one operator on a term. $and and $or are elsewhere, since
// they hold further conditions.
func apply(t term, operator string, operand any) (node, error) {
	switch operator {
	case "$eq", "$ne", "$gt", "$gte", "$lt", "$lte":
		return relate(t, operator, operand)
	case "$in":
		return in(t, operator, operand)
	case "$notIn":
		return negated(in(t, operator, operand))
	case "$not":
		return isNot(t, operand)
	case "$is":
		return is(t, operator, operand)
	case "$between":
		return between(t, operator, operand)
	case "$notBetween":
		return negated(between(t, operator, operand))
	case "$like":
		return like(t, operator, operand, false)
	case "$notLike":
		return negated(like(t, operator, operand, false))
	case "$iLike":
		return like(t, operator, operand, true)
	case "$notILike":
		return negated(like(t, operator, operand, true))
	case "$contains", "$contained":
		return within(t, operator, operand)
	case "$overlap":
		return nil, badValue("%s: $overlap is for ranges and arrays, which no column is", t.label())
	}
	if isUnsupported(operator) {
		return nil, refused("%s: %s is not evaluated", t.label(), operator)
	}
	return nil, unknownOperator(operator, "under "+t.label())
}

func negated(n node, err error) (node, error) { return not(n), err }

// relationOf maps the six operators that compare.
func relationOf(operator string) relation {
	switch operator {
	case "$ne":
		return unequal
	case "$gt":
		return greater
	case "$gte":
		return greaterOrEqual
	case "$lt":
		return less
	case "$lte":
		return lessOrEqual
	}
	return equal
}

// relate compiles a comparison. With null it is IS NULL, IS NOT NULL, or
// nothing that can be known.
func relate(t term, operator string, operand any) (node, error) {
	op := relationOf(operator)
	switch {
	case operand != nil:
		return t.relate(op, operand)
	case op == equal:
		return t.isNull(), nil
	case op == unequal:
		return not(t.isNull()), nil
	}
	return constant(isNull), nil
}

// in compiles IN. Sequelize writes the empty list as IN (NULL), which is
// never TRUE nor FALSE, and leaves an empty NOT IN out.
func in(t term, operator string, operand any) (node, error) {
	list, ok := operand.([]any)
	switch {
	case !ok:
		return nil, badValue("%s: %s takes a list", t.label(), operator)
	case len(list) > 0:
		return t.among(list)
	case operator == "$in":
		return constant(isNull), nil
	}
	return nil, nil
}

// isNot compiles $not on a term: NOT IN for a list, IS NOT for null and
// booleans, != for the rest.
func isNot(t term, operand any) (node, error) {
	switch operand := operand.(type) {
	case []any:
		return negated(in(t, "$notIn", operand))
	case nil, bool:
		return negated(is(t, "$not", operand))
	case map[string]any:
		if _, ok := t.(document); !ok || slices.ContainsFunc(sortedKeys(operand), isOperator) {
			return nil, refused(`%s: $not takes a value or a list here; to negate a condition write {"$not": {"%[1]s": …}}`, t.label())
		}
	}
	return t.relate(unequal, operand)
}

// is compiles IS, which knows no third value: NULL IS TRUE is FALSE.
func is(t term, operator string, operand any) (node, error) {
	switch operand := operand.(type) {
	case nil:
		return t.isNull(), nil
	case bool:
		if t, ok := t.(*scalar[bool, bool]); ok {
			return isBool{of: t, want: operand}, nil
		}
		return nil, badValue("%s: %s takes a boolean only on a path in data", t.label(), operator)
	}
	return nil, badValue("%s: %s takes null or a boolean", t.label(), operator)
}

type isBool struct {
	of   *scalar[bool, bool]
	want bool
}

func (n isBool) eval(r *Row) (truth, error) {
	v, ok, err := n.of.value(r)
	return truthOf(ok && v == n.want), err
}
func (isBool) trueIn() region  { return everywhere() }
func (isBool) falseIn() region { return everywhere() }

func between(t term, operator string, operand any) (node, error) {
	ends, ok := operand.([]any)
	if !ok || len(ends) != 2 {
		return nil, badValue("%s: %s takes a list of two values", t.label(), operator)
	}
	from, err := relate(t, "$gte", ends[0])
	if err != nil {
		return nil, err
	}
	to, err := relate(t, "$lte", ends[1])
	if err != nil {
		return nil, err
	}
	return join(isFalse, []node{from, to}), nil
}

func like(t term, operator string, operand any, fold bool) (node, error) {
	text, ok := t.(*scalar[string, string])
	if !ok {
		return nil, badValue("%s: %s is for text in data", t.label(), operator)
	}
	switch operand := operand.(type) {
	case nil:
		return constant(isNull), nil
	case string:
		p, ok := compilePattern(operand, fold)
		if !ok {
			return nil, refused("%s: %s has more than %d characters between two %% signs", t.label(), operator, maxPiece)
		}
		return likeText{text: text, pattern: p}, nil
	}
	return nil, badValue("%s: %s takes a pattern as text", t.label(), operator)
}

func within(t term, operator string, operand any) (node, error) {
	if _, ok := t.(document); !ok {
		return nil, badValue(`%s: %s is for data as a whole: {"data": {"%[2]s": {…}}}`, t.label(), operator)
	}
	if operand == nil {
		return constant(isNull), nil
	}
	want, err := operandJSON(operand)
	if err != nil {
		return nil, err
	}
	return containment{operand: want, inverse: operator == "$contained"}, nil
}
