package claim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/claim"
	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const key = "the/key"

var errDisk = errors.New("the disk is full")

// exclusive is a store that one process at a time has open.
type exclusive struct{ storage.Store }

func (exclusive) Exclusive() bool { return true }

// faulty is a store whose writes fail; those that "late" names are made all the same.
type faulty struct {
	storage.Store
	fail, late atomic.Bool
	writes     atomic.Int64
}

func (f *faulty) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	f.writes.Add(1)
	if f.fail.Load() {
		if f.late.Load() {
			_, _ = f.Store.CompareAndSwap(ctx, key, old, new)
		}
		return false, errDisk
	}
	return f.Store.CompareAndSwap(ctx, key, old, new)
}

func contender(s storage.Store, process ...string) *claim.Claim {
	cfg := claim.Config{Store: s, Key: key}
	if len(process) > 0 {
		cfg.Process = process[0]
	}
	return claim.New(cfg)
}

func observe(t *testing.T, c *claim.Claim, want claim.State) {
	t.Helper()
	got, err := c.Observe(t.Context())
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

// virtual runs a test in virtual time, with a life that ends with it.
func virtual(t *testing.T, test func(t *testing.T, in *life.Life)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := life.New(context.Background())
		defer func() {
			in.Stop(nil)
			require.NoError(t, in.Wait(context.Background()))
		}()
		test(t, in)
	})
}

func TestAKeptLeaseStaysWithItsHolder(t *testing.T) {
	virtual(t, func(t *testing.T, in *life.Life) {
		store := storage.NewMemory()
		one, other := contender(store), contender(store)
		observe(t, other, claim.Free)
		held, err := one.Acquire(t.Context())
		require.NoError(t, err)
		assert.False(t, held.Late(), "nobody had it")
		require.True(t, held.Keep(in, func() { t.Error("it was lost") }))
		observe(t, one, claim.Mine)
		for range 300 {
			observe(t, other, claim.Held)
			_, ok, err := other.TryAcquire(t.Context())
			require.NoError(t, err)
			require.False(t, ok)
			require.True(t, held.Until().After(time.Now().Add(claim.TTL-claim.Beat-time.Millisecond)))
			time.Sleep(time.Second)
		}
		assert.True(t, other.Renewed())
	})
}

func TestASharedStoreGivesTheLeaseOfADeadProcessAfterItRanOut(t *testing.T) {
	virtual(t, func(t *testing.T, _ *life.Life) {
		store := storage.NewMemory()
		_, err := contender(store, "dead").Acquire(t.Context())
		require.NoError(t, err)
		time.Sleep(time.Hour) // the clock that counts is that of whoever waits
		began := time.Now()
		next := contender(store)
		lease, err := next.Acquire(t.Context())
		require.NoError(t, err)
		assert.True(t, lease.Late())
		assert.GreaterOrEqual(t, time.Since(began), claim.TTL)
		assert.LessOrEqual(t, time.Since(began), claim.TTL+time.Second)
	})
}

func TestAnExclusiveStoreGivesTheLeaseOfAnotherProcessAtOnce(t *testing.T) {
	virtual(t, func(t *testing.T, _ *life.Life) {
		store := exclusive{storage.NewMemory()}
		_, err := contender(store, "dead").Acquire(t.Context())
		require.NoError(t, err)
		began := time.Now()
		_, err = contender(store, "next").Acquire(t.Context())
		require.NoError(t, err)
		assert.Zero(t, time.Since(began))

		_, ok, err := contender(store, "next").TryAcquire(t.Context())
		require.NoError(t, err)
		assert.False(t, ok, "the same process may still be at it")

		require.NoError(t, store.Set(t.Context(), key, []byte("damaged")))
		observe(t, contender(store), claim.Free)
	})
}

func TestReleaseLetsTheNextOneInAtOnce(t *testing.T) {
	virtual(t, func(t *testing.T, in *life.Life) {
		store := storage.NewMemory()
		held, err := contender(store).Acquire(t.Context())
		require.NoError(t, err)
		require.True(t, held.Keep(in, nil))
		require.NoError(t, held.Release(t.Context()))
		require.NoError(t, in.Wait(t.Context()), "a lease that was given back keeps nothing running")
		next, ok, err := contender(store).TryAcquire(t.Context())
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, held.Release(t.Context()), "a second time does nothing")
		require.ErrorIs(t, held.Renew(t.Context()), claim.ErrLost)
		require.NoError(t, next.Renew(t.Context()))
		require.NoError(t, next.Release(t.Context()))
		_, err = store.Get(t.Context(), key)
		require.ErrorIs(t, err, storage.ErrNotFound)
	})
}

func TestAClaimMayBeUsedAgainAfterItsRelease(t *testing.T) {
	virtual(t, func(t *testing.T, _ *life.Life) {
		c := contender(storage.NewMemory())
		first, err := c.Acquire(t.Context())
		require.NoError(t, err)
		require.NoError(t, first.Release(t.Context()))
		second, err := c.Acquire(t.Context())
		require.NoError(t, err)
		require.NoError(t, first.Release(t.Context()))
		require.NoError(t, second.Renew(t.Context()), "the first one is not the second")
	})
}

func TestARenewalThatFailsIsTriedAgain(t *testing.T) {
	for name, late := range map[string]bool{"and wrote nothing": false, "but wrote all the same": true} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T, in *life.Life) {
				store := &faulty{Store: storage.NewMemory()}
				held, err := contender(store).Acquire(t.Context())
				require.NoError(t, err)
				require.True(t, held.Keep(in, func() { t.Error("it was not lost") }))
				store.fail.Store(true)
				store.late.Store(late)
				time.Sleep(time.Minute)
				assert.True(t, held.Until().Before(time.Now()), "nobody may rely on it now")
				store.fail.Store(false)
				time.Sleep(2 * time.Second)
				assert.True(t, held.Until().After(time.Now()))
				require.NoError(t, held.Release(t.Context()))
				observe(t, contender(store), claim.Free)
			})
		})
	}
}

func TestAWriteThatFailedButHappenedIsNotSomebodyElses(t *testing.T) {
	virtual(t, func(t *testing.T, _ *life.Life) {
		store := &faulty{Store: storage.NewMemory()}
		store.fail.Store(true)
		store.late.Store(true)
		c := contender(store)
		_, _, err := c.TryAcquire(t.Context())
		require.ErrorIs(t, err, errDisk)
		store.fail.Store(false)
		observe(t, c, claim.Mine)
		_, ok, err := c.TryAcquire(t.Context())
		require.NoError(t, err)
		assert.True(t, ok)
	})
}

func TestAHolderThatSleptTooLongIsToldOnce(t *testing.T) {
	virtual(t, func(t *testing.T, in *life.Life) {
		store := &faulty{Store: storage.NewMemory()}
		slow, err := contender(store).Acquire(t.Context())
		require.NoError(t, err)
		var lost atomic.Int64
		require.True(t, slow.Keep(in, func() { lost.Add(1) }))
		store.fail.Store(true)
		next, err := contender(store.Store).Acquire(t.Context())
		require.NoError(t, err)
		assert.Zero(t, lost.Load())
		store.fail.Store(false)
		time.Sleep(time.Minute)
		assert.EqualValues(t, 1, lost.Load())
		require.NoError(t, slow.Release(t.Context()))
		require.NoError(t, next.Renew(t.Context()), "releasing what was lost takes nothing away")
	})
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	virtual(t, func(t *testing.T, in *life.Life) {
		store := storage.NewMemory()
		held, err := contender(store).Acquire(t.Context())
		require.NoError(t, err)
		require.True(t, held.Keep(in, nil))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err = contender(store).Acquire(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestALifeThatIsOverKeepsNothing(t *testing.T) {
	virtual(t, func(t *testing.T, in *life.Life) {
		held, err := contender(storage.NewMemory()).Acquire(t.Context())
		require.NoError(t, err)
		in.Stop(nil)
		assert.False(t, held.Keep(in, nil))
	})
}

// What consumers have stored before reads the same.
func TestTheStoredForm(t *testing.T) {
	virtual(t, func(t *testing.T, _ *life.Life) {
		store := storage.NewMemory()
		require.NoError(t, store.Set(t.Context(), key, []byte(`{"owner":"o","process":"p","beat":7}`)))
		observe(t, contender(store), claim.Held)
		observe(t, contender(exclusive{store}, "p"), claim.Free) // its process does not hold it any more
		observe(t, contender(exclusive{store}), claim.Free)

		require.NoError(t, store.Delete(t.Context(), key))
		_, err := contender(store, "mine").Acquire(t.Context())
		require.NoError(t, err)
		raw, err := store.Get(t.Context(), key)
		require.NoError(t, err)
		var r map[string]any
		require.NoError(t, json.Unmarshal(raw, &r))
		assert.Len(t, r, 3)
		assert.NotEmpty(t, r["owner"])
		assert.Equal(t, "mine", r["process"])
		assert.EqualValues(t, 1, r["beat"])
	})
}

// Contenders take, keep, drop, give back and crash at random, through a store that
// fails now and then: no two rely on the key at one time.
func TestTwoContendersNeverBothHold(t *testing.T) {
	virtual(t, func(t *testing.T, in *life.Life) {
		store := storage.NewMemory()
		var mu sync.Mutex
		var relied time.Time // until when somebody relies on the key
		var who, turns int
		relies := func(me int, until time.Time) {
			mu.Lock()
			defer mu.Unlock()
			if who != me {
				assert.False(t, time.Now().Before(relied), "%d holds the key, and so does %d", who, me)
				who = me
				turns++
			}
			relied = until
		}
		gives := func(me int) {
			mu.Lock()
			defer mu.Unlock()
			if who == me {
				relied = time.Time{}
			}
		}
		var wg sync.WaitGroup
		for me := 1; me <= 5; me++ {
			wg.Go(func() {
				disk := &faulty{Store: store}
				for round := range 60 {
					held, err := contender(disk).Acquire(t.Context())
					if err != nil {
						time.Sleep(time.Second)
						continue
					}
					kept := life.New(in.Context())
					require.True(t, held.Keep(kept, nil))
					for i := range (me*7+round)%4 + 1 {
						if time.Now().Before(held.Until()) {
							relies(me, held.Until())
						}
						disk.late.Store(round%2 == 0)
						disk.fail.Store((round+i)%3 == 0)
						time.Sleep(time.Duration(me) * 1700 * time.Millisecond)
					}
					disk.fail.Store(false)
					if round%5 != 0 { // or else it crashes
						gives(me)
						assert.NoError(t, held.Release(t.Context()))
					}
					kept.Stop(nil)
					assert.NoError(t, kept.Wait(t.Context()))
					time.Sleep(2 * time.Second) // the others want it, too
				}
			})
		}
		wg.Wait()
		assert.Greater(t, turns, 100, "it changes hands")
	})
}

func TestARenewalThatWaitedForTheReleaseIsNoLoss(t *testing.T) {
	virtual(t, func(t *testing.T, in *life.Life) {
		var lost atomic.Int64
		for range 200 { // they meet at one instant, and either may be first
			held, err := contender(storage.NewMemory()).Acquire(t.Context())
			require.NoError(t, err)
			require.True(t, held.Keep(in, func() { lost.Add(1) }))
			time.Sleep(claim.Beat)
			require.NoError(t, held.Release(t.Context()))
		}
		require.NoError(t, in.Wait(t.Context()))
		assert.Zero(t, lost.Load())
	})
}

// Watchers that do not live long find out together that a holder is dead: none of the
// time that one of them has watched counts twice.
func TestWatchersFindOutTogetherThatAHolderIsDead(t *testing.T) {
	for _, lives := range []time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second, time.Hour} {
		for _, together := range []int{1, 3} {
			t.Run(fmt.Sprint(lives, together), func(t *testing.T) {
				virtual(t, func(t *testing.T, _ *life.Life) {
					store := storage.NewMemory()
					_, err := contender(store, "dead").Acquire(t.Context())
					require.NoError(t, err)
					died := time.Now()
					var mu sync.Mutex
					var taken time.Duration
					free := func() bool { mu.Lock(); defer mu.Unlock(); return taken == 0 }
					var wg sync.WaitGroup
					for i := range together {
						wg.Go(func() {
							time.Sleep(time.Duration(i) * 300 * time.Millisecond)
							for n := 0; free() && n < 40; n++ {
								ctx, cancel := context.WithTimeout(t.Context(), lives)
								_, err := contender(store, fmt.Sprint(i, n)).Acquire(ctx)
								cancel()
								if err == nil && free() {
									mu.Lock()
									taken = time.Since(died)
									mu.Unlock()
								}
							}
						})
					}
					wg.Wait()
					assert.GreaterOrEqual(t, taken, claim.TTL)
					assert.LessOrEqual(t, taken, 2*claim.TTL+5*time.Second, "lives of %v, %d at a time", lives, together)
				})
			})
		}
	}
}

// Notes of watchers, at whatever moment, take no lease from a holder who lives, and cost
// next to nothing.
func TestAHolderIsNotDisturbedByThoseWhoWatch(t *testing.T) {
	virtual(t, func(t *testing.T, in *life.Life) {
		store := &swaps{Store: storage.NewMemory()}
		held, err := contender(store, "holder").Acquire(t.Context())
		require.NoError(t, err)
		require.True(t, held.Keep(in, func() { t.Error("lost") }))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 270 * time.Millisecond)
				_, err := contender(store, fmt.Sprint(i)).Acquire(ctx)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
			})
		}
		wg.Wait()
		store.mu.Lock()
		defer store.mu.Unlock()
		assert.Less(t, store.n, 3600/5+60)
	})
}

// swaps counts them.
type swaps struct {
	storage.Store
	mu sync.Mutex
	n  int
}

func (s *swaps) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	s.mu.Lock()
	s.n++
	s.mu.Unlock()
	return s.Store.CompareAndSwap(ctx, key, old, new)
}
