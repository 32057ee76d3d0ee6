package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// do carries out one action of the queue.
func (r *run) do(kind Kind, s *Sending) {
	cfg := &r.box.cfg
	asking := datasource.InClass(datasource.AskAgain(r.life.Context()), datasource.ClassSend)
	ctx, cancel := context.WithDeadline(asking, r.deadline(kind))
	defer cancel()
	var row *datasource.Entry
	var barred error
	err := ErrExited // unless the call returns
	defer func() { r.done(ctx, kind, s, row, err, barred) }()
	switch kind {
	case Send:
		if barred = r.journal.fence(ctx); barred == nil {
			row, err = cfg.Insert(ctx, s.rec)
		} else {
			err = &storeError{barred}
		}
	case LookUp:
		row, err = cfg.LookUp(ctx, s.rec)
	case Forget:
		err = r.journal.store.Delete(ctx, r.journal.key(s.at))
	}
}

// Outcomes of an attempt that leave open whether the message was stored.
var (
	// ErrExited: it does not return. A transport, which is the program's, has called
	// runtime.Goexit or FailNow of a test. The message would be under way for ever.
	ErrExited error = doubt("the transport has ended its goroutine, by runtime.Goexit or FailNow of a test, or it panicked; the message may have been stored")
	// ErrUnconfirmed: the answer is a success that does not say that this message was stored.
	// Somebody on the way may have answered.
	ErrUnconfirmed error = doubt("the server's answer of success does not hold the message; it may have been stored")
)

type doubt string

func (d doubt) Error() string    { return string(d) }
func (doubt) MayBeApplied() bool { return true }

// done takes what one action of the queue has come to.
func (r *run) done(ctx context.Context, kind Kind, s *Sending, row *datasource.Entry, err, barred error) {
	cfg := &r.box.cfg
	if errors.Is(barred, errLost) {
		r.box.lose(r)
	}
	// What the ports say is asked before the lock: they are not ours.
	f := failure{err: err, hung: (ctx.Err() != nil || errors.Is(err, datasource.ErrNoAnswer)) && r.life.Context().Err() == nil}
	switch ended := r.life.Context().Err() != nil; {
	case err == nil && row != nil:
		cfg.Sent()
	case barred != nil: // nothing was sent
	case err != nil && kind != Forget:
		f.verdict, f.wait = cfg.Judge(err), cfg.RetryAfter(err)
		// Whoever answered for the server may have passed the request on before.
		f.doubtful = cfg.Doubtful(err) || kind == Send && (f.verdict == Failing || f.verdict == Refusing)
	case err != nil && !ended:
		cfg.Log.Warn("a message that is over cannot be removed from the outbox", "error", err)
	}
	tell := func() {}
	defer func() { tell() }() // after the lock, for the same reason
	r.box.mu.Lock()
	defer r.box.mu.Unlock()
	now := time.Now()
	defer func() { tell = r.report(kind, s, f) }()
	switch {
	case kind == Forget:
		r.forgotten(s, now, err)
	case err == nil && row != nil:
		if kind == Send {
			r.stored++
			clear(r.unavailable)
		}
		r.queue.Stored(s.id)
		r.finish(s, row, nil)
	case err == nil:
		r.absent(s)
	case f.verdict == Refused:
		r.refuse(kind, s, err)
	default:
		r.failed(kind, s, now, f)
	}
	r.kick()
}

// storeError is what the Store has met: the program's own, whatever it wraps.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }
func (*storeError) Foreign() bool   { return true }

// ofStore marks what a call met in the Store, or in waiting for it. A loss, and the end of the
// outbox, are not the Store's.
func (r *run) ofStore(err error) error {
	if errors.Is(err, errLost) || r.life.Context().Err() != nil {
		return err
	}
	return &storeError{err}
}

// absent notes that a look-up found nothing, and gives the message up if it is its
// own fault that it is not there. mu is held.
func (r *run) absent(s *Sending) {
	s.inserts.answered(r.stored, len(r.unavailable) == 1)
	why := s.inserts.spent(time.Now(), r.box.cfg.MaxAttempts, 0)
	if r.queue.Absent(s.id) && why != "" {
		r.park(s, fmt.Errorf("%s: %w", why, s.err))
		return
	}
	r.change(s, Queued, s.err)
}

// failure is what a request has met.
type failure struct {
	err      error
	verdict  Verdict
	doubtful bool          // it may have been applied
	hung     bool          // there was no answer in time
	wait     time.Duration // what the server asked for
}

// failed notes a failure that says nothing final, unless there were too many. mu is
// held.
func (r *run) failed(kind Kind, s *Sending, now time.Time, f failure) {
	if errors.Is(f.err, datasource.ErrNoSlot) && !f.doubtful { // nothing was tried
		r.queue.Crowded(now, s.id)
		r.change(s, Queued, s.err)
		return
	}
	s.attempts++
	trial, least := &s.inserts, time.Duration(0)
	if kind == LookUp {
		trial, least = &s.lookUps, refusing
	}
	trial.failed(now, f.verdict, r.stored)
	why := trial.spent(now, r.box.cfg.MaxAttempts, least)
	if kind == Send && f.verdict == Unavailable {
		r.unavailable[s.rec.Conversation] = struct{}{}
		// An outage of all answers no look-up, either.
		f.doubtful = f.doubtful || f.wait == 0 && s.attempts%pingEvery == 0
	}
	switch {
	case f.doubtful:
		r.queue.Doubtful(now, s.id) // what may have been stored is looked up first
	case f.verdict > Later && why != "":
		r.park(s, s.unknown(kind, fmt.Errorf("%s: %w", why, f.err)))
		return
	case f.hung && f.wait == 0:
		r.queue.Unanswered(now, s.id)
	default:
		r.queue.Retry(now, s.id, f.wait)
	}
	if r.life.Context().Err() == nil {
		r.change(s, Queued, f.err)
	}
}

// refuse ends a message that the server will never take. mu is held.
func (r *run) refuse(kind Kind, s *Sending, err error) {
	r.queue.Refused(s.id)
	r.finish(s, nil, s.unknown(kind, err))
}

// unknown says what is not known of a message that could not be looked up. mu is held.
func (s *Sending) unknown(kind Kind, err error) error {
	switch {
	case kind != LookUp:
		return err
	case s.sent:
		return &openError{fmt.Errorf("it may have been stored, and cannot be looked up: %w", err)}
	case s.adopted:
		return &openError{fmt.Errorf("it was not sent by this process, and cannot be looked up: %w", err)}
	}
	return &openError{fmt.Errorf("it was not sent, since it cannot be looked up whether one of its GUID was before: %w", err)}
}

// openError is the failure of a look-up: one of the GUID may be stored.
type openError struct{ error }

func (e *openError) Unwrap() error    { return e.error }
func (*openError) MayBeApplied() bool { return true }

// park ends the attempts at a message that the server has not refused. It stays stored,
// until somebody decides: it is discarded, added again, or tried anew by the next
// process. mu is held.
func (r *run) park(s *Sending, err error) {
	r.queue.Park(s.id)
	delete(r.sends, s.id)
	r.parked[s.key()] = s
	r.finish(s, nil, err)
}

// unpark returns a message that was given up, nil if there is none, for its copy to be
// removed. mu is held.
func (r *run) unpark(key sendKey) *Sending {
	s := r.parked[key]
	delete(r.parked, key)
	return s
}

// remove removes the copy of a message that is not in the queue.
func (r *run) remove(ctx context.Context, s *Sending) error {
	if err := r.journal.store.Delete(ctx, r.journal.key(s.at)); err != nil {
		return err
	}
	r.journal.free(s.at)
	return nil
}

// report returns what to log of an attempt: that a message has failed, and that it is
// tried again, the first time and then ever more rarely. mu is held.
func (r *run) report(kind Kind, s *Sending, f failure) func() {
	level, text := slog.LevelError, ""
	switch {
	case kind == Forget || r.life.Context().Err() != nil:
	case r.parked[s.key()] == s:
		text = "a message could not be sent, and is kept in the outbox"
	case s.state == Failed:
		text = "the server refused a message, and it is not sent"
	case f.verdict > Later && f.verdict != Refused && s.attempts&(s.attempts-1) == 0:
		level, text = slog.LevelWarn, "an attempt to send a message failed, and there will be another"
	}
	attempts, err := s.attempts, cmp.Or(s.err, f.err)
	return func() {
		if text != "" {
			r.box.cfg.Log.Log(r.life.Context(), level, text, "conversation", s.rec.Conversation, "guid", s.rec.GUID, "attempts", attempts, "error", err)
		}
	}
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
	if tell := r.box.tell; tell != nil {
		r.box.cfg.Notifier.note(s, tell, Change{
			Record: s.rec, State: state, Row: s.row, Attempts: s.attempts, Err: err, Kept: r.parked[s.key()] == s, Pending: len(r.known) + r.leftBehind(),
		})
	}
}
