package storage

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/fliplet/fliplet-chat-go/internal/few"
)

// memory is a Store that lasts as long as the process.
type memory struct {
	mu     sync.Mutex
	values few.Values // a chat that has no other Store has a handful of them
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
	v, ok := m.values.Get(key)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrNotFound, key)
	}
	return []byte(v), nil
}

func (m *memory) Set(ctx context.Context, key string, value []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values.Set(key, value)
	return nil
}

func (m *memory) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values.Delete(key)
	return nil
}

func (m *memory) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	present, ok := m.values.Get(key)
	if ok != (old != nil) || present != string(old) {
		return false, nil
	}
	if new == nil {
		m.values.Delete(key)
	} else {
		m.values.Set(key, new)
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
	for key := range m.values.Keys() {
		keys = append(keys, key)
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, prefix) })
	slices.Sort(keys)
	return keys, nil
}

// clone copies a value; a stored value is never nil.
func clone(v []byte) []byte { return append([]byte{}, v...) }
