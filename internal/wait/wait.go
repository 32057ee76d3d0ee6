// Package wait holds what waiting here has in common: a lock and a sleep that end
// with a context, and a context that ends with two.
package wait

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Mutex is a lock whose waiters can give up. The zero value is unlocked. It is small,
// since every Chat has some of them that nobody waits for.
type Mutex struct {
	mu    sync.Mutex
	freed chan struct{} // closed by the next Unlock; nil: unlocked; unwaited: locked, and nobody waits
}

// unwaited is never closed.
var unwaited = make(chan struct{})

// Lock takes the lock, or returns the cause of ctx if that ends first.
func (m *Mutex) Lock(ctx context.Context) error {
	for {
		freed := m.take()
		if freed == nil {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take takes the lock, or returns what is closed when it is worth another try.
func (m *Mutex) take() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch m.freed {
	case nil:
		m.freed = unwaited
		return nil
	case unwaited:
		m.freed = make(chan struct{})
	}
	return m.freed
}

// Unlock gives the lock back.
func (m *Mutex) Unlock() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.freed == nil {
		panic("wait: Unlock of an unlocked Mutex")
	}
	if m.freed != unwaited {
		close(m.freed)
	}
	m.freed = nil
}

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

// Because returns the error of something that was given ctx, together with the cause of ctx if
// that has ended: a Store returns the context's own error, which does not say who ended it.
func Because(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if err == nil || cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
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
