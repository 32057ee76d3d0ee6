package datasource

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/hooks"
)

// View returns a client that shares everything with c, its connections and Limiter too, but takes its own turns at the
// Limiter: see there. It costs about a hundred bytes. Package chat makes one for each Chat.
//
// Its requests are told to hooks, if there are any: see hooks.RequestHook and hooks.WaitHook. Those of c are not told.
func (c *Client) View(told ...hooks.Hook) *Client {
	view := *c
	view.caller = &caller{view: true}
	view.watch = newWatch(told)
	return &view
}

type unhurried struct{}

// Unhurried returns a context for requests that nobody waits for, such as an import, an export or an archive: at the
// Limiter they come after those of others, and after the client's own that are not unhurried.
func Unhurried(ctx context.Context) context.Context {
	return context.WithValue(ctx, unhurried{}, true)
}

// turnOf is the turn of a call.
func (c *Client) turnOf(ctx context.Context, cl *call) Turn {
	t := Turn{who: c.caller}
	switch {
	case ctx.Value(unhurried{}) != nil:
		t.class = ClassBackground
	case !c.caller.view:
	case !cl.read:
		t.class = ClassSend
	case ctx.Value(askingAgain{}) != nil:
		t.class = ClassLive
	}
	return t
}

// flow is that of a turn. From time to time it forgets those that make no requests any more. mu is held, here and below.
func (l *Window) flow(now time.Time, t Turn) *flow {
	f := l.flows[t]
	if f == nil {
		if l.flows == nil {
			l.flows = map[Turn]*flow{}
		}
		f = &flow{class: t.class}
		l.flows[t] = f
		l.crowded = l.crowded || len(l.flows) > 1 || t.class == ClassBackground || t.who != nil && t.who.view
	}
	f.used = now
	if now.Sub(l.cleared) >= keepFlow {
		l.cleared = now
		maps.DeleteFunc(l.flows, func(_ Turn, f *flow) bool {
			return now.Sub(f.used) >= keepFlow && f.had == 0 && len(f.queue) == 0
		})
		l.crowded = len(l.flows) > 1 || t.class == ClassBackground || t.who != nil && t.who.view
	}
	return f
}

// alone reports whether there is nobody to take turns with: a plain Client that has the Limiter for itself.
func (l *Window) alone() bool { return !l.crowded }

// late reports whether a flow comes after others: it is unhurried, or has had its share.
func (l *Window) late(f *flow) bool {
	return !l.alone() && (f.class == ClassBackground || f.had >= l.share())
}

// share is how many requests of a window each may have in a hurry.
func (l *Window) share() int { return max(1, l.n/8) }

// reserve is how many slots a flow leaves free: none if it had few, so that there is one for whoever comes now and then.
func (l *Window) reserve(f *flow) int {
	switch {
	case l.alone() || f.had == 0 && f.class != ClassBackground:
		return 0
	case l.late(f):
		return l.n / 20
	case f.had >= l.n/40:
		return l.n / 40
	}
	return 0
}

// pause is the time between requests of those that are late.
func (l *Window) pause() time.Duration { return l.per / time.Duration(max(1, l.n)) }

// ready reports whether the next request of a flow may start, or when at the earliest.
func (l *Window) ready(f *flow, now time.Time) (bool, time.Time) {
	l.expire(now)
	at := now
	if l.n <= 0 {
		return false, now.Add(idle)
	}
	if over := len(l.starts) - (l.n - l.reserve(f)); over >= 0 {
		at = l.starts[over].at.Add(l.per)
	}
	if l.late(f) && l.spaced.After(at) {
		at = l.spaced
	}
	return !at.After(now), at
}

// let starts a request.
func (l *Window) let(f *flow, now time.Time) {
	if l.late(f) {
		l.passed = 0
		if l.spaced.Before(now) {
			l.spaced = now
		}
		l.spaced = l.spaced.Add(l.pause())
	}
	f.had++
	l.starts = append(l.starts, start{now, f})
}

// expire forgets the starts that have left the window.
func (l *Window) expire(now time.Time) {
	l.step(now)
	gone := 0
	for gone < len(l.starts) && now.Sub(l.starts[gone].at) >= l.per {
		l.starts[gone].of.had--
		gone++
	}
	l.starts = slices.Delete(l.starts, 0, gone)
}

func (l *Window) join(f *flow, w *waiter) {
	if len(f.queue) == 0 {
		l.ring = append(l.ring, f)
	}
	f.queue = append(f.queue, w)
}

// leave takes a waiter out. One that is not there has left already.
func (l *Window) leave(f *flow, w *waiter) {
	if f.queue = slices.DeleteFunc(f.queue, func(o *waiter) bool { return o == w }); len(f.queue) == 0 {
		l.ring = slices.DeleteFunc(l.ring, func(o *flow) bool { return o == f })
	}
}

// serve lets through whoever may start now, and sets the timer for the others.
func (l *Window) serve(now time.Time) {
	for {
		f, at := l.choose(now)
		if f == nil {
			l.wake(now, at)
			return
		}
		w := f.queue[0]
		f.queue = f.queue[1:]
		l.ring = slices.DeleteFunc(l.ring, func(o *flow) bool { return o == f })
		if len(f.queue) > 0 { // the others first next time
			l.ring = append(l.ring, f)
		}
		if l.let(f, now); !l.late(f) && slices.ContainsFunc(l.ring, l.late) {
			l.passed++
		}
		close(w.granted)
	}
}

// choose returns the flow whose turn it is now, or when somebody's may be.
func (l *Window) choose(now time.Time) (*flow, time.Time) {
	l.expire(now)
	var soonest time.Time
	var first, second *flow
	for _, f := range l.ring {
		ok, at := l.ready(f, now)
		late := l.late(f)
		switch {
		case late && l.overdue():
			return f, now
		case ok && !late && first == nil:
			first = f
		case ok && late && second == nil:
			second = f
		case soonest.IsZero() || at.Before(soonest):
			soonest = at
		}
	}
	switch {
	case first != nil:
		return first, now
	case second != nil:
		return second, now
	}
	if len(l.starts) > 0 { // somebody may not be late any more then
		if at := l.starts[0].at.Add(l.per); at.Before(soonest) {
			soonest = at
		}
	}
	if at := l.next.Until; !at.IsZero() && at.Before(soonest) {
		soonest = at
	}
	return nil, soonest
}

// overdue reports whether one of the late is let through before all others. The last slots of a window stay for those who
// have had few, unless these alone want more than there is.
func (l *Window) overdue() bool {
	return l.passed >= maxPassed && len(l.starts) < l.n-l.n/40 || l.passed >= 4*maxPassed && len(l.starts) < l.n
}

// wake sets the timer, or ends it when nobody waits.
func (l *Window) wake(now, at time.Time) {
	switch {
	case len(l.ring) == 0:
		if l.timer != nil {
			l.timer.Stop()
			l.timer = nil
		}
	case l.timer != nil:
		l.timer.Reset(at.Sub(now))
	default:
		l.timer = time.AfterFunc(at.Sub(now), func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.serve(time.Now())
		})
	}
}

// expect is how long one more request of a flow would wait, if nobody else came and all those that wait stayed.
func (l *Window) expect(f *flow, now time.Time) time.Duration {
	l.expire(now)
	before := len(f.queue)
	ahead, spaced := before, 0
	late := l.late(f) || !l.alone() && f.had+before >= l.share()
	for _, g := range l.ring {
		switch taking := min(len(g.queue), before+1); {
		case g == f:
		case late && l.late(g):
			ahead += taking
			spaced += taking
		case late:
			ahead += len(g.queue)
		case !l.late(g):
			ahead += taking
		}
	}
	if !late {
		return l.free(now, ahead, l.n)
	}
	d := l.free(now, ahead, l.n-l.n/20)
	if spaced += before; !l.late(f) {
		spaced -= l.share() - f.had
	}
	if at := l.spaced.Add(time.Duration(spaced) * l.pause()); at.Sub(now) > d {
		d = at.Sub(now)
	}
	return d
}

// free is the time until one of n slots in a window is free for a request with ahead others before it.
func (l *Window) free(now time.Time, ahead, n int) time.Duration {
	if n <= 0 { // nobody knows
		return time.Duration(1+ahead) * l.per
	}
	// The slots to come, in order: those free now, one a window after each start, one a window after those taken now,
	// and so on from window to window.
	ahead -= n - len(l.starts)
	if ahead < 0 {
		return 0
	}
	rounds, i := ahead/n, ahead%n
	if most := len(l.starts); most > n { // n was larger: as many as it has shrunk by free no slot
		rounds = max(0, ahead-most+n) / n
		i = ahead - rounds*n
	}
	wait := time.Duration(1+rounds) * l.per
	if i < len(l.starts) {
		wait -= now.Sub(l.starts[i].at)
	}
	return wait
}
