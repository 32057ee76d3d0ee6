package receive

import (
	"sync"

	"github.com/fliplet/fliplet-chat-go/internal/life"
)

// mostUntold is how many errors wait for a function that is slower than they come.
const mostUntold = 16

// Teller calls a function with errors, one at a time, in a goroutine that it has only
// while there are any. A nil Teller tells nobody.
type Teller struct {
	fn   func(error)
	life *life.Life

	mu      sync.Mutex
	untold  []error
	running bool
	over    bool // nothing is added any more
	last    bool // the last error is added, and told whatever happens
}

// Teller returns one whose calls are a part of the Receiver's life; nil for a nil fn.
func (r *Receiver) Teller(fn func(error)) *Teller {
	if fn == nil {
		return nil
	}
	return &Teller{fn: fn, life: &r.life}
}

// Tell calls the function soon, and does not wait for it. Of many errors that wait, the
// oldest are left out. The last error is told even if Stop comes first.
func (t *Teller) Tell(err error, last bool) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	t.over, t.last = last, last
	if len(t.untold) == mostUntold {
		t.untold = append(t.untold[:0], t.untold[1:]...)
	}
	t.untold = append(t.untold, err)
	if !t.running {
		t.running = t.life.Go(t.run)
	}
}

// Stop makes a call that is running, or just beginning, the last one, unless the last
// error is still to be told.
func (t *Teller) Stop() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop()
}

// stop is Stop with mu held.
func (t *Teller) stop() {
	if !t.last {
		t.over, t.untold = true, nil
	}
}

func (t *Teller) run() {
	for {
		err := t.next()
		if err == nil {
			return
		}
		t.fn(err)
	}
}

// next takes the oldest error. It is nil if there is none; the goroutine must then end.
func (t *Teller) next() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.life.Over() {
		t.stop()
	}
	if len(t.untold) == 0 {
		t.running = false
		return nil
	}
	err := t.untold[0]
	t.untold = t.untold[1:]
	return err
}
