package receive

import (
	"container/heap"
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
	// waiting is a heap: the first one is due first.
	waiting resting
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
	if heap.Push(&c.waiting, p); p.alarm.place == 1 {
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
	if heap.Remove(&c.waiting, place-1); place == 1 {
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
		list = append(list, heap.Pop(&c.waiting).(*loop)) //nolint:errcheck // nothing else is in it
	}
	c.wind()
	return list
}

// resting is a [heap.Interface].
type resting []*loop

func (w resting) Len() int           { return len(w) }
func (w resting) Less(i, j int) bool { return w[i].alarm.at < w[j].alarm.at }
func (w resting) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].alarm.place, w[j].alarm.place = i+1, j+1
}

func (w *resting) Push(x any) {
	p := x.(*loop) //nolint:errcheck // as above
	*w = append(*w, p)
	p.alarm.place = len(*w)
}

func (w *resting) Pop() any {
	n := len(*w) - 1
	p := (*w)[n]
	(*w)[n] = nil
	*w, p.alarm.place = (*w)[:n], 0
	return p
}
