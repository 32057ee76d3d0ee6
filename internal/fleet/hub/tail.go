package hub

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// tail answers the queries of one engine as the server itself would: in the server's own times,
// so that a position may be stored. What is new comes from the log, and costs no request. What
// the log does not have, since it is from before the fleet or was forgotten, is read from the
// server.
type tail struct {
	h *Hub
	// conversations are those of the listener, and as of when that is; zero: of now.
	conversations func(context.Context) (ids []int64, read time.Time, err error)
	server        func(context.Context, feed.Query) (rows.Answer, error)
	late          *late // nil: nobody looks for deletions from before

	mu      sync.Mutex
	start   feed.Time // when a listener began whose engine has not asked yet
	page    *fleet.Recent
	from    feed.Key // where page begins
	highest int64
	turn    time.Time // when the server may be asked for the first page of a poll
	older   older
	fromNow feed.Time // up to when nothing matters to a listener that began from now; 0 for others
	complaint
}

// older is what the last poll brought that the server has answered: it is from before the log.
type older struct {
	from  feed.Key
	clock feed.Time // the server's, when it was asked
	rows  []feed.Row
	state olderState
}

type olderState uint8

const (
	none  olderState = iota
	begun            // there are more pages
	whole
)

// mostOlder is how many such rows are kept. With more the listener reads on from the server.
const mostOlder = 10_000

// between is the least wait between two polls that the server has to answer. Each of them
// asks for all conversations.
const between = 2 * time.Second

// begins says that a listener begins at this moment, for the query in which its engine asks
// where that is.
func (t *tail) begins() {
	t.h.want()
	at := t.h.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.start == 0 {
		t.start = at
	}
}

// others says that the conversations are others now.
func (t *tail) others() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.page = nil
}

// answer answers a query. One goroutine at a time may call it.
func (t *tail) answer(ctx context.Context, q feed.Query) (rows.Answer, error) {
	t.h.want()
	if t.late != nil && q.Conversation == 0 && q.Kind == feed.Changes && q.First {
		t.late.seek(ctx, q.After)
	}
	if q.Conversation == 0 && q.Kind == feed.Newest && q.Limit == 1 {
		return t.beginning(), nil
	}
	if q.Conversation != 0 || q.Kind != feed.Changes || !q.Partial {
		a, err := t.server(ctx, q)
		if q.Conversation != 0 && q.Kind == feed.Changes && q.UpdatedTo == 0 && t.late != nil && err == nil && !a.Short && len(a.Rows) < q.Limit {
			a.Rows = t.late.with(a.Rows, q.After, t.h.now(), []int64{q.Conversation})
		}
		return a, err
	}
	if a, ok, err := t.recent(ctx, q); ok || err != nil {
		return a, err
	}
	if q.First {
		if err := t.wait(ctx); err != nil {
			return rows.Answer{}, err
		}
	}
	asked := t.h.now()
	a, err := t.server(ctx, q)
	if err == nil {
		t.keep(q, asked, &a)
	}
	return a, err
}

// keep keeps what the server has answered to a poll.
func (t *tail) keep(q feed.Query, asked feed.Time, a *rows.Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := &t.older
	if q.First {
		*o = older{from: q.After, clock: asked, state: begun}
	}
	if o.state != begun {
		return
	}
	o.rows = append(o.rows, a.Rows...)
	switch {
	case a.Partial || !a.Asked.IsZero() || len(o.rows) > mostOlder:
		*o = older{}
	case len(a.Rows) < q.Limit && !a.Short:
		o.state = whole
	}
}

// changes are those after a position, from the log, and from before it as the server has told
// them.
func (t *tail) changes(after feed.Key, ids []int64) (fleet.Recent, bool) {
	if after.Time < t.fromNow {
		after = feed.Key{Time: t.fromNow, ID: math.MaxInt64}
	}
	page, ok := t.h.driver.Recent(after, after, t.fromNow, ids)
	if ok {
		t.older = older{}
		return page, true
	}
	begins := t.h.driver.Whole()
	if o := &t.older; o.state != whole || after.Compare(o.from) < 0 || begins.Time >= o.clock-overlap {
		return page, false
	}
	if page, ok = t.h.driver.Recent(begins, after, t.fromNow, ids); !ok {
		return page, false
	}
	newer := make(map[int64]bool, len(page.Rows))
	for i := range page.Rows {
		newer[page.Rows[i].ID] = true
	}
	both := make([]feed.Row, 0, len(page.Rows)+len(t.older.rows))
	for _, row := range t.older.rows {
		if !newer[row.ID] && row.UpdatedKey().Compare(after) > 0 {
			both = append(both, row)
		}
	}
	page.Rows = append(both, page.Rows...)
	slices.SortFunc(page.Rows, func(a, b feed.Row) int { return a.UpdatedKey().Compare(b.UpdatedKey()) })
	return page, true
}

// behind is how far the machines that answer the reads of the log may be behind. So much less
// is settled than the reads say.
const behind = 45 * time.Second

// overlap is how late a row may become visible.
const overlap = feed.Time(5 * time.Second / time.Microsecond)

// beginning answers the query of an engine that begins now: behind what there is. What was
// created at that very moment is new.
func (t *tail) beginning() rows.Answer {
	now := t.h.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	at := now
	if t.start != 0 {
		at, t.start = t.start, 0
	}
	at = max(at-1, t.h.since)
	t.fromNow = at
	row := feed.Row{ID: math.MaxInt64, Created: at, Updated: at, Foreign: true}
	return rows.Answer{Rows: []feed.Row{row}, Clock: feed.Clock{Earliest: now, Latest: now}}
}

// recent answers a query from the log. It reports false if the log cannot.
func (t *tail) recent(ctx context.Context, q feed.Query) (a rows.Answer, ok bool, err error) {
	ids, read, err := t.conversations(ctx)
	if err != nil {
		return a, false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if q.First || t.page == nil || q.After.Compare(t.from) < 0 {
		if err := t.h.driver.Down(); err != nil {
			return a, false, err
		}
		page, ok := t.changes(q.After, ids)
		if !ok {
			t.page = nil
			return a, false, nil
		}
		if !read.IsZero() && read.Before(page.Asked) {
			// What is in a conversation that was joined since is not in the page.
			page.Asked, page.Since = read, min(page.Since, page.Clock-feed.Time(time.Since(read).Microseconds()))
		}
		if t.late != nil {
			page.Rows = t.late.with(page.Rows, q.After, page.Clock, ids)
		}
		t.page, t.from, t.highest = &page, q.After, max(t.highest, page.Highest)
	}
	p := t.page
	found := p.Rows
	for len(found) > 0 && found[0].UpdatedKey().Compare(q.After) <= 0 {
		found = found[1:]
	}
	if len(found) > q.Limit {
		found = found[:q.Limit]
	} else {
		t.page = nil
	}
	return rows.Answer{
		Rows: found, Clock: feed.Clock{Earliest: p.Clock, Latest: p.Clock}, Asked: p.Asked.Add(-behind), Since: p.Since - feed.Time(behind.Microseconds()),
		Partial: len(p.Without) > 0, Without: p.Without, Err: t.about(t.h, ids), Upto: max(t.highest, q.Beyond),
	}, true, nil
}

// wait waits for the turn of a poll that the server has to answer.
func (t *tail) wait(ctx context.Context) error {
	t.mu.Lock()
	now := time.Now()
	d := t.turn.Sub(now)
	t.turn = now.Add(max(d, 0) + between)
	t.mu.Unlock()
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
