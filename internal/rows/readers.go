package rows

import (
	"cmp"
	"context"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Crowd makes the requests that many users share, with a token that may read and write their
// conversations.
type Crowd struct {
	Client *datasource.Client
	Apps   []int64
}

// Readers reads who has read those rows of a conversation that are there. Its requests are of
// the class of marks.
func (c *Crowd) Readers(ctx context.Context, conversation int64, ids []int64) (map[int64][]string, error) {
	q := datasource.Query{Type: "select", ID: M{"$in": ids}}
	found, err := Readable(datasource.InClass(ctx, datasource.ClassMark), c.Client, conversation, q)
	if err != nil {
		return nil, err
	}
	readers := map[int64][]string{}
	for i := range found {
		r := &found[i]
		if slices.Contains(ids, r.ID) && !wire.Deleted(r.DeletedAt, r.Data) && (r.DataSourceID == 0 || r.DataSourceID == conversation) {
			readers[r.ID] = wire.Strings(r.Data[wire.ReadBy])
		}
	}
	return readers, nil
}

// SetReaders replaces who has read rows of a conversation, in one request.
func (c *Crowd) SetReaders(ctx context.Context, conversation int64, readers map[int64][]string) error {
	var entries []datasource.CommitEntry
	for id, list := range readers {
		entries = append(entries, datasource.CommitEntry{ID: id, Data: M{wire.ReadBy: list}})
	}
	slices.SortFunc(entries, func(a, b datasource.CommitEntry) int { return cmp.Compare(a.ID, b.ID) })
	_, err := c.Client.Commit(datasource.InClass(ctx, datasource.ClassMark), conversation, datasource.Commit{Entries: entries})
	return err
}
