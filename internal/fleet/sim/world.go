package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
)

// epoch is when a run begins, on all clocks.
var epoch = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// stamp is a server's time as it prints it: in whole milliseconds.
func stamp(t time.Time) feed.Time { return feed.Time(t.UnixMilli() * 1000) }

// world is the server, and everybody who writes to it.
type world struct {
	opt     *Options
	rnd     *rand.Rand
	convs   []wconv
	rows    []wrow
	vers    []wver
	weights []float64   // cumulated, of conversations
	of      [][]int32   // the conversations of each user
	starts  []time.Time // of requests in the current window
	refused int
	audit   []fleet.Mark
	audited []time.Time // when entries of the audit log become visible
	latest  []feed.Time // the latest time up to each of them
}

type wconv struct {
	users            []int32
	created, changed feed.Time
	joined           map[int32]feed.Time
	vers             []int32 // in order of change
	rows             int32
}

// wrow is a message. Its id is its index plus one, and so is that of its conversation.
type wrow struct {
	conv    int32
	head    int32
	place   int32 // among those of the conversation
	created feed.Time
	visible time.Time
	edited  bool
	late    bool
}

type wver struct {
	row, prev int32
	deleted   bool
	updated   feed.Time
	visible   time.Time
}

func newWorld(opt *Options, rnd *rand.Rand) *world {
	w := &world{opt: opt, rnd: rnd, of: make([][]int32, opt.Users)}
	if n := (opt.Rate + opt.Sends) * opt.For.Seconds() * (1 + opt.Edits + opt.Deletes) * 1.1; n > 0 { // else what points to a version keeps each array that there was
		w.vers = make([]wver, 0, int(n)+2*opt.Bursts*opt.Burst)
	}
	old := stamp(epoch.Add(-24 * time.Hour))
	bot := min(opt.Bot, opt.Conversations)
	total := 0.
	for i := range opt.Conversations {
		c := wconv{created: old, changed: old}
		if i < bot {
			c.users = append(c.users, 0)
		}
		for range 2 + rnd.IntN(3) {
			if u := int32(rnd.IntN(opt.Users)); !slices.Contains(c.users, u) {
				c.users = append(c.users, u)
			}
		}
		slices.Sort(c.users)
		w.convs = append(w.convs, c)
		for _, u := range c.users {
			w.of[u] = append(w.of[u], int32(i))
		}
		total += math.Pow(float64(1+rnd.IntN(opt.Conversations)), -0.7)
		w.weights = append(w.weights, total)
	}
	return w
}

// pick is a conversation, the lively ones more often.
func (w *world) pick() int32 {
	x := w.rnd.Float64() * w.weights[len(w.weights)-1]
	return int32(min(sort.SearchFloat64s(w.weights, x), len(w.weights)-1))
}

// say stores a message, and returns its row.
func (w *world) say(now time.Time, conv int32) int32 {
	row := int32(len(w.rows))
	visible, late := w.lag(now)
	w.rows = append(w.rows, wrow{conv: conv, head: -1, created: w.clock(now), visible: visible, late: late, place: w.convs[conv].rows})
	w.convs[conv].rows++
	w.version(now, row, visible, false)
	return row
}

// lag is when something becomes visible. One in fifty comes late.
func (w *world) lag(now time.Time) (time.Time, bool) {
	if w.rnd.IntN(50) != 0 {
		return now, false
	}
	return now.Add(time.Duration(w.rnd.Int64N(int64(4 * time.Second)))), true
}

// change edits or deletes a message.
func (w *world) change(now time.Time, row int32, deleted bool) bool {
	r := &w.rows[row]
	if w.vers[r.head].deleted {
		return false
	}
	r.edited = true
	visible, _ := w.lag(now)
	w.version(now, row, later(visible, w.vers[r.head].visible), deleted)
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (w *world) version(now time.Time, row int32, visible time.Time, deleted bool) {
	v, r := int32(len(w.vers)), &w.rows[row]
	w.vers = append(w.vers, wver{row: row, prev: r.head, deleted: deleted, updated: w.clock(now), visible: visible})
	r.head = v
	c := &w.convs[r.conv]
	c.vers = append(c.vers, v)
	c.changed = w.clock(now.Add(3 * time.Millisecond))
	w.audit = append(w.audit, fleet.Mark{Entry: int64(len(w.audit) + 1), Conversation: int64(r.conv) + 1, At: w.clock(now), Deleted: deleted})
	w.audited = append(w.audited, now.Add(w.opt.AuditLag))
	latest := w.audit[len(w.audit)-1].At
	if n := len(w.latest); n > 0 {
		latest = max(latest, w.latest[n-1])
	}
	w.latest = append(w.latest, latest)
}

// shown reports whether a version is the one that a read shows.
func (w *world) shown(now time.Time, v int32) bool {
	if w.vers[v].visible.After(now) {
		return false
	}
	for h := w.rows[w.vers[v].row].head; h != v; h = w.vers[h].prev {
		if !w.vers[h].visible.After(now) {
			return false
		}
	}
	return true
}

// row is a version as a page has it.
func (w *world) row(v int32) feed.Row {
	x := &w.vers[v]
	r := &w.rows[x.row]
	return feed.Row{
		ID: int64(x.row) + 1, Conversation: int64(r.conv) + 1, Created: r.created, Updated: x.updated,
		Deleted: x.deleted, Hash: uint64(v) + 1, Payload: x,
	}
}

// steps reports whether the clock goes wrong.
func (w *world) steps() bool { return w.opt.Back > 0 || w.opt.Stand > 0 }

// clock is what the server's clock shows. In the middle of the run it may be set back, or stand
// still for a while.
func (w *world) clock(now time.Time) feed.Time {
	middle := epoch.Add(w.opt.For / 2)
	if !w.steps() || now.Before(middle) {
		return stamp(now)
	}
	if now.Sub(middle) < w.opt.Stand {
		now = middle
	}
	return stamp(now.Add(-w.opt.Back))
}

// ordered are the versions of a conversation in order of change.
func (w *world) ordered(conv int32) []int32 {
	vers := w.convs[conv].vers
	if w.steps() {
		vers = slices.Clone(vers)
		slices.SortStableFunc(vers, func(a, b int32) int { return cmp.Compare(w.vers[a].updated, w.vers[b].updated) })
	}
	return vers
}

// seen is what a machine answers that may be behind.
func (w *world) seen(now time.Time, r *fleet.Request) fleet.Answer {
	if w.rnd.Float64() >= w.opt.Behind || now.Sub(epoch) < w.opt.Lag {
		return w.answer(now, r)
	}
	a := w.answer(now.Add(-w.opt.Lag), r)
	a.Clock = w.clock(now)
	return a
}

// newest are the newest live rows of a conversation.
func (w *world) newest(now time.Time, conv int32, limit int, out []feed.Row) []feed.Row {
	vers := w.ordered(conv)
	for i := len(vers) - 1; i >= 0 && limit > 0; i-- {
		if v := vers[i]; !w.vers[v].deleted && w.shown(now, v) {
			out = append(out, w.row(v))
			limit--
		}
	}
	return out
}

// changes are the rows of a conversation after a key, deleted ones too.
func (w *world) changes(now time.Time, conv int32, after feed.Key, limit int, out []feed.Row) []feed.Row {
	vers := w.ordered(conv)
	from := sort.Search(len(vers), func(i int) bool { return w.vers[vers[i]].updated >= after.Time })
	var rows []feed.Row
	for _, v := range vers[from:] {
		if !w.shown(now, v) {
			continue
		}
		if r := w.row(v); (feed.Key{Time: r.Updated, ID: r.ID}).Compare(after) > 0 {
			rows = append(rows, r)
		}
		if len(rows) > limit && limit > 0 && w.vers[v].updated > rows[limit].Updated {
			break
		}
	}
	slices.SortFunc(rows, byChange)
	if limit > 0 && len(rows) > limit {
		rows = rows[:limit]
	}
	return append(out, rows...)
}

// page makes a page of the changes of a conversation: the service counts live rows only, and adds
// all that are deleted to each page.
func (w *world) page(a fleet.Answer, all []feed.Row, limit int) fleet.Answer {
	live := 0
	for i := range all {
		if live < limit || all[i].Deleted {
			a.Rows = append(a.Rows, all[i])
		}
		if !all[i].Deleted {
			if live++; live == limit {
				a.Full, a.Last = true, all[i].UpdatedKey()
			}
		}
	}
	return a
}

func byChange(a, b feed.Row) int { return a.UpdatedKey().Compare(b.UpdatedKey()) }

// answer is what the server says to a request of the fleet.
func (w *world) answer(now time.Time, r *fleet.Request) fleet.Answer {
	a := fleet.Answer{Clock: w.clock(now)}
	switch r.Kind {
	case fleet.List:
		a.Listed = make([]fleet.Listing, len(w.convs))
		for i := range w.convs {
			c := &w.convs[i]
			a.Listed[i] = fleet.Listing{Conversation: int64(i) + 1, Created: c.created, Changed: min(c.changed, w.clock(now))}
			if r.Users {
				a.Listed[i].Users = c.users
			}
			if w.opt.Stuck {
				a.Listed[i].Changed = c.created
			}
		}
	case fleet.Look:
		for i, id := range r.Conversations {
			a.Rows = w.newest(now, int32(id-1), r.Limits[i], a.Rows)
		}
	case fleet.Read:
		a = w.page(a, w.changes(now, int32(r.Conversations[0]-1), r.After, 0, nil), r.Limit)
	case fleet.Across:
		for _, c := range w.of[r.User] {
			a.Rows = w.changes(now, c, r.After, r.Limit, a.Rows)
		}
		slices.SortFunc(a.Rows, byChange)
		if a.Full = len(a.Rows) >= r.Limit; a.Full {
			a.Rows = a.Rows[:r.Limit]
			a.Last = a.Rows[r.Limit-1].UpdatedKey()
		}
	case fleet.Audit:
		from := sort.Search(len(w.latest), func(i int) bool { return w.latest[i] >= r.Since })
		pass := r.Offset
		for i := from; i < len(w.audit) && len(a.Marks) < r.Limit && !w.audited[i].After(now); i++ {
			switch {
			case w.audit[i].At < r.Since:
			case pass > 0:
				pass--
			default:
				a.Marks = append(a.Marks, w.audit[i])
			}
		}
		a.Full = len(a.Marks) >= r.Limit
	}
	return a
}

// admit counts a request at the limit of the server. It says until when one is refused.
func (w *world) admit(now time.Time) (until time.Time, ok bool) {
	for len(w.starts) > 0 && now.Sub(w.starts[0]) >= w.opt.Per {
		w.starts = w.starts[1:]
	}
	if len(w.starts) >= w.opt.Limit {
		w.refused++
		return w.starts[0].Add(w.opt.Per), false
	}
	w.starts = append(w.starts, now)
	return time.Time{}, true
}

// afterOutage reports whether the server has been down within the last minute, and is not.
func (w *world) afterOutage(now time.Time) bool {
	if w.down(now) {
		return false
	}
	for d := time.Second; d <= time.Minute; d += time.Second {
		if w.down(now.Add(-d)) {
			return true
		}
	}
	return false
}

// down reports whether the server is down.
func (w *world) down(now time.Time) bool {
	if w.opt.Outage == 0 {
		return false
	}
	every := int64(w.opt.For) / int64(cmp.Or(w.opt.Outages, 1)+1)
	at := int64(now.Sub(epoch))
	n := at / every
	return n >= 1 && n <= int64(w.opt.Outages) && at-n*every < int64(w.opt.Outage)
}
