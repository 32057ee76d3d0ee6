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
	// counts is the window in which requests are counted. It is shorter than that of the limit by as much as a busy
	// machine may take from a turn to the count.
	counts = 800 * time.Millisecond
	lease  = 5 * time.Second
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
	if refused, total := s.seen(); refused > 0 || total == 0 {
		t.Errorf("%d of %d requests were more than the limit", refused, total)
	} else {
		t.Logf("%d requests, none refused", total)
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
	for range n {
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

// server counts requests in a sliding window.
type server struct {
	mu             sync.Mutex
	starts         []time.Time
	total, refused int
}

func (s *server) hit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for len(s.starts) > 0 && now.Sub(s.starts[0]) >= counts {
		s.starts = s.starts[1:]
	}
	s.starts = append(s.starts, now)
	s.total++
	if len(s.starts) > n {
		s.refused++
	}
}

func (s *server) seen() (refused, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused, s.total
}
