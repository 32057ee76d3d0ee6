package hub

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
)

// WatchConfig is what a [Watch] needs. Wanted may be nil: all conversations are.
type WatchConfig struct {
	Wanted func(*datasource.DataSource) (bool, error)
	Size   int // rows in a request
	Log    *slog.Logger
}

// Reader is a [Listener] whose reads may go on beside its polls.
type Reader interface {
	Listener
	// Aside runs a read in a goroutine of its own, as Beside of [rows.Host] does.
	Aside(read func()) bool
}

// Watch answers the queries of an engine that listens to all conversations of the app, or to
// those that are wanted, in the server's own times, so that a position may be stored.
type Watch struct {
	h    *Hub
	cfg  WatchConfig
	rows *rows.Source
	tail *tail
	late *late

	mu     sync.Mutex
	list   []datasource.DataSource // those that are wanted, as of read
	ids    []int64
	read   time.Time
	first  feed.Time           // the server's time of the first list
	joined map[int64]feed.Time // when conversations that were there before were wanted first
}

// Watch returns a new one. It begins with [Watch.Enter]; no other method but Rows may be called
// before.
func (h *Hub) Watch(cfg WatchConfig) *Watch {
	w := &Watch{h: h, cfg: cfg}
	w.rows = rows.New(rows.Config{
		Client: h.cfg.Client, Endpoint: h.endpoint, PageSize: cfg.Size, Log: cfg.Log, Genuine: h.cfg.Genuine,
		Host: watchHost{w}, Named: true, Roster: everybodys{},
	})
	w.late = &late{h: h, log: cfg.Log, list: func(ctx context.Context) ([]datasource.DataSource, error) {
		list, _, err := w.refreshed(ctx)
		return list, err
	}}
	w.tail = &tail{
		h: h, server: w.fromServer, late: w.late,
		conversations: func(ctx context.Context) ([]int64, time.Time, error) {
			_, ids, err := w.refreshed(ctx)
			return ids, time.Time{}, err
		},
	}
	return w
}

// Enter lets it be told what is new, from now on: also before Enter returns. The caller has to
// call [Watch.Leave].
func (w *Watch) Enter(to Reader) {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	w.late.to = to
	w.h.watches[w] = true
}

// watchHost is a Watch as the source of its rows sees it.
type watchHost struct{ w *Watch }

func (h watchHost) Authorized(_ context.Context, fn func(string) error) error { return fn("") }
func (h watchHost) Members(ctx context.Context) ([]rows.Member, error)        { return h.w.members(ctx) }
func (h watchHost) Beside(read func()) bool                                   { return h.w.late.to.Aside(read) }
func (h watchHost) Found()                                                    { h.w.late.to.Poke() }

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
	if w != nil {
		w.tail.begins()
	}
}

// refreshed brings the conversations up to date.
func (w *Watch) refreshed(ctx context.Context) ([]datasource.DataSource, []int64, error) {
	if err := w.h.refreshed(ctx); err != nil {
		return nil, nil, err
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
	w.list, w.ids, w.joined, w.read = list, ids, joined, read
	w.tail.others()
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
	return w.tail.answer(ctx, q)
}

func (w *Watch) fromServer(ctx context.Context, q feed.Query) (rows.Answer, error) {
	if q.Conversation == 0 && q.Kind == feed.Changes && q.Partial {
		q.Beyond = 0 // it would take a second look at each conversation
	}
	return w.rows.Answer(ctx, q)
}
