package rows

import (
	"context"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Name stores the flUserIds of contacts that have none, and sets them in their rows. It
// makes one request for all of them.
func Name(ctx context.Context, client *datasource.Client, id int64, contacts []*datasource.Entry, derive func(*datasource.Entry) string) error {
	switch len(contacts) {
	case 0:
		return nil
	case 1: // the answer has what another client may have stored meanwhile
		row := contacts[0]
		stored, err := client.Update(ctx, id, row.ID, datasource.M{wire.UserID: derive(row)})
		if err != nil {
			return err
		}
		if wire.Text(stored.Data[wire.UserID]) == "" {
			return fmt.Errorf("contact %d has no flUserId, and the server did not store one", row.ID)
		}
		*row = *stored
		return nil
	}
	entries := make([]datasource.CommitEntry, len(contacts))
	for i, row := range contacts {
		entries[i] = datasource.CommitEntry{ID: row.ID, Data: datasource.M{wire.UserID: derive(row)}}
	}
	_, err := client.Commit(ctx, id, datasource.Commit{Entries: entries})
	for i, row := range contacts {
		if row.Data == nil {
			row.Data = datasource.M{}
		}
		row.Data[wire.UserID] = entries[i].Data[wire.UserID]
	}
	return err
}
