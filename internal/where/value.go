package where

import (
	"cmp"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// value is what a column or path holds: nil (NULL), *big.Rat, string, bool or
// time.Time.
type value = any

// reader gets a value from a row, in the type of the operand; nil when it has none.
type reader func(*Row) value

// column is a field of rows: how to read it, and how to read an operand for it.
type column struct {
	read    reader
	operand func(any) (value, error)
}

var columns = map[string]column{
	"id":           {func(r *Row) value { return whole(r.ID) }, numberOperand},
	"dataSourceId": {func(r *Row) value { return whole(r.DataSourceID) }, numberOperand},
	"order": {func(r *Row) value {
		if r.Order == nil {
			return nil
		}
		return whole(*r.Order)
	}, numberOperand},
	"createdAt": {func(r *Row) value { return moment(r.CreatedAt) }, timeOperand},
	"updatedAt": {func(r *Row) value { return moment(r.UpdatedAt) }, timeOperand},
	"deletedAt": {func(r *Row) value {
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
	if n := rational(wire.Text(v)); n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("want a number, not %T", v)
}

// rational reads a number exactly. It refuses exponents that would need much memory.
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
			return compareFlags(a, b), true
		}
	}
	return 0, false
}
