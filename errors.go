package chat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// What an error means, for errors.Is. An answer of the server is a [datasource.Error]
// in the same chain, with sentinels of its own.
var (
	// ErrContactNotFound: no contact matches the login query, or no contact has
	// this id. The JavaScript API rejects with {code: 404}.
	ErrContactNotFound = sentinel("contact not found")
	// ErrOffline: the server cannot be reached, or it, or a gateway before it, answers that
	// it is down or busy (429, 5xx): exactly what [datasource.Temporary] reports. Every call
	// can fail with it. A login of the JavaScript API rejects with {code: 400}.
	ErrOffline = sentinel("the server cannot be reached")
	// ErrUnauthorized: the server does not take the API token any more: it was revoked,
	// or never valid. The same value as [datasource.ErrUnauthorized].
	ErrUnauthorized = datasource.ErrUnauthorized
	// ErrNotLoggedIn: the call needs a login first.
	ErrNotLoggedIn = sentinel("not logged in")
	// ErrClosed: the Chat was closed. Errors of calls that Close interrupted also
	// match context.Canceled.
	ErrClosed = sentinel("the chat is closed")
	// ErrNoInviteCode: the conversation was created without AllowInvite.
	ErrNoInviteCode = sentinel("the conversation has no invite code")
	// ErrNotFound: no such conversation, channel or message. For every call about a
	// conversation, so is one that the user is not in, a channel not joined, and a
	// data source that is no conversation. A gateway that answers 404 knows nothing of that,
	// and its answer does not match, but where it is JSON with a message like the service's.
	// For the contents of a file every 404 matches.
	ErrNotFound = sentinel("not found")
	// ErrSealed: an update would change a column that the message is sealed to.
	ErrSealed = sentinel("the message is sealed to it")
	// ErrInvalid: an argument or option is unusable. The text names it and says what
	// to do. No request was made.
	ErrInvalid = sentinel("invalid argument")
)

// Error is the error of every method of this package. Its text is
// "chat: <op>: <cause>" and holds no token, key or message body.
type Error struct {
	// Op is the operation: "login", "send", …; "" if the error was read from JSON.
	Op string
	// Code is 404 for ErrContactNotFound and ErrNotFound, as in the JavaScript API. For
	// ErrOffline it is 400 if the call was a login ([Chat.Login], [Init] or [Subscribe]),
	// and 0 elsewhere. Otherwise it is the HTTP status of the server's answer, or 0.
	Code int
	// Err is the cause.
	Err error
}

func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return "chat: " + e.Op
	case e.Op == "": // it was read from JSON
		return e.Err.Error()
	}
	return "chat: " + e.Op + ": " + plain(e.Err.Error())
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is answers for ErrOffline.
func (e *Error) Is(target error) bool { return target == ErrOffline && datasource.Temporary(e.Err) }

// sentinels are the texts of this package's Err… values, without "chat: ".
var sentinels []string

// sentinel makes an error value whose text is clear when printed alone.
func sentinel(text string) error { return named(errors.New("chat: " + text)) }

// named makes an error of another package, whose text names this one, a value of
// this package.
func named(err error) error {
	sentinels = append(sentinels, strings.TrimPrefix(err.Error(), "chat: "))
	return err
}

// plain removes the "chat: " of sentinels from the text of a cause.
func plain(text string) string {
	for _, s := range sentinels {
		text = strings.ReplaceAll(text, "chat: "+s, s)
	}
	return text
}

// errClosing is the cause of a context that Close ended.
var errClosing = fmt.Errorf("%w: %w", ErrClosed, context.Canceled)

// wrap makes the error of a public method an *Error, once.
func wrap(op string, err *error) {
	if *err == nil {
		return
	}
	if _, done := (*err).(*Error); done { //nolint:errorlint // only the outermost error counts
		return // a public method called another one
	}
	*err = &Error{Op: op, Code: code(op, *err), Err: *err}
}

func code(op string, err error) int {
	switch {
	case errors.Is(err, ErrContactNotFound), errors.Is(err, ErrNotFound):
		return 404
	case errors.Is(err, ErrOffline), datasource.Temporary(err):
		if op == "login" || op == "init" || op == "subscribe" {
			return 400
		}
		return 0
	}
	var refused *datasource.Error
	if errors.As(err, &refused) {
		return refused.StatusCode
	}
	return 0
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// given refuses a context that is nil.
func given(ctx context.Context) error {
	if ctx == nil {
		return invalid("ctx: nil; give one, such as context.Background()")
	}
	return nil
}

// alive refuses a context that is nil, or has ended.
func alive(ctx context.Context) error {
	if err := given(ctx); err != nil || ctx.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

// missing makes the service's 404 an ErrNotFound that names what is missing.
func missing(err error, what string, id int64) error {
	if absent(err) {
		return fmt.Errorf("%s %d: %w: %w", what, id, ErrNotFound, err)
	}
	return err
}

// absent reports whether the service may say that something does not exist: with a message of
// its own. Gateways name the status, but some do not, so what ends for good is said repeatedly.
func absent(err error) bool {
	answer, ok := errors.AsType[*datasource.Error](err)
	if !ok || !answer.FromService || !answer.Is(datasource.ErrNotFound) {
		return false
	}
	status, own := http.StatusText(http.StatusNotFound), answer.Message != answer.Code && (answer.Code == "" || strings.Trim(answer.Code, "0123456789") != "")
	return answer.Coded() || answer.Type == "" && own && answer.Code != status && (answer.Message != status || answer.Code != "")
}

// certain reports whether an error is not an answer that a gateway may have given, too.
func certain(err error) bool {
	answer, ok := errors.AsType[*datasource.Error](err)
	return !ok || answer.Coded()
}
