package where

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// M is a JSON object.
type M = wire.M

// Rows is a compiled condition over rows. It covers the part of the cross-source
// query's language, Sequelize's, that needs no server. It decides as SQL does, with
// three truth values.
type Rows struct {
	match condition
	// Bounds are conditions on id, createdAt and updatedAt that every match fulfils, in
	// the form that the query of one data source accepts beside its where.
	Bounds map[string]any
}

// Row is the input of a condition. Zero times count as NULL.
type Row struct {
	ID, DataSourceID     int64
	Order                *int64
	CreatedAt, UpdatedAt time.Time
	DeletedAt            *time.Time
	Data                 map[string]any
}

// truth is SQL's: AND is the minimum, OR the maximum, NOT the opposite.
type truth int8

const (
	no      truth = -1
	unknown truth = 0
	yes     truth = 1
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// condition is nil for an empty clause, which is left out.
type condition func(*Row) truth

// CompileRows compiles a condition. The error names the part that cannot be evaluated
// here; the server may be able to.
func CompileRows(where any) (*Rows, error) {
	raw, err := json.Marshal(where)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var plain any
	if err := dec.Decode(&plain); err != nil {
		return nil, err
	}
	clause, ok := plain.(M)
	if !ok && plain != nil {
		return nil, errors.New("want an object of conditions")
	}
	match, err := compileClause(clause)
	if err != nil {
		return nil, err
	}
	return &Rows{match: match, Bounds: bounds(clause)}, nil
}

// Match reports whether a row fulfils the condition.
func (w *Rows) Match(r *Row) bool { return w.match == nil || w.match(r) == yes }

// bounds are the comparisons at the root that the query of one data source accepts.
func bounds(clause M) map[string]any {
	out := map[string]any{}
	for _, column := range []string{"id", "createdAt", "updatedAt"} {
		switch v := clause[column].(type) {
		case nil, []any:
		case M:
			plain := len(v) > 0
			for op := range v {
				plain = plain && slices.Contains([]string{"$eq", "$gt", "$gte", "$lt", "$lte"}, op)
			}
			if plain {
				out[column] = v
			}
		default:
			out[column] = v
		}
	}
	return out
}

func compileClause(clause M) (condition, error) {
	var parts []condition
	for _, key := range slices.Sorted(maps.Keys(clause)) {
		part, err := compileEntry(key, clause[key])
		if err != nil {
			return nil, err
		}
		if part != nil {
			parts = append(parts, part)
		}
	}
	return all(parts), nil
}

func compileEntry(key string, v any) (condition, error) {
	switch key {
	case "$and":
		parts, err := compileList(key, v)
		return all(parts), err
	case "$or":
		parts, err := compileList(key, v)
		return anyOf(parts), err
	case "$not":
		// A list under $not is joined with AND, as under $and.
		parts, err := compileList(key, v)
		if err != nil {
			return nil, err
		}
		inner := all(parts)
		if inner == nil {
			return func(*Row) truth { return no }, nil
		}
		return func(r *Row) truth { return -inner(r) }, nil
	case "data":
		return compileData(v)
	}
	if path, ok := strings.CutPrefix(key, "data."); ok {
		return compilePath(strings.Split(path, "."), v)
	}
	if strings.HasPrefix(key, "$") {
		return nil, unsupported(key)
	}
	column, ok := columns[key]
	if !ok {
		return nil, fmt.Errorf("%q is no field of rows; columns are under data", key)
	}
	return compileColumn(key, column, v)
}

func unsupported(what string) error {
	return fmt.Errorf("%s cannot be evaluated here", what)
}

// compileList reads the clauses under a group; a single object counts as a list.
func compileList(key string, v any) ([]condition, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var parts []condition
	for _, e := range list {
		clause, ok := e.(M)
		if !ok {
			return nil, fmt.Errorf("%s: want objects of conditions", key)
		}
		part, err := compileClause(clause)
		if err != nil {
			return nil, err
		}
		if part != nil {
			parts = append(parts, part)
		}
	}
	return parts, nil
}

// all is AND, nil without parts.
func all(parts []condition) condition {
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return parts[0]
	}
	return func(r *Row) truth {
		t := yes
		for _, p := range parts {
			t = min(t, p(r))
		}
		return t
	}
}

// anyOf is OR, false without parts.
func anyOf(parts []condition) condition {
	return func(r *Row) truth {
		t := no
		for _, p := range parts {
			t = max(t, p(r))
		}
		return t
	}
}
