package receive

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/claim"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// errUnsettled: whether a transaction was committed is not known, and is read before
// anything else is handled.
var errUnsettled = errors.New("it is not known whether the last transaction was committed")

// within calls a function and stores that the events of a turn are done with: in one
// transaction, where the Store has them. A Store in which none begins is asked again.
func (d *dispatcher) within(ctx context.Context, t *turn, run func(context.Context) error) error {
	if d.tx == nil {
		if run != nil {
			if err := run(ctx); err != nil {
				return err
			}
		}
		d.noted(ctx, t)
		return nil
	}
	for backoff := 10 * time.Millisecond; ; backoff = min(2*backoff, mostStoreBackoff) {
		began, err := d.transact(ctx, t, run)
		if began {
			return err
		}
		if ctx.Err() == nil {
			d.told(failed(err))
		}
		if err := wait.Sleep(ctx, backoff); err != nil {
			return err
		}
	}
}

// transact makes one attempt. began is false if the function was not called.
//
// Transactions of several turns run at the same time. What they write to the position goes
// to the same few keys, so that is done by one after the other: whoever has the pen writes,
// and has it until it is known what came of it and the dispatcher has taken note. The pen is
// taken after a first use of tx: a Store may let one transaction write at a time, and who
// waits for the Store must not have what the others wait for. The write comes last. It
// compares, and so it fails if another process has taken over since the function began,
// and what the function wrote is undone.
func (d *dispatcher) transact(ctx context.Context, t *turn, run func(context.Context) error) (began bool, _ error) {
	within, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	waits := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer waits()
	d.transacts(1)
	defer d.transacts(-1)
	var outcome error
	var w write
	err := d.tx.Update(within, func(inside context.Context, tx storage.Store) error {
		if began || !waits() {
			return cmpCause(ctx)
		}
		began = true
		if run != nil {
			handling, end := wait.Both(inside, ctx)
			outcome = run(handling)
			end()
		}
		if outcome == nil {
			// The function has returned: that is stored also when ctx has ended.
			stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, func() { cancel(context.DeadlineExceeded) }) })
			defer stop()
			outcome = d.write(inside, tx, t, &w, cancel)
		}
		return outcome
	})
	switch {
	case !began && err == nil:
		return false, errors.New("it called no function")
	case !began:
		return false, err
	case w.stop != nil:
		w.stop()
	}
	if w.renewed != nil {
		w.renewed(outcome == nil && err == nil)
	}
	switch {
	case outcome == nil && err == nil:
		d.at.wrote(w)
		t.stored = true
		d.told(nil)
		return true, nil
	case outcome == nil && !errors.Is(err, storage.ErrRolledBack):
		// It may have happened. What the position says now can only be read by closing it, as
		// whoever takes over does.
		d.at.unsure = true
		d.at.pen.Unlock()
		d.doubt(t.acks)
		outcome = fmt.Errorf("the transaction: %w", err)
		t.ended = storeError{fmt.Errorf("storage: %w: %w", errUnsettled, err)}
	case w.pen:
		d.rd.uncommit()
		d.at.pen.Unlock()
	}
	if outcome == nil { // a failure like one of the function
		outcome = fmt.Errorf("the transaction: %w", err)
	}
	if errors.Is(outcome, claim.ErrLost) || errors.Is(outcome, errUnsettled) {
		t.ended = outcome
		return true, outcome
	}
	if w.reached && ctx.Err() == nil {
		if len(t.events) > 1 { // which one of them it was is found out when each is alone
			d.doubt(t.acks)
		}
		for i := range t.events {
			if d.Undone != nil {
				d.Undone(ctx, t.events[i].Event, outcome)
			}
		}
	}
	return true, outcome
}

func cmpCause(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.New("the function of a transaction was called twice")
}

// write is a write of the position in a transaction.
type write struct {
	name     string
	old, new []byte
	base     bool // it is a Base
	begins   bool // it begins a value of the log

	reached bool // the function was done
	pen     bool // whoever writes has the pen
	stop    func() bool
	renewed func(committed bool) // the lease, if not nil
}

// write takes the pen, and writes what a turn has done with to the position.
func (d *dispatcher) write(ctx context.Context, tx storage.Store, t *turn, w *write, cancel context.CancelCauseFunc) error {
	p := d.at
	w.reached = true
	if _, err := tx.Get(ctx, p.key+"/base"); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return failed(err)
	}
	if err := d.note(ctx, tx, t.events); err != nil {
		return err
	}
	if err := p.pen.Lock(ctx); err != nil {
		return err
	}
	w.pen = true
	if !time.Now().Before(d.lease.Until()) {
		// The transaction itself may have kept it from being renewed.
		var err error
		if w.renewed, err = d.lease.RenewIn(ctx, tx); err != nil {
			return cmp.Or(lost(err), failed(err))
		}
	}
	timer := time.AfterFunc(grace, func() { cancel(context.DeadlineExceeded) })
	w.stop = timer.Stop
	if p.unsure {
		return storeError{errUnsettled}
	}
	c, ok := d.rd.commitWith(t.acks...)
	if !ok {
		return errors.New("there is no position")
	}
	if err := p.plan(ctx, tx, c, w); err != nil {
		return err
	}
	swapped, err := tx.CompareAndSwap(ctx, p.key+w.name, w.old, w.new)
	if err != nil {
		return failed(err)
	}
	if !swapped {
		return claim.ErrLost
	}
	return nil
}

// lost is an error that says that the lease is somebody else's, nil for others.
func lost(err error) error {
	if errors.Is(err, claim.ErrLost) {
		return claim.ErrLost
	}
	return nil
}

// plan says what a commit takes. The pen is held.
func (p *position) plan(ctx context.Context, tx storage.Store, c feed.Commit, w *write) error {
	if c.Base != nil {
		w.name, w.old, w.new, w.base = "/base", p.base, c.Base, true
		return nil
	}
	if p.used > 0 {
		if last := p.slots[p.used-1]; len(last)+len(c.Log) <= segment {
			w.name, w.old, w.new = slot(p.used-1), last, bytes.Join([][]byte{last, c.Log}, nil)
			return nil
		}
	}
	w.name, w.new, w.begins = slot(p.used), append(p.head(), c.Log...), true
	if p.used < len(p.slots) {
		w.old = p.slots[p.used]
		return nil
	}
	// It is no successor's as long as the base is this process's; see stale.
	v, err := look(ctx, tx, p.key+w.name)
	if err != nil {
		return err
	}
	base, err := look(ctx, tx, p.key+"/base")
	if err != nil {
		return err
	}
	if !bytes.Equal(base, p.base) || bytes.HasPrefix(v, p.head()) {
		return claim.ErrLost
	}
	w.old = v
	return nil
}

// look reads a value, nil for none.
func look(ctx context.Context, tx storage.Store, key string) ([]byte, error) {
	v, err := tx.Get(ctx, key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, failed(err)
	}
	return v, nil
}

// wrote takes note of a write that was committed. The pen is held.
func (p *position) wrote(w write) {
	switch {
	case w.base:
		p.base, p.used = w.new, 0
	case w.begins && p.used == len(p.slots):
		p.slots, p.used = append(p.slots, w.new), p.used+1
	case w.begins:
		p.slots[p.used], p.used = w.new, p.used+1
	default:
		p.slots[p.used-1] = w.new
	}
}

// mostDoubts bounds what is remembered of transactions of which it is not known whether they
// were committed. It is more than run at a time, unless they are large.
const mostDoubts = 10_000

// doubts count for a message how many transactions were lost that it was in. Some databases
// refuse a transaction when it is committed, and do so each time.
type doubts map[[2]int64]int

func doubtKey(e *feed.Event) [2]int64 {
	if e.Gap != nil {
		return [2]int64{e.Gap.Conversation, e.Gap.Row}
	}
	return [2]int64{e.Row.Conversation, e.Row.ID}
}

// doubt notes that it is not known whether some events are done with.
func (c *Consumer) doubt(events []feed.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.doubts == nil || len(c.doubts) > mostDoubts {
		c.doubts = doubts{}
	}
	for i := range events {
		c.doubts[doubtKey(&events[i])]++
	}
}

// doubtful is how often that was said of an event.
func (c *Consumer) doubtful(e *feed.Event) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doubts[doubtKey(e)]
}

// settled says that events are done with.
func (c *Consumer) settled(events ...feed.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range events {
		delete(c.doubts, doubtKey(&events[i]))
		delete(c.handed, versionOf(&events[i]))
	}
}
