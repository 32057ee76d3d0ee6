package datasource

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A call is one request of the API, however many attempts it takes.
type call struct {
	method string
	path   string // escaped, without a leading slash: "v1/…"
	query  string // encoded
	whole  string // the URL of path and query, if it is made already
	body   []byte
	mime   string // of body; JSON unless set
	form   *form  // a streamed body, instead of body
	read   bool   // repeating it does no harm
	batch  bool   // a write of which the server may have minutes of work
	// list says what is kept of a row or data source that is too large, for calls that answer with a list of them.
	list *fieldLimits
	rows int   // how many rows were asked for, 0 for all
	most int64 // how many bytes of an answer are kept; 0: Client.maxBytes
	// joined: an outer join may have added rows of other data sources.
	joined bool

	date string // the Date of the last answer
	size int64  // the bytes of its body
	kept int64  // those that were kept

	// For downloads:
	target    string                                       // the whole URL, where it is not made of path and query
	stream    func(*http.Response) (again bool, err error) // takes a successful answer unread
	foreign   bool                                         // target must not see the credentials
	unlimited bool                                         // does not count against the rate limit
}

// locate sets path and query. With one parameter both are parts of the URL, which is made here then.
func (cl *call) locate(root, path string, params url.Values) {
	cl.path = path
	for name, list := range params {
		if len(params) > 1 || len(list) != 1 {
			break
		}
		cl.whole = root + "/" + path + "?" + url.QueryEscape(name) + "=" + url.QueryEscape(list[0])
		cl.query = cl.whole[len(root)+len(path)+2:]
		return
	}
	cl.query = params.Encode()
}

// answered is the time of the last answer, zero if it had none.
func (cl *call) answered() time.Time {
	t, _ := http.ParseTime(cl.date) // else it is zero
	return t
}

func (cl *call) op() string { return cl.method + " " + cl.path }

const (
	maxPooled  = 1 << 20 // a buffer larger than this is left to the collector
	maxSized   = 1 << 20 // the most that is allocated for a Content-Length before the bytes are there
	maxErrBody = 64 << 10
)

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// do makes the call and hands the body of a successful answer to accept, which must not keep it, and which
// says whether it answers what was asked.
func (c *Client) do(ctx context.Context, cl *call, accept func(body []byte) error) error {
	var took time.Duration // of the attempts, and the pauses between them
	var limited *Error     // the 429 for which it is repeated
	for attempt := 1; ; attempt++ {
		if err := c.admit(ctx, cl); err != nil {
			return &callError{op: cl.op(), err: limited.with(err)}
		}
		began := time.Now()
		again, err := c.attempt(ctx, cl, attempt, accept)
		if err == nil {
			return nil
		}
		if e, ok := err.(*callError); ok && ctx.Err() != nil && !e.doubtful {
			e.err = limited.with(e.err)
		}
		if !again || attempt >= c.retry.MaxAttempts || cl.form != nil && !cl.form.reusable() {
			return err
		}
		var named time.Duration
		limited = nil
		if answer, ok := err.(*Error); ok {
			if named = answer.RetryAfter; answer.StatusCode == http.StatusTooManyRequests {
				limited = answer
			}
		}
		pause := c.retry.wait(attempt, named)
		if took += time.Since(began); named == 0 {
			took += pause
		}
		if took >= repeatFor || errors.Is(err, errNotAgain) {
			return err
		}
		if !sleep(ctx, pause) {
			if ctx.Err() != nil {
				err = &callError{op: cl.op(), err: errors.Join(contextError(ctx), err)}
			}
			return err
		}
	}
}

func (c *Client) admit(ctx context.Context, cl *call) error {
	if cl.unlimited {
		return Unlimited().Wait(ctx)
	}
	return c.watch.wait(ctx, c, c.turnOf(ctx, cl), !cl.read)
}

// attempt makes one request. again says whether a failure is one to repeat.
func (c *Client) attempt(ctx context.Context, cl *call, number int, accept func([]byte) error) (again bool, err error) {
	defer tell(ctx)()
	started := time.Now()
	status := 0
	err = errExited // unless it returns
	defer func() { c.record(ctx, cl, number, status, started, err) }()
	if cl.form != nil {
		defer cl.form.stop(ctx)
	}

	var way *reading
	var fl *flight
	if cl.read {
		way = new(reading)
	} else {
		fl = c.newFlight(cl)
		way = &fl.reading
	}
	watch := &way.pace
	watch.watch(ctx, c, cl)
	defer watch.stop()
	sending := watch.ctx
	if fl != nil {
		sending = fl.context(sending)
	}
	resp, err := watch.outcome(c.send(sending, cl, &way.body)) //nolint:bodyclose // closed below, or dropped
	if err != nil {
		if ctx.Err() == nil {
			c.tellAnswered(cl, 0, started)
		}
		return c.lost(ctx, cl, fl, watch.blame(err))
	}
	resp.Body = watch.answered(resp.Body)
	defer resp.Body.Close()
	status = resp.StatusCode
	cl.date = resp.Header.Get("Date")
	c.tellAnswered(cl, status, started)

	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= maxPooled {
			buf.Reset()
			buffers.Put(buf)
		}
	}()
	if status < 200 || status > 299 || status == http.StatusPartialContent && cl.stream == nil { // no part was asked for
		return c.refused(cl, resp, buf)
	}
	if cl.stream != nil {
		again, err := cl.stream(resp)
		if err != nil {
			_, err = c.lost(ctx, cl, fl, err)
		}
		return again, err
	}
	body, err := c.body(buf, resp, cl)
	if err != nil {
		if _, ok := err.(*ResponseTooLargeError); ok {
			return false, &callError{op: cl.op(), err: err, doubtful: !cl.read}
		}
		return c.lost(ctx, cl, fl, err)
	}
	if err := accept(body); err != nil {
		return false, &callError{op: cl.op(), err: c.scrubbed(cl, err), doubtful: !cl.read}
	}
	c.taken.note(started)
	return false, nil
}

// send makes one request. It reads the body by means of body, which belongs to it from then on: resty and net/http know a
// bytes.Reader, and neither copies it nor sends it apart from the headers.
func (c *Client) send(ctx context.Context, cl *call, body *bytes.Reader) (*http.Response, error) {
	u := cl.target + cl.whole // one of them, or neither
	switch {
	case cl.whole != "":
	case u == "" && cl.query == "":
		u = c.root + "/" + cl.path
	case u == "":
		u = c.root + "/" + cl.path + "?" + cl.query
	case cl.query != "":
		u += "?" + cl.query
	}
	r := c.http.request()
	r.Header = c.headers(cl)
	switch {
	case cl.form != nil:
		ctx = context.WithValue(ctx, bodyOf{}, cl.form)
	case cl.body != nil:
		body.Reset(cl.body)
		r.Body = body
	}
	resp, err := r.SetContext(ctx).Execute(cl.method, u)
	c.http.done(r)
	if err != nil {
		return nil, err
	}
	return resp.RawResponse, nil
}

// headersOf returns the headers of requests: those that most share are never changed, since resty copies them, and have all
// that it would add.
func headersOf(token, userAgent string) func(*call) http.Header {
	agent := []string{userAgent}
	plain := http.Header{"Auth-Token": {token}, "User-Agent": agent}
	withJSON := maps.Clone(plain)
	withJSON["Content-Type"] = []string{"application/json"}
	withJSON["Accept"] = withJSON["Content-Type"]
	return func(cl *call) http.Header {
		mime := cl.mime
		if cl.form != nil {
			mime = cl.form.contentType
		}
		switch {
		case cl.foreign:
			return http.Header{"User-Agent": agent}
		case mime != "":
			other := maps.Clone(plain)
			other["Content-Type"] = []string{mime}
			return other
		case cl.body != nil:
			return withJSON
		}
		return plain
	}
}

// refused reads an answer that is not a success.
func (c *Client) refused(cl *call, resp *http.Response, buf *bytes.Buffer) (again bool, err error) {
	// A part of the explanation is enough, and so is none: the status is an answer.
	_, _ = buf.ReadFrom(io.LimitReader(resp.Body, maxErrBody))
	e := c.fault(cl, resp.StatusCode, resp.Header, buf.Bytes())
	if e.StatusCode >= 300 && e.StatusCode < 400 {
		host := shorten(withoutEcho(c.scrub(redirectHost(resp)), c.values(cl)))
		e.Message = "the server redirects to " + host + ", which is not followed with this request: check BaseURL"
	}
	if elsewhere(cl, resp) {
		e.FromService, e.coded = false, false
	}
	e.doubtful = !cl.read && (e.StatusCode >= 500 || e.StatusCode < 300)
	switch e.StatusCode {
	case http.StatusTooManyRequests:
		c.tellRefused(cl, e.named)
		return true, e
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return cl.read, e
	}
	return false, e
}

// elsewhere reports whether an answer is about something else than was asked for, to which a gateway redirects: its page for
// logins is unknown to the service.
func elsewhere(cl *call, resp *http.Response) bool {
	return cl.path != "" && resp.Request != nil && resp.Request.Response != nil && !strings.HasSuffix(resp.Request.URL.EscapedPath(), "/"+cl.path)
}

// tellAnswered lets the Limiter know whether a request was answered; status 0: it was not. What a gateway says when the
// service is down is no answer. tellRefused tells of refusals for the limit.
func (c *Client) tellAnswered(cl *call, status int, started time.Time) {
	l, ok := c.limiter.(AnsweredLimiter)
	if !ok || !cl.counts() {
		return
	}
	switch {
	case status == 0, http.StatusBadGateway <= status && status <= http.StatusGatewayTimeout:
		l.Unanswered()
	case status < 500 && status != http.StatusTooManyRequests:
		l.Answered(started)
	}
}

// counts reports whether a call counts at the limit of data sources. Others have limits of their own.
func (cl *call) counts() bool { return !cl.unlimited && strings.HasPrefix(cl.path, "v1/data-sources") }

// tellRefused lets the Limiter know that a request was refused for the limit.
func (c *Client) tellRefused(cl *call, after time.Duration) {
	l, ok := c.limiter.(RefusedLimiter)
	if !ok || !cl.counts() {
		return
	}
	var until time.Time
	if after > 0 {
		if c.retry.MaxWait < LongestWait {
			after = min(after, c.retry.MaxWait)
		}
		until = time.Now().Add(after)
	}
	l.Refused(until)
}

func redirectHost(resp *http.Response) string {
	u, err := resp.Location()
	if err != nil {
		return "nowhere"
	}
	return u.Scheme + "://" + u.Host
}

// lost makes the error of a request without a usable answer. A read may be repeated; a write only if it never left.
func (c *Client) lost(ctx context.Context, cl *call, fl *flight, err error) (again bool, _ error) {
	unsent := !cl.read && fl.unsent(err)
	e := &callError{op: cl.op(), doubtful: !cl.read && !unsent && !errors.Is(err, errRedirects)}
	e.lost = !permanent(err)
	if ctx.Err() != nil {
		e.err = contextError(ctx)
		l, ok := c.limiter.(*Window)
		e.held = ok && cl.counts() && l.holds()
		return false, e
	}
	e.err = c.scrubbed(cl, err)
	return (cl.read || unsent) && !permanent(err), e
}

// permanent reports whether another attempt would end the same way.
func permanent(err error) bool {
	if _, ok := errors.AsType[*localError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	return errors.Is(err, errRedirects) || errors.Is(err, ErrFileRefused)
}

// errExited is told of an attempt that does not return.
var errExited = errors.New("datasource: the transport has ended its goroutine, by runtime.Goexit or FailNow of a test, or it panicked")

// localError is what a caller's Reader or Writer met, which says nothing about the server.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// record tells hooks of an attempt, and writes its debug line. It leaves the query out, which may hold the token of a user.
func (c *Client) record(ctx context.Context, cl *call, number, status int, started time.Time, err error) {
	c.watch.request(ctx, cl, number, status, started, err)
	if !c.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{slog.String("method", cl.method), slog.String("path", cl.path), slog.Int("status", status),
		slog.Duration("duration", time.Since(started)), slog.Int("attempt", number)}
	if failed, ok := err.(*callError); ok {
		attrs = append(attrs, slog.String("error", failed.err.Error()))
	}
	c.log.LogAttrs(ctx, slog.LevelDebug, "datasource request", attrs...)
}

// body reads the body of an answer, into buf if there is room. Of a long list it leaves out what breaks a limit.
func (c *Client) body(buf *bytes.Buffer, resp *http.Response, cl *call) ([]byte, error) {
	most, long := c.maxBytes, c.maxBytes
	if cl.list != nil {
		most, long = min(plainBytes, cmp.Or(cl.most, c.maxBytes)), c.maxBytes*transferFactor
	}
	size := resp.ContentLength
	if size > long {
		return nil, &ResponseTooLargeError{Limit: c.maxBytes}
	}
	if size > 0 {
		buf.Grow(int(min(size, maxSized)) + bytes.MinRead) // MinRead: room to see the end without growing
	}
	for {
		buf.Grow(bytes.MinRead)
		room := buf.AvailableBuffer()
		n, err := resp.Body.Read(room[:min(int64(cap(room)), most+1-int64(buf.Len()))]) // the buffer may be a large one
		_, _ = buf.Write(room[:n])
		switch {
		case int64(buf.Len()) > most && cl.list != nil:
			return c.sift(buf.Bytes(), resp, cl)
		case int64(buf.Len()) > most:
			return nil, &ResponseTooLargeError{Limit: c.maxBytes}
		case err == io.EOF:
			cl.size = int64(buf.Len())
			cl.kept = cl.size
			return buf.Bytes(), nil
		case err != nil:
			return nil, err
		}
	}
}

// sift reads the rest of a long list and returns what is kept of it.
func (c *Client) sift(begun []byte, resp *http.Response, cl *call) ([]byte, error) {
	s := &sieve{fields: cl.list, size: rowBytes(c.maxBytes), max: cmp.Or(cl.most, c.maxBytes)}
	s.most, s.exact = rowsFor(cl.rows)
	if err := s.write(begun); err != nil {
		return nil, err
	}
	chunk := make([]byte, 64<<10)
	for total := int64(len(begun)); ; {
		n, err := resp.Body.Read(chunk)
		if failed := s.write(chunk[:n]); failed != nil {
			return nil, failed
		}
		switch total += int64(n); {
		case total > c.maxBytes*transferFactor:
			return nil, &ResponseTooLargeError{Limit: c.maxBytes, Rows: s.rows}
		case err == io.EOF:
			cl.size, cl.kept = total, int64(len(s.out))
			return s.out, nil
		case err != nil:
			return nil, err
		}
	}
}
