package budget

import (
	"sort"
	"time"
)

// reserve is how many slots all but prompt sends leave free. base is for as many sends as there
// will be if they go on as in the last fifth of a window, those apart that have their slots. n is
// more while few slots come free soon: so that a fifth of the limit is there for sends within a
// fifth of a window, beside those that come anyway, however unevenly others have started.
func (b *Budget[U, W]) reserve(now time.Time) (n, base int, until time.Time) {
	if b.alone() {
		return 0, 0, until
	}
	limit, soon := b.limit(), b.per/ahead
	first := sort.Search(b.sent.len(), func(i int) bool { return now.Sub(b.sent.at(i)) < soon })
	lately := b.sent.len() - first
	if lately > 0 {
		until = b.sent.at(first).Add(soon)
	}
	base = max(limit/20, min(11*lately/2-b.sent.len(), limit/2))
	freed := sort.Search(b.starts.len(), func(i int) bool { return now.Sub(b.starts.at(i).at) < b.per-soon })
	if n = min(limit/ahead+max(limit/33, lately)-freed, limit/2); n <= base {
		return base, base, until
	}
	if freed < b.starts.len() {
		until = sooner(until, b.starts.at(freed).at.Add(b.per-soon))
	}
	return n, base, until
}

// leaves is how many slots those of a level leave free beside the reserve.
func (b *Budget[U, W]) leaves(level int) int {
	switch {
	case b.alone():
		return 0
	case level == late:
		return b.limit() / 20
	case level == some:
		return b.limit() / 40
	}
	return 0
}

// pause is the time between requests of those who are late.
func (b *Budget[U, W]) pause() time.Duration { return b.per / time.Duration(max(1, b.limit())) }

// burst is how many paced requests may start at once after a pause.
func (b *Budget[U, W]) burst() int { return max(1, b.n/8) }

// Next lets the next request start, or says when to ask again; the zero time: not before
// something ends, or is asked for, or resized.
func (b *Budget[U, W]) Next(now time.Time) (t *Ticket[U, W], at time.Time, ok bool) {
	b.expire(now)
	switch {
	case b.waiting == 0 || b.n <= 0:
		return nil, at, false
	case now.Before(b.until):
		return b.ask(now)
	}
	down := b.silent()
	if down && now.Before(b.quiet) {
		return nil, b.quiet, false
	}
	if t, at = b.take(now); t == nil {
		return nil, at, false
	}
	if down {
		b.quiet = now.Add(b.per / time.Duration(max(1, b.n/10)))
	}
	return t, at, true
}

// take starts the next request, or says when to ask again.
func (b *Budget[U, W]) take(now time.Time) (t *Ticket[U, W], at time.Time) {
	if b.inRow >= most { // they leave nothing to the others otherwise
		if t, at = b.other(now, 0, 0); t != nil {
			return t, at
		}
	}
	if t, at = b.send(now); t != nil {
		return t, at
	}
	reserve, base, decays := b.reserve(now)
	t, when := b.other(now, reserve, base)
	if t != nil {
		return t, when
	}
	at = sooner(sooner(at, when), decays)
	if b.starts.len() > 0 { // somebody may not be late any more then
		at = sooner(at, b.starts.at(0).at.Add(b.per))
	}
	if b.part < 1 { // there is one more then
		at = sooner(at, now.Add(time.Duration(float64(time.Second)/growth/float64(b.n))))
	}
	return nil, at
}

// ask starts the most urgent request as a probe, if it is time for one.
func (b *Budget[U, W]) ask(now time.Time) (t *Ticket[U, W], at time.Time, ok bool) {
	_, at = b.Held(now)
	switch {
	case at.IsZero():
		return nil, b.until, false
	case at.After(now):
		return nil, sooner(at, b.until), false
	}
	if ok, at = b.slot(0); !ok {
		return nil, at, false
	}
	b.probe, b.asked = now.Add(probes), now
	for _, c := range [...]Class{Sends, Other, Live, Index, Marks, Backfill} {
		l := &b.lines[c]
		for level := fresh; level <= late; level++ {
			if l.waiting[level] > 0 {
				return b.start(now, c, level), at, true
			}
		}
	}
	return nil, at, false
}

// send starts a send of somebody who is not late, or says when one may start.
func (b *Budget[U, W]) send(now time.Time) (t *Ticket[U, W], at time.Time) {
	l := &b.lines[Sends]
	for level := fresh; level <= some; level++ {
		if l.waiting[level] == 0 {
			continue
		}
		ok, when := b.slot(b.leaves(level))
		if !ok {
			at = sooner(at, when)
			continue
		}
		b.sent.push(now)
		if b.inRow++; b.waiting == l.prompt() {
			b.inRow = 0 // nobody else waits
		}
		return b.start(now, Sends, level), at
	}
	return nil, at
}

// other starts a request of the class whose turn it is, or says when one may start.
func (b *Budget[U, W]) other(now time.Time, reserve, base int) (t *Ticket[U, W], at time.Time) {
	var ready [classes]bool
	some := false
	for c := range Class(classes) {
		b.looks++
		if b.lines[c].turns(c) == 0 {
			continue
		}
		can, when := b.ready(now, c, reserve)
		if ready[c], some = can, some || can; !can {
			at = sooner(at, when)
		}
	}
	if !some {
		return nil, at
	}
	c := b.choose(&ready)
	level := b.best(c)
	b.inRow = 0
	b.pass(now, c, level, base)
	return b.start(now, c, level), at
}

// best is the level of the class that comes first.
func (b *Budget[U, W]) best(c Class) int {
	l := &b.lines[c]
	switch {
	case c != Sends && l.waiting[fresh] > 0:
		return fresh
	case c != Sends && l.waiting[some] > 0:
		return some
	}
	return late
}

// slot reports whether there is a slot for somebody who leaves so many, or when; the zero time:
// that depends on what runs.
func (b *Budget[U, W]) slot(leaves int) (bool, time.Time) {
	over := b.used() - (b.limit() - leaves)
	switch {
	case over < 0:
		return true, time.Time{}
	case over < b.starts.len():
		return false, b.starts.at(over).at.Add(b.per)
	}
	return false, time.Time{}
}

// overdue reports whether a class is so far behind that it is let through to the slots that are
// left free for those who are not here.
func (b *Budget[U, W]) overdue(c Class) bool { return b.served-b.lines[c].served >= patience }

// ready reports whether the next request of a class may start, or when.
func (b *Budget[U, W]) ready(now time.Time, c Class, reserve int) (bool, time.Time) {
	level, overdue := b.best(c), b.overdue(c)
	if !overdue {
		reserve += b.leaves(level)
	}
	ok, at := b.slot(reserve)
	if !ok {
		return false, at
	}
	if level == late {
		at = b.spaced
	} else if c.paced() && !b.alone() {
		at = b.next
	}
	return overdue || !at.After(now), at
}

// choose is the class that is the furthest behind, and that whose turn it is of several.
func (b *Budget[U, W]) choose(ready *[classes]bool) Class {
	first := Class(classes)
	c := b.turn
	for range classes {
		if ready[c] && (int(first) == classes || b.lines[c].served < b.lines[first].served) {
			first = c
		}
		c = (c + 1) % Class(classes)
	}
	b.turn = (first + 1) % Class(classes)
	return first
}

// pass notes that a class has its turn.
func (b *Budget[U, W]) pass(now time.Time, c Class, level, reserve int) {
	l := &b.lines[c]
	b.served = max(b.served, l.served)
	l.served += round / weights[c]
	switch {
	case b.alone():
	case level == late:
		b.spaced = later(b.spaced, now).Add(b.pause())
	case c.paced():
		gap := b.per / time.Duration(max(1, b.limit()-reserve))
		b.next = later(b.next, now.Add(-gap*time.Duration(b.burst()))).Add(gap)
	}
}

// start takes the first request of the user whose turn it is.
func (b *Budget[U, W]) start(now time.Time, c Class, level int) *Ticket[U, W] {
	ring := &b.lines[c].rings[level]
	f := ring.Front().Value.(*flow[U])
	t := f.queue.Front().Value.(*Ticket[U, W])
	if f.queue.Len() > 1 {
		ring.MoveToBack(f.place) // the others first next time
	}
	b.Leave(t)
	f.had++
	b.arrange(f)
	if b.held {
		b.running++
	} else {
		b.starts.push(started[U]{now, f})
	}
	return t
}

// Knows reports whether a user has made a request of a class of late.
func (b *Budget[U, W]) Knows(user U, class Class) bool { return b.flows[key[U]{user, class}] != nil }

// Expect is how long one more request of a user would wait, if nobody else came, all those that
// wait stayed, and so many might start in a window. It is a guess that is rather too short.
func (b *Budget[U, W]) Expect(now time.Time, user U, class Class, n int) time.Duration {
	b.expire(now)
	f := b.flows[key[U]{user, class}]
	if f == nil {
		f = &flow[U]{key: key[U]{user, class}}
		f.level = b.levelOf(f)
	}
	before := f.queue.Len()
	held, probe := b.Held(now)
	if !probe.IsZero() { // the next one may find that it does not hold
		held = probe.Sub(now)
	}
	if b.alone() {
		return max(held, b.free(now, b.waiting, n))
	}
	isLate := f.level == late || f.had+before >= b.share(class)
	same := before
	if isLate {
		same += b.between(class, late, before, f)
	} else {
		same += b.between(class, fresh, before, f) + b.between(class, some, before, f)
	}
	ahead, spaced := same, same
	for d := range Class(classes) {
		l := &b.lines[d]
		turns := (same + 1) * weights[d] / weights[class]
		switch {
		case d == class && isLate:
			ahead += l.prompt()
		case d == class:
		case d == Sends && class != Sends || isLate && d != Sends:
			ahead += l.prompt()
		case class == Sends && !isLate:
		case d != Sends:
			ahead += min(l.prompt(), turns)
		}
		if isLate && d != class {
			taking := min(l.waiting[late], turns)
			ahead, spaced = ahead+taking, spaced+taking
		}
	}
	if !isLate {
		return max(held, b.free(now, ahead, n))
	}
	if f.level != late {
		spaced -= b.share(class) - f.had
	}
	d := b.free(now, ahead, n-n/10)
	return max(held, d, b.spaced.Add(time.Duration(spaced)*b.pause()).Sub(now))
}

// between is how many requests of others in a ring come before the next but so many of a flow.
func (b *Budget[U, W]) between(c Class, level, before int, f *flow[U]) int {
	l := &b.lines[c]
	others, flows := l.waiting[level], l.rings[level].Len()
	if f.level == level {
		others -= f.queue.Len()
		if f.place != nil {
			flows--
		}
	}
	return min(others, flows*(before+1))
}

// free is the time until one of n slots in a window is free for a request with ahead others
// before it.
func (b *Budget[U, W]) free(now time.Time, ahead, n int) time.Duration {
	if n <= 0 { // nobody knows
		return time.Duration(1+ahead) * b.per
	}
	// The slots to come, in order: those free now, one a window after each start, one a window
	// after those taken now, and so on from window to window.
	ahead -= n - b.used()
	if ahead < 0 {
		return 0
	}
	rounds, i := ahead/n, ahead%n
	if most := b.starts.len(); most > n { // n was larger: as many as it has shrunk by free no slot
		rounds = max(0, ahead-most+n) / n
		i = ahead - rounds*n
	}
	wait := time.Duration(1+rounds) * b.per
	if i < b.starts.len() {
		wait -= now.Sub(b.starts.at(i).at)
	}
	return wait
}
