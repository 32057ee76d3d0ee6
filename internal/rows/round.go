package rows

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

const (
	// maxConcurrent is how many conversations are read at the same time, and maxOverdue how
	// many more of those that take long.
	maxConcurrent, maxOverdue = 8, 16
	// firstPause is how long a round waits after a refusal for the rate that names no wait;
	// the next ones wait twice as long each time, up to longestPause.
	firstPause, longestPause = time.Second, 10 * time.Second
	// vainPauses is how many pauses in a row may change nothing.
	vainPauses = 3
)

// round reads a page of each of several conversations, several at a time. The limit of a
// server may be less than a round needs, whatever the client's own limiter thinks. So a
// refusal for the rate ends no round: it goes on where it stopped.
type round struct {
	s     *Source
	ctx   context.Context
	w     want
	queue []int64
	asked int // how many there were in the queue

	running []*fetching
	ended   chan *fetching
	stir    chan struct{} // a request was sent
	quick   int           // reads that were not slow
	done    []int64
	// What a later round can use if this one fails: reads of this one, with as many rows, and
	// of earlier ones.
	kept     []*fetching
	held     int
	recalled []*fetching

	until  time.Time // no read begins before it
	pauses int       // since a read has succeeded

	merged
}

// merged are rows of several conversations, in order.
type merged struct {
	rows []datasource.Entry
	left left
	// cut: of some conversation fewer rows were read than there are and were wanted, up to end.
	// There are no rows after it.
	cut bool
	end feed.Key
}

// bound cuts off what is behind the end of what was read of one conversation.
func (m *merged) bound(w *want, end feed.Key) {
	if n := end.Compare(m.end); !m.cut || !w.newest && n < 0 || w.newest && n > 0 {
		m.cut, m.end = true, end
	}
	m.trim(w)
}

func (m *merged) trim(w *want) {
	if !m.cut {
		return
	}
	m.rows = slices.DeleteFunc(m.rows, func(e datasource.Entry) bool {
		n := w.key(&e).Compare(m.end)
		return !w.newest && n > 0 || w.newest && n < 0
	})
}

// concurrently reads the pages of conversations, several at a time, and returns the first
// w.limit of their rows. The first failure cancels the others, unless some may be left out.
// Then one that is slow while others are not is left to a later poll, see fetching.
func (s *Source) concurrently(ctx context.Context, ids []int64, w want) (merged, error) {
	reads, cancel := ctx, context.CancelFunc(func() {})
	if !w.partial {
		reads, cancel = context.WithCancel(ctx)
	}
	defer cancel()
	r := &round{s: s, ctx: reads, w: w, queue: ids, ended: make(chan *fetching, len(ids)), stir: make(chan struct{}, 1)}
	if w.partial {
		ids, r.left = s.sick().visit(ids)
		r.queue = r.recall(ids)
	}
	r.asked = len(r.queue) + len(r.done)
	if err := r.run(); err != nil {
		r.keep()
		cancel()
		for _, one := range r.running {
			if !w.partial {
				<-one.over // so that nothing of the call runs when it has returned
			}
		}
		return merged{}, err
	}
	if r.asked > 0 && len(r.left.failed) == r.asked && !w.skimmed {
		return merged{}, r.left.err // nothing shows that the server is not down
	}
	if w.partial {
		for _, id := range s.sick().note(s.Log, r.done, r.left.failed) {
			r.left.forget(id)
		}
	}
	return r.merged, nil
}

// recall uses what earlier reads have brought, and returns the others, which are read.
func (r *round) recall(ids []int64) (ask []int64) {
	for _, id := range ids {
		one, known := r.s.sick().recall(id, &r.w)
		switch {
		case !known:
			ask = append(ask, id)
		case one == nil:
			r.left.add(id, nil)
		case one.err != nil:
			r.done = append(r.done, id)
			r.left.add(id, one.err)
		default:
			r.done, r.recalled = append(r.done, id), append(r.recalled, one)
			r.use(one)
		}
	}
	return ask
}

// use adds what an earlier read has brought.
func (r *round) use(one *fetching) {
	r.w.old.add(one.age(&r.s.time))
	if r.w.sight != nil && one.sight != nil && one.sight.doubted.Load() {
		r.w.sight.doubted.Store(true)
	}
	r.w.chain.saw(one, &r.w)
	r.add(r.w.chain.but(one.page(&r.w), one.id), one.whole)
}

// run returns when nothing is to be waited for.
func (r *round) run() error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		next := r.begin(now)
		if len(r.queue) == 0 && r.leave() {
			return nil
		}
		var due <-chan time.Time
		if !next.IsZero() {
			timer.Reset(time.Until(next))
			due = timer.C
		}
		select {
		case one := <-r.ended:
			if err := r.take(one); err != nil {
				return err
			}
		case <-due:
		case <-r.stir:
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		}
	}
}

// begin begins reads, as many as may run. It returns when there may be something to do that
// no read tells, zero for never.
func (r *round) begin(now time.Time) (next time.Time) {
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	patient := 0
	for _, one := range r.running {
		late, at := one.overdue()
		if r.w.partial && !late && !at.IsZero() {
			sooner(at)
		}
		if !r.w.partial || !late {
			patient++
		}
	}
	if now.Before(r.until) {
		sooner(r.until)
		return next
	}
	for len(r.queue) > 0 && patient < maxConcurrent && len(r.running) < maxConcurrent+maxOverdue {
		one := r.s.begin(r.ctx, r.queue[0], r.w, r.ended, r.stir)
		r.queue, r.running = r.queue[1:], append(r.running, one)
		if late, _ := one.overdue(); !r.w.partial || !late { // when it is sent it stirs
			patient++
		}
	}
	return next
}

// leave reports whether the round is over. Reads that are overdue are left if others were
// not: else it is the server that is slow.
func (r *round) leave() bool {
	if len(r.running) == 0 {
		return true
	}
	if !r.w.partial || !r.w.skimmed && r.quick == 0 || slices.ContainsFunc(r.running, func(one *fetching) bool { late, _ := one.overdue(); return !late }) {
		return false
	}
	for _, one := range slices.Clone(r.running) {
		earlier, left := r.s.sick().leave(one, &r.w)
		if !left {
			continue // it has just ended
		}
		r.running = slices.DeleteFunc(r.running, func(other *fetching) bool { return other == one })
		if earlier != nil {
			r.use(earlier)
		} else {
			r.left.add(one.id, nil)
		}
	}
	return len(r.running) == 0
}

// take takes a read that has ended.
func (r *round) take(one *fetching) error {
	r.running = slices.DeleteFunc(r.running, func(other *fetching) bool { return other == one })
	err := one.err
	if errors.Is(err, datasource.ErrRateLimited) && r.w.waits {
		return r.pause(one)
	}
	if err != nil && (!r.w.partial || r.ctx.Err() != nil || errors.Is(err, datasource.ErrRateLimited)) {
		return err
	}
	r.done = append(r.done, one.id)
	if err != nil {
		r.left.add(one.id, err)
		return nil
	}
	if r.pauses = 0; one.took <= slowAfter {
		r.quick++
	}
	if one.whole && r.held+len(one.rows) <= maxBeside {
		r.kept, r.held = append(r.kept, one), r.held+len(one.rows)
	}
	r.s.sick().outdated(one.id)
	r.w.clock.join(one.clock)
	r.w.chain.saw(one, &r.w)
	r.add(r.w.chain.but(one.rows, one.id), one.whole)
	return nil
}

// pause notes that the server refuses a read for the rate. The read is made again.
func (r *round) pause(one *fetching) error {
	r.queue = append(r.queue, one.id)
	now := time.Now()
	if now.Before(r.until) {
		return nil // others were refused at the same moment
	}
	if r.pauses++; r.pauses > vainPauses {
		return one.err
	}
	wait := min(firstPause<<(r.pauses-1), longestPause)
	if said, ok := errors.AsType[*datasource.Error](one.err); ok && said.RetryAfter > 0 {
		wait = min(said.RetryAfter, datasource.LongestWait)
	}
	r.until = now.Add(wait)
	return nil
}

// add adds the rows of a conversation to the page. whole: there are no others.
func (r *round) add(rows []datasource.Entry, whole bool) {
	end := r.w.end(rows)
	if !whole { // its last row need not be the latest one: some are found by their ids
		for i := range rows {
			if k := r.w.key(&rows[i]); k.Compare(end) > 0 != r.w.newest {
				end = k
			}
		}
	}
	cut := !whole && len(rows) > 0 && len(rows) < r.w.limit
	r.rows = append(r.rows, rows...)
	slices.SortStableFunc(r.rows, r.w.compare)
	if cut {
		r.bound(&r.w, end)
	} else {
		r.trim(&r.w)
	}
	if len(r.rows) > r.w.limit {
		clear(r.rows[r.w.limit:]) // the rows of one page only, however many conversations there are
		r.rows = r.rows[:r.w.limit]
	}
}

// keep keeps what was read for the next round of polls, since this one has failed.
func (r *round) keep() {
	if r.w.partial && r.w.first {
		r.s.sick().keep(append(r.kept, r.recalled...), r.running)
	}
}

// age is from when the oldest part of an answer is.
type age struct {
	asked time.Time // on this machine's clock; zero: from now
	clock feed.Time // the server's time, rather too early than too late
	known int64     // the highest id that was known then
}

func (a *age) add(b age) {
	a.known = min(a.known, b.known)
	if a.asked.IsZero() {
		a.asked, a.clock = b.asked, b.clock
		return
	}
	if b.asked.Before(a.asked) {
		a.asked = b.asked
	}
	a.clock = min(a.clock, b.clock)
}
