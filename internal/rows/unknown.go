package rows

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/where"
)

// sampled is how many rows are read to learn which columns there are.
const sampled = 100

// Unknown says why a login query found nobody, if that is a mistake in the query or an
// empty data source: as a text that goes on "nobody was found: ", or "". A column is
// unknown when no row has it and the data source does not declare it. It makes one
// request when the newest rows have all columns of the query, another one for those that
// are declared, and one for each column that only older rows may have. It is "" as well
// when they fail.
func Unknown(ctx context.Context, client *datasource.Client, id int64, login where.Login) string {
	rows, err := client.Find(ctx, id, datasource.Query{Type: "select", Limit: sampled})
	if err != nil {
		return ""
	}
	if len(rows) == 0 {
		return fmt.Sprintf("data source %d is empty", id)
	}
	all := len(rows) < sampled // columns of all rows are in have
	have := map[string]bool{}
	for i := range rows {
		all = all && rows[i].Err == nil
		for name := range rows[i].Data {
			have[name] = true
		}
	}
	if len(login.Unknown(have)) == 0 {
		return ""
	}
	ds, err := client.DataSource(ctx, id)
	if err != nil {
		return ""
	}
	names := slices.Clone(ds.Columns)
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range ds.Columns {
		have[name] = true
	}
	for _, name := range login.Unknown(have) {
		if !all {
			older, err := client.Find(ctx, id, datasource.Query{Type: "select", Where: datasource.M{name: datasource.M{"$exists": true}}, Limit: 1})
			if err != nil {
				return ""
			}
			if len(older) > 0 {
				continue
			}
		}
		return fmt.Sprintf("no row of data source %d has %s", id, where.Misspelt(name, names))
	}
	return ""
}
