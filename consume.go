package chat

import (
	"cmp"
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/receive"
)

// ConsumeOption changes a [Chat.Consume]: [StartAt], [MaxAttempts], [DeadLetter],
// [RetryBackoff], [OnGap].
type ConsumeOption interface{ applyConsume(*consumeOptions) }

// consumeOptions are the options of one Consume together.
type consumeOptions struct {
	from        From
	onGap       func(Gap)
	noMarks     bool
	maxAttempts int
	deadLetter  func(context.Context, *Message, error) error
	minBackoff  time.Duration
	maxBackoff  time.Duration
	err         error // of the first unusable option
}

func (o *consumeOptions) refuse(format string, args ...any) {
	if o.err == nil {
		o.err = invalid(format, args...)
	}
}

type consumeOption func(*consumeOptions)

func (f consumeOption) applyConsume(o *consumeOptions) { f(o) }

// MaxAttempts is how often a message is handed to a failing function before it goes
// to [DeadLetter]. Default 10. A restart of the process begins the count anew.
func MaxAttempts(n int) ConsumeOption {
	return consumeOption(func(o *consumeOptions) {
		if n <= 0 {
			o.refuse("MaxAttempts: %d; give a positive number, or leave it out", n)
		}
		o.maxAttempts = n
	})
}

// DeadLetter makes [Chat.Consume] call fn with a message that failed [MaxAttempts]
// times, and with the last error. If fn returns nil the position moves on; otherwise
// the message is tried again. Without DeadLetter a failing message is tried for
// ever: nothing is dropped silently.
func DeadLetter(fn func(ctx context.Context, m *Message, err error) error) ConsumeOption {
	return consumeOption(func(o *consumeOptions) {
		if fn == nil {
			o.refuse("DeadLetter: nil; give a function, or leave it out")
		}
		o.deadLetter = fn
	})
}

// maxRetryBackoff bounds [RetryBackoff].
const maxRetryBackoff = 24 * time.Hour

// RetryBackoff bounds the wait before a failed message is tried again. The wait
// doubles each time. Defaults: 1 s and 1 min.
func RetryBackoff(shortest, longest time.Duration) ConsumeOption {
	return consumeOption(func(o *consumeOptions) {
		if shortest <= 0 || longest < shortest || longest > maxRetryBackoff {
			o.refuse("RetryBackoff: %v to %v; give two positive times of at most %v, the shorter one first", shortest, longest, maxRetryBackoff)
		}
		o.minBackoff, o.maxBackoff = shortest, longest
	})
}

// Consume hands every message of the user's conversations to fn, at least once,
// also across restarts: the position is kept in Options.Storage and moves only after
// fn returned nil. Consume blocks until ctx ends, the user logs out or the Chat is
// closed, and returns why.
//
// Messages come in the order of [Chat.Stream]. When fn fails or panics, it gets the
// same message again after a growing wait, before any other; see [MaxAttempts] and
// [DeadLetter] for giving up. After a crash Consume resumes, in the same order, with
// the messages that fn had not finished.
//
// fn's context ends with Consume and when the Chat is closed. If fn returns nil
// after that, its message is acknowledged all the same. [Chat.Shutdown] waits for
// fn, which may make calls with its context until it returns.
//
// Several consumers may share a user, a name and a store, and with them one
// position. One of them receives; the others stand by. One takes over when it stops,
// or within half a minute when its process dies.
//
// What cannot be delivered is reported to [OnGap]. Positions are stored by API host,
// contacts data source, user and name.
//
// Errors: [ErrInvalid] for an empty name, a nil fn or an unusable option;
// [ErrNotLoggedIn]; [ErrClosed]; the context's cause; a stored position that cannot
// be read, which names its key.
func (c *Chat) Consume(ctx context.Context, name string, fn func(context.Context, *Message) error, opts ...ConsumeOption) (err error) {
	defer wrap("consume", &err)
	if strings.TrimSpace(name) == "" || len(name) > 200 {
		return invalid("name: want 1 to 200 characters that name this consumer")
	}
	if fn == nil {
		return invalid("fn: nil; give a function that takes the messages")
	}
	o := consumeOptions{maxAttempts: 10, minBackoff: time.Second, maxBackoff: time.Minute}
	for _, opt := range opts {
		opt.applyConsume(&o)
	}
	if err := cmp.Or(o.err, o.from.check()); err != nil {
		return err
	}
	ctx, s, end, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	h := consumeFunc{chat: c, session: s, fn: fn, opts: o}
	k := receive.Consumer{
		Receiver: s.receiver, Store: c.store, Key: c.cache.Key(s.userID, "consume/"+url.PathEscape(name)), Name: name,
		Start: o.from.start(), Parallel: 1, Handle: h.handle, MaxAttempts: o.maxAttempts,
		MinBackoff: o.minBackoff, MaxBackoff: o.maxBackoff, Log: c.log,
	}
	if o.deadLetter != nil {
		k.GiveUp = h.giveUp
	}
	return k.Run(context.WithValue(ctx, consuming{}, c))
}

// consumeFunc calls the functions of one Consume.
type consumeFunc struct {
	chat    *Chat
	session *session
	fn      func(context.Context, *Message) error
	opts    consumeOptions
}

func (f *consumeFunc) handle(ctx context.Context, e feed.Event) error {
	if g := gapOf(e); g != nil {
		return guarded(func() error { f.chat.reportGap(*g, f.opts.onGap); return nil })
	}
	if f.opts.noMarks && onlyReaders(e) {
		return nil
	}
	return f.call(ctx, e, f.fn)
}

func (f *consumeFunc) giveUp(ctx context.Context, e feed.Event, failed error) error {
	if e.Gap != nil {
		return nil // the panic of OnGap has been logged
	}
	return f.call(ctx, e, func(ctx context.Context, m *Message) error { return f.opts.deadLetter(ctx, m, failed) })
}

// call hands fn a new copy of the message, so that a failed attempt cannot change
// what the next one gets.
func (f *consumeFunc) call(ctx context.Context, e feed.Event, fn func(context.Context, *Message) error) error {
	m := f.chat.received(ctx, f.session, e, true)
	if m == nil {
		return context.Cause(ctx)
	}
	return guarded(func() error { return fn(ctx, m) })
}
