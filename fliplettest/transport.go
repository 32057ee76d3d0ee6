package fliplettest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// inProcess is a RoundTripper that calls a handler in the goroutine of the
// caller: no socket, no goroutine, and in a testing/synctest bubble the delays
// of levers pass on the bubble's clock.
type inProcess struct {
	handler http.Handler
	closed  chan struct{} // from then on nobody listens
}

// RoundTrip serves one request. A connection that a lever drops shows as an
// error of the kind a socket would give.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	ctx := r.Context()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx) // as net/http has it
	}
	select {
	case <-t.closed:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	default:
	}
	in := r.Clone(ctx)
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &answer{header: make(http.Header)}
	dropped := w.serve(t.handler, in)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if dropped && w.status == 0 {
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	length := int64(w.body.Len())
	if n, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64); err == nil {
		length = n
	}
	var body io.Reader = bytes.NewReader(w.body.Bytes())
	if w.every > 0 {
		body = &dripping{ctx: ctx, closed: t.closed, rest: w.body.Bytes(), piece: w.piece, every: w.every}
	}
	if dropped || length > int64(w.body.Len()) {
		body = io.MultiReader(body, unexpectedEnd{})
	}
	return &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(body), ContentLength: length, Request: r,
	}, nil
}

// answer collects what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
	piece  int           // of Drip
	every  time.Duration // 0: at once
}

// Drip lets the reader of the body wait for each piece.
func (a *answer) Drip(body []byte, piece int, every time.Duration) {
	a.body.Write(body)
	a.piece, a.every = piece, every
}

// dripping is a body that arrives piece by piece.
type dripping struct {
	ctx    context.Context
	closed <-chan struct{}
	rest   []byte
	ready  int // bytes that have arrived and were not read yet
	piece  int
	every  time.Duration
}

func (d *dripping) Read(b []byte) (int, error) {
	if len(d.rest) == 0 {
		return 0, io.EOF
	}
	if d.ready == 0 {
		timer := time.NewTimer(d.every)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-d.ctx.Done():
			return 0, context.Cause(d.ctx)
		case <-d.closed:
			return 0, io.ErrUnexpectedEOF
		}
		d.ready = min(d.piece, len(d.rest))
	}
	n := copy(b, d.rest[:d.ready])
	d.rest, d.ready = d.rest[n:], d.ready-n
	return n, nil
}

func (a *answer) serve(h http.Handler, r *http.Request) (dropped bool) {
	defer func() {
		switch p := recover(); {
		case p == nil:
		case errors.Is(asError(p), http.ErrAbortHandler):
			dropped = true
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(a, r)
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return false
}

func asError(p any) error {
	err, _ := p.(error)
	return err
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// Flush lets the server see a connection that can be flushed.
func (a *answer) Flush() { a.WriteHeader(http.StatusOK) }

// unexpectedEnd is the rest of a body that was cut off.
type unexpectedEnd struct{}

func (unexpectedEnd) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
