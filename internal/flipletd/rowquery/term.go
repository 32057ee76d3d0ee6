package rowquery

import (
	"cmp"
	"math"
	"slices"
)

// relation is a comparison of SQL.
type relation uint8

const (
	equal relation = iota
	unequal
	less
	greaterOrEqual
	greater
	lessOrEqual
)

// opposite is the relation that holds when this one does not. The constants
// stand in such pairs.
func (op relation) opposite() relation { return op ^ 1 }

// holds interprets the result of a three-way comparison.
func (op relation) holds(order int) bool {
	switch op {
	case equal:
		return order == 0
	case unequal:
		return order != 0
	case less:
		return order < 0
	case greaterOrEqual:
		return order >= 0
	case greater:
		return order > 0
	default:
		return order <= 0
	}
}

// term is what a condition is put on: a column, or a path into data with the
// cast that Sequelize gives it.
type term interface {
	// label names the term in messages.
	label() string
	// relate compares with an operand, which is not null.
	relate(op relation, operand any) (node, error)
	// among is IN; the list may hold null and is not empty.
	among(list []any) (node, error)
	// isNull is IS NULL.
	isNull() node
}

// scalar is a term with values of one SQL type, held as V in rows and as O in
// operands.
type scalar[V, O any] struct {
	name string
	// column is the one column of data that the values are the text of, if it is so.
	column string
	// value reads the row; false is NULL. It fails where a cast would.
	value func(*Row) (V, bool, error)
	// operand reads a JSON value other than null, false when PostgreSQL would
	// not take it for this type; takes says what it would.
	operand func(any) (O, bool)
	takes   string
	// compare orders a value against an operand, order two operands.
	compare func(V, O) int
	order   func(a, b O) int
	// within is where the relation can be TRUE; nil when no index helps.
	within func(relation, O) region
}

func (s *scalar[V, O]) label() string { return s.name }

func (s *scalar[V, O]) read(operand any) (O, error) {
	o, ok := s.operand(operand)
	if !ok {
		return o, badValue("%s takes %s", s.name, s.takes)
	}
	return o, nil
}

func (s *scalar[V, O]) relate(op relation, operand any) (node, error) {
	o, err := s.read(operand)
	if err != nil {
		return nil, err
	}
	return &related[V, O]{of: s, op: op, operand: o}, nil
}

func (s *scalar[V, O]) among(list []any) (node, error) {
	m := &member[V, O]{of: s, list: make([]O, 0, len(list))}
	for _, operand := range list {
		if operand == nil {
			m.orNull = true
			continue
		}
		o, err := s.read(operand)
		if err != nil {
			return nil, err
		}
		m.list = append(m.list, o)
	}
	slices.SortFunc(m.list, s.order)
	return m, nil
}

func (s *scalar[V, O]) isNull() node { return &absent[V, O]{of: s} }

func (s *scalar[V, O]) region(op relation, operand O) region {
	if s.within == nil {
		return everywhere()
	}
	return s.within(op, operand)
}

// related is a comparison with one operand.
type related[V, O any] struct {
	of      *scalar[V, O]
	op      relation
	operand O
}

func (n *related[V, O]) eval(r *Row) (truth, error) {
	v, ok, err := n.of.value(r)
	if err != nil || !ok {
		return isNull, err
	}
	return truthOf(n.op.holds(n.of.compare(v, n.operand))), nil
}
func (n *related[V, O]) trueIn() region  { return n.of.region(n.op, n.operand) }
func (n *related[V, O]) falseIn() region { return n.of.region(n.op.opposite(), n.operand) }

// member is IN over a list. A null in the list turns "not found" into NULL.
type member[V, O any] struct {
	of     *scalar[V, O]
	list   []O // ascending
	orNull bool
}

func (n *member[V, O]) eval(r *Row) (truth, error) {
	v, ok, err := n.of.value(r)
	if err != nil || !ok {
		return isNull, err
	}
	if n.holds(v) {
		return isTrue, nil
	}
	if n.orNull {
		return isNull, nil
	}
	return isFalse, nil
}

func (n *member[V, O]) holds(v V) bool {
	low, high := 0, len(n.list)
	for low < high {
		middle := int(uint(low+high) / 2)
		switch order := n.of.compare(v, n.list[middle]); {
		case order == 0:
			return true
		case order < 0:
			high = middle
		default:
			low = middle + 1
		}
	}
	return false
}

func (n *member[V, O]) trueIn() region {
	return hull(n.list, func(o O) region { return n.of.region(equal, o) })
}
func (n *member[V, O]) falseIn() region { return regionIf(!n.orNull) }

// absent is IS NULL.
type absent[V, O any] struct{ of *scalar[V, O] }

func (n *absent[V, O]) eval(r *Row) (truth, error) {
	_, ok, err := n.of.value(r)
	return truthOf(!ok && err == nil), err
}
func (*absent[V, O]) trueIn() region  { return everywhere() }
func (*absent[V, O]) falseIn() region { return everywhere() }

// compareBools orders FALSE before TRUE, as SQL does.
func compareBools(a, b bool) int { return cmp.Compare(truthOf(a), truthOf(b)) }

// compareFloats orders as PostgreSQL does: NaN equals itself and is above
// everything else.
func compareFloats(a, b float64) int {
	if math.IsNaN(a) || math.IsNaN(b) {
		return compareBools(math.IsNaN(a), math.IsNaN(b))
	}
	return cmp.Compare(a, b)
}
