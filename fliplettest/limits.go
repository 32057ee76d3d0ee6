package fliplettest

import (
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// Calls is a group of calls that have limits together.
type Calls string

// The groups that Fliplet publishes limits for. Calls of the last three are not served
// here: they are 404, and 429 once there were too many with a token.
const (
	DataSourceCalls  = Calls(flipletd.DataSourceCalls)  // 200 per 10 s and user
	LogCalls         = Calls(flipletd.LogCalls)         // the audit log; 30 per 10 s and user
	CommunicateCalls = Calls(flipletd.CommunicateCalls) // e-mail, SMS, push; 20 per 30 s and user
	AICalls          = Calls(flipletd.AICalls)          // 10 per 60 s and user
	ActionCalls      = Calls(flipletd.ActionCalls)      // runs of app actions; 60 per 60 s and app
)

// Scope says whose requests count together.
type Scope string

// The scopes. The user of a token is the person it belongs to, else the entry that its
// session is logged in with, else the token itself, as API tokens are users of their own.
// Tokens of no app, such as a person's or an organisation's, count for no app.
const (
	PerToken        = Scope(flipletd.PerToken)
	PerUser         = Scope(flipletd.PerUser)
	PerApp          = Scope(flipletd.PerApp)
	PerOrganization = Scope(flipletd.PerOrganization)
)

// Limit limits a group of calls from now on: each holder of the scope may make that many
// requests in any such window, by the server's clock. 0 requests is no limit. What was
// counted for this group and scope is forgotten; other limits stay in force.
//
// A request that is one too many for any of its scopes is 429 and counts for none.
// nextValidRequestDate is the latest of the times at which the scopes that refuse it have
// room again. It panics when the limit makes no sense.
func (s *Server) Limit(calls Calls, scope Scope, requests int, window time.Duration) {
	if err := s.core.Limit(newLimit(calls, scope, requests, window)); err != nil {
		panic("fliplettest: " + err.Error())
	}
}

// RateLimit allows that many data source requests per token in any such
// window, and is the only limit of data source requests then; 0 requests switch
// the limit off. [Server.Limit] limits users, apps and organisations, too.
func (s *Server) RateLimit(requests int, window time.Duration) {
	s.core.LimitTokens(requests, window)
}

func newLimit(calls Calls, scope Scope, requests int, window time.Duration) flipletd.Limit {
	return flipletd.Limit{Calls: flipletd.Calls(calls), Scope: flipletd.Scope(scope), Requests: requests, Window: window}
}

// Usage is how many requests of a group of calls a token, user, app or organisation has
// made, whether there is a limit or not. Requests with an unknown token are nobody's.
type Usage struct {
	Calls    Calls
	Scope    Scope
	Kind     string // what ID is of: "token", "user", "entry", "app" or "organization"
	ID       int64
	InWindow int // in the window that ends now: that of the limit, else the documented one; up to 10,000 where no limit is higher
	Total    int // since the start, without those that were refused
	Refused  int // with 429 by a limit, whichever scope it was of
}

// Usage lists what everybody has made, by group, scope, kind and id. Of more than 10,000
// holders those that have been idle are forgotten.
func (s *Server) Usage() []Usage {
	list := s.core.Usage()
	out := make([]Usage, len(list))
	for i, u := range list {
		out[i] = Usage{Calls(u.Calls), Scope(u.Scope), u.Kind, u.ID, u.InWindow, u.Total, u.Refused}
	}
	return out
}

// Used is the [Server.Usage] of one holder: id is that of a token ([Server.AddToken]), a
// user (as GET v1/user has it), an app or an organisation. It is zero for who has made no
// request.
func (s *Server) Used(calls Calls, scope Scope, id int64) Usage {
	for _, u := range s.Usage() {
		if u.Calls == calls && u.Scope == scope && u.ID == id {
			return u
		}
	}
	return Usage{Calls: calls, Scope: scope, ID: id}
}
