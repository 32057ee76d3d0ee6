package chat

import (
	"context"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Listeners that ask for their events instead of being called: Events and Consume
// run in the goroutine of their caller.

func (l *listener) pull() bool { return l.ready != nil }

func (l *listener) signal() {
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// next waits for the listener's next event, which stays next until done.
func (p *poller) next(ctx context.Context, l *listener) (feed.Event, error) {
	for {
		if err := ctx.Err(); err != nil {
			return feed.Event{}, context.Cause(ctx)
		}
		p.mu.Lock()
		if l.stopped {
			p.mu.Unlock()
			return feed.Event{}, l.sub.Err()
		}
		e, ok := p.feed.Take(l.id)
		l.handling = ok
		p.mu.Unlock()
		if ok {
			return e, nil
		}
		select {
		case <-l.ready:
		case <-ctx.Done():
		}
	}
}

// done acknowledges the event next returned, and returns the cursor behind it. That
// works for a listener that was stopped meanwhile, too: what was handled counts.
func (p *poller) done(l *listener) feed.Cursor {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.handling = false
	if l.feed.Ack(l.id) && !l.stopped && p.run != nil {
		p.run.nudge()
	}
	p.announce()
	c, _ := l.feed.Cursor(l.id)
	return c
}

// cursor is the listener's position now.
func (p *poller) cursor(l *listener) feed.Cursor {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, _ := l.feed.Cursor(l.id)
	return c
}

// leave ends a listener that asks.
func (p *poller) leave(l *listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.running, l.handling = false, false
	delete(p.active, l)
	if l.stopped {
		close(l.sub.done)
	} else {
		p.drop(l, nil)
	}
	l.feed.Unsubscribe(l.id)
	p.announce()
}
