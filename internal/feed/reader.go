package feed

import (
	"math"
	"time"
)

// phase is where a reader stands.
type phase uint8

const (
	// initial: nothing loaded yet; asks for the newest page.
	initial phase = iota
	// live: everything up to its position is delivered; takes part in polls.
	live
	// measuring: far behind; asks which row changed last, the end of the backlog.
	measuring
	// catching: far behind; reads new rows by creation, page by page.
	catching
	// mending: the new rows are delivered; reads what changed among the older ones.
	mending
)

// reader is the state of one listener: what it has had, and where it reads on.
type reader struct {
	cfg   *Config
	start Start
	mem   *memory
	queue queue
	phase phase

	// settled: every change up to it was read, at a moment when nothing at or
	// before it could still become visible. Polls start behind it.
	settled Time
	// firm: like settled, and a whole window has passed since. A row that changes
	// while a poll reads on, from replicas that lag, can slip between its pages;
	// within the window it comes with its change. What is firm may be forgotten.
	firm Time
	// pos is the newest change seen.
	pos    Time
	window window
	// created is the newest creation time delivered as new.
	created Time

	// One poll, or one step of a backlog.
	polling bool      // live and between the first and the last page of a poll
	missed  bool      // left out of a poll because its queue was full
	began   time.Time // when the current poll started, on the owner's clock
	from    Time      // the lower bound the current paging started at
	at      Key       // how far the current paging is
	first   Time      // the newest change on the first page of the poll
	limit   int       // page size; doubled while the server's order cannot be relied on
	batch   batch
	ending  bool // the current page was the last: flush once nothing is held back

	// Backlog.
	end         Time // the newest change when the backlog was found
	createdFrom Time // created when it was found

	// Membership.
	conversations map[int64]struct{}
	needsMembers  bool
	joins         []Query // histories of joined conversations, for an idle moment
	histories     []Query // histories the batch waits for
	replay        bool    // a reset asks for the newest page again

	ledger *ledger // what is acknowledged, for durable listeners
}

// window is a position waiting for its overlap to pass.
type window struct {
	upto    Time
	settled Time      // what was settled when it opened
	from    time.Time // on the owner's clock; only differences are used
	open    bool
}

func newReader(cfg *Config, s Start) *reader {
	r := &reader{
		cfg: cfg, start: s, mem: newMemory(cfg), limit: cfg.PageSize,
		pos: beginning, settled: beginning, firm: beginning, created: beginning, needsMembers: true,
	}
	r.batch.reset()
	switch s {
	case FromBeginning:
		r.phase, r.missed = live, true
	case FromNow:
		r.limit = 1
	}
	return r
}

// room reports whether the reader may ask for another page.
func (r *reader) room() bool { return r.queue.len() < r.cfg.Queue || r.cfg.is(queueUnbounded) }

// idle reports whether nothing is under way: the moment to begin a poll.
func (r *reader) idle() bool {
	return r.phase == live && !r.polling && !r.needsMembers && !r.replay && len(r.joins) == 0
}

// since is where the next poll starts reading.
func (r *reader) since() Key {
	if r.settled == beginning {
		return Key{Time: beginning}
	}
	return afterAll(r.settled)
}

// begin starts a poll.
func (r *reader) begin(now time.Time) {
	r.polling, r.missed, r.began = true, false, now
	r.at = r.since()
	r.from, r.first = r.at.Time, beginning
	r.limit = r.cfg.PageSize
}

// want is the reader's next query, if it has one.
func (r *reader) want() (Query, bool) {
	switch {
	case r.needsMembers:
		return Query{}, false
	case len(r.histories) > 0:
		return r.histories[0], true
	case !r.room():
		return Query{}, false
	}
	switch r.phase {
	case initial:
		return Query{Kind: Newest, Limit: r.limit}, true
	case measuring:
		return Query{Kind: Latest, Limit: 1}, true
	case catching:
		return Query{Kind: Created, After: r.at, Limit: r.limit}, true
	case mending:
		return Query{Kind: Changes, After: r.at, UpdatedTo: r.end, CreatedTo: r.createdFrom, Limit: r.limit}, true
	}
	switch {
	case len(r.joins) > 0 && r.batch.empty() && len(r.batch.held) == 0:
		return r.joins[0], true
	case r.polling:
		return Query{Kind: Changes, After: r.at, Limit: r.limit}, true
	case r.replay:
		return Query{Kind: Newest, Limit: r.limit}, true
	}
	return Query{}, false
}

// fresh reports whether the reader's query is the first page of a poll, which
// readers with other positions may share.
func (r *reader) fresh() bool {
	return r.phase == live && r.polling && len(r.joins) == 0 && r.at == r.since() && r.batch.empty() && r.limit == r.cfg.PageSize
}

// page is one answer, sorted ascending by the query's key.
type page struct {
	query   Query
	rows    []Row
	ordered bool // the rows came in the order asked for
	full    bool // there may be more
}

func (r *reader) take(now time.Time, p page) {
	switch {
	case len(r.histories) > 0:
		r.takeHistory(p)
		r.histories = r.histories[1:]
		r.finish(now)
	case p.query.Kind == Latest:
		r.takeLatest(p)
	case p.query.Kind == Created:
		r.takeCreated(now, p)
	case p.query.Kind == Changes:
		r.takeChanges(now, p)
	case r.phase == initial:
		r.takeInitial(now, p)
	case len(r.joins) > 0:
		r.takeHistory(p)
		r.conversations[p.query.Conversation] = struct{}{}
		r.joins = r.joins[1:]
		r.flush()
	default:
		r.takeReplay(p)
	}
}

// unreliable reports whether a full page cannot be paged on from, and widens the
// next one. A page that is out of order, or ends where it began, says nothing
// about what lies behind it; a wider one eventually holds everything.
func (r *reader) unreliable(p page, last Key) bool {
	if !p.full || p.ordered && last.Compare(p.query.After) > 0 || r.cfg.is(orderTrusted) {
		return false
	}
	r.limit = p.query.Limit * 2
	return true
}

func (r *reader) takeInitial(now time.Time, p page) {
	if p.full && !p.ordered {
		r.limit = p.query.Limit * 2
		return
	}
	for i := range p.rows {
		row := &p.rows[i]
		r.pos = max(r.pos, row.Updated)
		r.created = max(r.created, row.Created)
		r.conversations[row.Conversation] = struct{}{}
		switch {
		case row.Deleted:
		case r.start == FromNow:
			r.mem.put(row, false)
		default:
			r.consider(row)
		}
	}
	if p.full && !r.cfg.is(historyNew) {
		r.mem.floor = Key{p.rows[0].Created, p.rows[0].ID - 1}
		if r.start == FromNow {
			r.mem.floor = afterAll(p.rows[len(p.rows)-1].Created)
		}
		r.mem.atMost(p.rows)
	}
	r.checkpointInitial(p)
	r.phase, r.limit, r.first = live, r.cfg.PageSize, r.pos
	r.observe(now)
	r.flush()
	r.checkpoint()
}

// takeChanges reads one page in order of change: the poll of a live reader, or
// the last step of a backlog.
func (r *reader) takeChanges(now time.Time, p page) {
	last := r.at
	for i := range p.rows {
		row := &p.rows[i]
		k := row.updatedKey()
		if k.Compare(r.at) <= 0 || p.query.CreatedTo != 0 && row.Created > p.query.CreatedTo ||
			p.query.UpdatedTo != 0 && row.Updated > p.query.UpdatedTo {
			continue
		}
		r.consider(row)
		last = k
	}
	if r.unreliable(p, last) {
		return
	}
	r.at = r.cfg.position(last)
	if r.first == beginning {
		r.first = last.Time
	}
	switch {
	case !p.full:
		r.ending = true
		r.finish(now)
	case r.phase == mending:
		r.holdOrFlush()
	case r.batch.pending() == 0:
		r.flush()
	case r.batch.pending()+len(r.batch.updates) > r.cfg.Collect:
		// Too many to hold until the end of the poll. Nothing of the batch is
		// remembered, so the backlog delivers it, in order of creation.
		r.batch.reset()
		r.polling, r.phase = false, measuring
	}
}

func (r *reader) takeLatest(p page) {
	r.end = r.at.Time // what the abandoned poll had reached, should the answer be empty
	for i := range p.rows {
		r.end = max(r.end, p.rows[i].Updated)
	}
	r.createdFrom = max(r.created, r.settled)
	r.phase, r.limit = catching, r.cfg.PageSize
	r.at = r.since()
	r.from = r.at.Time
}

func (r *reader) takeCreated(now time.Time, p page) {
	last := r.at
	for i := range p.rows {
		row := &p.rows[i]
		k := row.createdKey()
		if k.Compare(r.at) <= 0 {
			continue
		}
		if row.Created > r.end && (p.ordered || !p.full) {
			// Newer than the backlog. Left for the next poll, or the next backlog: a
			// reader that is slower than the writers must not remember all they write.
			p.full = false
			break
		}
		last = k
		// Known rows and history come in the next step, in order of change.
		if row.Deleted || r.batch.has(row.ID) || r.mem.old(row) {
			continue
		}
		if _, known := r.mem.lookup(row.ID); !known {
			r.consider(row)
		}
	}
	if r.unreliable(p, last) {
		return
	}
	r.at = r.cfg.position(last)
	r.ending = !p.full
	if r.ending {
		r.finish(now)
		return
	}
	r.holdOrFlush()
}

// holdOrFlush hands a page of a backlog over at once, unless rows of unknown
// conversations are in it.
func (r *reader) holdOrFlush() {
	if len(r.batch.held) > 0 {
		r.needsMembers = true
		return
	}
	r.flush()
}

// consider classifies one row of a change or creation page.
func (r *reader) consider(row *Row) {
	v, known := r.batch.lookup(row.ID)
	if !known {
		v, known = r.mem.lookup(row.ID)
	}
	if known {
		if !r.supersedes(row, v) {
			return
		}
		r.batch.see(row, v.twin)
		if !v.twin && !(v.deleted && row.Deleted) {
			r.batch.updates = append(r.batch.updates, Event{Row: *row, Update: !r.cfg.is(updatesNew), Deleted: row.Deleted})
		}
		return
	}
	if _, ok := r.conversations[row.Conversation]; !ok {
		if !row.Deleted && !r.cfg.is(heldDropped) {
			r.batch.hold(row, r.at.Time)
		}
		return
	}
	if r.mem.old(row) {
		r.batch.see(row, false)
		r.batch.updates = append(r.batch.updates, Event{Row: *row, Update: true, Deleted: row.Deleted})
		return
	}
	// A tombstone of a message never delivered says nothing to anyone.
	if !row.Deleted {
		r.addNew(row)
	}
}

// addNew puts a message never delivered before into the batch. Of a repeated
// send, stored twice, only the row with the lowest id is shown.
func (r *reader) addNew(row *Row) {
	if _, delivered := r.mem.twinOf(row); delivered {
		r.batch.see(row, true)
		return
	}
	if r.batch.replaceTwin(row) {
		return
	}
	r.batch.see(row, false)
	r.batch.news = append(r.batch.news, Event{Row: *row})
}

// takeHistory adds the newest rows of a joined conversation to the batch.
func (r *reader) takeHistory(p page) {
	q := p.query
	var oldest Key
	had, again := r.mem.had(q.Conversation), false // the user was in it before
	for i := range p.rows {
		row := &p.rows[i]
		if row.Conversation != q.Conversation || row.Deleted || q.Before != (Key{}) && row.createdKey().Compare(q.Before) >= 0 {
			continue
		}
		if oldest == (Key{}) {
			oldest = row.createdKey()
		}
		switch _, known := r.mem.lookup(row.ID); {
		case known:
			again = true
			r.consider(row)
		case row.createdKey().Compare(had) <= 0:
			again = true
		case !r.batch.has(row.ID):
			r.addNew(row)
		}
	}
	if p.full && oldest != (Key{}) && !again && !r.cfg.is(gapSilent) {
		r.mem.setFloor(q.Conversation, Key{oldest.Time, oldest.ID - 1})
		r.batch.gaps = append(r.batch.gaps, Event{Gap: &Gap{
			Conversation: q.Conversation, Before: oldest.Time, Reason: "older history of a joined conversation was not loaded",
		}})
	}
}

func (r *reader) takeReplay(p page) {
	for i := range p.rows {
		row := &p.rows[i]
		v, known := r.mem.lookup(row.ID)
		_, joined := r.conversations[row.Conversation]
		switch {
		case row.Deleted || !joined || known && (v.twin || row.Updated != v.updated || v.superseded(row)):
		case known || r.mem.old(row):
			r.push(Event{Row: *row, Update: true, Replay: !r.cfg.is(replaysPlain)})
		}
	}
	r.replay = false
}

// finish ends a paging once nothing of its batch is held back.
func (r *reader) finish(now time.Time) {
	if len(r.batch.held) > 0 && len(r.histories) == 0 {
		r.needsMembers = true
	}
	if r.needsMembers || len(r.histories) > 0 {
		return
	}
	r.flush()
	if !r.ending {
		return
	}
	r.ending = false
	switch r.phase {
	case catching:
		r.phase, r.limit = mending, r.cfg.PageSize
		r.at = r.since()
		r.from = r.at.Time
		if r.createdFrom == beginning || r.cfg.is(mendingSkipped) {
			r.mended() // there are no older rows
		}
	case mending:
		r.mended()
	case live:
		r.polling = false
		r.limit = r.cfg.PageSize
		r.pos = max(r.pos, r.at.Time)
		r.observe(now)
	}
}

// mended ends a backlog. All of it was read after its end was measured, when
// nothing older than the window before that end could still become visible. What
// changed since then comes with the next poll, which begins at once.
func (r *reader) mended() {
	r.phase, r.missed = live, !r.cfg.is(endNotRead)
	r.pos = max(r.pos, r.end)
	r.settle(r.end - r.cfg.overlap())
	r.forget()
	r.checkpoint()
}

func (r *reader) settle(upto Time) { r.settled = max(r.settled, upto) }

// observe settles what can be settled after a complete poll.
//
// The server's clock has reached a timestamp by the time an answer shows it.
// Whatever lies a window before the newest change of the first page was visible
// when that page was read, and later pages were read later. And what was seen a
// window ago, by our own clock, was visible when the poll began: only elapsed
// time counts, so a wrong clock does no harm.
func (r *reader) observe(now time.Time) {
	if r.first != beginning {
		r.settle(r.first - r.cfg.overlap())
	}
	if r.window.open && (r.began.Sub(r.window.from) >= r.cfg.Overlap || r.cfg.is(settlesEarly)) {
		r.settle(r.window.upto)
		r.firm = max(r.firm, r.window.settled)
		r.window.open = false
	}
	if !r.window.open && (r.pos > r.settled || r.settled > r.firm) {
		r.window = window{upto: r.pos, settled: r.settled, from: now, open: true}
	}
	r.forget()
}

// flush hands the batch to the listener: news in order of creation, then changes
// in order of change.
func (r *reader) flush() {
	b := &r.batch
	if b.empty() {
		return
	}
	b.sort()
	r.cfg.unsort(b)
	for i := range b.news {
		r.created = max(r.created, b.news[i].Row.Created)
	}
	r.push(b.gaps...)
	r.push(b.news...)
	r.push(b.updates...)
	for id, v := range b.seen {
		r.mem.set(id, v)
	}
	b.reset()
	r.forget()
	r.checkpoint()
}

// push queues events for the listener.
func (r *reader) push(events ...Event) {
	r.queue.push(events...)
	if r.ledger != nil {
		r.ledger.queued += uint64(len(events))
	}
}

// ahead reports whether a backlog has yet to come to a row that was seen before it.
func (r *reader) ahead(id int64, v version) bool {
	return r.phase == catching && Key{v.created, id}.Compare(r.at) > 0
}

// forget bounds the memory to what a re-read may bring again.
func (r *reader) forget() {
	overlap := r.cfg.overlap()
	if r.phase == catching || r.phase == mending {
		end, from := r.end-overlap, r.createdFrom
		r.mem.forgetAbove(from, func(id int64, v version) bool {
			return v.updated > end || v.created <= from || r.ahead(id, v)
		})
		return
	}
	firm := r.firm
	if r.cfg.is(forgetsNeeded) {
		firm = math.MaxInt64
	}
	r.mem.forget(firm, func(_ int64, v version) bool { return v.updated > firm || v.created > firm })
}
