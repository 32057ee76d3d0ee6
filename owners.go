package chat

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/fliplet/fliplet-chat-go/internal/cache"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// OutboxOwner is a user with messages that wait in an outbox.
type OutboxOwner struct {
	// UserID is the flUserId: log in with M{"flUserId": UserID}.
	UserID string
	// DataSourceID is the contacts data source, Options.DataSourceID.
	DataSourceID int64
	// Host is the host of the API.
	Host string
	// Waiting is how many messages wait, those included that a running process sends.
	Waiting int
}

// OutboxOwners lists the users with messages that wait in the outboxes of a Store, by
// host, contacts and UserID, so that a relay that comes back logs in these and no
// others. It makes no request and claims nothing; other processes may be sending what
// it counts. It lists the keys of the Store and reads no message, unless a user's id
// is longer than 200 characters. On a [storage.Encrypted] Store a listing reads every
// value.
//
// Errors: [ErrInvalid] for a nil Store, and for one that is no [storage.Lister], which
// also matches [errors.ErrUnsupported]; what the Store said.
func OutboxOwners(ctx context.Context, s storage.Store) (_ []OutboxOwner, err error) {
	defer wrap("outbox owners", &err)
	if s == nil {
		return nil, invalid("s: nil; give the Store of Options.Storage")
	}
	lister, ok := s.(storage.Lister)
	if !ok {
		return nil, invalid("s: %T cannot list its keys; implement storage.Lister: %w", s, errors.ErrUnsupported)
	}
	boxes, err := outbox.Keys(ctx, lister, cache.Prefix)
	if err != nil {
		return nil, err
	}
	owners := []OutboxOwner{}
	for box, keys := range boxes {
		at, _, ok := cache.PlaceOf(box)
		if !ok {
			continue // somebody else's
		}
		if at.UserID == "" {
			at.UserID, err = outbox.Sender(ctx, s, keys[0])
			if errors.Is(err, storage.ErrNotFound) {
				continue // sent meanwhile
			}
			if err != nil {
				return nil, err
			}
		}
		owners = append(owners, OutboxOwner{UserID: at.UserID, DataSourceID: at.DataSourceID, Host: at.Host, Waiting: len(keys)})
	}
	slices.SortFunc(owners, func(a, b OutboxOwner) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.DataSourceID, b.DataSourceID), cmp.Compare(a.UserID, b.UserID))
	})
	return owners, nil
}
