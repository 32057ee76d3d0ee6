package rows

import (
	"slices"
	"sync"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// chain is what the first page of a poll, or the first that is read so, has seen of each
// conversation, for the pages that follow. The conversations are read one after the other, so
// that in one of them something may have come since that is before rows of others on that
// page. The next page begins behind it, and would bring what came still later in the same
// conversation first. So the pages of a poll have what was there when its first one was read,
// and the next poll has the rest. Ids tell: no clock has a part in it, since dates may be
// wrong. A row that has changed since is not left out, or it would come behind later ones.
type chain struct {
	after feed.Key // where the first page began
	ends  map[int64]end
	whole bool // the first page is read
}

// end is the end of a conversation.
type end struct {
	last feed.Key // the last change
	id   int64    // the highest id; 0: nothing was there
	open bool     // there were more rows than a page has, so the page ends before what was read
}

// saw notes what a read for the first page has seen.
func (c *chain) saw(r *fetching, w *want) {
	if c == nil || c.whole {
		return
	}
	e := end{open: !r.whole}
	for i := range r.rows {
		k := w.key(&r.rows[i])
		if e.id = max(e.id, k.ID); k.Compare(e.last) > 0 {
			e.last = k
		}
	}
	c.ends[r.id] = e
}

// but leaves out what has come in a conversation since the first page.
func (c *chain) but(rows []datasource.Entry, id int64) []datasource.Entry {
	if c == nil || !c.whole {
		return rows
	}
	e := c.ends[id]
	return slices.DeleteFunc(slices.Clone(rows), func(row datasource.Entry) bool { return !e.open && row.ID > e.id })
}

// behind are the conversations that may have rows after a page.
func (c *chain) behind(after feed.Key) (ids []int64) {
	for id, e := range c.ends {
		if e.open || e.last.Compare(after) > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// chains has the chain of the poll under way.
type chains struct {
	mu  sync.Mutex
	now *chain
}

// of returns the chain that a page belongs to, nil if there is none. With the first page of a
// poll the one before is over.
func (c *chains) of(q feed.Query) *chain {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !q.Partial:
		return nil
	case q.First:
		c.now = nil
	case c.now != nil && c.now.after.Compare(q.After) > 0:
		return nil // of another poll
	}
	return c.now
}

// newChain is the chain that begins with a page, nil for one that belongs to no poll.
func newChain(q feed.Query) *chain {
	if !q.Partial {
		return nil
	}
	return &chain{after: q.After, ends: map[int64]end{}}
}

// goOn keeps a chain for the pages that follow.
func (c *chains) goOn(with *chain) {
	c.mu.Lock()
	defer c.mu.Unlock()
	with.whole, c.now = true, with
}
