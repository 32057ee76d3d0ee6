package roster

import "time"

// rejoin is how long a list that lacks a conversation may be behind the user's own join.
const rejoin = time.Minute

// ownJoin is a join by a call of the user: its time by the server's clock, and by ours.
type ownJoin struct{ at, seen time.Time }

// Joined remembers that a call of the user made them a member, and when: the server's own
// time of the change.
func (r *Roster) Joined(id int64, at time.Time) {
	if at.IsZero() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.joins == nil {
		r.joins = map[int64]ownJoin{}
	}
	r.joins[id] = ownJoin{at, time.Now()}
}

// Joins returns when the user joined the conversations of a list, as far as their own calls
// did it. What is not listed they have left since; began is when the list was asked for.
func (r *Roster) Joins(began time.Time, listed func(id int64) bool) map[int64]time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out map[int64]time.Time
	for id, j := range r.joins {
		switch {
		case listed(id):
			if out == nil {
				out = map[int64]time.Time{}
			}
			out[id] = j.at
		case began.Sub(j.seen) > rejoin:
			delete(r.joins, id)
		}
	}
	return out
}
