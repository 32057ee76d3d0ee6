package cache

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/wait"
)

const (
	// writeTimeout bounds a write in the background. Nobody waits for it.
	writeTimeout = 30 * time.Second
	// patience is how long a caller waits for a write nevertheless: what a Store that is
	// well has stored is there when the call returns.
	patience = 100 * time.Millisecond
	// closingTimeout bounds what is written at the end.
	closingTimeout = time.Second
	// mostWrites bounds the writes that wait for a Store that hangs.
	mostWrites = 64
)

// writes are what is to be written of one user, one after the other in the background.
// One that failed is made again before the next one.
type writes struct {
	mu      sync.Mutex
	waiting []*write
	failed  []*write
	running *write // nil when nothing runs
	late    bool   // the last one took longer than anybody waits
}

// write is one change of what is stored.
type write struct {
	of     *User
	name   string // one that waits, or has failed, is replaced by the next of this name
	failed string // what is logged if it fails
	change func(context.Context) error
	undone func() // called if it fails; may be nil
	done   chan struct{}
	abort  context.CancelFunc // nil before it runs
}

// later makes a change in the background, after those that wait, unless the user has
// logged out. It waits for it, though not for a Store that is slow.
func (u *User) later(ctx context.Context, w *write) {
	if u.forgotten() {
		return
	}
	q := &u.account.writes
	w.of, w.done = u, make(chan struct{})
	begin, late := q.add(w)
	if begin && !u.cache.background(q.run) {
		q.run() // everything else has ended
	}
	if late {
		return
	}
	if !moment(ctx, w.done) {
		q.slow(w)
	}
}

// background runs fn in a goroutine. It reports false if nothing is begun any more.
func (c *Cache) background(fn func()) bool {
	if c.cfg.Owner != nil {
		return c.cfg.Owner.Go(fn)
	}
	go fn()
	return true
}

// add adds a write. begin: the caller has to see to it that the writes run. late: they
// are not waited for.
func (q *writes) add(w *write) (begin, late bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.failed, q.waiting...)
	q.failed = nil
	if i := slices.IndexFunc(q.waiting, func(o *write) bool { return o.name == w.name }); i >= 0 {
		q.drop(i)
	}
	if len(q.waiting) == mostWrites {
		q.drop(0)
	}
	q.waiting = append(q.waiting, w)
	if begin = q.running == nil; begin {
		q.running = w // until run takes one
	}
	return begin, q.late
}

// drop gives a write up that waits. mu is held.
func (q *writes) drop(i int) {
	select {
	case <-q.waiting[i].done: // it has failed before
	default:
		close(q.waiting[i].done)
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
}

// slow notes that a write took longer than anybody waits.
func (q *writes) slow(w *write) {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-w.done:
	default:
		q.late = true
	}
}

// hung notes that a read took longer than anybody waits.
func (q *writes) hung() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.late = true
}

// run makes the writes, until none waits.
func (q *writes) run() {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
		w := q.next(cancel)
		if w == nil {
			cancel()
			return
		}
		began := time.Now()
		release := w.of.cache.whenClosing(func() { q.close(cancel, time.Since(began) >= patience) })
		err := w.of.change(ctx, &w.of.account.changes, w.change)
		release()
		cancel()
		if err != nil && !w.of.forgotten() {
			w.of.cache.cfg.Log.Warn(w.failed, "error", err)
			if w.undone != nil {
				w.undone()
			}
		}
		q.made(w, err, time.Since(began) < patience)
	}
}

// Soon runs fn, which asks the Store, and waits for it, though not for a Store that is slow.
func (c *Cache) Soon(ctx context.Context, fn func(context.Context)) {
	done := make(chan struct{})
	work := func() {
		defer close(done)
		fn(context.WithoutCancel(ctx))
	}
	if !c.background(work) {
		work() // everything else has ended
	}
	moment(ctx, done)
}

// whenClosing calls fn when everything ends. release prevents that.
func (c *Cache) whenClosing(fn func()) (release func() bool) {
	if c.cfg.Owner == nil {
		return func() bool { return true }
	}
	return c.cfg.Owner.AfterStop(func(error) { fn() })
}

// close ends a write since everything ends: at once if the Store is known to be slow, or
// else when nobody would wait for it any more.
func (q *writes) close(abort context.CancelFunc, slow bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if slow || q.late {
		abort()
		return
	}
	time.AfterFunc(closingTimeout, abort)
}

// next takes the next write, nil if there is none.
func (q *writes) next(abort context.CancelFunc) *write {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running = nil
	if len(q.waiting) > 0 {
		q.running = q.waiting[0]
		q.running.abort = abort
		if q.waiting = slices.Delete(q.waiting, 0, 1); len(q.waiting) == 0 {
			q.waiting = nil
		}
	}
	return q.running
}

// made notes how a write ended.
func (q *writes) made(w *write, err error, soon bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if soon && err == nil {
		q.late = false
	}
	again := func(o *write) bool { return o.name == w.name }
	if err != nil && !w.of.forgotten() && !slices.ContainsFunc(q.waiting, again) && !slices.ContainsFunc(q.failed, again) {
		q.failed = append(q.failed, w)
	}
	select {
	case <-w.done:
	default:
		close(w.done)
	}
}

// stop ends the running write, and forgets those that wait: their user has logged out.
func (q *writes) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) > 0 {
		q.drop(0)
	}
	q.failed = nil
	if q.running != nil && q.running.abort != nil {
		q.running.abort()
	}
}

// change changes what is stored, unless the user has logged out, and removes it again if
// that happens meanwhile. lock is held.
func (u *User) change(ctx context.Context, lock *wait.Mutex, change func(context.Context) error) error {
	if err := lock.Lock(ctx); err != nil {
		return err
	}
	defer lock.Unlock()
	if u.forgotten() {
		return nil
	}
	err := change(ctx)
	if u.forgotten() {
		// The context of Forget may have ended before this change.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
		defer cancel()
		err = u.erase(late)
	}
	return err
}
