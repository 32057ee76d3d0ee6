package rows

import (
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

const (
	// remembered is how many answers have a say in the server's time.
	remembered = 8
	// incredible is how far the first answer may be ahead of this machine.
	incredible = 24 * time.Hour
	// dateUnit is how exact a date is.
	dateUnit = time.Second
)

// serverClock estimates the server's time from the dates of the last answers. Of
// several machines that give them one may be ahead, and an early time costs repeated
// reading where a late one costs rows, so the earliest counts.
type serverClock struct {
	mu    sync.Mutex
	ahead [remembered]time.Duration // of this machine's clock
	n     int                       // answers so far
}

// at is the server's time when an answer with a date came at once. An answer without one, or
// with one from before there were such servers, has the time that the others give, or
// this machine's.
func (s *serverClock) at(date time.Time) time.Time { return s.answered(date, time.Now()) }

// answered is at for an answer to a request that was sent at a moment of this machine's clock.
// One that took long has an early date, which says nothing against a time that the server had
// meanwhile.
func (s *serverClock) answered(date, sent time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if date.Year() >= 1990 { // else a machine whose clock has not been set
		least, most := date.Sub(now), date.Add(dateUnit).Sub(sent)
		if known := s.read(now).Sub(now); s.n > 0 && now.Sub(sent) > dateUnit && least <= known && known <= most {
			least = known
		}
		s.ahead[s.n%remembered] = least
		s.n++
	}
	return s.read(now)
}

// read is what the answers so far say of the server's time. s.mu is held.
func (s *serverClock) read(now time.Time) time.Time {
	known := s.ahead[:min(s.n, remembered)]
	if len(known) == 0 || len(known) == 1 && known[0] > incredible {
		return now
	}
	earliest := known[0]
	for _, d := range known {
		earliest = min(earliest, d)
	}
	return now.Add(earliest)
}

// clock is the earliest time of the answers that make up a page.
type clock struct {
	server *serverClock
	mu     sync.Mutex
	first  time.Time
	latest time.Time // of the dates themselves
}

func (c *clock) note(date, sent time.Time) {
	if c == nil {
		return
	}
	t := c.server.answered(date, sent)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.IsZero() || t.Before(c.first) {
		c.first = t
	}
	if date.After(c.latest) {
		c.latest = date
	}
}

// shown is what the answers show of the server's time.
func (c *clock) shown() feed.Clock {
	at := feed.Clock{Earliest: c.read()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.Latest = at.Earliest; !c.latest.IsZero() {
		at.Latest = max(at.Earliest, Micros(c.latest))
	}
	return at
}

// join makes the answers of another clock a part of the page.
func (c *clock) join(other *clock) {
	if c == nil || other.first.IsZero() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.IsZero() || other.first.Before(c.first) {
		c.first = other.first
	}
	if other.latest.After(c.latest) {
		c.latest = other.latest
	}
}

func (c *clock) read() feed.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.IsZero() { // made of no answers
		return Micros(c.server.at(time.Time{}))
	}
	return Micros(c.first)
}
