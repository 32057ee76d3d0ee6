package datasource

import (
	"log/slog"
	"net/http"
	"time"
)

// Config says how a Client reaches Fliplet. Token is the only field without a default.
type Config struct {
	// Token is sent as Auth-token. Its first two letters pick the region (eu, us or ca).
	Token string
	// BaseURL overrides the region, for on-premise installations and local servers.
	BaseURL string
	// UserAgent defaults to "fliplet-chat-go/<version>".
	UserAgent string
	// HTTPClient is copied. Without one, clients share one pooled transport.
	HTTPClient *http.Client
	// Logger receives one debug line per attempt. nil logs nothing.
	Logger *slog.Logger
	// Limiter defaults to one per Client, 200 requests per 10 s.
	Limiter *Limiter
	// Retry says how often a failed call is tried again.
	Retry RetryPolicy
	// MaxResponseBytes bounds one answer, downloads apart. Defaults to 64 MiB.
	MaxResponseBytes int64
}

// RetryPolicy bounds the repetition of failed calls. Its zero value is the default.
type RetryPolicy struct {
	// MaxAttempts counts the first attempt too: 1 never repeats. Defaults to 4.
	MaxAttempts int
	// BaseDelay is the first wait; each further one doubles. Defaults to 250 ms.
	BaseDelay time.Duration
	// MaxDelay caps the doubling. Defaults to 8 s.
	MaxDelay time.Duration
	// MaxWait caps a wait that the server asked for. Defaults to 60 s.
	MaxWait time.Duration
}
