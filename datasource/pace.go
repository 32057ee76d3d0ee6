package datasource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// errors of an answer that takes longer than the limits in limits.go allow.
var (
	errNoAnswer = fmt.Errorf("no answer began within %s", firstByte)
	errSlowBody = fmt.Errorf("the answer arrived too slowly: %d bytes took more than %s, or all of it more than %s",
		paceBytes, paceWindow, slowestBody)
)

// pace ends an attempt whose answer does not get on. The time that the caller needs for what has arrived does not
// count.
type pace struct {
	cancel context.CancelCauseFunc
	timer  *time.Timer
	body   io.ReadCloser // nil before the answer has begun
	begun  atomic.Bool
	over   atomic.Pointer[error]

	window, total time.Duration // what is left of them
	bytes         int           // in this window
}

// newPace begins to wait for an answer. stop ends it.
func newPace(cl *call, cancel context.CancelCauseFunc) *pace {
	p := &pace{cancel: cancel, window: paceWindow, total: slowestBody}
	if cl.stream != nil {
		p.total = 1<<63 - 1
	}
	p.timer = time.AfterFunc(firstByte, p.end)
	if !cl.read {
		p.timer.Stop()
	}
	return p
}

// end fires when a limit is reached.
func (p *pace) end() {
	err := errNoAnswer
	if p.begun.Load() {
		err = errSlowBody
	}
	p.over.Store(&err)
	p.cancel(err)
}

// answered begins to watch the body.
func (p *pace) answered(body io.ReadCloser) io.ReadCloser {
	p.timer.Stop()
	p.begun.Store(true)
	p.body = body
	return p
}

// stop ends the watch.
func (p *pace) stop() {
	p.timer.Stop()
	p.cancel(nil)
}

// Close implements [io.Closer].
func (p *pace) Close() error { return p.body.Close() }

// Read implements [io.Reader].
func (p *pace) Read(b []byte) (int, error) {
	began := time.Now()
	p.timer.Reset(min(p.window, p.total))
	n, err := p.body.Read(b)
	p.timer.Stop()
	took := time.Since(began)
	p.total -= took
	p.window -= took
	if p.bytes += n; p.bytes >= paceBytes {
		p.window, p.bytes = paceWindow, 0
	}
	return n, p.blame(err)
}

// blame returns the limit that was reached, or err.
func (p *pace) blame(err error) error {
	if over := p.over.Load(); err != nil && !errors.Is(err, io.EOF) && over != nil {
		return *over
	}
	return err
}
