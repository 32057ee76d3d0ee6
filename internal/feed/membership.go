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

// find returns when a conversation was created.
func (r roll) find(conversation int64) (created Time, ok bool) {
	i, ok := slices.BinarySearchFunc(r, conversation, func(m Member, id int64) int { return cmp.Compare(m.Conversation, id) })
	if !ok {
		return 0, false
	}
	return r[i].Created, true
}

// resolve takes the answer to needsMembers: it releases held rows to their
// conversations, after the history before them.
func (r *reader) resolve(now time.Time, members roll) {
	r.needsMembers = false
	held := r.batch.release()
	for _, h := range held {
		created, listed := members.find(h.conversation)
		if _, joined := r.conversations[h.conversation]; joined {
			continue
		}
		r.conversations[h.conversation] = struct{}{}
		r.joins = slices.DeleteFunc(r.joins, func(q Query) bool { return q.Conversation == h.conversation })
		if listed && created > h.after && r.phase != mending {
			continue // younger than the pages on which it was found: no row was missed
		}
		history := Query{Kind: Newest, Conversation: h.conversation, Limit: r.cfg.PageSize}
		if h.first.Time > h.after && r.phase != mending {
			history.Before = h.first // younger rows are on these pages
		}
		r.histories = append(r.histories, history)
	}
	for _, h := range held {
		for i := range h.rows {
			row := &h.rows[i]
			_, known := r.mem.lookup(row.ID)
			switch {
			case known || row.createdKey().Compare(r.mem.had(h.conversation)) <= 0:
				r.consider(row)
			case !r.batch.has(row.ID):
				r.addNew(row)
			}
		}
	}
	r.finish(now)
}

// membership compares the conversations with a fresh list. left are those that the
// previous list had and this one has not: if the user comes back, their history is
// read again.
func (r *reader) membership(now time.Time, members roll, left []int64) {
	if r.conversations == nil || r.phase == initial {
		if r.conversations == nil {
			r.conversations = make(map[int64]struct{}, len(members))
		}
		for _, m := range members {
			r.conversations[m.Conversation] = struct{}{}
		}
		r.needsMembers = false
		if r.phase == live {
			r.checkpoint() // a durable listener needs a position before its first event
		}
		return
	}
	for _, id := range left {
		delete(r.conversations, id)
	}
	if r.needsMembers {
		r.resolve(now, members)
	}
	for _, m := range members {
		id, created := m.Conversation, m.Created
		if _, ok := r.conversations[id]; ok {
			continue
		}
		join := Query{Kind: Newest, Conversation: id, Limit: r.cfg.PageSize}
		switch {
		case r.phase == live && created > r.since().Time && (!r.polling || created > r.at.Time):
			r.conversations[id] = struct{}{} // too young to have a history
		case !slices.Contains(r.joins, join):
			r.joins = append(r.joins, join)
		}
	}
	slices.SortFunc(r.joins, func(a, b Query) int { return cmp.Compare(a.Conversation, b.Conversation) })
}
