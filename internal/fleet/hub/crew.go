package hub

import (
	"cmp"
	"sync"
)

// Crew are those that take part in something, until it is over. It is safe for concurrent use.
// The zero value is empty.
type Crew[T comparable] struct {
	mu   sync.Mutex
	over bool
	in   map[T]bool
}

// Enter adds one. It reports false when it is over.
func (c *Crew[T]) Enter(one T) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in == nil {
		c.in = map[T]bool{}
	}
	if !c.over {
		c.in[one] = true
	}
	return !c.over
}

// Leave removes one.
func (c *Crew[T]) Leave(one T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.in, one)
}

// Len is how many take part.
func (c *Crew[T]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.in)
}

// All are those that take part.
func (c *Crew[T]) All() (all []T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for one := range c.in {
		all = append(all, one)
	}
	return all
}

// End lets nobody in any more, and returns those that took part.
func (c *Crew[T]) End() (all []T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for one := range c.in {
		all = append(all, one)
	}
	c.over, c.in = true, nil
	return all
}

// Each calls fn with all of a list, most of them at the same time, and returns the first error.
func Each[T any](most int, list []T, fn func(T) error) (first error) {
	next := make(chan T)
	var mu sync.Mutex
	var running sync.WaitGroup
	for range min(most, len(list)) {
		running.Go(func() {
			for one := range next {
				err := fn(one)
				mu.Lock()
				first = cmp.Or(first, err)
				mu.Unlock()
			}
		})
	}
	for _, one := range list {
		next <- one
	}
	close(next)
	running.Wait()
	return first
}
