package datasource

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const version = "0.1.0"

// Config says how a Client reaches Fliplet. Token is the only field without a default. NewClient copies it.
//
// It prints, logs and marshals without its token.
type Config struct {
	// Token is sent as the header Auth-token, and nowhere else. Its first two letters pick the region: eu, us or ca.
	// Any other token belongs to the European one.
	Token string
	// BaseURL overrides the region: an on-premise installation, a local server. "https://host" or
	// "https://host/prefix", without /v1. Unless it is one of Fliplet's published APIs, the token goes to its origin only.
	BaseURL string
	// UserAgent defaults to "fliplet-chat-go/<version>".
	UserAgent string
	// HTTPClient is copied, and its redirect policy narrowed. Without a Transport of their own, all clients of a
	// process share one with 64 idle connections per host.
	HTTPClient *http.Client
	// Logger receives one debug line for each attempt: method, path, status, duration, attempt. nil logs nothing.
	Logger *slog.Logger
	// Limiter holds requests back before the server refuses them. nil gives the Client its own, 200 requests per 10 s.
	// Clients with the same token should share one.
	Limiter Limiter
	// Retry says how often a failed call is tried again.
	Retry RetryPolicy
	// MaxResponseBytes bounds the decoded body of one answer, downloads apart. Rows and definitions that are too large
	// by themselves do not count. 0 means 64 MiB.
	MaxResponseBytes int64

	// FileHosts names other hosts whose files Download may fetch, with plain requests that carry no credentials:
	// "files.example.org", "files.example.org:8443", or "http://files.example.org" without TLS. nil: none.
	FileHosts []string
	// AllowFile decides about the files of hosts that FileHosts does not name. An error refuses and becomes part of
	// Download's. It is called again for a redirect, and must be safe for concurrent use. nil refuses all.
	AllowFile func(file *url.URL) error
	// FileNetworks are networks that the hosts of FileHosts and AllowFile may be in although they are not on the
	// internet: loopback, private, link-local, carrier-grade NAT and the like. nil: none. Such hosts are dialled
	// without a proxy and without HTTPClient, unless its Transport is an *http.Transport, so that each address is seen.
	FileNetworks []netip.Prefix
}

// RetryPolicy bounds the repetition of failed calls. A zero field has its default.
//
// Reads are repeated after a network error and after 429, 502, 503 and 504. Writes are repeated only when the
// server cannot have acted on them: after 429, and when the connection failed before the request was written. Whatever
// the policy, no attempt begins once those before it, and the pauses between them, have taken 45 s; waits that the server
// asked for do not count.
type RetryPolicy struct {
	// MaxAttempts counts the first attempt too, so 1 never repeats. 0 means 4.
	MaxAttempts int
	// BaseDelay is the wait before the second attempt; each further one doubles. Half of each wait is random.
	// 0 means 250 ms.
	BaseDelay time.Duration
	// MaxDelay caps the doubling. 0 means 8 s.
	MaxDelay time.Duration
	// MaxWait caps a wait that the server asked for, which is never more than LongestWait. 0 means 60 s. With less than
	// that it caps what a Limiter is told, too.
	MaxWait time.Duration
}

const defaultMaxResponse = 64 << 20

// complete returns cfg with its defaults, and the rules for files, which hold the base URL. Every problem is reported.
func (cfg Config) complete() (Config, *fileRules, error) {
	cfg.UserAgent = cmp.Or(cfg.UserAgent, "fliplet-chat-go/"+version)
	cfg.MaxResponseBytes = cmp.Or(cfg.MaxResponseBytes, defaultMaxResponse)
	cfg.Retry.MaxAttempts = cmp.Or(cfg.Retry.MaxAttempts, 4)
	cfg.Retry.BaseDelay = cmp.Or(cfg.Retry.BaseDelay, 250*time.Millisecond)
	cfg.Retry.MaxDelay = cmp.Or(cfg.Retry.MaxDelay, max(8*time.Second, cfg.Retry.BaseDelay))
	cfg.Retry.MaxWait = cmp.Or(cfg.Retry.MaxWait, LongestWait)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if w, ok := cfg.Limiter.(*Window); cfg.Limiter == nil || ok && w == nil {
		cfg.Limiter = NewLimiter(200, 10*time.Second)
	}

	base, err := baseURL(cfg.BaseURL, cfg.Token)
	faults := []error{checkToken(cfg.Token), err}
	files, err := cfg.fileRules(cmp.Or(base, &url.URL{}))
	faults = append(faults, err)
	if !printable(cfg.UserAgent) {
		faults = append(faults, errors.New("Config.UserAgent holds a character that a header cannot carry"))
	}
	if cfg.MaxResponseBytes < 0 {
		faults = append(faults, fmt.Errorf("Config.MaxResponseBytes is %d: give a positive number, or 0 for 64 MiB", cfg.MaxResponseBytes))
	}
	if cfg.Retry.MaxAttempts < 0 {
		faults = append(faults, fmt.Errorf("Config.Retry.MaxAttempts is %d: 1 never repeats, 0 means 4", cfg.Retry.MaxAttempts))
	}
	if cfg.Retry.BaseDelay < 0 || cfg.Retry.MaxDelay < cfg.Retry.BaseDelay || cfg.Retry.MaxWait < 0 {
		faults = append(faults, errors.New("Config.Retry needs 0 <= BaseDelay <= MaxDelay and 0 <= MaxWait"))
	}
	if err := errors.Join(faults...); err != nil {
		return cfg, nil, fmt.Errorf("datasource: %w", err)
	}
	return cfg, files, nil
}

// checkToken refuses what cannot be a header value. The rest of a token is opaque, and never shown.
func checkToken(token string) error {
	switch {
	case token == "":
		return errors.New("Config.Token is empty: create one in Fliplet Studio (App settings, API tokens)")
	case !printable(token) || strings.Contains(token, " "):
		return errors.New("Config.Token holds a space or a character that a header cannot carry: copy it again, without line ends")
	}
	return nil
}

// printable reports whether s is plain ASCII without control characters, so that it can end no header line.
func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// baseURL is where the API lives: given, or the region of the token.
func baseURL(given, token string) (*url.URL, error) {
	if given == "" {
		return &url.URL{Scheme: "https", Host: cmp.Or(regionOf(token), &regions[0]).api}, nil
	}
	u, err := url.Parse(given)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New(`Config.BaseURL is not a URL like "https://api.fliplet.com"`)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("Config.BaseURL must be scheme, host and path only: the token goes into Token")
	case u.Scheme == "http" && regionAt(hostOf(u)) != nil:
		return nil, errors.New("Config.BaseURL would send the token to Fliplet in the clear: use https")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	if strings.HasSuffix(u.Path, "/v1") {
		return nil, errors.New("Config.BaseURL must end before /v1")
	}
	return u, nil
}
