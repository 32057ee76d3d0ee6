package fleet

import (
	"cmp"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// track is what has been read of one conversation.
//
// A row may become visible up to an overlap after its time. So a change is settled when
// it was seen an overlap before the last complete read was asked for; until then versions
// are remembered one by one.
type track struct {
	settled feed.Time // every version that was changed up to it is in the log
	pos     feed.Time // the newest change that was seen
	upto    feed.Time // settles when the window is over
	from    time.Time // since when the window is open; zero: it is not
	seen    []sight   // the versions after settled
	held    []feed.Row
	shown   feed.Time // the newest change that the read under way has shown
	at      feed.Key  // where the next page of an incomplete read begins
	asked   time.Time // when its first page was asked for
	clock   feed.Time // the server's then, or earlier
	firm    feed.Time // up to when it was read while the clock was wrong
	firmAt  int       // how often the clock had been set back then
}

// sight is one version of a row.
type sight struct {
	id      int64
	updated feed.Time
	hash    uint64
	deleted bool
	ahead   bool // its time was in the future when it was seen first
}

func sightOf(r *feed.Row) sight {
	return sight{id: r.ID, updated: r.Updated, hash: r.Hash, deleted: r.Deleted}
}

// is reports whether it is the same version as another one.
func (v sight) is(o sight) bool {
	v.ahead, o.ahead = false, false
	return v == o
}

// before reports whether it is an earlier version than another one of its row, as a machine that is
// behind shows it. A version from the future is followed by any other, also once its time has come.
func (v sight) before(o sight) bool { return o.updated > v.updated && !o.ahead }

// begin makes everything up to a time history.
func (t *track) begin(since feed.Time) { t.settled, t.pos = since, since }

// start is where a read of changes begins that reaches so far back.
func (t *track) start(reach feed.Time) feed.Key {
	if t.at != (feed.Key{}) {
		return t.at
	}
	return feed.Key{Time: reach, ID: 1<<63 - 1}
}

// hold takes the rows of a read that is not complete yet. They wait, so that the log has
// them in order. late tells those that are new although their time is settled.
func (t *track) hold(rows []feed.Row, clock feed.Time, late func(*feed.Row) bool) {
	for i := range rows {
		row := &rows[i]
		t.shown = max(t.shown, row.Updated)
		if row.Updated <= t.settled {
			if late(row) && !slices.ContainsFunc(t.held, func(o feed.Row) bool { return o.ID == row.ID }) {
				t.held = append(t.held, *row)
			}
			continue
		}
		v := sightOf(row)
		stale := slices.ContainsFunc(t.seen, func(o sight) bool {
			return o.is(v) || o.id == v.id && (v.before(o) || o.deleted && !v.deleted)
		})
		if stale {
			continue
		}
		v.ahead = feed.Clamp(row.Updated, clock) != row.Updated
		t.seen = append(t.seen, v)
		t.held = append(t.held, *row)
		t.pos = max(t.pos, feed.Clamp(row.Updated, clock))
	}
}

// page notes that a read goes on after a row.
func (t *track) page(r *Request, last feed.Key) {
	if t.at == (feed.Key{}) {
		t.asked, t.clock = r.asked, r.clock
	}
	t.at = last
}

// whole makes the last page of a read the whole of it, which says nothing of what became
// visible behind its first page meanwhile.
func (t *track) whole(r *Request) {
	if t.at != (feed.Key{}) {
		r.asked, r.clock, r.paged = t.asked, t.clock, true
	}
}

// complete ends a read, and returns what is new in it, in order of creation.
func (t *track) complete(r *Request, now time.Time, overlap time.Duration) []feed.Row {
	fresh, asked := t.flush(), r.asked
	// A machine that is behind knows nothing of what becomes visible late.
	behind := t.shown < t.upto
	t.at, t.shown = feed.Key{}, 0
	pos := t.pos
	if r.paged {
		pos = min(pos, r.clock)
	}
	t.settled = max(t.settled, pos-feed.Time(overlap.Microseconds()))
	if !t.from.IsZero() && asked.Sub(t.from) >= overlap && !behind {
		t.settled, t.from = max(t.settled, t.upto), time.Time{}
	}
	t.settle(t.settled)
	if t.from.IsZero() && t.pos > t.settled {
		t.upto, t.from = t.pos, now
	}
	return fresh
}

// settle makes everything up to a time settled.
func (t *track) settle(upto feed.Time) {
	t.settled = max(t.settled, upto)
	t.pos = max(t.pos, t.settled)
	if len(t.seen) > 0 {
		t.seen = slices.DeleteFunc(t.seen, func(v sight) bool { return v.updated <= t.settled })
		if len(t.seen) == 0 {
			t.seen = nil
		}
	}
}

// flush returns the rows that wait, in order of creation.
func (t *track) flush() []feed.Row {
	fresh := t.held
	t.held = nil
	slices.SortFunc(fresh, func(a, b feed.Row) int {
		return cmp.Or(cmp.Compare(a.Created, b.Created), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Updated, b.Updated))
	})
	return fresh
}

// reaches reports whether the newest rows of a conversation, of which limit were asked for,
// leave out none that was changed later than so far back.
func (t *track) reaches(rows []feed.Row, limit int, back feed.Time) bool {
	if len(rows) < limit {
		return true
	}
	for i := range rows {
		if rows[i].Updated <= back {
			return true
		}
	}
	return false
}

// drop forgets an incomplete read.
func (t *track) drop() {
	for i := range t.held {
		v := sightOf(&t.held[i])
		t.seen = slices.DeleteFunc(t.seen, func(o sight) bool { return o.is(v) })
	}
	t.held, t.at, t.shown = nil, feed.Key{}, 0
}
