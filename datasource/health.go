package datasource

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

// errTemporary is what Temporary looks for.
var errTemporary = errors.New("datasource: the server is down or busy")

// Temporary reports whether err says that the server is down or busy for now: it could not be reached, the connection
// broke, a request had no answer before the deadline of its context, or the answer was 429 or a 5xx of the service, or of a
// gateway before it. The same call can succeed later; a write may have been applied nevertheless, see Doubtful.
//
// Temporary is false for an error of a context that was cancelled, and for what only a change of settings repairs, such
// as a certificate that is not trusted, or 501 and 505.
func Temporary(err error) bool {
	return errors.Is(err, errTemporary) && !errors.Is(err, context.Canceled)
}

// busy are the statuses of a server, or of what stands before it, that cannot answer now. Gateways have more of them than
// are registered, such as 520 to 530.
func busy(status int) bool {
	switch status {
	case http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported: // it never will
		return false
	}
	return status >= 500
}

// Ping reports whether the server can be reached and takes the token. It makes one request, GET v1/user, in one attempt:
// what fails is not tried again, so that a probe gets its answer soon. It waits for the limiter like every call.
//
// Errors: one that is Temporary when the server is down; ErrUnauthorized or ErrForbidden when it refuses the token;
// another one when an answer with a status of success does not hold the user of the token, such as the page of a portal.
func (c *Client) Ping(ctx context.Context) error {
	cl := &call{method: http.MethodGet, path: "v1/user", read: true}
	if err := c.admit(ctx, cl); err != nil {
		return &callError{op: cl.op(), err: err}
	}
	_, err := c.attempt(ctx, cl, 1, func(body []byte) error {
		known := false
		if err := decode(body, func(d *decoder) (err error) { known, err = d.user(); return err }); err != nil {
			return err
		}
		if !known {
			return errNoUser
		}
		return nil
	})
	return err
}

// taken is when the token was taken last.
type taken struct {
	born  time.Time    // before every request; it has the monotonic clock
	since atomic.Int64 // after born, in ns; 0 for never
}

func (t *taken) note(started time.Time) {
	at := max(int64(started.Sub(t.born)), 1)
	for {
		last := t.since.Load()
		if last >= at || t.since.CompareAndSwap(last, at) {
			return
		}
	}
}

// LastAccepted is when the latest of those requests was made that the server answered with a success that answers what was
// asked: it took the token then. It is zero before the first one. Requests of all views count, see View. It makes no
// request, and is of the local clock.
func (c *Client) LastAccepted() time.Time {
	if since := c.taken.since.Load(); since != 0 {
		return c.taken.born.Add(time.Duration(since))
	}
	return time.Time{}
}

// user reads whether an answer holds the user of a token, with an id.
func (d *decoder) user() (known bool, err error) {
	if d.peek() != '{' {
		return false, d.skip()
	}
	err = d.object(func(name []byte) error {
		if string(name) != "user" || d.peek() != '{' {
			return d.skip()
		}
		return d.object(func(name []byte) error {
			if string(name) != "id" {
				return d.skip()
			}
			_, ok, err := d.integer()
			known = known || ok
			return err
		})
	})
	return known, err
}

// Limiter is the limiter that the client's requests wait for.
func (c *Client) Limiter() Limiter { return c.limiter }

// LimiterErr is why the client's Limiter lets less start than it should; nil when it does not, or is no ImpairedLimiter.
func (c *Client) LimiterErr() error {
	if l, ok := c.limiter.(ImpairedLimiter); ok {
		return l.Err()
	}
	return nil
}

// Delay implements [Limiter]. It is about somebody who has made no request for a while, unless only one makes requests.
func (l *Window) Delay() time.Duration {
	if l == nil || l.per == 0 {
		return 0
	}
	return l.delay(Turn{})
}

// DelayTurn implements [TurnLimiter].
func (l *Window) DelayTurn(t Turn) time.Duration {
	if l.per == 0 {
		return 0
	}
	l.mu.Lock()
	known := l.budget.Knows(t.who, t.class.turns())
	l.mu.Unlock()
	if !known {
		return 0
	}
	return l.delay(t)
}

func (l *Window) delay(t Turn) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.step(now)
	_, n, _ := l.budget.Load(now)
	return max(l.budget.Expect(now, t.who, t.class.turns(), n), 0)
}

// Delay is how long a request of this client that comes now would wait for its Limiter: the longest of what it writes, its
// reads that are asked again, and its other reads. It takes no slot.
func (c *Client) Delay() (d time.Duration) {
	if c.turns == nil {
		return c.limiter.Delay()
	}
	for _, class := range [...]Class{ClassOther, ClassSend, ClassLive, ClassMark} {
		d = max(d, c.turns.DelayTurn(Turn{c.caller, class}))
	}
	return d
}
