package limiter_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
	"github.com/fliplet/fliplet-chat-go/limiter"
	"github.com/fliplet/fliplet-chat-go/storage"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const (
	key = "the/limit"
	n   = 200
	per = 10 * time.Second
)

var errDown = errors.New("the store is down")

// server refuses what is more than n in any window.
type server struct {
	mu      sync.Mutex
	starts  []time.Time // of the window that ends now
	total   int
	refused int
	fullest int
}

func (s *server) hit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	gone := 0
	for gone < len(s.starts) && now.Sub(s.starts[gone]) >= per {
		gone++
	}
	s.starts = append(s.starts[gone:], now)
	s.total++
	s.fullest = max(s.fullest, len(s.starts))
	if len(s.starts) > n {
		s.refused++
	}
}

// seen is how many requests were refused, and how many the fullest window has.
func (s *server) seen() (refused, fullest int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused, s.fullest
}

// kept checks that nothing was refused.
func (w *world) kept() {
	w.t.Helper()
	refused, _ := w.seen()
	assert.Zero(w.t, refused, "requests that the server refused")
}

// count is how many requests there were, all of this moment included.
func (s *server) count() int {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

type fault uint8

const (
	well fault = iota
	fails
	hangs
	loses // the answers of writes that are made
	lags  // writes are made long after they were given up
	faults
)

// way is one replica's way to the store.
type way struct {
	storage.Store
	writes atomic.Int64
	slow   bool // now and then

	mu      sync.Mutex
	fault   fault
	random  *rand.Rand
	resumed chan struct{} // not nil while the process is suspended; closed when it goes on
	late    sync.WaitGroup
}

func (w *way) set(f fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
}

func (w *way) suspend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resumed = make(chan struct{})
}

func (w *way) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.resumed)
	w.resumed = nil
}

func (w *way) roll(k int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.IntN(k)
}

// asleep waits while the process is suspended, and reports whether it was.
func (w *way) asleep() (was bool) {
	for {
		w.mu.Lock()
		resumed := w.resumed
		w.mu.Unlock()
		if resumed == nil {
			return was
		}
		was = true
		<-resumed
	}
}

// takes is half of the time of a call, in which a process may be suspended.
func (w *way) takes() {
	most := 5
	if w.slow && w.roll(4) == 0 {
		most = 500
	}
	time.Sleep(time.Duration(1+w.roll(most)) * time.Millisecond)
	w.asleep()
}

func (w *way) begin(ctx context.Context) (fault, error) {
	w.takes()
	w.mu.Lock()
	f := w.fault
	w.mu.Unlock()
	switch f {
	case fails:
		return f, errDown
	case hangs:
		<-ctx.Done()
		return f, context.Cause(ctx)
	}
	return f, nil
}

func (w *way) Get(ctx context.Context, key string) ([]byte, error) {
	if _, err := w.begin(ctx); err != nil {
		return nil, err
	}
	raw, err := w.Store.Get(context.WithoutCancel(ctx), key)
	w.takes()
	return raw, err
}

func (w *way) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	f, err := w.begin(ctx)
	if err != nil {
		return false, err
	}
	w.writes.Add(1)
	if f == lags {
		after := time.Duration(w.roll(40_000)) * time.Millisecond
		w.late.Go(func() {
			time.Sleep(after)
			_, _ = w.Store.CompareAndSwap(context.WithoutCancel(ctx), key, old, new)
		})
		<-ctx.Done()
		return false, context.Cause(ctx)
	}
	ok, err := w.Store.CompareAndSwap(context.WithoutCancel(ctx), key, old, new)
	w.takes()
	if f == loses {
		return false, errDown
	}
	return ok, err
}

// replica is one process.
type replica struct {
	*limiter.Limiter
	way  *way
	made atomic.Int64 // requests

	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup
	mu      sync.Mutex
	idle    []context.CancelFunc // one for each worker
}

// world is replicas, their store and the server.
type world struct {
	t *testing.T
	server
	store  storage.Store
	random *rand.Rand
	travel time.Duration // how long a request takes to the server at most
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{t: t, store: storage.NewMemory(), random: rand.New(rand.NewPCG(seed, 17))}
}

func (w *world) start(opts limiter.Options) *replica {
	r := &replica{way: &way{Store: w.store, slow: w.travel > 0, random: rand.New(rand.NewPCG(w.random.Uint64(), 1))}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	var err error
	r.Limiter, err = limiter.New(r.way, key, n, per, opts)
	require.NoError(w.t, err)
	return r
}

// wants lets so many workers make requests, one after the other.
func (w *world) wants(r *replica, workers int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.idle) > workers {
		r.idle[0]()
		r.idle = r.idle[1:]
	}
	for len(r.idle) < workers {
		ctx, cancel := context.WithCancel(r.ctx)
		r.idle = append(r.idle, cancel)
		r.workers.Go(func() {
			for ctx.Err() == nil {
				r.way.asleep()
				if r.Wait(ctx) != nil {
					return
				}
				if r.way.asleep() { // its turn came while nobody could take it
					continue
				}
				if w.travel > 0 {
					time.Sleep(time.Duration(r.way.roll(int(w.travel))))
				}
				w.hit()
				r.made.Add(1)
			}
		})
	}
}

// rate is how many requests they make in a window, on average over the next five minutes.
func rate(all ...*replica) int {
	const long = 5 * time.Minute
	before := made(all...)
	time.Sleep(long)
	return (made(all...) - before) * int(per/time.Second) / int(long/time.Second)
}

// may is how many requests they may make together in a window now.
func may(all ...*replica) (n int) {
	for _, r := range all {
		_, of, _ := r.Load()
		n += of
	}
	return n
}

// made is how many requests these have made, all of this moment included.
func made(all ...*replica) (n int) {
	synctest.Wait()
	for _, r := range all {
		n += int(r.made.Load())
	}
	return n
}

// dies ends a process without a word.
func (r *replica) dies() {
	r.way.set(fails)
	r.ends()
}

func (r *replica) ends() {
	r.cancel()
	_ = r.Close()
	r.workers.Wait()
	r.way.late.Wait()
}

// closes ends a process as it should.
func (r *replica) closes(t *testing.T) {
	r.cancel()
	r.workers.Wait()
	assert.NoError(t, r.Close())
}

// settled is three replicas that have run for a while, without requests.
func settled(t *testing.T, seed uint64, opts ...limiter.Options) (*world, []*replica) {
	w := newWorld(t, seed)
	var all []*replica
	for i := range 3 {
		o := limiter.Options{}
		if i < len(opts) {
			o = opts[i]
		}
		all = append(all, w.start(o))
	}
	time.Sleep(time.Minute)
	for _, r := range all {
		require.NoError(t, r.Err())
		require.Equal(t, 3, r.Replicas())
	}
	return w, all
}

// virtual runs a test on virtual time.
func virtual(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}
