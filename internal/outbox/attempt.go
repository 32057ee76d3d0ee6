package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// do carries out one action of the queue.
func (r *run) do(kind Kind, s *Sending) {
	cfg := &r.box.cfg
	ctx, cancel := context.WithDeadline(datasource.AskAgain(r.life.Context()), r.deadline(kind))
	defer cancel()
	var row *datasource.Entry
	var err error
	var refused bool
	switch kind {
	case Send:
		row, err = cfg.Insert(ctx, s.rec)
		refused = err != nil && cfg.Refused(err)
	case LookUp:
		row, err = cfg.LookUp(ctx, s.rec)
		if refused = err != nil && cfg.Refused(err); refused {
			err = fmt.Errorf("it may have been stored, and cannot be looked up: %w", err)
		}
	case Forget:
		err = r.journal.store.Delete(ctx, r.journal.key(s.at))
	}
	// What the ports say is asked before the lock: they are not ours.
	hung := ctx.Err() != nil && r.life.Context().Err() == nil
	var doubtful bool
	var wait time.Duration
	switch ended := r.life.Context().Err() != nil; {
	case err == nil && row != nil:
		cfg.Sent()
	case err != nil && kind != Forget && !refused:
		doubtful, wait = cfg.Doubtful(err), cfg.RetryAfter(err)
	case err != nil && kind == Forget && !ended:
		cfg.Log.Warn("a message that is over cannot be removed from the outbox", "error", err)
	}
	r.box.mu.Lock()
	defer r.box.mu.Unlock()
	now := time.Now()
	switch {
	case kind == Forget:
		r.forgotten(s, now, err)
	case err == nil && row != nil:
		r.queue.Stored(s.id)
		r.finish(s, row, nil)
	case err == nil:
		r.queue.Absent(s.id)
		r.change(s, Queued, s.err)
	case refused:
		r.queue.Refused(s.id)
		r.finish(s, nil, err)
	default:
		s.attempts++
		switch {
		case doubtful:
			r.queue.Doubtful(now, s.id)
		case hung && wait == 0:
			r.queue.Unanswered(now, s.id)
		default:
			r.queue.Retry(now, s.id, wait)
		}
		if r.life.Context().Err() == nil {
			r.change(s, Queued, err)
		}
	}
	r.kick()
}

// deadline is when an action has to end. A request does not outlive the claim.
func (r *run) deadline(kind Kind) time.Time {
	at := time.Now().Add(attemptTimeout)
	if until := r.journal.until(); kind != Forget && until.Before(at) {
		return until
	}
	return at
}

// forgotten notes that the copy of a message is gone, or why it is not. mu is held.
func (r *run) forgotten(s *Sending, now time.Time, err error) {
	if err != nil {
		r.queue.Retry(now, s.id, 0)
		return
	}
	r.queue.Forgotten(s.id)
	r.journal.free(s.at)
	delete(r.sends, s.id)
}

// finish ends a message: its row, or why there is none. mu is held.
func (r *run) finish(s *Sending, row *datasource.Entry, err error) {
	if r.known[s.key()] == s {
		delete(r.known, s.key())
	}
	s.row = row
	state := Stored
	if err != nil {
		state = Failed
	}
	r.change(s, state, err)
	close(s.done)
}

// change notes where a message stands. mu is held.
func (r *run) change(s *Sending, state State, err error) {
	s.state, s.err = state, err
	if tell := r.box.cfg.OnChange; tell != nil {
		r.box.cfg.Notifier.note(s, tell, Change{Record: s.rec, State: state, Row: s.row, Err: err, Pending: len(r.known)})
	}
}
