package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"

	chat "github.com/fliplet/fliplet-chat-go"
)

// relay sends messages for many users over one client and one store, whose limit and
// connections they share. A user is logged in when the first message comes.
type relay struct {
	opts chat.Options // of every user; the Storage is what survives

	mu    sync.Mutex
	users map[string]*user
}

// user is logged in once, however many requests come at a time.
type user struct {
	mu   sync.Mutex
	chat *chat.Chat
}

func newRelay(opts chat.Options) *relay {
	if opts.Outbox == nil {
		opts.Outbox = &chat.OutboxOptions{}
	}
	return &relay{opts: opts, users: map[string]*user{}}
}

// send accepts a message. When it returns nil the message is in the store, and will be
// sent, by this process or the next one. key identifies the request: a repeated one
// with the same key sends nothing again, also when the first was sent long ago.
func (r *relay) send(ctx context.Context, userID string, conversationID int64, key, text string) error {
	c, err := r.chatOf(ctx, userID)
	if err != nil {
		return err
	}
	_, err = c.Outbox().Add(ctx, conversationID, chat.Draft{
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
func (r *relay) resume(ctx context.Context) (users int, err error) {
	owners, err := chat.OutboxOwners(ctx, r.opts.Storage)
	if err != nil {
		return 0, err
	}
	var failed []error
	for _, owner := range owners {
		if owner.DataSourceID != r.opts.DataSourceID {
			continue // another relay's, over the same store
		}
		if _, err := r.chatOf(ctx, owner.UserID); err != nil {
			failed = append(failed, fmt.Errorf("%d messages of %q wait: %w", owner.Waiting, owner.UserID, err))
			continue
		}
		users++
	}
	return users, errors.Join(failed...)
}

// chatOf is the Chat of a user.
func (r *relay) chatOf(ctx context.Context, userID string) (*chat.Chat, error) {
	r.mu.Lock()
	u := r.users[userID]
	if u == nil {
		u = &user{}
		r.users[userID] = u
	}
	r.mu.Unlock()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.chat != nil {
		return u.chat, nil
	}
	c, err := chat.Connect(ctx, r.opts)
	if err != nil {
		return nil, err
	}
	if _, err := c.Login(ctx, chat.M{"flUserId": userID}); err != nil {
		c.Close()
		return nil, err
	}
	u.chat = c
	return c, nil
}

// flush waits until everything is sent that was accepted.
func (r *relay) flush(ctx context.Context) error {
	for _, u := range r.all() {
		if err := u.Outbox().Flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// close ends everything at once. What is not sent stays in the store.
func (r *relay) close() {
	for _, u := range r.all() {
		u.Close()
	}
}

func (r *relay) all() (chats []*chat.Chat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range r.users {
		u.mu.Lock()
		if u.chat != nil {
			chats = append(chats, u.chat)
		}
		u.mu.Unlock()
	}
	return chats
}
