package chathttp

import (
	"maps"
	"slices"
)

// Kept counts what all streams keep, and those that have a connection.
func (h *Handler) Kept() (events, bytes, connected int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, u := range h.users {
		u.mu.Lock()
		for _, s := range u.sessions {
			s.mu.Lock()
			events, bytes = events+len(s.log), bytes+s.bytes
			if s.kick != nil {
				connected++
			}
			s.mu.Unlock()
		}
		u.mu.Unlock()
	}
	return events, bytes, connected
}

// Methods are the names of all calls.
func Methods() []string { return slices.Sorted(maps.Keys(methods)) }
