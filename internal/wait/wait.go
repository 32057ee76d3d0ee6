// Package wait holds the two waits that everything here has in common: for a lock
// and for a time. Both end with a context.
package wait

import (
	"context"
	"time"
)

// Mutex is a lock whose waiters can give up. Make it with [NewMutex].
type Mutex chan struct{}

// NewMutex returns an unlocked Mutex.
func NewMutex() Mutex { return make(Mutex, 1) }

// Lock takes the lock, or returns the cause of ctx if that ends first.
func (m Mutex) Lock(ctx context.Context) error {
	select {
	case m <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Unlock gives the lock back.
func (m Mutex) Unlock() { <-m }

// Sleep waits for a time, or returns the cause of ctx if that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
