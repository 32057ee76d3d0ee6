package storagetest_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/storagetest"
)

// faulty is a store that keeps the promises but those which a field breaks.
type faulty struct {
	storage.Store
	get    func(key string, v []byte, err error) ([]byte, error)
	set    func(key string, v []byte) (string, []byte)
	delete func(err error) error
	swap   func(ctx context.Context, s storage.Store, key string, old, new []byte) (bool, error)
	ctx    bool // contexts are ignored
}

func (f *faulty) use(ctx context.Context) context.Context {
	if f.ctx {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

func (f *faulty) Get(ctx context.Context, key string) ([]byte, error) {
	v, err := f.Store.Get(f.use(ctx), key)
	if f.get != nil {
		return f.get(key, v, err)
	}
	return v, err
}

func (f *faulty) Set(ctx context.Context, key string, value []byte) error {
	if f.set != nil {
		key, value = f.set(key, value)
	}
	return f.Store.Set(f.use(ctx), key, value)
}

func (f *faulty) Delete(ctx context.Context, key string) error {
	if f.delete != nil {
		return f.delete(f.Store.Delete(f.use(ctx), key))
	}
	return f.Store.Delete(f.use(ctx), key)
}

func (f *faulty) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if f.swap != nil {
		return f.swap(f.use(ctx), f.Store, key, old, new)
	}
	return f.Store.CompareAndSwap(f.use(ctx), key, old, new)
}

// retaining keeps the slices it is given, and gives away those it keeps.
type retaining struct {
	storage.Store
	mu     sync.Mutex
	values map[string][]byte
}

func (r *retaining) Set(ctx context.Context, key string, value []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.values == nil {
		r.values = map[string][]byte{}
	}
	r.values[key] = value
	return r.Store.Set(ctx, key, value)
}

func (r *retaining) Get(ctx context.Context, key string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.values[key]; len(v) > 0 && ctx.Err() == nil {
		return v, nil
	}
	return r.Store.Get(ctx, key)
}

var faults = map[string]func() storage.Store{
	"none":             storage.NewMemory,
	"keeps the slices": func() storage.Store { return &retaining{Store: storage.NewMemory()} },
	"missing is nil": func() storage.Store {
		return &faulty{Store: storage.NewMemory(), get: func(_ string, v []byte, err error) ([]byte, error) {
			if err != nil {
				return nil, nil
			}
			return v, nil
		}}
	},
	"keys without case": func() storage.Store {
		return &faulty{Store: storage.NewMemory(), set: func(k string, v []byte) (string, []byte) { return strings.ToLower(k), v }}
	},
	"keys that are cut": func() storage.Store {
		return &faulty{Store: storage.NewMemory(), set: func(k string, v []byte) (string, []byte) { return k[:min(len(k), 255)], v }}
	},
	"values that are cut": func() storage.Store {
		return &faulty{Store: storage.NewMemory(), set: func(k string, v []byte) (string, []byte) { return k, v[:min(len(v), 1<<20)] }}
	},
	"values are text": func() storage.Store {
		return &faulty{Store: storage.NewMemory(), set: func(k string, v []byte) (string, []byte) { return k, bytes.ToValidUTF8(v, []byte("?")) }}
	},
	"deleting twice fails": func() storage.Store {
		deleted := false
		return &faulty{Store: storage.NewMemory(), delete: func(err error) error {
			if deleted {
				return storage.ErrNotFound
			}
			deleted = true
			return err
		}}
	},
	"contexts are ignored": func() storage.Store { return &faulty{Store: storage.NewMemory(), ctx: true} },
	"swaps always": func() storage.Store {
		return &faulty{Store: storage.NewMemory(), swap: func(ctx context.Context, s storage.Store, key string, _, new []byte) (bool, error) {
			return true, s.Set(ctx, key, new)
		}}
	},
	"empty is nothing": func() storage.Store {
		return &faulty{Store: storage.NewMemory(), swap: func(ctx context.Context, s storage.Store, key string, old, new []byte) (bool, error) {
			if len(old) == 0 {
				old = nil
			}
			return s.CompareAndSwap(ctx, key, old, new)
		}}
	},
	"nil is not removal": func() storage.Store {
		return &faulty{Store: storage.NewMemory(), swap: func(ctx context.Context, s storage.Store, key string, old, new []byte) (bool, error) {
			return s.CompareAndSwap(ctx, key, old, append([]byte{}, new...))
		}}
	},
	"two steps": func() storage.Store {
		return &faulty{Store: storage.NewMemory(), swap: func(ctx context.Context, s storage.Store, key string, old, new []byte) (bool, error) {
			if ok, err := s.CompareAndSwap(ctx, key, old, old); !ok || err != nil {
				return ok, err
			}
			runtime.Gosched()
			if new == nil {
				return true, s.Delete(ctx, key)
			}
			return true, s.Set(ctx, key, new)
		}}
	},
}

const fault = "STORAGETEST_FAULT"

// A process of its own runs the suite on each faulty store, since it must fail.
func TestFaultyStore(t *testing.T) {
	open, ok := faults[os.Getenv(fault)]
	if !ok {
		t.Skip("run by TestEveryFaultIsFound")
	}
	storagetest.Run(t, func(*testing.T) storage.Store { return open() })
}

func TestEveryFaultIsFound(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestFaultyStore$", "-test.count=1")
			cmd.Env = append(os.Environ(), fault+"="+name)
			out, err := cmd.CombinedOutput()
			if name == "none" {
				assert.NoError(t, err, "%s", out)
				return
			}
			assert.Error(t, err, "a store with this fault passes")
			assert.Contains(t, string(out), "--- FAIL: TestFaultyStore")
		})
	}
}
