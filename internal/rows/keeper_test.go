package rows

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

func TestAKeeperHoldsTheFirstRowsOfItsOrder(t *testing.T) {
	t.Parallel()
	k := keeper{order: []datasource.Order{{Column: "id"}}, most: 3}
	for _, ids := range [][]int64{{9, 4}, {}, {7, 1, 8}, {2}, {5, 6}} {
		piece := make([]datasource.Entry, len(ids))
		for i, id := range ids {
			piece[i] = datasource.Entry{ID: id, Data: M{"n": id}}
		}
		k.add(piece)
		require.LessOrEqual(t, len(k.rows), 3)
		for _, e := range k.rows[len(k.rows):cap(k.rows)] {
			require.Nil(t, e.Data, "what is left out is not held")
		}
	}
	got := []int64{}
	for _, e := range k.done() {
		got = append(got, e.ID)
	}
	assert.Equal(t, []int64{1, 2, 4}, got)
}

func TestAKeeperOfAllRowsLeavesOutTheContentOfTheLargest(t *testing.T) {
	t.Parallel()
	const small, large = 1 << 10, 64 << 10
	k := keeper{order: []datasource.Order{{Column: "id"}}, room: 1 << 20}
	for i := range int64(40) { // 20 large ones, more than there is room for
		size := small
		if i%2 == 1 {
			size = large
		}
		k.add([]datasource.Entry{{ID: i + 1, DataSourceID: 7, Data: M{"body": fmt.Sprint(i, strings.Repeat("x", size))}}})
		require.LessOrEqual(t, k.weight, k.room)
	}
	whole := 0
	for i, e := range k.done() {
		assert.Equal(t, int64(i+1), e.ID)
		assert.Equal(t, int64(7), e.DataSourceID)
		switch {
		case e.Err == nil:
			whole++
			assert.NotEmpty(t, e.Data)
		case i%2 == 0:
			assert.NoError(t, e.Err, "a small row")
		default:
			assert.ErrorIs(t, e.Err, datasource.ErrRowLimit)
			assert.Nil(t, e.Data)
		}
	}
	assert.Greater(t, whole, 25)
	assert.Less(t, whole, 40)
}
