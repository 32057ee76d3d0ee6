package chat

import (
	"context"
	"iter"
)

// Events is [Chat.Stream] for range loops: it yields the same messages in the same
// order, one at a time, to the goroutine that ranges over it.
//
//	for m, err := range c.Events(ctx) {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// Each loop is a stream of its own that begins with the newest 200 messages and
// ends with the loop. A loop body that takes long holds up nobody else; what it
// missed is read again. The body may call anything of this package, Close
// included.
//
// The only error is the last thing yielded, with a nil message: the end of ctx,
// [ErrNotLoggedIn] before a login or after a logout, [ErrClosed].
func (c *Chat) Events(ctx context.Context, opts ...StreamOption) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		if err := c.events(ctx, opts, func(m *Message) bool { return yield(m, nil) }); err != nil {
			wrap("events", &err)
			yield(nil, err)
		}
	}
}

// events runs one loop; yield says whether to go on.
func (c *Chat) events(ctx context.Context, opts []StreamOption, yield func(*Message) bool) error {
	var o callOptions
	for _, opt := range opts {
		opt.applyStream(&o)
	}
	_, s, end, err := c.enter(ctx)
	if err != nil {
		return err
	}
	// The loop is the caller's from here on; Close knows it as a listener.
	end()
	l := newListener(s, o)
	l.ready = make(chan struct{}, 1)
	if err := c.poller.listen(ctx, l, o); err != nil {
		return err
	}
	defer c.poller.leave(l)
	for _, m := range l.first {
		if !yield(m) {
			return nil
		}
	}
	for {
		e, err := c.poller.next(ctx, l)
		if err != nil {
			return err
		}
		if e.Gap != nil {
			c.poller.gap(l, e.Gap)
		} else if m := c.poller.read(l, e); m != nil && !yield(m) {
			return nil
		}
		c.poller.done(l)
	}
}
