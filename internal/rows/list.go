package rows

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Listing is which conversations are listed.
type Listing struct {
	Apps []int64
	// Filter is what the server compares definitions with; nil: nothing.
	Filter M
	// Keep reports whether a conversation is wanted, since a server may ignore the filter. nil:
	// all are.
	Keep func(wire.Definition) bool
}

// Conversations reads a list of conversations, the one with the latest activity first, in one
// request for each app. One whose definition breaks a limit is left out and logged.
func Conversations(ctx context.Context, client *datasource.Client, log *slog.Logger, l Listing) ([]datasource.DataSource, error) {
	seen := map[int64]bool{}
	var out []datasource.DataSource
	for _, app := range l.Apps {
		list, err := client.DataSources(ctx, datasource.SourceFilter{
			AppID: app, Type: wire.TypeConversation, Order: "updatedAt", Direction: datasource.Desc, Definition: l.Filter,
		})
		if err != nil {
			return nil, err
		}
		for _, ds := range list {
			switch {
			case ds.Err != nil:
				log.Warn("a conversation is left out", "conversation", ds.ID, "error", ds.Err)
			case ds.ID <= 0, ds.Type != wire.TypeConversation, seen[ds.ID], l.Keep != nil && !l.Keep(wire.ParseDefinition(ds.Definition)):
			default:
				seen[ds.ID] = true
				out = append(out, ds)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b datasource.DataSource) int {
		return cmp.Or(b.UpdatedAt.Compare(a.UpdatedAt), cmp.Compare(b.ID, a.ID))
	})
	return out, nil
}

// duplicatesWithin is the time between conversations of the same people that are taken for
// duplicates, created at once by several clients.
const duplicatesWithin = time.Minute

// Original is the one of a list of conversations of the same people that is used: the one with
// the latest activity, and of duplicates the one with the lowest id, so that all clients agree.
func Original(list []datasource.DataSource) *datasource.DataSource {
	best := &list[0]
	for i := range list {
		if ds := &list[i]; ds.ID < best.ID && ds.CreatedAt.Sub(best.CreatedAt).Abs() <= duplicatesWithin {
			best = ds
		}
	}
	return best
}
