package rows

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// A conversation whose reads succeed, but take long, must hold up no other either. A poll
// leaves such a read, and says that the conversation is missing, as if it could not be
// read. The read goes on beside it, and a later poll has what it brought: all rows after
// the position of the poll that began it, as they were when it began. The engine is told of
// that moment, and takes nothing for settled that is newer. So a conversation that is slow
// for ever holds up no position, and costs no more reads than others.

const (
	// slowAfter is how long a read may take.
	slowAfter = 2 * time.Second
	// quickReads is how many reads of one that is slow have to be quick before it is read with
	// the others again, and slowRest is how long it is not, however quick it is: twice as long
	// each time that it is slow again within the hour, up to longestSlowRest.
	quickReads                = 3
	slowRest, longestSlowRest = time.Minute, time.Hour
	// maxBeside is how many rows a read that was left may bring. With more it is made again,
	// and waited for: that is a backlog, which is read in order.
	maxBeside = 2000
	// staleAfter is how long what a read has brought is of use.
	staleAfter = 5 * time.Minute
)

// fetching is the read of one conversation.
type fetching struct {
	id    int64
	after feed.Key
	looks int64 // rows with a higher id were looked for, whatever their time is; 0: none were
	began time.Time
	due   time.Duration // how long its requests may take until it is overdue
	at    feed.Time     // the server's time when it began
	known int64         // the highest id that was known then
	sight *sight        // of the poll that began it
	meter *meter
	over  chan struct{}

	// When over is closed:
	rows  []datasource.Entry
	whole bool // there are no rows after these
	clock *clock
	took  time.Duration
	err   error

	// Guarded by the ward:
	past bool // it has ended
	left bool // by its poll
}

// slowness is that of a conversation that was slow.
type slowness struct {
	healed time.Time // zero while it is
	least  time.Time // it is until then at least
	rest   time.Duration
	quick  int // how many of the last reads were
}

func (s *slowness) slow() bool { return s != nil && s.healed.IsZero() }

// meter tells how long the requests of a read take. Waits for a rate limit do not count.
type meter struct {
	stir chan<- struct{} // gets something when a request is sent

	mu    sync.Mutex
	since time.Time // when the request was sent that is under way; zero if none is
	spent time.Duration
}

func (m *meter) tell(sent bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !sent {
		m.spent, m.since = m.spent+time.Since(m.since), time.Time{}
		return
	}
	m.since = time.Now()
	select {
	case m.stir <- struct{}{}:
	default:
	}
}

// read returns how long requests have taken. at is when that is more than a limit, zero while
// none is under way.
func (m *meter) read(limit time.Duration) (spent time.Duration, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.since.IsZero() {
		return m.spent, time.Time{}
	}
	return m.spent + time.Since(m.since), m.since.Add(limit - m.spent)
}

// overdue reports whether a read takes long, and if not when it does, zero if that is not
// known.
func (r *fetching) overdue() (late bool, at time.Time) {
	spent, at := r.meter.read(r.due)
	return spent >= r.due, at
}

// begin begins a read, and sends it to ended when it is over, unless it was left.
func (s *Source) begin(ctx context.Context, id int64, w want, ended chan<- *fetching, stir chan<- struct{}) *fetching {
	r := &fetching{id: id, after: w.after, began: time.Now(), sight: w.sight, clock: &clock{server: &s.time}, meter: &meter{stir: stir}, over: make(chan struct{})}
	r.at, r.known = Micros(s.Now()), s.high.Load()
	if w.peeks() {
		r.looks = w.beyond
	}
	r.due = s.sick().patience(id)
	ctx = datasource.UnderWay(ctx, r.meter.tell)
	w.clock = r.clock
	known := s.sick().known(id).Time
	read := func() {
		s.readWhole(ctx, r, w)
		close(r.over)
		if !s.sick().ended(r) {
			ended <- r
			return
		}
		for i := range r.rows {
			if Micros(r.rows[i].UpdatedAt) > known {
				s.Found()
				return
			}
		}
	}
	if !w.partial {
		go read()
	} else if !s.Beside(read) {
		read() // everything is about to end
	}
	return r
}

// readWhole reads a page of a conversation, and all pages if that takes long: the poll may
// have left it. A page of the newest rows is put together of several answers, see newest.
func (s *Source) readWhole(ctx context.Context, r *fetching, w want) {
	limit := w.limit
	for weight := 0; ; {
		page, more, err := s.visit(ctx, r.id, w)
		r.took, _ = r.meter.read(0)
		late, _ := r.overdue()
		if err != nil {
			r.rows, r.err = nil, err
			return
		}
		r.rows = append(r.rows, page...)
		for i := range page {
			weight += rowWeight(&page[i])
		}
		missing := w.newest && len(r.rows) < limit
		if r.whole = !more; r.whole || missing && weight > maxNewest ||
			!missing && (!w.partial || !late || len(r.rows) >= maxBeside || weight > maxPage) {
			return
		}
		if w.after, w.limit = w.end(r.rows), limit; missing {
			w.limit -= len(r.rows)
		}
	}
}

// page are the rows of a read for a page.
func (r *fetching) page(w *want) (rows []datasource.Entry) {
	for i := range r.rows {
		if w.within(&r.rows[i]) {
			rows = append(rows, r.rows[i])
		}
	}
	return rows
}

// age is how old it is. The clock of the server may have been set back since it began.
func (r *fetching) age(server *serverClock) age {
	since := server.at(time.Time{}).Add(-time.Since(r.began))
	return age{r.began, min(r.at, Micros(since)), r.known}
}

// patience is how long a read of a conversation is waited for.
func (w *ward) patience(id int64) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.slow[id]; s.slow() && s.quick == 0 {
		return 0
	}
	return slowAfter
}

// slows notes that a conversation is slow while others are not. w.mu is held.
func (w *ward) slows(id int64) {
	now, s := time.Now(), w.slow[id]
	switch {
	case s == nil:
		if w.slow == nil {
			w.slow = map[int64]*slowness{}
		}
		w.slow[id] = &slowness{rest: slowRest, least: now.Add(slowRest)}
		return
	case !s.slow():
		if s.rest = min(2*s.rest, longestSlowRest); now.Sub(s.healed) > longestSlowRest {
			s.rest = slowRest
		}
		s.healed, s.least = time.Time{}, now.Add(s.rest)
	}
	s.quick = 0
}

// blame notes that a conversation makes the look at many slow.
func (w *ward) blame(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slows(id)
}

// shelf has the reads of a conversation that polls have left.
type shelf struct {
	next *fetching // runs, or has ended since; no poll has used it
	last *fetching // the one before it, which a poll has used
}

// shelve makes a read the next one of its conversation. w.mu is held.
func (w *ward) shelve(r *fetching) *shelf {
	if w.shelf == nil {
		w.shelf = map[int64]*shelf{}
	}
	s := w.shelf[r.id]
	if s == nil {
		s = &shelf{}
		w.shelf[r.id] = s
	}
	s.next = r
	return s
}

// leave leaves a read, unless it has ended. It returns the one before it, if that can serve
// the page: so a poll lacks nothing, although it is of an earlier moment.
func (w *ward) leave(r *fetching, page *want) (earlier *fetching, left bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.past {
		return nil, false
	}
	r.left = true
	w.slows(r.id)
	s := w.shelve(r)
	if !s.last.serves(page) {
		s.last = nil
	}
	return s.last, true
}

// keep keeps reads of a round that has failed for the next one.
func (w *ward) keep(over, running []*fetching) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range running {
		if !r.past {
			r.left, over = true, append(over, r)
		}
	}
	for _, r := range over {
		if s := w.shelf[r.id]; s == nil || s.next == nil {
			w.shelve(r)
		}
	}
}

// outdated drops what there was of a conversation before it was read.
func (w *ward) outdated(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.shelf, id)
}

// ended notes that a read has ended, and reports whether a poll has left it.
func (w *ward) ended(r *fetching) (left bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.past = true
	if s := w.slow[r.id]; s.slow() && r.err == nil {
		if s.quick++; r.took > slowAfter {
			s.quick = 0
		}
		if now := time.Now(); s.quick >= quickReads && !now.Before(s.least) {
			s.healed = now
		}
	}
	if s := w.shelf[r.id]; s != nil && s.next == r && (errors.Is(r.err, datasource.ErrRateLimited) || errors.Is(r.err, context.Canceled)) {
		s.next = nil // that says nothing about the conversation
	}
	return r.left
}

// recall returns what earlier reads have brought of a conversation. known is false if it has
// to be read. Without a read it is left out: a read that runs, or that has ended in the
// middle of a poll, is for the next poll.
func (w *ward) recall(id int64, page *want) (r *fetching, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.shelf[id]
	if s == nil {
		return nil, false
	}
	if !s.last.serves(page) && page.first {
		s.last = nil
	}
	switch next := s.next; {
	case !page.first || next != nil && !next.past:
		if s.last.serves(page) {
			return s.last, true
		}
		return nil, next != nil
	case next == nil:
		return nil, false
	case next.err != nil:
		delete(w.shelf, id)
		return next, true
	case !next.serves(page):
		s.next = nil
		return nil, false
	default:
		s.last, s.next = next, nil
		return next, true
	}
}

// serves reports whether a page can have its rows from an earlier read.
func (r *fetching) serves(page *want) bool {
	return r != nil && r.err == nil && time.Since(r.began) < staleAfter && r.after.Compare(page.after) <= 0 && r.finds(page) &&
		(r.whole || len(r.page(page)) >= page.limit)
}

// finds reports whether a read has the rows whose time has passed that a page wants.
func (r *fetching) finds(page *want) bool {
	return !page.peeks() || r.after == (feed.Key{}) || r.after.FromStart() || r.looks != 0 && r.looks <= page.beyond
}
