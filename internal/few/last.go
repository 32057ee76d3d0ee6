package few

import (
	"reflect"
	"sync"
	"weak"
)

// Last shares values that many have in common and nobody changes. The zero Last is ready for
// use, and safe for concurrent use. It keeps no value alive.
type Last[T any] struct {
	mu  sync.Mutex
	was weak.Pointer[T]
}

// Of returns a pointer to a struct that equals v: the same one as before, if that is still in
// use. Fields equal each other as with ==; those that cannot be compared do only if they are
// empty.
func (l *Last[T]) Of(v T) *T {
	l.mu.Lock()
	defer l.mu.Unlock()
	if was := l.was.Value(); was != nil && equal(reflect.ValueOf(was).Elem(), reflect.ValueOf(&v).Elem()) {
		return was
	}
	l.was = weak.Make(&v)
	return &v
}

// Derived shares a value that is made of another one, which is shared, too, and nobody changes. The
// zero Derived is ready for use, and safe for concurrent use. It keeps neither alive.
type Derived[K, V any] struct {
	mu   sync.Mutex
	from weak.Pointer[K]
	was  weak.Pointer[V]
}

// Of returns what of makes of from: what it made before, if that was of the same pointer and is
// still in use.
func (d *Derived[K, V]) Of(from *K, of func() *V) *V {
	d.mu.Lock()
	defer d.mu.Unlock()
	if was := d.was.Value(); was != nil && d.from.Value() == from {
		return was
	}
	v := of()
	d.from, d.was = weak.Make(from), weak.Make(v)
	return v
}

func equal(x, y reflect.Value) bool {
	for i := range x.NumField() {
		a, b := x.Field(i), y.Field(i)
		if a.IsZero() && b.IsZero() {
			continue
		}
		if !a.Comparable() || !b.Comparable() || !a.Equal(b) {
			return false
		}
	}
	return true
}
