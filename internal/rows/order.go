package rows

import (
	"cmp"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/where"
)

// Arrange sorts rows unless they are sorted already, and reports whether they were.
// Fields of rows are compared exactly. The server's collation of text in columns is
// not known, so there only an order that no collation gives counts as unsorted.
func Arrange(rows []datasource.Entry, order []datasource.Order) (kept bool) {
	for i := 1; i < len(rows); i++ {
		if n, certain := compare(&rows[i-1], &rows[i], order); n > 0 && certain {
			slices.SortStableFunc(rows, func(a, b datasource.Entry) int {
				n, _ := compare(&a, &b, order)
				return n
			})
			return false
		}
	}
	return true
}

// compare compares by several columns. certain: every server gives the same result.
func compare(a, b *datasource.Entry, order []datasource.Order) (n int, certain bool) {
	certain = true
	for _, o := range order {
		var sure bool
		n, sure = compareColumn(a, b, o.Column)
		certain = certain && sure
		if strings.EqualFold(string(o.Direction), string(datasource.Desc)) {
			n = -n
		}
		if n != 0 {
			return n, certain
		}
	}
	return 0, certain
}

func compareColumn(a, b *datasource.Entry, column string) (n int, certain bool) {
	switch column {
	case "id":
		return cmp.Compare(a.ID, b.ID), true
	case "dataSourceId":
		return cmp.Compare(a.DataSourceID, b.DataSourceID), true
	case createdAt:
		return a.CreatedAt.Compare(b.CreatedAt), true
	case updatedAt:
		return a.UpdatedAt.Compare(b.UpdatedAt), true
	case "order":
		switch {
		case a.Order != nil && b.Order != nil:
			return cmp.Compare(*a.Order, *b.Order), true
		case a.Order != nil: // rows without one are last
			return -1, true
		case b.Order != nil:
			return 1, true
		}
		return 0, true
	}
	return where.CompareColumns(where.Column(a.Data, column), where.Column(b.Data, column))
}
