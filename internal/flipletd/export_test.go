package flipletd

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// SetQueryTimeout changes how long the clauses of a request may take.
func (s *Server) SetQueryTimeout(d time.Duration) { s.queryTimeout = d }

// LocalTransport is what carries hooks to this machine.
func LocalTransport() http.RoundTripper { return hookTransport(true) }

// Check verifies what the store promises itself: its indexes agree with its
// rows.
func (s *Server) Check() error {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	total := 0
	for id, src := range s.st.sources {
		live, ordered := 0, 0
		for i, v := range src.rows {
			total++
			if i > 0 && src.rows[i-1].ID >= v.ID {
				return fmt.Errorf("source %d: rows out of order at %d", id, v.ID)
			}
			if s.st.entries[v.ID] != v || v.replaced || v.DataSourceID != id {
				return fmt.Errorf("entry %d: not the newest version", v.ID)
			}
			if v.live() {
				live++
				if v.Order != nil {
					ordered++
				}
			}
		}
		if live != src.live || ordered != src.ordered {
			return fmt.Errorf("source %d: counts %d live %d ordered, has %d and %d", id, src.live, src.ordered, live, ordered)
		}
		for _, ix := range []*index{&src.updated, &src.created} {
			var current []*version
			for i, v := range ix.list {
				if i > 0 && !ix.before(ix.list[i-1], v) {
					return fmt.Errorf("source %d: index out of order at %d", id, v.ID)
				}
				if !v.replaced {
					current = append(current, v)
				}
			}
			if len(current) != len(src.rows) {
				return fmt.Errorf("source %d: %d rows and %d in an index", id, len(src.rows), len(current))
			}
			for _, v := range current {
				if !slices.Contains(src.rows, v) {
					return fmt.Errorf("source %d: entry %d is in an index only", id, v.ID)
				}
			}
		}
	}
	if total != len(s.st.entries) {
		return fmt.Errorf("%d rows and %d entries", total, len(s.st.entries))
	}
	members := 0
	for u, of := range s.st.members {
		for id, src := range of {
			members++
			if s.st.sources[id] != src || !src.meta.listsMembers() || !slices.Contains(src.meta.participants, u) {
				return fmt.Errorf("source %d: stale member", id)
			}
		}
	}
	for _, src := range s.st.sources {
		if src.meta.listsMembers() {
			members -= len(slices.Compact(slices.Sorted(slices.Values(src.meta.participants))))
		}
	}
	if members != 0 {
		return fmt.Errorf("members are off by %d", members)
	}
	tokens := 0
	for token, rows := range s.st.chatTokens {
		for id, v := range rows {
			tokens++
			if s.st.entries[id] != v || v.data()["flUserToken"] != token || !v.live() {
				return fmt.Errorf("entry %d: stale chat token", id)
			}
		}
	}
	for _, v := range s.st.entries {
		if t, _ := v.data()["flUserToken"].(string); t != "" && v.live() && s.st.sources[v.DataSourceID].meta.kind != conversationType {
			tokens--
		}
	}
	if tokens != 0 {
		return fmt.Errorf("chat tokens are off by %d", tokens)
	}
	return nil
}
