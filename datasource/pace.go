package datasource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrNoAnswer: a read was given up because no answer began within 90 s.
var ErrNoAnswer = fmt.Errorf("datasource: no answer began within %s", firstByte)

var (
	errSlowBody = fmt.Errorf("the answer arrived too slowly: %d bytes took more than %s, or all of it more than %s",
		paceBytes, paceWindow, slowestBody)
)

// pace ends an attempt whose answer does not get on. The time that the caller needs for what has arrived does not
// count.
type pace struct {
	outer context.Context // the caller's
	timer *time.Timer
	body  io.ReadCloser // nil before the answer has begun

	window, total time.Duration // what is left of them
	bytes         int           // in this window

	repeats // guards what follows, where requests are made again

	ctx    context.Context // the attempt's: it ends with outer, at a limit, and with stop
	cancel context.CancelFunc
}

// watch begins to wait for an answer. stop ends it.
func (p *pace) watch(ctx context.Context, c *Client, cl *call) {
	p.window, p.total = paceWindow, slowestBody
	if cl.stream != nil {
		p.total = 1<<63 - 1
	}
	p.outer = ctx
	p.ctx, p.cancel = context.WithCancel(ctx)
	switch {
	case !cl.read:
		p.timer = time.AfterFunc(firstByte, p.cancel)
		p.timer.Stop()
	case cl.stream != nil || ctx.Value(askingAgain{}) == nil:
		p.timer = time.AfterFunc(firstByte, p.cancel)
	default:
		p.began = time.Now()
		again := *cl // so that only calls that are made again are kept
		p.mu.Lock()
		p.timer = time.AfterFunc(againAfter, func() { p.fire(c, &again) })
		p.mu.Unlock()
	}
}

// answered begins to watch the body.
func (p *pace) answered(body io.ReadCloser) io.ReadCloser {
	p.timer.Stop()
	p.body = body
	return p
}

// stop ends the watch.
func (p *pace) stop() {
	p.timer.Stop()
	p.cancel()
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

// blame returns the limit that was reached, or err. Before stop, nothing but a limit ends ctx and not outer.
func (p *pace) blame(err error) error {
	switch {
	case err == nil || errors.Is(err, io.EOF) || p.ctx.Err() == nil || p.outer.Err() != nil:
		return err
	case p.body == nil:
		return ErrNoAnswer
	}
	return errSlowBody
}
