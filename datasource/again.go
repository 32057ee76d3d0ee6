package datasource

import (
	"context"
	"net/http"
	"sync"
	"time"
)

type askingAgain struct{}

// AskAgain returns a context for reads that must not wait long for a network which swallows what is sent: while no
// answer begins, the request is sent once more every 8 s, the repetition before it is given up, and the first answer
// counts. The request itself keeps its time, so a server that needs longer than 8 s answers it all the same. Each
// repetition counts against the rate limit. Writes and downloads are not repeated.
//
// It is for requests that are cheap for the server, and that somebody waits for.
func AskAgain(ctx context.Context) context.Context {
	return context.WithValue(ctx, askingAgain{}, true)
}

// ask sends a request, and again where AskAgain says so.
func (c *Client) ask(ctx context.Context, cl *call) (*http.Response, error) {
	if !cl.read || cl.stream != nil || ctx.Value(askingAgain{}) == nil {
		return c.send(ctx, cl)
	}
	r := &repeats{c: c, cl: cl, ctx: ctx}
	var first context.Context
	first, r.giveUp = context.WithCancel(ctx) // ctx ends with the attempt
	r.mu.Lock()
	r.timer = time.AfterFunc(againAfter, r.again)
	r.mu.Unlock()
	resp, err := c.send(first, cl)
	return r.outcome(resp, err)
}

// repeats are the requests beside one without an answer. The first that ends with anything ends all the others.
type repeats struct {
	c   *Client
	cl  *call
	ctx context.Context

	mu     sync.Mutex
	timer  *time.Timer
	giveUp context.CancelFunc // the request itself
	last   context.CancelFunc // the last repetition; nil before
	over   bool
	resp   *http.Response // of a repetition that was first
	err    error
}

// again runs on a goroutine of its own, as a timer's function does.
func (r *repeats) again() {
	r.mu.Lock()
	if r.over {
		r.mu.Unlock()
		return
	}
	if r.last != nil {
		r.last()
	}
	ctx, cancel := context.WithCancel(r.ctx)
	r.last = cancel
	r.timer.Reset(againAfter)
	r.mu.Unlock()

	var resp *http.Response
	err := r.c.admit(ctx, r.cl)
	if err == nil {
		resp, err = r.c.send(ctx, r.cl) //nolint:bodyclose // dropped below, or handed on
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || ctx.Err() != nil {
		drop(resp)
		return
	}
	r.over, r.resp, r.err = true, resp, err
	r.timer.Stop()
	r.giveUp()
}

// outcome is that of the request, or of a repetition that was faster.
func (r *repeats) outcome(resp *http.Response, err error) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		drop(resp)
		return r.resp, r.err
	}
	r.over = true
	r.timer.Stop()
	if r.last != nil {
		r.last()
	}
	return resp, err
}

func drop(resp *http.Response) {
	if resp != nil {
		_ = resp.Body.Close() // nobody waits for it
	}
}
