package chat

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// stop ends the outbox of a session that is over. What is unsent stays in Storage.
func (o *outbox) stop(cause error) {
	if o == nil {
		return
	}
	o.mu.Lock()
	run := o.run
	over := run != nil && !o.current(run.session)
	if over {
		o.halt(run, cause)
	}
	o.mu.Unlock()
	if over {
		go o.end(run, cause)
	}
}

// replace ends a run whose messages another process has, and begins a new one.
// mu is held.
func (o *outbox) replace(run *outboxRun) {
	if run.stopped {
		return
	}
	o.halt(run, errLaneLost)
	go func() {
		o.end(run, errLaneLost)
		ctx, cancel := context.WithTimeout(context.Background(), tidyFor)
		defer cancel()
		o.start(ctx, run.session)
	}()
}

// halt lets a run do no more; end follows. mu is held.
func (o *outbox) halt(run *outboxRun, cause error) {
	o.run = nil
	o.ending[run] = struct{}{}
	run.stopped = true
	run.timer.Stop()
	run.cancel(cause)
}

// end waits for what is under way, puts Storage in order and tells who waits.
func (o *outbox) end(run *outboxRun, cause error) {
	run.work.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), tidyFor)
	defer cancel()
	o.mu.Lock()
	var left []*send
	for _, sd := range run.sends {
		left = append(left, sd)
	}
	o.mu.Unlock()
	for _, sd := range left {
		if sd.over() {
			if err := o.chat.store.Delete(ctx, run.journal.key(sd.at)); err == nil {
				run.journal.free(sd.at)
			}
		}
	}
	if err := run.journal.release(ctx); err != nil {
		o.chat.log.Warn("the claim on the outbox was not given up, and will lapse", "error", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, sd := range left {
		if !sd.over() {
			sd.err = fmt.Errorf("%w: %w", ErrQueued, cause)
			close(sd.done)
		}
	}
	close(run.changed)
	run.changed = make(chan struct{})
	delete(o.ending, run)
	close(run.ended)
}

// drain waits until nothing is left to send.
func (o *outbox) drain(ctx context.Context) error {
	if o == nil {
		return nil
	}
	for {
		o.mu.Lock()
		run := o.run
		if run == nil || run.queue.Len() == 0 {
			o.mu.Unlock()
			return nil
		}
		changed := run.changed
		o.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// flush waits until nothing is left to send.
func (o *outbox) flush(ctx context.Context, s *session) error {
	for {
		o.mu.Lock()
		run := o.run
		if run == nil || run.session != s {
			o.mu.Unlock()
			return ErrNotLoggedIn
		}
		empty := !run.watching() && run.left() == 0
		changed := run.changed
		o.mu.Unlock()
		if empty {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// left counts what is to be sent. outbox.mu is held.
func (run *outboxRun) left() int { return len(run.known) }

func (o *outbox) pending() []PendingSend {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.run == nil {
		return nil
	}
	out := []PendingSend{}
	for _, sd := range o.run.sends {
		if !sd.over() {
			out = append(out, PendingSend{
				GUID: sd.rec.GUID, ConversationID: sd.rec.Conversation, State: sd.state, QueuedAt: sd.rec.QueuedAt,
				Attempts: sd.attempts, Err: sd.err, NextTry: o.run.queue.Due(sd.id),
			})
		}
	}
	slices.SortStableFunc(out, func(a, b PendingSend) int {
		return cmp.Or(a.QueuedAt.Compare(b.QueuedAt), cmp.Compare(a.ConversationID, b.ConversationID), cmp.Compare(a.GUID, b.GUID))
	})
	return out
}
