package fleet

import (
	"math"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/budget"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// large reports whether more may have happened in a conversation than a Look shows.
func (c *conv) large() bool { return len(c.track.seen)+2+c.extra > mostRows }

// readLarge is the request for the changes of a conversation that is too large for a Look.
func (f *Fleet) readLarge(now time.Time) (Request, bool) {
	if c := f.dirty.first(Rest, now, (*conv).large); c != nil {
		return f.read(now, c), true
	}
	return Request{}, false
}

// readOne is the request for the changes of the most urgent conversation.
func (f *Fleet) readOne(now time.Time) (Request, bool) {
	convs := f.dirty.take(1, now, f.strategy.Pace().Sweep, func(*conv) bool { return true })
	if len(convs) == 0 {
		return Request{}, false
	}
	return f.read(now, convs[0]), true
}

// readThis is the request for the changes of a conversation, unless it is being read.
func (f *Fleet) readThis(now time.Time, conversation int64) (Request, bool) {
	c := f.dirty.convs[conversation]
	if c == nil || !c.idle(now) {
		return Request{}, false
	}
	c.sign = min(c.reason, Swept)
	f.dirty.set(c, clean)
	c.flying, c.after, c.since = true, clean, now
	return f.read(now, c), true
}

// read is the request for the changes of a conversation that has been taken.
func (f *Fleet) read(now time.Time, c *conv) Request {
	return Request{
		Kind: Read, convs: []*conv{c}, Conversations: []int64{c.id}, After: c.track.start(f.reach(now, &c.track)), Limit: f.cfg.Page,
	}
}

// dig is a read that looks for deleted rows.
func (f *Fleet) dig(now time.Time) (Request, bool) {
	if i := slices.IndexFunc(f.doubts, func(c *conv) bool { return c.idle(now) }); i >= 0 {
		c := f.doubts[i]
		f.doubts, c.doubtful = slices.Delete(f.doubts, i, i+1), false
		return f.digAt(now, c), true
	}
	f.dirty.arrange()
	for range min(len(f.dirty.ring), 100) {
		c := f.dirty.ring[f.round%len(f.dirty.ring)]
		f.round = (f.round + 1) % len(f.dirty.ring)
		if c.idle(now) {
			return f.digAt(now, c), true
		}
	}
	return Request{}, false
}

// digWait is the wait between two reads that look for deleted rows.
func (f *Fleet) digWait() time.Duration {
	if len(f.doubts) > 0 {
		return f.cfg.Deletions / 2
	}
	return max(f.cfg.Deletions, 3*time.Hour/time.Duration(max(1, len(f.dirty.convs))))
}

// idle reports whether a conversation can be read now.
func (c *conv) idle(now time.Time) bool { return !c.flying && !now.Before(c.asleep) }

func (f *Fleet) digAt(now time.Time, c *conv) Request {
	c.after = c.reason // what it waits for is still to be read
	f.dirty.set(c, clean)
	c.flying = true
	r := f.read(now, c)
	r.dig = true
	if r.After = c.dug; r.After == (feed.Key{}) {
		r.After = feed.Key{Time: c.begun, ID: math.MaxInt64}
	}
	return r
}

// takeDug takes the deleted rows of a read that looks for them. It begins where the last one
// ended, since live reads pass by what was deleted. They know nothing of it either.
func (f *Fleet) takeDug(now time.Time, r Request, a Answer) {
	c := r.convs[0]
	c.most, c.fails = 0, 0
	var gone []feed.Row
	for i := range a.Rows {
		if e := f.log.find(a.Rows[i].ID); a.Rows[i].Deleted && (e == nil || !e.Row.Deleted) {
			gone = append(gone, a.Rows[i])
		}
	}
	f.append(c, gone)
	f.landed(now, c, len(gone))
	upto := r.clock - feed.Time(f.cfg.Overlap.Microseconds())
	if a.Full && a.Last.Compare(r.After) > 0 && a.Last.Time < upto { // what is behind it has a time in the future
		c.dug = a.Last
		f.doubt(c) // it goes on
		return
	}
	c.checked = max(c.checked, c.told)
	if upto > r.After.Time {
		c.dug = feed.Key{Time: upto, ID: math.MaxInt64}
	}
}

// Take takes the answer to a request. It returns the conversations in which something is new;
// the list is valid until the next call.
func (f *Fleet) Take(now time.Time, r Request, a Answer) []int64 {
	f.touched = f.touched[:0]
	if f.asked = r.clock; r.Kind != Audit { // the log may be up while all else is down
		f.fails, f.until, f.succeeded = 0, time.Time{}, now
	}
	if r.Kind.reads() {
		f.unread, f.unreadErr, f.readAt = time.Time{}, nil, now
	}
	if a.Clock != 0 {
		f.date(r.asked, now, a.Clock)
		f.clock = a.Clock
		f.ahead[f.answers%len(f.ahead)] = a.Clock - feed.Time(now.UnixMicro())
		f.answers++
		f.Tick(now)
	}
	f.ended(r)
	defer f.highest(a.Rows)
	switch r.Kind {
	case List, Audit:
		f.strategy.Indexed(now, r, a, nil, &f.view)
	case Look:
		f.joined(now, len(r.convs))
		f.takeLook(now, r, a)
	case Read:
		f.plain = now
		f.takeRead(now, r, a)
	case Across:
		f.takeAcross(now, r, a)
	}
	return f.touched
}

// highest notes the highest id of rows.
func (f *Fleet) highest(rows []feed.Row) {
	for i := range rows {
		f.top = max(f.top, rows[i].ID)
	}
}

// ended gives back what a request has held.
func (f *Fleet) ended(r Request) {
	switch r.Class {
	case budget.Live:
		f.flights--
	case budget.Index:
		f.indexing = false
	case budget.Backfill:
		f.digging = false
	}
	if r.Kind == Across {
		f.people[r.User].flying = false
	}
}

func (f *Fleet) takeLook(now time.Time, r Request, a Answer) {
	rows := group(a.Rows)
	for i, c := range r.convs {
		mine := rows[c.id]
		c.most, c.fails = 0, 0
		limit := r.Limits[i]
		if a.Cut[c.id] {
			limit = len(mine)
		}
		if !c.track.reaches(mine, limit, f.reach(now, &c.track)) {
			c.extra = min(2*c.extra+4, mostRows)
			c.flying = false
			f.dirty.mark(c, Rest, now)
			f.landed(now, c, 1)
			continue
		}
		f.healed(c)
		c.track.hold(mine, a.Clock, f.late(now, c))
		f.firmed(r, now, &c.track, a.Clock)
		c.whole = max(c.whole, r.clock-feed.Time(f.cfg.Overlap.Microseconds()))
		f.finish(now, r, c)
	}
}

// group sorts rows by conversation, in the order they have.
func group(rows []feed.Row) map[int64][]feed.Row {
	out := make(map[int64][]feed.Row, 64)
	for i := 0; i < len(rows); {
		n := i + 1
		for n < len(rows) && rows[n].Conversation == rows[i].Conversation {
			n++
		}
		c := rows[i].Conversation
		if had := out[c]; had == nil {
			out[c] = rows[i:n:n]
		} else {
			out[c] = append(had, rows[i:n]...)
		}
		i = n
	}
	return out
}

func (f *Fleet) takeRead(now time.Time, r Request, a Answer) {
	if r.dig {
		f.takeDug(now, r, a)
		return
	}
	c := r.convs[0]
	c.most, c.fails = 0, 0
	f.healed(c)
	t := &c.track
	t.hold(a.Rows, a.Clock, f.late(now, c))
	if a.Full && a.Last.Compare(r.After) > 0 {
		t.page(&r, a.Last)
		if len(t.held) > f.cfg.Collect {
			f.append(c, t.flush())
		}
		c.flying = false
		c.extra = mostRows // it goes on as it was begun
		f.dirty.mark(c, Rest, now)
		f.landed(now, c, 1)
		return
	}
	t.whole(&r)
	c.extra = min(c.extra, 10)
	c.checked = max(c.checked, c.told)
	f.firmed(r, now, &c.track, a.Clock)
	c.whole = max(c.whole, r.clock-feed.Time(f.cfg.Overlap.Microseconds()))
	f.finish(now, r, c)
}

// finish ends a complete read of a conversation.
func (f *Fleet) finish(now time.Time, r Request, c *conv) {
	fresh := c.track.complete(&r, now, f.cfg.Overlap)
	c.read, c.until = r.asked, max(c.until, r.clock-feed.Time(f.cfg.Overlap.Microseconds()))
	sign := c.sign
	if len(fresh) > 0 {
		f.append(c, fresh)
		c.looks = 0
		c.extra = max(1, min(c.extra*3/4, len(fresh)+c.extra/2))
	} else {
		c.extra = max(1, c.extra/2)
	}
	f.landed(now, c, len(fresh))
	f.pace.saw(now, sign, len(fresh) > 0)
	switch {
	case len(fresh) > 0:
		c.vain = 0
	case sign == Rung || sign == Doubted:
		c.vain = min(c.vain+1, doubts)
	}
	switch {
	case len(fresh) > 0:
		f.dirty.lookAgain(c, now, true)
		return
	case sign == Swept && c.looks == 0:
		return
	case sign == Doubted:
		return
	case sign == Again && c.looks == 0:
		return // nothing has become visible behind the row
	}
	// A sign was seen but no row: it may not be visible yet, or have been deleted.
	if sign == Again || sign == Swept {
		if c.looks >= looks {
			if c.looks = 0; c.told > c.track.pos+bump && c.told > c.checked {
				f.doubt(c)
			}
			return
		}
	}
	c.looks++
	f.dirty.lookAgain(c, now, false)
}

// landed ends the part of a request that is about one conversation.
func (f *Fleet) landed(now time.Time, c *conv, fresh int) {
	f.stats.Places++
	if fresh > 0 {
		f.stats.Hits++
	}
	f.dirty.landed(c, now)
}

// append puts rows into the log.
func (f *Fleet) append(c *conv, rows []feed.Row) {
	if len(rows) == 0 {
		return
	}
	f.stats.Rows += len(rows)
	f.log.Append(f.log.Now(), rows)
	f.touched = append(f.touched, c.id)
}
