package life

import "context"

// Mutex is a mutex whose Lock ends with a context. NewMutex makes one.
type Mutex chan struct{}

// NewMutex returns a Mutex that is not locked.
func NewMutex() Mutex { return make(Mutex, 1) }

// Lock locks the mutex, or returns the cause of ctx.
func (m Mutex) Lock(ctx context.Context) error {
	select {
	case m <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Unlock unlocks the mutex.
func (m Mutex) Unlock() { <-m }
