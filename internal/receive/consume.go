package receive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/claim"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// Consumer is a durable listener: its position is stored and moves only after an
// event was handled. The events of a conversation are handled in order, one at a time;
// those of several conversations at the same time. All fields but Ignore,
// GiveUp, OnError, Policy and Begins are required.
type Consumer struct {
	Receiver *Receiver
	Store    storage.Store
	// Key is the key of the position, Name the consumer's name in the log.
	Key, Name string
	Start     feed.Start

	// Parallel is how many events are handled at the same time, Batch how many in one
	// transaction: at most, and 0 for one. With more than one the Store has to be a
	// [storage.Transactional].
	Parallel, Batch int
	Policy          Policy
	// Ignore reports events that are acknowledged without a call.
	Ignore func(e feed.Event) bool
	// Handle handles an event. After an error it is called with the same event again,
	// unless the error is [Permanent]. Until then its conversation waits. It
	// logs what has failed, and what is given up without GiveUp.
	Handle func(ctx context.Context, e feed.Event) error
	// GiveUp takes an event that failed MaxAttempts times, or for good. If it is nil, the
	// former is tried for ever, and the latter is dropped. So is one for which GiveUp
	// returns a [Permanent] error, which it logs; after any other the event is tried again.
	GiveUp      func(ctx context.Context, e feed.Event, failed error) error
	MaxAttempts int
	// Undone is told of an event that Handle or GiveUp was done with, and whose transaction
	// failed then. It may be nil.
	Undone func(ctx context.Context, e feed.Event, failed error)
	// Outage reports errors that do not count as attempts. It may be nil.
	Outage func(error) bool
	// MinBackoff and MaxBackoff bound the wait before another attempt. It doubles each
	// time.
	MinBackoff, MaxBackoff time.Duration
	// OnError is told of failed polls, OnStorage of a Store that fails, every 5 s or
	// more rarely. They must not block. They may be nil.
	OnError, OnStorage func(error)
	Log                *slog.Logger
	// Begins is called each time that the consumer begins to receive, with what it was told of. If
	// it is nil, that is not noted.
	Begins func(*Told)

	// Failing is what Handle has noted there.
	Failing Failing

	reader  atomic.Pointer[Reader] // while it receives
	storage atomic.Pointer[error]  // what the Store says; nil when it works
	mu      sync.Mutex
	toldAt  time.Time // when that was told last
	doubts  doubts
	handed  handed

	transacting int       // transactions under way, guarded by mu
	transacted  time.Time // when one began or ended last
}

// tellEvery is how often a Store that fails is told of.
const tellEvery = 5 * time.Second

// permanent is an error that another attempt would meet again.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error of [Consumer.Handle]: there is no second attempt.
func Permanent(err error) error { return permanent{err} }

// IsPermanent reports whether an error is marked so.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
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

// Storage is what the Store has met last, nil when it works.
func (c *Consumer) Storage() error {
	if err := c.storage.Load(); err != nil {
		return *err
	}
	return nil
}

// told notes what the Store has met, and tells it.
func (c *Consumer) told(err error) {
	if err == nil {
		if c.storage.Load() != nil {
			c.storage.Store(nil)
		}
		return
	}
	c.storage.Store(&err)
	c.mu.Lock()
	now := time.Now()
	soon := now.Sub(c.toldAt) < tellEvery
	if !soon {
		c.toldAt = now
	}
	c.mu.Unlock()
	if soon {
		return
	}
	c.Log.Warn("a consumer's Storage fails, and is asked again", "name", c.Name, "error", err)
	c.Receiver.watch.leased(c.Name, hooks.LeaseFailing, err)
	if c.OnStorage != nil {
		c.OnStorage(err)
	}
}

// renewal notes what a renewal of the lease has met. One that has waited for a transaction of this
// consumer, in a Store that lets one write at a time, is no failure, also if that has just ended.
func (c *Consumer) renewal(err error) {
	c.mu.Lock()
	own := c.transacting > 0 || time.Since(c.transacted) <= claim.Beat
	c.mu.Unlock()
	if own && errors.Is(err, context.DeadlineExceeded) {
		return
	}
	c.told(err)
}

// transacts notes that a transaction begins, or ends with -1.
func (c *Consumer) transacts(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.transacting += n
	c.transacted = time.Now()
}

// Run consumes until ctx ends or the Receiver stops, and returns the cause. Of
// several consumers with the same key one runs; the others stand by. A Store that fails
// is asked again, for as long as it takes.
func (c *Consumer) Run(ctx context.Context) error {
	contender := claim.New(claim.Config{Store: c.Store, Key: c.Key + "/lease", Told: c.renewal})
	for backoff := time.Second; ; {
		began := time.Now()
		lease, err := c.acquire(ctx, contender)
		if err == nil {
			c.Receiver.watch.leased(c.Name, hooks.LeaseAcquired, nil)
			err = c.hold(ctx, lease)
			ended := hooks.LeaseReleased
			if errors.Is(err, claim.ErrLost) {
				ended = hooks.LeaseLost
			}
			c.Receiver.watch.leased(c.Name, ended, nil)
		}
		if _, store := errors.AsType[storeError](err); store {
			c.told(err)
			if time.Since(began) > time.Minute {
				backoff = time.Second
			}
			if err := c.pause(ctx, backoff); err != nil {
				return err
			}
			backoff = min(2*backoff, 2*mostStoreBackoff)
			continue
		}
		if !errors.Is(err, claim.ErrLost) {
			return err
		}
		c.Log.Info("another process took the consumer over", "name", c.Name)
	}
}

// pause waits, for as long as ctx and the Receiver last.
func (c *Consumer) pause(ctx context.Context, d time.Duration) error {
	ctx, end := wait.Both(ctx, c.Receiver.life.Context())
	defer end()
	return wait.Sleep(ctx, d)
}

// acquire waits for the lease, for as long as ctx and the Receiver last.
func (c *Consumer) acquire(ctx context.Context, contender *claim.Claim) (*claim.Lease, error) {
	ctx, end := wait.Both(ctx, c.Receiver.life.Context())
	defer end()
	lease, err := contender.Acquire(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, storeError{err}
	}
	return lease, nil
}

// hold consumes while the lease is kept, and gives it back.
func (c *Consumer) hold(ctx context.Context, lease *claim.Lease) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	kept := life.New(ctx)
	lease.Keep(kept, func() { cancel(claim.ErrLost) })
	err := c.consume(ctx, lease)
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
func (c *Consumer) consume(ctx context.Context, lease *claim.Lease) error {
	at := &position{store: c.Store, key: c.Key, told: c.told}
	stored, err := at.take(ctx)
	if err == nil && c.Begins == nil {
		err = at.forgetTold(ctx)
	}
	if err != nil {
		return err
	}
	c.told(nil)
	rd, err := c.Receiver.Read(ctx, Begin{Consumer: c.Name, Failed: c.OnError, Join: func(f *feed.Feed, now time.Time) (feed.ID, error) {
		id, err := f.SubscribeDurable(now, c.Start, stored)
		if c.Begins != nil {
			c.Begins(&Told{Store: c.Store, Key: c.Key})
		}
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
	d := &dispatcher{
		Consumer: c, rd: durable{rd}, at: at, lease: lease,
		lanes: map[int64]*lane{}, results: make(chan *turn, c.Parallel),
	}
	d.tx, _ = c.Store.(storage.Transactional)
	return d.run(ctx)
}
