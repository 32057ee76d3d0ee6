package rows

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// A row that was stored while a server's clock was behind has a time that polls have
// passed, and no query by time finds it. Its id tells that it is new. The cross-source
// endpoint is asked for such rows in the same request. Without it one query cannot ask
// for either, so the rows with the highest ids of a conversation are looked at, and only
// where these may be too early it is read by id.
//
// Such a look is worth nothing where nothing was stored since the last one, and that the
// time of a data source tells, which moves with its rows: forward or back. It tells only
// that something has happened, never when.

const (
	// peakRows is how many rows a look asks for. While fewer than these are new, and none of
	// them is early, there is nothing to read by id.
	peakRows = 10
	// sureAfter is for how long a data source must have had its time before a look counts
	// for later polls: rows may become visible after it, or have come in the same moment.
	sureAfter = 10 * time.Second
)

// peak is what the rows with the highest ids of a conversation were, highest first.
type peak struct {
	rows    []feed.Key
	changed feed.Time // of its data source, as listed before the look
	latest  feed.Time // the latest such time
	since   time.Time // when the first list had it; zero: long ago
	sure    bool
	doubted bool // a look has shown less than one before
}

// peaks are those of all conversations. The zero value is empty; it is safe for
// concurrent use.
type peaks struct {
	mu sync.Mutex
	of map[int64]*peak
}

// still returns the rows of an earlier look if nothing can have been stored since. While
// the time of a data source is behind what it was, it is the time of a wrong clock, which
// may say it twice.
func (p *peaks) still(m Member) ([]feed.Key, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.of[m.ID]
	if changed := Micros(m.Changed); k == nil || !k.sure || changed == 0 || changed != k.changed || changed < k.latest {
		return nil, false
	}
	return k.rows, true
}

// back reports whether the time of a data source is behind what it was.
func (p *peaks) back(m Member) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.of[m.ID]
	return k != nil && Micros(m.Changed) < k.latest
}

// note keeps what a look has shown. listed is when the list was read that m is from. It
// reports whether the look is believed: one that lacks a row may be one of which something
// on the way has answered, so another one has to say the same.
func (p *peaks) note(m Member, rows []feed.Key, listed time.Time, server feed.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed, k := Micros(m.Changed), p.of[m.ID]
	switch {
	case k == nil:
		k = &peak{since: listed}
		if changed+feed.Time(sureAfter.Microseconds()) < server {
			k.since = time.Time{}
		}
		if p.of == nil {
			p.of = map[int64]*peak{}
		}
		p.of[m.ID] = k
	case k.changed != changed:
		k.since = listed
	}
	k.changed, k.latest = changed, max(k.latest, changed)
	if lacks := highestID(rows) < highestID(k.rows); lacks && !k.doubted {
		k.sure, k.doubted = false, true
		return false
	}
	k.rows, k.sure, k.doubted = rows, listed.Sub(k.since) >= sureAfter, false
	return true
}

func highestID(rows []feed.Key) int64 {
	if len(rows) == 0 {
		return 0
	}
	return rows[0].ID
}

// sight is what a page knows of rows whose time has passed.
type sight struct {
	listed  time.Time // when the list was asked for
	members map[int64]Member
	rows    map[int64][]feed.Key // with the highest ids, of conversations of which they are known
	doubted atomic.Bool          // a look was not believed
}

// peeks reports whether rows are wanted whose time has passed.
func (w *want) peeks() bool { return w.beyond != 0 && !w.newest && !w.unbounded() }

// passed reports whether a row is wanted whose time has passed.
func (w *want) passed(k feed.Key) bool {
	return w.peeks() && k.ID > w.beyond && k.Compare(w.after) <= 0 && (w.from == (feed.Key{}) || k.Compare(w.from) > 0)
}

// early reports whether a conversation with these rows may have one whose time has passed.
func (w *want) early(rows []feed.Key) bool {
	for _, k := range rows {
		if k.ID <= w.beyond {
			return false
		}
		if w.passed(k) {
			return true
		}
	}
	return len(rows) >= peakRows // there may be more
}

// overlooked reports whether a conversation has to be read although no time says so.
func (w *want) overlooked(id int64) bool {
	if !w.peeks() {
		return false
	}
	rows, looked := w.sight.rows[id]
	return !looked || w.early(rows)
}

// peek looks at the rows with the highest ids of those conversations in which something
// may have been stored since the last look, as many in a request as newestOf. Those that
// it cannot look at so are looked at when they are read.
func (s *Source) peek(ctx context.Context, members []Member, w *want) error {
	if !w.peeks() {
		return nil
	}
	now := time.Now()
	moves := s.Endpoint.joins().moves(now)
	w.sight.members, w.sight.rows = make(map[int64]Member, len(members)), make(map[int64][]feed.Key, len(members))
	var abed map[int64]error
	if w.partial {
		abed = s.sick().abed(members) // each is looked at by itself, when it is read
	}
	var ask []Member
	for _, m := range members {
		w.sight.members[m.ID] = m
		if rows, still := s.peaks.still(m); still && moves {
			w.sight.rows[m.ID] = rows
		} else if _, single := abed[m.ID]; !single {
			ask = append(ask, m)
		}
	}
	if len(ask) < 2 || !s.Endpoint.joins().trusted(now) {
		return nil
	}
	look := *w
	look.byID = true
	shown, sick, err := s.newestOf(ctx, ask, look)
	switch {
	case err == nil:
	case ctx.Err() != nil || errors.Is(err, datasource.ErrRateLimited):
		return err
	case errors.Is(err, errHeads) || refusal(err):
		s.Endpoint.joins().distrust(now)
		s.Log.Warn("the newest rows of conversations cannot be had in one request, asking for each", "error", err)
		return nil
	case len(ask) > s.Endpoint.joins().limit():
		return err
	default:
		return nil // each by itself tells
	}
	joined := false // rows of the others show that the server joins them
	for _, m := range ask[1:] {
		joined = joined || len(shown[m.ID]) > 0
	}
	for i, m := range ask {
		_, failed := sick[m.ID]
		if failed || !joined && i > 0 || highestID(shown[m.ID]) < s.sick().known(m.ID).ID {
			continue
		}
		s.peaked(m, shown[m.ID], w)
		w.sight.rows[m.ID] = shown[m.ID]
	}
	return nil
}

// peaked takes what a look has shown.
func (s *Source) peaked(m Member, rows []feed.Key, w *want) {
	if !s.peaks.note(m, rows, w.sight.listed, w.clock.read()) {
		w.sight.doubted.Store(true)
	}
}

// early reads the rows of a conversation whose time has passed.
func (s *Source) early(ctx context.Context, id int64, w want) (_ []datasource.Entry, more bool, _ error) {
	m, listed := w.sight.members[id]
	if !listed {
		return nil, false, nil
	}
	rows, looked := w.sight.rows[id]
	may := looked && w.early(rows)
	if !looked {
		look := w
		look.byID = true
		shown, err := s.chunk(ctx, []Member{m}, look)
		switch {
		case errors.Is(err, errHeads):
			may = true // it ignores the order
		case s.gone(err, w):
			return nil, false, nil
		case err != nil:
			return nil, false, err
		default:
			s.peaked(m, shown[id], &w)
			may = w.early(shown[id])
		}
	}
	if !may {
		return nil, false, nil
	}
	w.above, w.updatedTo = w.beyond, w.after.Time
	w.after, w.from, w.beyond, w.deletions = w.from, feed.Key{}, 0, false
	return s.pageOf(ctx, id, w)
}
