package datasource

import "time"

// Capacity is how many requests a Window lets start.
type Capacity struct {
	// N is how many may start in any window from now on; 0: none.
	N int
	// Until is when N ends and Then holds; zero: never. It has passed when the monotonic or the wall clock says so, also for
	// a process that was suspended meanwhile.
	Until time.Time
	// Then is how many may start in any window from Until on.
	Then int
	// Hope is how many it may soon be, if that is more than N: a Wait fails at once, for its deadline, only when this were
	// too few, too.
	Hope int
}

// Resize changes how many requests may start, for limiters that are made from a Window. It reports how many have started
// in the window that ends now: as long as these are in a window, there may be more of them than N, and no others start.
// Negative numbers are 0. Nothing happens to a Window of Unlimited.
func (l *Window) Resize(c Capacity) (used int) {
	if l.per == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.next = c
	l.budget.Resize(now, max(0, c.N))
	used, _, _ = l.budget.Load(now)
	l.serve(now)
	return used
}

// Fail lets nothing start any more: each Wait, and those that wait now, fail with err.
func (l *Window) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed = err; l.per == 0 {
		return
	}
	for _, t := range l.budget.Drain() {
		t.Value.end(err)
	}
	l.wake(time.Now(), time.Time{})
}

// idle is when to look again where nothing may start.
const idle = time.Hour

// step takes the number that is due. mu is held.
func (l *Window) step(now time.Time) {
	until := l.next.Until
	if until.IsZero() || now.Before(until) && now.Round(0).Before(until.Round(0)) {
		return
	}
	l.next.Until = time.Time{}
	l.budget.Resize(now, max(0, l.next.Then))
}

// expect is how long a request would wait, with as many slots as there may be soon.
func (l *Window) expect(now time.Time, t Turn) time.Duration {
	_, n, _ := l.budget.Load(now)
	return l.budget.Expect(now, t.who, t.class.turns(), max(n, l.next.Hope))
}
