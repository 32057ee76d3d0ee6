package flipletd

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Request is a request that the server has seen. It holds no header, no body
// and no secret.
type Request struct {
	Time     time.Time
	Method   string
	Path     string // as sent, escaped
	Query    string // tokens and keys replaced by "…"
	Route    Route
	BodySize int
	Status   int // 0: the connection was dropped
}

// maxLogged bounds the requests kept; the counters go on.
const maxLogged = 10_000

type requestLog struct {
	logger   *slog.Logger
	mu       sync.Mutex
	requests []*Request
	counts   map[Route]int
	dropped  int64 // rows removed because a commit or an import did not list them
	faults   []error
	rates    rates
}

// secrets are the query parameters whose values nobody gets to see.
var secrets = []string{"auth_token", "flUserToken", "encryptionKey", "password", "token"}

func redact(raw string) string {
	if raw == "" {
		return ""
	}
	pairs := strings.Split(raw, "&")
	for i, pair := range pairs {
		name, value, found := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		switch {
		case err != nil, found && slices.Contains(secrets, plain), plain == "definition" && !harmless(value):
			pairs[i] = name + "=…"
		}
	}
	return strings.Join(pairs, "&")
}

// harmless says that a filter on definitions asks for people or groups: others
// may hold a key or an invitation.
func harmless(value string) bool {
	text, err := url.QueryUnescape(value)
	var filter map[string]json.RawMessage
	if err != nil || json.Unmarshal([]byte(text), &filter) != nil {
		return false
	}
	for key := range filter {
		if key != "participants" && key != "group" {
			return false
		}
	}
	return true
}

func (l *requestLog) start(c *call, now time.Time) *Request {
	r := &Request{
		Time: now, Method: c.req.Method, Path: c.req.URL.EscapedPath(),
		Query: redact(c.req.URL.RawQuery), Route: c.route.name,
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = make(map[Route]int)
	}
	l.counts[r.Route]++
	if len(l.requests) >= 2*maxLogged {
		l.requests = slices.Clone(l.requests[maxLogged:])
	}
	l.requests = append(l.requests, r)
	return r
}

func (l *requestLog) finish(r *Request, c *call) {
	l.mu.Lock()
	r.BodySize, r.Status = len(c.body), c.status
	l.rates.count(r.Time, r.Status)
	l.mu.Unlock()
	l.logger.LogAttrs(context.Background(), slog.LevelInfo, "request",
		slog.String("method", r.Method), slog.String("path", r.Path), slog.String("query", r.Query),
		slog.Int("bytes", r.BodySize), slog.Int("status", r.Status))
}

// fault remembers an error that is the server's own, a panic included.
func (l *requestLog) fault(err error) {
	l.logger.Error("the server failed", "error", err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) < 100 {
		l.faults = append(l.faults, err)
	}
}

func (l *requestLog) drop(rows int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped += int64(rows)
}

// last returns up to n requests, the oldest first.
func (l *requestLog) last(n int) []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	tail := l.requests[max(0, len(l.requests)-n):]
	out := make([]Request, len(tail))
	for i, r := range tail {
		out[i] = *r
	}
	return out
}

func (l *requestLog) counters() map[Route]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}
