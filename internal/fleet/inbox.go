package fleet

import (
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Inbox answers the queries of one listener's engine from the log.
//
// The engine has to be made with [EngineConfig]. Its owner asks again while [Page.More]
// is set, and asks the server for what [Page.Elsewhere] and [Page.Without] name.
type Inbox struct {
	log   *Log
	since feed.Time // by the server's clock; what was changed up to it is history
	// mine are the conversations, in order; all: every one.
	mine []int64
	all  bool
	// pages are the newest rows of conversations that the engine has not asked for yet, and
	// from is which entries of a joined conversation its first page had.
	pages map[int64]joined
	from  map[int64]feed.Time
	start feed.Time // when a listener began whose engine has not asked yet
	upto  feed.Time // up to when the listener has had everything
	// What was given is not had yet: its content may be missing still, or the engine may go
	// back to read it again. The next query tells: it begins at last, the end of the page, and
	// what was changed up to next was had.
	after, last, next feed.Time
}

// joined is the first page of a conversation, and the stamp of the log when it was read.
type joined struct {
	rows []feed.Row
	at   feed.Time
}

// NewInbox returns the inbox of a listener that begins now. What was changed up to since,
// by the server's clock, is not told to it; 0: the engine knows, since it reads the newest rows
// first, or was there before.
func NewInbox(log *Log, since feed.Time, conversations []int64) *Inbox {
	b := &Inbox{log: log, since: since, upto: log.Now()}
	b.Assign(conversations)
	return b
}

// NewArchive returns the inbox of a listener to all conversations.
func NewArchive(log *Log, since feed.Time) *Inbox {
	return &Inbox{log: log, since: since, upto: log.Now(), all: true}
}

// Assign changes the conversations.
func (b *Inbox) Assign(conversations []int64) {
	b.mine = slices.Clone(conversations)
	slices.Sort(b.mine)
	b.mine = slices.Compact(b.mine)
}

// Conversations are those of the listener; nil for an archive.
func (b *Inbox) Conversations() []int64 { return slices.Clone(b.mine) }

// Has reports whether a conversation is one of the listener's.
func (b *Inbox) Has(conversation int64) bool {
	if b.all {
		return true
	}
	_, ok := slices.BinarySearch(b.mine, conversation)
	return ok
}

// Page is the answer to a query of the engine.
type Page struct {
	Rows  []feed.Row
	Clock feed.Clock
	// More: there are more rows in the log, so another poll is due.
	More bool
	// Elsewhere: only the server has the answer.
	Elsewhere bool
	// Lost: the log has forgotten rows that the listener has not had. It has to begin again.
	Lost bool
	// Without are the indexes of those rows whose content the log has forgotten, and Changed
	// the server's times of these versions.
	Without []int
	Changed []feed.Time
}

// Answer answers a query.
func (b *Inbox) Answer(q feed.Query) Page {
	p := Page{Clock: feed.Clock{Earliest: b.log.Now(), Latest: b.log.Now()}}
	switch {
	case q.Kind == feed.Changes && q.Conversation == 0:
		b.changes(q, &p)
	case q.Kind == feed.Newest && q.Conversation == 0 && q.Limit == 1:
		// Where a listener begins that begins now: behind what there is.
		at := b.log.Now()
		if b.start != 0 {
			at, b.start = b.start, 0
		}
		p.Rows = []feed.Row{{ID: b.highest(at), Created: max(b.since, at), Updated: at, Foreign: true}}
	case q.Kind == feed.Newest && b.pages[q.Conversation].rows != nil:
		p.Rows, p.Elsewhere = b.joined(q)
	default:
		p.Elsewhere = true
	}
	return p
}

// highest is an id that all has passed that came later than some time ago. What is on its way
// into the log may have a lower one than the last entry.
func (b *Inbox) highest(at feed.Time) int64 {
	var id int64 = 1
	first := b.log.after(at-doubtful) - b.log.base
	for i := first - 1; i >= max(0, first-1000); i-- {
		id = max(id, b.log.entries[i].Row.ID)
	}
	return id
}

// doubtful is how long a row may be on its way into the log.
const doubtful = feed.Time(30 * time.Second / time.Microsecond)

// changes puts the entries after a position into a page. It stays below the limit, so
// that the poll of the engine ends with it and the listener gets rows in the order of the
// log, however far behind it is.
func (b *Inbox) changes(q feed.Query, p *Page) {
	after := q.After.Time
	if after < b.log.first {
		p.Elsewhere = true // it began before the log
		return
	}
	if b.had(after); b.misses() {
		p.Lost = true
		return
	}
	most := max(1, q.Limit-1)
	for _, n := range b.entries(after) {
		e := b.log.at(n)
		if e.Changed <= b.since || e.Row.Updated <= b.from[e.Row.Conversation] {
			continue
		}
		if len(p.Rows) == most {
			p.More, b.next = true, b.last
			return
		}
		if e.Row.Payload == nil {
			p.Without, p.Changed = append(p.Without, len(p.Rows)), append(p.Changed, e.Changed)
		}
		p.Rows = append(p.Rows, e.Row)
		b.last = e.Row.Updated
	}
	b.next = b.log.Now()
}

// had notes what a query tells of the pages before it.
func (b *Inbox) had(after feed.Time) {
	switch {
	case after < b.after: // the engine has gone back
		b.upto = min(b.upto, after)
	case after >= b.last:
		b.upto = max(b.upto, b.next)
	}
	b.after, b.last, b.next = after, 0, b.upto
}

// Start says that a listener begins at this moment. Its engine asks later where that is.
func (b *Inbox) Start() {
	if b.start == 0 {
		b.start = b.log.Now()
	}
}

// Caught says that the listener was given by the server what the log had forgotten.
func (b *Inbox) Caught() { b.upto, b.next = b.log.Now(), b.log.Now() }

// misses reports whether an entry was forgotten that the listener was not given.
func (b *Inbox) misses() bool {
	if b.all || b.upto >= b.log.lost {
		return b.upto < b.log.lost
	}
	return slices.ContainsFunc(b.mine, func(c int64) bool { return b.log.lostOf[c] > max(b.upto, b.from[c]) })
}

// entries are the numbers of the listener's entries after a position, in order.
func (b *Inbox) entries(after feed.Time) []int {
	numbers := b.log.since(b.log.after(after), b.mine, b.all)
	return slices.DeleteFunc(numbers, func(n int) bool { return !b.Has(b.log.at(n).Row.Conversation) })
}

// Joined says that a conversation is the listener's now. rows are its newest ones, as the
// server gave them for [Inbox.JoinQuery]. They are read before the engine hears of the
// join, so that other conversations do not wait for them.
func (b *Inbox) Joined(conversation int64, rows []feed.Row, settled func(row *feed.Row) feed.Time) {
	if b.pages == nil {
		b.pages, b.from = map[int64]joined{}, map[int64]feed.Time{}
	}
	b.pages[conversation] = joined{append([]feed.Row{}, b.Translate(rows, settled)...), b.log.Now()}
	if i, ok := slices.BinarySearch(b.mine, conversation); !ok {
		b.mine = slices.Insert(b.mine, i, conversation)
	}
}

// JoinQuery is what the server is asked for a conversation before [Inbox.Joined].
func JoinQuery(conversation int64, limit int) feed.Query {
	return feed.Query{Kind: feed.Newest, Conversation: conversation, Limit: limit}
}

// joined answers the engine's first query for a joined conversation: the rows that were read
// for it, and what the log has had since. Later entries come in later pages. elsewhere: the log has
// forgotten some of that meanwhile, so the server is asked again.
func (b *Inbox) joined(q feed.Query) (page []feed.Row, elsewhere bool) {
	rows, read, at := b.pages[q.Conversation].rows, b.pages[q.Conversation].at, map[int64]int{}
	delete(b.pages, q.Conversation)
	for i := range rows {
		at[rows[i].ID] = i
	}
	for n, ok := b.log.heads[q.Conversation]; ok && n >= b.log.base; n = b.log.at(n).prev {
		e := b.log.at(n)
		i, had := at[e.Row.ID]
		switch {
		case e.Row.Payload == nil:
			elsewhere = elsewhere || e.Row.Updated > read
		case !had:
			at[e.Row.ID] = len(rows)
			rows = append(rows, e.Row)
		case e.Row.Updated > rows[i].Updated:
			rows[i] = e.Row
		}
	}
	if elsewhere || b.log.lostOf[q.Conversation] > read {
		return nil, true
	}
	rows = slices.DeleteFunc(rows, func(r feed.Row) bool { return r.Deleted })
	slices.SortFunc(rows, func(x, y feed.Row) int {
		return feed.Key{Time: y.Created, ID: y.ID}.Compare(feed.Key{Time: x.Created, ID: x.ID})
	})
	b.from[q.Conversation] = b.log.Now()
	for i := range rows {
		rows[i].Past = nil // it may be several versions
	}
	return rows[:min(len(rows), q.Limit)], false
}

// Translate prepares rows that the server gave for a query of the engine: those that the
// log has get its stamps. One that the log will have later is left out, since it has to come
// in order. settled is [Fleet.Settled].
func (b *Inbox) Translate(rows []feed.Row, settled func(row *feed.Row) feed.Time) []feed.Row {
	out := rows[:0]
	for _, row := range rows {
		if e := b.log.find(row.ID); e != nil {
			payload := row.Payload
			if e.Changed != row.Updated || e.Row.Deleted != row.Deleted {
				if e.Row.Payload == nil {
					continue // the later version comes with the log
				}
				payload = e.Row.Payload
			}
			row = e.Row
			row.Payload, row.Past = payload, nil // it may be several versions
		} else if row.Updated > settled(&row) {
			continue
		} else {
			b.log.shown.put(&row)
		}
		out = append(out, row)
	}
	return out
}

// EngineConfig is the configuration of an engine that reads an inbox: it is poked when
// there is something, and nothing becomes visible late, so no row is asked for again. It soon
// forgets what it was told: the log is one for all listeners, and remembers more.
func EngineConfig(base feed.Config) feed.Config {
	base.Apart = max(time.Minute, 2*base.Overlap)
	base.Overlap = 1 // less than the unit of stamps; 0 would be the default
	base.MinGap = 1
	base.Live, base.Base, base.Max = idle, idle, idle
	return base
}
