// Package limitertest checks, in real time, that replicas share one limit over the Store of a real engine.
package limitertest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fliplet/fliplet-chat-go/limiter"
	"github.com/fliplet/fliplet-chat-go/storage"
)

const (
	n   = 50
	per = time.Second
	// workers of a replica wait for their turn, or have just had it.
	workers = 10
	lease   = 5 * time.Second
	// patience is for a machine that does much else.
	patience = time.Minute
)

// Share runs three replicas for a while, each over a Store that open returns, with more to do than the limit allows, kills
// one of them, and runs the others for as long. All Stores must be of one place, which has no value under "the/limit".
func Share(t testing.TB, long time.Duration, open func() storage.Store) {
	t.Helper()
	s := new(server)
	var all []*replica
	for range 3 {
		all = append(all, begin(t, open(), s))
	}
	defer func() {
		for _, r := range all[:2] {
			r.end()
			if err := r.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
	}()
	until(t, "all three have most of the limit together", func() bool { return may(all) >= n*9/10 && healthy(all) })
	time.Sleep(long)
	all[2].dead.Store(true)
	all[2].end()
	_ = all[2].Close() // it cannot say so
	until(t, "the other two have most of it", func() bool { return may(all[:2]) >= n*9/10 && all[0].Replicas() == 2 })
	time.Sleep(long)
	over, total := s.seen()
	t.Logf("%d requests, in no time more than %d above the limit", total, over)
	if total == 0 || over > len(all)*workers {
		t.Errorf("%d requests, %d above the limit; at most %d can be late", total, over, len(all)*workers)
	}
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Errorf("not within %s: %s", patience, what)
			return
		}
	}
}

func may(all []*replica) (sum int) {
	for _, r := range all {
		_, of, _ := r.Load()
		sum += of
	}
	return sum
}

func healthy(all []*replica) bool {
	for _, r := range all {
		if r.Err() != nil || r.Replicas() != len(all) {
			return false
		}
	}
	return true
}

// replica is one process.
type replica struct {
	*limiter.Limiter
	gate
	stop    context.CancelFunc
	workers sync.WaitGroup
}

// gate is a Store until its process is dead.
type gate struct {
	storage.Store
	dead atomic.Bool
}

var errDead = errors.New("the process is dead")

func (g *gate) Get(ctx context.Context, key string) ([]byte, error) {
	if g.dead.Load() {
		return nil, errDead
	}
	return g.Store.Get(ctx, key)
}

func (g *gate) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if g.dead.Load() {
		return false, errDead
	}
	return g.Store.CompareAndSwap(ctx, key, old, new)
}

func begin(t testing.TB, store storage.Store, s *server) *replica {
	t.Helper()
	r := &replica{gate: gate{Store: store}}
	var err error
	if r.Limiter, err = limiter.New(&r.gate, "the/limit", n, per, limiter.Options{Lease: lease}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	for range workers {
		r.workers.Go(func() {
			for r.Wait(ctx) == nil {
				s.hit()
			}
		})
	}
	return r
}

// end lets it make no more requests.
func (r *replica) end() {
	r.stop()
	r.workers.Wait()
}

// server notes when requests came.
type server struct {
	mu   sync.Mutex
	came []time.Time
}

func (s *server) hit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.came = append(s.came, time.Now())
}

// seen is how many requests came, and by how many there were more at most in any time than may start in it. Between a
// turn and its request a busy machine may do anything else for long, so each worker can have one that is late, and no
// more: whatever is above that was no right turn.
func (s *server) seen() (over, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, first := range s.came {
		for j, last := range s.came[i:] {
			windows := int(last.Sub(first)/per) + 1
			over = max(over, j+1-n*windows)
		}
	}
	return over, len(s.came)
}
