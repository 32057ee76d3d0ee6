package fleet

import (
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// A server's clock may be set back, or stand still. What is written then has times that reads
// have passed already. The clock of answers shows it, held against the owner's. For a while
// reads go back to where the clock was set to, and ids tell what is new: they grow even when
// times do not.

const (
	// tick is how exact the clock of an answer is.
	tick = feed.Time(time.Second / time.Microsecond)
	// oddFor is how long after the clock is right again reads go back: each conversation was
	// swept by then.
	oddFor = 5 * time.Minute
)

// odd is what is known of a clock that was set back.
type odd struct {
	until time.Time
	since feed.Time // the earliest time that rows may have
	top   int64     // the highest id that was seen before
	n     int       // how often it was set back
}

// date notes the clock of an answer to a request.
func (f *Fleet) date(asked, now time.Time, clock feed.Time) {
	least, most := clock-feed.Time(now.UnixMicro()), clock+tick-feed.Time(asked.UnixMicro())
	if f.dated.IsZero() {
		f.dated, f.shown, f.peak = now, least, clock
		return
	}
	stepped := most+tick < f.shown
	if o := &f.odd; stepped {
		// It was set back after the last answer, or has gone slowly since.
		since := clock - feed.Time(now.Sub(f.dated).Microseconds()) - tick
		if now.Before(o.until) {
			since = min(since, o.since)
		} else {
			o.top = f.top
		}
		o.since, o.n, f.shown = since, o.n+1, least
	}
	if f.dated, f.shown, f.peak = now, max(f.shown, least), max(f.peak, clock); stepped || clock < f.peak && now.Before(f.odd.until) {
		f.odd.until = now.Add(oddFor)
	}
}

// wrong reports whether the clock was wrong lately.
func (f *Fleet) wrong(now time.Time) bool { return now.Before(f.odd.until) }

// reach is how far back a read has to go, of a conversation or across.
func (f *Fleet) reach(now time.Time, t *track) feed.Time { return f.known(now, t, t.settled) }

// known is up to when everything was read for certain that was read up to a time by a clock that
// was right.
func (f *Fleet) known(now time.Time, t *track, upto feed.Time) feed.Time {
	if !f.wrong(now) {
		return upto
	}
	from := f.odd.since
	if t.firmAt == f.odd.n {
		from = max(from, t.firm)
	}
	return min(upto, from-feed.Time(f.cfg.Overlap.Microseconds()))
}

// late reports whether a row is new although its time is settled.
func (f *Fleet) late(now time.Time, c *conv) func(*feed.Row) bool {
	if !f.wrong(now) {
		return func(*feed.Row) bool { return false }
	}
	reach := f.reach(now, &c.track)
	return func(row *feed.Row) bool {
		return !row.Deleted && row.ID > f.odd.top && min(row.Created, row.Updated) > reach && f.log.find(row.ID) == nil
	}
}

// firmed notes that a read has come to its end, by the clock of the answer.
func (f *Fleet) firmed(r Request, now time.Time, t *track, clock feed.Time) {
	if clock != 0 && f.wrong(now) {
		t.firm, t.firmAt = min(r.clock, clock-feed.Time(now.Sub(r.asked).Microseconds())), f.odd.n
	}
}
