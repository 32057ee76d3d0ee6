package world

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/pages"
)

// Violation is a broken promise.
type Violation struct {
	Rule string // which one
	Text string // what happened
	Step int    // during which step; one behind the last for the final checks
}

// Runner plays stories, one after the other. It keeps its memory from one to the
// next; use one for each goroutine.
type Runner struct {
	// Trace is told what happens, if set.
	Trace func(format string, args ...any)
	// Together makes consumers store that events are done with before they finish them, as
	// is done in one transaction with their effects. Some of these fail.
	Together bool

	story     *Story
	pcg       *rand.PCG
	rnd       *rand.Rand
	srv       server
	evidence  pages.Evidence // what the server has shown of how large its answers may be
	feed      *feed.Feed
	elapsed   time.Duration
	listeners []*listener
	spare     []*listener
	violation *Violation
	step      int

	query    feed.Query    // the request under way, Kind 0 for none
	asking   int           // how many listeners there were when it was made
	rows     []feed.Row    // its answer, once fetched
	short    bool          // it ends early
	asked    int           // how many answers were read
	partial  bool          // a page of this poll lacked a conversation
	checking bool          // all conversations can be read
	members  int           // how many conversations the last list had
	unlisted time.Duration // until when the engine may do without a list
	clock    feed.Time     // the time that the answer carries
	fetched  feed.Time     // when, on the server's clock; 0 for not yet
	handed   feed.Time     // when the request was made
	failing  bool          // the last request failed
	left     bool          // a listener has left since, perhaps the one that it was for
	named    time.Duration // no request before it, if the server named a time
	wait     time.Duration // what it named
	busy     int           // requests since the engine was at rest
	page     int           // the longest answer
	pushes   int
	backlogs int // how many may have begun
	shifts   int // of the server's clock
	polls    uint64
	polled   time.Duration // when the last poll began
	poked    uint64        // the poll somebody waits for, 0 for nobody
	pokedBy  time.Duration // when it has to begin
	Requests uint64        // answered, over all stories
}

// NewRunner returns a Runner.
func NewRunner() *Runner {
	r := &Runner{pcg: rand.NewPCG(0, 0)}
	r.rnd = rand.New(r.pcg)
	return r
}

// Play plays a story and returns the first violation, nil if there is none.
func (r *Runner) Play(s *Story) *Violation {
	r.story, r.violation = s, nil
	r.pcg.Seed(s.Seed, 0xfeed)
	r.srv.reset(s.Traits, s.Config.PageSize, r.rnd)
	r.evidence = pages.Evidence{Least: 1}
	r.elapsed, r.page, r.backlogs, r.shifts = 0, s.Config.PageSize, 0, 0
	r.spare = append(r.spare, r.listeners...)
	r.listeners = r.listeners[:0]
	r.start()
	for i := range s.Steps {
		r.step = i
		r.busy = 0
		r.do(&s.Steps[i])
		if r.violation != nil {
			return r.violation
		}
	}
	r.step = len(s.Steps)
	r.finale()
	return r.violation
}

// Find plays so many seeds, from one on, until a promise is broken, and returns
// the seed and the violation, nil if none is.
func (r *Runner) Find(first, seeds uint64) (uint64, *Violation) {
	var s Story
	for seed := first; seed < first+seeds; seed++ {
		Tell(&s, seed)
		if v := r.Play(&s); v != nil {
			return seed, v
		}
	}
	return 0, nil
}

// finale lets everything become visible and everybody catch up.
func (r *Runner) finale() {
	for i := range r.srv.convs {
		r.srv.convs[i].stuck = false
	}
	for range 2 {
		r.feed.Joined(r.now())
		r.note("final check")
		r.check(^uint(0))
		if r.violation != nil {
			return
		}
		r.pass(r.story.Config.Overlap + time.Second)
	}
	r.check(^uint(0))
	r.quiet()
}

func (r *Runner) start() {
	cfg := r.story.Config
	cfg.Draw = r.rnd.Int64N
	cfg.Stable = stable
	r.srv.lives++
	r.feed = feed.New(cfg)
	r.query, r.rows, r.fetched = feed.Query{}, r.rows[:0], 0
	r.failing, r.named, r.wait, r.busy = false, 0, 0, 0
	r.polls, r.poked, r.asked = 0, 0, 0
	r.partial, r.checking, r.unlisted, r.members = false, false, 0, 0
}

func (r *Runner) fail(rule, format string, args ...any) {
	if r.violation == nil {
		r.violation = &Violation{Rule: rule, Text: fmt.Sprintf(format, args...), Step: r.step}
	}
}

func (r *Runner) note(format string, args ...any) {
	if r.Trace != nil {
		r.Trace("%12v  "+format, append([]any{r.elapsed}, args...)...)
	}
}

// now is the client's clock.
func (r *Runner) now() time.Time { return time.UnixMicro(int64(epoch)).Add(r.elapsed) }

func (r *Runner) pass(d time.Duration) {
	r.elapsed += d
	r.srv.latest = max(r.srv.latest, r.srv.clock())
	r.srv.now = epoch + micros(r.story.Traits.Skew) + micros(r.elapsed)
}

// next asks the engine what to do and holds the answer against the cadence it
// promises. It reports whether there is a request to answer.
func (r *Runner) next() (until time.Duration, request bool) {
	a := r.feed.Next(r.now())
	if n := r.feed.Polls(); n != r.polls {
		if r.polls > 0 && r.elapsed-r.polled < r.story.Config.MinGap {
			r.fail("gap between polls", "a poll began %v after the one before", r.elapsed-r.polled)
		}
		r.polls, r.polled, r.partial = n, r.elapsed, false
		if n >= r.poked {
			r.poked = 0
		}
	}
	if a.Query.Kind != 0 {
		if r.elapsed < r.named {
			r.fail("named wait", "a request %v before the time the server had named", r.named-r.elapsed)
		}
		if r.query.Kind == 0 {
			r.asking = len(r.listeners)
			r.Requests++
			r.busy++
			switch most := 60 + 8*(len(r.srv.versions)+len(r.srv.convs))*(1+len(r.listeners)); {
			case r.busy > most:
				r.fail("rest", "%d requests without an end", r.busy)
			case r.busy > most/2:
				r.pass(100 * time.Millisecond) // so many take their time, in which replicas catch up
			}
		}
		r.query, r.handed = a.Query, r.srv.now
		return 0, true
	}
	r.feed.Slim()
	r.busy = 0
	if a.Until.IsZero() {
		if r.alive() > 0 {
			r.fail("latest poll", "no poll is planned although somebody listens")
		}
		return 0, false
	}
	until = a.Until.Sub(r.now())
	cfg := &r.story.Config
	longest := cfg.Max // jitter only shortens waits
	if r.failing {
		longest = cfg.Outage
		if r.left {
			longest = max(cfg.Outage, cfg.Max)
		}
		if r.wait > 0 && !r.left {
			longest = r.named - r.elapsed + r.wait/4 + cfg.Live
		}
	} else {
		for _, l := range r.listeners {
			if !l.alive || l.parked || l.pending >= cfg.Queue {
				continue
			}
			if r.partial {
				continue
			}
			if r.polls > 0 {
				l.polled = epoch + micros(r.story.Traits.Skew) + micros(r.polled)
			}
			for c := range l.rested {
				if !l.durable || !r.feed.Apart(l.id, int64(c+1)) {
					l.rested[c] = r.srv.now
				}
			}
		}
	}
	switch {
	case until <= 0:
		r.fail("rest", "the engine waits for %v ago", -until)
	case until > longest:
		r.fail("latest poll", "the next poll is %v away", until)
	case r.poked > 0 && r.wait == 0 && r.elapsed+until > r.pokedBy:
		r.fail("poke", "the next poll is %v away although somebody asked for one", until)
	}
	return until, false
}

func (r *Runner) alive() (n int) {
	for _, l := range r.listeners {
		if l.alive {
			n++
		}
	}
	return n
}

// poke notes that a poll was asked for: the one with the ticket has to begin soon.
func (r *Runner) poke(ticket uint64) {
	r.poked, r.pokedBy = ticket, r.elapsed+r.story.Config.MinGap
}

// fetch reads the answer to the request under way, if there is one.
func (r *Runner) fetch() bool {
	if r.fetched != 0 {
		return true
	}
	if _, ok := r.next(); !ok || r.violation != nil {
		return false
	}
	r.fetched = r.srv.now
	r.asked++
	r.clock = r.srv.clock() / tick * tick
	if r.query.Kind != feed.Members {
		r.ail()
		r.rows = append(r.rows[:0], r.srv.answer(r.query)...)
		r.page, r.short = max(r.page, len(r.rows)), r.srv.short || r.cut()
		if r.Trace != nil {
			r.note("%v", describeQuery(r.query))
			for i := range r.rows {
				r.note("    %v", r.describeRow(&r.rows[i]))
			}
		}
	} else {
		r.srv.members()
		r.note("asks for the conversations: %v", r.srv.list)
	}
	return true
}

// cut reports whether there may be more rows than a page has that is not full, as its owner
// finds out. Of the newest rows it puts a page together.
func (r *Runner) cut() bool {
	if r.srv.traits.Cap == 0 || r.query.Kind == feed.Newest {
		return false
	}
	more := r.evidence.More(r.now(), pages.Page{Limit: r.query.Limit, Rows: len(r.rows)})
	return more && len(r.rows) < r.query.Limit
}

// ail lets a conversation be unreadable now and then.
func (r *Runner) ail() {
	s := &r.srv
	if s.sick = 0; s.traits.Sick && r.query.Partial && !r.checking && r.asked%3 == 0 {
		s.sick = 1 + r.asked/3%len(s.convs)
		r.note("conversation %d cannot be read", s.sick)
	}
}

// answer hands the answer over, times times.
func (r *Runner) answer(times int) bool {
	if !r.fetch() {
		return false
	}
	q := r.query
	r.query = feed.Query{}
	r.named, r.wait, r.failing = 0, 0, false
	r.srv.noticed = r.srv.noticed || q.Kind != feed.Members && r.clock == r.srv.clock()/tick*tick
	for range times {
		if q.Kind == feed.Members {
			r.members = len(r.srv.list)
			r.feed.Members(r.now(), r.srv.list)
		} else {
			if r.srv.sick != 0 {
				r.partial = true
				r.feed.PartialPage(r.now(), r.rows, feed.Clock{Earliest: r.clock, Latest: r.clock}, []int64{int64(r.srv.sick)}, r.short)
			} else if r.short {
				r.feed.ShortPage(r.now(), r.rows, feed.Clock{Earliest: r.clock, Latest: r.clock}, 0)
			} else {
				r.feed.Page(r.now(), r.rows, feed.Clock{Earliest: r.clock, Latest: r.clock})
			}
		}
	}
	if q.Kind == feed.Latest {
		r.backlogs++
	}
	if q.Kind == feed.Newest && q.Conversation == 0 {
		r.began(q)
	}
	r.fetched = 0
	r.pushed()
	return true
}

// lie answers with an empty list, as something on the way does that knows no better. It
// can be told of the first page of a poll, where a row is known that has to be on it, and,
// when it is asked for again, of that of a listener.
func (r *Runner) lie() {
	if !r.fetch() || r.query.Beyond == 0 && !r.doubts() {
		return
	}
	r.note("the answer is empty")
	r.rows, r.short = r.rows[:0], false
	r.answer(1)
}

// doubts reports whether the request is for a first page that would not be believed if it
// were empty.
func (r *Runner) doubts() bool {
	q := &r.query
	if q.Kind != feed.Newest || q.Conversation != 0 || q.Before != (feed.Key{}) || r.members == 0 {
		return false
	}
	return !slices.ContainsFunc(r.listeners[:r.asking], func(l *listener) bool { return l.loaded == 0 && l.doubted })
}

// refuse lets the request under way fail.
func (r *Runner) refuse(way int, wait time.Duration) {
	if way == 2 {
		r.fetch() // the server did its part
	} else {
		r.next()
	}
	if r.query.Kind == 0 || r.violation != nil {
		return
	}
	list, read := r.query.Kind == feed.Members, r.fetched
	r.query, r.fetched = feed.Query{}, 0
	r.failing, r.left, r.poked = true, false, 0
	if list {
		for i := range r.srv.convs {
			if c := &r.srv.convs[i]; c.listed == read {
				c.listed = 0 // the answer was lost
			}
		}
		r.left, r.unlisted = true, r.elapsed+relist // it goes on without
	}
	if way != 0 {
		wait = 0
	}
	r.wait = min(wait, longestWait) // which is all that a server can ask for
	r.named = r.elapsed + r.wait
	r.note("the request fails, the server names %v", wait)
	r.feed.Failed(r.now(), wait)
	r.pushed()
}

// run answers up to n requests.
func (r *Runner) run(n int) {
	for range n {
		if !r.answer(1) || r.violation != nil {
			return
		}
	}
}

// relist is how long the engine does without a list that could not be read.
const relist = 30 * time.Second

// check polls, drains the listeners of the set, and holds what they know against
// the server.
func (r *Runner) check(set uint) {
	r.checking = true
	defer func() { r.checking = false }()
	asOf := r.srv.now - r.srv.traits.Lag
	joined := r.srv.now
	ticket := r.feed.Poke(r.now())
	r.poke(ticket)
	for range 10_000 {
		r.run(1 << 30)
		drained := 0
		for i, l := range r.listeners {
			if set>>i&1 != 0 {
				drained += r.drain(l, 1<<30)
			}
		}
		if r.violation != nil {
			return
		}
		until, request := r.next()
		switch {
		case request || drained > 0:
			continue
		case r.alive() == 0:
			return
		case !r.feed.Done(ticket):
			r.pass(until)
			continue
		}
		for i, l := range r.listeners {
			if set>>i&1 != 0 && l.alive {
				r.compare(l, asOf, joined)
			}
		}
		return
	}
	r.fail("rest", "a poll is not done after 10000 rounds")
}
