package rows

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/few"
	"github.com/fliplet/fliplet-chat-go/internal/pages"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
	"github.com/fliplet/fliplet-chat-go/profile"
)

// A server that seemed to lack the endpoint is asked again: first after firstRetest,
// then after twice as long each time, at most lastRetest. A proxy may have said it, or
// a server that was just being replaced.
const (
	firstRetest = time.Minute
	lastRetest  = time.Hour
)

// Endpoint remembers that a server seems to lack the cross-source endpoint. The zero
// value assumes that the server has it.
type Endpoint struct {
	mu   sync.Mutex
	gone *retest // nil while the server has it

	counts atomic.Bool // its counts were compared with rows
	leaks  atomic.Bool // it has sent rows of conversations that are not the user's
	names  atomic.Bool // it says to which conversations rows belong
	heads  *heads      // nil before the first look, which few servers need

	across, one pages.Pace // of pages of all conversations, and of one
	// larger and other are about answers of either kind, looks about those with joins.
	larger, other few.Rare[larger]
	looks         few.Rare[pages.Verified]

	assumed assumed
}

// retest is when a server that lacks something is asked again, and how long after that.
type retest struct {
	again time.Time
	wait  time.Duration
}

// assumed is what is taken for granted, from [profile.Profile]. It is not changed after the start.
type assumed struct {
	maxJoins                  int // 0: the default
	noCross, noJoins, noTimes bool
}

// Assume takes what is known of the server for granted. It is called before anything else.
func (e *Endpoint) Assume(p profile.Profile) {
	e.assumed = assumed{p.MaxJoins, p.CrossSource == profile.Avoid, p.Joins == profile.Avoid, p.ListTimes == profile.Avoid}
}

// joins is what the server has shown of its joins.
func (e *Endpoint) joins() *heads {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.heads == nil {
		e.heads = &heads{assumed: e.assumed}
	}
	return e.heads
}

// NoEndpoint is that of a token without a user, which cannot ask for all conversations at
// once. It is never tried.
func NoEndpoint() *Endpoint {
	return &Endpoint{gone: &retest{time.Now().AddDate(1000, 0, 0), lastRetest}}
}

// nobodys is the conversation of a row of which it is not known.
const nobodys = -1

// assign gives rows that came without a conversation the one in their column, as long as
// the server has sent all rows without. Whoever writes a row chooses what is in its
// column, so that it counts for nothing where the server says it.
func (e *Endpoint) assign(rows []datasource.Entry) {
	names, missing := e.names.Load(), false
	for i := range rows {
		if rows[i].DataSourceID == 0 {
			missing = true
		} else if !names {
			names = true
			e.names.Store(true)
		}
	}
	for i := range rows {
		if r := &rows[i]; missing && r.DataSourceID == 0 {
			r.DataSourceID = nobodys
			if !names {
				r.DataSourceID = wire.Int(r.Data[wire.Conversation])
			}
		}
	}
}

// missing reports whether the server is known to lack the endpoint. When it is time
// to ask again, one caller is told that it is not.
func (e *Endpoint) missing(now time.Time) bool {
	if e.assumed.noCross {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone == nil || now.Before(e.gone.again) {
		return e.gone != nil
	}
	e.gone.again = now.Add(e.gone.wait) // for the others, until its answer is there
	return false
}

// found notes what a query has shown. first: nothing was known to be missing before.
func (e *Endpoint) found(now time.Time, there bool) (first bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if there {
		e.gone = nil
		return false
	}
	wait := firstRetest
	if first = e.gone == nil; !first {
		wait = min(2*e.gone.wait, lastRetest)
	}
	e.gone = &retest{now.Add(wait), wait}
	return first
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
// it, which is found out anew from time to time. If there is false the caller has to read each conversation. When the server
// refuses a query with a caller's condition, try asks again without conditions to
// find out whether the endpoint exists.
func (s *Source) try(ctx context.Context, by author, query func() error) (there bool, err error) {
	if s.Endpoint.missing(time.Now()) {
		return false, nil
	}
	err = query()
	found, status := classify(err)
	if found == refused && by == callers {
		_, probe := s.across(ctx, want{column: createdAt, newest: true, limit: 1})
		found, status = classify(probe)
	}
	if found == present {
		if err == nil || 400 <= status && status < 500 { // not a server or network in trouble
			s.Endpoint.found(time.Now(), true)
		}
		return true, err
	}
	if s.Endpoint.found(time.Now(), false) {
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
