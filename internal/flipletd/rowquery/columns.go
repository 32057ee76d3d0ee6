package rowquery

import (
	"cmp"
	"encoding/json"
	"time"
)

const columnNames = "id, dataSourceId, order, data, createdAt, updatedAt, deletedAt"

// column returns a column of the entries table: whole numbers are compared as
// bigint, dates as timestamptz and data as jsonb.
func column(name string) (term, bool) {
	switch name {
	case "id":
		return integers(name, func(r *Row) (int64, bool) { return r.ID, true },
			func(ids []int64) region { return region{ids: ids, created: always, updated: always} }), true
	case "dataSourceId":
		return integers(name, func(r *Row) (int64, bool) { return r.DataSourceID, true },
			func(ids []int64) region { return region{sources: ids, created: always, updated: always} }), true
	case "order":
		return integers(name, func(r *Row) (int64, bool) {
			if r.Order == nil {
				return 0, false
			}
			return *r.Order, true
		}, nil), true
	case "createdAt":
		return dates(name, func(r *Row) *time.Time { return r.CreatedAt },
			func(s span) region { return region{created: s, updated: always} }), true
	case "updatedAt":
		return dates(name, func(r *Row) *time.Time { return r.UpdatedAt },
			func(s span) region { return region{created: always, updated: s} }), true
	case "deletedAt":
		return dates(name, func(r *Row) *time.Time { return r.DeletedAt }, nil), true
	case "data":
		return document{}, true
	}
	return nil, false
}

// integers is a column of whole numbers. only, when not nil, is the region
// of the rows that hold one of the given values.
func integers(name string, read func(*Row) (int64, bool), only func([]int64) region) term {
	s := &scalar[int64, integerBound]{
		name:    name,
		value:   func(r *Row) (int64, bool, error) { n, ok := read(r); return n, ok, nil },
		operand: integerOperand,
		takes:   "a number, or a whole number as text",
		compare: func(n int64, b integerBound) int { return b.compare(n) },
		order:   integerBound.order,
	}
	if only != nil {
		s.within = func(op relation, b integerBound) region {
			if op != equal {
				return everywhere()
			}
			n, ok := b.integer()
			if !ok {
				return nowhere()
			}
			return only([]int64{n})
		}
	}
	return s
}

// integerOperand takes any number, since SQL compares whole numbers with
// fractions too, and text that spells a whole number.
func integerOperand(operand any) (integerBound, bool) {
	switch operand := operand.(type) {
	case json.Number:
		d, ok := parseDecimal(string(operand))
		return d.bound(), ok
	case string:
		n, ok := parseInteger(operand)
		return integerBound{floor: n}, ok
	}
	return integerBound{}, false
}

// dates is a column of instants. Of a row's time the part below microseconds
// is ignored. during, when not nil, is the region of the rows in a span.
func dates(name string, read func(*Row) *time.Time, during func(span) region) term {
	s := &scalar[int64, int64]{
		name: name,
		value: func(r *Row) (int64, bool, error) {
			t := read(r)
			if t == nil {
				return 0, false, nil
			}
			return t.UnixMicro(), true, nil
		},
		operand: instantOf,
		takes:   "an ISO 8601 date such as 2024-05-03T10:00:00.000Z",
		compare: cmp.Compare[int64],
		order:   cmp.Compare[int64],
	}
	if during != nil {
		s.within = func(op relation, instant int64) region {
			in, ok := spanOf(op, instant)
			if !ok {
				return everywhere()
			}
			return during(in)
		}
	}
	return s
}
