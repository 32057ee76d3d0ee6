package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	engine "github.com/fliplet/fliplet-chat-go/internal/outbox"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// do carries out one action of the engine.
func (o *outbox) do(run *outboxRun, kind engine.Kind, sd *send) {
	ctx, cancel := context.WithTimeout(run.ctx, sendTimeout)
	defer cancel()
	var row *datasource.Entry
	var err error
	var refused bool
	switch kind {
	case engine.Send:
		row, refused, err = o.insert(ctx, run.session, sd.rec)
	case engine.LookUp:
		row, err = o.chat.storedSend(ctx, sd.rec.Conversation, sd.rec.GUID, run.session.userID)
		if refused = definite(err); refused {
			err = fmt.Errorf("it may have been stored, and cannot be looked up: %w", err)
		}
	case engine.Forget:
		err = o.chat.store.Delete(ctx, run.journal.key(sd.at))
	}
	if row != nil && err == nil {
		run.session.receiver.Poke()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	switch {
	case kind == engine.Forget:
		o.forgotten(run, sd, now, err)
	case err == nil && row != nil:
		run.queue.Stored(sd.id)
		row.DataSourceID = sd.rec.Conversation
		o.finish(run, sd, row, nil)
	case err == nil:
		run.queue.Absent(sd.id)
		o.change(run, sd, SendQueued, sd.err)
	case refused:
		run.queue.Refused(sd.id)
		o.finish(run, sd, nil, missing(err, "conversation", sd.rec.Conversation))
	default:
		sd.attempts++
		if datasource.Doubtful(err) {
			run.queue.Doubtful(now, sd.id)
		} else {
			run.queue.Retry(now, sd.id, named(err))
		}
		if run.ctx.Err() == nil {
			o.change(run, sd, SendQueued, err)
		}
	}
	o.kick(run)
}

func (o *outbox) forgotten(run *outboxRun, sd *send, now time.Time, err error) {
	if err != nil {
		run.queue.Retry(now, sd.id, 0)
		if run.ctx.Err() == nil {
			o.chat.log.Warn("a message that is over cannot be removed from the outbox", "error", err)
		}
		return
	}
	run.queue.Forgotten(sd.id)
	run.journal.free(sd.at)
	delete(run.sends, sd.id)
}

// finish ends a message: its row, or why there is none. mu is held.
func (o *outbox) finish(run *outboxRun, sd *send, row *datasource.Entry, err error) {
	if run.known[sd.key()] == sd {
		delete(run.known, sd.key())
	}
	sd.row = row
	state := SendStored
	if err != nil {
		state = SendFailed
	}
	o.change(run, sd, state, err)
	close(sd.done)
}

// insert makes one attempt. refused says that no other one will succeed.
func (o *outbox) insert(ctx context.Context, s *session, rec *record) (row *datasource.Entry, refused bool, err error) {
	write := rec.write()
	var last error
	err = o.chat.authorized(ctx, s, func(token string) error {
		write.Params = wire.InsertParams(token)
		row, last = o.chat.client.InsertEntry(ctx, rec.Conversation, write)
		return last
	})
	if err != nil {
		// What a new login met says nothing about the message.
		return nil, last != nil && errors.Is(err, last) && definite(err), err
	}
	if row.ID == 0 || len(row.Data) == 0 {
		// A server may confirm with less than the row.
		if stored, lookErr := o.chat.storedSend(ctx, rec.Conversation, rec.GUID, s.userID); lookErr == nil && stored != nil {
			return stored, false, nil
		}
		if len(row.Data) == 0 {
			row.Data = wire.CloneMap(rec.Data)
		}
	}
	return row, false, nil
}

// definite reports whether the server refused for good. Not so: 401, which a valid
// token repairs, 408, 425 and 429, which time does.
func definite(err error) bool {
	refused, ok := errors.AsType[*datasource.Error](err)
	if !ok || datasource.Doubtful(err) || errors.Is(err, datasource.ErrUnauthorized) {
		return false
	}
	switch refused.StatusCode {
	case 408, 425, 429:
		return false
	}
	return 400 <= refused.StatusCode && refused.StatusCode < 500
}

// named is how long the server asked to be left alone.
func named(err error) time.Duration {
	if refused, ok := errors.AsType[*datasource.Error](err); ok && errors.Is(err, datasource.ErrRateLimited) {
		return refused.RetryAfter
	}
	return 0
}

// current reports whether a session is still the one of an open Chat.
func (o *outbox) current(s *session) bool {
	o.chat.mu.Lock()
	defer o.chat.mu.Unlock()
	return o.chat.session == s && !o.chat.calls.Over()
}
