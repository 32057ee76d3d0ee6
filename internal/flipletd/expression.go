package flipletd

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// evaluate computes an expression: "$path", an operator, an object or array of
// expressions, or a constant.
func evaluate(doc map[string]any, e any) (any, bool) {
	switch e := e.(type) {
	case string:
		if path, ok := strings.CutPrefix(e, "$"); ok {
			return lookup(doc, strings.TrimPrefix(path, "$ROOT."))
		}
		return e, true
	case map[string]any:
		if v, ok := e["$literal"]; ok {
			return v, true
		}
		if operand, ok := e["$convertToNumber"]; ok {
			v, _ := evaluate(doc, operand)
			if f, ok := toNumber(v); ok {
				return f, true
			}
			return nil, true
		}
		out := make(map[string]any, len(e))
		for k, x := range e {
			if v, ok := evaluate(doc, x); ok {
				out[k] = v
			}
		}
		return out, true
	case []any:
		out := make([]any, len(e))
		for i, x := range e {
			out[i], _ = evaluate(doc, x)
		}
		return out, true
	}
	return e, true
}

// number is the value of a number, not of text that looks like one.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case int:
		return float64(v), true
	}
	return 0, false
}

// toNumber converts text too.
func toNumber(v any) (float64, bool) {
	if s, ok := v.(string); ok {
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
	}
	return number(v)
}

func checkExpressions(fields map[string]any) error {
	for _, e := range inOrder(fields) {
		if err := checkExpression(e); err != nil {
			return err
		}
	}
	return nil
}

func checkExpression(e any) error {
	m, ok := e.(map[string]any)
	if !ok {
		return nil
	}
	for k, v := range inOrder(m) {
		switch {
		case k == "$literal":
		case strings.HasPrefix(k, "$") && k != "$convertToNumber":
			return badRequest("Unknown aggregation operator %q.", k)
		default:
			if err := checkExpression(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareValues orders numbers, then texts, then everything else.
func compareValues(a, b any) int { return valueKey(a).compare(valueKey(b)) }

func valueKey(v any) sortKey {
	if f, ok := number(v); ok {
		return sortKey{number: f}
	}
	if v == nil {
		return sortKey{rank: -1}
	}
	return sortKey{rank: 1, text: plainText(v)}
}
