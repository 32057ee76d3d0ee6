package datasource

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"
)

type askingAgain struct{}

// AskAgain returns a context for reads that must not wait long for a network which swallows what is sent: while no
// answer begins, the request is sent once more after 8 s, and the first answer counts. The request itself keeps its time,
// so a server that needs longer than 8 s answers it all the same. After 15 s both are given up, with ErrNoAnswer, and the
// call is not tried again. The repetition counts against the rate limit. Writes and downloads are not repeated.
//
// It is for requests that are cheap for the server, and that somebody waits for.
func AskAgain(ctx context.Context) context.Context {
	return context.WithValue(ctx, askingAgain{}, true)
}

// repeats is the request beside one without an answer. The first of the two that ends with anything ends the other. The
// request itself has the context of its pace, the repetition has its own.
type repeats struct {
	began time.Time // when the request was sent; zero if it is not made again

	mu         sync.Mutex
	over       bool               // an outcome is known
	last       context.CancelFunc // of the repetition; nil before
	resp       *http.Response     // of a repetition that was first
	err        error
	won        context.Context // of the repetition, if it was first
	wonEnd     context.CancelFunc
	overtaking bool // the repetition was first
}

// fire is called when nothing has arrived for a while: it sends the request again, or ends it, or its answer, at a limit.
// It runs on a goroutine of its own, as a timer's function does.
func (p *pace) fire(c *Client, cl *call) {
	p.mu.Lock()
	if p.over || p.last != nil {
		cancel := p.cancel
		p.mu.Unlock()
		cancel()
		return
	}
	ctx, cancel := context.WithCancel(p.outer)
	p.last = cancel
	p.timer.Reset(firstByteAgain - time.Since(p.began))
	p.mu.Unlock()

	if c.admit(ctx, cl) != nil {
		return // the request itself goes on
	}
	resp, err := c.send(ctx, cl, new(bytes.Reader)) //nolint:bodyclose // dropped below, or handed on

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || ctx.Err() != nil {
		drop(resp)
		return
	}
	p.over, p.overtaking = true, true
	p.resp, p.err, p.won, p.wonEnd = resp, err, ctx, cancel
	p.timer.Stop()
	p.cancel() // the request itself
}

// outcome is that of the request, or of a repetition that was faster. From then on the pace is that of its answer.
func (p *pace) outcome(resp *http.Response, err error) (*http.Response, error) {
	if p.began.IsZero() {
		return resp, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.overtaking {
		drop(resp)
		p.ctx, p.cancel = p.won, p.wonEnd
		return p.resp, p.err
	}
	p.over = true
	p.timer.Stop()
	if p.last != nil {
		p.last()
	}
	return resp, err
}

func drop(resp *http.Response) {
	if resp != nil {
		_ = resp.Body.Close() // nobody waits for it
	}
}
