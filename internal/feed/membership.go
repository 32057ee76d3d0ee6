package feed

import (
	"cmp"
	"slices"
	"time"
)

// roll is a list of conversations, in the order of their ids. It is a slice because a
// map of one would be the largest part of an idle listener.
type roll []Member

// newRoll sorts a list. Of two entries of one conversation the last counts.
func newRoll(members []Member) roll {
	out := slices.Clone(members)
	slices.SortStableFunc(out, func(a, b Member) int { return cmp.Compare(a.Conversation, b.Conversation) })
	kept := out[:0]
	for i, m := range out {
		if i == len(out)-1 || out[i+1].Conversation != m.Conversation {
			kept = append(kept, m)
		}
	}
	return kept
}

// find returns the entry of a conversation.
func (r roll) find(conversation int64) (Member, bool) {
	i, ok := slices.BinarySearchFunc(r, conversation, func(m Member, id int64) int { return cmp.Compare(m.Conversation, id) })
	if !ok {
		return Member{}, false
	}
	return r[i], true
}

// idSet is a small set of conversations, in order.
type idSet []int64

func (s idSet) has(id int64) bool {
	_, ok := slices.BinarySearch(s, id)
	return ok
}

func (s *idSet) add(id int64) {
	if i, ok := slices.BinarySearch(*s, id); !ok {
		*s = slices.Insert(*s, i, id)
	}
}

func (s *idSet) remove(id int64) {
	if i, ok := slices.BinarySearch(*s, id); ok {
		*s = slices.Delete(*s, i, i+1)
	}
}

// resolve takes the answer to needsMembers: it releases held rows to their
// conversations. If one of these has a history, that is read first, and then the page
// on which the rows were found is read again.
func (r *reader) resolve(now time.Time, members roll) {
	r.needsMembers = false
	held := r.batch.release()
	joining := false
	for _, h := range held {
		if r.conversations.has(h.conversation) {
			continue
		}
		m, listed := members.find(h.conversation)
		if !listed {
			m.Conversation = h.conversation
		}
		// Younger than the pages on which it was found: no row was missed.
		young := listed && m.Created > h.after && r.phase != mending
		joining = !r.enter(m, young) || joining
	}
	if joining {
		r.rewind()
		return
	}
	for _, h := range held {
		for i := range h.rows {
			r.consider(&h.rows[i])
		}
	}
	r.finish(now)
}

// enter makes a conversation one of the listener's, or, if it has a history, adds its
// join and reports false.
func (r *reader) enter(m Member, young bool) bool {
	until := r.joinedBy(m)
	if young && m.Created > until && m.Joined == 0 { // what the user's own call has joined was there before
		r.conversations.add(m.Conversation)
		return true
	}
	if !slices.ContainsFunc(r.joins, func(j join) bool { return j.conversation == m.Conversation }) {
		j := r.newJoin(m.Conversation, until)
		j.created = m.Created
		if m.Joined != 0 {
			j.asked, j.answered, j.created = m.Asked, m.Answered, min(m.Created, until)
		}
		r.joins = append(r.joins, j)
	}
	return false
}

// joinedBy is a time at which the user was not in a conversation yet. What was created
// later may be new, even if it is older than the join by the time between two polls,
// unless the join itself was seen.
func (r *reader) joinedBy(m Member) Time {
	if m.Joined != 0 {
		return m.Joined - 1 // what has the time of the join may have come after it
	}
	until := r.polled
	if until == beginning {
		until = r.pos
	}
	switch {
	case m.Changed != 0:
		return min(until, m.Changed-1)
	case until == beginning:
		return until
	}
	return until - skew
}

// rewind drops what was read of a poll, or of a page of a backlog, so that it is read
// again.
func (r *reader) rewind() {
	r.batch.reset()
	r.ending = false
	if r.polling {
		r.polling, r.missed = false, true
		return
	}
	r.at = r.pageFrom
}

// membership compares the conversations with a fresh list. left are those that the
// previous list had and this one has not: if the user comes back, what is missing is
// read as if they had joined.
func (r *reader) membership(now time.Time, members roll, left []int64) {
	if r.conversations == nil || r.phase == initial {
		if r.conversations == nil {
			r.conversations = make(idSet, 0, len(members))
		}
		for _, id := range left { // since an earlier list, while the first page was asked for
			r.conversations.remove(id)
		}
		for _, m := range members {
			r.conversations.add(m.Conversation)
		}
		r.needsMembers = false
		if r.phase == live {
			r.checkpoint() // a durable listener needs a position before its first event
		}
		return
	}
	if r.unmet { // what the user has left while nobody listened is in the position only
		r.unmet = false
		left = slices.Clone(left)
		for _, id := range r.conversations {
			if _, ok := members.find(id); !ok {
				left = append(left, id)
			}
		}
	}
	for _, id := range left {
		r.conversations.remove(id)
		delete(r.joined, id)
		if r.cfg.Apart > 0 {
			if r.left == nil {
				r.left = map[int64]Time{}
			}
			r.left[id] = r.polled
		}
	}
	if r.needsMembers {
		r.resolve(now, members)
	}
	for _, m := range members {
		if !r.conversations.has(m.Conversation) && (r.only == 0 || r.only == m.Conversation) {
			r.enter(m, r.phase == live && m.Created > r.since().Time && (!r.polling || m.Created > r.at.Time))
		}
	}
	slices.SortFunc(r.joins, func(a, b join) int { return cmp.Compare(a.conversation, b.conversation) })
}
