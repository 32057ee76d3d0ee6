// Package few has maps for what mostly has few entries, values that few need, and values that
// many share. A process holds thousands of them.
package few

import (
	"iter"
	"slices"
)

// most is how many entries lie in a list, which takes a third of a map with as many.
const most = 8

// Map is a map whose zero value is empty and takes no room besides. It may be read by several
// goroutines, like a Go map.
type Map[K comparable, V any] struct {
	list []pair[K, V]
	all  map[K]*V // in place of list, once there were more than most
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

func (m *Map[K, V]) at(key K) int {
	return slices.IndexFunc(m.list, func(p pair[K, V]) bool { return p.key == key })
}

// Get returns the value of a key, and whether there is one.
func (m *Map[K, V]) Get(key K) (value V, ok bool) {
	if v := m.At(key); v != nil {
		return *v, true
	}
	return value, false
}

// At returns the value of a key, to be changed before the next Set or Delete; nil if there is
// none.
func (m *Map[K, V]) At(key K) *V {
	if i := m.at(key); i >= 0 {
		return &m.list[i].value
	}
	return m.all[key]
}

// Set makes a value that of a key.
func (m *Map[K, V]) Set(key K, value V) {
	if m.all != nil {
		kept := value // else value would be in the heap whatever becomes of it
		m.all[key] = &kept
		return
	}
	if i := m.at(key); i >= 0 {
		m.list[i].value = value
		return
	}
	if len(m.list) < most {
		list := make([]pair[K, V], len(m.list)+1) // room for more would mostly stay empty
		list[copy(list, m.list)] = pair[K, V]{key, value}
		m.list = list
		return
	}
	m.all = make(map[K]*V, len(m.list)+1)
	for _, p := range m.list {
		m.all[p.key] = &p.value
	}
	kept := value
	m.all[key], m.list = &kept, nil
}

// Delete removes a key, if it is there.
func (m *Map[K, V]) Delete(key K) {
	delete(m.all, key)
	if i := m.at(key); i >= 0 {
		m.list = slices.Delete(m.list, i, i+1)
	}
}

// Each yields the entries in any order, with values that may be changed. Meanwhile there may
// be nothing set or deleted.
func (m *Map[K, V]) Each() iter.Seq2[K, *V] {
	return func(yield func(K, *V) bool) {
		for i := range m.list {
			if !yield(m.list[i].key, &m.list[i].value) {
				return
			}
		}
		for key, value := range m.all {
			if !yield(key, value) {
				return
			}
		}
	}
}

// Len counts the entries.
func (m *Map[K, V]) Len() int { return len(m.list) + len(m.all) }

// All is Each for who changes nothing.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for key, value := range m.Each() {
			if !yield(key, *value) {
				return
			}
		}
	}
}
