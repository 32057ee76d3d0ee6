package main

import (
	"context"

	"github.com/google/uuid"

	chat "github.com/fliplet/fliplet-chat-go"
)

// relay sends messages for many users over one client and one store, whose limit and
// connections they share. A user is logged in when the first message comes.
type relay struct{ app *chat.App }

// newRelay takes the options of every user; the Storage is what survives.
func newRelay(ctx context.Context, opts chat.Options) (*relay, error) {
	if opts.Outbox == nil {
		opts.Outbox = &chat.OutboxOptions{}
	}
	app, err := chat.OpenApp(ctx, chat.AppOptions{Options: opts})
	return &relay{app}, err
}

// send accepts a message. When it returns nil the message is in the store, and will be
// sent, by this process or the next one. key identifies the request: a repeated one
// with the same key sends nothing again, also when the first was sent long ago.
func (r *relay) send(ctx context.Context, userID string, conversationID int64, key, text string) error {
	_, err := r.app.Queue(ctx, chat.M{"flUserId": userID}, conversationID, chat.Draft{
		Body: text, GUID: uuid.NewSHA1(uuid.NameSpaceOID, []byte(userID+"/"+key)).String(),
	})
	return err
}

// resume logs in those for whom a process before has left messages behind, and nobody
// else. Logging in is all it takes: their messages are sent.
//
// Who cannot be logged in, such as somebody whose contact was deleted, holds up nobody
// else. The error names them all, and their messages stay in the store: another resume
// sends them, once the contact is there again.
func (r *relay) resume(ctx context.Context) (users int, err error) { return r.app.Resume(ctx) }

// flush waits until everything is sent that was accepted.
func (r *relay) flush(ctx context.Context) error { return r.app.Flush(ctx) }

// close ends everything at once. What is not sent stays in the store.
func (r *relay) close() {
	_ = r.app.Close() // it does not fail
}
