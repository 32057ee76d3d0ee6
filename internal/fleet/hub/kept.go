package hub

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
)

// Kept are values that are made once and used again. It is safe for concurrent use. The zero
// value is empty, once Most and Drop are set.
type Kept[V comparable] struct {
	Most int     // how many are kept that nobody uses
	Drop func(V) // is called with those that are not kept any more

	mu   sync.Mutex
	of   map[string]*kept[V]
	uses uint64
}

type kept[V comparable] struct {
	value V
	err   error
	ready chan struct{}
	users int
	last  uint64 // the number of the last use

	forgotten bool
}

// Use returns the value of a key, which fn makes if there is none. Concurrent calls for one
// key wait for one fn. After it succeeded the caller has to call done.
func (k *Kept[V]) Use(ctx context.Context, key string, fn func(context.Context) (V, error)) (_ V, done func(), err error) {
	var none V
	for {
		k.mu.Lock()
		e, ok := k.of[key]
		if !ok {
			e = &kept[V]{ready: make(chan struct{})}
			if k.of == nil {
				k.of = map[string]*kept[V]{}
			}
			k.of[key] = e
		}
		e.users++
		k.mu.Unlock()
		if !ok {
			e.value, e.err = fn(ctx)
			if e.err != nil {
				k.mu.Lock()
				if k.of[key] == e {
					delete(k.of, key)
				}
				k.mu.Unlock()
				close(e.ready)
				return none, nil, e.err
			}
			close(e.ready)
		}
		select {
		case <-e.ready:
		case <-ctx.Done():
			k.leave(e)
			return none, nil, context.Cause(ctx)
		}
		if e.err == nil {
			return e.value, func() { k.leave(e) }, nil
		}
		if ctx.Err() != nil { // else what the other has met may have been its own end
			return none, nil, context.Cause(ctx)
		}
	}
}

// Forget lets the next use of a value's key make another one. The value itself is kept as long
// as it would have been, since it may be in use.
func (k *Kept[V]) Forget(value V) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, e := range k.of {
		select {
		case <-e.ready:
			if e.err == nil && e.value == value && !e.forgotten {
				delete(k.of, key)
				e.forgotten = true
				k.uses++
				k.of[key+"\x00"+strconv.FormatUint(k.uses, 10)] = e // which is nobody's key
				return
			}
		default:
		}
	}
}

// leave ends a use, and drops those that were used least recently if there are too many.
func (k *Kept[V]) leave(e *kept[V]) {
	k.mu.Lock()
	k.uses++
	e.users, e.last = e.users-1, k.uses
	var dropped []*kept[V]
	if len(k.of) > k.Most+k.Most/8 {
		dropped = k.idle()
		dropped = dropped[:min(len(dropped), max(0, len(k.of)-k.Most))]
		for key, e := range k.of {
			if slices.Contains(dropped, e) {
				delete(k.of, key)
			}
		}
	}
	k.mu.Unlock()
	for _, e := range dropped {
		k.Drop(e.value)
	}
}

// idle are those that nobody uses, those first that were used least recently. mu is held.
func (k *Kept[V]) idle() (list []*kept[V]) {
	for _, e := range k.of {
		if e.users == 0 {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *kept[V]) int { return cmp.Compare(a.last, b.last) })
	return list
}

// All returns the values, and forgets them.
func (k *Kept[V]) All() (all []V) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all, k.of = k.list(), nil
	return all
}

// List returns the values.
func (k *Kept[V]) List() (all []V) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.list()
}

// list are those that have been made. mu is held.
func (k *Kept[V]) list() (all []V) {
	for _, e := range k.of {
		select {
		case <-e.ready:
			all = append(all, e.value)
		default: // it ends with what makes it
		}
	}
	return all
}
