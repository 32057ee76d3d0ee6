package flipletd

import (
	"sync"
	"time"
)

// clock tells the server's time: the system clock (which testing/synctest
// replaces), cut to whole milliseconds, unless a lever froze or skewed it. Two
// writes within a millisecond get the same time, as on the real service.
type clock struct {
	mu     sync.Mutex
	frozen time.Time // zero: running
	skew   time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.frozen.IsZero() {
		return c.frozen
	}
	return milliseconds(time.Now().Add(c.skew))
}

// freeze stops the clock at t; the zero time stops it where it stands.
func (c *clock) freeze(t time.Time) {
	if t.IsZero() {
		t = c.now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = milliseconds(t)
}

func (c *clock) thaw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = time.Time{}
}

// shift moves the clock; a frozen one stays frozen at the new time.
func (c *clock) shift(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.frozen.IsZero() {
		c.frozen = milliseconds(c.frozen.Add(d))
		return
	}
	c.skew += d
}

func milliseconds(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// appendTime writes a timestamp in quotes: ISO 8601, UTC, three decimals, Z.
func appendTime(b []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	if year < 0 || year > 9999 {
		return append(b, "null"...)
	}
	ms := t.Nanosecond() / int(time.Millisecond)
	b = append(b, '"')
	b = append2(b, year/100)
	b = append2(b, year%100)
	b = append2(append(b, '-'), int(month))
	b = append2(append(b, '-'), day)
	b = append2(append(b, 'T'), hour)
	b = append2(append(b, ':'), minute)
	b = append2(append(b, ':'), second)
	b = append(b, '.', byte('0'+ms/100))
	b = append2(b, ms%100)
	return append(b, 'Z', '"')
}

func append2(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// timeText is appendTime without the quotes.
func timeText(t time.Time) string {
	b := appendTime(make([]byte, 0, 32), t)
	return string(b[1 : len(b)-1])
}
