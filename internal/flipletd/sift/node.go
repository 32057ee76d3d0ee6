package sift

// node is a compiled condition.
type node interface {
	// match reports whether v satisfies the condition. at is where v was found. Every
	// call takes at least one step of the meter there, or makes a call that does.
	match(v any, at place) (bool, error)
}

// place is where a value was found: under a name of a holder. Only $exists
// asks. A place without them is nowhere, which is where whole rows and the elements
// that $elemMatch looks at are. With it comes the meter of the match.
type place struct {
	holder any
	key    *segment // the last one; nil is undefined
	meter  *Meter
	state  placeState
}

func (p place) name() string {
	if p.key == nil {
		return "undefined"
	}
	return p.key.name
}

type placeState uint8

const (
	nowhere placeState = iota
	inHolder
	inOperand // an element of $in's own list
)

// all is $and, $all, and an object with several keys.
type all []node

func (n all) match(v any, at place) (bool, error) {
	if len(n) == 0 {
		return true, at.meter.spend(1)
	}
	for _, sub := range n {
		if ok, err := sub.match(v, at); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// some is $or.
type some []node

func (n some) match(v any, at place) (bool, error) {
	if len(n) == 0 {
		return false, at.meter.spend(1)
	}
	for _, sub := range n {
		if ok, err := sub.match(v, at); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

// not is $not, and the outside of $nor and $nin.
type not struct{ node }

func (n not) match(v any, at place) (bool, error) {
	ok, err := n.node.match(v, at)
	return err == nil && !ok, err
}

// constant is a condition that does not look.
type constant bool

func (n constant) match(_ any, at place) (bool, error) { return bool(n), at.meter.spend(1) }

// raise is a condition that fails whenever it is asked.
type raise struct{ err error }

func (n raise) match(any, place) (bool, error) { return false, n.err }

// path is a column or a dotted path. Through a list it fans out over the
// elements, and one that satisfies the condition is enough; an empty list has
// no element and satisfies nothing.
type path struct {
	segments []segment
	cond     node
}

func (n *path) match(v any, at place) (bool, error) {
	return n.walk(v, 0, v, at.meter)
}

func (n *path) walk(v any, i int, holder any, m *Meter) (bool, error) {
	if i == len(n.segments) || isNullish(v) {
		at := place{holder: holder, state: inHolder, meter: m}
		if i > 0 {
			at.key = &n.segments[i-1]
		}
		return n.cond.match(v, at)
	}
	s := &n.segments[i]
	list, ok := v.([]any)
	if !ok || s.numeric {
		if text, ok := v.(string); ok { // whose units are counted
			if err := m.look(text); err != nil {
				return false, err
			}
		}
		return n.walk(property(v, s), i+1, v, m)
	}
	if err := m.spend(1); err != nil {
		return false, err
	}
	for _, elem := range list {
		if ok, err := n.walk(elem, i, list, m); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

// test is a condition on one value.
type test interface {
	test(v any, m *Meter) (bool, error)
}

// anyOf applies a test to a value, or to the elements of a list that has some.
type anyOf struct{ test }

func (n anyOf) match(v any, at place) (bool, error) {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		if err := at.meter.look(v); err != nil {
			return false, err
		}
		return n.test.test(v, at.meter)
	}
	for _, elem := range list {
		if err := at.meter.look(elem); err != nil {
			return false, err
		}
		if ok, err := n.test.test(elem, at.meter); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

// elemMatch is $elemMatch.
type elemMatch struct{ node }

func (n elemMatch) match(v any, at place) (bool, error) {
	list, ok := v.([]any)
	if !ok {
		return n.node.match(v, at)
	}
	if err := at.meter.spend(1); err != nil {
		return false, err
	}
	for _, elem := range list {
		if ok, err := n.node.match(elem, place{meter: at.meter}); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

// exists is $exists.
type exists bool

func (n exists) match(_ any, at place) (bool, error) {
	switch at.state {
	case nowhere:
		return false, &Error{TypeError, "$exists needs a column to look for"}
	case inOperand:
		return bool(n), nil
	}
	if err := at.meter.spend(1); err != nil {
		return false, err
	}
	ok, err := hasOwn(at.holder, at.name())
	return err == nil && ok == bool(n), err
}
