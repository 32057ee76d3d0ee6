package world

import (
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// consumer is what a durable listener has besides: what it took and has not done with,
// and what it stored.
type consumer struct {
	lanes    [mostConversations]lane
	turn     int // whose turn it is
	position feed.Stored

	finished int // events, since it was opened
	bases    int // it stored, since then
	asides   int // since then
	undone   int // transactions, since then
	logs     int // bytes, since then
	commits  int // ever
}

// lane holds the events of one conversation in order.
type lane struct {
	events []taken
	passed int // how many later events of others are done with
}

type taken struct {
	feed.Event
	push
}

func (l *listener) reopen() {
	for c := range l.lanes {
		l.lanes[c].events, l.lanes[c].passed = l.lanes[c].events[:0], 0
		l.rested[c] = beginning
	}
	l.finished, l.bases, l.asides, l.undone, l.logs = 0, 0, 0, 0, 0
}

// pull takes everything that was read.
func (r *Runner) pull(l *listener) {
	for {
		e, ok := r.feed.Pull(l.id)
		if !ok {
			break
		}
		c := int(e.Conversation()) - 1
		if c < 0 || c >= len(r.srv.convs) {
			r.fail("content", "an event of conversation %d, which does not exist", c+1)
			return
		}
		l.lanes[c].events = append(l.lanes[c].events, taken{e, push{number: r.pushes, rested: l.rested}})
	}
	l.queued = l.queued[:0]
}

// consume lets a consumer handle up to n events, in order within a conversation.
func (r *Runner) consume(l *listener, n int) (handled int) {
	r.store(l)
	for handled < n && r.violation == nil {
		c := r.ready(l)
		if c < 0 {
			if !r.relieve(l) {
				break
			}
			continue
		}
		t := l.lanes[c].events[0]
		r.told(l, &t.Event, t.push)
		if r.Together && !r.story.Lazy {
			if l.finished%3 == 1 { // it is acknowledged without a call, and goes with the next transaction
				r.finish(l, c, r.feed.Finish)
				handled++
				continue
			}
			r.together(l, c)
		} else {
			r.finish(l, c, r.feed.Finish)
		}
		handled++
		if !r.story.Lazy {
			r.store(l)
		}
	}
	return handled
}

// ready is a conversation with an event to handle, -1 for none.
func (r *Runner) ready(l *listener) int {
	for range len(r.srv.convs) {
		l.turn = (l.turn + 1) % len(r.srv.convs)
		if len(l.lanes[l.turn].events) > 0 && !r.srv.convs[l.turn].stuck {
			if r.story.Parallel > 1 || l.oldest(l.turn, r.srv.convs) {
				return l.turn
			}
		}
	}
	return -1
}

// oldest reports whether no conversation that is not stuck has an older event.
func (l *listener) oldest(c int, convs []conversation) bool {
	for other := range convs {
		if o := l.lanes[other].events; len(o) > 0 && !convs[other].stuck && o[0].number < l.lanes[c].events[0].number {
			return false
		}
	}
	return true
}

// together stores that the first event of a conversation is done with, and then
// acknowledges it. One time in seven the first transaction fails.
func (r *Runner) together(l *listener, c int) {
	t := l.lanes[c].events[0]
	commit, ok := r.feed.CommitWith(l.id, t.Event)
	if ok && l.commits%7 == 3 {
		r.feed.Uncommit(l.id)
		l.undone++
		commit, ok = r.feed.CommitWith(l.id, t.Event)
	}
	if !ok {
		r.finish(l, c, r.feed.Finish)
		return
	}
	l.finished++ // the log may have it
	r.keep(l, commit)
	l.finished--
	r.finish(l, c, r.feed.FinishStored)
}

// finish acknowledges the first event of a conversation.
func (r *Runner) finish(l *listener, c int, finish func(feed.ID, feed.Event) bool) {
	ln := &l.lanes[c]
	t := ln.events[0]
	apart := r.feed.Apart(l.id, int64(c+1))
	ln.events = append(ln.events[:0], ln.events[1:]...)
	ln.passed = 0
	finish(l.id, t.Event)
	l.pending = r.feed.Pending(l.id)
	l.finished++
	for {
		conversation, ok := r.feed.Straggler(l.id)
		if !ok {
			break
		}
		if r.feed.Apart(l.id, conversation) {
			r.fail("straggler", "conversation %d of listener %d is set aside, and holds up its position", conversation, r.number(l))
			return
		}
		if !r.setAside(l, int(conversation)-1, true) {
			r.fail("straggler", "conversation %d holds up the position of listener %d, and cannot be set aside", conversation, r.number(l))
			return // it would be told for ever
		}
	}
	cfg := &r.story.Config
	for other := range l.lanes {
		o := &l.lanes[other]
		if len(o.events) == 0 || r.feed.Apart(l.id, int64(other+1)) {
			o.passed = 0
			continue
		}
		if !apart && t.number > o.events[0].number {
			o.passed++
		}
		if o.passed > cfg.Queue+cfg.Collect {
			r.fail("straggler", "the position of listener %d is held up by conversation %d while %d events are done with", r.number(l), other+1, o.passed)
		}
	}
}

// relieve sets a conversation aside that keeps others from being read. It reports
// whether it did.
func (r *Runner) relieve(l *listener) bool {
	if !r.feed.Full(l.id) {
		return false
	}
	worst := -1
	for c := range l.lanes {
		if n := len(l.lanes[c].events); n > 0 && !r.feed.Apart(l.id, int64(c+1)) && (worst < 0 || n > len(l.lanes[worst].events)) {
			worst = c
		}
	}
	if worst < 0 || !r.setAside(l, worst, true) {
		r.fail("starved", "listener %d reads nothing, and has nothing to set aside", r.number(l))
		return false
	}
	return true
}

func (r *Runner) setAside(l *listener, c int, held bool) bool {
	ln := &l.lanes[c]
	held = held && len(ln.events) > 0
	if !r.feed.SetAside(l.id, int64(c+1), held) {
		return false
	}
	if r.Trace != nil {
		r.note("  listener %d sets conversation %d aside, holding on to an event: %v", r.number(l), c+1, held)
	}
	l.asides++
	l.talks[c].polled, l.rested[c] = beginning, beginning // its position is an older one
	keep := 0
	if held {
		keep = 1
	}
	ln.events = ln.events[:keep]
	l.pending = r.feed.Pending(l.id)
	return true
}

// aside sets a conversation aside that needs it not.
func (r *Runner) aside(i, c int) {
	if i >= len(r.listeners) || !r.listeners[i].alive || !r.listeners[i].durable {
		return
	}
	r.setAside(r.listeners[i], c, (i+c)%2 == 0)
}

// store stores a consumer's position.
func (r *Runner) store(l *listener) {
	if c, ok := r.feed.Commit(l.id, false); ok {
		r.keep(l, c)
	}
	if l.position.Base != nil {
		l.undo = l.undo[:0]
	}
}

func (r *Runner) keep(l *listener, c feed.Commit) {
	l.stored = true
	l.commits++
	if c.Base == nil {
		l.position.Log = append(l.position.Log, c.Log)
		if l.logs += len(c.Log); l.logs > 64*l.finished {
			r.fail("position size", "%d bytes for %d events", l.logs, l.finished)
		}
		return
	}
	l.position = feed.Stored{Base: c.Base}
	l.bases++
	joins := 0
	for i := range r.srv.convs {
		joins += 2 * (1 + r.srv.convs[i].joins)
	}
	if most := 3 + 2*joins + 4*l.asides + l.undone + r.backlogs + 2*r.shifts + l.finished/100; l.bases > most {
		r.fail("position size", "%d whole positions for %d events and %d conversations set aside", l.bases, l.finished, l.asides)
	}
}

// crash ends the process at a bad moment, and starts it again.
func (r *Runner) crash(moment int) {
	for _, l := range r.listeners {
		if !l.durable || !l.alive || moment == 0 {
			continue
		}
		r.store(l)
		var running []int // several conversations at the same time
		for range r.story.Parallel {
			c := r.ready(l)
			if c < 0 || len(running) > 0 && c == running[0] {
				break
			}
			t := &l.lanes[c].events[0]
			r.told(l, &t.Event, t.push)
			running = append(running, c)
		}
		if moment > 1 {
			for i := len(running) - 1; i >= 0; i-- {
				r.finish(l, running[i], r.feed.Finish)
			}
		}
		if moment > 2 {
			r.feed.Commit(l.id, false) // which is not stored any more
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

// quiet polls while nothing happens: what was set aside comes back, and then nothing is
// stored any more.
func (r *Runner) quiet() {
	const polls, settled = 10, 7
	for i := range polls {
		r.pass(r.story.Config.Overlap + time.Second)
		r.feed.Poke(r.now())
		r.run(1 << 30)
		for _, l := range r.listeners {
			if !l.alive || !l.durable || r.violation != nil {
				continue
			}
			was := l.commits
			handled := r.consume(l, 1<<30)
			if i < settled {
				continue
			}
			if handled == 0 && l.commits > was && !r.srv.traits.Shifts {
				r.fail("idle", "listener %d stores something although nothing has happened", r.number(l))
			}
			for c := range r.srv.convs {
				if r.srv.convs[c].member && !r.srv.traits.Shifts && r.feed.Apart(l.id, int64(c+1)) {
					r.fail("aside", "conversation %d of listener %d is still set aside", c+1, r.number(l))
				}
			}
		}
	}
}
