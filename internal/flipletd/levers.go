package flipletd

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Effects is everything that levers do to one request. The zero Effects is a
// well-behaved server.
type Effects struct {
	Delay       time.Duration // before the request is looked at
	AnswerDelay time.Duration // after it was applied

	Status  int           // answer this instead of serving
	Body    string        // with this body; "" is the documented one
	Header  http.Header   // added to the answer
	RetryIn time.Duration // what a 429 asks the client to wait; 1 s

	LoseRequest bool // drop the connection before applying
	LoseAnswer  bool // drop it after applying
	Cut         bool // send half of the answer

	DripBytes int           // send the answer in pieces of so many bytes
	DripEvery time.Duration // with this pause before each

	Twice bool // apply the request twice, answer once

	RefuseChatToken bool
	SecondFactor    string // what a login with a password has to show besides
	RefuseToken     bool

	VisibleAfter time.Duration // writes are seen that much later
	Backdate     time.Duration // writes are stamped that much earlier
	Lag          time.Duration // reads see the state that long ago
	PartialBatch int           // bulk and commit keep that many entries, then answer 500; see Partial
	Partial      bool

	Ignore    map[string]bool // parameters treated as if they were not sent
	MaxJoins  *int            // a query may have no more joins; nil: as configured
	Everybody bool            // a query over conversations covers those of others, too

	LogLag          time.Duration // the audit log has changes that much later
	LogWithoutChats bool          // and those of messages never
	LogWithoutRows  bool          // nor the single rows of commits, imports, restores and new sources

	Reverse   bool // result rows in reverse
	Shuffle   bool // result rows in a random order
	Duplicate bool // a result row comes twice
	MostRows  int  // of an answer, whatever was asked for; 0 is any number
	MostBytes int  // of its rows, of which there is one at least; 0 is any number

	Shape Shape

	Hook HookEffects

	random *rand.Rand
}

// Fault changes what happens to a request.
type Fault func(*Effects)

// Route names calls: a route of the server as "METHOD /v1/…" with :ds, :id and
// the like in it, or one of the groups below.
type Route string

// Groups of routes. AnyRead covers every call that changes nothing, the POSTs
// that query included; a data/query that updates or deletes counts as a read.
const (
	AnyRoute Route = "*"
	AnyRead  Route = "read"
	AnyWrite Route = "write"
)

func (r Route) matches(rt *route) bool {
	if rt == hookRoute {
		return r == WebHook
	}
	switch r {
	case AnyRoute, "":
		return true
	case AnyRead:
		return !rt.writes
	case AnyWrite:
		return rt.writes
	}
	return strings.EqualFold(string(r), string(rt.name))
}

// Rule lets faults act on matching requests.
type Rule struct {
	Route  Route
	Skip   int     // matching requests let through first
	Times  int     // requests hit after those; 0 is all
	Rate   float64 // the share of requests hit, at random; 0 is all
	Faults []Fault
}

// Lever is a rule in force.
type Lever struct {
	rule Rule
	id   uint64
	set  *levers
	seen int
	hits atomic.Int64
}

// Hits is how many requests the lever has acted on.
func (l *Lever) Hits() int { return int(l.hits.Load()) }

// Off takes the lever out of force.
func (l *Lever) Off() {
	l.set.mu.Lock()
	defer l.set.mu.Unlock()
	for i, other := range l.set.active {
		if other == l {
			l.set.active = append(l.set.active[:i:i], l.set.active[i+1:]...)
			return
		}
	}
}

// levers are the rules of a server. Random decisions depend on the seed, the
// rule, the route and how often that route was called, so that they do not
// change with the order in which concurrent calls of different routes arrive.
type levers struct {
	mu     sync.Mutex
	seed   uint64
	active []*Lever
	made   uint64
	calls  map[Route]uint64
}

func (s *levers) add(r Rule) *Lever {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	l := &Lever{rule: r, id: s.made, set: s}
	s.active = append(s.active[:len(s.active):len(s.active)], l)
	return l
}

func (s *levers) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = nil
}

// effects gathers what acts on the next request of a route.
func (s *levers) effects(rt *route) *Effects {
	fx := &Effects{}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.active) == 0 {
		return fx
	}
	if s.calls == nil {
		s.calls = make(map[Route]uint64)
	}
	s.calls[rt.name]++
	call := s.calls[rt.name]
	fx.random = s.draw(rt.name, call, 0)
	for _, l := range s.active {
		if !l.rule.Route.matches(rt) {
			continue
		}
		l.seen++
		n := l.seen - l.rule.Skip
		if n <= 0 || l.rule.Times > 0 && n > l.rule.Times {
			continue
		}
		if l.rule.Rate > 0 && s.draw(rt.name, call, l.id).Float64() >= l.rule.Rate {
			continue
		}
		l.hits.Add(1)
		for _, f := range l.rule.Faults {
			f(fx)
		}
	}
	return fx
}

func (s *levers) draw(name Route, call, rule uint64) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return rand.New(rand.NewPCG(mix(s.seed^h), mix(call<<20^rule)))
}

// mix is the finalizer of splitmix64: neighbouring seeds give unlike streams.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// cut leaves out the last rows of an answer.
func (fx *Effects) cut(rows []*version) []*version {
	if fx.MostRows > 0 && len(rows) > fx.MostRows {
		rows = rows[:fx.MostRows]
	}
	if fx.MostBytes > 0 {
		size := 0
		for i, v := range rows {
			text, _ := json.Marshal(v.Data)
			if size += len(text); size > fx.MostBytes && i > 0 {
				return rows[:i]
			}
		}
	}
	return rows
}

// arrange lets the levers that act on result rows do so.
func (fx *Effects) arrange(rows []*version) []*version {
	rows = fx.cut(rows)
	if len(rows) == 0 || !fx.Reverse && !fx.Shuffle && !fx.Duplicate {
		return rows
	}
	out := append(make([]*version, 0, len(rows)+1), rows...)
	if fx.Reverse {
		for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
			out[i], out[j] = out[j], out[i]
		}
	}
	if fx.Duplicate {
		at := fx.random.IntN(len(out))
		out = append(out, out[at])
	}
	if fx.Shuffle {
		fx.random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}
