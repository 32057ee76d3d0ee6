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
	raw   string
	loose bool
}

// Pack returns l as a Packed.
func (l Login) Pack() Packed {
	raw, err := json.Marshal(l.query)
	if err != nil {
		panic("where: a query that came from JSON: " + err.Error())
	}
	return Packed{string(raw), l.loose}
}

// Key is the same for the same query.
func (p Packed) Key() string {
	if p.loose {
		return "*" + p.raw
	}
	return p.raw
}

// Login returns what was packed.
func (p Packed) Login() Login {
	query, err := unmarshal([]byte(p.raw))
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
