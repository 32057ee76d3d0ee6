package few

import "sync/atomic"

// Rare is a value that few need: it is made when it is asked for first. The zero Rare is ready
// for use, and safe for concurrent use as far as the value is.
type Rare[T any] struct{ made atomic.Pointer[T] }

// Made returns the value if it was made, or else nil.
func (r *Rare[T]) Made() *T { return r.made.Load() }

// Get returns the value, always the same one.
func (r *Rare[T]) Get() *T {
	if v := r.made.Load(); v != nil {
		return v
	}
	r.made.CompareAndSwap(nil, new(T))
	return r.made.Load()
}
