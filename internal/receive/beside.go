package receive

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Beside returns a receiver for listeners of the same user who need another source and engine.
// What this one is told and asked, and what it ends with, holds for that one, too. The caller has
// to call leave once it has no listener any more.
func (r *Receiver) Beside(source Source, engines Engines) (part *Receiver, leave func()) {
	part = &Receiver{cfg: r.cfg, watch: r.watch}
	part.cfg.source, part.cfg.engines, part.cfg.rested = source, engines, nil
	part.life.PartOf(&r.life)
	r.mu.Lock()
	over := r.ended()
	s := r.seldomUsed()
	s.beside = append(s.beside, part)
	r.mu.Unlock()
	if over != nil {
		part.Stop(over)
	}
	return part, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		s.beside = slices.DeleteFunc(s.beside, func(other *Receiver) bool { return other == part })
	}
}

// parts are the receivers beside this one. None of their methods is called with mu held.
func (r *Receiver) parts() []*Receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.others()
}

// Status says how the polls go, at worst.
func (r *Receiver) Status() Status {
	s := r.ownStatus()
	for _, part := range r.parts() {
		s = s.with(part.Status())
	}
	return s
}

// with is the status of two together.
func (s Status) with(other Status) Status {
	listeners, waiting := s.Listeners+other.Listeners, s.Waiting+other.Waiting
	switch {
	case other.Failed > s.Failed, s.Listeners == 0 && s.Failed == 0 && other.Listeners > 0,
		other.Failed == s.Failed && other.Listeners > 0 && !other.Succeeded.IsZero() && other.Succeeded.Before(s.Succeeded):
		s = other
	}
	s.Listeners, s.Waiting = listeners, waiting
	return s
}

// Poll requests a poll and returns when its events are delivered. It waits at most a
// second for a function that does not return, whatever other functions do meanwhile, and
// only for a moment for one that was running when Poll was called. A listener whose queue
// is full has no part in the poll. Without a listener it does nothing.
//
// Errors: that of the source if the poll failed; the cause of Stop; the cause of ctx.
func (r *Receiver) Poll(ctx context.Context, reset bool) (err error) {
	all := append(r.parts(), r)
	polls := make([]*pendingPoll, len(all))
	for i, one := range all {
		polls[i] = one.requestPoll(reset)
	}
	for i, one := range all {
		err = cmp.Or(err, one.await(ctx, polls[i]))
	}
	return err
}

// Inspect returns the listeners in the order in which they began, when the next poll is
// due (zero without listeners), and the last failures, oldest first.
func (r *Receiver) Inspect() (list []Listening, due time.Time, last []Trouble) {
	list, due, last = r.inspect()
	for _, part := range r.parts() {
		l, d, t := part.Inspect()
		list, last = append(list, l...), append(last, t...)
		if due.IsZero() || !d.IsZero() && d.Before(due) {
			due = d
		}
	}
	slices.SortStableFunc(last, func(a, b Trouble) int { return a.At.Compare(b.At) })
	return list, due, last[max(0, len(last)-keptTroubles):]
}
