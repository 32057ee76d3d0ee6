package datasource

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
	"sync/atomic"

	"github.com/go-resty/resty/v2"
)

// requester makes the requests of clients that share an http.Client.
type requester struct {
	*resty.Client
	spare sync.Pool // requests that have been made: a new one is six allocations
	// traces: what sends is known to tell httptrace how far a request got.
	traces bool
}

func (r *requester) request() *resty.Request {
	if used, ok := r.spare.Get().(*resty.Request); ok {
		return used
	}
	return r.R().SetDoNotParseResponse(true)
}

// done keeps a request for another call, without anything of this one.
func (r *requester) done(used *resty.Request) {
	used.URL, used.Header, used.Body, used.RawRequest = "", nil, nil, nil // of all that is set here and in resty
	used.SetContext(context.Background())
	r.spare.Put(used)
}

// maxWhole is the size up to which a body is one part, whose sending httptrace reports. net/http takes at most twice as
// much at a time of one that is watched.
const maxWhole = 16 << 10

// A reading is a read on its way.
type reading struct {
	pace pace
	body bytes.Reader
}

// A flight is a write on its way. It records how far it got: a failure before the server could see the request is not
// doubtful.
type flight struct {
	reading
	trace        httptrace.ClientTrace
	asked, wrote atomic.Bool
	size         int // of the body, if it is one part
}

func (c *Client) newFlight(cl *call) *flight {
	f := new(flight)
	f.trace.GetConn = f.getConn
	f.trace.WroteHeaders = f.wroteHeaders
	if n := len(cl.body); n <= maxWhole && c.http.traces {
		f.size = n
	}
	if f.size > 0 {
		f.trace.WroteRequest = f.wroteRequest
	}
	return f
}

// context has what is needed on the way.
func (f *flight) context(ctx context.Context) context.Context {
	ctx = httptrace.WithClientTrace(ctx, &f.trace)
	if f.size == 0 {
		ctx = context.WithValue(ctx, paceOf{}, &f.pace)
	}
	return ctx
}

func (f *flight) getConn(string)                            { f.asked.Store(true) }
func (f *flight) wroteHeaders()                             { f.wrote.Store(true) }
func (f *flight) wroteRequest(_ httptrace.WroteRequestInfo) { f.pace.taken(f.size, true) }

// unsent reports whether the request certainly did not leave. With a RoundTripper that does not report to httptrace
// only errors of dialling show that.
func (f *flight) unsent(err error) bool {
	if f.wrote.Load() {
		return false
	}
	if f.asked.Load() {
		return true
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return true
	}
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}
