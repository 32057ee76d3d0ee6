package hub

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// WatchConfig is what a [Watch] needs. Wanted may be nil: all conversations are.
type WatchConfig struct {
	Wanted func(*datasource.DataSource) (bool, error)
	// Poke is called when there is something new, and Joined when the conversations are
	// others. Neither may block.
	Poke, Joined func()
	// Beside runs a read in a goroutine of its own, see [rows.Config].
	Beside func(read func()) bool
	Size   int // rows in a request
	Log    *slog.Logger
}

// Watch answers the queries of an engine that listens to all conversations of the app, or to
// those that are wanted, as the server itself would: in the server's own times, so that a
// position may be stored. What is new comes from the log, and costs no request. What the log
// does not have, since it is from before the fleet or was forgotten, is read from the server.
type Watch struct {
	h    *Hub
	cfg  WatchConfig
	rows *rows.Source

	mu      sync.Mutex
	list    []datasource.DataSource // those that are wanted, as of read
	ids     []int64
	read    time.Time
	first   feed.Time           // the server's time of the first list
	joined  map[int64]feed.Time // when conversations that were there before were wanted first
	start   feed.Time           // when a listener began whose engine has not asked yet
	page    *fleet.Recent
	from    feed.Key // where page begins
	highest int64
	turn    time.Time // when the server may be asked for the first page of a poll
	older   older
	fromNow feed.Time // up to when nothing matters to a listener that began from now; 0 for others
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

// Watch returns a new one. The caller has to call [Watch.Leave].
func (h *Hub) Watch(cfg WatchConfig) *Watch {
	w := &Watch{h: h, cfg: cfg}
	w.rows = rows.New(rows.Config{
		Client: h.cfg.Client, Endpoint: h.endpoint, PageSize: cfg.Size, Log: cfg.Log, Genuine: h.cfg.Genuine,
		Members: w.members, Beside: cfg.Beside, Found: cfg.Poke, Roster: everybodys{},
		Authorized: func(_ context.Context, fn func(string) error) error { return fn("") },
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watches[w] = true
	return w
}

// everybodys is the roster of whoever may see all conversations.
type everybodys struct{}

func (everybodys) Foreign(context.Context, []int64) (map[int64]bool, error) { return nil, nil }
func (everybodys) Unsure(int64) bool                                        { return false }
func (everybodys) Unanswered(int64) error                                   { return nil }
func (everybodys) Gone(context.Context, int64) bool                         { return true }

// Leave ends it. Like Start it does nothing for nil.
func (w *Watch) Leave() {
	if w != nil {
		w.h.mu.Lock()
		defer w.h.mu.Unlock()
		delete(w.h.watches, w)
	}
}

// Rows reads from the server.
func (w *Watch) Rows() *rows.Source { return w.rows }

// Start says that a listener begins at this moment, for the query in which its engine asks
// where that is.
func (w *Watch) Start() {
	if w == nil {
		return
	}
	w.h.want()
	at := w.h.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.start == 0 {
		w.start = at
	}
}

// refreshed brings the conversations up to date.
func (w *Watch) refreshed(ctx context.Context) ([]datasource.DataSource, []int64, error) {
	w.h.want()
	if w.h.stale() {
		if _, err := w.h.source.Ask(ctx, fleet.Request{Kind: fleet.List, Users: true}); err != nil {
			return nil, nil, err
		}
	}
	all, read := w.h.all()
	now := w.h.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if read.Equal(w.read) {
		return w.list, w.ids, nil
	}
	if w.first == 0 {
		w.first = now - feed.Time(time.Since(read).Microseconds())
	}
	had := make(map[int64]bool, len(w.ids))
	for _, id := range w.ids {
		had[id] = true
	}
	joined := map[int64]feed.Time{}
	list, ids := make([]datasource.DataSource, 0, len(all)), make([]int64, 0, len(all))
	for _, ds := range all {
		wanted := true
		if w.cfg.Wanted != nil {
			var err error
			if wanted, err = w.cfg.Wanted(&ds); err != nil {
				return nil, nil, err
			}
		}
		if !wanted {
			continue
		}
		list, ids = append(list, ds), append(ids, ds.ID)
		switch at, before := w.joined[ds.ID]; {
		case before:
			joined[ds.ID] = at
		case w.cfg.Wanted != nil && !w.read.IsZero() && !had[ds.ID] && rows.Micros(ds.CreatedAt) < w.first:
			joined[ds.ID] = now
		}
	}
	w.list, w.ids, w.joined, w.read, w.page = list, ids, joined, read, nil
	return list, ids, nil
}

// members are the conversations for a read from the server, with the times of this moment,
// which tell those in which nothing has happened.
func (w *Watch) members(ctx context.Context) ([]rows.Member, error) {
	list, _, err := w.refreshed(ctx)
	if err != nil {
		return nil, err
	}
	changed, err := w.h.source.Changed(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]rows.Member, len(list))
	for i := range list {
		out[i] = rows.Member{ID: list[i].ID, Changed: changed[list[i].ID]}
	}
	return out, nil
}

// Members are the conversations as the last list has them. Who listens to all of them has been
// in a conversation since it was made, if that was while they were listening.
func (w *Watch) Members(ctx context.Context) ([]feed.Member, error) {
	list, _, err := w.refreshed(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]feed.Member, len(list))
	for i := range list {
		// The time of the data source moves with its rows, so it says nothing here.
		m := feed.Member{Conversation: list[i].ID, Created: rows.Micros(list[i].CreatedAt), Joined: w.joined[list[i].ID]}
		if m.Created >= w.first {
			m.Changed = m.Created
		}
		out[i] = m
	}
	return out, nil
}

// Page answers a query. One goroutine at a time may call it.
func (w *Watch) Page(ctx context.Context, q feed.Query) (rows.Answer, error) {
	if q.Conversation == 0 && q.Kind == feed.Newest && q.Limit == 1 {
		return w.beginning(), nil
	}
	poll := q.Conversation == 0 && q.Kind == feed.Changes && q.Partial
	if poll {
		if a, ok, err := w.recent(ctx, q); ok || err != nil {
			return a, err
		}
	}
	if !poll {
		return w.rows.Answer(ctx, q)
	}
	if q.First {
		if err := w.wait(ctx); err != nil {
			return rows.Answer{}, err
		}
	}
	q.Beyond = 0 // it would take a second look at each conversation
	asked := w.h.now()
	a, err := w.rows.Answer(ctx, q)
	if err == nil {
		w.keep(q, asked, &a)
	}
	return a, err
}

// keep keeps what the server has answered to a poll.
func (w *Watch) keep(q feed.Query, asked feed.Time, a *rows.Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := &w.older
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
func (w *Watch) changes(after feed.Key, ids []int64) (fleet.Recent, bool) {
	if after.Time < w.fromNow {
		after = feed.Key{Time: w.fromNow, ID: math.MaxInt64}
	}
	page, ok := w.h.driver.Recent(after, after, w.fromNow, ids)
	if ok {
		w.older = older{}
		return page, true
	}
	begins := w.h.driver.Whole()
	if o := &w.older; o.state != whole || after.Compare(o.from) < 0 || begins.Time >= o.clock-overlap {
		return page, false
	}
	if page, ok = w.h.driver.Recent(begins, after, w.fromNow, ids); !ok {
		return page, false
	}
	newer := make(map[int64]bool, len(page.Rows))
	for i := range page.Rows {
		newer[page.Rows[i].ID] = true
	}
	both := make([]feed.Row, 0, len(page.Rows)+len(w.older.rows))
	for _, row := range w.older.rows {
		if !newer[row.ID] && keyOf(&row).Compare(after) > 0 {
			both = append(both, row)
		}
	}
	page.Rows = append(both, page.Rows...)
	slices.SortFunc(page.Rows, func(a, b feed.Row) int { return keyOf(&a).Compare(keyOf(&b)) })
	return page, true
}

// behind is how far the machines that answer the reads of the log may be behind. So much less
// is settled than the reads say.
const behind = 45 * time.Second

// overlap is how late a row may become visible.
const overlap = feed.Time(5 * time.Second / time.Microsecond)

func keyOf(row *feed.Row) feed.Key { return feed.Key{Time: row.Updated, ID: row.ID} }

// beginning answers the query of an engine that begins now: behind what there is. What was
// created at that very moment is new.
func (w *Watch) beginning() rows.Answer {
	now := w.h.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	at := now
	if w.start != 0 {
		at, w.start = w.start, 0
	}
	at = max(at-1, w.h.since)
	w.fromNow = at
	row := feed.Row{ID: math.MaxInt64, Created: at, Updated: at, Foreign: true}
	return rows.Answer{Rows: []feed.Row{row}, Clock: feed.Clock{Earliest: now, Latest: now}}
}

// recent answers a query from the log. It reports false if the log cannot.
func (w *Watch) recent(ctx context.Context, q feed.Query) (a rows.Answer, ok bool, err error) {
	_, ids, err := w.refreshed(ctx)
	if err != nil {
		return a, false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if q.First || w.page == nil || q.After.Compare(w.from) < 0 {
		if err := w.h.driver.Down(); err != nil {
			return a, false, err
		}
		page, ok := w.changes(q.After, ids)
		if !ok {
			w.page = nil
			return a, false, nil
		}
		w.page, w.from, w.highest = &page, q.After, max(w.highest, page.Highest)
	}
	p := w.page
	found := p.Rows
	for len(found) > 0 && keyOf(&found[0]).Compare(q.After) <= 0 {
		found = found[1:]
	}
	if len(found) > q.Limit {
		found = found[:q.Limit]
	} else {
		w.page = nil
	}
	return rows.Answer{
		Rows: found, Clock: feed.Clock{Earliest: p.Clock, Latest: p.Clock}, Asked: p.Asked.Add(-behind), Since: p.Since - feed.Time(behind.Microseconds()),
		Partial: len(p.Without) > 0, Without: p.Without, Upto: max(w.highest, q.Beyond),
	}, true, nil
}

// wait waits for the turn of a poll that the server has to answer.
func (w *Watch) wait(ctx context.Context) error {
	w.mu.Lock()
	now := time.Now()
	d := w.turn.Sub(now)
	w.turn = now.Add(max(d, 0) + between)
	w.mu.Unlock()
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
