package where

import (
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Best chooses the contact of a login query among the rows that the query found,
// given by their columns. It returns the index of the row, or -1.
//
// It prefers a row that equals the query. If the query asks for a part of a value, as
// $iLike does, it accepts no other row.
func Best(rows []M, query M) int {
	partial := false
	for i, row := range rows {
		exact, loose := equals(query, row)
		if exact {
			return i
		}
		partial = partial || loose
	}
	if partial || len(rows) == 0 {
		return -1
	}
	return 0
}

// equals reports whether every column that the query compares equals its operand,
// and whether the query compares parts of values.
func equals(query M, row M) (exact, partial bool) {
	exact = true
	and := func(e, p bool) { exact, partial = exact && e, partial || p }
	for key, want := range query {
		switch key {
		case "$and":
			for _, q := range wire.Objects(want) {
				and(equals(q, row))
			}
		case "$or":
			either := false
			for _, q := range wire.Objects(want) {
				e, p := equals(q, row)
				either, partial = either || e, partial || p
			}
			exact = exact && either
		case "$filters":
			for _, f := range wire.Objects(want) {
				column, _ := f["column"].(string)
				switch f["condition"] {
				case "contains", "regex":
					and(same(row[column], f["value"]), true)
				case "==":
					and(same(row[column], f["value"]), false)
				}
			}
		default:
			if !strings.HasPrefix(key, "$") {
				and(equalsColumn(row[key], want))
			}
		}
	}
	return exact, partial
}

// equalsColumn is equals for one column.
func equalsColumn(have, want any) (exact, partial bool) {
	operators, ok := want.(M)
	if !ok {
		return same(have, want), false
	}
	exact = true
	for op, operand := range operators {
		switch op {
		case "$iLike", "$like", "$regex":
			exact, partial = exact && same(have, operand), true
		case "$eq":
			exact = exact && same(have, operand)
		}
	}
	return exact, partial
}

// same compares without regard to case and surrounding space, and numbers as text.
func same(have, want any) bool {
	h, w := strings.TrimSpace(wire.Text(have)), strings.TrimSpace(wire.Text(want))
	return w != "" && strings.EqualFold(h, w)
}

// Satisfies reports whether a cached row certainly matches a query. It is false for a
// query with an operator that only the server understands, so that no condition of a
// login is skipped.
func Satisfies(row, query M) bool {
	for key, want := range query {
		switch key {
		case "$and":
			list := wire.Objects(want)
			if len(list) == 0 || slices.ContainsFunc(list, func(q M) bool { return !Satisfies(row, q) }) {
				return false
			}
		case "$or":
			if !slices.ContainsFunc(wire.Objects(want), func(q M) bool { return Satisfies(row, q) }) {
				return false
			}
		default:
			if strings.HasPrefix(key, "$") || !matches(row[key], want) {
				return false
			}
		}
	}
	return len(query) > 0
}

// matches is Satisfies for one column. Equality is exact, as it is online, since the
// column may be a password. $iLike ignores case and must match the whole value.
func matches(have, want any) bool {
	operators, ok := want.(M)
	if !ok {
		text := wire.Text(want)
		return text != "" && text == wire.Text(have)
	}
	for op, operand := range operators {
		switch {
		case op == "$eq" && matches(have, operand):
		case op == "$iLike" && same(have, operand):
		default:
			return false
		}
	}
	return len(operators) > 0
}
