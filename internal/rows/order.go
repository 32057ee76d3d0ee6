package rows

import (
	"cmp"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/where"
)

// Total completes an order: rows that are equal in it are in the order of their ids.
// No order stays none.
func Total(order []datasource.Order) []datasource.Order {
	if len(order) == 0 || slices.ContainsFunc(order, func(o datasource.Order) bool { return o.Column == "id" }) {
		return order
	}
	return append(slices.Clip(order), datasource.Order{Column: "id", Direction: datasource.Asc})
}

// Arrange sorts rows unless they are sorted already, and reports whether they were.
// Fields of rows are compared exactly. How the server collates text in columns is not
// known, so any of the usual collations counts as sorted.
func Arrange(rows []datasource.Entry, order []datasource.Order) (kept bool) {
	for _, collation := range [...]where.Collation{where.ByBytes, where.ByLetters} {
		if slices.IsSortedFunc(rows, func(a, b datasource.Entry) int { return compare(&a, &b, order, collation) }) {
			return true
		}
	}
	slices.SortStableFunc(rows, func(a, b datasource.Entry) int { return compare(&a, &b, order, where.ByBytes) })
	return false
}

// compare compares by several columns.
func compare(a, b *datasource.Entry, order []datasource.Order, collation where.Collation) int {
	for _, o := range order {
		n, same := compareColumn(a, b, o.Column, collation)
		if strings.EqualFold(string(o.Direction), string(datasource.Desc)) {
			n = -n
		}
		if n != 0 || !same { // what is equal here may not be for the server
			return n
		}
	}
	return 0
}

func compareColumn(a, b *datasource.Entry, column string, collation where.Collation) (n int, same bool) {
	if field := fieldOf(column); field != nil {
		n = field(a, b)
		return n, n == 0
	}
	return where.CompareColumns(where.Column(a.Data, column), where.Column(b.Data, column), collation)
}

// fieldOf compares rows by a field of theirs. It is nil for columns.
func fieldOf(column string) func(a, b *datasource.Entry) int {
	switch column {
	case "id":
		return func(a, b *datasource.Entry) int { return cmp.Compare(a.ID, b.ID) }
	case "dataSourceId":
		return func(a, b *datasource.Entry) int { return cmp.Compare(a.DataSourceID, b.DataSourceID) }
	case createdAt:
		return func(a, b *datasource.Entry) int { return a.CreatedAt.Compare(b.CreatedAt) }
	case updatedAt:
		return func(a, b *datasource.Entry) int { return a.UpdatedAt.Compare(b.UpdatedAt) }
	case "order":
		return compareOrders
	}
	return nil
}

// compareOrders compares the order column. Rows without one are last.
func compareOrders(a, b *datasource.Entry) int {
	switch {
	case a.Order != nil && b.Order != nil:
		return cmp.Compare(*a.Order, *b.Order)
	case a.Order != nil:
		return -1
	case b.Order != nil:
		return 1
	}
	return 0
}
