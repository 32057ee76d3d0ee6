package chat

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// poller drives the receive engine with a real clock and real HTTP: one goroutine
// that asks, as long as there are streams, and one for each listener while it has
// something to deliver.
type poller struct {
	chat *Chat
	// shared: more than one listener has been there, so rows are not theirs alone.
	shared atomic.Bool

	mu        sync.Mutex
	feed      *feed.Feed
	listeners map[feed.ID]*listener
	run       *pollRun
	// What is running, stopped or not: Close waits for it.
	loops    map[*pollRun]struct{}
	active   map[*listener]struct{}
	changed  chan struct{} // closed and replaced when anything changes
	waiters  int           // who wait for that
	lastErr  error         // of the poll under way
	failures uint64
}

// errNoStream: the last stream has ended.
var errNoStream = errors.New("no stream is left")

// pollRun is one life of the polling goroutine.
type pollRun struct {
	session *session
	ctx     context.Context
	cancel  context.CancelCauseFunc
	wake    chan struct{}
	done    chan struct{} // closed when the goroutine has ended
}

func (p *poller) init(c *Chat) {
	p.chat = c
	p.listeners = map[feed.ID]*listener{}
	p.loops = map[*pollRun]struct{}{}
	p.active = map[*listener]struct{}{}
	p.changed = make(chan struct{})
}

func (p *poller) newFeed() *feed.Feed {
	o := p.chat.opts
	return feed.New(feed.Config{PageSize: batchSize, Live: o.LivePollInterval, Base: o.PollInterval, Max: o.MaxPollInterval})
}

// ctx is the context of deliveries: it ends with the polling.
func (p *poller) ctx() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return p.chat.life
	}
	return p.run.ctx
}

// subscribe adds a listener that is called, and starts polling if it is the first.
func (p *poller) subscribe(ctx context.Context, s *session, fn func(*Message), o callOptions) (*Subscription, error) {
	l := newListener(s, o)
	l.fn = fn
	if err := p.listen(ctx, l, o); err != nil {
		return nil, err
	}
	return l.sub, nil
}

// listen makes a listener begin where its options say, with the cached messages
// first if they ask for them.
func (p *poller) listen(ctx context.Context, l *listener, o callOptions) error {
	var seen seed
	if o.offline {
		l.first, seen = p.chat.cachedMessages(ctx, l.session)
	}
	return p.attach(ctx, l, func(f *feed.Feed) (feed.ID, error) {
		id := f.Subscribe(time.Now(), o.from.start())
		seen.plant(f, id)
		return id, nil
	})
}

func newListener(s *session, o callOptions) *listener {
	return &listener{session: s, onGap: o.onGap, sub: &Subscription{done: make(chan struct{})}}
}

// attach makes a listener one of the engine's. Its life ends with ctx.
func (p *poller) attach(ctx context.Context, l *listener, join func(*feed.Feed) (feed.ID, error)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.chat.life.Err() != nil {
		return errClosing
	}
	if p.run == nil {
		p.start(l.session)
	}
	if p.run.session != l.session {
		return ErrNotLoggedIn // logged out meanwhile
	}
	id, err := join(p.feed)
	if err != nil {
		return err
	}
	l.id, l.feed = id, p.feed
	l.sub.stop = func(cause error) { p.finish(l, cause) }
	p.listeners[id] = l
	if len(p.listeners) > 1 {
		p.shared.Store(true)
	}
	if l.pull() {
		l.running, l.runner = true, goroutineID()
		p.active[l] = struct{}{}
	}
	l.detach = context.AfterFunc(ctx, func() { p.finish(l, context.Cause(ctx)) })
	p.kick(l)
	p.feed.Poke(time.Now())
	p.run.nudge()
	return nil
}

// start begins a polling goroutine. mu is held.
func (p *poller) start(s *session) {
	r := &pollRun{session: s, wake: make(chan struct{}, 1), done: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancelCause(context.Background()) // stop ends it
	p.run, p.feed = r, p.newFeed()
	p.loops[r] = struct{}{}
	go func() {
		defer close(r.done)
		p.loop(r)
		r.session.cache.Save()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.loops, r)
		p.announce()
	}()
}

func (r *pollRun) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// finish ends one stream. The last one ends the polling.
func (p *poller) finish(l *listener, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(l, cause)
}

// drop is finish with mu held.
func (p *poller) drop(l *listener, cause error) {
	p.remove(l, cause)
	if len(p.listeners) == 0 && p.run != nil {
		p.run.cancel(errNoStream)
		p.run = nil
		p.announce()
	}
}

// remove takes a listener out. Its Done is closed here, or by the delivery that
// is still running. mu is held.
func (p *poller) remove(l *listener, cause error) {
	if l.stopped {
		return
	}
	l.stopped = true
	l.detach()
	l.sub.mu.Lock()
	l.sub.err = cause
	l.sub.mu.Unlock()
	delete(p.listeners, l.id)
	if !l.pull() { // the others leave on their own, once they are done with an event
		p.feed.Unsubscribe(l.id)
	}
	if !l.running {
		close(l.sub.done)
	}
	if l.pull() {
		l.signal()
	}
	p.announce()
}

// stop ends all streams and the polling, and waits until nothing runs, except a
// delivery it is called from.
func (p *poller) stop(cause error) {
	self := goroutineID()
	p.mu.Lock()
	if p.run != nil {
		p.run.cancel(cause)
		p.run = nil
	}
	for _, l := range p.listeners {
		p.remove(l, cause)
	}
	loops, active := maps.Clone(p.loops), maps.Clone(p.active)
	for l := range active {
		// Two functions that stop the poller must not wait for each other.
		l.leaving = l.leaving || l.runner == self
	}
	p.announce()
	p.waiters++
	defer func() { p.waiters--; p.mu.Unlock() }()
	for p.busy(loops, active) {
		changed := p.changed
		p.mu.Unlock()
		<-changed
		p.mu.Lock()
	}
}

// busy reports whether any of these still runs. mu is held.
func (p *poller) busy(loops map[*pollRun]struct{}, active map[*listener]struct{}) bool {
	for r := range loops {
		if _, runs := p.loops[r]; runs {
			return true
		}
	}
	for l := range active {
		if _, runs := p.active[l]; runs && !l.leaving {
			return true
		}
	}
	return false
}

// announce wakes everybody who waits for a poll. mu is held.
func (p *poller) announce() {
	if p.waiters > 0 {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// poke asks for a poll soon, if anybody listens.
func (p *poller) poke() { p.tell((*feed.Feed).Poke) }

// joined says that the user's conversations may have changed.
func (p *poller) joined() {
	p.tell(func(f *feed.Feed, now time.Time) uint64 { f.Joined(now); return 0 })
}

func (p *poller) tell(say func(*feed.Feed, time.Time) uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil {
		say(p.feed, time.Now())
		p.run.nudge()
	}
}

// loop asks the engine what to do, does it, and tells it the outcome.
func (p *poller) loop(r *pollRun) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		p.mu.Lock()
		if p.run != r {
			p.mu.Unlock()
			return
		}
		action := p.feed.Next(time.Now())
		p.mu.Unlock()
		if action.Query.Kind != 0 {
			p.fetch(r, action.Query)
			continue
		}
		var due <-chan time.Time
		if !action.Until.IsZero() {
			timer.Reset(time.Until(action.Until))
			due = timer.C
		}
		select {
		case <-due:
		case <-r.wake:
		case <-r.ctx.Done():
			return
		}
	}
}

// fetch makes one request for the engine.
func (p *poller) fetch(r *pollRun, q feed.Query) {
	c := p.chat
	if q.Kind == feed.Members {
		sources, err := c.memberships(r.ctx, r.session)
		members := make([]feed.Member, len(sources))
		for i := range sources {
			c.remember(&sources[i])
			members[i] = feed.Member{Conversation: sources[i].ID, Created: micros(sources[i].CreatedAt)}
		}
		p.answer(r, err, func(now time.Time) { p.feed.Members(now, members) })
		return
	}
	entries, err := c.source.page(r.ctx, r.session, q)
	rows := c.feedRows(entries)
	if err == nil {
		r.session.cache.Seen(r.ctx, q, entries)
	}
	p.answer(r, err, func(now time.Time) { p.feed.Page(now, rows) })
}

// answer tells the engine how a request ended, and lets listeners have the result.
func (p *poller) answer(r *pollRun, err error, apply func(now time.Time)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != r {
		return // an answer for a user who has gone
	}
	if err == nil {
		apply(time.Now())
		for _, l := range p.listeners {
			p.kick(l)
		}
		p.announce()
		return
	}
	var wait time.Duration
	if refused, ok := errors.AsType[*datasource.Error](err); ok && errors.Is(err, datasource.ErrRateLimited) {
		wait = refused.RetryAfter
	}
	p.feed.Failed(time.Now(), wait)
	p.lastErr, p.failures = err, p.failures+1
	p.announce()
	p.chat.log.Warn("poll failed", "error", err)
	if errors.Is(err, ErrContactNotFound) {
		// The user is gone; polling on would only be refused again.
		for _, l := range p.listeners {
			p.remove(l, err)
		}
		r.cancel(err)
		p.run = nil
	}
}

// kick starts delivering to a listener who has something to get. mu is held.
func (p *poller) kick(l *listener) {
	if l.pull() {
		l.signal()
		return
	}
	if l.running || l.stopped || len(l.first) == 0 && p.feed.Pending(l.id) == 0 {
		return
	}
	l.running = true
	p.active[l] = struct{}{}
	go p.drain(p.run, l)
}

// drain delivers until there is nothing left. It ends in between, so that an idle
// listener costs no goroutine.
func (p *poller) drain(r *pollRun, l *listener) {
	self := goroutineID()
	p.mu.Lock()
	defer p.mu.Unlock()
	l.runner = self // the listener's function can end the poller from in here
	for !l.stopped {
		var err error
		if len(l.first) > 0 {
			m := l.first[0]
			l.first = l.first[1:]
			err = p.handle(l, func() error { return l.call(func() { l.fn(m) }) })
		} else {
			e, ok := p.feed.Take(l.id)
			if !ok {
				break
			}
			err = p.handle(l, func() error { return p.deliver(l, e) })
			if !l.stopped && p.feed.Ack(l.id) {
				r.nudge()
			}
		}
		if err != nil {
			p.drop(l, err)
		}
	}
	l.running = false
	delete(p.active, l)
	if l.stopped {
		close(l.sub.done)
	}
	p.announce()
}

// handle runs a delivery without the lock. mu is held before and after.
func (p *poller) handle(l *listener, fn func() error) error {
	l.handling = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		l.handling = false
	}()
	return fn()
}

// Poll looks for messages now, and returns when they are delivered: it waits for
// the functions of streams, except those that were busy when it was called, so it
// may be called from inside one, and at most a second for one that does not return.
// Polls asked for at the same time share requests.
// Without a stream there is nothing to do.
//
// Errors: what the server said, if the poll failed; the streams go on. The
// context's cause, [ErrNotLoggedIn], [ErrClosed].
func (c *Chat) Poll(ctx context.Context, opts ...PollOption) (err error) {
	defer wrap("poll", &err)
	var o callOptions
	for _, opt := range opts {
		opt.applyPoll(&o)
	}
	ctx, _, end, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	return c.poller.poll(ctx, o.reset)
}

func (p *poller) poll(ctx context.Context, reset bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.run
	if r == nil {
		return nil
	}
	ask := (*feed.Feed).Poke
	if reset {
		ask = (*feed.Feed).Reset
	}
	ticket := ask(p.feed, time.Now())
	failures := p.failures
	var idle []*listener
	for _, l := range p.listeners {
		if !l.handling {
			idle = append(idle, l)
		}
	}
	r.nudge()
	p.waiters++
	defer func() { p.waiters-- }()
	for {
		if p.run != r {
			if cause := context.Cause(r.ctx); !errors.Is(cause, errNoStream) {
				return cause
			}
			return nil // the last stream has ended: nothing to poll for
		}
		if p.failures != failures {
			return p.lastErr
		}
		if p.feed.Done(ticket) && p.drained(idle) {
			return nil
		}
		changed := p.changed
		var patience <-chan time.Time
		if p.feed.Done(ticket) {
			patience = time.After(pollPatience)
		}
		p.mu.Unlock()
		select {
		case <-changed:
		case <-patience:
			p.mu.Lock()
			return nil // somebody's function does not return
		case <-ctx.Done():
			p.mu.Lock()
			return context.Cause(ctx)
		}
		p.mu.Lock()
	}
}

// pollPatience is how long Poll waits for a stream's function that makes no progress.
const pollPatience = time.Second

// drained reports whether listeners have had everything. mu is held.
func (p *poller) drained(list []*listener) bool {
	for _, l := range list {
		busy := l.running
		if l.pull() {
			busy = l.handling
		}
		if !l.stopped && (busy || p.feed.Pending(l.id) > 0) {
			return false
		}
	}
	return true
}
