package receive

import (
	"sync"
	"time"
)

// alarms wake the loops that rest. All loops of one key, which is their client, share a timer:
// one of their own took 150 bytes of every chat, and a login makes and drops so many pieces of
// its size that the room between those that stay was three times that. Keys are apart since
// those of two bubbles of testing/synctest have different times.
var alarms = struct {
	mu     sync.Mutex // it may be taken while that of a Receiver is held, not the other way round
	clocks map[any]*clock
}{clocks: map[any]*clock{}}

// clock wakes the loops of one key. alarms.mu guards it.
type clock struct {
	key   any
	loops int // how many there are
	base  time.Time
	timer *time.Timer // nil before somebody waits
	// waiting is a heap: none is due before its parent, which is at half its place. So the
	// first one is due first.
	waiting []*loop
}

// alarm is what a loop has of its clock.
type alarm struct {
	clock *clock
	at    time.Duration // since the base of the clock
	place int           // in waiting, from 1 on; 0: it does not wait
}

// joinClock gives a new loop the clock of a key; nil: one of its own.
func (p *loop) joinClock(key any) {
	alarms.mu.Lock()
	defer alarms.mu.Unlock()
	if key == nil {
		key = p
	}
	c := alarms.clocks[key]
	if c == nil {
		c = &clock{key: key, base: time.Now()}
		alarms.clocks[key] = c
	}
	c.loops++
	p.alarm.clock = c
}

// leaveClock is called when the loop is over.
func (p *loop) leaveClock() {
	alarms.mu.Lock()
	defer alarms.mu.Unlock()
	c := p.alarm.clock
	if c.loops--; c.loops == 0 {
		delete(alarms.clocks, c.key)
	}
}

// setAlarm has p.due called at a time, in a goroutine. mu of the Receiver is held.
func (p *loop) setAlarm(at time.Time) {
	alarms.mu.Lock()
	defer alarms.mu.Unlock()
	c := p.alarm.clock
	p.alarm.at = at.Sub(c.base)
	c.waiting = append(c.waiting, p)
	c.rise(len(c.waiting), p)
	if p.alarm.place == 1 {
		c.wind()
	}
}

// stopAlarm reports whether p.due will not be called any more.
func (p *loop) stopAlarm() bool {
	alarms.mu.Lock()
	defer alarms.mu.Unlock()
	c, place := p.alarm.clock, p.alarm.place
	if place == 0 {
		return false
	}
	if c.remove(p); place == 1 {
		c.wind()
	}
	return true
}

// wind sets the timer to the first that waits.
func (c *clock) wind() {
	if len(c.waiting) == 0 {
		c.timer.Stop()
		return
	}
	wait := c.waiting[0].alarm.at - time.Since(c.base)
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.ring)
	} else {
		c.timer.Reset(wait)
	}
}

// ring wakes those that are due. It is what the timer calls, in a goroutine of its own, which
// the last of them gets.
func (c *clock) ring() {
	var last *loop
	for _, p := range c.due() {
		if last != nil {
			go last.due()
		}
		last = p
	}
	if last != nil {
		last.due()
	}
}

// due takes out those that are due.
func (c *clock) due() (list []*loop) {
	alarms.mu.Lock()
	defer alarms.mu.Unlock()
	for now := time.Since(c.base); len(c.waiting) > 0 && c.waiting[0].alarm.at <= now; {
		p := c.waiting[0]
		c.remove(p)
		list = append(list, p)
	}
	c.wind()
	return list
}

// remove takes one out.
func (c *clock) remove(p *loop) {
	i, n := p.alarm.place, len(c.waiting)
	last := c.waiting[n-1]
	c.waiting[n-1] = nil
	c.waiting = c.waiting[:n-1]
	p.alarm.place = 0
	if p == last {
		return
	}
	c.sink(i, last)
	c.rise(last.alarm.place, last)
}

// rise puts p at a place that is free, or further up.
func (c *clock) rise(i int, p *loop) {
	for i > 1 && p.alarm.at < c.waiting[i/2-1].alarm.at {
		c.put(i, c.waiting[i/2-1])
		i /= 2
	}
	c.put(i, p)
}

// sink puts p at a place that is free, or further down.
func (c *clock) sink(i int, p *loop) {
	for {
		child := 2 * i
		if child < len(c.waiting) && c.waiting[child].alarm.at < c.waiting[child-1].alarm.at {
			child++
		}
		if child > len(c.waiting) || p.alarm.at <= c.waiting[child-1].alarm.at {
			break
		}
		c.put(i, c.waiting[child-1])
		i = child
	}
	c.put(i, p)
}

func (c *clock) put(i int, p *loop) { c.waiting[i-1], p.alarm.place = p, i }
