package contender

import (
	"context"
	"errors"
	"strconv"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/fliplet/fliplet-chat-go/bench/fake"
)

const matrixRoom = id.RoomID("!bench:example.org")

// matrix is the sync loop. Where a position is to be kept it is kept in the account data
// on the server, by the store that the library has for bots.
func matrix() Contender {
	return Contender{
		Name: "mautrix", Module: "maunium.net/go/mautrix", Way: "`SyncWithContext`, `DefaultSyncer`, `SendText`; position in `AccountDataStore`", Service: "matrix",
		Start: func(ctx context.Context, s Setup) (func(), error) {
			client, err := mautrix.NewClient(s.URL, "@bob:example.org", "fake")
			if err != nil {
				return nil, err
			}
			if s.Dir != "" {
				client.Store = mautrix.NewAccountDataStore("org.example.bench"+strconv.Itoa(s.Account), client)
			}
			syncer := mautrix.NewDefaultSyncer()
			for _, h := range s.Handlers {
				syncer.OnEventType(event.EventMessage, func(_ context.Context, e *event.Event) {
					h(fake.Seq(e.Content.AsMessage().Body))
				})
			}
			client.Syncer = syncer
			ctx, l := newLoop(ctx)
			l.wg.Go(func() { _ = client.SyncWithContext(ctx) })
			return l.stop, nil
		},
		Send: func(ctx context.Context, at fake.Where) (func(string) error, error) {
			client, err := mautrix.NewClient(at.URL, "@bob:example.org", "fake")
			if err != nil {
				return nil, err
			}
			return func(text string) error {
				r, err := client.SendText(ctx, matrixRoom, text)
				if err == nil && r.EventID == "" {
					err = errors.New("sent, without an id")
				}
				return err
			}, nil
		},
	}
}
