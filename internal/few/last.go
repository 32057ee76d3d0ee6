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
