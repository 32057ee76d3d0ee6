package fliplettest

import (
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// Lever is what [Server.Next] and the like return: faults that act on
// requests until their number is used up or Off is called.
type Lever struct{ l *flipletd.Lever }

// Hits is how many requests the lever has acted on.
func (l *Lever) Hits() int { return l.l.Hits() }

// Off stops the lever. Requests in progress are not affected.
func (l *Lever) Off() { l.l.Off() }

// Next lets faults act on the next n requests of a route. Several levers that
// match one request all act on it, in the order in which they were pulled;
// where two set the same thing, the later one wins.
func (s *Server) Next(n int, route Route, faults ...Fault) *Lever {
	if n < 1 {
		panic("fliplettest: Next needs a positive number of requests")
	}
	return s.pull(flipletd.Rule{Route: flipletd.Route(route), Times: n}, faults)
}

// After is [Server.Next] that lets skip matching requests through first.
func (s *Server) After(skip, n int, route Route, faults ...Fault) *Lever {
	if n < 1 || skip < 0 {
		panic("fliplettest: After needs a positive number of requests and none below zero to skip")
	}
	return s.pull(flipletd.Rule{Route: flipletd.Route(route), Skip: skip, Times: n}, faults)
}

// Always lets faults act on every request of a route until the lever is Off.
func (s *Server) Always(route Route, faults ...Fault) *Lever {
	return s.pull(flipletd.Rule{Route: flipletd.Route(route)}, faults)
}

// Sometimes lets faults act on that share of a route's requests, drawn at
// random under the server's seed: which of a route's calls are hit depends on
// the seed and their number alone, not on what other routes are doing.
func (s *Server) Sometimes(share float64, route Route, faults ...Fault) *Lever {
	if !(share > 0 && share <= 1) {
		panic("fliplettest: Sometimes needs a share above 0 and up to 1")
	}
	return s.pull(flipletd.Rule{Route: flipletd.Route(route), Rate: share}, faults)
}

// Release stops every lever.
func (s *Server) Release() { s.core.Release() }

func (s *Server) pull(r flipletd.Rule, faults []Fault) *Lever {
	if !slices.Contains(append(s.Routes(), AnyRoute, AnyRead, AnyWrite, WebHook), Route(r.Route)) {
		panic("fliplettest: there is no route " + string(r.Route))
	}
	for _, f := range faults {
		r.Faults = append(r.Faults, f.apply)
	}
	return &Lever{s.core.Pull(r)}
}

// Rates are shares of requests, 0 to 1, that go wrong at random; see
// [WithFaults].
type Rates struct {
	Unavailable float64 // 503 before anything is applied
	TooMany     float64 // 429 that names a date 10 ms ahead
	LoseRequest float64 // the connection drops before the request is applied
	LoseAnswer  float64 // it drops after
	Cut         float64 // half of an answer arrives
	Slow        float64 // the request waits for SlowBy
	SlowBy      time.Duration
	Late        float64 // a write becomes visible LateBy later
	LateBy      time.Duration
	Duplicate   float64 // a result row comes twice
	Shuffle     float64 // result rows come in any order
}

// WithFaults lets requests of every route go wrong at random, the same ones
// for the same seed and the same calls of each route. As with [WithSeed], tokens are
// drawn from the seed, too. Delays and losses add
// up: a request can be slow and lost.
func WithFaults(seed uint64, r Rates) Option {
	return func(c *config) {
		c.Seed = seed
		for _, x := range []struct {
			rate  float64
			route flipletd.Route
			fault Fault
		}{
			{r.Slow, flipletd.AnyRoute, Delay(r.SlowBy)},
			{r.Unavailable, flipletd.AnyRoute, Status(503)},
			{r.TooMany, flipletd.AnyRoute, TooMany(10 * time.Millisecond)},
			{r.LoseRequest, flipletd.AnyRoute, LoseRequest()},
			{r.LoseAnswer, flipletd.AnyRoute, LoseAnswer()},
			{r.Cut, flipletd.AnyRoute, Cut()},
			{r.Late, flipletd.AnyWrite, VisibleAfter(r.LateBy)},
			{r.Duplicate, flipletd.AnyRead, DuplicateRow()},
			{r.Shuffle, flipletd.AnyRead, Shuffle()},
		} {
			if x.rate > 0 {
				c.rules = append(c.rules, flipletd.Rule{Route: x.route, Rate: x.rate, Faults: []flipletd.Fault{x.fault.apply}})
			}
		}
	}
}

// FreezeClock stops the server's clock: everything written from now on carries
// one timestamp. Levers that wait are not affected.
func (s *Server) FreezeClock() { s.core.Freeze(time.Time{}) }

// FreezeClockAt stops the clock at t, cut to milliseconds.
func (s *Server) FreezeClockAt(t time.Time) { s.core.Freeze(t) }

// ThawClock lets the clock run again.
func (s *Server) ThawClock() { s.core.Thaw() }

// ShiftClock moves the clock by d, back when d is negative: a server whose
// clock is wrong. A frozen clock stays frozen.
func (s *Server) ShiftClock(d time.Duration) { s.core.Shift(d) }

// Now is the server's time.
func (s *Server) Now() time.Time { return s.core.Now() }
