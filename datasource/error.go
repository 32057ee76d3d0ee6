package datasource

import (
	"encoding/json"
	"errors"
	"time"
)

// What an *Error can mean to a caller; ask with errors.Is.
var (
	ErrUnauthorized = errors.New("datasource: the token is not valid")
	ErrForbidden    = errors.New("datasource: forbidden")
	ErrNotFound     = errors.New("datasource: not found")
	ErrRateLimited  = errors.New("datasource: rate limited")
	ErrAccessDenied = errors.New("datasource: access denied by the security rules")
)

// Error is an answer that is not a success.
type Error struct {
	StatusCode int
	// Type is the body's "type" ("datasource.access" for a denial).
	Type string
	// Code is the body's "error", or the code inside it.
	Code    string
	Message string
	Payload json.RawMessage
	// RetryAt is when the server takes the next request, on the server's clock. Zero when it did not say.
	RetryAt time.Time
	// RetryAfter is how long that was from the answer's own Date, so that a wrong local clock does not matter.
	RetryAfter   time.Duration
	ReferenceURL string
}

func (e *Error) Error() string { return e.Message }

// Doubtful reports whether err leaves open if a write was applied: it may have been, although it failed.
// Look the row up before sending it again.
func Doubtful(err error) bool { return false }

// ResponseTooLargeError is the error of an answer above Config.MaxResponseBytes.
type ResponseTooLargeError struct{ Limit int64 }

func (e *ResponseTooLargeError) Error() string { return "datasource: response too large" }
