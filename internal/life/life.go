// Package life is how the machines of this module start and stop.
//
// A [Life] lets work in while it is open. [Life.Retire] lets nothing more in, and
// what is inside goes on. [Life.Stop] also ends the context that the work runs
// under. Neither waits. Whoever wants to wait calls [Life.Wait] with a context, so
// that no wait is without an end, and nothing has to know which goroutine calls.
package life

import (
	"context"
	"sync"
)

// A Life counts what runs on behalf of a machine. It is safe for concurrent use,
// and its methods may be called in any order, any number of times.
type Life struct {
	parent *Life // counts what is inside here, too; nil for none
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	over   bool          // nothing more is let in
	inside int           // what was let in and has not left
	empty  chan struct{} // closed when inside reaches 0; nil while nobody waits
}

// New returns an open Life, whose context ends with ctx, too.
func New(ctx context.Context) *Life { return newLife(ctx, nil) }

// Part returns a Life within this one: what is inside there is inside here, and
// when this one is over or ends, so does that.
func (l *Life) Part() *Life { return newLife(l.ctx, l) }

func newLife(ctx context.Context, parent *Life) *Life {
	l := &Life{parent: parent}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	return l
}

// Context is what work runs under. It ends with Stop.
func (l *Life) Context() context.Context { return l.ctx }

// Enter lets the caller in, or reports false when the Life is over. A caller that
// was let in has to call [Life.Leave] once.
func (l *Life) Enter() bool {
	if l.parent != nil && !l.parent.Enter() {
		return false
	}
	if l.admit(func() bool { return !l.over }) {
		return true
	}
	if l.parent != nil {
		l.parent.Leave()
	}
	return false
}

// Join lets further work of a caller in that is inside itself, also when the Life
// is over meanwhile: what was begun may be brought to its end. It reports false when
// nobody is inside.
func (l *Life) Join() bool {
	if l.parent != nil && !l.parent.Join() {
		return false
	}
	if l.admit(func() bool { return l.inside > 0 }) {
		return true
	}
	if l.parent != nil {
		l.parent.Leave()
	}
	return false
}

func (l *Life) admit(allowed func() bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !allowed() {
		return false
	}
	l.inside++
	return true
}

// Leave ends one Enter or Join.
func (l *Life) Leave() {
	l.release()
	if l.parent != nil {
		l.parent.Leave()
	}
}

func (l *Life) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inside == 0 {
		panic("life: Leave without Enter")
	}
	if l.inside--; l.inside == 0 && l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// Go runs fn in a goroutine of its own, or reports false when the Life is over.
func (l *Life) Go(fn func()) bool {
	if !l.Enter() {
		return false
	}
	go func() {
		defer l.Leave()
		fn()
	}()
	return true
}

// Retire lets nothing more in. What is inside goes on.
func (l *Life) Retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

// Stop retires the Life and ends its context with a cause. The first cause stays.
func (l *Life) Stop(cause error) {
	l.Retire()
	l.cancel(cause)
}

// Over reports whether Retire or Stop was called, here or on what this is a part of.
func (l *Life) Over() bool {
	if l.parent != nil && l.parent.Over() {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over
}

// Wait returns when nothing is inside, or with the cause of ctx when that ends
// before. While the Life is open, something may come in right afterwards.
func (l *Life) Wait(ctx context.Context) error {
	for {
		l.mu.Lock()
		if l.inside == 0 {
			l.mu.Unlock()
			return nil
		}
		if l.empty == nil {
			l.empty = make(chan struct{})
		}
		empty := l.empty
		l.mu.Unlock()
		select {
		case <-empty:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
