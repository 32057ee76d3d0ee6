package rowquery

// truth is a value of SQL's three-valued logic. The order FALSE < NULL < TRUE
// makes AND the minimum, OR the maximum and NOT the negation.
type truth int8

const (
	isFalse truth = -1
	isNull  truth = 0
	isTrue  truth = 1
)

func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// node is one condition of a compiled clause. Nodes are immutable.
type node interface {
	// eval answers for one row. It fails where PostgreSQL would.
	eval(r *Row) (truth, error)
	// trueIn and falseIn hold every row for which eval gives TRUE or FALSE.
	// NOT needs both.
	trueIn() region
	falseIn() region
}

// constant is a condition that no row changes.
type constant truth

func (c constant) eval(*Row) (truth, error) { return truth(c), nil }
func (c constant) trueIn() region           { return regionIf(truth(c) == isTrue) }
func (c constant) falseIn() region          { return regionIf(truth(c) == isFalse) }

// negation is SQL's NOT.
type negation struct{ of node }

func (n negation) eval(r *Row) (truth, error) {
	t, err := n.of.eval(r)
	return -t, err
}
func (n negation) trueIn() region  { return n.of.falseIn() }
func (n negation) falseIn() region { return n.of.trueIn() }

// junction joins conditions with AND or OR. One operand decides the result
// by itself: FALSE for AND, TRUE for OR.
//
// SQL promises no order of evaluation, so a failing cast beside a deciding
// operand may or may not surface in PostgreSQL. Here the deciding operand
// always wins; that makes the answer independent of the order of JSON keys.
type junction struct {
	decider truth
	of      []node
}

func (j junction) eval(r *Row) (truth, error) {
	result := -j.decider
	var failure error
	for _, n := range j.of {
		t, err := n.eval(r)
		switch {
		case err != nil:
			failure = err
		case t == j.decider:
			return t, nil
		case t == isNull:
			result = isNull
		}
	}
	if failure != nil {
		return isNull, failure
	}
	return result, nil
}

func (j junction) trueIn() region {
	if j.decider == isTrue {
		return hull(j.of, node.trueIn)
	}
	return overlap(j.of, node.trueIn)
}

func (j junction) falseIn() region {
	if j.decider == isFalse {
		return hull(j.of, node.falseIn)
	}
	return overlap(j.of, node.falseIn)
}

func overlap(of []node, in func(node) region) region {
	result := everywhere()
	for _, n := range of {
		result = result.and(in(n))
	}
	return result
}

// join makes a junction of conditions that may be absent. All absent is
// absent again: Sequelize writes no SQL for it, which is not the same as
// TRUE once it stands under OR or NOT.
func join(decider truth, of []node) node {
	present := make([]node, 0, len(of))
	for _, n := range of {
		switch n := n.(type) {
		case nil:
		case junction:
			if n.decider == decider {
				present = append(present, n.of...)
			} else {
				present = append(present, n)
			}
		default:
			present = append(present, n)
		}
	}
	switch len(present) {
	case 0:
		return nil
	case 1:
		return present[0]
	}
	return junction{decider: decider, of: present}
}

// not negates a condition that may be absent.
func not(n node) node {
	if n == nil {
		return nil
	}
	return negation{of: n}
}
