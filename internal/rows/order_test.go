package rows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

func TestArrange(t *testing.T) {
	t.Parallel()
	at := time.Unix(0, 0)
	row := func(id int64, created int, name any) datasource.Entry {
		return datasource.Entry{ID: id, CreatedAt: at.Add(time.Duration(created)), Data: datasource.M{"Name": name}}
	}
	for name, c := range map[string]struct {
		rows  []datasource.Entry
		order []datasource.Order
		kept  bool
		want  []int64
	}{
		"none asked for":           {[]datasource.Entry{row(2, 0, "a"), row(1, 0, "b")}, nil, true, []int64{2, 1}},
		"one row":                  {[]datasource.Entry{row(2, 0, "a")}, []datasource.Order{{Column: "id"}}, true, []int64{2}},
		"a field":                  {[]datasource.Entry{row(2, 0, "a"), row(1, 0, "b")}, []datasource.Order{{Column: "id"}}, false, []int64{1, 2}},
		"descending, in any case":  {[]datasource.Entry{row(1, 0, "a"), row(2, 0, "b")}, []datasource.Order{{Column: "id", Direction: "desc"}}, false, []int64{2, 1}},
		"a tie stays as it is":     {[]datasource.Entry{row(2, 5, "a"), row(1, 5, "b"), row(3, 4, "c")}, []datasource.Order{{Column: "createdAt"}}, false, []int64{3, 2, 1}},
		"a tie and a field":        {[]datasource.Entry{row(2, 5, "a"), row(1, 5, "b")}, []datasource.Order{{Column: "createdAt"}, {Column: "id"}}, false, []int64{1, 2}},
		"a tie and a column":       {[]datasource.Entry{row(2, 5, "a"), row(1, 5, "b")}, []datasource.Order{{Column: "createdAt"}, {Column: "data.Name", Direction: "DESC"}}, false, []int64{1, 2}},
		"another collation":        {[]datasource.Entry{row(1, 0, "apple"), row(2, 0, "Banana"), row(3, 0, "été"), row(4, 0, "zoo")}, []datasource.Order{{Column: "data.Name"}}, true, []int64{1, 2, 3, 4}},
		"a tie behind a collation": {[]datasource.Entry{row(2, 0, "a"), row(1, 0, "A")}, []datasource.Order{{Column: "data.Name"}, {Column: "id"}}, true, []int64{2, 1}},
		"mixed case":               {[]datasource.Entry{row(1, 0, "B"), row(2, 0, "a"), row(3, 0, "A"), row(4, 0, "b")}, []datasource.Order{{Column: "data.Name"}}, false, []int64{3, 1, 2, 4}},
		"accents":                  {[]datasource.Entry{row(1, 0, "bob"), row(2, 0, "Émile"), row(3, 0, "anna"), row(4, 0, "Zoe")}, []datasource.Order{{Column: "data.Name"}}, false, []int64{4, 3, 1, 2}},
		"no collation does this":   {[]datasource.Entry{row(1, 0, "b"), row(2, 0, "a"), row(3, 0, nil), row(4, 0, 7)}, []datasource.Order{{Column: "data.Name"}}, false, []int64{4, 2, 1, 3}},
	} {
		assert.Equal(t, c.kept, rows.Arrange(c.rows, c.order), name)
		got := []int64{}
		for _, e := range c.rows {
			got = append(got, e.ID)
		}
		assert.Equal(t, c.want, got, name)
	}
	// Rows without an order of their own are last.
	first := int64(3)
	list := []datasource.Entry{{ID: 1}, {ID: 2, Order: &first}}
	assert.False(t, rows.Arrange(list, []datasource.Order{{Column: "order"}}))
	assert.EqualValues(t, 2, list[0].ID)
}

func TestAnOrderIsCompletedByTheID(t *testing.T) {
	t.Parallel()
	assert.Empty(t, rows.Total(nil))
	order := []datasource.Order{{Column: "data.Name", Direction: datasource.Desc}}
	assert.Equal(t, []datasource.Order{{Column: "data.Name", Direction: datasource.Desc}, {Column: "id", Direction: datasource.Asc}}, rows.Total(order))
	assert.Len(t, order, 1, "the caller's stays as it is")
	byID := []datasource.Order{{Column: "id", Direction: datasource.Desc}}
	assert.Equal(t, byID, rows.Total(byID))
}
