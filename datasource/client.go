package datasource

import (
	"log/slog"
	"net/http"
	"time"
)

// Client talks to one Fliplet API host with one token. It is safe for concurrent use, keeps no goroutine, and
// needs no closing. Clients that bring no HTTPClient share their connections, so one for each token costs little.
//
// Every method checks its arguments before the first request. What the server refuses is an *Error. The error of a
// cancelled or expired context matches the context's error and its cause with errors.Is. When a write failed but may
// have been applied, Doubtful reports true.
type Client struct {
	*shared
	caller *caller // whose turn it is at the limiter
	watch  *watch
}

// shared is what all views of a client have in common. It is never changed.
type shared struct {
	http     *requester
	token    secret
	headers  func(*call) http.Header // of a request, including the token
	files    *fileRules              // never changed
	root     string                  // base as text
	log      *slog.Logger
	limiter  Limiter
	turns    TurnLimiter // limiter, if it is one
	taken    *taken      // of all views
	retry    RetryPolicy
	maxBytes int64
	evidence *evidence
}

// NewClient checks cfg and returns a Client. It makes no request: a token that the server does not know is
// reported by the first call.
func NewClient(cfg Config) (*Client, error) {
	cfg, files, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	turns, _ := cfg.Limiter.(TurnLimiter)
	return &Client{caller: new(caller), shared: &shared{
		http:     newResty(cfg.HTTPClient, files),
		token:    keep(cfg.Token),
		headers:  headersOf(cfg.Token, cfg.UserAgent),
		files:    files,
		root:     files.base.String(),
		log:      cfg.Logger,
		limiter:  cfg.Limiter,
		turns:    turns,
		taken:    &taken{born: time.Now()},
		retry:    cfg.Retry,
		maxBytes: cfg.MaxResponseBytes,
		evidence: new(evidence),
	}}, nil
}

// BaseURL is the API base without a trailing slash, e.g. "https://api.fliplet.com". Programs with several
// installations tell by it which one a client, a stored value or a link belongs to.
func (c *Client) BaseURL() string { return c.root }

// CloseIdle closes idle connections. The next request opens new ones. Clients that brought no HTTPClient share their
// connections, so they are closed for all of them. Tests that count goroutines need it; programs do not.
func (c *Client) CloseIdle() { c.http.GetClient().CloseIdleConnections() }
