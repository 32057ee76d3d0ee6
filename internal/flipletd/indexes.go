package flipletd

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// columnIndexes serves the distinct values of columns, as text: the path names
// them with commas between, dots go into values.
func (c *call) columnIndexes() error {
	columns := strings.Split(c.args[1], ",")
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	s, m, err := c.source(c.asOf)
	if err != nil {
		return err
	}
	grant, err := c.allow(m, access{verb: verbSelect})
	if err != nil {
		return err
	}
	view := grant.view(nil)
	indexes := make(map[string]any, len(columns))
	for _, column := range columns {
		if m.columns != nil && !declares(m.columnSet, column) {
			return badRequest("The data source has no column %q.", column)
		}
		if view != nil && !view.shows(column) {
			return badRequest("The column %q is not available.", column)
		}
		values := make(map[string]bool)
		missing := false
		c.st.each(s, c.asOf, func(v *version) bool {
			if !v.live() {
				return true
			}
			if value, _ := lookup(v.data(), column); value == nil {
				missing = true
			} else {
				values[plainText(value)] = true
			}
			return true
		})
		list := make([]any, 0, len(values)+1)
		for _, value := range slices.Sorted(maps.Keys(values)) {
			list = append(list, value)
		}
		if missing {
			list = append(list, nil)
		}
		indexes[column] = list
	}
	return c.value(http.StatusOK, map[string]any{"indexes": indexes})
}
