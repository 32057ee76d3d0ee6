package claim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// errReleased: the lease was given back.
var errReleased = errors.New("the lease was given back")

// Lease is a key that is held. It is safe for concurrent use.
type Lease struct {
	claim *Claim
	late  bool            // see Late
	over  context.Context // ends when the lease was given back or lost
	end   context.CancelFunc

	writing chan struct{} // holds a value while the key is being written
	stored  []byte        // what is there; whoever is writing has it
	gone    bool          // nothing there is ours any more

	taken atomic.Bool // by somebody else

	mu    sync.Mutex
	until time.Time
}

func newLease(c *Claim, stored []byte) *Lease {
	l := &Lease{claim: c, writing: make(chan struct{}, 1), stored: stored}
	over, end := context.WithCancel(context.Background())
	living.Store(c.owner, l)
	l.over, l.end = over, func() {
		living.CompareAndDelete(c.owner, l)
		end()
	}
	return l
}

// Until is when others may take the lease, if it is not renewed before.
func (l *Lease) Until() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

// Keep renews the lease in the background until it is given back, until it is lost,
// or until the life ends. When it is lost, lost is called once, unless it is nil. A
// renewal that fails for another reason is tried again soon. Keep reports false
// when the life is over.
func (l *Lease) Keep(in *life.Life, lost func()) bool {
	return in.Go(func() {
		ctx, end := wait.Both(in.Context(), l.over)
		defer end()
		next := Beat
		for wait.Sleep(ctx, next) == nil {
			err := l.Renew(ctx)
			if errors.Is(err, ErrLost) {
				// A renewal may have waited for the release, which is no loss.
				if lost != nil && l.taken.Load() {
					lost()
				}
				return
			}
			next = Beat
			if err != nil {
				next = poll
			}
			if ctx.Err() == nil {
				l.claim.told(err)
			}
		}
	})
}

// Renew renews the lease now. It returns [ErrLost] when somebody else has it.
func (l *Lease) Renew(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, Beat)
	defer cancel()
	return unanswered(ctx, l.renew(within))
}

func (l *Lease) renew(ctx context.Context) error {
	if err := l.write(ctx); err != nil {
		return err
	}
	defer l.written()
	if l.gone {
		return ErrLost
	}
	if l.over.Err() != nil {
		return errReleased
	}
	now := time.Now()
	next, err := json.Marshal(record{Owner: l.claim.owner, Process: l.claim.cfg.Process, Beat: l.claim.beats.Add(1)})
	if err != nil {
		return err
	}
	switch ok, err := l.swap(ctx, next); {
	case err != nil:
		return err
	case !ok:
		l.gone = true
		l.taken.Store(true)
		l.end()
		return ErrLost
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = now.Add(TTL)
	return nil
}

// RenewIn renews the lease within a transaction, for a Store in which the transaction keeps
// everybody else from writing: nobody else could renew the lease meanwhile, nor take it, and
// after the transaction it would be taken at once. ended has to be called after it, and says
// whether it was committed. The error is [ErrLost] when somebody else has the lease.
func (l *Lease) RenewIn(ctx context.Context, tx storage.Store) (ended func(committed bool), _ error) {
	if err := l.write(ctx); err != nil {
		return nil, err
	}
	ended = func(bool) { l.written() }
	if l.gone {
		return ended, ErrLost
	}
	now := time.Now()
	next, err := json.Marshal(record{Owner: l.claim.owner, Process: l.claim.cfg.Process, Beat: l.claim.beats.Add(1)})
	if err != nil {
		return ended, err
	}
	before := l.stored
	ok, err := l.swapIn(ctx, tx, next)
	l.stored = before // as long as nothing is committed
	switch {
	case err != nil:
		return ended, err
	case !ok:
		return ended, ErrLost
	}
	return func(committed bool) {
		defer l.written()
		if !committed {
			return
		}
		l.stored = next
		l.mu.Lock()
		defer l.mu.Unlock()
		l.until = now.Add(TTL)
	}, nil
}

// Release gives the lease back, so that the next one need not wait for it to run
// out. A lease that somebody else has taken stays theirs.
func (l *Lease) Release(ctx context.Context) error {
	l.end()
	if err := l.write(ctx); err != nil {
		return err
	}
	defer l.written()
	if l.gone {
		return nil
	}
	_, err := l.swap(ctx, nil)
	l.gone = err == nil
	return err
}

// swap replaces what is stored, and reports false when it is somebody else's. The
// store may have written although it said that it failed, and watchers make notes: what
// names the lease itself is still its own.
func (l *Lease) swap(ctx context.Context, next []byte) (bool, error) {
	return l.swapIn(ctx, l.claim.cfg.Store, next)
}

// swapIn is swap in a Store, or in a transaction of it.
func (l *Lease) swapIn(ctx context.Context, store storage.Store, next []byte) (bool, error) {
	for {
		ok, err := store.CompareAndSwap(ctx, l.claim.cfg.Key, l.stored, next)
		if err != nil {
			return false, failed(ctx, err)
		}
		if ok {
			l.stored = next
			return true, nil
		}
		now, err := read(ctx, store, l.claim.cfg.Key)
		if err != nil {
			return false, err
		}
		if r, readable := decode(now); !readable || r.Owner != l.claim.owner || bytes.Equal(now, l.stored) {
			return false, nil
		}
		l.stored = now
	}
}

// Late reports whether the lease of another one ran out before this one began, TTL and
// Extra after it was renewed last.
func (l *Lease) Late() bool { return l.late }

// Held reports whether the lease is still there, by a look at the key. It says nothing
// about the next moment. The error is [ErrLost] if it is somebody else's.
func (l *Lease) Held(ctx context.Context) error {
	raw, err := l.claim.read(ctx)
	if err != nil {
		return err
	}
	if r, readable := decode(raw); !readable || r.Owner != l.claim.owner {
		return ErrLost
	}
	return nil
}

// write waits until nobody else writes; written ends that.
func (l *Lease) write(ctx context.Context) error {
	select {
	case l.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *Lease) written() { <-l.writing }
