package feed

import (
	"time"
)

// hold is how long after the last activity the wait stays at Base.
const hold = 30 * time.Minute

// silentWaits is after how many waits of silence the wait grows. So a conversation
// with a message every fifteen seconds is as fast as one with one every five.
const silentWaits = 10

// schedule decides when to poll next. The wait is short after an activity. It grows by
// half during silence, up to Base, stays there while a conversation may go on, and
// grows further after a long silence. Failures have a backoff of their own.
type schedule struct {
	cfg *Config

	next    time.Time // when the next poll is due
	wait    time.Duration
	last    time.Time // start of the last poll
	alive   time.Time // last activity
	heardIt bool      // since the last poll completed
	counted uint64    // the last poll that was scheduled after

	fails int
	until time.Time // no request before it
	named bool      // the server asked for until
}

func newSchedule(cfg *Config) schedule {
	return schedule{cfg: cfg, wait: cfg.Live}
}

// poke makes a poll due as soon as MinGap allows, and counts as an activity.
func (s *schedule) poke(now time.Time) {
	s.heard(now)
	s.next = now
	if gap := s.last.Add(s.cfg.MinGap); s.next.Before(gap) {
		s.next = gap
	}
	// A request ends the engine's own backoff, but not a wait that the server asked for.
	if soon := now.Add(s.cfg.MinGap); !s.named && soon.Before(s.until) {
		s.until = soon
	}
}

// heard records an activity.
func (s *schedule) heard(now time.Time) {
	s.alive, s.heardIt = now, true
}

func (s *schedule) due(now time.Time) bool { return !now.Before(s.next) }

func (s *schedule) blocked(now time.Time) (time.Time, bool) {
	return s.until, now.Before(s.until)
}

// began records the start of a poll. A later poke requests another one.
func (s *schedule) began(now time.Time) {
	s.last = now
	s.next = now.Add(2 * s.cfg.Max) // until completed sets it
	s.heardIt = false
}

// completed schedules the poll after one that has just completed.
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
	case silence >= silentWaits*s.wait:
		s.wait = min(s.wait+s.wait/2, s.cfg.Base)
	}
	if next := now.Add(s.jitter(s.wait)); next.Before(s.next) {
		s.next = next
	}
}

func (s *schedule) succeeded() { s.fails, s.until = 0, time.Time{} }

// failed schedules the next attempt: after the wait that the server asked for, a
// little more so that many clients do not come back at once, or after an exponential
// backoff. An outage can end at any moment, so that backoff stays short. Nobody gets
// to silence the engine for longer than LongestWait.
func (s *schedule) failed(now time.Time, wait time.Duration) {
	s.fails++
	s.named = wait > 0
	wait = min(wait, s.cfg.LongestWait)
	if s.named {
		wait += time.Duration(s.cfg.Draw(int64(wait)/4 + int64(s.cfg.Live)))
	} else {
		wait = s.jitter(min(s.cfg.Live<<min(s.fails-1, 10), s.cfg.Outage))
	}
	s.until = now.Add(wait)
}

// jitter shortens a wait by up to a fifth, so that clients that started together drift
// apart and no wait is longer than configured.
func (s *schedule) jitter(d time.Duration) time.Duration {
	if spread := int64(d) / 5; spread > 0 {
		return d - time.Duration(s.cfg.Draw(spread))
	}
	return d
}
