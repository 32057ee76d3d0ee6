package feed

import "time"

// phase is the state of a reader.
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

// reader is the state of one listener: what it was given, and where it reads next.
type reader struct {
	cfg   *Config
	mem   *memory
	queue queue

	// settled: every change up to this time was read, at a moment when no earlier
	// change could still become visible. Polls start after it.
	settled Time
	// firm: like settled, and a whole window has passed since. A row that changes
	// during a poll can be missing from its pages if replicas lag; within the window it
	// comes with its change. Rows up to firm may be forgotten.
	firm Time
	// pos is the newest change seen.
	pos    Time
	window window
	// created is the newest creation time delivered as new.
	created Time

	// One poll, or one step of a backlog.
	pollBegan  time.Time // when the current poll started, on the owner's clock
	from       Time      // the lower bound the current paging started at
	at         Key       // how far the current paging is
	passed     Key       // how far rows beyond top were read whose time has passed, where they are more than a page
	seen       Time      // the newest change in it, at most the clock of its answer
	before     Key       // where the next page of the newest rows ends, while there are only rows from the future
	firstClock Time      // of the first of these pages, or of an empty one before them
	asked      Time      // the latest server's time at which a listener from now can have begun whose first page came late; 0: it came at once
	clock      Time      // of the last answer
	first      Time      // the newest change on the first page of the poll
	limit      int       // page size; doubled while the server's order is not reliable
	batch      batch

	// Backlog.
	end         Time // the newest change when the backlog was found
	endSeen     Time // the same, but at most the clock of that answer
	createdFrom Time // created when it was found

	// Membership.
	conversations idSet
	joins         []join         // of conversations joined later, to read when idle
	joinEnd       uint64         // the number of the last event when a join had been read
	joined        map[int64]Time // what was created up to it is history, by conversation joined later
	left          map[int64]Time // when the user left, where conversations are read apart
	replayed      map[int64]bool // rows that were new since the reset was asked for
	changing      map[int64]bool // rows that a reset left to the next poll, since they have changed

	// subscribed is when the listener began, on the owner's clock, and began the server's
	// time of it: what was created up to it is history. polled is the server's time of the
	// last complete poll: who has joined a conversation that was unknown did it later.
	subscribed    time.Time
	began, polled Time
	pollClock     Time           // of the first page of the current poll
	pageFrom      Key            // where the current page began
	without       map[int64]bool // the conversations that a page of the current poll lacked

	// shown is the latest time of the server's clock that an earlier program has stored.
	shown Time

	// top: no row with an id up to it is unread because its time is too early. pageTop is
	// what it may become.
	top, pageTop int64
	high         int64 // the highest id on the first page of a poll

	ledger *ledger // what is acknowledged, for durable listeners

	// A conversation that is set aside.
	only    int64 // the conversation; 0 for a listener
	promise Time  // what its listener had settled when the poll began

	// Small fields together: a process may have thousands of idle listeners.
	start        Start
	phase        phase
	inPoll       bool // the poll under way is for it
	polling      bool // live and between the first and the last page of a poll
	missed       bool // left out of a poll because its queue was full
	ending       bool // the current page was the last: flush when no row is held
	stored       bool // the position is an earlier program's, and no answer has confirmed it
	ahead        bool // of a backlog: rows were delivered that were created in the future
	parked       bool // it holds a position instead of rows
	loading      bool // rows of its first page come with the next poll
	unmet        bool // its stored conversations were not compared with a list
	needsMembers bool // the batch holds rows of conversations that are not known
	replay       bool // a reset asks for the newest page again
	gauged       bool // top is known
	unsure       bool // a clock was set back during this backlog
	hollow       bool // the poll brought nothing, not even a row that it has to bring
	partial      bool // the poll lacks rows that could not be read
	doubted      bool // the first page was empty, and is asked for again
	blank        bool // no page had a row yet, and some may have been empty by mistake
	lied         bool // that was so, and is being made good
	jumbled      int8 // the last page could not be continued, and is asked for again: see emptied
	slow         bool // the first page was slow, and is asked for again
}

// newEntry returns an entry without an id.
func newEntry(cfg *Config, now time.Time, s Start) *entry {
	of := new(struct { // in one piece: a process may have thousands
		entry  entry
		reader reader
		memory memory
	})
	r := &of.reader
	of.entry.reader = r
	of.memory = newMemory(cfg)
	of.reader = reader{
		cfg: cfg, start: s, mem: &of.memory, limit: cfg.PageSize,
		pos: beginning, settled: beginning, firm: beginning, created: beginning, needsMembers: true,
		subscribed: now, began: beginning, polled: beginning,
	}
	r.batch.reset()
	switch s {
	case FromBeginning:
		r.phase, r.missed, r.gauged = live, true, true
	case FromNow:
		r.limit = 1
	}
	return &of.entry
}

// room reports whether the reader may ask for another page.
func (r *reader) room() bool {
	return !r.parked && r.queue.len() < r.cfg.Queue && r.queue.size < r.cfg.Bytes
}

// idle reports whether the reader is doing nothing, so that a poll can begin.
func (r *reader) idle() bool {
	return r.phase == live && !r.polling && !r.needsMembers && !r.replay && len(r.joins) == 0
}

// caughtUp reports whether the reader has nothing to ask before the next poll.
func (r *reader) caughtUp() bool { return r.idle() && !r.missed }

// since is the position at which the next poll starts.
func (r *reader) since() Key {
	if r.settled == beginning {
		return Key{Time: beginning}
	}
	return afterAll(r.settled)
}

// begin starts a poll.
func (r *reader) begin(now time.Time) {
	r.polling, r.missed, r.pollBegan = true, false, now
	r.at = r.since()
	r.from, r.first, r.seen = r.at.Time, beginning, r.at.Time
	r.limit, r.pageTop, r.partial, r.without, r.passed = r.cfg.PageSize, 0, false, nil, Key{}
}

// query is the reader's next query, if it has one.
func (r *reader) query() (Query, bool) {
	switch {
	case r.needsMembers:
		return Query{}, false
	case !r.room():
		return Query{}, false
	}
	if len(r.joins) > 0 && r.phase != initial && r.phase != measuring && !r.polling && r.batch.empty() {
		return r.joins[0].query(r.start), true
	}
	switch r.phase {
	case initial:
		return Query{Kind: Newest, Before: r.before, Limit: r.limit}, true
	case measuring:
		return Query{Kind: Latest, Limit: 1}, true
	case catching:
		return Query{Kind: Created, After: r.at, Limit: r.limit}, true
	case mending:
		q := Query{Kind: Changes, After: r.at, UpdatedTo: r.end, CreatedTo: r.createdFrom, Limit: r.limit}
		if r.ahead {
			q.CreatedTo = 0
		}
		return q, true
	}
	switch {
	case r.polling:
		q := Query{Kind: Changes, After: r.at, Limit: r.limit, Partial: r.only == 0}
		if r.at == r.since() {
			q.Beyond, q.From = r.top, r.passed
			q.First = r.passed == (Key{})
		}
		return q, true
	case r.replay:
		return Query{Kind: Newest, Limit: r.limit}, true
	}
	return Query{}, false
}

// fresh reports whether the reader's query is for the first page of a poll, which
// readers with other positions can share.
func (r *reader) fresh() bool {
	return r.only == 0 && r.phase == live && r.polling && len(r.joins) == 0 && r.at == r.since() && r.passed == (Key{}) && r.batch.empty() && r.limit == r.cfg.PageSize
}
