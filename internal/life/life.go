// Package life starts and stops the background work of this module.
//
// An open [Life] accepts work. After [Life.Retire] it accepts no more, and running
// work continues. [Life.Stop] also ends the context of the work. Neither waits;
// [Life.Wait] does, with a context. So no wait is endless, and it does not matter
// which goroutine calls.
package life

import (
	"context"
	"sync"
	"sync/atomic"
)

// A Life counts running work. It is safe for concurrent use, and its methods may be
// called in any order, any number of times. The zero Life is open, and a part of nothing.
type Life struct {
	parent *Life // counts the work of this one, too; may be nil
	above  *above

	state atomic.Int64 // how often running work counts one, and the flags below
	mu    sync.Mutex
	work  *work   // nil in an idle Life: a process may have thousands
	first *ending // what is called at Stop
}

// What state is made of. Each call of a Chat, and each message, begins and ends with it, and a lock would
// cost twice as much.
const (
	over    = 1 << iota // no more work is accepted
	waited              // whoever makes it nothing closes empty; changes with mu held
	stopped             // the context of the work has ended; changes with mu held
	one                 // running work
)

// above is what a Life ends with that is a part of no other; nil: nothing.
type above struct{ context.Context }

// work is what somebody has asked for.
type work struct {
	ctx    context.Context // nil before Context
	cancel context.CancelCauseFunc
	cause  error         // of Stop
	empty  chan struct{} // closed when nothing runs any more; nil if nobody waits
}

// New returns an open Life, whose context ends with ctx, too.
func New(ctx context.Context) *Life { return &Life{above: &above{ctx}} }

// Part returns a Life that is a part of this one: this one counts its work, too, and
// the part is over, and its context ends, with this one.
func (l *Life) Part() *Life { return new(Life).PartOf(l) }

// PartOf is [Life.Part] for a zero Life that lies in something else.
func (l *Life) PartOf(whole *Life) *Life {
	l.parent = whole
	return l
}

// Whole is what this Life is a part of, nil if that is nothing.
func (l *Life) Whole() *Life { return l.parent }

// Context is the context of the work. It ends with Stop.
func (l *Life) Context() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.asked()
	if w.ctx == nil {
		w.ctx, w.cancel = context.WithCancelCause(l.outside())
		if l.hasStopped() {
			w.cancel(w.cause)
		}
	}
	return w.ctx
}

// hasStopped reports whether Stop was called here. mu is held.
func (l *Life) hasStopped() bool { return l.state.Load()&stopped != 0 }

// outside is the context of what this is a part of.
func (l *Life) outside() context.Context {
	switch {
	case l.above != nil:
		return l.above.Context
	case l.parent != nil:
		return l.parent.Context()
	}
	return context.Background()
}

// asked is the work, which is made when it is needed first. mu is held.
func (l *Life) asked() *work {
	if l.work == nil {
		l.work = new(work)
	}
	return l.work
}

// Enter counts the caller's work, or reports false when the Life is over. After true
// the caller has to call [Life.Leave] once.
func (l *Life) Enter() bool {
	if l.parent != nil && !l.parent.Enter() {
		return false
	}
	if l.admit(accepting) {
		return true
	}
	if l.parent != nil {
		l.parent.Leave()
	}
	return false
}

// Join is Enter for a caller whose work is counted already. It succeeds also when
// the Life is over, so that work can be finished. It reports false when no work runs.
func (l *Life) Join() bool {
	if l.parent != nil && !l.parent.Join() {
		return false
	}
	if l.admit(busy) {
		return true
	}
	if l.parent != nil {
		l.parent.Leave()
	}
	return false
}

func accepting(state int64) bool { return state&over == 0 }
func busy(state int64) bool      { return state >= one }

func (l *Life) admit(allowed func(state int64) bool) bool {
	for {
		state := l.state.Load()
		if !allowed(state) {
			return false
		}
		if l.state.CompareAndSwap(state, state+one) {
			return true
		}
	}
}

// Leave ends one Enter or Join.
func (l *Life) Leave() {
	l.release()
	if l.parent != nil {
		l.parent.Leave()
	}
}

func (l *Life) release() {
	switch state := l.state.Add(-one); {
	case state < 0:
		l.state.Add(one)
		panic("life: Leave without Enter")
	case !busy(state) && state&waited != 0:
		l.emptied()
	}
}

// emptied tells whoever waits that nothing runs, or did a moment ago.
func (l *Life) emptied() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.work != nil && l.work.empty != nil {
		close(l.work.empty)
		l.work.empty = nil
		l.state.And(^waited)
	}
}

// Go runs fn in a new goroutine, or reports false when the Life is over.
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

// Retire makes the Life accept no more work. Running work continues.
func (l *Life) Retire() { l.state.Or(over) }

// Stop retires the Life and ends its context with a cause. The first cause stays.
func (l *Life) Stop(cause error) {
	l.Retire()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hasStopped() {
		return
	}
	w := l.asked()
	w.cause = cause
	l.state.Or(stopped)
	if w.cancel != nil {
		w.cancel(cause)
	}
	l.callEndings()
}

// Over reports whether Retire or Stop was called, here or on what this is a part of.
func (l *Life) Over() bool {
	if l.parent != nil && l.parent.Over() {
		return true
	}
	return !accepting(l.state.Load())
}

// Wait returns when no work runs, or with the cause of ctx if that ends first. While
// the Life is open, new work may begin right afterwards.
func (l *Life) Wait(ctx context.Context) error {
	for {
		empty := l.whenEmpty()
		if empty == nil {
			return nil
		}
		select {
		case <-empty:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// whenEmpty is closed when nothing runs any more; nil if nothing runs.
func (l *Life) whenEmpty() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !busy(l.state.Or(waited)) {
		l.state.And(^waited) // whoever has ended last has seen it, if there are others that wait
		return nil
	}
	w := l.asked()
	if w.empty == nil {
		w.empty = make(chan struct{})
	}
	return w.empty
}
