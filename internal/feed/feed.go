package feed

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// Config sets the engine's sizes and times. Zero fields take the defaults.
type Config struct {
	PageSize int           // rows per request, default 200
	Overlap  time.Duration // how late a row may become visible, default 5 s
	Queue    int           // events of one listener before it is left out, default 200
	Collect  int           // new rows one poll holds to sort them, default 1000
	Remember int           // versions a listener remembers, default 16384
	// Apart says that conversations are read one by one, so that rows of one may come long after
	// later ones of the others: what is forgotten of a conversation says nothing of another. Of
	// each conversation it is remembered what was found so long before the last of it, and a few
	// more of all. 0: they are read together. It does not concern durable listeners.
	Apart time.Duration
	Bytes int // of rows that one poll holds, and that wait in a queue, before no more is read; default 8 MiB

	Live   time.Duration // wait after something happened, default 2 s
	Base   time.Duration // longest wait while a conversation may go on, default 20 s
	Max    time.Duration // longest wait after a long silence, default 2 min
	MinGap time.Duration // between the starts of two polls, default 200 ms
	// Outage is the longest wait after failed requests, default 10 s: an outage of any
	// length is over for the listeners that long after its end.
	Outage time.Duration
	// LongestWait is the most that a server can ask for, default 1 min. A little is
	// added to it.
	LongestWait time.Duration
	// Roster is how often the list of conversations is read again, default 5 min.
	Roster time.Duration

	// Stable replaces the Hash and the Origin of a row by those that stay the same for ever.
	// It is called for the rows of durable listeners, whose positions hold them; for others
	// what is the same within this process is enough. Nil: all of them stay the same.
	Stable func(*Row)

	// Draw draws the jitter: a number from 0 to below n. Default: [rand.Int64N].
	Draw func(n int64) int64
}

func (c Config) withDefaults() Config {
	c.PageSize = cmp.Or(c.PageSize, 200)
	c.Overlap = cmp.Or(c.Overlap, 5*time.Second)
	c.Queue = cmp.Or(c.Queue, c.PageSize)
	c.Collect = cmp.Or(c.Collect, 5*c.PageSize)
	c.Remember = cmp.Or(c.Remember, 16384)
	c.Bytes = cmp.Or(c.Bytes, 8<<20)
	c.Base = cmp.Or(c.Base, 20*time.Second)
	c.Live = min(cmp.Or(c.Live, 2*time.Second), c.Base)
	c.Max = max(cmp.Or(c.Max, 2*time.Minute), c.Base)
	c.MinGap = min(cmp.Or(c.MinGap, 200*time.Millisecond), c.Live)
	c.Outage = cmp.Or(c.Outage, 10*time.Second)
	c.LongestWait = cmp.Or(c.LongestWait, time.Minute)
	c.Roster = cmp.Or(c.Roster, 5*time.Minute)
	if c.Draw == nil {
		c.Draw = rand.Int64N
	}
	return c
}

// Shared is a Config for many engines, which take 120 bytes less each than with one of their
// own.
type Shared struct{ cfg Config }

// Share makes a Config one for many engines.
func (c Config) Share() *Shared { return &Shared{c.withDefaults()} }

// New returns an engine without listeners.
func (s *Shared) New() *Feed { return &Feed{cfg: &s.cfg, clock: newSchedule(&s.cfg)} }

// stable are rows as positions hold them.
func (c *Config) stable(rows []Row) []Row {
	rows = slices.Clone(rows)
	for i := range rows {
		c.Stable(&rows[i])
	}
	return rows
}

func (c *Config) overlap() Time { return Time(c.Overlap.Microseconds()) }

// Start says where a listener begins.
type Start uint8

const (
	// FromNewest begins with the newest page of live rows. The default.
	FromNewest Start = iota
	// FromNow begins with what happens after the start.
	FromNow
	// FromBeginning begins with the oldest row.
	FromBeginning
)

// ID names a listener of a Feed.
type ID int64

// Feed is the engine of one chat. See the package documentation.
type Feed struct {
	cfg     *Config
	readers []*entry // in order of subscription; rotated for fairness
	nextID  ID
	clock   schedule
	flight  *flight
	roster  roster
	ahead   Time // by how much the server's clock was ahead of the owner's in the last answer
	most    Time // the largest of these
	dated   bool // there was one with a clock
	// polls counts polls begun, done those completed. A caller that waits for a poll
	// has a ticket: the number of that poll.
	polls, done uint64

	one [1]Member // the list of conversations while it has no more: small pieces cost more memory than they have
}

type entry struct {
	id ID
	*reader
	main *entry // the listener, of a conversation that is set aside
}

// flight is the running request and the readers that wait for it.
type flight struct {
	query   Query
	sent    time.Time
	readers []*entry
	since   origin
}

// roster is the list of conversations as last read.
type roster struct {
	members roll
	read    time.Time
	loaded  bool
	stale   bool
	// overtaken: what made it stale came after the reading that is under way was asked for, which
	// may lack it.
	overtaken bool
	again     time.Time // when it is asked for again, after a failure
}

// outdate says that the list may be another one now, and so may one that is being read.
func (r *roster) outdate() { r.stale, r.overtaken, r.again = true, true, time.Time{} }

// New returns an engine without listeners.
func New(cfg Config) *Feed { return cfg.Share().New() }

// Subscribe adds a listener. Its first page is requested at once.
func (f *Feed) Subscribe(now time.Time, s Start) ID {
	f.nextID++
	e := newEntry(f.cfg, now, s)
	e.id = f.nextID
	if f.roster.loaded && (!f.roster.stale && now.Sub(f.roster.read) < f.cfg.Roster || now.Before(f.roster.again)) {
		e.membership(now, f.roster.members, nil)
	}
	f.readers = append(f.readers, e)
	f.clock.poke(now)
	return e.id
}

// Seed gives the engine the rows that a new listener has already, from a cache. They
// are not delivered again unless they have changed.
func (f *Feed) Seed(id ID, rows []Row) {
	if e := f.find(id); e != nil {
		if e.ledger != nil && f.cfg.Stable != nil {
			rows = f.cfg.stable(rows)
		}
		for i := range rows {
			e.mem.put(&rows[i])
		}
	}
}

// Unsubscribe removes a listener and its queue.
func (f *Feed) Unsubscribe(id ID) {
	f.readers = slices.DeleteFunc(f.readers, func(e *entry) bool { return e.id == id || e.main != nil && e.main.id == id })
	f.settle()
}

// Poke requests a poll soon, for instance after a send. The ticket is for
// [Feed.Done]. A running poll may have missed the send, so another one follows it.
func (f *Feed) Poke(now time.Time) (ticket uint64) {
	f.clock.poke(now)
	return f.polls + 1
}

// Reset requests a poll that delivers the newest page again, as replays, without the
// rows that are new in it.
func (f *Feed) Reset(now time.Time) (ticket uint64) {
	for _, e := range f.readers {
		e.replay, e.replayed = e.phase != initial, nil
	}
	f.roster.outdate()
	return f.Poke(now)
}

// Joined requests that the next poll reads the list of conversations again, also when one is
// being read: what the user has joined may be missing there.
func (f *Feed) Joined(now time.Time) {
	f.roster.outdate()
	f.clock.poke(now)
}

// Done reports whether the poll of a ticket has completed for every listener that has
// room.
func (f *Feed) Done(ticket uint64) bool { return f.done >= ticket }

// Polls counts the polls begun so far.
func (f *Feed) Polls() uint64 { return f.polls }

// Action is what the owner does next: it makes the request of Query, or waits. If
// neither is set it waits for an input.
type Action struct {
	Query Query
	Until time.Time
}

// Next returns the next action. While a request is running it returns its query.
func (f *Feed) Next(now time.Time) Action {
	if f.flight != nil {
		return Action{Query: f.flight.query}
	}
	if len(f.readers) == 0 {
		return Action{}
	}
	if until, blocked := f.clock.blocked(now); blocked {
		return Action{Until: until}
	}
	f.revive(now)
	f.beginPolls(now)
	if q, ok := f.pick(now); ok {
		return Action{Query: q}
	}
	return Action{Until: f.clock.next}
}

// beginPolls starts the poll that is due, and one for readers that missed it.
func (f *Feed) beginPolls(now time.Time) {
	if f.clock.due(now) && f.done == f.polls {
		f.polls++
		f.clock.began(now)
		for _, e := range f.readers {
			e.inPoll = true
			// A reader that was left out of the previous poll and is still reading it
			// has to read this one, too.
			e.missed = e.missed || e.phase == live
		}
	}
	for _, e := range f.readers {
		if e.main == nil && e.missed && e.idle() && e.room() {
			e.begin(now)
		}
	}
	f.beginAside(now)
}

// pick chooses the next request and the readers who share its answer.
func (f *Feed) pick(now time.Time) (Query, bool) {
	wantsRoster := f.roster.stale || !f.roster.loaded || now.Sub(f.roster.read) >= f.cfg.Roster && f.done < f.polls
	for _, e := range f.readers {
		wantsRoster = wantsRoster || e.needsMembers
	}
	if wantsRoster && !(now.Before(f.roster.again) && f.withoutList()) {
		f.flight, f.roster.overtaken = &flight{query: Query{Kind: Members}, sent: now}, false
		return f.flight.query, true
	}
	var lead *entry
	var query Query
	for _, e := range f.readers {
		if q, ok := e.want(); ok && (lead == nil || e.fresh() && !lead.fresh()) {
			lead, query = e, q
		}
	}
	if lead == nil {
		f.settle()
		f.schedule(now)
		return Query{}, false
	}
	f.flight = &flight{sent: now}
	for _, e := range f.readers {
		q, ok := e.want()
		if !ok {
			continue
		}
		if lead.fresh() && e.fresh() {
			// The first pages of a poll differ only in where they start.
			if q.After.Compare(query.After) < 0 {
				query.After = q.After
			}
			query.Beyond = lowest(query.Beyond, q.Beyond)
		} else if q != query {
			continue
		}
		f.flight.readers = append(f.flight.readers, e)
	}
	f.flight.query = query
	// Readers that were served go to the end of the queue.
	f.readers = append(slices.DeleteFunc(f.readers, func(e *entry) bool { return e == lead }), lead)
	return query, true
}

// Page takes the answer to a query for rows, in the server's order, and the server's own
// time of it. It does not keep the slice.
func (f *Feed) Page(now time.Time, rows []Row, clock Clock) {
	f.answered(now, clock, page{rows: rows})
}

// PageUpto is Page for an answer that was put together from several, or of which something
// is not believed: rows with a higher id than upto may be missing if their time has passed.
// 0 is the same as Page.
func (f *Feed) PageUpto(now time.Time, rows []Row, clock Clock, upto int64) {
	f.answered(now, clock, page{rows: rows, upto: upto})
}

// ShortPage is Page for an answer that is in order, and ends before the limit although
// there may be more: a larger one could not be read, or may have been cut. An empty one is
// the end all the same. upto is as for PageUpto.
func (f *Feed) ShortPage(now time.Time, rows []Row, clock Clock, upto int64) {
	f.answered(now, clock, page{rows: rows, full: len(rows) > 0, upto: upto})
}

// PartialPage is Page for an answer without the rows of some conversations, which could
// not be read. Only a query with Partial may be answered so. What there is is delivered,
// and nothing is settled: later polls read from the same position until one lacks nothing.
// short is as for ShortPage.
func (f *Feed) PartialPage(now time.Time, rows []Row, clock Clock, without []int64, short bool) {
	f.answered(now, clock, page{rows: rows, full: short && len(rows) > 0, partial: true, without: without})
}

// Earlier says that a part of the answer which comes next was asked for at an earlier
// moment: by the owner's clock, and by the server's at the latest estimate that is not too
// late. Only a query with Partial may be answered so. The poll settles no more than if all
// of it had been read then.
func (f *Feed) Earlier(asked time.Time, clock Time) {
	if f.flight != nil {
		f.flight.since = origin{asked, clock}
	}
}

func (f *Feed) answered(now time.Time, clock Clock, p page) {
	fl := f.flight
	if fl == nil || fl.query.Kind == Members {
		return
	}
	f.flight = nil
	f.clock.succeeded()
	p.clock, p.latest, p.sent = clock.Earliest, clock.Latest, fl.sent
	stepped := f.setBack(fl.sent, now, p.clock)
	if f.dated {
		p.high = f.most + Time(now.UnixMicro())
	}
	whole := len(p.rows) >= fl.query.Limit
	p.query, p.since, p.full, p.short = fl.query, fl.since, p.full || whole, p.full && !whole
	p.rows, p.ordered = sorted(fl.query.Kind, p.rows)
	var stable []Row // for durable listeners
	for _, e := range fl.readers {
		if !slices.Contains(f.readers, e) {
			continue // unsubscribed meanwhile
		}
		if stepped && e.phase != initial {
			continue // it asks again, further back
		}
		before := e.queue.len()
		own := p
		if e.ledger != nil && f.cfg.Stable != nil {
			if stable == nil {
				stable = f.cfg.stable(p.rows)
			}
			own.rows = stable
		}
		e.take(now, own)
		e.keepPromise()
		if e.queue.len() > before {
			f.clock.heard(now)
		}
	}
	if now.Before(f.roster.again) && f.withoutList() {
		f.unlisted(now)
	}
	f.rejoin()
	f.settle()
	f.schedule(now)
}

// Members takes the answer to a query for the list of conversations.
func (f *Feed) Members(now time.Time, members []Member) {
	if f.flight == nil || f.flight.query.Kind != Members {
		return
	}
	f.flight = nil
	f.clock.succeeded()
	fresh := newRoll(members)
	var left []int64
	for _, m := range f.roster.members {
		if _, ok := fresh.find(m.Conversation); !ok {
			left = append(left, m.Conversation)
		}
	}
	if len(fresh) == 1 {
		fresh = append(f.one[:0], fresh...)
	}
	f.roster = roster{members: fresh, read: now, loaded: true, stale: f.roster.overtaken}
	for _, e := range f.readers {
		e.membership(now, fresh, left)
		e.listed(now, fresh)
	}
	f.rejoin()
	f.settle()
	f.schedule(now)
}

// Failed says that the query failed. wait is the wait that the server asked for, or 0.
// The engine's own backoff grows with every failure in a row.
func (f *Feed) Failed(now time.Time, wait time.Duration) {
	if f.flight != nil && f.flight.query.Kind == Members && f.goOn(now) && wait == 0 {
		return
	}
	f.flight = nil
	f.clock.failed(now, wait)
}

// settle completes the poll when every reader in it has had its rows, is far
// behind, or has no room for them.
func (f *Feed) settle() {
	if f.done == f.polls {
		return
	}
	for _, e := range f.readers {
		if !e.inPoll {
			continue
		}
		if e.caughtUp() || !e.room() {
			e.inPoll = false
			continue
		}
		return
	}
	f.done = f.polls
}

// schedule sets the next poll once the current one is complete.
func (f *Feed) schedule(now time.Time) {
	if f.done == f.polls {
		f.clock.completed(now, f.polls)
	}
}

// Take returns the event at the head of a listener's queue. It stays there until
// [Feed.Ack], so a handler that failed gets it again.
func (f *Feed) Take(id ID) (Event, bool) {
	if e := f.Peek(id); e != nil {
		return *e, true
	}
	return Event{}, false
}

// Peek is Take for who copies the event: it is valid until the next call of the engine. Nil
// if there is none.
func (f *Feed) Peek(id ID) *Event {
	if e := f.find(id); e != nil {
		return e.queue.peek()
	}
	return nil
}

// Ack removes the event at the head of a listener's queue. It reports whether that
// made room for a reader that waited for it.
func (f *Feed) Ack(id ID) (room bool) {
	e := f.find(id)
	if e == nil {
		return false
	}
	full := !e.room()
	if head := e.queue.peek(); head != nil {
		if e.ledger != nil {
			e.ledger.ack(head)
		}
		e.queue.finish(head.number)
		e.parked = false
		if e.ledger != nil {
			e.advance()
		}
	}
	return full && e.room()
}

// Pending counts the events queued for a listener.
func (f *Feed) Pending(id ID) (n int) {
	for _, e := range f.readers {
		if e.id == id || e.main != nil && e.main.id == id {
			n += e.queue.len()
		}
	}
	return n
}

func (f *Feed) find(id ID) *entry {
	for _, e := range f.readers {
		if e.id == id {
			return e
		}
	}
	return nil
}

// sorted returns the rows ascending by the key of a query, and whether the server
// observed the requested order.
func sorted(kind Kind, rows []Row) ([]Row, bool) {
	key := (*Row).UpdatedKey
	if kind == Newest || kind == Created {
		key = (*Row).createdKey
	}
	if kind == Newest {
		// Requested newest first.
		rows = slices.Clone(rows)
		slices.Reverse(rows)
	}
	for i := 1; i < len(rows); i++ {
		if key(&rows[i-1]).Compare(key(&rows[i])) > 0 {
			rows = slices.Clone(rows)
			slices.SortStableFunc(rows, func(a, b Row) int { return key(&a).Compare(key(&b)) })
			return rows, false
		}
	}
	return rows, true
}
