package rows

import (
	"context"
	"slices"
	"time"
)

// A list of conversations may lack one that the user is in: it comes from an index that is
// behind, or from a machine that has not heard of it yet. Where each conversation is read by
// itself, that one would not be, and polls would pass what it gets. So what a list lacks that
// the one before had is read on, until the conversation itself says that the user has left.

// mostAsked is how many of the conversations that a list lacks are asked about.
const mostAsked = 20

// keepOn adds to a list those of the one before that it lacks without being right.
func (s *Source) keepOn(ctx context.Context, before, listed []Member) []Member {
	lacks := lacking(before, listed)
	if s.sick().listedAgain(lacks); len(lacks) == 0 {
		return listed
	}
	listed = slices.Clone(listed)
	asked := 0
	for _, m := range lacks {
		if asked < mostAsked && s.sick().asks(m.ID) {
			asked++
			within, cancel := context.WithTimeout(ctx, shortPatience)
			gone := s.Roster.Gone(within, m.ID)
			cancel()
			if gone {
				s.sick().gone(m.ID)
				continue
			}
		}
		listed = append(listed, Member{ID: m.ID, Unlisted: true})
	}
	return listed
}

// lacking are the members of a list that a later one lacks.
func lacking(before, listed []Member) (out []Member) {
	if len(before) == 0 {
		return nil
	}
	has := make(map[int64]struct{}, len(listed))
	for _, m := range listed {
		has[m.ID] = struct{}{}
	}
	for _, m := range before {
		if _, ok := has[m.ID]; !ok {
			out = append(out, m)
		}
	}
	return out
}

// asks reports whether it is time to ask about a conversation that a list lacks, and notes
// that this is done: not in each poll while lists lack it.
func (w *ward) asks(id int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if now.Before(w.vouched[id]) {
		return false
	}
	if w.vouched == nil {
		w.vouched = map[int64]time.Time{}
	}
	w.vouched[id] = now.Add(listRest)
	return true
}

func (w *ward) gone(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.vouched, id)
}

// listedAgain forgets the conversations that lists do not lack any more.
func (w *ward) listedAgain(lacks []Member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.vouched {
		if !slices.ContainsFunc(lacks, func(m Member) bool { return m.ID == id }) {
			delete(w.vouched, id)
		}
	}
}
