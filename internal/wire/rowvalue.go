package wire

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"
)

// value is what a column or path holds: nil (NULL), *big.Rat, string, bool or
// time.Time.
type value = any

// reader gets a value from a row, in the type of the operand; nil when it has none.
type reader func(*RowFields) value

// column is a field of rows: how to read it, and how to read an operand for it.
type column struct {
	read    reader
	operand func(any) (value, error)
}

var columns = map[string]column{
	"id":           {func(r *RowFields) value { return whole(r.ID) }, numberOperand},
	"dataSourceId": {func(r *RowFields) value { return whole(r.DataSourceID) }, numberOperand},
	"order": {func(r *RowFields) value {
		if r.Order == nil {
			return nil
		}
		return whole(*r.Order)
	}, numberOperand},
	"createdAt": {func(r *RowFields) value { return moment(r.CreatedAt) }, timeOperand},
	"updatedAt": {func(r *RowFields) value { return moment(r.UpdatedAt) }, timeOperand},
	"deletedAt": {func(r *RowFields) value {
		if r.DeletedAt == nil {
			return nil
		}
		return *r.DeletedAt
	}, timeOperand},
}

func whole(n int64) value { return new(big.Rat).SetInt64(n) }

func moment(t time.Time) value {
	if t.IsZero() {
		return nil
	}
	return t
}

func numberOperand(v any) (value, error) {
	if n := rational(Text(v)); n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("want a number, not %T", v)
}

// rational reads a number exactly. Exponents that would fill the memory are none.
func rational(s string) *big.Rat {
	if s = strings.TrimSpace(s); s == "" || len(s) > 400 || strings.ContainsAny(s, "/xXpP_") {
		return nil
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(s), "e"); ok && len(strings.TrimLeft(exponent, "+-0")) > 3 {
		return nil
	}
	n, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil
	}
	return n
}

func timeOperand(v any) (value, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("want a timestamp such as %q, not %T", "2026-01-02T15:04:05.000Z", v)
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("want a timestamp such as %q", "2026-01-02T15:04:05.000Z")
}

// compareValues orders two values of one type.
func compareValues(a, b value) (int, bool) {
	switch a := a.(type) {
	case *big.Rat:
		if b, ok := b.(*big.Rat); ok {
			return a.Cmp(b), true
		}
	case time.Time:
		if b, ok := b.(time.Time); ok {
			return a.Compare(b), true
		}
	case string:
		switch b := b.(type) {
		case string:
			return cmp.Compare(a, b), true
		case *big.Rat: // a path is cast to the type of its operand
			if n := rational(a); n != nil {
				return n.Cmp(b), true
			}
		case bool:
			if a == "true" || a == "false" {
				return compareValues(a == "true", b)
			}
		}
	case bool:
		if b, ok := b.(bool); ok {
			switch {
			case a == b:
				return 0, true
			case a:
				return 1, true
			}
			return -1, true
		}
	}
	return 0, false
}

// compileColumn reads what stands under a field: a value, null, a list, or
// operators, which are joined with AND.
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
		return func(r *RowFields) truth { return -in(r) }, nil
	case isList && (op == "$between" || op == "$notBetween"):
		return c.between(name, list, op == "$notBetween")
	case v == nil && (op == "$eq" || op == "$is"):
		return func(r *RowFields) truth { return truthOf(c.read(r) == nil) }, nil
	case v == nil && (op == "$ne" || op == "$not"):
		return func(r *RowFields) truth { return truthOf(c.read(r) != nil) }, nil
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
	return func(r *RowFields) truth {
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
			parts[i] = func(*RowFields) truth { return unknown }
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
		return func(r *RowFields) truth { return -inside(r) }, nil
	}
	return inside, nil
}

// compileData reads what stands under data: containment, or paths into it.
func compileData(v any) (condition, error) {
	clause, ok := v.(M)
	if !ok {
		return nil, unsupported("data as a whole")
	}
	var parts []condition
	for _, key := range slices.Sorted(maps.Keys(clause)) {
		want := clause[key]
		switch {
		case key == "$contains":
			parts = append(parts, func(r *RowFields) truth { return truthOf(contains(r.Data, want, true)) })
		case strings.HasPrefix(key, "$"):
			return nil, unsupported("data " + key)
		default:
			part, err := compilePath([]string{key}, want)
			if err != nil {
				return nil, err
			}
			if part != nil {
				parts = append(parts, part)
			}
		}
	}
	return all(parts), nil
}

// compilePath reads a condition on one place in the data. Objects without
// operators lead further in.
func compilePath(path []string, v any) (condition, error) {
	inner, ok := v.(M)
	if !ok {
		return compileColumn(strings.Join(path, "."), pathColumn(path), v)
	}
	operators := 0
	for key := range inner {
		if strings.HasPrefix(key, "$") {
			operators++
		}
	}
	switch operators {
	case len(inner):
		return compileColumn(strings.Join(path, "."), pathColumn(path), v)
	case 0:
	default:
		return nil, unsupported("operators beside keys")
	}
	var parts []condition
	for _, key := range slices.Sorted(maps.Keys(inner)) {
		part, err := compilePath(append(slices.Clone(path), key), inner[key])
		if err != nil {
			return nil, err
		}
		if part != nil {
			parts = append(parts, part)
		}
	}
	return all(parts), nil
}

// pathColumn compares as text, unless the operand is a number or a boolean.
func pathColumn(path []string) column {
	return column{
		read: func(r *RowFields) value { return text(at(r.Data, path)) },
		operand: func(v any) (value, error) {
			switch v := v.(type) {
			case string, bool:
				return v, nil
			case json.Number:
				return numberOperand(v)
			}
			return nil, unsupported("data." + strings.Join(path, ".") + " with this operand")
		},
	}
}

func at(v any, path []string) any {
	for _, key := range path {
		m, ok := v.(M)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// text is a JSON value as PostgreSQL's ->> gives it; null is NULL.
func text(v any) value {
	switch v := v.(type) {
	case nil:
		return nil
	case M, []any:
		b, err := json.Marshal(v)
		if err != nil {
			return nil
		}
		return string(b)
	}
	return Text(v)
}

// Column finds the value that an order by "data.<path>" means.
func Column(data M, column string) any {
	return at(data, strings.Split(strings.TrimPrefix(column, "data."), "."))
}

// CompareColumns sorts values as data sources do: numbers, also such as are
// written as text, by value, everything else as text (documented); absent ones
// are last.
func CompareColumns(a, b any) int {
	x, y := text(a), text(b)
	switch {
	case x == nil && y == nil:
		return 0
	case x == nil:
		return 1
	case y == nil:
		return -1
	}
	m, n := rational(x.(string)), rational(y.(string))
	if m != nil && n != nil {
		return m.Cmp(n)
	}
	return cmp.Compare(x.(string), y.(string))
}
