package fleet

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/budget"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Config sets the sizes and times of a fleet. Zero fields take the defaults.
type Config struct {
	// Since is the server's time from which on rows are new. It has no default.
	Since feed.Time
	// Batch is the most conversations in one Look, default 100.
	Batch int
	// Rows is the most rows that one Look asks for, default 2,000, and Page of other requests,
	// default 200.
	Rows, Page int
	// Collect is how many rows of an incomplete read wait to be sorted, default 10,000. Of more a
	// message that was changed since may come after later ones.
	Collect int
	// Overlap is how late a row may become visible, default 5 s.
	Overlap time.Duration
	// Rate is the most live reads in a second, default 12. Flights is the most at once,
	// default 8.
	Rate    float64
	Flights int
	// Brisk is how many live reads in a second one waiting conversation is worth, as long as
	// signs prove true, default 2.
	Brisk float64
	// Deletions is the least wait between reads that look for deleted rows where nothing else
	// shows them, default 1 s. With fewer than 10,000 conversations it is longer: each
	// is read so once in three hours.
	Deletions time.Duration
}

func (c Config) withDefaults() Config {
	c.Batch = cmp.Or(c.Batch, 100)
	c.Rows = cmp.Or(c.Rows, 2000)
	c.Page = cmp.Or(c.Page, 200)
	c.Collect = cmp.Or(c.Collect, 10_000)
	c.Overlap = cmp.Or(c.Overlap, 5*time.Second)
	c.Rate = cmp.Or(c.Rate, 12)
	c.Flights = cmp.Or(c.Flights, 8)
	c.Brisk = cmp.Or(c.Brisk, 2)
	c.Deletions = cmp.Or(c.Deletions, time.Second)
	return c
}

const (
	// fewJoins is the least that a server is asked about in one request before it is taken
	// not to join at all.
	fewJoins = 3
	// batchAgain is when a server that has refused so many is asked about more again.
	batchAgain = time.Hour
	// mostRows is how many rows of one conversation a Look asks for at most. With more
	// behind, the conversation is read by itself.
	mostRows = 100
	// lookAfter is the wait before another look at a conversation of which a sign was seen
	// but no row, and looks is how many of these there are.
	lookAfter = 2500 * time.Millisecond
	looks     = 2
	// secondLooks is how long those that wait for another look do so at most where each takes a
	// request of its own, if there is room.
	secondLooks = 30 * time.Second
	// settleAfter is the wait before another look at one in which there was a row.
	settleAfter = 5500 * time.Millisecond
	// bump is how far the time of a data source may be from that of the row that moved it.
	bump = feed.Time(2 * time.Second / time.Microsecond)
	// idle is how long an engine waits that nobody pokes.
	idle = 10 * time.Minute
)

// Fleet decides what to read of an app, and puts what is new into a [Log].
type Fleet struct {
	cfg      Config
	strategy Strategy
	log      *Log
	dirty    *Dirty
	people   map[int32]*person
	doubts   []*conv // those to be read with deleted rows
	round    int     // the next one of all for that
	pace     pacer
	view     View

	batch    int       // see Config.Batch; less while the server refuses so many, 1 while it refuses joins
	batchEnd time.Time // until when
	trial    bool      // joins are tried again
	refusals int       // of looks with joins in a row
	refused1 time.Time // the first of them
	plain    time.Time // when a read without joins was answered last
	noAcross time.Time // until when nobody is asked across
	acrossAt time.Time // when a query across has failed last

	acrossFails int // how many have, in a row

	failure Failure // of the request that has failed

	flights   int
	indexing  bool
	digging   bool
	dug       time.Time
	fails     int
	until     time.Time
	succeeded time.Time
	unread    time.Time // since when no request for rows was answered; zero: the last one was
	unreadErr error
	readAt    time.Time // when one was answered last
	ailing    map[int64]ailing
	clock     feed.Time    // of the last answer
	ahead     [8]feed.Time // of the owner's clock, in the last answers
	answers   int
	dated     time.Time // of the last answer with a clock
	shown     feed.Time // by how much its clock was ahead of the owner's
	peak      feed.Time // the latest clock
	top       int64     // the highest id of a row
	odd       odd
	asked     feed.Time // the server's, when the request was made whose answer is taken
	ticked    time.Time
	lists     int
	touched   []int64
	moved     map[int32]bool
	gone      map[int64]feed.Time // up to where conversations were read that no list has
	stats     Stats
}

// person is somebody in the directory.
type person struct {
	convs  []*conv
	cursor track // of Across
	flying bool
	begun  map[*conv]feed.Time // since when Across has shown a conversation without a break
	steps  int                 // how often the clock had been set back when that was noted
	asked  time.Time           // when it was asked for last
	barred time.Time           // until when they are not asked
}

func (p *person) dirty() (n int) {
	for _, c := range p.convs {
		if c.reason < Again && !c.flying {
			n++
		}
	}
	return n
}

// Stats count what a fleet has done.
type Stats struct {
	Requests [kinds]int
	Places   int // conversations that were read
	Hits     int // those in which there was something new
	Rows     int // that were new
	Failed   int
}

// New returns a fleet that knows of no conversation.
func New(cfg Config, s Strategy, log *Log) *Fleet {
	cfg = cfg.withDefaults()
	f := &Fleet{cfg: cfg, strategy: s, log: log, dirty: newDirty(), people: map[int32]*person{}, batch: cfg.Batch}
	f.pace.trust = 1
	f.view.f = f
	if c, ok := s.(*Chooser); ok {
		c.view = &f.view
	}
	log.begin(cfg.Since)
	return f
}

// Tick moves the log's time to what the last answers say that the server's is now: the
// earliest of them, since one of several machines may be ahead. It goes on when that of the
// server does not, so that engines see a clock that does.
func (f *Fleet) Tick(now time.Time) {
	at, ok := f.serverAt(now)
	if !ok {
		return
	}
	if !f.ticked.IsZero() {
		at = max(at, f.log.Now()+feed.Time(now.Sub(f.ticked).Microseconds()))
	}
	f.log.Tick(at)
	f.ticked = now
}

// Now is the server's time, which may go back.
func (f *Fleet) Now(now time.Time) feed.Time {
	f.Tick(now)
	if at, ok := f.serverAt(now); ok {
		return at
	}
	return f.log.Now()
}

// serverAt is the server's time at a moment, rather too early than too late.
func (f *Fleet) serverAt(now time.Time) (feed.Time, bool) {
	n := min(f.answers, len(f.ahead))
	if n == 0 {
		return 0, false
	}
	return feed.Time(now.UnixMicro()) + slices.Min(f.ahead[:n]), true
}

// Heard is when a request was answered last.
func (f *Fleet) Heard() time.Time { return f.succeeded }

// Stats says what was done so far.
func (f *Fleet) Stats() Stats { return f.stats }

// Dirty is what is to be read.
func (f *Fleet) Dirty() *Dirty { return f.dirty }

// Settled is up to where the log has the conversation of a row. Of what was written since the clock
// was set back it has what was read since.
func (f *Fleet) Settled(row *feed.Row) feed.Time {
	if c := f.dirty.convs[row.Conversation]; c != nil {
		if row.ID > f.odd.top {
			return f.reach(f.dated, &c.track)
		}
		return c.track.settled
	}
	return math.MaxInt64 // it is not read, so no log has it
}

// Ring says that a bell has named a conversation.
func (f *Fleet) Ring(now time.Time, conversation int64) {
	if c := f.dirty.convs[conversation]; c != nil {
		if c.vain >= doubts && c.reason != Listed { // else the list confirms it
			f.dirty.mark(c, Doubted, now)
			return
		}
		f.dirty.mark(c, Rung, now)
		if s, ok := f.strategy.(*Chooser); ok {
			s.rang(now, conversation)
		}
	}
}

// Sent says that this process has sent a message to a conversation.
func (f *Fleet) Sent(now time.Time, conversation int64) {
	f.Awake()
	if c := f.dirty.convs[conversation]; c != nil {
		f.dirty.mark(c, Sent, now)
	}
}

// Join says that a user is in a conversation now, by a call of this process.
func (f *Fleet) Join(conversation int64, user int32) {
	c := f.dirty.convs[conversation]
	if c == nil || slices.Contains(c.users, user) {
		return
	}
	c.users = append(c.users, user)
	f.person(user).convs = append(f.person(user).convs, c)
}

func (f *Fleet) person(user int32) *person {
	p := f.people[user]
	if p == nil {
		p = &person{}
		p.cursor.begin(f.cfg.Since)
		f.people[user] = p
	}
	return p
}

// Begin makes everything up to a time history, in a fleet that has read nothing yet.
func (f *Fleet) Begin(now time.Time, since feed.Time) {
	f.cfg.Since = since
	f.log.begin(since)
	for _, c := range f.dirty.convs {
		c.track.begin(since)
		c.begun, c.read = since, now
	}
	for _, p := range f.people {
		p.cursor.begin(since)
		p.begun = nil
	}
}

// List takes the list of conversations from elsewhere.
func (f *Fleet) List(now time.Time, list []Listing) { f.listed(now, list) }

// listed takes the list of conversations.
func (f *Fleet) listed(now time.Time, list []Listing) {
	if len(list) == 0 {
		return // something on the way may have answered
	}
	f.lists++
	for i := range list {
		l := &list[i]
		c := f.dirty.convs[l.Conversation]
		if c == nil {
			c = f.dirty.add(l.Conversation)
			c.track.begin(max(f.cfg.Since, l.Created-1, f.gone[c.id]))
			c.begun = c.track.settled
			c.read = now // nothing has happened in it that would be new, unless it has changed since
			delete(f.gone, c.id)
		}
		c.listed = f.lists
		if l.Users != nil {
			f.assign(c, l.Users)
			c.sure = f.asked
		}
		at := feed.Clamp(l.Changed, cmp.Or(f.clock, f.cfg.Since)) // a later time may be earlier than one from the future
		if l.Changed != c.shown && (f.wrong(now) || at != l.Changed || c.ahead) {
			f.dirty.mark(c, Listed, now)
		}
		if c.shown, c.ahead = l.Changed, at != l.Changed; !c.ahead && at > c.told {
			c.told = at
			f.indexed(now, c.id, c.told, false)
		}
	}
	f.prune()
}

// unlisted is how many lists in a row have to lack a conversation until it is gone. One of a
// lagging machine may.
const unlisted = 3

// prune forgets conversations that no list has any more.
func (f *Fleet) prune() {
	for _, c := range f.dirty.keep(func(c *conv) bool { return c.flying || f.lists-c.listed < unlisted }) {
		f.assign(c, nil)
		if c.track.settled > f.cfg.Since { // should it come back
			if f.gone == nil {
				f.gone = map[int64]feed.Time{}
			}
			f.gone[c.id] = c.track.settled
		}
	}
}

// assign sets the users of a conversation.
func (f *Fleet) assign(c *conv, users []int32) {
	if slices.Equal(c.users, users) {
		return
	}
	for _, u := range c.users {
		if p := f.people[u]; p != nil && !slices.Contains(users, u) {
			f.move(u)
			p.convs = slices.DeleteFunc(p.convs, func(o *conv) bool { return o == c })
			delete(p.begun, c)
		}
	}
	for _, u := range users {
		if !slices.Contains(c.users, u) {
			f.move(u)
			p := f.person(u)
			p.convs = append(p.convs, c)
		}
	}
	c.users = slices.Clone(users)
}

func (f *Fleet) move(user int32) {
	if f.moved == nil {
		f.moved = map[int32]bool{}
	}
	f.moved[user] = true
}

// Moved returns the users whose conversations a list has shown to be others since the last
// call.
func (f *Fleet) Moved() map[int32]bool {
	out := f.moved
	f.moved = nil
	return out
}

// Strategy is the name of the strategy.
func (f *Fleet) Strategy() string { return f.strategy.Name() }

// Conversations returns those of a user, and Users those of a conversation.
func (f *Fleet) Conversations(user int32) []int64 { return f.view.Conversations(user) }

// Users returns who is in a conversation. The caller must not change it.
func (f *Fleet) Users(conversation int64) []int32 {
	if c := f.dirty.convs[conversation]; c != nil {
		return c.users
	}
	return nil
}

// indexed marks a conversation that has changed at a time, unless what was read shows that
// already.
func (f *Fleet) indexed(now time.Time, conversation int64, at feed.Time, deleted bool) {
	c := f.dirty.convs[conversation]
	if c == nil {
		return
	}
	c.told = max(c.told, at)
	if deleted {
		f.doubt(c)
	}
	if at > c.track.pos && at > c.until { // else a read was asked for later, and has brought it
		if c.reason == Doubted {
			f.dirty.mark(c, Rung, now)
		}
		f.dirty.mark(c, Listed, now)
	}
}

// doubt wants a conversation read with deleted rows.
func (f *Fleet) doubt(c *conv) {
	if !c.doubtful {
		c.doubtful = true
		f.doubts = append(f.doubts, c)
	}
}

// Due says when the next request of a class is wanted; zero: not before something happens.
// Only Live, Index and Backfill are the fleet's own.
func (f *Fleet) Due(now time.Time, class budget.Class) time.Time {
	var at time.Time
	switch class {
	case budget.Live:
		if f.flights >= f.cfg.Flights || len(f.dirty.convs) == 0 {
			return time.Time{}
		}
		if f.pace.last.IsZero() {
			f.pace.last = now // the sweep begins with a wait
		}
		f.dirty.wake(now)
		rate := f.rate(now)
		if rate == 0 {
			return time.Time{}
		}
		at = f.pace.last.Add(time.Duration(float64(time.Second) / rate))
	case budget.Index:
		if f.indexing {
			return time.Time{}
		}
		var r Request
		if r, at = f.strategy.Index(now); r.Kind == 0 {
			return time.Time{}
		}
	case budget.Backfill:
		if f.digging || len(f.dirty.convs) == 0 {
			return time.Time{}
		}
		at = f.dug.Add(f.digWait())
	default:
		return time.Time{}
	}
	if at.Before(f.until) {
		at = f.until
	}
	if at.Before(now) {
		at = now
	}
	return at
}

// rate is how many live reads a second are wanted.
func (f *Fleet) rate(now time.Time) float64 {
	p := f.strategy.Pace()
	requests, each := float64(p.Requests), float64(f.batch)
	switch {
	case p.Requests < 0:
		requests, each = float64(len(f.dirty.convs)), 1
	case p.Requests == 0:
		requests = math.Ceil(float64(len(f.dirty.convs)) / each)
	default:
		each = max(1, float64(len(f.dirty.convs))/requests)
	}
	if p.Requests < 0 { // second looks have no places in requests that are made anyway
		requests = max(requests, float64(f.dirty.Waiting(Again))*p.Sweep.Seconds()/secondLooks.Seconds())
	}
	rate := min(requests/p.Sweep.Seconds(), p.Share*f.cfg.Rate)
	if f.dirty.urgent() > 0 {
		// Twice as many places as there were conversations with something new: the others are
		// filled by what proves nothing, such as a bell, and by the sweep.
		rate = max(rate, 2*f.pace.hits(now)/each)
		if sure := f.dirty.sure(); sure > 0 { // what has piled up is read within two seconds
			rate = max(rate, f.cfg.Brisk, float64(sure)/each/2)
		}
		rung, doubted := f.dirty.Waiting(Rung), f.dirty.Waiting(Doubted)
		if rung > 0 {
			rate = max(rate, f.pace.bells(now, f.cfg.Brisk))
		}
		if doubted > 0 {
			rate = max(rate, doubtedRate)
		}
		rate = max(rate, float64(rung+doubted)/each/bellWait.Seconds())
	}
	// What is read by itself is no part of that.
	return min(rate+min(float64(f.dirty.Waiting(Rest)), f.cfg.Rate/4), f.cfg.Rate)
}

// Next is a request of a class that has a place in the budget now. It reports false if
// there is nothing to ask for; then the place is free.
func (f *Fleet) Next(now time.Time, class budget.Class) (r Request, ok bool) {
	if now.Before(f.until) {
		return r, false
	}
	switch class {
	case budget.Live:
		if r, ok = f.strategy.Plan(now, &f.view); ok {
			f.flights++
		}
		f.pace.took(now)
	case budget.Index:
		if r, _ = f.strategy.Index(now); r.Kind != 0 && !f.indexing {
			f.indexing, ok = true, true
		}
	case budget.Backfill:
		if r, ok = f.dig(now); ok {
			f.digging, f.dug = true, now
		} else { // all are being read
			f.dug = now.Add(f.cfg.Deletions - f.digWait())
		}
	}
	if !ok {
		return Request{}, false
	}
	if r.Kind == Audit && r.Since == 0 {
		r.Since = f.Now(now) - auditBack
	}
	r.Class, r.asked, r.clock = class, now, f.clock
	f.stats.Requests[r.Kind]++
	return r, true
}

// look is the request for the newest rows of many conversations.
func (f *Fleet) look(now time.Time, skip func(int64) bool) (Request, bool) {
	f.joins(now)
	rows, taken, group := 0, 0, -1
	convs := f.dirty.take(f.batch, now, f.strategy.Pace().Sweep, func(c *conv) bool {
		if c.large() || skip != nil && skip(c.id) || group >= 0 && int(c.most) != group {
			return false // those that may have spoilt a look are by themselves
		}
		if taken > 0 && rows+c.limit() > f.cfg.Rows || c.most > 0 && taken >= int(c.most) {
			return false
		}
		rows, taken, group = rows+c.limit(), taken+1, int(c.most)
		return true
	})
	if len(convs) == 0 {
		return Request{}, false
	}
	r := Request{Kind: Look, convs: convs, Conversations: make([]int64, len(convs)), Limits: make([]int, len(convs))}
	for i, c := range convs {
		r.Conversations[i], r.Limits[i] = c.id, c.limit()
	}
	return r, true
}
