package fleet

import (
	"math"
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

// read is the request for the changes of a conversation that has been taken.
func (f *Fleet) read(now time.Time, c *conv) Request {
	return Request{
		Kind: Read, convs: []*conv{c}, Conversations: []int64{c.id}, After: c.track.start(f.reach(now, c)), Limit: f.cfg.Page,
	}
}

// dig is a read that looks for deleted rows.
func (f *Fleet) dig(now time.Time) (Request, bool) {
	if len(f.doubts) > 0 && f.doubts[0].idle(now) {
		c := f.doubts[0]
		f.doubts, c.doubtful = f.doubts[1:], false
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
	if last := lastKey(a.Rows); a.Full && last.Compare(r.After) > 0 {
		c.dug = last
		f.doubt(c) // it goes on
		return
	}
	c.checked = max(c.checked, c.told)
	if upto := r.clock - feed.Time(f.cfg.Overlap.Microseconds()); upto > r.After.Time {
		c.dug = feed.Key{Time: upto, ID: math.MaxInt64}
	}
}

// across is the request for the changes of the conversations of a user.
func (f *Fleet) across(user int32) (Request, bool) {
	p := f.people[user]
	if p == nil || p.flying || len(p.convs) == 0 {
		return Request{}, false
	}
	p.flying = true
	r := Request{Kind: Across, User: user, After: p.cursor.start(p.cursor.settled), Limit: f.cfg.Page, cursor: &p.cursor}
	for _, c := range p.convs {
		r.convs = append(r.convs, c)
		if !c.flying {
			c.sign = min(c.reason, Swept)
			f.dirty.set(c, clean)
			c.flying, c.after = true, clean
		}
	}
	return r, true
}

// Take takes the answer to a request. It returns the conversations in which something is new;
// the list is valid until the next call.
func (f *Fleet) Take(now time.Time, r Request, a Answer) []int64 {
	f.touched = f.touched[:0]
	f.fails, f.until, f.succeeded = 0, time.Time{}, now
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
		f.refusals = 0
		f.takeLook(now, r, a)
	case Read:
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
		if !c.track.reaches(mine, limit, f.reach(now, c)) {
			c.extra = min(2*c.extra+4, mostRows)
			c.flying = false
			f.dirty.mark(c, Rest, now)
			f.landed(now, c, 1)
			continue
		}
		c.track.hold(mine, a.Clock, f.late(now, c))
		f.firmed(r, now, c, a.Clock)
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
	t := &c.track
	t.hold(a.Rows, a.Clock, f.late(now, c))
	if last := lastKey(a.Rows); a.Full && last.Compare(r.After) > 0 {
		t.at = last
		if len(t.held) > f.cfg.Collect {
			f.append(c, t.flush())
		}
		c.flying = false
		c.extra = mostRows // it goes on as it was begun
		f.dirty.mark(c, Rest, now)
		f.landed(now, c, 1)
		return
	}
	c.extra = min(c.extra, 10)
	c.checked = max(c.checked, c.told)
	f.firmed(r, now, c, a.Clock)
	f.finish(now, r, c)
}

func (f *Fleet) takeAcross(now time.Time, r Request, a Answer) {
	rows := group(a.Rows)
	for _, c := range r.convs {
		c.track.hold(rows[c.id], a.Clock, f.late(now, c))
	}
	for i := range a.Rows {
		r.cursor.pos = max(r.cursor.pos, feed.Clamp(a.Rows[i].Updated, a.Clock))
	}
	if last := lastKey(a.Rows); a.Full && last.Compare(r.After) > 0 {
		r.cursor.at = last
		for _, c := range r.convs {
			if len(c.track.held) > f.cfg.Collect {
				f.append(c, c.track.flush())
			}
			c.flying = false
			f.dirty.mark(c, Rest, now)
			f.landed(now, c, 1)
		}
		return
	}
	from := r.cursor.settled
	r.cursor.complete(r.asked, now, f.cfg.Overlap)
	for _, c := range r.convs {
		if c.track.settled < from { // it was not in the reads before
			c.flying = false
			f.dirty.mark(c, Rest, now)
			c.extra = mostRows
			f.landed(now, c, 1)
			continue
		}
		c.track.settle(r.cursor.settled)
		c.checked = max(c.checked, c.told)
		f.finish(now, r, c)
	}
}

// lastKey is the highest key of rows, in order of change.
func lastKey(rows []feed.Row) (last feed.Key) {
	for i := range rows {
		if k := (feed.Key{Time: rows[i].Updated, ID: rows[i].ID}); k.Compare(last) > 0 {
			last = k
		}
	}
	return last
}

// finish ends a complete read of a conversation.
func (f *Fleet) finish(now time.Time, r Request, c *conv) {
	fresh := c.track.complete(r.asked, now, f.cfg.Overlap)
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
		f.dirty.lookAgain(c, now, true)
		return
	case sign == Swept && c.looks == 0:
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

// Failure says why a request has no answer.
type Failure struct {
	// Wait is the wait that the server asked for, or 0.
	Wait time.Duration
	// Refused: the server refuses this very request for good.
	Refused bool
}

// Fail says that a request has failed. What it was for stays dirty.
func (f *Fleet) Fail(now time.Time, r Request, why Failure, err error) {
	f.stats.Failed++
	f.ended(r)
	if r.Kind == List || r.Kind == Audit {
		f.strategy.Indexed(now, r, Answer{}, err, &f.view)
	}
	// Other requests were answered meanwhile, so it is not the server that is down.
	alone := why.Refused || f.succeeded.After(r.asked)
	if !alone && !now.Before(f.until) {
		f.fails = min(f.fails+1, 6)
		f.until = now.Add(min(250*time.Millisecond<<f.fails, 10*time.Second))
	}
	if why.Wait > 0 && why.Wait < time.Hour {
		f.until = now.Add(why.Wait)
	}
	if r.Kind == Look && why.Refused {
		f.refused(now, len(r.convs))
	}
	for _, c := range r.convs {
		if alone && why.Wait == 0 {
			f.suspect(now, c, len(r.convs))
		}
		if r.Kind == Read && !r.dig {
			c.track.drop()
		}
		c.flying = false
		f.dirty.mark(c, min(c.after, c.sign), now)
		c.after = clean
	}
}

// refused notes that the server refuses a Look. If it does again and again, the number of
// joins may be why.
func (f *Fleet) refused(now time.Time, size int) {
	if f.refusals++; f.refusals >= 3 && size > fewJoins {
		f.batch, f.batchEnd, f.refusals = max(fewJoins, size/2), now.Add(batchAgain), 0
	}
}

// suspect lets a conversation that may have spoilt a request be read with fewer others, and
// one that fails by itself wait.
func (f *Fleet) suspect(now time.Time, c *conv, size int) {
	if size > 1 {
		c.most = uint8(max(1, math.Round(math.Sqrt(float64(size)))))
		return
	}
	c.fails = min(c.fails+1, 8)
	c.asleep = now.Add(min(time.Second<<c.fails, 5*time.Minute))
}
