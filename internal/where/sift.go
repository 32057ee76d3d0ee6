package where

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Columns is a condition over columns, as far as it can be decided without a server: it
// tells which rows certainly do not match, so that an answer of a server that ignores the
// condition is cut down. Unlike a [Login] it compares as the server does.
type Columns struct{ clause M }

// CompileColumns reads a condition.
func CompileColumns(clause M) (Columns, error) {
	if len(clause) == 0 {
		return Columns{}, nil
	}
	plain, err := decoded(clause)
	return Columns{plain}, err
}

// Contradicts reports whether a row certainly does not match.
func (c Columns) Contradicts(row M) bool { return c.clause != nil && siftClause(row, c.clause) == no }

// Names are the columns that the condition looks at, sorted.
func (c Columns) Names() []string {
	found := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case M:
			for key, inner := range v {
				if name, ok := inner.(string); ok && key == "column" {
					found[outermost(name)] = true // of a $filters condition
				}
				if strings.HasPrefix(key, "$") {
					walk(inner)
				} else if key != "column" && key != "condition" && key != "value" {
					found[outermost(key)] = true
				}
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(c.clause)
	return slices.Sorted(maps.Keys(found))
}

func outermost(path string) string {
	name, _, _ := strings.Cut(path, ".")
	return name
}

func siftClause(row, clause M) truth {
	out := yes
	for key, want := range clause {
		out = min(out, siftEntry(row, key, want))
	}
	return out
}

func siftEntry(row M, key string, want any) truth {
	list, isList := want.([]any)
	switch {
	case key == "$not":
		if inner, ok := want.(M); ok {
			return -siftClause(row, inner)
		}
		return unknown
	case (key == "$and" || key == "$or" || key == "$nor") && isList && len(list) > 0:
		all, any := yes, no
		for _, e := range list {
			t := unknown
			if inner, ok := e.(M); ok {
				t = siftClause(row, inner)
			}
			all, any = min(all, t), max(any, t)
		}
		switch key {
		case "$and":
			return all
		case "$or":
			return any
		}
		return -any
	case strings.HasPrefix(key, "$") || strings.Contains(key, "."):
		return unknown
	}
	have, there := row[key]
	operators, ok := want.(M)
	if !ok {
		return siftEqual(have, want)
	}
	out := yes
	for op, operand := range operators {
		out = min(out, siftOperator(have, there, op, operand))
	}
	return out
}

func siftOperator(have any, there bool, op string, operand any) truth {
	switch op {
	case "$eq":
		return siftEqual(have, operand)
	case "$ne":
		return -siftEqual(have, operand)
	case "$in", "$nin":
		list, ok := operand.([]any)
		if !ok {
			return unknown
		}
		in := no
		for _, e := range list {
			in = max(in, siftEqual(have, e))
		}
		if op == "$nin" {
			return -in
		}
		return in
	case "$exists":
		if on, ok := operand.(bool); ok {
			return truthOf(on == there)
		}
	case "$iLike":
		h, w := wire.Text(have), wire.Text(operand)
		if there && (h == "" || w == "") { // not plain text
			return unknown
		}
		h, w = strings.ToLower(h), strings.ToLower(w)
		switch {
		case !there || !strings.Contains(h, strings.TrimSpace(w)):
			return no
		case strings.Contains(h, w):
			return yes
		} // space around it is the server's matter
	case "$gt", "$gte", "$lt", "$lte":
		h, wasNumber := have.(json.Number)
		w, isNumber := operand.(json.Number)
		if wasNumber && isNumber {
			return orderTruth(h, op, w)
		}
	}
	return unknown
}

// siftEqual compares as JavaScript's == does, where both are plain.
func siftEqual(have, want any) truth {
	switch want.(type) {
	case []any, M:
		return unknown
	}
	switch have.(type) {
	case []any, M:
		return unknown // one of the elements may be equal
	}
	if have == nil || want == nil {
		return truthOf(have == nil && want == nil)
	}
	h, isText := have.(string)
	w, wantsText := want.(string)
	_, isBool := have.(bool)
	_, wantsBool := want.(bool)
	switch {
	case isText && wantsText:
		return truthOf(h == w)
	case isBool && wantsBool:
		return truthOf(have == want)
	case isBool || wantsBool:
		return unknown
	}
	a, b := rational(strings.TrimSpace(wire.Text(have))), rational(strings.TrimSpace(wire.Text(want)))
	if a == nil || b == nil {
		return unknown // text that JavaScript may read as a number
	}
	return truthOf(a.Cmp(b) == 0)
}
