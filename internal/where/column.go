package where

import (
	"fmt"
	"maps"
	"slices"
)

// compileColumn reads the operand of a field: a value, null, a list, or operators,
// which are joined with AND.
func compileColumn(name string, c column, v any) (condition, error) {
	operators, ok := v.(M)
	if !ok {
		return c.operator(name, "$eq", v)
	}
	var parts []condition
	for _, op := range slices.Sorted(maps.Keys(operators)) {
		part, err := c.operator(name, op, operators[op])
		if err != nil {
			return nil, err
		}
		if part != nil {
			parts = append(parts, part)
		}
	}
	return all(parts), nil
}

func (c column) operator(name, op string, v any) (condition, error) {
	list, isList := v.([]any)
	switch {
	case isList && (op == "$eq" || op == "$in"):
		return c.in(name, list)
	case isList && (op == "$ne" || op == "$not" || op == "$notIn"):
		in, err := c.in(name, list)
		if err != nil || len(list) == 0 {
			return nil, err
		}
		return func(r *Row) truth { return -in(r) }, nil
	case isList && (op == "$between" || op == "$notBetween"):
		return c.between(name, list, op == "$notBetween")
	case v == nil && (op == "$eq" || op == "$is"):
		return func(r *Row) truth { return truthOf(c.read(r) == nil) }, nil
	case v == nil && (op == "$ne" || op == "$not"):
		return func(r *Row) truth { return truthOf(c.read(r) != nil) }, nil
	case isList || v == nil:
		return nil, unsupported(name + " " + op + " with this operand")
	}
	holds, ok := map[string]func(int) bool{
		"$eq": func(n int) bool { return n == 0 }, "$ne": func(n int) bool { return n != 0 }, "$not": func(n int) bool { return n != 0 },
		"$gt": func(n int) bool { return n > 0 }, "$gte": func(n int) bool { return n >= 0 },
		"$lt": func(n int) bool { return n < 0 }, "$lte": func(n int) bool { return n <= 0 },
	}[op]
	if !ok {
		return nil, unsupported(name + " " + op)
	}
	want, err := c.operand(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return func(r *Row) truth {
		n, ok := compareValues(c.read(r), want)
		if !ok {
			return unknown
		}
		return truthOf(holds(n))
	}, nil
}

func (c column) in(name string, list []any) (condition, error) {
	parts := make([]condition, len(list))
	for i, v := range list {
		if v == nil {
			parts[i] = func(*Row) truth { return unknown }
			continue
		}
		var err error
		if parts[i], err = c.operator(name, "$eq", v); err != nil {
			return nil, err
		}
	}
	return anyOf(parts), nil
}

func (c column) between(name string, ends []any, not bool) (condition, error) {
	if len(ends) != 2 {
		return nil, fmt.Errorf("%s: $between wants two ends", name)
	}
	low, err := c.operator(name, "$gte", ends[0])
	if err != nil {
		return nil, err
	}
	high, err := c.operator(name, "$lte", ends[1])
	if err != nil {
		return nil, err
	}
	inside := all([]condition{low, high})
	if not {
		return func(r *Row) truth { return -inside(r) }, nil
	}
	return inside, nil
}
