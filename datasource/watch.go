package datasource

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/hooks"
)

// watch is who is told of requests. It is nil when nobody is.
type watch struct {
	requests []hooks.RequestHook
	waits    []hooks.WaitHook
}

func newWatch(all []hooks.Hook) *watch {
	w := &watch{hooks.Of[hooks.RequestHook](all), hooks.Of[hooks.WaitHook](all)}
	if w.requests == nil && w.waits == nil {
		return nil
	}
	return w
}

// request tells of an attempt that is over.
func (w *watch) request(ctx context.Context, cl *call, number, status int, started time.Time, err error) {
	if w == nil || w.requests == nil {
		return
	}
	r := hooks.Request{
		Method: cl.method, Route: cl.route(), Write: !cl.read, Attempt: number, Status: status,
		Started: started, Duration: time.Since(started), Err: err,
	}
	for _, h := range w.requests {
		h.OnRequest(ctx, r)
	}
}

// shortestWait is what counts as a wait: less is the time that a lock takes.
const shortestWait = time.Millisecond

// queued says whether a Window had a request wait. Of one that started or was refused at once
// a busy machine may make as long a wait, which is none for the limiter. Of other limiters it
// is not known.
type queued uint8

const (
	unknown queued = iota
	atOnce
	waited
)

type queueKey struct{}

// note notes it for whoever asks for it with the context.
func (q queued) note(ctx context.Context) {
	if to, ok := ctx.Value(queueKey{}).(*queued); ok {
		*to = q
	}
}

// wait waits for the limiter, and tells of it.
func (w *watch) wait(ctx context.Context, c *Client, t Turn, write bool) error {
	if w == nil || w.waits == nil {
		return c.wait(ctx, t)
	}
	began, how := time.Now(), new(queued)
	err := c.wait(context.WithValue(ctx, queueKey{}, how), t)
	if took := time.Since(began); took >= shortestWait && *how != atOnce {
		for _, h := range w.waits {
			h.OnLimiterWait(ctx, hooks.Wait{Write: write, Duration: took, Err: err})
		}
	}
	return err
}

// wait waits for a turn, or for a slot of a limiter that knows no turns.
func (c *Client) wait(ctx context.Context, t Turn) error {
	if c.turns != nil {
		return c.turns.WaitTurn(ctx, t)
	}
	return c.limiter.Wait(ctx)
}

// words are the parts of paths that say nothing but what is asked for.
var words = []string{"v1", "data-sources", "data", "query", "commit", "user", "users", "media", "files", "session", "communicate", "apps", "organizations", "logs", "widget-instances"}

// route is the path of a call without ids, names, and what else only one call has.
func (cl *call) route() string {
	if cl.target != "" {
		return "file"
	}
	parts := strings.Split(cl.path, "/")
	for i, part := range parts {
		if !slices.Contains(words, part) {
			parts[i] = "{}"
		}
	}
	return strings.Join(parts[:min(len(parts), 6)], "/")
}
