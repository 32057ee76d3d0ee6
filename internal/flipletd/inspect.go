package flipletd

import (
	"slices"
	"time"
)

// This file is what somebody who watches a server reads: pieces that cost what is
// shown, whatever is stored. Nothing here counts as a request.

// Revision moves with every write: while it stays, so does all that is stored.
func (s *Server) Revision() uint64 {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	return s.st.revision
}

// RateLimit is the limit of data source calls in force, of several the tightest; without
// any it has no requests.
func (s *Server) RateLimit() (tightest Limit) {
	s.limiter.mu.Lock()
	defer s.limiter.mu.Unlock()
	rate := func(l Limit) float64 { return float64(l.Requests) / l.Window.Seconds() }
	for _, l := range s.limiter.limits[slices.Index(AllCalls[:], DataSourceCalls)] {
		if l.Requests > 0 && (tightest.Requests == 0 || rate(l) < rate(tightest)) {
			tightest = l
		}
	}
	return tightest
}

// Logged is a line of the audit log, without who made the change.
type Logged struct {
	ID                    int64
	Time                  time.Time
	Type                  string
	DataSourceID, EntryID int64
	Columns               []string // names; nobody may change the list
}

// LastLogged returns the newest n lines of the audit log, the oldest first, also those that
// a lever shows to readers later.
func (s *Server) LastLogged(n int) []Logged {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	ring, start := s.st.audit.ring, s.st.audit.start
	n = min(max(n, 0), len(ring))
	list := make([]Logged, n)
	for i := range list {
		e := &ring[(start+len(ring)-n+i)%len(ring)]
		list[i] = Logged{ID: e.id, Time: e.time(), Type: e.kind.String(), DataSourceID: e.sourceID, EntryID: e.entryID, Columns: e.columns}
	}
	return list
}

// Rates counts the requests of the last seconds, the current one included and last.
// Of more than five minutes it knows nothing.
func (s *Server) Rates(seconds int) []Rate {
	now := s.clock.now()
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.rates.last(now, seconds)
}

// RowsBefore returns the newest n entries of a data source that were created before
// an entry with this time and id, the oldest first, tombstones included; for the zero
// time the newest of all. It says whether there are older ones.
func (s *Server) RowsBefore(dataSourceID int64, created time.Time, id int64, n int) (rows []Row, more bool) {
	versions, more := s.before(dataSourceID, created, id, n)
	slices.Reverse(versions)
	return copyRows(versions), more
}

func (s *Server) before(dataSourceID int64, created time.Time, id int64, n int) (versions []*version, more bool) {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	src := s.st.sources[dataSourceID]
	if src == nil {
		return nil, false
	}
	end := len(src.created.list)
	if !created.IsZero() {
		end = src.created.search(created, id)
	}
	for _, v := range slices.Backward(src.created.list[:end]) {
		if v.replaced {
			continue
		}
		if len(versions) >= n {
			return versions, true
		}
		versions = append(versions, v)
	}
	return versions, false
}

// RowsFrom returns the first n entries that were created like an entry with this time
// and id or after it, the oldest first, tombstones included. It says whether there are
// newer ones.
func (s *Server) RowsFrom(dataSourceID int64, created time.Time, id int64, n int) (rows []Row, more bool) {
	versions, more := s.from(dataSourceID, created, id, n)
	return copyRows(versions), more
}

func (s *Server) from(dataSourceID int64, created time.Time, id int64, n int) (versions []*version, more bool) {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	src := s.st.sources[dataSourceID]
	if src == nil {
		return nil, false
	}
	for _, v := range src.created.list[src.created.search(created, id):] {
		if v.replaced {
			continue
		}
		if len(versions) >= n {
			return versions, true
		}
		versions = append(versions, v)
	}
	return versions, false
}

// copyRows lets the caller do with rows what it likes. Versions are never changed, so it
// needs no lock.
func copyRows(versions []*version) []Row {
	rows := make([]Row, len(versions))
	for i, v := range versions {
		rows[i] = copyRow(v)
	}
	return rows
}

// Unread counts the messages among the newest n entries of a data source that the user
// has neither sent nor read.
func (s *Server) Unread(dataSourceID int64, userID string, n int) int {
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	src := s.st.sources[dataSourceID]
	if src == nil {
		return 0
	}
	unread := 0
	for _, v := range slices.Backward(src.created.list) {
		if v.replaced || !v.live() {
			continue
		}
		if n--; n < 0 {
			break
		}
		data := v.data()
		if data["fromUserId"] != userID && !slices.Contains(textList(data["readBy"]), userID) && data["isDeleted"] != true {
			unread++
		}
	}
	return unread
}
