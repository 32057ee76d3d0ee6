package where

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	// mostColumns and longestColumn bound the names of columns in a text.
	mostColumns   = 40
	longestColumn = 60
)

// Misspelt names a column of the query that is not among those that exist, and lists
// these. It is "" if there is none, or if it is not known which exist.
func (l Login) Misspelt(columns []string) string {
	for _, name := range l.Columns() {
		if len(columns) > 0 && !slices.Contains(columns, name) {
			return fmt.Sprintf("the column %s; there are %s", quoted(name), list(columns))
		}
	}
	return ""
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
