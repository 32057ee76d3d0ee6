package where

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Login is a checked login query: a condition over the columns of contacts. What a
// server answers to it is checked with the same condition, so that a server that
// ignores the condition, or understands another one, logs nobody in.
type Login struct {
	query M
	loose bool // operators that cannot be evaluated here are the server's to decide
}

// ParseLogin reads a login query. Unless anyOperator is set it consists of columns that
// equal a value ($eq or the value itself) or match one as a whole ($iLike), joined by
// $and and $or. Operands that are null, blank or empty are refused: they are settings
// that are missing, and match whoever lacks the column.
//
// The error names the column or operator, and what to give instead.
func ParseLogin(query M, anyOperator bool) (Login, error) {
	plain, err := decoded(query)
	if err != nil {
		return Login{}, err
	}
	if inner, ok := plain["where"].(M); ok && len(plain) == 1 {
		plain = inner
	}
	if len(plain) == 0 {
		return Login{}, errors.New(`empty; say which contact, for instance M{"Email": "jo@example.org"}`)
	}
	if err := checkPresent("", plain); err != nil {
		return Login{}, err
	}
	if !anyOperator {
		if err := checkStrict(plain); err != nil {
			return Login{}, err
		}
	}
	return Login{query: plain, loose: anyOperator}, nil
}

// decoded is a query as the server gets it.
func decoded(query M) (M, error) {
	raw, err := json.Marshal(query)
	if err != nil {
		return nil, errors.New("cannot be written as JSON; give text, numbers and booleans")
	}
	return unmarshal(raw)
}

func unmarshal(raw []byte) (out M, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	err = dec.Decode(&out)
	return out, err
}

// checkPresent refuses operands that say nothing, at any depth.
func checkPresent(at string, v any) error {
	switch v := v.(type) {
	case nil:
		return nothing(at, "nil")
	case string:
		if strings.TrimSpace(v) == "" {
			return nothing(at, "blank")
		}
	case M:
		if len(v) == 0 {
			return nothing(at, "an empty object")
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := checkPresent(strings.TrimPrefix(at+"."+key, "."), v[key]); err != nil {
				return err
			}
		}
	case []any:
		if len(v) == 0 {
			return nothing(at, "an empty list")
		}
		for i, e := range v {
			if err := checkPresent(fmt.Sprintf("%s[%d]", at, i), e); err != nil {
				return err
			}
		}
	}
	return nil
}

func nothing(at, what string) error {
	return fmt.Errorf("%q is %s; give a value (is a setting missing?)", at, what)
}

// checkStrict refuses what cannot be evaluated here.
func checkStrict(query M) error {
	for _, key := range slices.Sorted(maps.Keys(query)) {
		want := query[key]
		switch {
		case key == "$and" || key == "$or":
			list, ok := want.([]any)
			if !ok {
				return fmt.Errorf("%q: want a list of conditions", key)
			}
			for i, e := range list {
				clause, ok := e.(M)
				if !ok {
					return fmt.Errorf("%s[%d]: want a condition, such as M{\"Email\": \"jo@example.org\"}", key, i)
				}
				if err := checkStrict(clause); err != nil {
					return err
				}
			}
		case strings.HasPrefix(key, "$"):
			return operatorRefused(key)
		default:
			if err := checkColumn(key, want); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkColumn(name string, want any) error {
	if strings.TrimSpace(name) == "" {
		return errors.New("a column without a name")
	}
	operators, ok := want.(M)
	if !ok {
		return checkScalar(name, want)
	}
	for _, op := range slices.Sorted(maps.Keys(operators)) {
		if !strings.HasPrefix(op, "$") {
			return fmt.Errorf("column %q: want text, a number or a boolean, not an object", name)
		}
		if op != "$eq" && op != "$iLike" {
			return fmt.Errorf("column %q: %w", name, operatorRefused(op))
		}
		if err := checkScalar(name, operators[op]); err != nil {
			return err
		}
	}
	return nil
}

func checkScalar(name string, want any) error {
	if wire.Text(want) == "" {
		return fmt.Errorf("column %q: want text, a number or a boolean", name)
	}
	return nil
}

func operatorRefused(op string) error {
	return fmt.Errorf("%q can match another contact than the one you mean; use $eq or $iLike, or pass the option AnyOperator", op)
}

// Packed is a Login in little memory, for the time in which nobody needs it.
type Packed struct {
	raw   []byte
	loose bool
}

// Pack returns l as a Packed.
func (l Login) Pack() Packed {
	raw, err := json.Marshal(l.query)
	if err != nil {
		panic("where: a query that came from JSON: " + err.Error())
	}
	return Packed{raw, l.loose}
}

// Login returns what was packed.
func (p Packed) Login() Login {
	query, err := unmarshal(p.raw)
	if err != nil {
		panic("where: a query that became JSON: " + err.Error())
	}
	return Login{query, p.loose}
}

// Where is the condition for the server. The caller may change it.
func (l Login) Where() M { return wire.CloneMap(l.query) }

// Column is the value that the query asks a column to equal, nil if it does not.
func (l Login) Column(name string) any { return l.query[name] }

// Without is the query without the condition on a column.
func (l Login) Without(name string) Login {
	l.query = maps.Clone(l.query)
	delete(l.query, name)
	return l
}

// Satisfied reports whether a contact's columns certainly match the query. It is false
// for a query that only the server can evaluate, so that no condition is skipped. An
// empty query, which Without may leave, is satisfied.
func (l Login) Satisfied(row M) bool { return clauseTruth(row, l.query) == yes }

// Choose returns the rows that may be logged in: those that certainly match first, then,
// with operators that only the server can evaluate, those that do not contradict the
// query.
func Choose[T any](l Login, columns func(T) M, rows ...T) []T {
	var certain, possible []T
	for _, row := range rows {
		switch t := clauseTruth(columns(row), l.query); {
		case t == yes:
			certain = append(certain, row)
		case t == unknown && l.loose:
			possible = append(possible, row)
		}
	}
	return append(certain, possible...)
}

// Stored is a row after a patch: what the server answered to it, on top of what was
// found. It reports false for one that may not be logged in. The patched columns count
// there as they were found: the query may ask for a contact without them.
func (l Login) Stored(found, patch, answered M) (row M, ok bool) {
	row = M{}
	for _, layer := range []M{found, patch, answered} {
		maps.Copy(row, layer)
	}
	before := maps.Clone(row)
	for column := range patch {
		delete(before, column)
		if old, ok := found[column]; ok {
			before[column] = old
		}
	}
	return row, len(Choose(l, func(m M) M { return m }, before)) > 0
}

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
			return columnTruth(absent{}, want)
		}
	}
	return columnTruth(row[key], want)
}

// absent is the value of a column that a row does not have.
type absent struct{}

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
	if ok && f["condition"] == "==" && !same(row[column], f["value"]) {
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
			return unknown
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
	case isList || isObject:
		return unknown
	}
	switch op {
	case "$eq":
		return truthOf(equal(have, operand))
	case "$ne":
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
