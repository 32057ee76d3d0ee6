package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/wait"
)

// Add accepts a message, and returns when it is stored. known is set when somebody
// may have sent a message of this GUID before. One that waits already is that
// message, not another one.
func (o *Outbox) Add(ctx context.Context, rec Record, known bool) (*Sending, error) {
	raw := rec.raw
	rec.raw = nil
	for range changeAttempts {
		r, err := o.begin(ctx)
		if err != nil {
			return nil, err
		}
		s, err := r.add(ctx, rec, raw, known)
		if !errors.Is(err, errLost) {
			return s, err
		}
	}
	return nil, errLost
}

func (r *run) add(ctx context.Context, rec Record, raw []byte, known bool) (*Sending, error) {
	if !r.life.Enter() {
		return nil, errLost // or stopped, which the next turn finds
	}
	defer r.life.Leave()
	within, cancel := wait.Both(ctx, r.life.Context())
	defer cancel()
	s, fresh, err := r.accept(within, rec, known)
	if errors.Is(err, errLost) {
		r.box.lose(r)
	}
	if err != nil {
		return nil, err
	}
	if fresh {
		return s, r.save(within, s, raw)
	}
	select {
	case <-s.kept:
		return s, nil // should storing it have failed, done says so
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// accept gives a message its slot. fresh is false when it waits already.
func (r *run) accept(ctx context.Context, rec Record, known bool) (_ *Sending, fresh bool, err error) {
	j, o := r.journal, r.box
	if err := j.changes.Lock(ctx); err != nil { // which is held while the Store is asked
		return nil, false, r.ofStore(err)
	}
	defer j.changes.Unlock()
	if !j.fresh(time.Now()) {
		if err := r.sync(ctx, true); err != nil {
			return nil, false, r.ofStore(err)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	defer r.kick()
	if r.stopped {
		return nil, false, errLost
	}
	s := newSending(rec)
	if waiting := r.known[s.key()]; waiting != nil {
		return waiting, false, nil
	}
	if o.cfg.Notifier.len() >= 4*o.cfg.Limit {
		return nil, false, fmt.Errorf("%w: OnChange does not keep up", ErrFull)
	}
	if waiting := r.waiting(); waiting >= o.cfg.Limit {
		return nil, false, fmt.Errorf("%w: %d messages wait, and the limit is %d", ErrFull, waiting, o.cfg.Limit)
	}
	if s.id, err = r.queue.Accept(rec.Conversation, known); err != nil {
		return nil, false, err
	}
	s.at = j.take()
	r.sends[s.id], r.known[s.key()] = s, s
	return s, true, nil
}

// save stores an accepted message; then it may be sent.
func (r *run) save(ctx context.Context, s *Sending, raw []byte) error {
	// A message stored later would be in a segment that is another's by then.
	within, cancel := context.WithDeadline(ctx, r.journal.until())
	defer cancel()
	store, key := r.journal.store, r.journal.key(s.at)
	err := store.Set(within, key, raw)
	if err != nil {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyFor)
		defer cancel()
		if gone := store.Delete(tidy, key); gone == nil {
			r.journal.free(s.at)
		}
		err = r.ofStore(fmt.Errorf("storage: %w", wait.Because(ctx, err)))
	}
	var before *Sending
	defer func() {
		if before != nil {
			if err := r.remove(ctx, before); err != nil {
				r.box.cfg.Log.Warn("a message that is over cannot be removed from the outbox", "error", err)
			}
		}
	}()
	r.box.mu.Lock()
	defer r.box.mu.Unlock()
	defer close(s.kept)
	if err == nil {
		before = r.unpark(s.key()) // it is tried again
	}
	if err != nil {
		r.queue.Drop(s.id)
		delete(r.sends, s.id)
		delete(r.known, s.key())
		s.err = err
		close(s.done)
	} else {
		r.queue.Saved(s.id)
		r.change(s, Queued, nil)
	}
	r.kick()
	return err
}

// Discard takes a message out that is not being sent. It reports false when there
// is none.
func (o *Outbox) Discard(ctx context.Context, conversation int64, guid string) (bool, error) {
	r, err := o.begin(ctx)
	if err != nil {
		return false, err
	}
	if !r.life.Enter() {
		return false, nil
	}
	defer r.life.Leave()
	s := r.drop(sendKey{conversation, guid})
	if s == nil {
		return false, nil
	}
	within, cancel := wait.Both(ctx, r.life.Context())
	defer cancel()
	err = r.remove(within, s)
	o.mu.Lock()
	r.kick() // the claim may rest now
	o.mu.Unlock()
	if err != nil {
		return true, fmt.Errorf("it is sent after the next login, since it could not be removed: storage: %w", err)
	}
	return true, nil
}

// drop takes a message out of the queue, and returns nil if that cannot be.
func (r *run) drop(key sendKey) *Sending {
	r.box.mu.Lock()
	defer r.box.mu.Unlock()
	s := r.known[key]
	if s == nil && !r.stopped && r.parked[key] != nil {
		return r.unpark(key)
	}
	if r.stopped || s == nil || !s.isKept() || !r.queue.Drop(s.id) {
		return nil
	}
	delete(r.sends, s.id)
	r.finish(s, nil, fmt.Errorf("discarded: %w", context.Canceled))
	r.kick()
	return s
}

func (s *Sending) isKept() bool {
	select {
	case <-s.kept:
		return true
	default:
		return false
	}
}

// Count is how many messages Pending lists, and how many of them were given up.
func (o *Outbox) Count() (pending, kept int) {
	for _, w := range o.Pending() {
		pending++
		if w.State == Failed {
			kept++
		}
	}
	return pending, kept
}

// Pending lists the messages that are left to send, in the order of acceptance, with
// those that another process has left behind, and those that were given up (Failed). It is nil while the outbox does not
// run, and for nil.
func (o *Outbox) Pending() []Waiting {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.run == nil {
		return nil
	}
	out := []Waiting{}
	for _, list := range o.run.abandoned {
		out = append(out, list...)
	}
	for _, s := range o.run.backlog {
		out = append(out, Waiting{GUID: s.rec.GUID, Conversation: s.rec.Conversation, QueuedAt: s.rec.QueuedAt})
	}
	for _, s := range o.run.parked {
		out = append(out, Waiting{
			GUID: s.rec.GUID, Conversation: s.rec.Conversation, State: s.state, QueuedAt: s.rec.QueuedAt, Attempts: s.attempts, Err: s.err,
		})
	}
	for _, s := range o.run.sends {
		if !s.over() {
			out = append(out, Waiting{
				GUID: s.rec.GUID, Conversation: s.rec.Conversation, State: s.state, QueuedAt: s.rec.QueuedAt,
				Attempts: s.attempts, Err: s.err, NextTry: o.run.queue.Due(s.id),
			})
		}
	}
	slices.SortStableFunc(out, func(a, b Waiting) int {
		return cmp.Or(a.QueuedAt.Compare(b.QueuedAt), cmp.Compare(a.Conversation, b.Conversation), cmp.Compare(a.GUID, b.GUID))
	})
	return out
}
