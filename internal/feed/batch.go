package feed

import (
	"cmp"
	"slices"
)

// batch collects what one paging found until it can be delivered in order. Its
// versions count as known within the paging, but enter the reader's memory only
// when they are handed over: a dropped batch leaves no trace.
type batch struct {
	news, updates, gaps []Event
	seen                *dense[int64, version] // nil, like origins, if there are none
	highest             int64                  // of the ids in seen, or higher: most rows are newer than those before
	origins             *dense[originKey, int64]
	held                map[int64]*heldRows
	late                map[int64]bool // rows whose time the poll had passed
	byID                bool           // times do not tell the order of news
}

// heldRows are rows of a conversation the reader does not know yet.
type heldRows struct {
	conversation int64
	first        Key  // the oldest of rows
	after        Time // where the page began that the conversation appeared on
	rows         []Row
}

func (b *batch) reset() {
	clear(b.news) // release the payloads
	clear(b.updates)
	b.news, b.updates, b.gaps = b.news[:0], b.updates[:0], nil
	b.seen.clear()
	b.highest = 0
	b.origins.clear()
	clear(b.held)
	b.late, b.byID = nil, false
}

func (b *batch) empty() bool {
	return len(b.news)+len(b.updates)+len(b.gaps)+b.seen.len() == 0
}

func (b *batch) lookup(id int64) (version, bool) {
	if id > b.highest {
		return version{}, false
	}
	return b.seen.get(id)
}

func (b *batch) has(id int64) bool { return id <= b.highest && b.seen.has(id) }

// see records a version for the rest of the paging.
func (b *batch) see(r *Row, duplicate bool) {
	v := versionOf(r)
	v.duplicate = duplicate
	needed(&b.seen).put(r.ID, v)
	b.highest = max(b.highest, r.ID)
	if v.origin != 0 && !duplicate {
		needed(&b.origins).put(originKey{v.conversation, v.origin}, r.ID)
	}
}

// mergeDuplicate merges two rows of one send within the batch, and reports whether
// there were two. The one with the lower id stays visible; the other is returned.
func (b *batch) mergeDuplicate(r *Row, history bool) (*Row, bool) {
	if r.Origin == 0 {
		return nil, false
	}
	k := originKey{r.Conversation, r.Origin}
	other, ok := b.origins.get(k)
	if !ok || other == r.ID {
		return nil, false
	}
	i := slices.IndexFunc(b.news, func(e Event) bool { return e.Row.ID == other })
	if other < r.ID || i < 0 {
		b.see(r, true)
		return r, true
	}
	b.hide(other)
	hidden := b.news[i].Row
	b.news[i] = Event{Row: *r, History: history}
	b.updates = slices.DeleteFunc(b.updates, func(e Event) bool { return e.Row.ID == other })
	b.see(r, false)
	return &hidden, true
}

// repeats takes out a new row of a send whose first row turns out to be history.
func (b *batch) repeats(r *Row) {
	other, ok := b.origins.get(originKey{r.Conversation, r.Origin})
	if !ok || r.Origin == 0 || r.Deleted || other <= r.ID {
		return
	}
	news := len(b.news)
	b.news = slices.DeleteFunc(b.news, func(e Event) bool { return e.Row.ID == other })
	if len(b.news) < news {
		b.hide(other)
	}
}

// stands notes the send of a row that is not new, so that a later row of it is not, either.
func (b *batch) stands(r *Row) {
	if r.Origin == 0 {
		return
	}
	b.repeats(r)
	k := originKey{r.Conversation, r.Origin}
	if _, ok := b.origins.get(k); !ok {
		needed(&b.origins).put(k, r.ID)
	}
}

// hide makes a row that was seen the duplicate of another one of its send.
func (b *batch) hide(id int64) {
	v, _ := b.seen.get(id)
	v.duplicate = true
	needed(&b.seen).put(id, v)
}

// hold keeps the newest version of a row of an unknown conversation until the
// conversation is resolved.
func (b *batch) hold(r *Row, after Time) {
	h := b.held[r.Conversation]
	if h == nil {
		if b.held == nil {
			b.held = map[int64]*heldRows{}
		}
		h = &heldRows{conversation: r.Conversation, first: r.createdKey(), after: after}
		b.held[r.Conversation] = h
	}
	if k := r.createdKey(); k.Compare(h.first) < 0 {
		h.first = k
	}
	if i := slices.IndexFunc(h.rows, func(o Row) bool { return o.ID == r.ID }); i >= 0 {
		if r.Updated >= h.rows[i].Updated {
			h.rows[i] = *r
		}
		return
	}
	h.rows = append(h.rows, *r)
}

// release returns the held rows, in order of conversation id.
func (b *batch) release() []*heldRows {
	out := make([]*heldRows, 0, len(b.held))
	for _, h := range b.held {
		out = append(out, h)
	}
	slices.SortFunc(out, func(x, y *heldRows) int { return cmp.Compare(x.conversation, y.conversation) })
	clear(b.held)
	return out
}

// pending counts the rows that wait for the end of the paging.
func (b *batch) pending() int {
	n := len(b.news)
	for _, h := range b.held {
		n += len(h.rows)
	}
	return n
}

// size is about the bytes of these rows, and of the changes.
func (b *batch) size() (n int) {
	for _, events := range [...][]Event{b.news, b.updates} {
		for i := range events {
			n += events[i].Row.Size
		}
	}
	for _, h := range b.held {
		for i := range h.rows {
			n += h.rows[i].Size
		}
	}
	return n
}

func (b *batch) sort() {
	if b.byID {
		sortEvents(b.news, func(r *Row) Key { return Key{ID: r.ID} })
	} else {
		sortEvents(b.news, (*Row).createdKey)
	}
	sortEvents(b.updates, (*Row).UpdatedKey)
}

// sortEvents sorts by a key. Most batches are sorted already.
func sortEvents(events []Event, key func(*Row) Key) {
	for i := 1; i < len(events); i++ {
		if key(&events[i-1].Row).Compare(key(&events[i].Row)) > 0 {
			slices.SortStableFunc(events, func(x, y Event) int { return key(&x.Row).Compare(key(&y.Row)) })
			return
		}
	}
}
