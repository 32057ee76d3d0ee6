package flipletd

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// refusal is an answer other than success. Its fields are those that the
// documented error bodies use; empty ones are left out.
type refusal struct {
	status       int
	code         string // "error" in the body
	message      string
	kind         string // "type" in the body
	dataSourceID int64  // "payload" in the body
	referenceURL string
	nextValid    string // "nextValidRequestDate" in the body
	cause        error  // for the server's own log, never sent
}

func (r *refusal) Error() string { return strconv.Itoa(r.status) + " " + r.message }

func (r *refusal) Unwrap() error { return r.cause }

// appendTo writes the JSON body.
func (r *refusal) appendTo(b []byte) []byte {
	b = append(b, '{')
	if r.code != "" {
		b = append(b, `"error":`...)
		b = append(appendString(b, r.code), ',')
	}
	b = append(b, `"message":`...)
	b = appendString(b, r.message)
	if r.kind != "" {
		b = append(b, `,"type":`...)
		b = appendString(b, r.kind)
	}
	if r.dataSourceID != 0 {
		b = append(b, `,"payload":{"dataSourceId":`...)
		b = strconv.AppendInt(b, r.dataSourceID, 10)
		b = append(b, '}')
	}
	if r.referenceURL != "" {
		b = append(b, `,"referenceUrl":`...)
		b = appendString(b, r.referenceURL)
	}
	if r.nextValid != "" {
		b = append(b, `,"nextValidRequestDate":`...)
		b = appendString(b, r.nextValid)
	}
	return append(b, '}')
}

// badRequest is a 400 for malformed input. The texts are ours: Fliplet
// publishes the status, not the wording.
func badRequest(format string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...)}
}

func notFound(what string) *refusal {
	return &refusal{status: http.StatusNotFound, message: what + " not found."}
}

// forbidden refuses a call that the token is the wrong kind for.
func forbidden(message string) *refusal {
	return &refusal{status: http.StatusForbidden, code: "forbidden", message: message}
}

func unprocessable(format string, args ...any) *refusal {
	return &refusal{status: http.StatusUnprocessableEntity, message: fmt.Sprintf(format, args...)}
}

// notAuthorised is the documented answer to an unknown token.
func notAuthorised() *refusal {
	return &refusal{
		status: http.StatusUnauthorized, code: "not authorised",
		message: "The auth_token provided doesn't belong to any user.",
	}
}

// deadChatToken is the answer to a flUserToken that names nobody. Public
// clients react to the status alone; the body is assumed.
func deadChatToken() *refusal {
	return &refusal{
		status: http.StatusForbidden, code: "forbidden",
		message: "The flUserToken provided is not valid.",
	}
}

// asRefusal turns any error of a handler into what the client is told.
// Anything unforeseen is a 500 whose details stay on this side.
func asRefusal(err error) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	if e, ok := errors.AsType[*sift.Error](err); ok {
		return badRequest("The query cannot be run: %s", e.Message)
	}
	if e, ok := errors.AsType[*rowquery.Error](err); ok {
		return badRequest("The query cannot be run: %s", e.Message)
	}
	return &refusal{status: http.StatusInternalServerError, message: "Something went wrong.", cause: err}
}
