package rows

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// Endpoint remembers that a server lacks the cross-source endpoint. The zero value
// assumes that the server has it.
type Endpoint struct {
	missing atomic.Bool
	counts  atomic.Bool // its counts were compared with rows
	leaks   atomic.Bool // it has sent rows of conversations that are not the user's
}

// author says who wrote a query. What a refusal means depends on it.
type author int

const (
	ours    author = iota // this package, so a refusal is not about the query
	callers               // in part the caller
)

// author is callers if there is a condition of the caller's.
func (w *want) author() author {
	if len(w.where) > 0 {
		return callers
	}
	return ours
}

// finding is what the outcome of a query says about the cross-source endpoint.
type finding int

const (
	present finding = iota
	absent
	refused // it does not exist, or does not understand the query
)

// classify says what an error means.
func classify(err error) (f finding, status int) {
	said, ok := errors.AsType[*datasource.Error](err)
	if !ok || errors.Is(err, datasource.ErrAccessDenied) {
		return present, 0
	}
	switch said.StatusCode {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return absent, said.StatusCode
	case http.StatusBadRequest:
		return refused, said.StatusCode
	}
	return present, said.StatusCode
}

// try runs a query of the cross-source endpoint, unless the server is known to lack
// it. If there is false the caller has to read each conversation. When the server
// refuses a query with a caller's condition, try asks again without conditions to
// find out whether the endpoint exists.
func (s *Source) try(ctx context.Context, by author, query func() error) (there bool, err error) {
	if s.Endpoint.missing.Load() {
		return false, nil
	}
	err = query()
	found, status := classify(err)
	if found == refused && by == callers {
		_, probe := s.across(ctx, want{column: createdAt, newest: true, limit: 1})
		found, status = classify(probe)
	}
	if found == present {
		return true, err
	}
	if !s.Endpoint.missing.Swap(true) {
		s.Log.Warn("the server has no query over all conversations, asking for each", "status", status)
	}
	return false, nil
}

// ConditionError says why a caller's condition cannot be evaluated. No rows were read.
type ConditionError struct{ Err error }

func (e *ConditionError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *ConditionError) Unwrap() error { return e.Err }

// beyond refuses a condition that only the cross-source endpoint understands.
func beyond(reason error) error {
	return &ConditionError{fmt.Errorf("this server does not have the cross-source endpoint, and %w", reason)}
}
