package where

import (
	"encoding/json"
	"slices"
)

// contains is PostgreSQL's have @> want on decoded JSON.
func contains(have, want any, root bool) bool {
	switch want := want.(type) {
	case M:
		m, ok := have.(M)
		for key, w := range want {
			v, there := m[key]
			if !there || !contains(v, w, false) {
				return false
			}
		}
		return ok
	case []any:
		list, ok := elements(have)
		if !ok {
			return false
		}
		for _, w := range want {
			if !slices.ContainsFunc(list, func(e any) bool { return contains(e, w, false) }) {
				return false
			}
		}
		return true
	}
	if list, ok := elements(have); ok && root {
		return slices.ContainsFunc(list, func(e any) bool { return contains(e, want, false) })
	}
	switch want := want.(type) {
	case json.Number:
		h, ok := have.(json.Number)
		if !ok {
			return false
		}
		a, b := rational(h.String()), rational(want.String())
		if a == nil || b == nil {
			return h == want
		}
		return a.Cmp(b) == 0
	case string:
		h, ok := have.(string)
		return ok && h == want
	case bool:
		h, ok := have.(bool)
		return ok && h == want
	}
	return have == nil && want == nil
}

func elements(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case []string:
		out := make([]any, len(v))
		for i, s := range v {
			out[i] = s
		}
		return out, true
	}
	return nil, false
}
