package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fliplet/fliplet-chat-go/internal/cache"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
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

// Queue is [App.Send] through the outbox: it returns when the message is in Options.Storage, so
// that this process sends it, or one that calls [App.Resume] later. See [Outbox.Add].
//
// Errors: [ErrInvalid], also without Options.Outbox, before any request; those of [Chat.Login]
// and [Outbox.Add].
func (a *App) Queue(ctx context.Context, as M, conversationID int64, d Draft) (guid string, err error) {
	defer wrap("queue", &err)
	if err := a.watch.needsOutbox(); err != nil {
		return "", err
	}
	err = a.actingAs(ctx, as, conversationID, &d, func(c *Chat) (err error) {
		guid, err = c.Outbox().Add(ctx, conversationID, d)
		return err
	})
	return guid, err
}

// Resume logs in the people for whom messages wait in Options.Storage, see [OutboxOwners], and so
// lets them be sent; it returns how many these are. Who cannot be logged in holds up nobody else:
// the error names them all, and their messages wait for the next Resume. It takes a login each.
//
// Errors: [ErrInvalid] without Options.Outbox; those of [OutboxOwners] and [Chat.Login].
func (a *App) Resume(ctx context.Context) (people int, err error) {
	defer wrap("resume", &err)
	if err := a.watch.needsOutbox(); err != nil {
		return 0, err
	}
	owners, err := OutboxOwners(ctx, a.watch.cache.Store())
	var failed []error
	for _, o := range owners {
		if o.Host != cache.Host(a.watch.client.BaseURL()) || o.DataSourceID != a.opts.DataSourceID {
			continue // of another app, over the same Storage
		}
		if err := a.as(ctx, M{wire.UserID: o.UserID}, func(*Chat) error { return nil }); err != nil {
			failed = append(failed, fmt.Errorf("%d messages of %q wait: %w", o.Waiting, o.UserID, err))
			continue
		}
		people++
	}
	return people, errors.Join(append(failed, err)...)
}

// Flush waits until the outboxes of all people whom the App has logged in are empty.
//
// Errors: those of [Outbox.Flush].
func (a *App) Flush(ctx context.Context) (err error) {
	defer wrap("flush", &err)
	if err := a.watch.needsOutbox(); err != nil {
		return err
	}
	for _, c := range a.users.All() {
		if err := c.Outbox().Flush(ctx); err != nil {
			return err
		}
	}
	return nil
}
