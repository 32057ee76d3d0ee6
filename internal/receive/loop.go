package receive

import (
	"context"
	"errors"
	"time"
)

// loop polls from the first listener to the last. It has a goroutine while there is
// something to do. Between polls there is an alarm only, so that many chats that wait cost
// little. The mu of the Receiver guards it.
type loop struct {
	r *Receiver
	// running: a goroutine is in run. armed: the alarm has yet to call due. Neither: the loop
	// waits for wake.
	running, armed bool
	again          bool // the engine may have something new to ask for since it was asked last
	lasts          bool // see ctx
	alarm          alarm
	// ctx is that of the requests of a poll, made for the first one. What goes on beside the
	// next polls ends with the loop, so then it lasts as long.
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// errNoListener: the last listener has left.
var errNoListener = errors.New("no listener is left")

// startLoop starts the loop, unless it is there already. mu is held.
func (r *Receiver) startLoop() error {
	if err := r.ended(); err != nil {
		return err
	}
	if r.loop != nil {
		return nil
	}
	if !r.life.Enter() { // until finish, also while nothing runs
		return context.Canceled // Life is over; its owner knows the cause
	}
	if r.loop = &r.first; r.looped {
		r.loop = new(loop)
	}
	r.loop.r, r.looped, r.feed = r, true, r.cfg.engines.Feed()
	r.loop.joinClock(r.cfg.share)
	return nil
}

// stopLoop ends the loop. mu is held.
func (r *Receiver) stopLoop(cause error) {
	p := r.loop
	if p == nil {
		return
	}
	r.loop = nil
	p.release(cause)
	p.wake() // to finish
	r.announce()
}

// wake has the engine asked for what is to be done. mu is held.
func (p *loop) wake() {
	p.again = true
	if p.running || p.armed && !p.stopAlarm() {
		return // a goroutine is there, or on its way
	}
	p.armed, p.running = false, true
	go p.run()
}

// due is what the alarm calls, in a goroutine of its own.
func (p *loop) due() {
	p.r.mu.Lock()
	p.armed, p.running = false, true
	p.r.mu.Unlock()
	p.run()
}

// deepen makes the stack of a new goroutine as large as a request needs it. Left to itself
// it would be copied three or four times on the way down, which was a sixth of a poll.
//
//go:noinline
func deepen(i int) byte {
	var room [10 << 10]byte
	return room[i]
}

// run makes the requests that the engine asks for now, and gives it the answers.
func (p *loop) run() {
	deepen(0)
	for {
		action, over, ctx, ok := p.r.next(p)
		if !ok {
			p.finish()
			return
		}
		p.r.watch.polled(over)
		if action.Query.Kind != 0 {
			p.r.ask(ctx, p, action.Query)
		} else if p.rest(action.Until) {
			return
		}
	}
}

// rest waits for wake, or until a time that is not zero. It reports false if there is more
// to do. Otherwise the goroutine must end.
func (p *loop) rest(until time.Time) bool {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	if p.again || p.r.loop != p {
		return false
	}
	if p.running = false; !p.lasts {
		p.ctx, p.cancel = nil, nil // with all that requests have left in it
	}
	if until.IsZero() {
		return true
	}
	p.armed = true
	p.setAlarm(until)
	return true
}

// finish is the end of a loop that was stopped.
func (p *loop) finish() {
	defer p.r.life.Leave()
	p.leaveClock()
	if p.r.cfg.rested != nil {
		p.r.cfg.rested()
	}
}

// Aside runs a read of the Source that a poll may leave, in a goroutine of its own. The
// context of the poll then lasts as long as the loop. It reports false if nothing may begin.
func (r *Receiver) Aside(read func()) bool {
	r.mu.Lock()
	if r.loop != nil {
		r.loop.lasts = true
	}
	r.mu.Unlock()
	return r.life.Whole().Go(read)
}

// context is that of a request, which ends with the loop. mu is held.
func (p *loop) context() context.Context {
	if p.ctx == nil {
		p.ctx, p.cancel = context.WithCancelCause(context.Background()) // Stop ends it
	}
	return p.ctx
}

// release ends the context. mu is held.
func (p *loop) release(cause error) {
	if p.cancel != nil {
		p.cancel(cause)
		p.ctx, p.cancel = nil, nil
	}
}
