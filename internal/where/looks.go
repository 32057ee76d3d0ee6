package where

import (
	"slices"
	"strings"
)

// LooksAt reports whether a condition, in either of the two languages, looks at the
// text of a column. A check for presence does not count: it works on ciphertext, too,
// since empty values are stored empty.
func LooksAt(clause any, column string) bool {
	switch clause := clause.(type) {
	case map[string]any:
		for key, operand := range clause {
			switch {
			case Names(key, column):
				if !asksForPresence(operand) {
					return true
				}
			case key == "column": // of a $filters condition
				if name, _ := operand.(string); Names(name, column) && clause["condition"] != "empty" && clause["condition"] != "notempty" {
					return true
				}
			case LooksAt(operand, column):
				return true
			}
		}
	case []map[string]any:
		return slices.ContainsFunc(clause, func(m map[string]any) bool { return LooksAt(m, column) })
	case []any:
		return slices.ContainsFunc(clause, func(e any) bool { return LooksAt(e, column) })
	}
	return false
}

// Names reports whether a name is that of a column, with "data." before it as in
// conditions over rows, or without.
func Names(name, column string) bool { return strings.TrimPrefix(name, "data.") == column }

// asksForPresence reports whether a condition on a column is about having a value.
func asksForPresence(operand any) bool {
	switch operand := operand.(type) {
	case nil:
		return true
	case string:
		return operand == ""
	case map[string]any:
		for op, v := range operand {
			switch op {
			case "$exists":
			case "$eq", "$ne", "$not":
				if !asksForPresence(v) {
					return false
				}
			default:
				return false
			}
		}
		return true
	}
	return false
}
