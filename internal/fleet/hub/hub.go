// Package hub serves the listeners of a whole app from one fleet: each has a [Desk], which
// answers the queries of its engine.
package hub

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
	"github.com/fliplet/fliplet-chat-go/internal/fleet/ask"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
	"github.com/fliplet/fliplet-chat-go/profile"
)

// Config is what a [Hub] needs. Wanted and Genuine may be nil, see [ask.Config].
type Config struct {
	Client *datasource.Client
	Apps   []int64
	// Strategy is the name of the one to use, see [fleet.CheckStrategy]; "" chooses. Bell says that
	// conversations have hooks that ring.
	Strategy string
	Bell     bool
	Profile  profile.Profile
	Wanted   func(*datasource.DataSource) bool
	Genuine  func(context.Context, *datasource.Entry) bool
	Log      *slog.Logger
	// Final returns why no later request will succeed after one that has failed; nil: one may.
	// It may make requests. It may be nil.
	Final func(context.Context, error) error
	// Contacts is the data source of the contacts; 0: nobody looks at them.
	Contacts int64
	// Keeps bounds what the hub keeps for its listeners.
	Keeps fleet.LogConfig
}

// Hub is the fleet of an app with its listeners. It is safe for concurrent use.
type Hub struct {
	cfg    Config
	log    *fleet.Log
	source *ask.Source
	driver *fleet.Driver
	chosen *fleet.Chooser // used while nobody else uses the driver's fleet
	since  feed.Time

	mu      sync.Mutex
	sources map[int64]datasource.DataSource
	of      map[string][]int64 // conversations by flUserId
	read    time.Time          // when the list was
	desks   map[int32]map[*Desk]bool
	watches map[*Watch]bool

	trouble  trouble
	endpoint *rows.Endpoint // for what is read from the server for all

	relisting relisting

	once   sync.Once
	wanted chan struct{} // is closed when somebody listens
	opened time.Time
	begun  time.Time // when that was
}

// Run reads what is new, from when somebody listens, until ctx ends. Until then it looks at the
// contacts of users, too.
func (h *Hub) Run(ctx context.Context) {
	if h.cfg.Contacts != 0 {
		var looking sync.WaitGroup
		defer looking.Wait()
		looking.Go(func() { h.lookAtContacts(ctx) })
	}
	select {
	case <-h.wanted:
		h.driver.Run(ctx)
	case <-ctx.Done():
	}
}

// want lets the reading begin, unless it has. What came before is not new to anybody.
func (h *Hub) want() {
	h.once.Do(func() {
		h.driver.With(func(f *fleet.Fleet, now time.Time) {
			h.since += feed.Time(now.Sub(h.opened).Microseconds())
			f.Begin(now, h.since)
		})
		h.mu.Lock()
		h.begun = time.Now()
		h.mu.Unlock()
		close(h.wanted)
	})
}

// fresh is how old a list of conversations may be when somebody begins to listen.
const fresh = 10 * time.Second

// stale reports whether the last list is from before anybody listened.
func (h *Hub) stale() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.read.Before(h.begun.Add(-fresh))
}

// refreshed reads the list of conversations, unless that was done since somebody listens.
func (h *Hub) refreshed(ctx context.Context) error {
	h.want()
	if !h.stale() {
		return nil
	}
	_, err := h.source.Ask(ctx, fleet.Request{Kind: fleet.List, Users: true})
	return err
}

// Ring says that a bell has named a conversation.
func (h *Hub) Ring(conversation int64) { h.driver.Ring(conversation) }

// ServeHTTP rings for the conversation that the URL names.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if id, err := strconv.ParseInt(r.URL.Query().Get("conversation"), 10, 64); err == nil {
		h.Ring(id)
	}
	w.WriteHeader(http.StatusNoContent)
}

// Sent says that a message was sent to a conversation.
func (h *Hub) Sent(conversation int64) { h.driver.Sent(conversation) }

// listed keeps a list of conversations, and tells who listens to all of them when it has
// become another.
func (h *Hub) listed(list []datasource.DataSource) {
	for _, w := range h.keep(list) {
		w.late.to.Joined()
	}
}

// keep keeps a list, and returns those who have to be told.
func (h *Hub) keep(list []datasource.DataSource) (told []*Watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.sources
	changed := len(list) != len(before)
	h.sources, h.of, h.read = make(map[int64]datasource.DataSource, len(list)), map[string][]int64{}, time.Now()
	for _, ds := range list {
		was, had := before[ds.ID]
		changed = changed || !had || !bytes.Equal(was.Definition, ds.Definition)
		h.sources[ds.ID] = ds
		d := wire.ParseDefinition(ds.Definition)
		for _, u := range d.List(wire.Participants) {
			if d.Has(u) {
				h.of[u] = append(h.of[u], ds.ID)
			}
		}
	}
	if !changed {
		return nil
	}
	return slices.Collect(maps.Keys(h.watches))
}

// changed wakes the listeners of conversations in which something is new.
func (h *Hub) changed(conversations []int64) {
	poked := map[*Desk]bool{}
	var all []*Watch
	h.driver.With(func(f *fleet.Fleet, _ time.Time) {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, c := range conversations {
			for _, u := range f.Users(c) {
				for d := range h.desks[u] {
					poked[d] = true
				}
			}
		}
		all = slices.Collect(maps.Keys(h.watches))
	})
	for d := range poked {
		d.to.Poke()
	}
	for _, w := range all {
		w.late.to.Poke()
	}
}

// moved tells users that their conversations are others.
func (h *Hub) moved(users map[int32]bool) {
	var desks []*Desk
	h.mu.Lock()
	for u := range users {
		for d := range h.desks[u] {
			desks = append(desks, d)
		}
	}
	h.mu.Unlock()
	for _, d := range desks {
		d.told.Store(true)
		d.to.Joined()
	}
}

// Listener is whose engine a [Desk] or a [Watch] answers. It has to be complete when it enters,
// since it is told by other goroutines from then on. Neither method may block.
type Listener interface {
	Poke()   // there is something new
	Joined() // the conversations are others
}

// Desk answers the queries of one user's engine.
type Desk struct {
	h     *Hub
	id    string // flUserId
	user  int32
	inbox *fleet.Inbox
	to    Listener    // nil until it has entered
	told  atomic.Bool // the list has something new for the user
	asked time.Time   // when it was taken last
	mine  []int64     // the conversations, in order
	as    time.Time   // of when these are
	lacks lacks
	tail  *tail // of an engine in the server's own times; nil until one asks
	late  *late // of a consumer, nil for others
	complaint

	contact int64
	fits    func(*datasource.Entry) bool
	doubted atomic.Bool // the contact does not fit
	looked  time.Time   // when it was looked at
}

// Listen returns the desk of a user with a contact. It begins with [Desk.Enter]. fits reports
// whether a row of the contact, nil if there is none, is still the user's; it must not block.
func (h *Hub) Listen(userID string, contact int64, fits func(*datasource.Entry) bool) *Desk {
	d := &Desk{h: h, id: userID, user: h.source.User(userID), contact: contact, fits: fits}
	h.driver.With(func(*fleet.Fleet, time.Time) { d.inbox = fleet.NewInbox(h.log, 0, nil) })
	return d
}

// now is the server's time.
func (h *Hub) now() (at feed.Time) {
	h.driver.With(func(f *fleet.Fleet, now time.Time) { at = f.Now(now) })
	return at
}

// all are the conversations of the last list that has the users, in no order, and when that
// was read.
func (h *Hub) all() ([]datasource.DataSource, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.sources)), h.read
}

// Start says that a listener begins at this moment, for the query in which its engine asks
// where that is. Like Enter and Leave it does nothing for nil.
func (d *Desk) Start() {
	if d != nil {
		d.h.want()
		d.h.driver.With(func(f *fleet.Fleet, now time.Time) {
			f.Tick(now)
			d.inbox.Start()
		})
	}
}

// Enter lets the desk be told what is new, from now on: also before Enter returns. The caller has
// to call [Desk.Leave].
func (d *Desk) Enter(to Listener) {
	if d == nil {
		return
	}
	h := d.h
	h.mu.Lock()
	defer h.mu.Unlock()
	d.to = to
	if h.desks[d.user] == nil {
		h.desks[d.user] = map[*Desk]bool{}
	}
	h.desks[d.user][d] = true
}

// EnterConsumer is [Desk.Enter] for a consumer, which may call [Desk.Late] then. It returns what
// leaves, and calls then in the end.
func (d *Desk) EnterConsumer(to Reader, then func()) (leave func()) {
	d.late = &late{h: d.h, log: d.h.cfg.Log, to: to, list: d.sources}
	d.Enter(to)
	return func() {
		d.Leave()
		then()
	}
}

// Leave ends the desk.
func (d *Desk) Leave() {
	if d == nil {
		return
	}
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	if delete(d.h.desks[d.user], d); len(d.h.desks[d.user]) == 0 {
		delete(d.h.desks, d.user)
	}
}

// refresh is how often an engine asks for the list when nothing has told it to.
const refresh = 4 * time.Minute

// Conversations are the user's as the last list has them, and when that was. It reports false
// when it is asked again so soon that the list may lack what the user has just joined. One
// goroutine at a time may call it.
func (d *Desk) Conversations() (list []datasource.DataSource, read time.Time, ok bool) {
	d.h.want()
	if !d.told.Swap(false) && time.Since(d.asked) < refresh || d.h.stale() {
		return nil, read, false
	}
	list, read = d.listed()
	return list, read, true
}

// listed are the user's conversations in the last list, and when that was read.
func (d *Desk) listed() (list []datasource.DataSource, read time.Time) {
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	for _, id := range d.h.of[d.id] {
		list = append(list, d.h.sources[id])
	}
	return list, d.h.read
}

// sources are the user's conversations in a list from after somebody has begun to listen.
func (d *Desk) sources(ctx context.Context) ([]datasource.DataSource, error) {
	if err := d.h.refreshed(ctx); err != nil {
		return nil, err
	}
	list, _ := d.listed()
	return list, nil
}

// Assign says which conversations are the user's, and as of when that is.
func (d *Desk) Assign(members []feed.Member, read time.Time) {
	d.asked, d.as = time.Now(), read
	ids := make([]int64, len(members))
	for i := range members {
		ids[i] = members[i].Conversation
	}
	slices.Sort(ids)
	d.mine = slices.Compact(ids)
	d.h.driver.With(func(f *fleet.Fleet, _ time.Time) {
		for _, c := range d.mine {
			if !d.inbox.Has(c) {
				f.Join(c, d.user)
			}
		}
		d.inbox.Assign(d.mine)
	})
	if d.tail != nil {
		d.tail.others()
	}
}

// Page answers a query. What the log does not have is asked of server, and what the log has
// of the answer gets its stamps. short: there may be more, although these are fewer than
// were asked for.
func (d *Desk) Page(ctx context.Context, q feed.Query, server func(context.Context, feed.Query) ([]feed.Row, error)) (page []feed.Row, short bool, clock feed.Clock, err error) {
	p := d.h.driver.Answer(d.inbox, q)
	ctx = datasource.InClass(ctx, datasource.ClassBackground) // what is new comes first, for everybody
	switch {
	case p.Elsewhere || p.Lost:
		found, err := server(ctx, q)
		if err != nil {
			return nil, false, clock, err
		}
		n := len(found)
		d.h.driver.With(func(f *fleet.Fleet, _ time.Time) {
			page = d.inbox.Translate(found, f.Settled)
			if p.Lost && n < q.Limit {
				d.inbox.Caught()
			}
		})
		short = n >= q.Limit && len(page) < n
		p = d.h.driver.Answer(d.inbox, feed.Query{Kind: feed.Newest, Limit: 1}) // for its clock
	default:
		var waits bool
		if page, waits, err = d.fill(ctx, p); err != nil {
			return nil, false, clock, err
		}
		p.More = p.More || waits
	}
	if p.More {
		d.to.Poke()
	}
	return page, short, p.Clock, nil
}

// Recent answers a query of an engine in the server's own times, whose position may be stored: as
// server would, and without a request where the log can. The answer is as old as the list of
// conversations. One goroutine at a time may call it, and none may call Page then.
func (d *Desk) Recent(ctx context.Context, q feed.Query, server func(context.Context, feed.Query) (rows.Answer, error)) (rows.Answer, error) {
	if d.tail == nil {
		d.tail = &tail{h: d.h, late: d.late, conversations: func(context.Context) ([]int64, time.Time, error) {
			return d.mine, d.since(), nil
		}}
	}
	d.tail.server = server
	return d.tail.answer(datasource.InClass(ctx, datasource.ClassBackground), q)
}

// since is as of when the conversations are the user's.
func (d *Desk) since() time.Time {
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	if d.h.read.After(d.as) && slices.Equal(d.mine, slices.Compact(slices.Sorted(slices.Values(d.h.of[d.id])))) {
		d.as = d.h.read
	}
	return d.as
}
