package receive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/claim"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// Consumer is a durable listener: its position is stored and moves only after an
// event was handled. All fields but GiveUp are required.
type Consumer struct {
	Receiver *Receiver
	Store    storage.Store
	// Key is the key of the position, Name the consumer's name in the log.
	Key, Name string
	Start     feed.Start

	// Handle handles an event. After an error it is called with the same event again. It
	// logs what has failed.
	Handle func(ctx context.Context, e feed.Event) error
	// GiveUp takes an event that failed MaxAttempts times. If it is nil, events are
	// tried for ever.
	GiveUp      func(ctx context.Context, e feed.Event, failed error) error
	MaxAttempts int
	// MinBackoff and MaxBackoff bound the wait before another attempt. It doubles each
	// time.
	MinBackoff, MaxBackoff time.Duration
	// OnError is told of failed polls. It must not block. It may be nil.
	OnError func(error)
	Log     *slog.Logger

	// Failing is what Handle has noted there.
	Failing Failing

	reader atomic.Pointer[Reader] // while it receives
}

// Receiving reports whether the consumer receives, and how many events wait for it;
// otherwise it stands by.
func (c *Consumer) Receiving() (lag int, ok bool) {
	rd := c.reader.Load()
	if rd == nil {
		return 0, false
	}
	return rd.Pending(), true
}

// Run consumes until ctx ends or the Receiver stops, and returns the cause. Of
// several consumers with the same key one runs; the others stand by.
func (c *Consumer) Run(ctx context.Context) error {
	for {
		lease, err := c.acquire(ctx)
		if err != nil {
			return err
		}
		err = c.hold(ctx, lease)
		if !errors.Is(err, claim.ErrLost) {
			return err
		}
		c.Log.Info("another process took the consumer over", "name", c.Name)
	}
}

// acquire waits for the lease, for as long as ctx and the Receiver last.
func (c *Consumer) acquire(ctx context.Context) (*claim.Lease, error) {
	ctx, end := wait.Both(ctx, c.Receiver.life.Context())
	defer end()
	return claim.New(claim.Config{Store: c.Store, Key: c.Key + "/lease"}).Acquire(ctx)
}

// hold consumes while the lease is kept, and gives it back.
func (c *Consumer) hold(ctx context.Context, lease *claim.Lease) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	kept := life.New(ctx)
	lease.Keep(kept, func() { cancel(claim.ErrLost) })
	err := c.consume(ctx)
	kept.Stop(nil)
	tidy, end := context.WithTimeout(context.Background(), grace)
	defer end()
	if err := lease.Release(tidy); err != nil {
		c.Log.Warn("a consumer's lease was not given back, and will run out", "name", c.Name, "error", err)
	}
	_ = kept.Wait(tidy) // only a store that hangs keeps it
	return err
}

// consume delivers until something ends it.
func (c *Consumer) consume(ctx context.Context) error {
	at := &position{store: c.Store, key: c.Key, log: c.Log, name: c.Name}
	if err := at.load(ctx); err != nil {
		return err
	}
	rd, err := c.Receiver.Read(ctx, Begin{Failed: c.OnError, Join: func(f *feed.Feed, now time.Time) (feed.ID, error) {
		id, err := f.SubscribeDurable(now, c.Start, at.cursor())
		if err != nil {
			err = fmt.Errorf("position %q: %w", c.Key, err)
		}
		return id, err
	}})
	if err != nil {
		return err
	}
	defer rd.Close()
	c.reader.Store(rd)
	defer c.reader.Store(nil)
	for {
		e, err := rd.next(ctx, func() error {
			if at.base != nil {
				return nil
			}
			// Where a new consumer begins is stored before anything happens.
			return at.save(ctx, rd.Cursor())
		})
		if err != nil {
			return err
		}
		// The position has to be stored before the event after it is handled.
		if err := at.save(ctx, rd.Cursor()); err != nil {
			return err
		}
		if err := c.handle(ctx, rd, e); err != nil {
			return err
		}
		rd.Ack()
		if err := at.save(ctx, rd.Cursor()); err != nil {
			return err
		}
	}
}

// handle tries one event until it is handled or given up, or until the reader stops.
func (c *Consumer) handle(ctx context.Context, rd *Reader, e feed.Event) error {
	waiting, end := wait.Both(ctx, rd.Context())
	defer end()
	backoff := c.MinBackoff
	for attempt := 1; ; attempt++ {
		if err := rd.Stopped(); err != nil {
			return err
		}
		failed := c.Handle(ctx, e)
		if failed != nil && attempt >= c.MaxAttempts && c.GiveUp != nil && ctx.Err() == nil {
			failed = c.GiveUp(ctx, e, failed)
		}
		if failed == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := wait.Sleep(waiting, backoff/2+rand.N(backoff)); err != nil {
			return err
		}
		backoff = min(2*backoff, c.MaxBackoff)
	}
}
