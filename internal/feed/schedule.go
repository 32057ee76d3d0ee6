package feed

import (
	"math/rand/v2"
	"time"
)

// hold is how long after the last sign of life the wait stays at Base.
const hold = 30 * time.Minute

// patience is how many waits of silence make the wait grow: whoever talks every
// fifteen seconds is answered as quickly as whoever talks every five.
const patience = 10

// schedule decides when to poll next. After something happened the wait is
// short; it grows by half as the silence goes on, up to the base cadence, stays
// there while a conversation may go on, and grows on after a long silence.
// Failures have a backoff of their own.
type schedule struct {
	cfg  *Config
	rand *rand.Rand

	next    time.Time // when the next poll is due
	wait    time.Duration
	last    time.Time // start of the last poll
	alive   time.Time // last sign of life
	heardIt bool      // since the last poll completed
	counted uint64    // the last poll that was scheduled after

	fails int
	until time.Time // no request before it
	named bool      // until is the server's word
}

func newSchedule(cfg *Config) schedule {
	return schedule{cfg: cfg, rand: cfg.Rand, wait: cfg.Live}
}

// poke makes a poll due as soon as the smallest gap allows, and counts as a sign
// of life.
func (s *schedule) poke(now time.Time) {
	s.heard(now)
	s.next = now
	if gap := s.last.Add(s.cfg.MinGap); s.next.Before(gap) {
		s.next = gap
	}
	// Our own backoff gives way to somebody who asks; the server's word does not.
	if soon := now.Add(s.cfg.MinGap); !s.named && soon.Before(s.until) {
		s.until = soon
	}
}

// heard notes a sign of life.
func (s *schedule) heard(now time.Time) {
	s.alive, s.heardIt = now, true
}

func (s *schedule) due(now time.Time) bool { return !now.Before(s.next) }

func (s *schedule) blocked(now time.Time) (time.Time, bool) {
	return s.until, now.Before(s.until)
}

// began notes the start of a poll. A poke from here on asks for another one.
func (s *schedule) began(now time.Time) {
	s.last = now
	s.next = now.Add(2 * s.cfg.Max) // until completed says better
	s.heardIt = false
}

// completed plans the poll after one that has just been completed.
func (s *schedule) completed(now time.Time, poll uint64) {
	if poll == s.counted {
		return
	}
	s.counted = poll
	silence := now.Sub(s.alive)
	switch {
	case s.heardIt:
		s.wait = s.cfg.Live
	case silence > hold:
		s.wait = min(s.wait+s.wait/2, s.cfg.Max)
	case silence >= patience*s.wait:
		s.wait = min(s.wait+s.wait/2, s.cfg.Base)
	}
	if next := now.Add(s.jitter(s.wait)); next.Before(s.next) {
		s.next = next
	}
}

func (s *schedule) succeeded() { s.fails, s.until = 0, time.Time{} }

// failed plans the next try: what the server named, a little later so that
// many clients do not come back at once, or an exponential backoff.
func (s *schedule) failed(now time.Time, wait time.Duration) {
	s.fails++
	s.named = wait > 0
	if s.named {
		wait += time.Duration(s.rand.Int64N(int64(wait)/4 + int64(s.cfg.Live)))
	} else {
		wait = s.jitter(min(s.cfg.Live<<min(s.fails-1, 10), s.cfg.Max))
	}
	s.until = now.Add(wait)
}

// jitter shortens a wait by up to a fifth, so that clients started together drift
// apart and the longest wait is still the one that was asked for.
func (s *schedule) jitter(d time.Duration) time.Duration {
	if spread := int64(d) / 5; spread > 0 {
		return d - time.Duration(s.rand.Int64N(spread))
	}
	return d
}
