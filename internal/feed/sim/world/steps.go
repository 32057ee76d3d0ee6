package world

import (
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// limits of a history, so that a check stays cheap.
const (
	mostRows          = 64
	mostConversations = 5
	mostListeners     = 5
)

// do performs one step.
func (r *Runner) do(x *Step) {
	if r.Trace != nil {
		r.note("%v", x)
	}
	s := &r.srv
	switch x.Op {
	case Send, Resend, Import, Edit, Remove:
		r.mutate(x)
	case Pass:
		r.pass(x.D)
	case Run:
		r.run(x.A)
	case Fetch:
		r.fetch()
	case Refuse:
		r.refuse(x.A, x.D)
	case Lie:
		r.lie()
	case Repeat:
		r.answer(2)
	case Wait:
		for range x.A {
			r.run(1 << 30)
			if r.violation != nil || r.alive() == 0 {
				return
			}
			if until, request := r.next(); !request {
				r.pass(until)
			}
		}
		r.run(1 << 30)
	case Drain:
		if i := x.A; i < len(r.listeners) && !r.park(r.listeners[i]) && r.story.Blocked>>i&1 == 0 {
			r.drain(r.listeners[i], x.B)
		}
	case Subscribe:
		r.subscribe(feed.Start(x.A), x.B != 0)
	case Leave:
		if x.A < len(r.listeners) && r.listeners[x.A].alive {
			l := r.listeners[x.A]
			r.feed.Unsubscribe(l.id)
			l.alive, r.left = false, true
		}
	case Poke:
		for range x.A {
			r.poke(r.feed.Poke(r.now()))
		}
	case Reset:
		for _, l := range r.listeners {
			l.reset = r.pushes
		}
		r.poke(r.feed.Reset(r.now()))
	case Joined:
		r.feed.Joined(r.now())
	case Enter, Exit:
		c := &s.convs[x.A%len(s.convs)]
		if c.member == (x.Op == Enter) {
			return
		}
		c.member, c.changed, c.stamped = x.Op == Enter, s.now, s.clock()
		for _, l := range r.listeners {
			l.talks[x.A%len(s.convs)].polled = l.polled
			if l.durable && l.alive && r.feed.Apart(l.id, int64(x.A%len(s.convs)+1)) {
				l.talks[x.A%len(s.convs)].polled = beginning
			}
		}
		if x.Op == Exit {
			return
		}
		c.joins++
		c.listed, c.own, c.hidden, c.entered = 0, x.B == 2, false, r.now()
		if x.B != 0 {
			r.feed.Joined(r.now())
		}
	case Found:
		if len(s.convs) < mostConversations {
			s.convs = append(s.convs, conversation{created: s.stamp(), member: true, changed: s.now, stamped: s.clock(), joins: 1})
		}
	case Shift:
		s.latest = max(s.latest, s.clock())
		s.shift += micros(x.D)
		s.noticed = false
		r.shifts++
	case Crash:
		r.crash(x.A)
	case Stick:
		s.convs[x.A%len(s.convs)].stuck = true
	case Heal:
		s.convs[x.A%len(s.convs)].stuck = false
	case Aside:
		r.aside(x.A, x.B%len(s.convs))
	case Check:
		r.check(^r.story.Blocked)
	}
}

// mutate lets the server's users do something.
func (r *Runner) mutate(x *Step) {
	s := &r.srv
	stamp, now := s.stamp(), s.stamp()-s.shift
	late := micros(x.D)
	back := func(i int) (int, bool) {
		i = len(s.rows) - 1 - (x.A + i)
		return i, i >= 0 && !s.versions[s.rows[i].head].deleted
	}
	switch x.Op {
	case Send:
		for range x.B {
			if len(s.rows) >= mostRows {
				return
			}
			s.origins++
			if s.traits.Future && s.origins%3 == 0 {
				// Created, changed, or both, many years from now.
				ahead := aeon + feed.Time(s.origins%4)*ms
				created, updated := stamp+ahead, stamp+ahead
				switch s.origins / 3 % 4 {
				case 1:
					created = stamp
				case 2:
					updated = stamp
				}
				s.insert(x.A%len(s.convs), created, updated, now+late, s.origins)
				continue
			}
			if x.C == 0 {
				s.insert(x.A%len(s.convs), stamp, stamp, now+late, s.origins)
			} else {
				s.insert(x.A%len(s.convs), stamp-late, stamp-late, now, s.origins)
			}
		}
	case Resend:
		if i, ok := back(0); ok && len(s.rows) < mostRows {
			origin := s.rows[i].origin
			if s.traits.Poison { // the origin of a row that cannot be read is not known
				s.origins++
				origin = s.origins
			}
			s.insert(s.rows[i].conv, stamp, stamp, now, origin)
		}
	case Import:
		for range x.B {
			if len(s.rows) < mostRows {
				s.origins++
				s.insert(x.A%len(s.convs), stamp-late/ms*ms, stamp, now, s.origins)
			}
		}
	case Edit:
		for n := range x.B {
			if i, ok := back(x.B - 1 - n); ok {
				if s.traits.Future && s.traits.Lag == 0 && len(s.versions)%5 == 0 {
					s.write(i, stamp+aeon, now+late, false)
				} else {
					s.write(i, stamp, now+late, false)
				}
			}
		}
	case Remove:
		if i, ok := back(0); ok {
			s.write(i, stamp, now+late, true)
		}
	}
}

func (r *Runner) subscribe(start feed.Start, durable bool) {
	if len(r.listeners) >= mostListeners {
		return
	}
	l := r.listener()
	l.start, l.durable = start, durable
	r.listeners = append(r.listeners, l)
	r.open(l)
}

// open subscribes a listener, a durable one at its stored position.
func (r *Runner) open(l *listener) {
	l.alive, l.pending, l.polled, l.opened = true, 0, beginning, r.srv.now
	l.queued = l.queued[:0]
	l.reopen()
	if !l.stored {
		l.forget()
		l.since, l.polled, l.reset = r.srv.now, beginning, r.pushes
		l.limit = r.story.Config.PageSize
		switch l.start {
		case feed.FromBeginning:
			l.loaded = r.srv.now
		case feed.FromNow:
			l.limit = 1
		}
	}
	if !l.durable {
		l.id = r.feed.Subscribe(r.now(), l.start)
		return
	}
	id, err := r.feed.SubscribeDurable(r.now(), l.start, l.position)
	if err != nil {
		r.fail("cursor", "a stored cursor is refused: %v", err)
	}
	l.id = id
}

// park parks a listener now and then, in place of letting it take something. No story
// changes for it.
func (r *Runner) park(l *listener) bool {
	if !l.alive || l.durable || (r.story.Seed+uint64(r.step))%3 != 0 || !r.feed.Park(l.id, func(payload any) any { return payload }) { //nolint:gosec // any number does
		return false
	}
	l.queued[0].events, l.queued = 1, l.queued[:1]
	l.pending, l.parked, r.left = 1, true, true
	return true
}

// drain lets a listener take up to n events and returns how many it took.
func (r *Runner) drain(l *listener, n int) (taken int) {
	if !l.alive {
		return 0
	}
	if l.durable {
		return r.consume(l, n)
	}
	for ; taken < n && r.violation == nil; taken++ {
		e, ok := r.feed.Take(l.id)
		if !ok {
			break
		}
		p := &l.queued[0]
		from := *p
		if p.events--; p.events == 0 {
			l.queued = append(l.queued[:0], l.queued[1:]...)
		}
		r.told(l, &e, from)
		r.feed.Ack(l.id)
		l.pending--
		l.parked = false
	}
	return taken
}

const beginning = feed.Time(-1 << 63)
