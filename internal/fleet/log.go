package fleet

import (
	"cmp"
	"maps"
	"slices"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Entry is one version of a row in the log.
type Entry struct {
	// Row has the stamp of the entry as its time of change. Its Payload is nil once the
	// log has forgotten the content.
	Row feed.Row
	// Changed is the server's time of the change.
	Changed feed.Time
	prev    int // the entry of the same conversation before it, -1 for none
	send    send
}

// LogConfig bounds a [Log]. Zero fields take the defaults.
type LogConfig struct {
	Contents int // entries whose content is kept, default 20,000
	Bytes    int // of that content, about, default 128 MiB
	Keys     int // entries that are kept, default 200,000
}

// Log is the rows of all conversations in the order in which they arrived.
type Log struct {
	cfg     LogConfig
	entries []Entry
	base    int // the number of the first entry
	bare    int // the number of the first entry with content
	bytes   int // of the content
	last    feed.Time
	first   feed.Time      // what was changed before it is not in the log
	heads   map[int64]int  // the newest entry of each conversation
	rows    map[int64]int  // the newest entry of each row
	sends   map[send]int64 // the row that each send was in first
	shown   shown
	oldest  int64               // the lowest id of a row that was created since the log began; 0: there is none
	lost    feed.Time           // the stamp of the last entry that was forgotten
	bareTo  feed.Time           // of what was changed after it the log has the content
	ahead   []int               // the numbers of entries that were changed after their stamp
	passed  map[int]feed.Time   // the times of versions from the future that came before an entry of their row
	lostOf  map[int64]feed.Time // as lost, by conversation
}

// NewLog returns an empty log.
func NewLog(cfg LogConfig) *Log {
	cfg.Contents = cmp.Or(cfg.Contents, 20_000)
	cfg.Bytes = cmp.Or(cfg.Bytes, 128<<20)
	cfg.Keys = max(cmp.Or(cfg.Keys, 200_000), cfg.Contents)
	return &Log{cfg: cfg, heads: map[int64]int{}, rows: map[int64]int{}, sends: map[send]int64{}, passed: map[int]feed.Time{}, lostOf: map[int64]feed.Time{}}
}

// Append adds rows, in order. now is the server's time; stamps grow even if it does not.
func (l *Log) Append(now feed.Time, rows []feed.Row) {
	for i := range rows {
		e := Entry{Row: rows[i], Changed: rows[i].Updated, prev: -1}
		l.last = max(l.last+1, now)
		e.Row.Updated = l.last
		l.recall(&e)
		n := l.base + len(l.entries)
		if prev, ok := l.heads[e.Row.Conversation]; ok {
			e.prev = prev
		}
		if was, ok := l.rows[e.Row.ID]; ok && l.at(was) != nil {
			if later := max(l.at(was).Changed, l.passed[was]); later > e.Changed && len(l.passed) < mostAhead {
				l.passed[n] = later
			}
		}
		l.heads[e.Row.Conversation], l.rows[e.Row.ID] = n, n
		l.entries = append(l.entries, e)
		l.bytes += e.Row.Size
		if e.Changed > e.Row.Updated && len(l.ahead) < mostAhead {
			l.ahead = append(l.ahead, n)
		}
	}
	for n := l.base + len(l.entries) - l.bare; n > l.cfg.Contents || l.bytes > l.cfg.Bytes && n > len(rows); n-- {
		e := l.at(l.bare)
		l.bytes -= e.Row.Size
		e.Row.Payload = nil
		if e.Row.Deleted {
			l.bareTo = max(l.bareTo, e.Row.Updated)
		} else {
			l.bareTo = max(l.bareTo, min(e.Changed, e.Row.Updated))
		}
		l.bare++
	}
	// It waits until there are an eighth more, so that moving them costs little for each.
	if over := len(l.entries) - l.cfg.Keys; over > l.cfg.Keys/8 {
		l.forget(over)
	}
}

// forget drops the oldest entries.
func (l *Log) forget(n int) {
	for i := range l.entries[:n] {
		e := &l.entries[i]
		if l.rows[e.Row.ID] == l.base+i {
			delete(l.rows, e.Row.ID)
		}
		l.leave(e)
		l.lostOf[e.Row.Conversation] = e.Row.Updated
		if l.heads[e.Row.Conversation] == l.base+i {
			delete(l.heads, e.Row.Conversation)
		}
	}
	l.lost = l.entries[n-1].Row.Updated
	l.entries = append(make([]Entry, 0, l.cfg.Keys+l.cfg.Keys/8+1), l.entries[n:]...)
	l.base += n
	l.ahead = slices.DeleteFunc(l.ahead, func(n int) bool { return n < l.base })
	maps.DeleteFunc(l.passed, func(n int, _ feed.Time) bool { return n < l.base })
}

// mostAhead bounds the rows with times from the future that are looked for.
const mostAhead = 1000

// at is an entry by its number, nil if it was forgotten.
func (l *Log) at(n int) *Entry {
	if n < l.base || n >= l.base+len(l.entries) {
		return nil
	}
	return &l.entries[n-l.base]
}

// Now is the log's time: no later entry has a stamp up to it.
func (l *Log) Now() feed.Time { return l.last }

// begin says from when on the log has everything.
func (l *Log) begin(since feed.Time) {
	l.first = since - 1 // an engine that begins now asks from a microsecond before
	l.Tick(since)
}

// Tick moves the log's time to that of the server.
func (l *Log) Tick(now feed.Time) { l.last = max(l.last, now) }

// whole is the time after which the log has all that was changed, with its content.
func (l *Log) whole() feed.Time { return max(l.first+1, l.bareTo) }

// Len is how many entries the log has, and how many of these with content.
func (l *Log) Len() (entries, contents int) {
	return len(l.entries), l.base + len(l.entries) - l.bare
}

// find is the newest entry of a row, nil if there is none.
func (l *Log) find(row int64) *Entry {
	n, ok := l.rows[row]
	if !ok {
		return nil
	}
	return l.at(n)
}

// after is the number of the first entry with a stamp after t.
func (l *Log) after(t feed.Time) int {
	low, high := 0, len(l.entries)
	for low < high {
		if m := (low + high) / 2; l.entries[m].Row.Updated > t {
			high = m
		} else {
			low = m + 1
		}
	}
	return l.base + low
}

// since are the numbers of the entries from one on, in order: at least those of some
// conversations. They are found by conversation, or are all if these are fewer.
func (l *Log) since(first int, conversations []int64, all bool) (numbers []int) {
	end := l.base + len(l.entries)
	if all || end-first < len(conversations) {
		for n := first; n < end; n++ {
			numbers = append(numbers, n)
		}
		return numbers
	}
	for _, c := range conversations {
		for n, ok := l.heads[c]; ok && n >= first; n = l.at(n).prev {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}
