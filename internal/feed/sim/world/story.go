package world

import (
	"math/rand/v2"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Op is what a step does.
type Op uint8

// The steps. A to D are their numbers; all of them work modulo what is there.
const (
	Send      Op = iota // A conversation, B rows on one millisecond, C late or stamped early by D
	Resend              // a second row for the send of A rows ago
	Import              // A conversation, B rows created D ago
	Edit                // B rows from A rows ago on; D late
	Remove              // A rows ago; D late
	Pass                // D passes
	Run                 // up to A requests are answered
	Fetch               // a request is answered, the answer arrives later
	Refuse              // a request fails: A is the way, D what the server names
	Repeat              // an answer arrives twice
	Lie                 // an answer says that there is nothing
	Wait                // A times: run, then wait as long as the engine wants
	Drain               // listener A takes B events
	Subscribe           // A where it starts, B durable
	Leave               // listener A is unsubscribed
	Poke                // A times
	Reset
	Joined
	Enter // the user joins conversation A, told so if B is 1, with a call of their own if it is 2
	Exit  // the user leaves conversation A
	Found // a conversation is created and joined at once
	Crash // the process dies: A is the moment
	Stick // consumers fail with what comes from conversation A
	Heal  // they do not any more
	Aside // consumer A sets conversation B aside, although it need not
	Shift // the server's clock goes forward by D, or back
	Check // a poll; then everybody must know everything
)

// Step is one thing that happens.
type Step struct {
	Op      Op
	A, B, C int
	D       time.Duration
}

// Traits are the habits of a server and its network.
type Traits struct {
	Skew          time.Duration // its clock against the client's
	Late          feed.Time     // how long a row may stay invisible
	Lag           feed.Time     // how far a replica may be behind
	Shuffle       bool          // pages come in no order
	NoLimit       bool          // the limit is ignored
	Doubles       bool          // rows come twice in a page
	Backwards     bool          // ascending order is ignored
	Poison        bool          // some versions cannot be read, and some pages end early
	Future        bool          // some rows are stamped many years ahead
	Undated       bool          // lists do not say when a definition was changed
	Shifts        bool          // the clock is set back or forward now and then
	Lies          bool          // answers are empty now and then
	Sick          bool          // a conversation cannot be read now and then
	Conversations int
	Joined        int // the user is in the first few of them
	Cap           int // a page has at most so many rows, whatever was asked for; 0: no limit
}

// Story is a history: drawn from a seed, or cut down by [Shrink].
type Story struct {
	Seed   uint64
	Config feed.Config
	Traits Traits
	// Blocked are the listeners, in order of subscription, that take nothing
	// until the end.
	Blocked uint
	// Lazy consumers store their position before they take events, not after each.
	Lazy bool
	// Parallel is how many conversations a consumer handles at the same time.
	Parallel int
	Steps    []Step
}

// longestWait is the most that a server can ask for.
const longestWait = time.Minute

// Tell draws the story of a seed. What a story is about differs much from one to
// the next: each leaves most kinds of steps and faults out, so that the others
// meet more often.
func Tell(s *Story, seed uint64) {
	pcg := rand.NewPCG(seed, 0x5eed)
	d := dice{rand.New(pcg)}
	*s = Story{Seed: seed, Steps: s.Steps[:0]}
	s.Config = feed.Config{
		PageSize: d.of(1, 2, 2, 3, 5, 20), Overlap: time.Second * time.Duration(d.of(1, 5, 5)),
		Queue: d.of(1, 2, 3, 8, 100), Collect: d.of(1, 2, 5, 12, 100), Remember: d.of(1, 2, 4, 10, 1000),
		Live: 2 * time.Second, Base: 20 * time.Second, Max: 2 * time.Minute, MinGap: 200 * time.Millisecond,
		Outage: time.Duration(3+seed%2*7) * time.Second, LongestWait: longestWait,
		Roster: time.Second * time.Duration(d.of(10, 300)),
		Apart:  time.Duration(seed%3) * 20 * time.Second, // not drawn: the other stories stay as they are
	}
	t := &s.Traits
	t.Conversations = d.of(1, 2, 2, 3)
	t.Joined = 1 + d.IntN(t.Conversations)
	if d.one(3) {
		t.Skew = time.Duration(d.IntN(1200)-600) * time.Second
	}
	window := int(s.Config.Overlap.Milliseconds())
	if d.one(2) {
		t.Late = feed.Time(1+d.IntN(window)) * ms
	}
	if d.one(4) {
		t.Lag = micros(s.Config.Overlap) - t.Late
	}
	t.Shuffle, t.NoLimit, t.Doubles = d.one(12), d.one(12), d.one(12)
	t.Backwards = seed*0x9e3779b97f4a7c15>>60 == 0 && s.Config.PageSize > 1 && !t.Doubles && !t.Shuffle
	t.Poison = seed*0xd1342543de82ef95>>61 == 0 && !t.Backwards && !t.Doubles && !t.Shuffle
	t.Future = seed*0xbf58476d1ce4e5b9>>61 == 0
	t.Undated = seed*0x94d049bb133111eb>>61 == 0
	t.Shifts = seed*0xff51afd7ed558ccd>>61 == 0 && !t.Future && t.Lag == 0 && !t.Undated
	t.Lies = seed*0xc4ceb9fe1a85ec53>>61 == 0 && !t.Shifts
	t.Sick = seed*0x2545f4914f6cdd1d>>61 == 0 && !t.Shifts && !t.Lies
	if t.Shifts {
		t.Late = 0 // what is in flight when a clock jumps forward is lost behind it
	}
	if seed*0xa0761d6478bd642f>>60 == 0 && s.Config.PageSize > 1 && !t.Shuffle && !t.NoLimit && !t.Doubles && !t.Backwards && !t.Poison && !t.Sick {
		t.Cap = 1 + int(seed*0xe7037ed1a0b428db>>33)%min(4, s.Config.PageSize-1) //nolint:gosec // it is small
	}
	if d.one(4) {
		s.Blocked = uint(1 + d.IntN(3))
	}
	s.steps(d)
}

type dice struct{ *rand.Rand }

func (d dice) of(n ...int) int { return n[d.IntN(len(n))] }
func (d dice) one(in int) bool { return d.IntN(in) == 0 }
func (d dice) ms(n ...int) time.Duration {
	return time.Duration(d.of(n...)) * time.Millisecond
}

// steps draws what happens.
func (s *Story) steps(d dice) {
	var kinds [32]Op
	bag := append(kinds[:0], Send, Send, Pass, Run, Run, Drain, Wait)
	for _, op := range []Op{Edit, Edit, Remove, Fetch, Drain, Check} {
		if !d.one(3) {
			bag = append(bag, op)
		}
	}
	for _, op := range []Op{Resend, Import, Refuse, Repeat, Subscribe, Leave, Poke, Reset, Joined, Enter, Found} {
		if d.one(4) {
			bag = append(bag, op)
			if op == Enter {
				bag = append(bag, Exit, Enter)
			}
		}
	}
	if s.Traits.Lies {
		bag = append(bag, Lie, Run)
	}
	if s.Traits.Shifts {
		bag = append(bag, Shift, Send)
	}
	durable := d.one(3)
	s.Lazy = durable && d.one(3)
	s.Parallel = 1
	if durable {
		bag = append(bag, Crash, Drain)
		s.Parallel = d.of(1, 2, 8)
		if d.one(2) {
			bag = append(bag, Stick, Heal)
		}
		if d.one(3) {
			bag = append(bag, Aside)
		}
	}
	start := func() Step {
		b := 0
		if durable && !d.one(3) {
			b = 1
		}
		return Step{Op: Subscribe, A: d.of(0, 0, 0, 1, 2), B: b}
	}
	for range d.of(0, 1, 3) {
		s.Steps = append(s.Steps, s.step(d, Send), s.step(d, Pass))
	}
	for range d.of(1, 1, 1, 2, 3) {
		s.Steps = append(s.Steps, start())
	}
	if !d.one(4) {
		s.Steps = append(s.Steps, Step{Op: Check})
	}
	for range d.of(5, 10, 10, 20, 20, 40) {
		if op := bag[d.IntN(len(bag))]; op == Subscribe {
			s.Steps = append(s.Steps, start())
		} else {
			s.Steps = append(s.Steps, s.step(d, op))
		}
	}
}

func (s *Story) step(d dice, op Op) Step {
	x := Step{Op: op}
	late := func() time.Duration {
		if s.Traits.Late == 0 || d.one(2) {
			return 0
		}
		return time.Duration(d.IntN(int(s.Traits.Late/ms)+1)) * time.Millisecond
	}
	switch op {
	case Send:
		x.A, x.B, x.C, x.D = d.IntN(4), d.of(1, 1, 1, 2, 3, 7), d.IntN(2), late()
	case Resend:
		x.A = d.IntN(3)
	case Import:
		x.A, x.B, x.D = d.IntN(4), d.of(1, 2), d.ms(1, 100, 5000, 100_000, 7_200_000)
	case Edit:
		x.A, x.B, x.D = d.of(0, 0, 1, 2, 5, 9), d.of(1, 1, 2, 6), late()
	case Remove:
		x.A, x.D = d.of(0, 0, 1, 2, 5, 9), late()
	case Pass:
		x.D = d.ms(1, 1, 30, 250, 900, 3000, 6000, 60_000)
	case Run:
		x.A = d.of(1, 1, 2, 3, 100)
	case Refuse:
		x.A = d.IntN(3)
		x.D = d.ms(500, 5000, 90_000, 600_000)
	case Wait:
		x.A = d.of(1, 1, 2, 4)
	case Drain:
		x.A, x.B = d.IntN(3), d.of(1, 1, 3, 100)
	case Leave:
		x.A = d.IntN(3)
	case Poke:
		x.A = d.of(1, 1, 2, 20)
	case Stick, Heal:
		x.A = d.IntN(4)
	case Enter, Exit, Aside:
		x.A, x.B = d.IntN(8), d.IntN(2)
		own := x.A >= 4
		x.A %= 4
		switch {
		case op == Aside:
			x.A, x.B = x.A%3, d.IntN(4)
		case op == Enter && own:
			x.B *= 2
		}
	case Shift:
		x.D = d.ms(-10_000, -70_000, -3_600_000, -86_400_000, 10_000, 3_600_000)
	case Crash:
		x.A = d.IntN(4)
	}
	return x
}
