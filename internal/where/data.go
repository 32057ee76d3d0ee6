package where

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// compileData reads the operand of data: containment, or paths into it.
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
			parts = append(parts, func(r *Row) truth { return truthOf(contains(r.Data, want, true)) })
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

// compilePath reads a condition on one path in the data. An object without operators
// extends the path.
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
		read: func(r *Row) value { return text(at(r.Data, path)) },
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
	return wire.Text(v)
}
