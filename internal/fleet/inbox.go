package fleet

import (
	"slices"

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
}

// NewInbox returns the inbox of a listener that begins now, at the server's time since.
func NewInbox(log *Log, since feed.Time, conversations []int64) *Inbox {
	b := &Inbox{log: log, since: since}
	b.Assign(conversations)
	return b
}

// NewArchive returns the inbox of a listener to all conversations.
func NewArchive(log *Log, since feed.Time) *Inbox { return &Inbox{log: log, since: since, all: true} }

// Assign changes the conversations.
func (b *Inbox) Assign(conversations []int64) {
	b.mine = slices.Clone(conversations)
	slices.Sort(b.mine)
}

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
	// Without are the indexes of those rows whose content the log has forgotten.
	Without []int
}

// Answer answers a query.
func (b *Inbox) Answer(q feed.Query) Page {
	p := Page{Clock: feed.Clock{Earliest: b.log.Now(), Latest: b.log.Now()}}
	switch {
	case q.Kind == feed.Changes && q.Conversation == 0:
		b.changes(q, &p)
	case q.Kind == feed.Newest && q.Conversation == 0 && q.Limit == 1:
		// Where a listener begins that begins now: behind what there is.
		p.Rows = []feed.Row{{ID: b.highest(), Created: b.since, Updated: b.log.Now(), Foreign: true}}
	default:
		p.Elsewhere = true
	}
	return p
}

// highest is an id that all of what was there before has passed.
func (b *Inbox) highest() int64 {
	var id int64 = 1
	for i := len(b.log.entries) - 1; i >= max(0, len(b.log.entries)-1000); i-- {
		id = max(id, b.log.entries[i].Row.ID)
	}
	return id
}

// changes puts the entries after a position into a page. It stays below the limit, so
// that the poll of the engine ends with it and the listener gets rows in the order of the
// log, however far behind it is.
func (b *Inbox) changes(q feed.Query, p *Page) {
	after := q.After.Time
	if after < b.log.lost && b.misses(after) {
		p.Lost = true
		return
	}
	most := max(1, q.Limit-1)
	for _, n := range b.entries(after) {
		e := b.log.at(n)
		if e.Changed <= b.since {
			continue
		}
		if len(p.Rows) == most {
			p.More = true
			return
		}
		if e.Row.Payload == nil {
			p.Without = append(p.Without, len(p.Rows))
		}
		p.Rows = append(p.Rows, e.Row)
	}
}

// misses reports whether entries after a position may have been forgotten that the listener
// has to get. A position from before the listener began misses nothing.
func (b *Inbox) misses(after feed.Time) bool { return after >= b.since }

// entries are the numbers of the listener's entries after a position, in order: found
// by conversation, or among all if these are fewer.
func (b *Inbox) entries(after feed.Time) []int {
	var out []int
	first, end := b.log.after(after), b.log.base+len(b.log.entries)
	if b.all || end-first < len(b.mine) {
		for n := first; n < end; n++ {
			if b.Has(b.log.at(n).Row.Conversation) {
				out = append(out, n)
			}
		}
		return out
	}
	for _, c := range b.mine {
		n, ok := b.log.heads[c]
		for ok && n >= first {
			out = append(out, n)
			n = b.log.at(n).prev
		}
	}
	slices.Sort(out)
	return out
}

// Translate prepares rows that the server gave for a query of the engine: those that the
// log has get its stamps. One that the log will have later is left out, since it has to come
// in order. settled is up to where the log has a conversation.
func (b *Inbox) Translate(rows []feed.Row, settled func(conversation int64) feed.Time) []feed.Row {
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
			row.Payload = payload
		} else if row.Updated > settled(row.Conversation) {
			continue
		}
		out = append(out, row)
	}
	return out
}

// EngineConfig is the configuration of an engine that reads an inbox: it is poked when
// there is something, and nothing becomes visible late.
func EngineConfig(base feed.Config) feed.Config {
	base.Overlap = 1000 // a microsecond, the unit of stamps
	base.MinGap = 1
	base.Live, base.Base, base.Max = idle, idle, idle
	return base
}
