package receive

import "github.com/fliplet/fliplet-chat-go/internal/feed"

// durable is the part of a [Reader] that a [Consumer] uses instead of Next and Ack:
// events are taken before others are done with, and acknowledged in any order.
type durable struct{ *Reader }

// pull takes the next event that was not taken yet.
func (d durable) pull() (feed.Event, bool) {
	d.l.r.mu.Lock()
	defer d.l.r.mu.Unlock()
	if d.l.stopped {
		return feed.Event{}, false
	}
	e, ok := d.l.feed.Pull(d.l.id)
	if ok {
		d.l.taken++
		d.l.busy = true
	}
	return e, ok
}

// finish acknowledges events of one conversation, also when the reader was stopped
// meanwhile.
func (d durable) finish(events ...feed.Event) { d.done(events, d.l.feed.Finish) }

// finishStored is finish for events that commitWith had.
func (d durable) finishStored(events ...feed.Event) { d.done(events, d.l.feed.FinishStored) }

func (d durable) done(events []feed.Event, finish func(feed.ID, feed.Event) bool) {
	d.l.r.mu.Lock()
	defer d.l.r.mu.Unlock()
	more := false
	for _, e := range events {
		more = finish(d.l.id, e) || more
	}
	d.l.taken -= len(events)
	d.l.busy = d.l.taken > 0
	d.l.acked += uint64(len(events))
	d.wake(more)
	d.l.r.announce()
}

// wake lets the loop go on if there is something to ask for. mu is held.
func (d durable) wake(more bool) {
	if more && !d.l.stopped && d.l.r.loop != nil {
		d.l.r.loop.wake()
	}
}

// commit is what is to be stored; see [feed.Feed.Commit].
func (d durable) commit(base bool) (feed.Commit, bool) {
	d.l.r.mu.Lock()
	defer d.l.r.mu.Unlock()
	return d.l.feed.Commit(d.l.id, base)
}

// commitWith is what is to be stored together with the effects of events; see
// [feed.Feed.CommitWith].
func (d durable) commitWith(events ...feed.Event) (feed.Commit, bool) {
	d.l.r.mu.Lock()
	defer d.l.r.mu.Unlock()
	return d.l.feed.CommitWith(d.l.id, events...)
}

// uncommit says that the last commit was not stored.
func (d durable) uncommit() {
	d.l.r.mu.Lock()
	defer d.l.r.mu.Unlock()
	d.l.feed.Uncommit(d.l.id)
}

// straggler is a conversation that holds up the position.
func (d durable) straggler() (int64, bool) {
	d.l.r.mu.Lock()
	defer d.l.r.mu.Unlock()
	return d.l.feed.Straggler(d.l.id)
}

// full reports whether nothing is read because of what is not done with.
func (d durable) full() bool {
	d.l.r.mu.Lock()
	defer d.l.r.mu.Unlock()
	return !d.l.stopped && d.l.feed.Full(d.l.id)
}

// apart reports whether a conversation is set aside, and how many are.
func (d durable) apart(conversation int64) (is bool, all int) {
	d.l.r.mu.Lock()
	defer d.l.r.mu.Unlock()
	return d.l.feed.Apart(d.l.id, conversation), d.l.feed.Aside(d.l.id)
}

// setAside sets a conversation aside. dropped is how many events that were taken come
// again.
func (d durable) setAside(conversation int64, held bool, dropped int) bool {
	d.l.r.mu.Lock()
	defer d.l.r.mu.Unlock()
	if !d.l.feed.SetAside(d.l.id, conversation, held) {
		return false
	}
	d.l.taken -= dropped
	d.l.busy = d.l.taken > 0
	d.wake(true)
	d.l.r.announce()
	return true
}
