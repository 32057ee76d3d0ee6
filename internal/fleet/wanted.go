package fleet

import (
	"context"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/budget"
)

// wanted are reads of conversations that somebody waits for. The mu of the Driver guards it.
type wanted struct {
	left  map[*conv]bool
	since time.Time     // reads that were asked for earlier do not count
	over  chan struct{} // closed at the end
	err   error         // of a read of one of them
}

// Read reads conversations now, and returns when what was in them is in the log. It leaves out
// those that no list has shown yet, and those that wait because their reads fail.
//
// Errors: that of a read of one of them; the cause of ctx.
func (d *Driver) Read(ctx context.Context, conversations []int64) error {
	w := d.want(conversations)
	if w == nil {
		return nil
	}
	d.notify()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.reads = slices.DeleteFunc(d.reads, func(other *wanted) bool { return other == w })
	}()
	select {
	case <-w.over:
		return w.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// want makes conversations dirty. It returns nil if there is nothing to read.
func (d *Driver) want(conversations []int64) *wanted {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := &wanted{left: map[*conv]bool{}, since: time.Now(), over: make(chan struct{})}
	for _, id := range conversations {
		if c := d.fleet.dirty.convs[id]; c != nil && !w.since.Before(c.asleep) {
			d.fleet.dirty.mark(c, Sent, w.since)
			w.left[c] = true
		}
	}
	if len(w.left) == 0 {
		return nil
	}
	d.reads = append(d.reads, w)
	return w
}

// looked says what became of a request to those who wait for reads. mu is held.
func (d *Driver) looked(r Request, err error) {
	d.reads = slices.DeleteFunc(d.reads, func(w *wanted) bool {
		for _, c := range r.convs {
			switch {
			case !w.left[c] || r.dig:
			case err == nil && !c.read.Before(w.since):
				delete(w.left, c)
			case err != nil && !r.asked.Before(w.since):
				w.err = err
			}
		}
		if r.Kind == List {
			for c := range w.left {
				if d.fleet.dirty.convs[c.id] != c {
					delete(w.left, c) // no list has it any more
				}
			}
		}
		if w.err == nil && len(w.left) > 0 {
			return false
		}
		close(w.over)
		return true
	})
}

// Relist is the request for a list that somebody waits for.
func Relist() Request { return Request{Kind: List, Users: true, Class: budget.Index} }

// List takes a list of conversations that was read elsewhere.
func (d *Driver) List(list []Listing) {
	d.tell.Lock()
	defer d.tell.Unlock()
	d.mu.Lock()
	d.fleet.List(time.Now(), list)
	moved := d.fleet.Moved()
	d.mu.Unlock()
	d.notify()
	if len(moved) > 0 {
		d.cfg.Moved(moved)
	}
}
