package life

import (
	"context"
	"sync"
)

// ending is a function that is called at Stop. The list of them takes the place of a
// context that every call would be tied to: one that is made once stays, and an idle Life
// need not keep anything.
type ending struct {
	fn         func(cause error)
	prev, next *ending
	off        bool // not in the list any more
}

// AfterStop calls fn in a goroutine of its own once the context of the Life ends, with the
// cause. release prevents that, and reports whether it did, as that of [context.AfterFunc].
func (l *Life) AfterStop(fn func(cause error)) (release func() bool) {
	if l.alone() {
		return l.atStop(fn)
	}
	var once sync.Once
	call := func(cause error) { once.Do(func() { fn(cause) }) }
	own, others := l.atStop(call), func() bool { return true }
	if l.parent != nil {
		others = l.parent.AfterStop(call)
	} else {
		others = context.AfterFunc(l.above, func() { call(context.Cause(l.above)) })
	}
	return func() bool {
		early, never := own(), others()
		return early && never
	}
}

// inside is a context within a Life.
type inside struct {
	ending
	life    *Life
	cancel  context.CancelCauseFunc
	release func() bool // nil: the ending is the Life's own
	leaves  bool
}

func (i *inside) end() {
	if i.release != nil {
		i.release()
	} else {
		i.life.remove(&i.ending)
	}
	i.cancel(nil)
	if i.leaves {
		i.life.Leave()
	}
}

// Within returns a context that has the values of ctx and ends with ctx, or with that of
// the Life, whichever ends first, and with its cause. end releases it.
func (l *Life) Within(ctx context.Context) (_ context.Context, end func()) {
	return l.within(ctx, &inside{life: l})
}

// Entered is Within for work that [Life.Enter] or [Life.Join] has counted: end, which has
// to be called once, also ends that.
func (l *Life) Entered(ctx context.Context) (_ context.Context, end func()) {
	return l.within(ctx, &inside{life: l, leaves: true})
}

func (l *Life) within(ctx context.Context, i *inside) (_ context.Context, end func()) {
	ctx, i.cancel = context.WithCancelCause(ctx)
	if l.alone() {
		i.fn = i.cancel
		l.add(&i.ending)
	} else {
		i.release = l.AfterStop(i.cancel)
	}
	return ctx, i.end
}

// Stopped reports whether the context of the Life has ended.
func (l *Life) Stopped() bool {
	if l.parent != nil && l.parent.Stopped() || l.above != nil && l.above.Err() != nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hasStopped()
}

// alone reports whether nothing else ends the context of the Life.
func (l *Life) alone() bool {
	return l.parent == nil && (l.above == nil || l.above.Done() == nil)
}

// atStop is AfterStop for this Life alone.
func (l *Life) atStop(fn func(cause error)) (release func() bool) {
	e := &ending{fn: fn}
	l.add(e)
	return func() bool { return l.remove(e) }
}

// add puts an ending into the list, or calls it when the Life is over already.
func (l *Life) add(e *ending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hasStopped() {
		e.off = true
		go e.fn(l.work.cause)
		return
	}
	if e.next = l.first; e.next != nil {
		e.next.prev = e
	}
	l.first = e
}

// callEndings calls what is to be called at Stop. mu is held.
func (l *Life) callEndings() {
	for e := l.first; e != nil; e = e.next {
		e.off = true
		go e.fn(l.work.cause)
	}
	l.first = nil
}

// remove takes an ending out of the list. It reports whether it was there.
func (l *Life) remove(e *ending) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.off {
		return false
	}
	e.off = true
	if e.next != nil {
		e.next.prev = e.prev
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		l.first = e.next
	}
	return true
}
