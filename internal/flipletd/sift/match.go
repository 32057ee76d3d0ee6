package sift

// deepEqual is $match: the value and the operand are alike in every column,
// types included; or an element of it is. Only Fliplet's description of the fork mentions it; that an
// object inside the operand raises is seen there, the rest is our choice.
type deepEqual struct{ operand any }

func newDeepEqual(operand any) (node, error) {
	if o, ok := operand.(object); ok {
		for _, m := range o {
			if holdsObject(m.value) {
				return nil, &Error{TypeError, "$match cannot compare objects inside its operand; write the path with dots"}
			}
		}
	}
	return deepEqual{operand}, nil
}

func holdsObject(v any) bool {
	switch v := v.(type) {
	case object:
		return true
	case []any:
		for _, elem := range v {
			if holdsObject(elem) {
				return true
			}
		}
	}
	return false
}

func (n deepEqual) match(v any, at place) (bool, error) {
	if err := at.meter.spend(extent(v)); err != nil {
		return false, err
	}
	if alike(n.operand, v) {
		return true, nil
	}
	list, _ := v.([]any)
	for _, elem := range list {
		if err := at.meter.spend(extent(elem)); err != nil {
			return false, err
		}
		if alike(n.operand, elem) {
			return true, nil
		}
	}
	return false, nil
}

func alike(a, b any) bool {
	switch a := a.(type) {
	case []any:
		list, ok := b.([]any)
		if !ok || len(list) != len(a) {
			return false
		}
		for i := range a {
			if !alike(a[i], list[i]) {
				return false
			}
		}
		return true
	case object:
		row, ok := b.(map[string]any)
		if !ok || len(row) != len(a) {
			return false
		}
		for _, m := range a {
			if value, ok := row[m.name]; !ok || !alike(m.value, value) {
				return false
			}
		}
		return true
	}
	return strictlyEqual(a, b)
}
