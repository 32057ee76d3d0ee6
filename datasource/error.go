package datasource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// What an *Error means to a caller; ask with errors.Is.
var (
	// ErrUnauthorized: the token is unknown or revoked (401, unless the rules refused).
	ErrUnauthorized = errors.New("datasource: the token is not valid")
	// ErrForbidden: 403. FindAcross and CountAcross fail so when a flUserToken in their body is not valid any more.
	ErrForbidden = errors.New("datasource: forbidden")
	// ErrNotFound: 404, no such data source, row or file.
	ErrNotFound = errors.New("datasource: not found")
	// ErrRateLimited: 429, and still after the last attempt. Error.RetryAfter says for how long. So is a call whose time
	// is over while the Limiter holds all requests for a 429, which has no Error.
	ErrRateLimited = errors.New("datasource: rate limited")
	// ErrAccessDenied: security rules refuse the operation: type datasource.access, usually with status 400, or
	// error file.access. Neither another attempt nor a new token will help.
	ErrAccessDenied = errors.New("datasource: refused by security rules")
)

// Error is every answer that is not a success.
//
// Its text is what the server said, on one line, without anything that looks like a token or key, without the queries of
// URLs, and without what repeats a value of the request, in plain or in a usual encoding; SECURITY.md lists them. The payload, cleaned in the same way, is in the field only: an Error prints, logs
// and marshals without it.
type Error struct {
	// StatusCode is the HTTP status; 3xx stands for a redirect that was refused.
	StatusCode int
	// FromService is set when the body was JSON with the fields that Fliplet's errors have. Otherwise a proxy, gateway or
	// firewall on the way may have answered, and the server may know nothing of the request. Gateways send such JSON, too:
	// see Coded.
	FromService bool
	// Type is "type" in the body: "datasource.access" when security rules refused.
	Type string
	// Code is "error" in the body where that is a text ("file.access"), or the code inside it.
	Code string
	// Message is the server's explanation, or the status text.
	Message string
	// Payload is "payload" in the body, or nil. One of more than 16 KiB is nil, too.
	Payload json.RawMessage
	// RetryAt is when the server takes the next request, by the server's clock, at most LongestWait ahead. Zero when it
	// did not say.
	RetryAt time.Time
	// RetryAfter is the time from the answer's Date to RetryAt, so that a wrong local clock does not matter, and at
	// most LongestWait. Zero when the server did not say or the moment has passed.
	RetryAfter time.Duration
	// ReferenceURL points to documentation of the error, where the server gave one.
	ReferenceURL string

	op       string
	doubtful bool
	named    time.Duration // RetryAfter before it was cut
	coded    bool          // "error" and "message" are those of a documented refusal
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("datasource: ")
	if e.op != "" {
		b.WriteString(e.op + ": ")
	}
	fmt.Fprintf(&b, "HTTP %d", e.StatusCode)
	for _, s := range [...]string{e.Type, e.Code} {
		if s != "" {
			b.WriteString(" " + s)
		}
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if !e.RetryAt.IsZero() {
		b.WriteString(" (next valid request: " + e.RetryAt.UTC().Format(time.RFC3339) + ")")
	}
	if e.doubtful {
		b.WriteString(doubt)
	}
	return b.String()
}

// Coded reports whether the answer is in words that Fliplet documents and nobody else uses: type datasource.access, or
// beside a "message" the error file.access, or the error "not authorised" of an auth_token that belongs to nobody. Any other
// JSON may be that of the service, too, or of a proxy, gateway or firewall, and counts as FromService only: these send an
// "error" beside a "message" as well.
func (e *Error) Coded() bool { return e.FromService && (e.Type == codeSource || e.coded) }

// How the server says that security rules refused.
const (
	codeSource = "datasource.access"
	codeFile   = "file.access"
)

// How it says that a token belongs to nobody: with this error, and this word in the message beside it.
const (
	codeToken = "not authorised"
	tokenWord = "auth_token"
)

// Is answers for the Err… values of this package.
func (e *Error) Is(target error) bool {
	denied := e.Type == codeSource || e.Code == codeFile
	switch target {
	case ErrAccessDenied:
		return denied
	case ErrUnauthorized:
		return e.StatusCode == http.StatusUnauthorized && !denied
	case ErrForbidden:
		return e.StatusCode == http.StatusForbidden
	case ErrNotFound:
		return e.StatusCode == http.StatusNotFound
	case ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests
	case errTemporary:
		return busy(e.StatusCode)
	}
	return false
}

func (e *Error) mayBeApplied() bool { return e.doubtful }

// with adds the refusal that a call has waited for to the end of its time.
func (e *Error) with(err error) error {
	if e == nil {
		return err
	}
	return errors.Join(err, e)
}

// GoString is the error's text.
func (e *Error) GoString() string { return fmt.Sprintf("&datasource.Error{%q}", e.Error()) }

// LogValue gives status, type, code and message.
func (e *Error) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("status", e.StatusCode), slog.String("type", e.Type), slog.String("code", e.Code), slog.String("message", e.Message))
}

// MarshalJSON gives status, type, code and message.
func (e *Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"status": e.StatusCode, "type": e.Type, "code": e.Code, "message": e.Message})
}

// Doubtful reports whether err is the failure of a write that may have been applied all the same: the connection or
// the context ended after the request had left, the server failed with 5xx, or its answer could not be read. Then
// look up the row by a column that identifies it before sending it again. Doubtful is false for reads, and for writes
// that the server certainly did not apply. It is true, too, for an error of another package that has a method
// MayBeApplied() bool which says so.
func Doubtful(err error) bool {
	if other, ok := errors.AsType[interface {
		error
		MayBeApplied() bool
	}](err); ok {
		return other.MayBeApplied()
	}
	d, ok := errors.AsType[interface {
		error
		mayBeApplied() bool
	}](err)
	return ok && d.mayBeApplied()
}

const doubt = "; the write may have been applied"

// callError is a failure without an answer, or with one that cannot be used.
type callError struct {
	op       string // method and path
	err      error  // scrubbed
	doubtful bool
	lost     bool // the server was not reached, or did not answer
	held     bool // it ended while the server refuses others with 429
}

func (e *callError) Error() string {
	text := "datasource: " + e.op + ": " + strings.TrimPrefix(e.err.Error(), "datasource: ")
	if e.doubtful {
		text += doubt
	}
	return text
}

func (e *callError) Unwrap() error { return e.err }
func (e *callError) Is(target error) bool {
	return target == errTemporary && e.lost || target == ErrRateLimited && e.held && !e.doubtful
}
func (e *callError) mayBeApplied() bool { return e.doubtful }
func (*callError) Foreign() bool        { return true } // what is below comes from a Limiter or a transport
func (e *callError) GoString() string   { return fmt.Sprintf("&datasource.callError{%q}", e.Error()) }

// ResponseTooLargeError is the error of an answer with more bytes than Config.MaxResponseBytes, or than AtMost allows.
type ResponseTooLargeError struct {
	// Limit is the number of bytes allowed. For an answer with too many rows, or values in them, it is the number of
	// these.
	Limit int64
	// Rows is how many rows had come by then, also in part. 0 if that is not known.
	Rows int

	of string // "" for bytes
}

func (e *ResponseTooLargeError) Error() string {
	if e.of != "" {
		return fmt.Sprintf("datasource: the answer has more than %d %s: ask for fewer rows", e.Limit, e.of)
	}
	return fmt.Sprintf("datasource: the answer is larger than %d bytes: ask for fewer rows or raise Config.MaxResponseBytes", e.Limit)
}

// contextError is the error of an ended context. It matches the context's own error and the cause that it was
// cancelled with; net/http reports the cause alone.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
