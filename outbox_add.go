package chat

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// add accepts a message and stores it.
func (o *outbox) add(ctx context.Context, s *session, conversationID int64, d Draft) (*send, error) {
	write, err := o.chat.compose(ctx, s, conversationID, d)
	if err != nil {
		return nil, err
	}
	rec, raw, err := newRecord(conversationID, write, o.chat.opts.EncryptMessages)
	if err != nil {
		return nil, err
	}
	for range changeAttempts {
		run := o.start(ctx, s)
		if run == nil {
			if err := ctx.Err(); err != nil {
				return nil, context.Cause(ctx)
			}
			return nil, ErrNotLoggedIn
		}
		sd, fresh, err := o.accept(ctx, run, rec, d.GUID != "")
		if errors.Is(err, errLaneLost) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if fresh {
			return sd, o.save(ctx, run, sd, raw)
		}
		select {
		case <-sd.kept:
			return sd, nil // should storing it have failed, done says so
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return nil, errLaneLost
}

// accept gives a message its place. fresh is false when it waits already.
func (o *outbox) accept(ctx context.Context, run *outboxRun, rec *record, named bool) (_ *send, fresh bool, err error) {
	j := run.journal
	j.changing.Lock()
	defer j.changing.Unlock()
	if !j.fresh(time.Now()) {
		if err := o.sync(ctx, run, true); err != nil {
			if errors.Is(err, errLaneLost) {
				o.mu.Lock()
				defer o.mu.Unlock()
				o.replace(run)
			}
			return nil, false, err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.kick(run)
	if run.stopped {
		return nil, false, errLaneLost // or logged out, which the next turn finds
	}
	sd := &send{rec: rec, kept: make(chan struct{}), done: make(chan struct{})}
	if waiting := run.known[sd.key()]; waiting != nil {
		return waiting, false, nil
	}
	if o.events.len() >= 4*o.opts.Limit {
		return nil, false, fmt.Errorf("%w: OnChange does not keep up", ErrOutboxFull)
	}
	if waiting := run.waiting(); waiting >= o.opts.Limit {
		return nil, false, fmt.Errorf("%w: %d messages wait, and Options.Outbox.Limit allows %d", ErrOutboxFull, waiting, o.opts.Limit)
	}
	if sd.id, err = run.queue.Accept(rec.Conversation, named); err != nil {
		return nil, false, err
	}
	sd.at = j.take()
	run.sends[sd.id], run.known[sd.key()] = sd, sd
	run.adding++
	run.work.Add(1)
	return sd, true, nil
}

// save stores an accepted message; then it may be sent.
func (o *outbox) save(ctx context.Context, run *outboxRun, sd *send, raw []byte) error {
	defer run.work.Done()
	// A message stored later would be in a lane that is another's by then.
	within, cancel := context.WithDeadline(ctx, run.journal.until())
	defer cancel()
	key := run.journal.key(sd.at)
	err := o.chat.store.Set(within, key, raw)
	if err != nil {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyFor)
		defer cancel()
		if gone := o.chat.store.Delete(tidy, key); gone == nil {
			run.journal.free(sd.at)
		}
		err = fmt.Errorf("storage: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	run.adding--
	defer close(sd.kept)
	if err != nil {
		run.queue.Drop(sd.id)
		delete(run.sends, sd.id)
		delete(run.known, sd.key())
		sd.err = err
		close(sd.done)
	} else {
		run.queue.Saved(sd.id)
		o.change(run, sd, SendQueued, nil)
	}
	o.kick(run)
	return err
}

// discard takes a message out that is not being sent.
func (o *outbox) discard(ctx context.Context, s *session, key sendKey) (bool, error) {
	run := o.start(ctx, s)
	if run == nil {
		return false, ErrNotLoggedIn
	}
	o.mu.Lock()
	sd := run.known[key]
	if run.stopped || sd == nil || !sd.isKept() || !run.queue.Drop(sd.id) {
		o.mu.Unlock()
		return false, nil
	}
	delete(run.sends, sd.id)
	o.finish(run, sd, nil, fmt.Errorf("discarded: %w", context.Canceled))
	run.work.Add(1)
	o.kick(run)
	o.mu.Unlock()
	defer run.work.Done()
	if err := o.chat.store.Delete(ctx, run.journal.key(sd.at)); err != nil {
		return true, fmt.Errorf("it is sent after the next login, since it could not be removed: storage: %w", err)
	}
	run.journal.free(sd.at)
	return true, nil
}

func (s *send) isKept() bool {
	select {
	case <-s.kept:
		return true
	default:
		return false
	}
}
