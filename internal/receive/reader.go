package receive

import (
	"context"

	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Reader is a listener that asks for its events. It is for one goroutine at a time.
type Reader struct {
	l     listener
	ready chan struct{}   // has a value when there may be an event
	ctx   context.Context // that of the Reader; nil before it is needed
	told  *handling       // of a loop; nil if nobody is told
	event feed.Event      // that was returned last
}

// Begin tells that the body of a loop gets an event now, or that there is a gap. It is
// over with [Reader.Ack] or [Reader.Close]. What Next returned is not valid any more: the
// body may never end, and would keep a page of rows.
func (rd *Reader) Begin(e *feed.Event) {
	if rd.told != nil {
		rd.told.begin(rd.Context(), e)
	}
	rd.event = feed.Event{}
}

// end tells that the body has ended.
func (rd *Reader) end() {
	if rd.told != nil {
		rd.told.end(nil)
	}
}

// Read adds a reader, which ends with ctx. The caller has to call [Reader.Close].
func (r *Receiver) Read(ctx context.Context, b Begin) (*Reader, error) {
	rd := &Reader{ready: make(chan struct{}, 1)}
	rd.l.owner = rd
	if rd.l.kind = hooks.Events; b.Consumer != "" {
		rd.l.kind = hooks.Consume
	} else if r.watch != nil {
		told := r.watch.handling(hooks.Events, "", 1)
		rd.told = &told
	}
	if err := r.attach(ctx, &rd.l, b); err != nil {
		return nil, err
	}
	return rd, nil
}

// notify makes ready receivable.
func (rd *Reader) notify() {
	select {
	case rd.ready <- struct{}{}:
	default:
	}
}

// Next waits for the next event, and returns the same one until [Reader.Ack]. It is valid
// until the next call. ctx must be the context of Read, or end with it.
//
// Errors: the cause of ctx; the cause of Stop.
func (rd *Reader) Next(ctx context.Context) (*feed.Event, error) { return rd.next(ctx, false) }

// AckNext is Ack, and Next for the event behind that.
func (rd *Reader) AckNext(ctx context.Context) (*feed.Event, error) {
	rd.end()
	return rd.next(ctx, true)
}

func (rd *Reader) next(ctx context.Context, ack bool) (*feed.Event, error) {
	for {
		ok, err := rd.take(ctx, ack)
		ack = false
		if ok && rd.told != nil {
			rd.told.turn()
		}
		if ok || err != nil {
			return &rd.event, err
		}
		rd.event = feed.Event{} // its row is the caller's
		if rd.told != nil {
			rd.told.waits()
		}
		select {
		case <-rd.ready: // also when the reader was stopped
		case <-ctx.Done():
		}
	}
}

func (rd *Reader) take(ctx context.Context, ack bool) (bool, error) {
	rd.l.r.mu.Lock()
	defer rd.l.r.mu.Unlock()
	if ack {
		rd.l.ack()
	}
	if rd.l.stopped {
		return false, rd.l.err
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	e := rd.l.take()
	if e != nil {
		rd.event = *e
	}
	return e != nil, nil
}

// Ack acknowledges the event that Next returned.
func (rd *Reader) Ack() {
	rd.end()
	rd.l.r.mu.Lock()
	defer rd.l.r.mu.Unlock()
	rd.l.ack()
}

// Stopped is why the reader was stopped, nil before.
func (rd *Reader) Stopped() error {
	if rd.Context().Err() == nil { // it would have ended with the reader
		return nil
	}
	return rd.l.cause()
}

// Context ends with the reader.
func (rd *Reader) Context() context.Context {
	if rd.ctx == nil {
		rd.makeContext()
	}
	return rd.ctx
}

// makeContext is apart so that Context, which is called for each message, is inlined.
func (rd *Reader) makeContext() {
	rd.l.r.mu.Lock()
	defer rd.l.r.mu.Unlock()
	rd.ctx = rd.l.context()
}

// Shared reports whether other listeners may have the same rows.
func (rd *Reader) Shared() bool { return rd.l.r.shared.Load() }

// Pending is how many events wait to be taken or acknowledged.
func (rd *Reader) Pending() int {
	rd.l.r.mu.Lock()
	defer rd.l.r.mu.Unlock()
	if rd.l.left {
		return 0
	}
	return len(rd.l.with.first) + rd.l.feed.Pending(rd.l.id)
}

// Close ends the reader.
func (rd *Reader) Close() {
	rd.end()
	rd.l.r.mu.Lock()
	defer rd.l.r.mu.Unlock()
	rd.l.r.drop(&rd.l, nil)
	rd.l.leave()
}
