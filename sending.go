package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// changeTimeout bounds what is read to tell OnChange of a message.
const changeTimeout = 15 * time.Second

// outboxOf returns the outbox of a new session, nil if there is to be none. It
// begins to send with Start.
func (c *Chat) outboxOf(s *session) *outbox.Outbox {
	if c.opts.Outbox == nil {
		return nil
	}
	cfg := outbox.Config{
		Store: c.store, Key: c.cache.Key(s.userID, "outbox"), Log: c.log, Life: c.work,
		Limit: c.opts.Outbox.Limit, Settle: c.opts.Outbox.Settle,
		Insert: func(ctx context.Context, r outbox.Record) (*datasource.Entry, error) {
			if err := s.roster.Check(ctx, r.Conversation); err != nil {
				return nil, err
			}
			return c.transmit(ctx, s, r.Conversation, r.Write())
		},
		LookUp: func(ctx context.Context, r outbox.Record) (*datasource.Entry, error) {
			return c.storedSend(ctx, r.Conversation, r.Write())
		},
		Refused: definite, RetryAfter: retryAfter, Sent: s.receiver.Poke,
	}
	if tell := c.opts.Outbox.OnChange; tell != nil {
		cfg.Notifier = c.notifier
		cfg.OnChange = func(ch outbox.Change) { tell(c.sendChange(s.userID, ch)) }
	}
	return outbox.New(cfg)
}

// queue accepts a message into the outbox.
func (c *Chat) queue(ctx context.Context, s *session, conversationID int64, d Draft) (*outbox.Sending, error) {
	// Without a network a conversation that is not known is checked at the first attempt.
	if err := s.roster.Check(ctx, conversationID); errors.Is(err, ErrNotFound) {
		return nil, err
	}
	write, err := c.compose(ctx, s, conversationID, d)
	if err != nil {
		return nil, err
	}
	for _, p := range write.Files {
		switch {
		case p.Content == nil:
			return nil, invalid("Draft.Files: a Reader cannot wait in the outbox; give Content, or the URL of a file that is uploaded")
		case c.opts.EncryptMessages && !c.sealsFiles():
			return nil, invalid("Draft.Files: content would lie in Storage unsealed while it waits in the outbox; give the URL of a file that is uploaded")
		}
	}
	rec, err := outbox.NewRecord(conversationID, write)
	if err != nil {
		return nil, invalid("Draft: %v", err)
	}
	return s.outbox.Add(ctx, rec, d.GUID != "")
}

// deliver is Message through the outbox: it waits for the outcome.
func (c *Chat) deliver(ctx context.Context, s *session, conversationID int64, d Draft) (*datasource.Entry, error) {
	sending, err := c.queue(ctx, s, conversationID, d)
	if err != nil {
		return nil, err
	}
	select {
	case <-sending.Done():
	default:
		select {
		case <-sending.Done():
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrQueued, context.Cause(ctx))
		}
	}
	row, err := sending.Result()
	if err != nil {
		return nil, err
	}
	own := *row
	own.Data = wire.CloneMap(row.Data)
	return &own, nil
}

// sendChange is a change as OnChange is told it.
func (c *Chat) sendChange(userID string, ch outbox.Change) SendChange {
	ctx, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	out := SendChange{
		GUID: ch.Record.GUID, ConversationID: ch.Record.Conversation, State: sendState(ch.State), Err: ch.Err, Pending: ch.Pending,
	}
	switch ch.State {
	case outbox.Stored:
		row := *ch.Row
		row.Data = wire.CloneMap(row.Data)
		out.Message = c.message(ctx, &row, userID)
	case outbox.Failed:
		at := ch.Record.QueuedAt.Truncate(time.Millisecond)
		out.Message = c.message(ctx, &datasource.Entry{
			DataSourceID: ch.Record.Conversation, Data: wire.CloneMap(ch.Record.Data), CreatedAt: at, UpdatedAt: at,
		}, userID)
	}
	return out
}

func sendState(s outbox.State) SendState {
	switch s {
	case outbox.Running:
		return SendRunning
	case outbox.Stored:
		return SendStored
	case outbox.Failed:
		return SendFailed
	}
	return SendQueued
}

// definite reports whether the server refused for good. Not so: 401, which a valid
// token repairs, 408, 425 and 429, which time does, and what a new login met, which
// says nothing about the message.
func definite(err error) bool {
	if errors.Is(err, ErrNotFound) {
		return true
	}
	refused, ok := errors.AsType[*datasource.Error](err)
	if !ok || datasource.Doubtful(err) || errors.Is(err, datasource.ErrUnauthorized) {
		return false
	}
	if _, login := errors.AsType[*renewalError](err); login {
		return false
	}
	switch refused.StatusCode {
	case 408, 425, 429:
		return false
	}
	return 400 <= refused.StatusCode && refused.StatusCode < 500
}

// retryAfter is how long the server asked to be left alone.
func retryAfter(err error) time.Duration {
	if refused, ok := errors.AsType[*datasource.Error](err); ok && errors.Is(err, datasource.ErrRateLimited) {
		return refused.RetryAfter
	}
	return 0
}
