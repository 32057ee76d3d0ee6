package storage

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
)

// memory is a Store that lasts as long as the process.
type memory struct {
	mu     sync.Mutex
	values values
}

// values are pairs of keys and values. Few lie in a list, since a chat that has no other
// Store has a handful of them, and a map takes twice as much.
type values struct {
	list []pair
	all  map[string][]byte // in place of list, once there are more than fewValues
}

type pair struct {
	key   string
	value []byte
}

// fewValues is how many values a list holds.
const fewValues = 8

func (v *values) at(key string) int {
	return slices.IndexFunc(v.list, func(p pair) bool { return p.key == key })
}

func (v *values) get(key string) ([]byte, bool) {
	if i := v.at(key); i >= 0 {
		return v.list[i].value, true
	}
	value, ok := v.all[key]
	return value, ok
}

func (v *values) set(key string, value []byte) {
	switch i := v.at(key); {
	case i >= 0:
		v.list[i].value = value
	case v.all != nil:
		v.all[key] = value
	case len(v.list) < fewValues:
		v.list = append(make([]pair, 0, len(v.list)+1), v.list...) // twice as much would stay empty
		v.list = append(v.list, pair{key, value})
	default:
		v.all = map[string][]byte{key: value}
		for _, p := range v.list {
			v.all[p.key] = p.value
		}
		v.list = nil
	}
}

func (v *values) delete(key string) {
	delete(v.all, key)
	v.list = slices.DeleteFunc(v.list, func(p pair) bool { return p.key == key })
}

var (
	_ Store         = (*memory)(nil)
	_ Lister        = (*memory)(nil)
	_ Transactional = (*memory)(nil)
)

// NewMemory returns a Store that keeps its values in memory. It is a [Lister] and a
// [Transactional], too. Its transactions wait for nobody: when somebody else has changed
// what one of them has swapped, its Update fails.
func NewMemory() Store { return &memory{} }

func (m *memory) Get(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values.get(key)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrNotFound, key)
	}
	return clone(v), nil
}

func (m *memory) Set(ctx context.Context, key string, value []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values.set(key, clone(value))
	return nil
}

func (m *memory) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values.delete(key)
	return nil
}

func (m *memory) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	present, ok := m.values.get(key)
	if ok != (old != nil) || !bytes.Equal(present, old) {
		return false, nil
	}
	if new == nil {
		m.values.delete(key)
	} else {
		m.values.set(key, clone(new))
	}
	return true, nil
}

func (m *memory) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return listed(ctx, prefix, m.keys)
}

// listed yields the keys that a function returns at once.
func listed(ctx context.Context, prefix string, all func(context.Context, string) ([]string, error)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		keys, err := all(ctx, prefix)
		for _, key := range keys {
			if err = ctx.Err(); err != nil {
				break
			}
			if !yield(key, nil) {
				return
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}

// keys returns the keys that begin with prefix, in order.
func (m *memory) keys(ctx context.Context, prefix string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for key := range m.values.all {
		keys = append(keys, key)
	}
	for _, p := range m.values.list {
		keys = append(keys, p.key)
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, prefix) })
	slices.Sort(keys)
	return keys, nil
}

// clone copies a value; a stored value is never nil.
func clone(v []byte) []byte { return append([]byte{}, v...) }
