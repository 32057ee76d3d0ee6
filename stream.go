package chat

import (
	"context"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Subscription is a running stream.
type Subscription struct {
	stop func(error)
	done chan struct{}
	mu   sync.Mutex
	err  error
}

// Stop ends the stream: no call of its function begins after Stop has returned.
// It does not wait for one that runs, so it may be called from inside it; Done
// tells when that has ended, too. Stopping again does nothing.
func (s *Subscription) Stop() { s.stop(nil) }

// Done is closed when the stream has ended and its function runs no more.
func (s *Subscription) Done() <-chan struct{} { return s.done }

// Err says why the stream ended: nil after Stop or while it runs, the context's
// cause, [ErrClosed], [ErrNotLoggedIn] after a logout, or a [*PanicError].
func (s *Subscription) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// PanicError ends the stream whose function panicked. Its text leaves the value
// out, which may hold a message.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("stream function panicked with a %T", e.Value)
}

// Format writes Error whatever the verb.
func (e *PanicError) Format(f fmt.State, _ rune) { io.WriteString(f, e.Error()) } //nolint:errcheck // as fmt itself

// MarshalText is Error, for encoders such as encoding/json.
func (e *PanicError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// Gap is what a stream could not deliver, told to [OnGap].
type Gap struct {
	ConversationID int64
	// Before: messages created before this time were not loaded.
	Before time.Time
	Reason string
}

func (g Gap) String() string {
	return fmt.Sprintf("gap in conversation %d before %s: %s", g.ConversationID, wire.Timestamp(g.Before), g.Reason)
}

// Stream calls fn with every message of the user's conversations: first the newest
// 200, oldest first, then each new, changed or deleted one as polls find it.
//
// New messages of a conversation come in (createdAt, id) order, changes in the
// order in which they happened, each version once. A message edited before it was
// first seen is new, not an update. Calls of one fn never overlap. A function that
// blocks holds up nobody else, and when it is done it gets what it missed; what
// cannot be had is told to [OnGap]. A function that panics ends its own stream.
//
// fn may call anything of this package, Stop and Close included. The stream lasts
// until Stop, the end of ctx, a logout or Close.
//
// The first stream starts polling: 2 s after something happened, growing to 20 s,
// and to 2 min when nothing has happened for half an hour; see [Options]. Sending
// polls soon.
//
// With [Offline] the cached messages of the last session are delivered first.
//
// Errors: [ErrInvalid] for a nil fn; [ErrNotLoggedIn]; [ErrClosed].
func (c *Chat) Stream(ctx context.Context, fn func(*Message), opts ...StreamOption) (_ *Subscription, err error) {
	defer wrap("stream", &err)
	if fn == nil {
		return nil, invalid("fn: nil; give a function that takes the messages")
	}
	var o callOptions
	for _, opt := range opts {
		opt.applyStream(&o)
	}
	_, s, end, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	return c.poller.subscribe(ctx, s, fn, o)
}

// listener is one stream inside the poller. It is called (fn), or it asks (ready).
type listener struct {
	id      feed.ID
	feed    *feed.Feed
	session *session
	fn      func(*Message)
	ready   chan struct{} // told that there may be something; see pull.go
	again   bool          // an event may be handed out more than once
	onGap   func(Gap)
	first   []*Message // cached messages to begin with
	sub     *Subscription
	detach  func() bool // from the caller's context

	running  bool   // a goroutine delivers; under poller.mu
	runner   uint64 // which one
	stopped  bool
	handling bool // inside fn
	leaving  bool // inside fn, which is stopping the poller
}

// call runs the listener's function and turns a panic into an error.
func (l *listener) call(fn func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	fn()
	return nil
}

// deliver hands one event to the listener's function.
func (p *poller) deliver(l *listener, e feed.Event) error {
	if e.Gap != nil {
		return l.call(func() { p.gap(l, e.Gap) })
	}
	m := p.read(l, e)
	if m == nil {
		return nil
	}
	return l.call(func() { l.fn(m) })
}

// gap tells a listener what it does not get.
func (p *poller) gap(l *listener, g *feed.Gap) {
	if l.onGap == nil {
		p.chat.log.Warn("a stream has a gap", "conversation", g.Conversation, "reason", g.Reason)
		return
	}
	l.onGap(Gap{ConversationID: g.Conversation, Before: time.UnixMicro(int64(g.Before)).UTC(), Reason: g.Reason})
}

// read makes the message of an event, nil when the polling ended meanwhile.
func (p *poller) read(l *listener, e feed.Event) *Message {
	row := *e.Row.Payload.(*datasource.Entry)
	if p.shared.Load() || l.again {
		row.Data = wire.CloneMap(row.Data) // every listener, and every try, gets a message of its own
	}
	ctx := p.ctx()
	m := p.chat.message(ctx, &row, l.session.userID)
	if m.Err != nil && ctx.Err() != nil {
		return nil // ended while its key was being read
	}
	m.IsUpdate, m.IsDeleted, m.IsReplay = e.Update, e.Deleted, e.Replay
	return m
}

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
