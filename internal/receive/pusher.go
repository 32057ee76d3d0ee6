package receive

import (
	"context"

	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Handler is called with the events of a [Pusher], one at a time.
type Handler interface {
	// Prepare prepares an event for Handle. It reports false if it could not because
	// ctx, the pusher's, has ended. shared: other listeners may have the same row.
	Prepare(ctx context.Context, e feed.Event, shared bool) bool
	// Handle handles the prepared event. An error ends the pusher.
	Handle() error
}

// Pusher is a listener whose handler is called. It has a goroutine only while there
// are events.
type Pusher struct {
	l       listener
	h       Handler
	running bool          // a goroutine delivers; guarded by the Receiver's mu
	done    chan struct{} // see Done; nil while nobody has asked for it
}

// Push adds a pusher, which ends with ctx.
func (r *Receiver) Push(ctx context.Context, h Handler, b Begin) (*Pusher, error) {
	p := r.newPusher()
	p.h, p.l.owner = h, p
	if err := r.attach(ctx, &p.l, b); err != nil {
		return nil, err
	}
	return p, nil
}

// newPusher returns the one that lies in the Receiver, unless there was one before.
func (r *Receiver) newPusher() *Pusher {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pushed {
		return new(Pusher)
	}
	r.pushed = true
	return &r.pusher
}

// Stop ends the pusher. A call of its handler that is running, or just beginning, is
// the last one. Stop does not wait for it; Done does.
func (p *Pusher) Stop(cause error) { p.l.stop(cause) }

// Done is closed when the pusher has stopped and its handler has returned.
func (p *Pusher) Done() <-chan struct{} {
	p.l.r.mu.Lock()
	defer p.l.r.mu.Unlock()
	if p.done == nil {
		p.done = make(chan struct{})
		if p.l.left {
			close(p.done)
		}
	}
	return p.done
}

// Err is why the pusher has stopped, nil before.
func (p *Pusher) Err() error { return p.l.cause() }

// notify starts the goroutine if there are events, or ends a stopped pusher. mu is held.
func (p *Pusher) notify() {
	switch {
	case p.running:
	case p.l.stopped:
		p.end()
	case p.l.pending():
		p.running = p.l.r.life.Go(p.deliver)
	}
}

// end closes done. mu is held.
func (p *Pusher) end() {
	if !p.l.left {
		p.l.leave()
		p.h = nil // it may hold much, and the Receiver may hold p
		if p.done != nil {
			close(p.done)
		}
	}
}

// deliver calls the handler until no event is left.
func (p *Pusher) deliver() {
	told := p.l.r.watch.handling(hooks.Stream, "", 1)
	exited := true
	defer func() {
		if exited {
			p.l.stop(errExited)
			p.acknowledge()
			p.rest()
		}
	}()
	for {
		ctx, e, ok := p.begin()
		if !ok {
			exited = false
			return
		}
		told.turn()
		ready := p.h.Prepare(ctx, e, p.l.r.shared.Load())
		if ready && p.mayHandle() {
			if err := p.handle(ctx, &told, &e); err != nil {
				p.l.stop(err)
			}
		}
		p.acknowledge()
	}
}

// handle calls the handler, which may also end the goroutine.
func (p *Pusher) handle(ctx context.Context, told *handling, e *feed.Event) (err error) {
	told.begin(ctx, e)
	err = errExited // unless it returns
	defer func() { told.end(err) }()
	return p.h.Handle()
}

// begin takes the next event. It reports false if there is none; the goroutine must
// then end.
func (p *Pusher) begin() (context.Context, feed.Event, bool) {
	p.l.r.mu.Lock()
	defer p.l.r.mu.Unlock()
	if e := p.l.take(); e != nil {
		return p.l.context(), *e, true
	}
	p.ended()
	return nil, feed.Event{}, false
}

// ended notes that the goroutine ends. mu is held.
func (p *Pusher) ended() {
	p.running = false
	p.l.release(nil)
	if p.l.stopped {
		p.end()
	}
	p.l.r.announce()
}

// rest is ended for a goroutine that the handler has ended.
func (p *Pusher) rest() {
	p.l.r.mu.Lock()
	defer p.l.r.mu.Unlock()
	p.ended()
}

// mayHandle reports whether the pusher was not stopped while an event was prepared.
func (p *Pusher) mayHandle() bool {
	p.l.r.mu.Lock()
	defer p.l.r.mu.Unlock()
	return !p.l.stopped
}

func (p *Pusher) acknowledge() {
	p.l.r.mu.Lock()
	defer p.l.r.mu.Unlock()
	p.l.ack()
}
