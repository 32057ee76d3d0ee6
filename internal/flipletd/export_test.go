package flipletd

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// SetQueryTimeout changes how long the clauses of a request may take.
func (s *Server) SetQueryTimeout(d time.Duration) { s.queryTimeout = d }

// FillHook fills in the request of a web hook.
func FillHook(ctx context.Context, payload, row map[string]any) error {
	w, err := readWebHook(payload)
	if err == nil {
		_, _, err = w.request(ctx, hookHosts{}, row, nil)
	}
	return err
}

// LocalTransport is what carries hooks to this machine.
func LocalTransport() http.RoundTripper { return hookTransport(true) }

// Plain makes queries look at every row, or not.
func (s *Server) Plain(on bool) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.st.plain = on
}

// Looked is how many rows queries have looked at.
func (s *Server) Looked() int64 { return s.st.looked.Load() }

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
	if err := s.checkColumns(); err != nil {
		return err
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

// checkColumns compares the indexes of columns with new ones.
func (s *Server) checkColumns() error {
	x := &s.st.columns
	bytes, n := int64(0), 0
	for id, src := range s.st.sources {
		if len(src.columns) > mostColumns {
			return fmt.Errorf("source %d: %d indexes", id, len(src.columns))
		}
		for column, p := range src.columns {
			fresh := newPostings(src, column, 1<<62)
			if !maps.Equal(all(fresh), all(p)) || !slices.Equal(fresh.odd, p.odd) {
				return fmt.Errorf("source %d: the index of %q is stale", id, column)
			}
			bytes += p.size()
			n++
		}
	}
	if bytes != x.bytes || n != len(x.all) || bytes > x.most {
		return fmt.Errorf("%d indexes of %d bytes, %d of %d in the list", n, bytes, len(x.all), x.bytes)
	}
	return nil
}

// all is the rows of each term, as text.
func all(p *postings) map[term]string {
	rows := make(map[term]string)
	for t, id := range p.one {
		rows[t] = fmt.Sprint([]int64{id})
	}
	for t, ids := range p.many {
		rows[t] = fmt.Sprint(ids)
	}
	return rows
}

// Columns names the columns of a source that have an index, sorted.
func (s *Server) Columns(source int64) []string {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.st.sources[source].columns))
}

// SetIndexBytes changes how much memory the indexes of columns may take.
func (s *Server) SetIndexBytes(n int64) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	x := &s.st.columns
	for x.most = n; x.bytes > n; {
		x.drop(x.oldest(nil))
	}
}

// IndexBytes is what they take.
func (s *Server) IndexBytes() int64 {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	return s.st.columns.bytes
}
