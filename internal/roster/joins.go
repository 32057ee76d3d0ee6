package roster

import (
	"context"
	"time"
)

const (
	// rejoin is how long a list that lacks a conversation may be behind the user's own join.
	rejoin = time.Minute
	// answerWait is how long a list of conversations waits for the answer to a join that is
	// under way: the list may show it already.
	answerWait = 5 * time.Second
)

// Join is a join by a call of the user: when it was by the server's clock, and when the
// call was made and answered by ours, zero if it is not known which answer was that of
// the join.
type Join struct{ At, Asked, Answered time.Time }

type ownJoin struct {
	Join
	seen   time.Time
	listed bool // a list has it
}

// joins are the joins by calls of the user, guarded by Roster.mu.
type joins struct {
	made    map[int64]ownJoin
	running map[int64]*running
}

// running is a call that is under way. from is when it was made: the join is not earlier.
type running struct {
	over chan struct{} // closed at the end
	from Join
}

// Joining notes that a call of the user is making them a member, at a time by the server's
// clock. The function that it returns is called at the end.
func (r *Roster) Joining(id int64, at time.Time) (done func()) {
	call := &running{over: make(chan struct{}), from: Join{At: at, Asked: time.Now(), Answered: time.Now()}}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.joins.running == nil {
		r.joins.running = map[int64]*running{}
	}
	r.joins.running[id] = call
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.joins.running[id] == call {
			delete(r.joins.running, id)
		}
		close(call.over)
	}
}

// Joined remembers that a call of the user made them a member, and when.
func (r *Roster) Joined(id int64, j Join) {
	if j.At.IsZero() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.joins.made == nil {
		r.joins.made = map[int64]ownJoin{}
	}
	r.joins.made[id] = ownJoin{Join: j, seen: time.Now()}
}

// Listed reports whether a list has shown a join that a call of the user has made.
func (r *Roster) Listed(id int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.joins.made[id].listed
}

// Left forgets a join: a call of the user has taken them out again.
func (r *Roster) Left(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.joins.made, id)
}

// Joins returns when the user joined the conversations of a list, as far as their own calls
// did it. What is not listed they have left since; began is when the list was asked for. It
// waits a little for calls that are under way, and then says when they were made.
func (r *Roster) Joins(ctx context.Context, began time.Time, listed func(id int64) bool) map[int64]Join {
	r.await(ctx, listed)
	r.mu.Lock()
	defer r.mu.Unlock()
	var out map[int64]Join
	for id, j := range r.joins.made {
		switch {
		case listed(id):
			if out == nil {
				out = map[int64]Join{}
			}
			out[id], j.listed = j.Join, true
			r.joins.made[id] = j
		case began.Sub(j.seen) > rejoin:
			delete(r.joins.made, id)
		}
	}
	for id, call := range r.joins.running {
		if _, known := out[id]; !known && listed(id) {
			if out == nil {
				out = map[int64]Join{}
			}
			out[id] = call.from
		}
	}
	return out
}

// await waits for the joins under way of listed conversations.
func (r *Roster) await(ctx context.Context, listed func(id int64) bool) {
	var calls []chan struct{}
	r.mu.Lock()
	for id, call := range r.joins.running {
		if listed(id) {
			calls = append(calls, call.over)
		}
	}
	r.mu.Unlock()
	if len(calls) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	for _, over := range calls {
		select {
		case <-over:
		case <-ctx.Done():
			return
		}
	}
}
