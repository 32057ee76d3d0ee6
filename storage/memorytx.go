package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
)

// errEnded: a transaction was used after its function had returned.
var errEnded = errors.New("storage: the transaction is over; use it inside the function of Update only")

var errNoFunction = errors.New("storage: fn is nil; give a function")

// memoryTx is a transaction of a memory: what it has written, which the others see when it
// is over, and what it has compared, which must be the same then.
type memoryTx struct {
	of *memory

	mu       sync.Mutex
	over     bool
	written  map[string][]byte // nil for deleted
	compared map[string][]byte // nil for missing
}

var (
	_ Store  = (*memoryTx)(nil)
	_ Lister = (*memoryTx)(nil)
)

// Update is [Transactional.Update].
func (m *memory) Update(ctx context.Context, fn func(context.Context, Store) error) error {
	if fn == nil {
		return errNoFunction
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tx := &memoryTx{of: m, written: map[string][]byte{}, compared: map[string][]byte{}}
	defer tx.end()
	if err := fn(ctx, tx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	tx.mu.Lock()
	defer tx.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, was := range tx.compared {
		if now, ok := m.values.Get(key); ok != (was != nil) || now != string(was) {
			return fmt.Errorf("storage: %q was changed by somebody else during the transaction", key)
		}
	}
	for key, value := range tx.written {
		if value == nil {
			m.values.Delete(key)
		} else {
			m.values.Set(key, value)
		}
	}
	return nil
}

func (x *memoryTx) end() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
}

// use locks the transaction; done unlocks it.
func (x *memoryTx) use(ctx context.Context) (done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	x.mu.Lock()
	if x.over {
		x.mu.Unlock()
		return nil, errEnded
	}
	return x.mu.Unlock, nil
}

// read returns a value, nil for none. mu is held.
func (x *memoryTx) read(key string) []byte {
	if v, ok := x.written[key]; ok {
		return v
	}
	x.of.mu.Lock()
	defer x.of.mu.Unlock()
	if v, ok := x.of.values.Get(key); ok {
		return []byte(v)
	}
	return nil
}

func (x *memoryTx) Get(ctx context.Context, key string) ([]byte, error) {
	done, err := x.use(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	v := x.read(key)
	if v == nil {
		return nil, fmt.Errorf("%w: %q", ErrNotFound, key)
	}
	return clone(v), nil
}

func (x *memoryTx) Set(ctx context.Context, key string, value []byte) error {
	return x.write(ctx, key, clone(value))
}

func (x *memoryTx) Delete(ctx context.Context, key string) error { return x.write(ctx, key, nil) }

func (x *memoryTx) write(ctx context.Context, key string, value []byte) error {
	done, err := x.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	x.written[key] = value
	return nil
}

func (x *memoryTx) CompareAndSwap(ctx context.Context, key string, old, new []byte) (bool, error) {
	done, err := x.use(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	present := x.read(key)
	if (present != nil) != (old != nil) || !bytes.Equal(present, old) {
		return false, nil
	}
	if _, ok := x.written[key]; !ok {
		x.compared[key] = present
	}
	x.written[key] = nil
	if new != nil {
		x.written[key] = clone(new)
	}
	return true, nil
}

func (x *memoryTx) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return listed(ctx, prefix, x.keys)
}

// keys returns the keys that begin with prefix, in order.
func (x *memoryTx) keys(ctx context.Context, prefix string) ([]string, error) {
	done, err := x.use(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	outside, err := x.of.keys(ctx, prefix)
	if err != nil {
		return nil, err
	}
	keys := slices.DeleteFunc(outside, func(key string) bool { _, ok := x.written[key]; return ok })
	for key := range maps.Keys(x.written) {
		if x.written[key] != nil && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}
