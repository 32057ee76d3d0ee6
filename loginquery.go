package chat

import (
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// pick chooses the contact a login query means among the rows it found.
//
// A row that equals the query exactly wins. If the query only asked for a part of
// a value, as $iLike does, nothing less will do.
func pick(rows []datasource.Entry, query M) *datasource.Entry {
	partial := false
	for i := range rows {
		exact, loose := equals(query, rows[i].Data)
		if exact {
			return &rows[i]
		}
		partial = partial || loose
	}
	if partial || len(rows) == 0 {
		return nil
	}
	return &rows[0]
}

// equals reports whether every column that the query compares equals its operand,
// and whether the query compares parts of values.
func equals(query M, row M) (exact, partial bool) {
	exact = true
	and := func(e, p bool) { exact, partial = exact && e, partial || p }
	for key, want := range query {
		switch key {
		case "$and":
			for _, q := range objects(want) {
				and(equals(q, row))
			}
		case "$or":
			any := false
			for _, q := range objects(want) {
				e, p := equals(q, row)
				any, partial = any || e, partial || p
			}
			exact = exact && any
		case "$filters":
			for _, f := range objects(want) {
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
				and(column(row[key], want))
			}
		}
	}
	return exact, partial
}

// column is equals for one column.
func column(have, want any) (exact, partial bool) {
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

// same compares as people do who typed an address twice: case and surrounding
// space aside, and numbers as their text.
func same(have, want any) bool {
	h, w := strings.TrimSpace(wire.Text(have)), strings.TrimSpace(wire.Text(want))
	return w != "" && strings.EqualFold(h, w)
}

// objects reads a list of objects, as decoded JSON or as Go code writes it.
func objects(v any) []M {
	switch v := v.(type) {
	case []M:
		return v
	case []any:
		out := make([]M, 0, len(v))
		for _, e := range v {
			if m, ok := e.(M); ok {
				out = append(out, m)
			}
		}
		return out
	}
	return nil
}

// satisfies reports whether a cached row certainly is what a query asks for. A
// query with an operator that only the server understands is not satisfied, so
// that nobody is logged in on half of what was asked.
func satisfies(row, query M) bool {
	for key, want := range query {
		switch key {
		case "$and":
			list := objects(want)
			if len(list) == 0 || slices.ContainsFunc(list, func(q M) bool { return !satisfies(row, q) }) {
				return false
			}
		case "$or":
			if !slices.ContainsFunc(objects(want), func(q M) bool { return satisfies(row, q) }) {
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

// matches is satisfies for one column. As online, equality is exact, so that
// passwords are, too, and $iLike ignores case; it must match the whole value.
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
