package where

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

const (
	// mostColumns and longestColumn bound the names of columns in a text.
	mostColumns   = 40
	longestColumn = 60
)

// Unknown are the columns that the query names and that do not exist, in order. A name
// with dots may be a path into a column. Those that only this SDK writes are never
// unknown: they come with the first login.
func (l Login) Unknown(exist map[string]bool) []string {
	return slices.DeleteFunc(l.Columns(), func(name string) bool {
		first, _, _ := strings.Cut(name, ".")
		return exist[name] || exist[first] || name == wire.UserID || name == wire.UserToken
	})
}

// Misspelt names a column that does not exist, and lists those that do.
func Misspelt(name string, exist []string) string {
	if len(exist) == 0 {
		return fmt.Sprintf("the column %s, nor any other", quoted(name))
	}
	return fmt.Sprintf("the column %s; there are %s", quoted(name), list(exist))
}

// Columns are the columns that the query names, in order.
func (l Login) Columns() []string {
	names := map[string]bool{}
	columnsIn(l.query, names)
	return slices.Sorted(maps.Keys(names))
}

func columnsIn(query M, names map[string]bool) {
	for key, want := range query {
		if !strings.HasPrefix(key, "$") {
			names[key] = true
			continue
		}
		if clause, ok := want.(M); ok { // $not
			columnsIn(clause, names)
		}
		list, _ := want.([]any)
		for _, e := range list {
			clause, _ := e.(M)
			if column, ok := clause["column"].(string); ok && key == "$filters" {
				names[column] = true
			} else {
				columnsIn(clause, names)
			}
		}
	}
}

func list(names []string) string {
	var out []string
	for i, name := range names {
		if i == mostColumns {
			out = append(out, fmt.Sprintf("%d more", len(names)-i))
			break
		}
		out = append(out, quoted(name))
	}
	return strings.Join(out, ", ")
}

// quoted is a name as text that does nothing when it is printed.
func quoted(name string) string {
	if len(name) > longestColumn {
		name = strings.ToValidUTF8(name[:longestColumn], "") + "…"
	}
	return strconv.Quote(name)
}
