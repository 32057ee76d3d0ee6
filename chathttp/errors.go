package chathttp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
)

var scriptTag = func() string {
	sum := sha256.Sum256(script)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}()

// failure is an answer that is no success.
type failure struct {
	status int
	code   int    // as the JavaScript API rejects; 0: the status
	text   string // for whoever reads it in a browser
	retry  int    // seconds; 0 says nothing
	cause  error  // for the log
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

func refusal(status int, format string, args ...any) error {
	return &failure{status: status, text: fmt.Sprintf(format, args...)}
}

func badArgument(format string, args ...any) error {
	return refusal(http.StatusBadRequest, format, args...)
}

// rejection is a failure as JSON.
type rejection struct {
	Code    int    `json:"code"`
	Status  int    `json:"status"`
	Message string `json:"message"`
}

// kinds are errors of package chat: their status, and what a page is told. Their own text
// may name addresses and the words of servers.
var kinds = []struct {
	is     error
	status int
	text   string
	retry  int
}{
	{chat.ErrInvalid, http.StatusBadRequest, "", 0}, // its text is about the arguments
	{chat.ErrContactNotFound, http.StatusNotFound, "no such contact", 0},
	{chat.ErrNotFound, http.StatusNotFound, "no such conversation, channel, message or file, or it is not yours", 0},
	{chat.ErrNoInviteCode, http.StatusNotFound, "the conversation has no invite code", 0},
	{chat.ErrSealed, http.StatusConflict, "the message is sealed to what was to be changed", 0},
	{chat.ErrNotLoggedIn, http.StatusUnauthorized, "not logged in", 0},
	{chat.ErrClosed, http.StatusUnauthorized, "the login is over", 0},
	{chat.ErrQueued, http.StatusServiceUnavailable, "the message waits to be sent", 5},
	{chat.ErrOutboxFull, http.StatusTooManyRequests, "too many messages wait to be sent", 10},
	{chat.ErrUnreadable, http.StatusConflict, "the message or its key cannot be read", 0},
	{chat.ErrUnauthorized, http.StatusBadGateway, "the server is not allowed to use Fliplet any more", 0},
	{datasource.ErrAccessDenied, http.StatusForbidden, "the rules of the data source refuse this", 0},
	{datasource.ErrRateLimited, http.StatusTooManyRequests, "too many requests", 10},
	{datasource.ErrRowLimit, http.StatusRequestEntityTooLarge, "too large", 0},
	{chat.ErrOffline, http.StatusServiceUnavailable, "Fliplet cannot be reached", 2},
	{context.DeadlineExceeded, http.StatusGatewayTimeout, "it took too long", 5},
	{context.Canceled, 499, "cancelled", 0},
	{errors.ErrUnsupported, http.StatusNotImplemented, "the query cannot be evaluated", 0},
}

// failed makes an answer of an error.
func failed(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	f := &failure{status: http.StatusBadGateway, text: "the call failed", cause: err}
	for _, k := range kinds {
		if errors.Is(err, k.is) {
			f.status, f.text, f.retry = k.status, k.text, k.retry
			break
		}
	}
	if f.text == "" {
		f.text = strings.TrimPrefix(err.Error(), "chat: ")
	}
	answer, _ := errors.AsType[*datasource.Error](err)
	switch {
	case f.status == http.StatusBadGateway && refused(answer):
		f.status, f.text = answer.StatusCode, "Fliplet refuses this: a query or column that it does not know, or a type of file that it does not take"
	case datasource.Doubtful(err) && !refused(answer):
		// it may have been applied: a repetition is to find it
		f.status, f.text, f.retry = http.StatusGatewayTimeout, "the outcome is not known", 5
	}
	if own, ok := errors.AsType[*chat.Error](err); ok {
		f.code = own.Code
	}
	return f
}

// refused reports whether the service says that what it was asked for is wrong: a repetition
// ends in the same way. What a gateway says is not in its words, or has another status.
func refused(answer *datasource.Error) bool {
	return answer != nil && answer.FromService &&
		(answer.StatusCode == http.StatusBadRequest || answer.StatusCode == http.StatusUnprocessableEntity)
}

func status(err error) int { return failed(err).status }

func (f *failure) rejection() rejection {
	code := f.code
	if code == 0 {
		code = f.status
	}
	return rejection{code, f.status, f.text}
}

// refuse answers with an error.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f := failed(err)
	if f.cause != nil && r.Context().Err() == nil {
		level := slog.LevelDebug // the page's own mistakes, and logins that have run out
		if f.status >= 500 {
			level = slog.LevelWarn
		}
		h.log.Log(r.Context(), level, "a request failed", "path", r.URL.Path, "status", f.status, "error", f.cause)
	}
	if f.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.retry))
	}
	w.Header().Del("ETag")
	answer(w, f.status, f.rejection())
}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"code":500,"status":500,"message":"the answer is no JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}
