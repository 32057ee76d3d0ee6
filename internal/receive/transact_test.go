package receive_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/life"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// shaky is a Store whose transactions fail as those of a database behind a network do. A
// function finds its transaction in its context.
type shaky struct {
	storage.Transactional
	mu      sync.Mutex
	rnd     *rand.Rand
	faults  bool
	fence   bool // a swap compares
	updates int
	lost    int // commits whose answer was lost
}

type txKey struct{}

var errCut = errors.New("the connection was cut")

func tx(ctx context.Context) storage.Store { return ctx.Value(txKey{}).(storage.Store) }

// unfenced is a transaction whose swaps are always made.
type unfenced struct{ storage.Store }

func (s unfenced) CompareAndSwap(ctx context.Context, key string, _, new []byte) (bool, error) {
	return true, s.Set(ctx, key, new)
}

// draw is a number below n, 0 without faults.
func (s *shaky) draw(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.faults {
		return 1
	}
	return s.rnd.IntN(n)
}

func (s *shaky) Update(ctx context.Context, fn func(context.Context, storage.Store) error) error {
	s.mu.Lock()
	s.updates++
	s.mu.Unlock()
	if s.draw(20) == 0 {
		return errCut
	}
	undo, lose := s.draw(20) == 0, s.draw(20) == 0
	err := s.Transactional.Update(ctx, func(ctx context.Context, tx storage.Store) error {
		if !s.fence {
			tx = unfenced{tx}
		}
		err := fn(context.WithValue(ctx, txKey{}, tx), tx)
		if err == nil && undo {
			return errCut
		}
		return err
	})
	if err == nil && lose {
		s.mu.Lock()
		s.lost++
		s.mu.Unlock()
		return errCut
	}
	return err
}

// effects writes what a function does: into the transaction, per conversation and in order.
func effects(ctx context.Context, e feed.Event) error {
	key := fmt.Sprint("done/", e.Row.Conversation)
	before, err := tx(ctx).Get(ctx, key)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return tx(ctx).Set(ctx, key, fmt.Append(before, " ", e.Row.ID))
}

// stray is what a conversation's effects have twice, not at all, or in another order.
func stray(t *testing.T, s storage.Store, src *archive, conversation int64) []string {
	v, err := s.Get(t.Context(), fmt.Sprint("done/", conversation))
	if errors.Is(err, storage.ErrNotFound) {
		err = nil
	}
	require.NoError(t, err)
	var want []string
	src.mu.Lock()
	defer src.mu.Unlock()
	for _, r := range src.list {
		if r.Conversation == conversation {
			want = append(want, strconv.FormatInt(r.ID, 10))
		}
	}
	if got := strings.Fields(string(v)); !slices.Equal(got, want) {
		return []string{fmt.Sprintf("conversation %d: %v, want %v", conversation, got, want)}
	}
	return nil
}

// history runs consumers of one position through a seeded history of failures of the
// function and of the Store, restarts, and leases that are lost while functions run. It
// returns what is not there exactly once.
func history(t *testing.T, seed uint64, fence bool) (violations []string) {
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		var mu sync.Mutex
		number := func(n int) int {
			mu.Lock()
			defer mu.Unlock()
			return rnd.IntN(n)
		}
		src := &archive{conversations: 1 + int64(number(6)), asks: map[int64]int{}}
		store := &shaky{Transactional: storage.NewMemory().(storage.Transactional), rnd: rand.New(rand.NewPCG(seed, 8)), faults: true, fence: fence}
		parallel, batch := 1+number(4), []int{1, 1, 2, 5, 100}[number(5)]
		calm := false
		consume := func() func() {
			r := newReceiver(src, life.New(context.Background()))
			c := consumer(src, r, nil)
			c.Store, c.Parallel, c.Batch = store, parallel, batch
			c.Handle = func(ctx context.Context, e feed.Event) error {
				mu.Lock()
				quiet := calm
				mu.Unlock()
				if quiet {
					return effects(ctx, e)
				}
				early := number(2) == 0
				if early {
					if err := effects(ctx, e); err != nil {
						return err
					}
				}
				time.Sleep(time.Duration(number(3)*number(2000)) * time.Millisecond)
				switch {
				case number(10) == 0:
					return errPoison
				case early:
					return nil
				}
				return effects(ctx, e)
			}
			c.GiveUp = func(ctx context.Context, e feed.Event, _ error) error {
				if number(3) == 0 {
					return errPoison
				}
				return effects(ctx, e)
			}
			c.MaxAttempts = 3
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- c.Run(ctx) }()
			return func() {
				stop()
				assert.ErrorIs(t, <-ended, context.Canceled, "a consumer lasts, whatever the Store does")
				r.Stop(nil)
			}
		}
		stops := []func(){consume(), consume()}
		for range 30 {
			src.add(1+int64(number(int(src.conversations))), number(4))
			time.Sleep(time.Duration(number(8000)) * time.Millisecond)
			switch number(6) {
			case 0:
				i := number(2)
				stops[i]()
				stops[i] = consume()
			case 1, 2: // whoever has it is suspended, as far as the others can see
				_ = store.Delete(t.Context(), "k/lease")
			}
		}
		mu.Lock()
		calm = true
		mu.Unlock()
		store.mu.Lock()
		store.faults = false
		store.mu.Unlock()
		time.Sleep(time.Hour)
		for _, stop := range stops {
			stop()
		}
		for c := range src.conversations {
			violations = append(violations, stray(t, store, src, c+1)...)
		}
	})
	return violations
}

// However functions, transactions and leases fail, what a function writes in its
// transaction is there once for each message, in order.
func TestEffectsInTheTransactionAreThereExactlyOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		assert.Empty(t, history(t, seed, true), "seed %d", seed)
	}
}

// The same histories double effects when nothing compares the position: the test notices.
func TestWithoutTheFenceEffectsAreDoubled(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		if len(history(t, seed, false)) > 0 {
			return
		}
	}
	t.Error("no history shows that a zombie's effects are not undone")
}

// single is a Store that lets one transaction write at a time, as SQLite does.
type single struct {
	storage.Transactional
	writer chan struct{}
}

func (s *single) lock(ctx context.Context) error {
	select {
	case s.writer <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *single) Set(ctx context.Context, key string, value []byte) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer func() { <-s.writer }()
	return s.Transactional.Set(ctx, key, value)
}

func (s *single) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if err := s.lock(ctx); err != nil {
		return false, err
	}
	defer func() { <-s.writer }()
	return s.Transactional.CompareAndSwap(ctx, key, old, new)
}

func (s *single) Update(ctx context.Context, fn func(context.Context, storage.Store) error) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer func() { <-s.writer }()
	return s.Transactional.Update(ctx, func(ctx context.Context, tx storage.Store) error {
		return fn(context.WithValue(ctx, txKey{}, tx), tx)
	})
}

// A function that takes longer than a lease lasts, in a transaction that keeps everybody from
// renewing it, loses no lease, and is no failure of the Store.
func TestASlowFunctionInATransactionThatLocksTheStoreKeepsItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &archive{conversations: 3, asks: map[int64]int{}}
		store := &single{storage.NewMemory().(storage.Transactional), make(chan struct{}, 1)}
		var mu sync.Mutex
		by := map[int]int{}
		var complaints []error
		var stops []func()
		for i := range 2 {
			r := newReceiver(src, life.New(context.Background()))
			c := consumer(src, r, nil)
			c.Store, c.Parallel = store, 2
			c.Handle = func(ctx context.Context, e feed.Event) error {
				mu.Lock()
				by[i]++
				mu.Unlock()
				if err := effects(ctx, e); err != nil {
					return err
				}
				time.Sleep(time.Minute)
				return nil
			}
			if i == 0 { // the other one waits for the Store, and says so
				c.OnStorage = func(err error) { mu.Lock(); defer mu.Unlock(); complaints = append(complaints, err) }
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- c.Run(ctx) }()
			stops = append(stops, func() { stop(); <-ended; r.Stop(nil) })
			time.Sleep(time.Second)
		}
		for c := range int64(3) {
			src.add(c+1, 3)
		}
		time.Sleep(30 * time.Minute)
		for _, stop := range stops {
			stop()
		}
		for c := range int64(3) {
			assert.Empty(t, stray(t, store, src, c+1))
		}
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, map[int]int{0: 9}, by, "each message is handled once, by the one that began")
		assert.Empty(t, complaints)
	})
}
