package rows

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/where"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// keeper collects rows that come in pieces, and holds no more of them than are wanted.
type keeper struct {
	order []datasource.Order
	most  int // how many, the first ones in the order; 0: all
	room  int // about how many bytes all may have; what does not fit is left without its content
	rows  []datasource.Entry

	weight int
}

// errTogether is the error of a row that would have been read without the others.
var errTogether = fmt.Errorf("%w: all rows have more than %d MiB together", datasource.ErrRowLimit, maxAll>>20)

func (k *keeper) add(rows []datasource.Entry) {
	k.rows = append(k.rows, rows...)
	if k.most > 0 {
		if len(k.rows) > k.most {
			slices.SortStableFunc(k.rows, func(a, b datasource.Entry) int { return compare(&a, &b, k.order, where.ByBytes) })
			clear(k.rows[k.most:])
			k.rows = k.rows[:k.most]
		}
		return
	}
	for i := range rows {
		k.weight += rowWeight(&rows[i])
	}
	if k.weight > k.room {
		k.shed()
	}
}

// shed leaves out the content of the largest rows, of equal ones that of the last, until
// half of the room is free.
func (k *keeper) shed() {
	weights, largest := make([]int, len(k.rows)), make([]int, len(k.rows))
	for i := range k.rows {
		weights[i], largest[i] = rowWeight(&k.rows[i]), i
	}
	slices.SortFunc(largest, func(a, b int) int { return cmp.Or(cmp.Compare(weights[b], weights[a]), cmp.Compare(b, a)) })
	for _, i := range largest {
		if k.weight <= k.room/2 {
			return
		}
		e := &k.rows[i]
		*e = datasource.Entry{
			ID: e.ID, DataSourceID: e.DataSourceID, CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt, DeletedAt: e.DeletedAt,
			Err: cmp.Or(e.Err, errTogether),
		}
		k.weight -= weights[i]
	}
}

// done returns the rows in the order.
func (k *keeper) done() []datasource.Entry {
	Arrange(k.rows, k.order)
	return k.rows
}

// rowWeight estimates the memory of the content of a row.
func rowWeight(e *datasource.Entry) int { return wire.Weigh(e.Data) + wire.Weigh(e.Extra) }
