// Package wait holds what waiting here has in common: a lock and a sleep that end
// with a context, and a context that ends with two.
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

// Both returns a context that has the values of ctx and ends with ctx, or with also,
// whichever ends first, and with its cause. end releases it.
func Both(ctx, also context.Context) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(also, func() { cancel(context.Cause(also)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}
