package storagetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/storagetest"
)

type function = func(context.Context, storage.Store) error

// transacting is a store whose Update is another one.
type transacting struct {
	storage.Store
	update func(ctx context.Context, s storage.Transactional, fn function) error
}

func (s *transacting) Update(ctx context.Context, fn func(context.Context, storage.Store) error) error {
	return s.update(ctx, s.Store.(storage.Transactional), fn)
}

func updates(update func(ctx context.Context, s storage.Transactional, fn function) error) func() storage.Store {
	return func() storage.Store { return &transacting{storage.NewMemory(), update} }
}

// blind is a transaction whose swaps hold for a moment only.
type blind struct{ storage.Store }

func (x blind) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	present, err := x.Get(ctx, key)
	if err != nil && !errors.Is(err, storage.ErrNotFound) || (err == nil) != (old != nil) || !bytes.Equal(present, old) {
		return false, nil
	}
	return true, x.Set(ctx, key, new)
}

// outside is a transaction that reads what is committed.
type outside struct {
	storage.Store
	of storage.Store
}

func (x outside) Get(ctx context.Context, key string) ([]byte, error) { return x.of.Get(ctx, key) }

// init adds the faults of transactions to those that TestEveryFaultIsFound looks for.
func init() {
	for _, f := range []struct {
		name, found string
		open        func() storage.Store
	}{
		{"updates at once", "what a transaction writes takes effect together, and is seen by nobody before",
			updates(func(ctx context.Context, s storage.Transactional, fn function) error { return fn(ctx, s) })},
		{"updates twice", "what a transaction writes takes effect together, and is seen by nobody before",
			updates(func(ctx context.Context, s storage.Transactional, fn function) error {
				return s.Update(ctx, func(ctx context.Context, tx storage.Store) error { return errors.Join(fn(ctx, tx), fn(ctx, tx)) })
			})},
		{"updates in spite of an error", "a transaction whose function fails or panics changes nothing",
			updates(func(ctx context.Context, s storage.Transactional, fn function) (err error) {
				return errors.Join(s.Update(ctx, func(ctx context.Context, tx storage.Store) error { err = fn(ctx, tx); return nil }), err)
			})},
		{"wraps errors", "a transaction whose function fails or panics changes nothing",
			updates(func(ctx context.Context, s storage.Transactional, fn function) error {
				if err := s.Update(ctx, fn); err != nil {
					return fmt.Errorf("update: %w", err)
				}
				return nil
			})},
		{"reads outside", "a transaction reads what it wrote, and swaps compare with it",
			updates(func(ctx context.Context, s storage.Transactional, fn function) error {
				return s.Update(ctx, func(ctx context.Context, tx storage.Store) error { return fn(ctx, outside{tx, s}) })
			})},
		{"updates with an ended context", "a transaction ends with its context, whole or not at all",
			updates(func(ctx context.Context, s storage.Transactional, fn function) error {
				return s.Update(context.WithoutCancel(ctx), fn)
			})},
		{"goes on when it is over", "a transaction that is over does nothing",
			updates(func(ctx context.Context, s storage.Transactional, fn function) error { return fn(ctx, s) })},
		{"swaps what is not there any more", "a swap in a transaction is not overtaken by another writer",
			updates(func(ctx context.Context, s storage.Transactional, fn function) error {
				return s.Update(ctx, func(ctx context.Context, tx storage.Store) error { return fn(ctx, blind{tx}) })
			})},
	} {
		faults[f.name], finds[f.name] = f.open, f.found
	}
}

var errSevered = errors.New("the connection was cut")

// severed is a store of which each call takes two steps: it is made, and its answer comes.
type severed struct {
	storage.Store
	line *line
}

type line struct {
	mu   sync.Mutex
	left int
	hit  bool
}

func (l *line) cut(after int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.hit = after, false
}

func (l *line) wasHit() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hit
}

func (l *line) step() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left > 0 {
		l.left--
	} else if l.left == 0 {
		l.left, l.hit = -1, true
		return errSevered
	}
	return nil
}

// call makes a call of two steps.
func (l *line) call(fn func() error) error {
	if err := l.step(); err != nil {
		return err
	}
	err := fn()
	if lost := l.step(); lost != nil {
		return lost
	}
	return err
}

func (s *severed) Get(ctx context.Context, key string) (v []byte, err error) {
	err = s.line.call(func() (err error) { v, err = s.Store.Get(ctx, key); return err })
	return v, err
}

func (s *severed) Set(ctx context.Context, key string, v []byte) error {
	return s.line.call(func() error { return s.Store.Set(ctx, key, v) })
}

func (s *severed) Delete(ctx context.Context, key string) error {
	return s.line.call(func() error { return s.Store.Delete(ctx, key) })
}

func (s *severed) CompareAndSwap(ctx context.Context, key string, old, new []byte) (did bool, err error) {
	err = s.line.call(func() (err error) { did, err = s.Store.CompareAndSwap(ctx, key, old, new); return err })
	return did && err == nil, err
}

func (s *severed) Update(ctx context.Context, fn func(context.Context, storage.Store) error) error {
	if err := s.line.step(); err != nil {
		return err
	}
	err := s.Store.(storage.Transactional).Update(ctx, func(ctx context.Context, tx storage.Store) error {
		if err := fn(ctx, &severed{tx, s.line}); err != nil {
			return err
		}
		return s.line.step()
	})
	if lost := s.line.step(); lost != nil {
		return lost
	}
	return err
}

func TestAStoreBehindALineThatIsCutPasses(t *testing.T) {
	t.Parallel()
	storagetest.RunFaults(t, func(*testing.T) storagetest.Faulty {
		memory, l := storage.NewMemory(), &line{left: -1}
		return storagetest.Faulty{Store: &severed{memory, l}, Sound: memory, Cut: l.cut, Hit: l.wasHit}
	})
}

// cutFaults are stores that do not keep their promises when they are cut, and which check
// has to find that.
var cutFaults = map[string]struct {
	found string
	bend  func(memory storage.Store, l *line) storage.Store
}{
	"halves of values": {"a value is set whole or not at all", func(memory storage.Store, l *line) storage.Store {
		return &halving{severed{memory, l}}
	}},
	"tries again": {"a swap whose answer is lost is in force or not, and a look tells", func(memory storage.Store, l *line) storage.Store {
		return &stubborn{severed{memory, l}}
	}},
	"nothing is there": {"a reading fails or is right", func(memory storage.Store, l *line) storage.Store {
		return &forgetful{severed{memory, l}}
	}},
	"no transactions": {"a transaction is there as a whole or not at all", func(memory storage.Store, l *line) storage.Store {
		return &transacting{&severed{memory, l}, func(ctx context.Context, s storage.Transactional, fn function) error { return fn(ctx, s) }}
	}},
	"updates again": {"increments by transactions are counted once", func(memory storage.Store, l *line) storage.Store {
		return &transacting{&severed{memory, l}, func(ctx context.Context, s storage.Transactional, fn function) error {
			err := s.Update(ctx, fn)
			if errors.Is(err, errSevered) {
				err = s.Update(ctx, func(ctx context.Context, tx storage.Store) error { return fn(ctx, forceful{tx}) })
			}
			return err
		}}
	}},
}

// forceful is a transaction whose swaps are always made.
type forceful struct{ storage.Store }

func (x forceful) CompareAndSwap(ctx context.Context, key string, _, new []byte) (bool, error) {
	if v, err := x.Get(ctx, key); err == nil && strings.HasPrefix(key, "counter") {
		new = append(v, 'x')
	}
	return true, x.Set(ctx, key, new)
}

type halving struct{ severed }

func (s *halving) Set(ctx context.Context, key string, v []byte) error {
	if err := s.line.call(func() error { return s.Store.Set(ctx, key, v[:len(v)/2]) }); err != nil {
		return err
	}
	return s.line.call(func() error { return s.Store.Set(ctx, key, v) })
}

type stubborn struct{ severed }

func (s *stubborn) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	ok, err := s.severed.CompareAndSwap(ctx, key, old, new)
	if errors.Is(err, errSevered) {
		return s.Store.CompareAndSwap(ctx, key, old, new) // which was made before, perhaps
	}
	return ok, err
}

type forgetful struct{ severed }

func (s *forgetful) Get(ctx context.Context, key string) ([]byte, error) {
	v, err := s.severed.Get(ctx, key)
	if errors.Is(err, errSevered) {
		err = storage.ErrNotFound
	}
	return v, err
}

// A process of its own runs the checks that must fail.
func TestFaultyConnections(t *testing.T) {
	if os.Getenv(faultsRun) == "" {
		t.Skip("run by TestEveryFaultOfAConnectionIsFound")
	}
	*storagetest.ToldWithin = time.Second // these servers are busy with nothing
	for name, f := range cutFaults {
		t.Run(name, func(t *testing.T) {
			storagetest.RunFaults(t, func(*testing.T) storagetest.Faulty {
				memory, l := storage.NewMemory(), &line{left: -1}
				return storagetest.Faulty{Store: f.bend(memory, l), Sound: memory, Cut: l.cut, Hit: l.wasHit}
			})
		})
	}
}

func TestEveryFaultOfAConnectionIsFound(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(cutFaults)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := cutFaults[name].found
			pattern := strings.ReplaceAll("^TestFaultyConnections$/^"+name+"$/^"+found+"$", " ", "_")
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+pattern, "-test.count=1", "-test.v")
			cmd.Env = append(os.Environ(), faultsRun+"=1")
			out, err := cmd.CombinedOutput()
			require.Error(t, err)
			assert.Contains(t, string(out), "--- FAIL: "+strings.ReplaceAll("TestFaultyConnections/"+name+"/"+found, " ", "_")+" (")
		})
	}
}

func TestAProxyCutsAfterTheStepsThatItWasTold(t *testing.T) {
	t.Parallel()
	server, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer server.Close()
	go func() { // it says everything again
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	p := storagetest.NewProxy(t, server.Addr().String())
	say := func(c net.Conn) error {
		if _, err := c.Write([]byte("hello")); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 5))
		return err
	}
	for steps := range 3 {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr())
		require.NoError(t, err)
		require.NoError(t, say(c))
		assert.False(t, p.Hit())
		p.Cut(steps)
		if err := say(c); steps < 2 {
			assert.Error(t, err, "after %d steps", steps)
		} else {
			assert.NoError(t, err)
		}
		assert.Equal(t, steps < 2, p.Hit())
		p.Cut(-1)
		c.Close()
	}
	p.Down(true)
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr())
	require.NoError(t, err)
	assert.Error(t, say(c))
	c.Close()
	p.Down(false)
	c, err = new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr())
	require.NoError(t, err)
	assert.NoError(t, say(c))
	c.Close()
}
