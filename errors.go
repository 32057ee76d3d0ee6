package chat

import (
	"context"
	"errors"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// What an error means, for errors.Is. What the server said is a
// [datasource.Error] in the same chain, with sentinels of its own.
var (
	// ErrContactNotFound: no contact matches the login query, or no contact has
	// this id. The JavaScript API rejects with {code: 404}.
	ErrContactNotFound = errors.New("contact not found")
	// ErrOffline: the server cannot be reached and nothing usable is cached. The
	// JavaScript API rejects with {code: 400}.
	ErrOffline = errors.New("offline, and nothing is cached")
	// ErrNotLoggedIn: the call needs a login first.
	ErrNotLoggedIn = errors.New("not logged in")
	// ErrClosed: the Chat was closed. Errors of calls that Close interrupted also
	// match context.Canceled.
	ErrClosed = errors.New("chat is closed")
	// ErrNoInviteCode: the conversation was created without AllowInvite.
	ErrNoInviteCode = errors.New("conversation has no invite code")
	// ErrNotFound: no such conversation, channel or message.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: an argument or option is unusable; the text names it and says
	// what to do. No request was made.
	ErrInvalid = errors.New("invalid")
)

// Error is what every method of this package returns when it fails. Its text is
// "chat: <op>: <cause>" and holds no token, key or message body.
type Error struct {
	// Op is the operation: "login", "send", …
	Op string
	// Code is the number the JavaScript API rejects with (404 contact not found,
	// 400 offline), else the HTTP status of the server's refusal, else 0.
	Code int
	// Err is the cause.
	Err error
}

func (e *Error) Error() string { return "chat: " + e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// errClosing is the cause of a context that Close ended.
var errClosing = fmt.Errorf("%w: %w", ErrClosed, context.Canceled)

// wrap turns a method's error into an *Error, once, at the public edge.
func wrap(op string, err *error) {
	if *err == nil {
		return
	}
	var done *Error
	if errors.As(*err, &done) {
		return // a public method called another one
	}
	*err = &Error{Op: op, Code: code(*err), Err: *err}
}

func code(err error) int {
	switch {
	case errors.Is(err, ErrContactNotFound), errors.Is(err, ErrNotFound):
		return 404
	case errors.Is(err, ErrOffline):
		return 400
	}
	var refused *datasource.Error
	if errors.As(err, &refused) {
		return refused.StatusCode
	}
	return 0
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w "+format, append([]any{ErrInvalid}, args...)...)
}

// missing makes the server's 404 an ErrNotFound that names what was looked for.
func missing(err error, what string, id int64) error {
	if errors.Is(err, datasource.ErrNotFound) {
		return fmt.Errorf("%s %d: %w: %w", what, id, ErrNotFound, err)
	}
	return err
}
