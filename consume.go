package chat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/claim"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// ConsumeOptions say how [Chat.Consume] treats messages. They are part of [Options].
type ConsumeOptions struct {
	// From is where a consumer begins that has no stored position. Default
	// FromNewest.
	From ConsumeFrom
	// MaxAttempts is how often a message is handed to a failing function before it
	// goes to DeadLetter. Default 10. It counts within one process.
	MaxAttempts int
	// DeadLetter takes a message that failed MaxAttempts times, with the last
	// error; the position then moves on if it returns nil. Without it a failing
	// message is tried for ever: nothing is dropped silently.
	DeadLetter func(ctx context.Context, consumer string, m *Message, err error) error
	// MinBackoff and MaxBackoff bound the wait before a message is tried again; it
	// doubles each time. Defaults 1 s and 1 min.
	MinBackoff, MaxBackoff time.Duration
}

// ConsumeFrom is where a new consumer, or a stream, begins.
type ConsumeFrom uint8

const (
	// FromNewest begins with the newest 200 messages.
	FromNewest ConsumeFrom = iota
	// FromNow begins with what happens after the first start.
	FromNow
	// FromBeginning begins with the oldest message there is.
	FromBeginning
)

func (o ConsumeOptions) withDefaults() ConsumeOptions {
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = 10
	}
	if o.MinBackoff <= 0 {
		o.MinBackoff = time.Second
	}
	if o.MaxBackoff < o.MinBackoff {
		o.MaxBackoff = max(time.Minute, o.MinBackoff)
	}
	return o
}

func (f ConsumeFrom) start() feed.Start {
	switch f {
	case FromNow:
		return feed.FromNow
	case FromBeginning:
		return feed.FromBeginning
	}
	return feed.FromNewest
}

// Consume hands every message of the user's conversations to fn, at least once,
// also across restarts: the position is kept in Options.Storage under name and
// moves only after fn returned nil. It blocks until ctx ends, the user logs out or
// the Chat is closed, and returns why.
//
// What comes in which order is as for [Chat.Stream]. When fn fails, or panics, it
// gets the same message again after a growing wait, before any other; see
// [ConsumeOptions] for giving up. After a crash what fn had not finished comes
// again, in the same order, and nothing else. fn's context ends with Consume;
// a message whose fn returns nil after that is acknowledged all the same.
//
// Of several consumers with one name and one store, for the same user, one
// receives; the others stand by and take over when it stops, or within half a
// minute when it dies. Position and order are theirs together.
//
// What cannot be delivered is logged as a gap. Positions are kept by API host,
// contacts data source, user and name.
//
// Errors: [ErrInvalid] for an empty name or nil fn; [ErrNotLoggedIn]; [ErrClosed];
// the context's cause; a stored position that cannot be read, which names its key.
func (c *Chat) Consume(ctx context.Context, name string, fn func(context.Context, *Message) error) (err error) {
	defer wrap("consume", &err)
	if strings.TrimSpace(name) == "" || len(name) > 200 {
		return invalid("name: want 1 to 200 characters that name this consumer")
	}
	if fn == nil {
		return invalid("fn: nil; give a function that takes the messages")
	}
	_, s, end, err := c.enter(ctx)
	if err != nil {
		return err
	}
	end() // Close knows a consumer as a listener
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(c.life, func() { cancel(errClosing) })
	defer stop()
	k := &consumer{
		chat: c, session: s, name: name, fn: fn, opts: c.opts.Consume.withDefaults(),
		key: c.cacheKey(s.userID, "consume/"+url.PathEscape(name)),
	}
	for {
		lease, err := k.acquire(ctx)
		if err != nil {
			return err
		}
		err = k.hold(ctx, lease)
		if !errors.Is(err, claim.ErrLost) {
			return err
		}
		c.log.Info("another process took the consumer over", "name", name)
	}
}

// current is the session of the logged-in user.
func (c *Chat) current() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// consumer is one Consume while it holds the lease of its name.
type consumer struct {
	chat    *Chat
	session *session
	name    string
	fn      func(context.Context, *Message) error
	opts    ConsumeOptions
	key     string

	base, acked []byte // as stored, nil for absent
	generation  uint64
}

// acquire waits for the lease of the consumer's name.
func (k *consumer) acquire(ctx context.Context) (*claim.Lease, error) {
	wanted := claim.New(claim.Config{Store: k.chat.store, Key: k.key + "/lease"})
	for {
		if k.chat.current() != k.session {
			return nil, ErrNotLoggedIn
		}
		lease, ok, err := wanted.TryAcquire(ctx)
		if err != nil || ok {
			return lease, err
		}
		if err := sleep(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

// hold delivers while the lease is kept, and gives it back.
func (k *consumer) hold(ctx context.Context, lease *claim.Lease) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	kept := life.New(ctx)
	lease.Keep(kept, func() { cancel(claim.ErrLost) })
	err := k.run(ctx)
	kept.Stop(nil)
	tidy, end := context.WithTimeout(context.Background(), 5*time.Second)
	defer end()
	if err := lease.Release(tidy); err != nil {
		k.chat.log.Warn("a consumer's lease was not given back, and will run out", "name", k.name, "error", err)
	}
	_ = kept.Wait(tidy) // only a store that hangs keeps it
	return err
}

// run delivers until something ends it.
func (k *consumer) run(ctx context.Context) error {
	if err := k.load(ctx); err != nil {
		return err
	}
	p := &k.chat.poller
	l := newListener(k.session, callOptions{})
	l.ready, l.again = make(chan struct{}, 1), true
	err := p.attach(ctx, l, func(f *feed.Feed) (feed.ID, error) {
		return f.SubscribeDurable(k.opts.From.start(), feed.Cursor{Base: k.base, Acked: k.acked, Generation: k.generation})
	})
	if err != nil {
		return fmt.Errorf("position %q: %w", k.key, err)
	}
	defer p.leave(l)
	for {
		e, err := p.next(ctx, l)
		if err != nil {
			return err
		}
		// A position is stored before anything is handled after it.
		if err := k.save(ctx, p.cursor(l)); err != nil {
			return err
		}
		if e.Gap != nil {
			p.gap(l, e.Gap)
		} else if err := k.handle(ctx, l, e); err != nil {
			return err
		}
		if err := k.save(ctx, p.done(l)); err != nil {
			return err
		}
	}
}

// handle hands one event to the function until it is done with it.
func (k *consumer) handle(ctx context.Context, l *listener, e feed.Event) error {
	wait := k.opts.MinBackoff
	for attempt := 1; ; attempt++ {
		m := k.chat.poller.read(l, e)
		if m == nil {
			return context.Cause(ctx)
		}
		var failed error
		if panicked := l.call(func() { failed = k.fn(ctx, m) }); panicked != nil {
			failed = panicked
		}
		if failed != nil && attempt >= k.opts.MaxAttempts && k.opts.DeadLetter != nil {
			m = k.chat.poller.read(l, e)
			if m == nil {
				return context.Cause(ctx)
			}
			if panicked := l.call(func() { failed = k.opts.DeadLetter(ctx, k.name, m, failed) }); panicked != nil {
				failed = panicked
			}
		}
		if failed == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// The error is the caller's own and may quote the message.
		k.chat.log.Warn("a consumer's function failed", "name", k.name, "message", e.Row.ID, "attempt", attempt, "type", fmt.Sprintf("%T", failed))
		if err := sleep(ctx, wait/2+rand.N(wait)); err != nil {
			return err
		}
		wait = min(2*wait, k.opts.MaxBackoff)
	}
}

// load reads the stored position.
func (k *consumer) load(ctx context.Context) error {
	for name, into := range map[string]*[]byte{"/base": &k.base, "/acked": &k.acked} {
		v, err := k.chat.store.Get(ctx, k.key+name)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			*into = nil
		case err != nil:
			return fmt.Errorf("storage: %w", err)
		default:
			*into = v
		}
	}
	k.generation = 0
	return nil
}

// save stores a position, the base before what was acknowledged since. It is tried
// until it works, also when ctx has ended for a while: what was handled must not
// be handed out again for want of a second.
func (k *consumer) save(ctx context.Context, c feed.Cursor) error {
	if c.Base == nil {
		return nil
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if c.Generation != k.generation || k.base == nil {
		if err := k.swap(ctx, grace, "/base", &k.base, c.Base); err != nil {
			return err
		}
		k.generation = c.Generation
	}
	return k.swap(ctx, grace, "/acked", &k.acked, c.Acked)
}

// swap replaces a stored value that nobody else may have changed.
func (k *consumer) swap(ctx, grace context.Context, name string, old *[]byte, new []byte) error {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		ok, err := k.chat.store.CompareAndSwap(grace, k.key+name, *old, new)
		if err == nil && !ok {
			return claim.ErrLost
		}
		if err == nil {
			*old = new
			return nil
		}
		if ctx.Err() != nil && grace.Err() != nil {
			return fmt.Errorf("storage: %w", err)
		}
		k.chat.log.Warn("storing a consumer's position failed", "name", k.name, "error", err)
		if sleep(grace, wait) != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("storage: %w", err)
			}
			var cancel context.CancelFunc
			grace, cancel = context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
		}
	}
}
