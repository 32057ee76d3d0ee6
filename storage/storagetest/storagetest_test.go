package storagetest_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

// listing is a store that lists as a function says.
type listing struct {
	storage.Store
	list func(keys []string, prefix string) iter.Seq2[string, error]
	busy atomic.Bool // a lock that the listing holds
}

func (l *listing) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var keys []string
		for key, err := range l.Store.(storage.Lister).List(ctx, "") {
			if err != nil {
				yield("", err)
				return
			}
			keys = append(keys, key)
		}
		for key, err := range l.list(keys, prefix) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield("", err)
				return
			}
			if !yield(key, nil) {
				return
			}
		}
	}
}

func (l *listing) Get(ctx context.Context, key string) ([]byte, error) {
	if l.busy.Load() {
		return nil, errors.New("locked")
	}
	return l.Store.Get(ctx, key)
}

// lists makes a store that lists the keys which are kept, in the order of the list.
func lists(keep func(keys []string, prefix string) []string) func() storage.Store {
	return func() storage.Store {
		return &listing{Store: storage.NewMemory(), list: func(keys []string, prefix string) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) {
				for _, key := range keep(keys, prefix) {
					if !yield(key, nil) {
						return
					}
				}
			}
		}}
	}
}

func withPrefix(keys []string, prefix string) []string {
	return slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, prefix) })
}

// endless lists on after its context has ended.
type endless struct{ storage.Store }

func (e *endless) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return e.Store.(storage.Lister).List(context.WithoutCancel(ctx), prefix)
}

var faults = map[string]func() storage.Store{
	"none":             storage.NewMemory,
	"none and tells":   tells(func(*telling) {}),
	"lists everything": lists(func(keys []string, _ string) []string { return keys }),
	"lists backwards": lists(func(keys []string, prefix string) []string {
		keys = withPrefix(keys, prefix)
		slices.Reverse(keys)
		return keys
	}),
	"lists what contains the prefix": lists(func(keys []string, prefix string) []string {
		return slices.DeleteFunc(keys, func(key string) bool { return !strings.Contains(key, prefix) })
	}),
	"lists without case": lists(func(keys []string, prefix string) []string {
		return slices.DeleteFunc(keys, func(key string) bool {
			return !strings.HasPrefix(strings.ToLower(key), strings.ToLower(prefix))
		})
	}),
	"lists one page": lists(func(keys []string, prefix string) []string {
		keys = withPrefix(keys, prefix)
		return keys[:min(len(keys), 100)]
	}),
	"lists the last of a page twice": lists(func(keys []string, prefix string) []string {
		if keys = withPrefix(keys, prefix); len(keys) > 100 {
			keys = slices.Insert(keys, 100, keys[99])
		}
		return keys
	}),
	"lists on after its context": func() storage.Store { return &endless{storage.NewMemory()} },
	"lists under a lock": func() storage.Store {
		l := &listing{Store: storage.NewMemory()}
		l.list = func(keys []string, prefix string) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) {
				l.busy.Store(true)
				defer l.busy.Store(false)
				for _, key := range withPrefix(keys, prefix) {
					if !yield(key, nil) {
						return
					}
				}
			}
		}
		return l
	},
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
		var deleted atomic.Bool
		return &faulty{Store: storage.NewMemory(), delete: func(err error) error {
			if deleted.Swap(true) {
				return storage.ErrNotFound
			}
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
	"tells nothing":           tells(func(t *telling) { t.mute = func(string, []byte, []byte) bool { return true } }),
	"tells of no deletions":   tells(func(t *telling) { t.mute = func(_ string, _, new []byte) bool { return new == nil } }),
	"tells of no creations":   tells(func(t *telling) { t.mute = func(_ string, old, _ []byte) bool { return old == nil } }),
	"drops who does not read": tells(func(t *telling) { t.drops = true }),
	"watches for ever":        tells(func(t *telling) { t.endless = true }),
	"closes its channels":     tells(func(t *telling) { t.closes = true }),
	"scrubs what is there":    func() storage.Store { return &careless{storage.NewMemory()} },
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

// careless removes more than it should when it scrubs.
type careless struct{ storage.Store }

func (c *careless) Scrub(ctx context.Context) error { return c.Delete(ctx, "kept 7") }

// finds says which check has to find a fault.
var finds = map[string]string{
	"keeps the slices":               "values are copied in and out",
	"missing is nil":                 "a missing key is not found",
	"keys without case":              "keys are told apart byte by byte",
	"keys that are cut":              "long keys and values are kept",
	"values that are cut":            "long keys and values are kept",
	"values are text":                "a value is returned as it was set",
	"deleting twice fails":           "deleting removes one key and is not an error twice",
	"contexts are ignored":           "an ended context is refused and changes nothing",
	"swaps always":                   "compare and swap changes only what it expects",
	"empty is nothing":               "an empty value is a value",
	"nil is not removal":             "a nil new value removes the key",
	"scrubs what is there":           "scrubbing changes no value",
	"tells nothing":                  "a watch tells of every kind of change",
	"tells of no deletions":          "a watch tells of every kind of change",
	"tells of no creations":          "a watch tells of every kind of change",
	"drops who does not read":        "a watch that nobody reads keeps nobody from writing, and goes on",
	"watches for ever":               "a watch ends with its context, and no other does",
	"closes its channels":            "a watch ends with its context, and no other does",
	"two steps":                      "concurrent swaps lose no increment",
	"lists everything":               "a listing has the keys with a prefix in order",
	"lists backwards":                "a listing has the keys with a prefix in order",
	"lists what contains the prefix": "a listing has the keys with a prefix in order",
	"lists without case":             "a listing has the keys with a prefix in order",
	"lists one page":                 "a long listing has every key once, also when its loop uses the store",
	"lists the last of a page twice": "a long listing has every key once, also when its loop uses the store",
	"lists on after its context":     "a listing ends with its context",
	"lists under a lock":             "a long listing has every key once, also when its loop uses the store",
}

// faultsRun makes TestFaultyStores do what it is for.
const faultsRun = "STORAGETEST_FAULTS"

// A process of its own runs checks on faulty stores, since they must fail.
func TestFaultyStores(t *testing.T) {
	if os.Getenv(faultsRun) == "" {
		t.Skip("run by TestEveryFaultIsFound")
	}
	*storagetest.ToldWithin = time.Second // these stores tell before they return
	for name, open := range faults {
		t.Run(name, func(t *testing.T) {
			storagetest.Run(t, func(*testing.T) storage.Store { return open() })
		})
	}
}

// check runs the checks that match on the faulty stores that match.
func check(t *testing.T, stores, checks string) (string, error) {
	pattern := strings.ReplaceAll("^TestFaultyStores$/^("+stores+")$/^("+checks+")$", " ", "_")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+pattern, "-test.count=1", "-test.v")
	cmd.Env = append(os.Environ(), faultsRun+"=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestEveryFaultIsFound(t *testing.T) {
	t.Parallel()
	byCheck := map[string][]string{}
	for name := range faults {
		if !strings.HasPrefix(name, "none") {
			require.NotEmpty(t, finds[name], "which check finds %q?", name)
			byCheck[finds[name]] = append(byCheck[finds[name]], name)
		}
	}
	for checked, names := range byCheck {
		t.Run(checked, func(t *testing.T) {
			t.Parallel()
			out, err := check(t, strings.Join(names, "|"), checked)
			assert.Error(t, err)
			for _, name := range names {
				assert.Contains(t, out, failed(name, checked), "a store with the fault %q passes", name)
			}
		})
	}
	t.Run("a store without one passes", func(t *testing.T) {
		t.Parallel()
		out, err := check(t, "none|none and tells", ".*")
		assert.NoError(t, err, "%s", out)
	})
}

// failed is the line that tells of a check that a store has not passed.
func failed(store, check string) string {
	return "--- FAIL: " + strings.ReplaceAll("TestFaultyStores/"+store+"/"+check, " ", "_") + " ("
}
