package where

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// clauseTruth decides a condition as far as it can be evaluated here.
func clauseTruth(row, query M) truth {
	out := yes
	for key, want := range query {
		out = min(out, entryTruth(row, key, want))
	}
	return out
}

func entryTruth(row M, key string, want any) truth {
	list, _ := want.([]any)
	switch {
	case key == "$and":
		out := yes
		for _, e := range list {
			out = min(out, listedTruth(row, e))
		}
		return out
	case key == "$or" || key == "$nor":
		out := no
		for _, e := range list {
			out = max(out, listedTruth(row, e))
		}
		if key == "$nor" {
			return -out
		}
		return out
	case key == "$filters":
		out := yes
		for _, e := range list {
			out = min(out, filterTruth(row, e))
		}
		return out
	case strings.HasPrefix(key, "$"):
		return unknown
	}
	switch have, there := row[key]; have.(type) {
	case []any, M:
		return no // no address or password; a server may compare elements of it
	case nil:
		if !there {
			outer, _, path := strings.Cut(key, ".")
			_, inside := row[outer]
			return columnTruth(absent{path && inside}, want)
		}
	}
	return columnTruth(row[key], want)
}

// absent is the value of a column that a row does not have. Inside another column the
// server may find one of that path.
type absent struct{ inside bool }

// missing reports whether there is certainly no value.
func missing(have any) bool {
	a, gone := have.(absent)
	return have == nil || gone && !a.inside
}

// asksForNone reports whether an operator or condition of the server's can hold for a
// column that is missing.
func asksForNone(name string) bool {
	name = strings.ToLower(strings.TrimPrefix(name, "$"))
	return strings.HasPrefix(name, "not") && !strings.HasPrefix(name, "notcontain") && name != "notempty" ||
		slices.Contains([]string{"!=", "ne", "nin", "nor", "exists", "is", "options", "empty", "none"}, name)
}

func listedTruth(row M, clause any) truth {
	if clause, ok := clause.(M); ok {
		return clauseTruth(row, clause)
	}
	return unknown
}

// filterTruth decides one of $filters. How a server compares there is not known well
// enough to be certain of a match, only of a difference.
func filterTruth(row M, filter any) truth {
	f, _ := filter.(M)
	column, ok := f["column"].(string)
	condition, _ := f["condition"].(string)
	switch {
	case !ok:
	case condition == "==" && !same(row[column], f["value"]), condition == "!=" && same(row[column], f["value"]),
		row[column] == nil && !asksForNone(condition):
		return no
	}
	return unknown
}

// columnTruth decides the condition on one column. Equality is exact, since the column
// may be a password. $iLike ignores case and surrounding space, and must match the
// whole value.
func columnTruth(have, want any) truth {
	operators, ok := want.(M)
	if !ok {
		if _, list := want.([]any); list {
			return unsure(have)
		}
		return truthOf(equal(have, want))
	}
	out := yes
	for op, operand := range operators {
		out = min(out, operatorTruth(have, op, operand))
	}
	return out
}

func operatorTruth(have any, op string, operand any) truth {
	list, isList := operand.([]any)
	_, isObject := operand.(M)
	switch {
	case op == "$not" && isObject:
		return -columnTruth(have, operand)
	case (op == "$in" || op == "$nin") && isList:
		in := truthOf(slices.ContainsFunc(list, func(e any) bool { return equal(have, e) }))
		if op == "$nin" {
			return -in
		}
		return in
	case (op == "$not" || op == "$ne") && isList && slices.ContainsFunc(list, func(e any) bool { return equal(have, e) }):
		return no
	case (isList || isObject) && asksForNone(op):
		return unknown
	case isList || isObject:
		return unsure(have)
	}
	switch op {
	case "$eq":
		return truthOf(equal(have, operand))
	case "$ne", "$not":
		return truthOf(!equal(have, operand))
	case "$iLike":
		return truthOf(same(have, operand))
	case "$gt", "$gte", "$lt", "$lte":
		return orderTruth(have, op, operand)
	case "$exists":
		if on, ok := operand.(bool); ok {
			_, gone := have.(absent)
			return truthOf(on != gone)
		}
	}
	if asksForNone(op) {
		return unknown
	}
	return unsure(have)
}

// unsure is the truth of what only the server can evaluate, and what needs a value.
func unsure(have any) truth {
	if missing(have) {
		return no
	}
	return unknown
}

// orderTruth compares with a number. How a server orders text is not known.
func orderTruth(have any, op string, operand any) truth {
	h, w := rational(wire.Text(have)), rational(wire.Text(operand))
	switch {
	case w == nil && wire.Text(have) != "":
		return unknown
	case w == nil || h == nil:
		return no
	}
	n := h.Cmp(w)
	return truthOf(n > 0 && op[1] == 'g' || n < 0 && op[1] == 'l' || n == 0 && strings.HasSuffix(op, "e"))
}

// equal compares exactly, and numbers by their value or as text: an imported contact
// may hold a number as text.
func equal(have, want any) bool {
	h, w := wire.Text(have), wire.Text(want)
	if w == "" {
		return false
	}
	if h == w {
		return true
	}
	_, number := have.(json.Number)
	_, wanted := want.(json.Number)
	if !number || !wanted {
		return false
	}
	a, b := rational(h), rational(w)
	return a != nil && b != nil && a.Cmp(b) == 0
}

// same compares without regard to case and surrounding space, and numbers as text.
func same(have, want any) bool {
	h, w := strings.TrimSpace(wire.Text(have)), strings.TrimSpace(wire.Text(want))
	return w != "" && strings.EqualFold(h, w)
}
