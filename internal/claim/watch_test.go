package claim_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/claim"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// telling is a store that tells of changes, unless it is deaf, and counts its reads.
type telling struct {
	storage.Store
	deaf  atomic.Bool
	reads atomic.Int64

	mu      sync.Mutex
	watches map[chan struct{}]context.Context
}

func (w *telling) Get(ctx context.Context, key string) ([]byte, error) {
	w.reads.Add(1)
	return w.Store.Get(ctx, key)
}

func (w *telling) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	ok, err := w.Store.CompareAndSwap(ctx, key, old, new)
	w.mu.Lock()
	defer w.mu.Unlock()
	for told, ctx := range w.watches {
		if ctx.Err() != nil {
			delete(w.watches, told)
		} else if ok && !w.deaf.Load() {
			select {
			case told <- struct{}{}:
			default:
			}
		}
	}
	return ok, err
}

func (w *telling) Watch(ctx context.Context, _ string) (<-chan struct{}, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watches == nil {
		w.watches = map[chan struct{}]context.Context{}
	}
	told := make(chan struct{}, 1)
	w.watches[told] = ctx
	return told, nil
}

// open is how many watches have not ended.
func (w *telling) open() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ctx := range w.watches {
		if ctx.Err() == nil {
			n++
		}
	}
	return n
}

// standby lets one contender hold the key and another one wait for it, for a minute and
// two seconds. The holder goes on until end is called.
func standby(t *testing.T, in *life.Life, store, watched storage.Store) (held *claim.Lease, die func(), next <-chan time.Time) {
	held, err := contender(store).Acquire(t.Context())
	require.NoError(t, err)
	kept := life.New(in.Context())
	require.True(t, held.Keep(kept, nil))
	got := make(chan time.Time, 1)
	require.True(t, in.Go(func() {
		if _, err := contender(watched).Acquire(in.Context()); err == nil {
			got <- time.Now()
		}
	}))
	time.Sleep(time.Minute + 2300*time.Millisecond)
	return held, func() {
		kept.Stop(nil)
		require.NoError(t, kept.Wait(t.Context()))
	}, got
}

func TestAStoreThatTellsOfAReleaseHandsTheLeaseOverAtOnce(t *testing.T) {
	virtual(t, func(t *testing.T, in *life.Life) {
		store := &telling{Store: storage.NewMemory()}
		held, _, next := standby(t, in, store, store)
		began := time.Now()
		require.NoError(t, held.Release(t.Context()))
		assert.Zero(t, (<-next).Sub(began))
		assert.Zero(t, store.open(), "nobody waits any more")
	})
}

func TestAStandbyReadsOnceForEachRenewalThatIsTold(t *testing.T) {
	virtual(t, func(t *testing.T, in *life.Life) {
		store := &telling{Store: storage.NewMemory()}
		_, _, _ = standby(t, in, store, store)
		store.reads.Store(0)
		const hour = int64(time.Hour / claim.Beat)
		time.Sleep(time.Hour)
		assert.LessOrEqual(t, store.reads.Load(), hour+1, "the holder renews %d times", hour)
		assert.Equal(t, 1, store.open())
	})
}

func TestAStoreThatTellsFindsADeadHolderWhenItsLeaseRunsOut(t *testing.T) {
	virtual(t, func(t *testing.T, in *life.Life) {
		store := &telling{Store: storage.NewMemory()}
		held, die, next := standby(t, in, store, store)
		die()
		assert.WithinDuration(t, held.Until(), <-next, time.Millisecond)
	})
}

func TestAChangeThatIsNotToldCostsOnlyTime(t *testing.T) {
	for name, gone := range map[string]func(t *testing.T, held *claim.Lease, die func()){
		"of a release": func(t *testing.T, held *claim.Lease, _ func()) { require.NoError(t, held.Release(t.Context())) },
		"of a death":   func(_ *testing.T, _ *claim.Lease, die func()) { die() },
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T, in *life.Life) {
				store := &telling{Store: storage.NewMemory()}
				store.deaf.Store(true)
				held, die, next := standby(t, in, store, store)
				began := time.Now()
				gone(t, held, die)
				took := (<-next).Sub(began)
				t.Logf("taken over after %v", took)
				assert.LessOrEqual(t, took, claim.TTL+2*claim.Beat)
			})
		})
	}
}

// unable says that it cannot tell of changes, as a wrapper does whose inner store cannot.
type unable struct{ storage.Store }

func (unable) Watch(context.Context, string) (<-chan struct{}, error) {
	return nil, errors.ErrUnsupported
}

func TestAStoreThatCannotTellIsLookedAtEverySecond(t *testing.T) {
	virtual(t, func(t *testing.T, in *life.Life) {
		store := unable{storage.NewMemory()}
		held, _, next := standby(t, in, store, store)
		began := time.Now()
		require.NoError(t, held.Release(t.Context()))
		assert.LessOrEqual(t, (<-next).Sub(began), time.Second)
	})
}

func TestAWaitForAToldChangeEndsWithItsContext(t *testing.T) {
	virtual(t, func(t *testing.T, in *life.Life) {
		store := &telling{Store: storage.NewMemory()}
		held, err := contender(store).Acquire(t.Context())
		require.NoError(t, err)
		require.True(t, held.Keep(in, nil))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err = contender(store).Acquire(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, store.open())
	})
}
