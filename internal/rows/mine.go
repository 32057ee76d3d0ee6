package rows

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// noneFor is how long answers of other people's rows alone are not believed, while nothing of
// the user's is known: there may be nothing.
const noneFor = 2 * time.Minute

// mine is the newest change of the user's conversations that is known. An answer with rows of
// other people's may be meant for one of them: a cache on the way gives what it has by its
// address, and that is the same for all. Positions would move on with it, past what the user
// has got meanwhile. The zero value knows nothing.
type mine struct {
	mu           sync.Mutex
	newest       feed.Key
	conversation int64
	lacking      *time.Time // since when answers lack it; nil: they do not
	without      bool       // there may be none: answers without any were doubted for long
}

// saw notes the rows of an answer that is believed.
func (m *mine) saw(rows []datasource.Entry, foreign map[int64]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range rows {
		e := &rows[i]
		k := ChangeKey(e)
		if e.DataSourceID > 0 && !foreign[e.DataSourceID] && k.Time != 0 && k.Compare(m.newest) > 0 {
			m.newest, m.conversation = k, e.DataSourceID
		}
	}
}

func (m *mine) known() (feed.Key, int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newest, m.conversation
}

// nothing reports whether answers without any are believed.
func (m *mine) nothing() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.without
}

// none notes whether there can be nothing.
func (m *mine) none(none bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.without = none
}

// begins reports whether no answer before has lacked anything.
func (m *mine) begins() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lacking == nil
}

// lacks notes whether an answer lacked what was there, and reports whether it is not believed.
func (m *mine) lacks(lacks bool, doubt time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	switch {
	case !lacks:
		m.lacking = nil
	case m.lacking == nil:
		since := now
		m.lacking = &since
		return true
	case now.Sub(*m.lacking) < doubt:
		return true
	default: // all that is said is that it has gone
		m.lacking, m.newest, m.conversation, m.without = nil, feed.Key{}, 0, true
	}
	return false
}

// meant reports whether an answer with other people's rows is one to this user: it has the
// newest change of the user's that is known, or one more request finds that. Where none is
// known it has to have any.
func (s *Source) meant(ctx context.Context, rows []datasource.Entry, foreign map[int64]bool) (bool, error) {
	known, conversation := s.mine.known()
	if known.ID == 0 {
		ours := slices.ContainsFunc(rows, func(e datasource.Entry) bool { return !foreign[e.DataSourceID] })
		if ours || s.mine.nothing() {
			return true, nil
		}
		if s.mine.begins() { // who is in no conversation misses nothing
			members, err := s.Members(ctx)
			if err != nil {
				return false, err
			}
			s.mine.none(len(members) == 0)
		}
		return s.mine.nothing() || !s.mine.lacks(true, noneFor), nil
	}
	has := func(rows []datasource.Entry) bool {
		return slices.ContainsFunc(rows, func(e datasource.Entry) bool { return e.ID == known.ID && e.DataSourceID == conversation })
	}
	found := has(rows)
	if !found {
		w := want{column: updatedAt, after: feed.Key{Time: known.Time}, deletions: true, limit: s.PageSize}
		var u unchecked
		there, err := s.try(ctx, ours, func() (err error) {
			u, err = s.across(ctx, w)
			return err
		})
		switch {
		case tooLarge(err):
			return true, nil
		case err != nil:
			return false, err
		}
		found = !there || has(u.rows) || u.more && short(u.rows, known)
	}
	return !s.mine.lacks(!found, doubtFor), nil
}

// short reports whether an answer that may have been cut ends before a change. One that is in
// order and goes on behind it has it, wherever it was cut.
func short(rows []datasource.Entry, change feed.Key) bool {
	last := feed.Key{}
	for i := range rows {
		k := ChangeKey(&rows[i])
		if k.Compare(last) < 0 {
			return true // in no order, so that it can be anywhere
		}
		last = k
	}
	return last.Compare(change) < 0
}
