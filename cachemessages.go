package chat

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// recentMessages are the newest rows of the user who streams. Its lock guards the
// cache as a whole: what a session stores, and that a logout removes it.
type recentMessages struct {
	sync.Mutex
	user string
	rows map[int64]cachedRow
	// upto: every change up to it is in rows, or older than what they hold. 0 when
	// that cannot be said of any time.
	upto  feed.Time
	saved time.Time
	dirty bool
}

// cachedPage is recentMessages in Storage.
type cachedPage struct {
	Upto feed.Time   `json:"upto"`
	Rows []cachedRow `json:"rows"`
}

// saveEvery bounds how often the newest messages are written to Storage.
const saveEvery = 5 * time.Second

func (m *recentMessages) forget() {
	m.user, m.rows, m.upto, m.saved, m.dirty = "", nil, 0, time.Time{}, false
}

// cacheMessages notes the rows that answered a query of the receive engine, and
// stores the newest page now and then. The default store dies with the Chat, so
// nothing is kept for it.
func (c *Chat) cacheMessages(ctx context.Context, s *session, q feed.Query, rows []datasource.Entry) {
	if !c.keepsCache {
		return
	}
	m := &c.recent
	m.Lock()
	defer m.Unlock()
	if s.loggedOut {
		return
	}
	if m.user != s.userID {
		m.forget()
		m.user, m.rows = s.userID, map[int64]cachedRow{}
		var before cachedPage
		if ok, err := c.load(ctx, c.cacheKey(s.userID, "messages"), &before); ok && err == nil {
			m.upto = before.Upto
			for _, r := range before.Rows {
				m.rows[r.ID] = r
			}
		}
	}
	m.advance(q, rows)
	for i := range rows {
		m.put(&rows[i])
	}
	if len(m.rows) > 2*batchSize {
		m.newest()
	}
	if m.dirty && time.Since(m.saved) >= saveEvery {
		c.writeMessages(ctx)
	}
}

// advance moves upto over the answer to a query.
func (m *recentMessages) advance(q feed.Query, rows []datasource.Entry) {
	var last feed.Time
	for i := range rows {
		last = max(last, feed.Time(rows[i].UpdatedAt.UnixMicro()))
	}
	// A page that may have been cut must be in the order asked for, or nothing is
	// known about what it leaves out.
	full := len(rows) >= q.Limit
	switch {
	case q.Kind == feed.Newest && q.Conversation == 0 && q.Before == (feed.Key{}) && q.Limit >= batchSize:
		if full && !slices.IsSortedFunc(rows, newestFirst) {
			return
		}
		// What is not on the page is older than it, or gone.
		clear(m.rows)
		m.upto, m.dirty = max(last, 0), true
	case q.Kind == feed.Changes && q.UpdatedTo == 0 && q.CreatedTo == 0 && m.upto != 0 && q.After.Time <= m.upto:
		if full && !slices.IsSortedFunc(rows, firstChanged) {
			return
		}
		if last > m.upto {
			m.upto, m.dirty = last, true
		}
	}
}

func newestFirst(a, b datasource.Entry) int {
	return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
}

func firstChanged(a, b datasource.Entry) int {
	return cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), cmp.Compare(a.ID, b.ID))
}

// put takes one row over. Its data is copied: listeners change theirs.
func (m *recentMessages) put(e *datasource.Entry) {
	old, known := m.rows[e.ID]
	switch {
	case deleted(*e):
		if known {
			delete(m.rows, e.ID)
			m.dirty = true
		}
	case !known || !e.UpdatedAt.Before(old.UpdatedAt):
		r := toCache(e)
		r.Data = wire.CloneMap(e.Data)
		m.rows[e.ID], m.dirty = r, true
	}
}

// newest returns the newest rows, oldest first, and drops the others.
func (m *recentMessages) newest() []cachedRow {
	list := make([]cachedRow, 0, len(m.rows))
	for _, r := range m.rows {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b cachedRow) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	for len(list) > batchSize {
		delete(m.rows, list[0].ID)
		list = list[1:]
	}
	return list
}

// saveMessages stores what cacheMessages has not stored yet, when polling ends.
func (c *Chat) saveMessages(s *session) {
	c.recent.Lock()
	defer c.recent.Unlock()
	if c.recent.dirty && c.recent.user == s.userID && !s.loggedOut {
		ctx, cancel := context.WithTimeout(context.Background(), saveEvery)
		defer cancel()
		c.writeMessages(ctx)
	}
}

// writeMessages stores the newest rows. recent is locked.
func (c *Chat) writeMessages(ctx context.Context) {
	m := &c.recent
	c.save(ctx, c.cacheKey(m.user, "messages"), cachedPage{m.upto, m.newest()})
	m.saved, m.dirty = time.Now(), false
}

// cachedEvents is what a stream that begins with cached messages hands out first,
// and what it tells the engine about them.
type cachedEvents struct {
	events []feed.Event
	rows   []feed.Row
	upto   feed.Time
}

// cachedMessages are the messages an earlier session stored, oldest first. Those of
// conversations that the user is no longer in, as far as the cache knows, are left
// out.
func (c *Chat) cachedMessages(ctx context.Context, s *session) cachedEvents {
	var page cachedPage
	if ok, err := c.load(ctx, c.cacheKey(s.userID, "messages"), &page); err != nil || !ok {
		return cachedEvents{}
	}
	// Reading the list also gives the keys of the bodies.
	if list, err := c.cachedConversations(ctx, s); err == nil {
		page.Rows = slices.DeleteFunc(page.Rows, func(r cachedRow) bool {
			return !slices.ContainsFunc(list, func(v *Conversation) bool { return v.ID == r.DataSourceID })
		})
	}
	entries := make([]datasource.Entry, len(page.Rows))
	for i, r := range page.Rows {
		entries[i] = r.entry()
	}
	cached := cachedEvents{rows: rows.Feed(entries, c.log), upto: page.Upto}
	for i := range cached.rows {
		cached.events = append(cached.events, feed.Event{Row: cached.rows[i]})
	}
	return cached
}
