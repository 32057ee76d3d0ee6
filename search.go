package chat

import (
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// searchable refuses a search that the server cannot do because bodies are stored
// encrypted: it would find nothing, or the wrong rows, without saying so.
func (c *Chat) searchable(o *callOptions) error {
	if !c.opts.EncryptMessages {
		return nil
	}
	if asksForBody(o.where) {
		return invalid("Where: column %q is stored encrypted, so the server cannot search it; fetch the messages and look at Message.Body", wire.Body)
	}
	if slices.ContainsFunc(o.order, func(ord datasource.Order) bool { return isBody(ord.Column) }) {
		return invalid("OrderBy: column %q is stored encrypted, so the server cannot sort by it; fetch the messages and sort by Message.Body", wire.Body)
	}
	return nil
}

// asksForBody reports whether a condition, in either of the two languages, looks at
// the text of bodies. Whether there is a body at all the server can tell: empty
// ones are stored as they are.
func asksForBody(where any) bool {
	switch where := where.(type) {
	case map[string]any:
		for key, operand := range where {
			switch {
			case isBody(key):
				if !asksForPresence(operand) {
					return true
				}
			case key == "column": // of a $filters condition
				if name, _ := operand.(string); isBody(name) && where["condition"] != "empty" && where["condition"] != "notempty" {
					return true
				}
			case asksForBody(operand):
				return true
			}
		}
	case []map[string]any:
		return slices.ContainsFunc(where, func(m map[string]any) bool { return asksForBody(m) })
	case []any:
		return slices.ContainsFunc(where, asksForBody)
	}
	return false
}

func isBody(column string) bool { return strings.TrimPrefix(column, "data.") == wire.Body }

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
