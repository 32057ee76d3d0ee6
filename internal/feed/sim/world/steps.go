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
		if i := x.A; i < len(r.listeners) && r.story.Blocked>>i&1 == 0 {
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
		c.member, c.changed = x.Op == Enter, s.now
		for _, l := range r.listeners {
			l.talks[x.A%len(s.convs)].polled = l.polled
		}
		if x.Op == Exit {
			return
		}
		c.joins++
		c.listed = 0
		if x.B != 0 {
			r.feed.Joined(r.now())
		}
	case Found:
		if len(s.convs) < mostConversations {
			s.convs = append(s.convs, conversation{created: s.stamp(), member: true, changed: s.now, joins: 1})
		}
	case Crash:
		r.crash(x.A)
	case Check:
		r.check(^r.story.Blocked)
	}
}

// mutate lets the server's users do something.
func (r *Runner) mutate(x *Step) {
	s := &r.srv
	stamp := s.stamp()
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
				s.insert(x.A%len(s.convs), created, updated, stamp+late, s.origins)
				continue
			}
			if x.C == 0 {
				s.insert(x.A%len(s.convs), stamp, stamp, stamp+late, s.origins)
			} else {
				s.insert(x.A%len(s.convs), stamp-late, stamp-late, stamp, s.origins)
			}
		}
	case Resend:
		if i, ok := back(0); ok && len(s.rows) < mostRows {
			origin := s.rows[i].origin
			if s.traits.Poison { // the origin of a row that cannot be read is not known
				s.origins++
				origin = s.origins
			}
			s.insert(s.rows[i].conv, stamp, stamp, stamp, origin)
		}
	case Import:
		for range x.B {
			if len(s.rows) < mostRows {
				s.origins++
				s.insert(x.A%len(s.convs), stamp-late/ms*ms, stamp, stamp, s.origins)
			}
		}
	case Edit:
		for n := range x.B {
			if i, ok := back(x.B - 1 - n); ok {
				if s.traits.Future && s.traits.Lag == 0 && len(s.versions)%5 == 0 {
					s.write(i, stamp+aeon, stamp+late, false)
				} else {
					s.write(i, stamp, stamp+late, false)
				}
			}
		}
	case Remove:
		if i, ok := back(0); ok {
			s.write(i, stamp, stamp+late, true)
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
	l.alive, l.pending, l.rested, l.polled, l.opened = true, 0, beginning, beginning, r.srv.now
	l.queued = l.queued[:0]
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
	id, err := r.feed.SubscribeDurable(r.now(), l.start, l.cursor)
	if err != nil {
		r.fail("cursor", "a stored cursor is refused: %v", err)
	}
	l.id = id
}

// drain lets a listener take up to n events and returns how many it took.
func (r *Runner) drain(l *listener, n int) (taken int) {
	if !l.alive {
		return 0
	}
	if l.durable {
		r.store(l, false)
	}
	for ; taken < n && r.violation == nil; taken++ {
		e, ok := r.feed.Take(l.id)
		if !ok {
			break
		}
		r.told(l, &e)
		r.ack(l)
		if l.durable && !r.story.Lazy {
			r.store(l, false)
		}
	}
	return taken
}

func (r *Runner) ack(l *listener) {
	r.feed.Ack(l.id)
	l.pending--
}

// store keeps a durable listener's position, base first. It may be interrupted
// between the halves.
func (r *Runner) store(l *listener, interrupted bool) {
	c, ok := r.feed.Cursor(l.id)
	if !ok {
		return
	}
	fresh := !l.stored || c.Generation != l.cursor.Generation
	if fresh {
		l.stored, l.cursor.Generation, l.cursor.Base = true, c.Generation, c.Base
	}
	if interrupted && !fresh {
		return
	}
	if !interrupted {
		l.cursor.Acked = c.Acked
	}
	l.undo = l.undo[:0]
}

// crash ends the process at a bad moment, and starts it again.
func (r *Runner) crash(moment int) {
	for _, l := range r.listeners {
		if !l.durable || !l.alive || moment == 0 {
			continue
		}
		r.store(l, false)
		e, ok := r.feed.Take(l.id)
		if !ok {
			continue
		}
		r.told(l, &e)
		if moment > 1 {
			r.ack(l)
		}
		if moment > 2 {
			r.store(l, true)
		}
	}
	r.start()
	for _, l := range r.listeners {
		if !l.alive {
			continue
		}
		l.alive = false
		if l.durable {
			l.rollback()
			for i := range l.talks {
				l.talks[i].polled = beginning // an idle listener does not store it
			}
			r.open(l)
		}
	}
}

const beginning = feed.Time(-1 << 63)
