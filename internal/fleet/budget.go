package fleet

import (
	"cmp"
	"time"
)

// Class says what a request is for.
type Class uint8

const (
	// Sends are messages on their way out. They come before all others.
	Sends Class = iota
	// Live are reads of what may be new.
	Live
	// Index are reads that say what to read.
	Index
	// Marks are read marks.
	Marks
	// Backfill is everything that nobody waits for: histories, looks for deleted rows.
	Backfill

	classes = int(Backfill) + 1
)

func (c Class) String() string {
	return [classes]string{"sends", "live", "index", "marks", "backfill"}[c]
}

// BudgetConfig sets a [Budget]. Zero fields take the defaults.
type BudgetConfig struct {
	// N requests may start in any window of length Per: default 200 in 10 s.
	N   int
	Per time.Duration
	// Weights share what sends leave among the other classes that want more than there is;
	// default 8 for Live, 4 for Index, 2 for Marks and 1 for Backfill.
	Weights [classes]int
}

// Budget shares the requests that a server allows among classes, and within a class
// among users. The classes take turns by deficit round robin, the users of one class one by
// one. Some slots of each window are left free for sends: a tenth, or as many as will
// be sent if it goes on as lately.
//
// A slot is taken from the start of its request until a window after its end, since the
// server counts it at a moment in between. After a refusal the budget shrinks by a third,
// nothing starts before the moment that the server names, and it grows again by a hundredth
// of the limit with each second without another refusal.
type Budget struct {
	cfg     BudgetConfig
	allowed float64 // at most cfg.N
	grown   time.Time
	until   time.Time
	running int
	taken   []time.Time // when the slots of ended requests are free, in order
	sent    []time.Time // sends of the last window
	next    time.Time   // when something that is no send may start
	lines   [classes]line
	turn    Class
	ticket  Ticket
}

// Ticket names a request that waits for a slot.
type Ticket uint64

// line is what waits in one class.
type line struct {
	users   map[string][]Ticket
	ring    []string // those who wait, in turn
	deficit int
	fresh   bool // its turn has begun
	waiting int
}

// NewBudget returns a budget that nobody has used.
func NewBudget(cfg BudgetConfig) *Budget {
	cfg.N = cmp.Or(cfg.N, 200)
	cfg.Per = cmp.Or(cfg.Per, 10*time.Second)
	if cfg.Weights == ([classes]int{}) {
		cfg.Weights = [classes]int{Live: 8, Index: 4, Marks: 2, Backfill: 1}
	}
	for c := range cfg.Weights {
		cfg.Weights[c] = max(cfg.Weights[c], 1)
	}
	return &Budget{cfg: cfg, allowed: float64(cfg.N), turn: Live}
}

// Ask queues a request. The user is for turns within the class.
func (b *Budget) Ask(class Class, user string) Ticket {
	b.ticket++
	l := &b.lines[class]
	if l.users == nil {
		l.users = map[string][]Ticket{}
	}
	if len(l.users[user]) == 0 {
		l.ring = append(l.ring, user)
	}
	l.users[user] = append(l.users[user], b.ticket)
	l.waiting++
	return b.ticket
}

// Waiting is how many requests of a class wait.
func (b *Budget) Waiting(class Class) int { return b.lines[class].waiting }

// Leave takes a request out that nobody wants any more.
func (b *Budget) Leave(class Class, user string, t Ticket) {
	l := &b.lines[class]
	q := l.users[user]
	for i := range q {
		if q[i] == t {
			l.waiting--
			l.users[user] = append(q[:i:i], q[i+1:]...)
			if len(l.users[user]) == 0 {
				delete(l.users, user)
				for j := range l.ring {
					if l.ring[j] == user {
						l.ring = append(l.ring[:j:j], l.ring[j+1:]...)
						break
					}
				}
			}
			return
		}
	}
}

// Next lets the next request start, or says when to ask again; the zero time: not before
// something ends or is asked for. Whoever starts a request has to call [Budget.Ended].
func (b *Budget) Next(now time.Time) (t Ticket, class Class, at time.Time, ok bool) {
	b.grow(now)
	b.expire(now)
	if now.Before(b.until) {
		return 0, 0, b.until, false
	}
	if b.lines[Sends].waiting > 0 {
		if b.free() > 0 {
			b.sent = append(b.sent, now)
			return b.start(Sends), Sends, at, true
		}
		return 0, 0, b.freed(), false
	}
	others := 0
	for c := Live; int(c) < classes; c++ {
		others += b.lines[c].waiting
	}
	if others == 0 {
		return 0, 0, at, false
	}
	if b.free() <= b.reserve(now) {
		return 0, 0, b.freed(), false
	}
	if now.Before(b.next) {
		return 0, 0, b.next, false
	}
	c, gap := b.choose(), time.Duration(float64(b.cfg.Per)/max(1, b.allowed-float64(b.reserve(now))))
	b.next = later(b.next, now.Add(-gap*burst)).Add(gap)
	return b.start(c), c, at, true
}

// burst is how many requests that are no sends may start at once after a pause.
const burst = 10

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// reserve is how many slots are left free for sends: for as many as there will be if they
// go on as in the last fifth of a window, those apart that have their slots.
func (b *Budget) reserve(now time.Time) int {
	lately := 0
	for i := len(b.sent) - 1; i >= 0 && now.Sub(b.sent[i]) < b.cfg.Per/5; i-- {
		lately++
	}
	return int(min(max(b.allowed/10, 5.5*float64(lately)-float64(len(b.sent))), b.allowed/2))
}

// choose is the class whose turn it is. Each has as many requests in a row as its weight.
func (b *Budget) choose() Class {
	for {
		l := &b.lines[b.turn]
		if l.waiting > 0 && !l.fresh {
			l.fresh, l.deficit = true, l.deficit+b.cfg.Weights[b.turn]
		}
		if l.waiting > 0 && l.deficit > 0 {
			l.deficit--
			return b.turn
		}
		l.fresh = false
		if l.waiting == 0 {
			l.deficit = 0
		}
		if b.turn++; int(b.turn) == classes {
			b.turn = Live
		}
	}
}

// start takes the first request of the user whose turn it is.
func (b *Budget) start(class Class) Ticket {
	l := &b.lines[class]
	user := l.ring[0]
	q := l.users[user]
	t := q[0]
	l.waiting--
	if l.ring = l.ring[1:]; len(q) > 1 {
		l.users[user] = q[1:]
		l.ring = append(l.ring, user)
	} else {
		delete(l.users, user)
	}
	b.running++
	return t
}

// Ended says that a request has ended, however that was.
func (b *Budget) Ended(now time.Time) {
	b.running--
	b.taken = append(b.taken, now.Add(b.cfg.Per))
}

// Unused says that a request was not made after all.
func (b *Budget) Unused() { b.running-- }

// Refused says that the server has refused a request for the limit, until a moment.
func (b *Budget) Refused(now, until time.Time) {
	b.grow(now)
	if !now.Before(b.until) { // else it is one of several that were under way
		b.allowed = max(b.allowed*2/3, float64(b.cfg.N)/20)
	}
	b.until = later(b.until, later(until, now.Add(time.Second)))
	if most := now.Add(time.Minute); b.until.After(most) {
		b.until = most // nobody gets to silence everything for longer
	}
	b.grown = b.until
}

func (b *Budget) grow(now time.Time) {
	if b.allowed < float64(b.cfg.N) && now.After(b.grown) {
		b.allowed = min(b.allowed+now.Sub(b.grown).Seconds()*float64(b.cfg.N)/100, float64(b.cfg.N))
	}
	b.grown = later(b.grown, now)
}

// free is how many more requests may start.
func (b *Budget) free() int { return int(b.allowed) - b.running - len(b.taken) }

// freed is when the next slot is free, zero if that depends on a request that runs.
func (b *Budget) freed() time.Time {
	if len(b.taken) == 0 {
		return time.Time{}
	}
	return b.taken[0]
}

func (b *Budget) expire(now time.Time) {
	for len(b.taken) > 0 && !now.Before(b.taken[0]) {
		b.taken = b.taken[1:]
	}
	for len(b.sent) > 0 && now.Sub(b.sent[0]) >= b.cfg.Per {
		b.sent = b.sent[1:]
	}
}

// Load is how many slots are taken, of how many.
func (b *Budget) Load() (taken, of int) { return b.running + len(b.taken), int(b.allowed) }
