// Package budget decides which request starts next where many share one limit: by what it is
// for, by who asks, and by what the server has refused. It is pure: it has no clock, goroutine
// or lock, so that a simulator plays what programs run.
//
// Sends come first, and some slots are left free for them: a twentieth of the window, or as
// many as will be sent if it goes on as lately; and so many more that a fifth of the limit
// is there for sends within a fifth of a window, also where all others have started at once.
// The other classes take turns by weighted deficit
// round robin: the next is the one that is the furthest behind its part of the requests. The users of
// one class take turns one by one, those with the fewest requests in the window
// first. A user who has had an eighth of the window in one class, or a fifth in sends, is late: what is late comes at
// an even pace, and leaves a further twentieth free for whoever comes now and then.
//
// When the server refuses a request for its limit, nothing starts before the moment that it
// names, half as many may start from then on, and that grows back slowly. While that moment is
// over a minute away one request a minute asks whether it still holds, since what names it may
// be wrong, or not the server.
//
// While the server answers nothing, requests start one by one, so that slots are left for what
// has piled up when it is back.
package budget

import (
	"container/list"
	"maps"
	"time"
)

// Class says what a request is for. The numbers are those of datasource.Class.
type Class uint8

const (
	// Other is what somebody waits for that is no send.
	Other Class = iota
	// Sends are messages on their way out.
	Sends
	// Live are reads of what may be new.
	Live
	// Backfill is everything that nobody waits for. It is always late.
	Backfill
	// Index are reads that say what to read.
	Index
	// Marks are read marks.
	Marks

	classes = int(Marks) + 1
)

func (c Class) String() string {
	return [...]string{"other", "sends", "live", "backfill", "index", "marks"}[c]
}

// weights are the requests of each class in one round of turns, which has eight of the largest.
// That of Sends is for those who are late.
var weights = [classes]int{Other: round, Sends: round, Live: round, Index: 4, Marks: 2, Backfill: 1}

const round = 8

// paced reports whether programs make the requests of a class by themselves. So they can come
// one by one where there are many at once.
func (c Class) paced() bool { return c == Live || c == Index || c == Marks }

// Levels of those who wait in one class, by what they have had in the window.
const (
	fresh = iota // less than a fortieth
	some
	late // the whole share, and all of Backfill

	levels = 3
)

// Config sets a [Budget].
type Config struct {
	// N requests may start in any window of length Per.
	N   int
	Per time.Duration
	// Held says that a slot is taken until a window after [Budget.Ended] was called for its
	// request, and not only until a window after its start.
	Held bool
}

// Budget shares the requests that a server allows. U says who asks, and W is what is kept with
// a request that waits.
type Budget[U comparable, W any] struct {
	per     time.Duration
	held    bool
	n       int
	starts  queue[started[U]] // that count in the window, in the order in which they leave it
	running int               // that have not ended, of a Budget that is held
	sent    queue[time.Time]  // prompt sends of the last window
	flows   map[key[U]]*flow[U]
	crowded bool // see alone
	cleared time.Time

	lines   [classes]line
	waiting int
	turn    Class     // whose turn it is of those that are behind as much
	served  int       // that of the class that had the last turn, before it
	inRow   int       // sends, while others waited
	spaced  time.Time // when the next of the late may start
	next    time.Time // the same of those that are paced

	part  float64   // of n that may start; less after a refusal
	grown time.Time // up to when it has grown
	until time.Time // nothing starts before, but for probes
	probe time.Time // when the next probe may start
	asked time.Time // when the last one has, zero: none since the hold began
	cut   time.Time // when it was made less

	lost  int       // requests without an answer since the last one with one
	since time.Time // the first of them
	still time.Time // the last
	quiet time.Time // when the next may start while nothing is answered

	looks int // at classes, for a test of what a decision costs
}

type key[U comparable] struct {
	user  U
	class Class
}

// started is a request in the window.
type started[U comparable] struct {
	at time.Time
	of *flow[U]
}

// flow is the requests of one user in one class.
type flow[U comparable] struct {
	key[U]
	had   int       // requests in the window
	used  time.Time // when it came last
	queue list.List // of tickets
	level int
	place *list.Element // in its ring, nil if nothing waits
}

// line is what waits in one class.
type line struct {
	rings   [levels]list.List // of flows, in turn
	waiting [levels]int       // requests
	served  int               // in rounds, times eight; one that begins to wait is not behind
}

func (l *line) all() int { return l.waiting[fresh] + l.waiting[some] + l.waiting[late] }

// turns is how many requests wait that take turns with other classes: sends do when they are late.
func (l *line) turns(c Class) int {
	if c == Sends {
		return l.waiting[late]
	}
	return l.all()
}
func (l *line) prompt() int { return l.waiting[fresh] + l.waiting[some] }

// Ticket is a request that waits for its slot, or has it.
type Ticket[U comparable, W any] struct {
	Value W
	Class Class
	of    *flow[U]
	place *list.Element // nil when it does not wait
}

// New returns a budget that nobody has used.
func New[U comparable, W any](cfg Config) *Budget[U, W] {
	return &Budget[U, W]{per: cfg.Per, held: cfg.Held, n: cfg.N, flows: map[key[U]]*flow[U]{}, part: 1}
}

const (
	// keep is how long somebody takes part in turns after the last request, so that one who
	// comes now and then finds slots.
	keep = 5 * time.Minute
	// patience is how far a class that leaves slots free is behind, until it is let through to
	// them: a round of the others.
	patience = round
	// most is how many sends start in a row while others wait, if there are so many.
	most = 4 * round
	// ahead is the part of a window, and of its slots, for which reserve looks ahead.
	ahead = 5
	// probes is how often one request starts although the server has named a moment that is
	// further away.
	probes = time.Minute
	// silence is how many requests in a row have no answer until the server is taken to be down.
	silence = 5
	// leastPart is the part of a limit that is left after any number of refusals.
	leastPart = 1.0 / 20
	// growth is the part of a limit that comes back in a second.
	growth = 1.0 / 100
)

// find returns the flow of a user in a class. From time to time it forgets those that make no
// requests any more.
func (b *Budget[U, W]) find(now time.Time, k key[U], shared bool) *flow[U] {
	f := b.flows[k]
	if f == nil {
		f = &flow[U]{key: k}
		b.flows[k] = f
		b.arrange(f)
	}
	f.used = now
	if now.Sub(b.cleared) >= keep {
		b.cleared = now
		maps.DeleteFunc(b.flows, func(_ key[U], f *flow[U]) bool {
			return now.Sub(f.used) >= keep && f.had == 0 && f.queue.Len() == 0
		})
	}
	if crowded := len(b.flows) > 1 || shared; crowded != b.crowded {
		b.crowded = crowded
		b.rearrange()
	}
	return f
}

// Ask queues a request. shared: it is of somebody who has to reckon with others, also when none
// has come yet; whoever has not, and is the only one, has all slots at once.
func (b *Budget[U, W]) Ask(now time.Time, user U, class Class, shared bool, value W) *Ticket[U, W] {
	b.expire(now)
	f := b.find(now, key[U]{user, class}, shared || class != Other)
	t := &Ticket[U, W]{Value: value, Class: class, of: f}
	t.place = f.queue.PushBack(t)
	if l := &b.lines[class]; l.turns(class) == 0 {
		l.served = max(l.served, b.served)
	}
	b.count(f, 1)
	if f.place == nil {
		f.place = b.ring(f).PushBack(f)
	}
	return t
}

// Leave takes a request out that nobody wants any more. One that has its slot keeps it.
func (b *Budget[U, W]) Leave(t *Ticket[U, W]) {
	if t.place == nil {
		return
	}
	f := t.of
	f.queue.Remove(t.place)
	t.place = nil
	b.count(f, -1)
	if f.queue.Len() == 0 {
		b.ring(f).Remove(f.place)
		f.place = nil
	}
}

// Drain takes out everything that waits.
func (b *Budget[U, W]) Drain() []*Ticket[U, W] { return b.Expel(func(W) bool { return true }) }

// Expel takes out what waits and is meant.
func (b *Budget[U, W]) Expel(meant func(W) bool) (all []*Ticket[U, W]) {
	for _, f := range b.flows {
		for e := f.queue.Front(); e != nil; e = e.Next() {
			if t := e.Value.(*Ticket[U, W]); meant(t.Value) {
				all = append(all, t)
			}
		}
	}
	for _, t := range all {
		b.Leave(t)
	}
	return all
}

func (b *Budget[U, W]) ring(f *flow[U]) *list.List { return &b.lines[f.class].rings[f.level] }

func (b *Budget[U, W]) count(f *flow[U], n int) {
	b.waiting += n
	b.lines[f.class].waiting[f.level] += n
}

// alone reports whether there is nobody to take turns with.
func (b *Budget[U, W]) alone() bool { return !b.crowded }

// share is how many requests of a window a user may have in a class before it is late.
func (b *Budget[U, W]) share(c Class) int {
	if c == Sends { // what reserve looks ahead for may be somebody's alone
		return max(1, b.n/ahead)
	}
	return max(1, b.n/8)
}

func (b *Budget[U, W]) levelOf(f *flow[U]) int {
	switch {
	case b.alone():
		return fresh
	case f.class == Backfill || f.had >= b.share(f.class):
		return late
	case f.had >= max(1, b.n/40):
		return some
	}
	return fresh
}

// arrange moves a flow to the ring of its level.
func (b *Budget[U, W]) arrange(f *flow[U]) {
	level := b.levelOf(f)
	if level == f.level {
		return
	}
	n := f.queue.Len()
	b.count(f, -n)
	if f.place != nil {
		b.ring(f).Remove(f.place)
	}
	f.level = level
	b.count(f, n)
	if f.place != nil {
		f.place = b.ring(f).PushBack(f)
	}
}

func (b *Budget[U, W]) rearrange() {
	for i := range b.lines {
		l := &b.lines[i]
		var all []*flow[U]
		for r := range l.rings {
			for e := l.rings[r].Front(); e != nil; e = e.Next() {
				all = append(all, e.Value.(*flow[U]))
			}
		}
		for _, f := range all { // in turn
			b.arrange(f)
		}
	}
	for _, f := range b.flows {
		b.arrange(f)
	}
}

// limit is how many requests may start in a window now.
func (b *Budget[U, W]) limit() int {
	if b.n <= 0 {
		return 0
	}
	return max(1, int(float64(b.n)*b.part+1e-6))
}

func (b *Budget[U, W]) used() int { return b.running + b.starts.len() }

// Load is how many slots are taken, of how many, and how many requests wait.
func (b *Budget[U, W]) Load(now time.Time) (used, of, waiting int) {
	b.expire(now)
	return b.used(), b.limit(), b.waiting
}

// Resize changes how many requests may start. Until as many have left the window as it has
// shrunk by, none start.
func (b *Budget[U, W]) Resize(now time.Time, n int) {
	b.expire(now)
	if n == b.n {
		return
	}
	b.n = n
	for _, at := range [...]*time.Time{&b.spaced, &b.next} { // by the smaller number
		if most := now.Add(b.pause()); at.After(most) {
			*at = most
		}
	}
	b.rearrange()
}

// Refused says that the server has refused a request for the limit, and takes none before a
// moment; the zero time: it has named none.
func (b *Budget[U, W]) Refused(now, until time.Time) {
	b.expire(now)
	b.lost = 0
	holds := now.Before(b.until)
	if !holds && (b.cut.IsZero() || now.Sub(b.cut) >= b.per/10) { // else it is one of several that were under way
		b.part, b.cut = max(b.part/2, leastPart), now
	}
	switch {
	case holds && !b.asked.IsZero() && !until.IsZero():
		b.until = until // what a probe was told is newer
	default:
		b.until = later(b.until, until)
	}
	if !holds {
		b.probe, b.asked = now.Add(probes), time.Time{}
	}
	b.grown = later(now, b.until)
}

// Unanswered says that a request got no answer.
func (b *Budget[U, W]) Unanswered(now time.Time) {
	if b.lost++; b.lost == 1 {
		b.since = now
	}
	b.still = now
}

// silent reports whether the server seems to be down: a connection that breaks says little.
func (b *Budget[U, W]) silent() bool {
	return b.lost >= silence && b.still.Sub(b.since) >= b.per/10
}

// Answered says that the server has answered a request that started at a moment, and has not
// refused it for the limit. A probe ends what a refusal has begun, and any answer an outage. It
// reports whether more may start now.
func (b *Budget[U, W]) Answered(now, started time.Time) (more bool) {
	more = b.silent()
	b.lost = 0
	if !now.Before(b.until) || b.asked.IsZero() || started.Before(b.asked) {
		return more
	}
	b.until, b.asked, b.grown = time.Time{}, time.Time{}, now
	return true
}

// Held is how long nothing starts but probes, and when the next of these may; the zero time:
// none does.
func (b *Budget[U, W]) Held(now time.Time) (hold time.Duration, probe time.Time) {
	if hold = max(0, b.until.Sub(now)); hold > probes {
		return hold, later(now, b.probe)
	}
	return hold, time.Time{}
}

// expire forgets what has left the window, and lets the limit grow.
func (b *Budget[U, W]) expire(now time.Time) {
	if b.part < 1 && now.After(b.grown) {
		b.part = min(b.part+now.Sub(b.grown).Seconds()*growth, 1)
	}
	b.grown = later(b.grown, now)
	for b.starts.len() > 0 && now.Sub(b.starts.at(0).at) >= b.per {
		f := b.starts.pop().of
		f.had--
		b.arrange(f)
	}
	for b.sent.len() > 0 && now.Sub(b.sent.at(0)) >= b.per {
		b.sent.pop()
	}
}

// Ended says that a request has ended, however that was.
func (b *Budget[U, W]) Ended(now time.Time, t *Ticket[U, W]) {
	if b.held {
		b.running--
		b.starts.push(started[U]{now, t.of})
	}
}

// Unused says that a request was not made after all.
func (b *Budget[U, W]) Unused(t *Ticket[U, W]) {
	if b.held {
		b.running--
		t.of.had--
		b.arrange(t.of)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// queue is a queue that does not move what is in it.
type queue[T any] struct {
	items []T
	first int
}

func (q *queue[T]) len() int   { return len(q.items) - q.first }
func (q *queue[T]) at(i int) T { return q.items[q.first+i] }
func (q *queue[T]) push(item T) {
	if q.first > len(q.items)/2 && len(q.items) == cap(q.items) {
		n := copy(q.items, q.items[q.first:])
		clear(q.items[n:])
		q.items, q.first = q.items[:n], 0
	}
	q.items = append(q.items, item)
}

func (q *queue[T]) pop() (item T) {
	item, q.items[q.first] = q.items[q.first], item
	if q.first++; q.first == len(q.items) {
		q.items, q.first = q.items[:0], 0
	}
	return item
}

// sooner is the first of two moments, of which the zero time is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
