// Package claim is a lease over a [storage.Store]: of all who want a key, one holds
// it.
//
// The holder writes to the key every few seconds. Whoever wants the key watches it,
// and takes it when nobody holds it, or when it was not renewed for [TTL] by the
// watcher's own clock. Clocks therefore need not agree. A watcher notes in the key for
// how long it has seen no renewal, and the next one goes on from there, so that watchers
// who do not live for TTL find out together that a holder is dead. On a store that only
// one process can have open (see [storage.Exclusive]), what another process has left
// behind is taken at once, and so is what this one does not hold any more.
//
// A lease says who should work, not who may. A process that was suspended may go
// on for a moment after another one has taken over. Whoever cannot bear that
// compares what it replaces, as [storage.Store.CompareAndSwap] does.
package claim

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/storage"
)

const (
	// TTL is how long a lease lasts that is not renewed.
	TTL = 20 * time.Second
	// Beat is how often a lease is renewed.
	Beat = 5 * time.Second
	// poll is how often a waiter looks, and how soon a renewal that failed is
	// tried again.
	poll = time.Second
	// note is for how long a key was not renewed when that is noted, patient the same for a
	// watcher who has seen it renewed before.
	note    = time.Second
	patient = Beat + poll
)

// ErrLost says that somebody else has taken the lease.
var ErrLost = errors.New("another process took over")

// thisProcess tells this process from others that used the same store.
var thisProcess = sync.OnceValue(rand.Text)

// living are the owners of the leases that this process holds, or has not given up.
var living sync.Map

// Config says which key is claimed.
type Config struct {
	Store storage.Store
	Key   string
	// Process identifies the process. Default: this one. Tests play others.
	Process string
	// Extra is for how much longer than TTL a key must not have been renewed to be free.
	Extra time.Duration
	// Told is told what each renewal in the background, and each look while the key is
	// waited for, has met in the Store: nil when it did its work. It must not block. It may
	// be nil.
	Told func(error)
}

// State is what a look at the key found.
type State uint8

const (
	// Free: nobody holds the key, or its holder is gone.
	Free State = iota
	// Held: somebody else holds the key.
	Held
	// Mine: this Claim wrote what is there.
	Mine
)

// String is a word for the state.
func (s State) String() string {
	switch s {
	case Free:
		return "free"
	case Held:
		return "held"
	case Mine:
		return "mine"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// record is what is stored under the key.
type record struct {
	Owner   string `json:"owner"`
	Process string `json:"process"`
	Beat    uint64 `json:"beat"`
	// Idle is for how long watchers have seen no renewal.
	Idle time.Duration `json:"idle,omitempty"`
}

// renews reports whether a record is another one than old, and not only with a note.
func (r record) renews(old record) bool { return r.Owner != old.Owner || r.Beat != old.Beat }

// Claim is one contender for a key. It is safe for concurrent use. It runs nothing
// and stores nothing before it holds the key.
type Claim struct {
	cfg   Config
	owner string

	beats atomic.Uint64 // so that no value comes twice, whoever has seen it

	mu      sync.Mutex
	looked  bool
	seen    []byte    // what the last look found
	since   time.Time // when that was first seen
	renewed bool      // it has changed between two looks
}

// New returns a contender.
func New(cfg Config) *Claim {
	if cfg.Process == "" {
		cfg.Process = thisProcess()
	}
	return &Claim{cfg: cfg, owner: rand.Text()}
}

// Observe looks at the key.
func (c *Claim) Observe(ctx context.Context) (State, error) {
	_, state, err := c.look(ctx)
	return state, err
}

// Renewed reports whether the key changed while this Claim watched it, so that its
// holder was alive not long ago.
func (c *Claim) Renewed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.renewed
}

// look reads the key, and judges it by how long it has not changed.
func (c *Claim) look(ctx context.Context) (raw []byte, _ State, err error) {
	within, cancel := context.WithTimeout(ctx, Beat)
	defer cancel()
	if raw, err = c.read(within); err != nil {
		return nil, Held, unanswered(ctx, err)
	}
	r, readable := decode(raw)
	state, unseen := c.judge(raw, r, readable)
	if state != Held || unseen == 0 {
		return raw, state, nil
	}
	// Somebody else may note the same time: then it counts from there.
	r.Idle += unseen
	noted, err := json.Marshal(r)
	if err != nil {
		return nil, Held, err
	}
	if ok, err := c.cfg.Store.CompareAndSwap(within, c.cfg.Key, raw, noted); err != nil || !ok {
		return raw, Held, nil // it is not that important
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen, c.since = noted, time.Now()
	return noted, Held, nil
}

// judge says what was read. unseen is for how long no renewal was seen, if that is to be
// noted.
func (c *Claim) judge(raw []byte, r record, readable bool) (_ State, unseen time.Duration) {
	exclusive := c.exclusive()
	_, lives := living.Load(r.Owner)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !c.looked || string(raw) != string(c.seen) {
		before, known := decode(c.seen)
		if !c.looked || !known || !readable || r.renews(before) {
			c.renewed = c.looked
		}
		c.looked, c.seen, c.since = true, raw, now
	}
	unseen = now.Sub(c.since)
	switch {
	case raw == nil:
		return Free, 0
	case readable && r.Owner == c.owner:
		return Mine, 0
	case exclusive && (!readable || r.Process != c.cfg.Process || !lives), r.Idle+unseen >= TTL+c.cfg.Extra:
		return Free, 0
	case !readable, unseen < note, c.renewed && unseen < patient:
		return Held, 0
	}
	return Held, unseen
}

// exclusive reports whether no other process can use the store now.
func (c *Claim) exclusive() bool {
	one, ok := c.cfg.Store.(storage.Exclusive)
	return ok && one.Exclusive()
}

// read returns what is stored, nil for nothing.
func (c *Claim) read(ctx context.Context) ([]byte, error) { return read(ctx, c.cfg.Store, c.cfg.Key) }

func read(ctx context.Context, store storage.Store, key string) ([]byte, error) {
	raw, err := store.Get(ctx, key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, failed(ctx, err)
	}
	return raw, nil
}

// TryAcquire takes the key if it is free, and does not wait for it. ok is false
// when somebody else holds it. A lease that this Claim got before ends with the new
// one.
func (c *Claim) TryAcquire(ctx context.Context) (_ *Lease, ok bool, err error) {
	raw, state, err := c.look(ctx)
	if err != nil || state == Held {
		return nil, false, err
	}
	l := newLease(c, raw)
	l.late = raw != nil && state == Free && !c.exclusive()
	if err := l.Renew(ctx); err != nil {
		l.end()
		if errors.Is(err, ErrLost) {
			return nil, false, nil // somebody else was faster
		}
		return nil, false, err
	}
	return l, true, nil
}

// Acquire waits for the key. Whoever has it keeps it with [Lease.Keep].
func (c *Claim) Acquire(ctx context.Context) (*Lease, error) {
	var changed <-chan struct{} // nil as long as the store tells nothing
	for first := true; ; first = false {
		l, ok, err := c.TryAcquire(ctx)
		if err != nil || ok {
			return l, err
		}
		c.told(nil)
		if w, tells := c.cfg.Store.(storage.Watcher); first && tells {
			watching, end := context.WithCancel(ctx)
			defer end()
			if changed, err = w.Watch(watching, c.cfg.Key); err == nil {
				continue // it may have changed since the look
			}
			changed = nil
		}
		if err := c.pause(ctx, changed); err != nil {
			return nil, err
		}
	}
}

// pause waits until the next look is due.
func (c *Claim) pause(ctx context.Context, changed <-chan struct{}) error {
	if changed == nil {
		return wait.Sleep(ctx, poll)
	}
	due := time.NewTimer(c.overdue())
	defer due.Stop()
	select {
	case <-changed:
	case <-due.C:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// overdue is in how long a key that the store watches is looked at without being told: when
// a note is due, when the lease runs out.
func (c *Claim) overdue() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.renewed {
		return note
	}
	r, _ := decode(c.seen)
	left := time.Until(c.since.Add(TTL + c.cfg.Extra - min(max(r.Idle, 0), TTL)))
	return min(patient, max(left, poll/20)) // or else a store whose reads are late would be asked all the time
}

// told says what the Store has met.
func (c *Claim) told(err error) {
	if c.cfg.Told != nil {
		c.cfg.Told(err)
	}
}

func decode(raw []byte) (r record, ok bool) {
	return r, json.Unmarshal(raw, &r) == nil
}

// unanswered says of an error of a call with less time than ctx leaves that it was the
// Store that took too long.
func unanswered(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("storage: no answer within %v: %w", Beat, err)
	}
	return err
}

// failed says what went wrong: the caller's context, or else the store.
func failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("storage: %w", err)
}
