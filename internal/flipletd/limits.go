package flipletd

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Limits by scope: Fliplet publishes some numbers as those of a user, and says that limits
// "can apply to a specific device, all users of your app or your entire organisation".

// Calls is a group of calls that have limits together.
type Calls string

// The groups that Fliplet publishes numbers for. The local server answers the first three;
// calls of the others are 404, and counted.
const (
	DataSourceCalls  Calls = "data-sources"
	LogCalls         Calls = "logs"
	CommunicateCalls Calls = "communicate"
	AICalls          Calls = "ai"
	ActionCalls      Calls = "actions" // runs of app actions
)

// Scope says whose requests count together.
type Scope string

// The scopes. The user of a token is the person it belongs to, else the entry that its
// session is logged in with, else the token. Tokens of no app count for no app.
const (
	PerToken        Scope = "token"
	PerUser         Scope = "user"
	PerApp          Scope = "app"
	PerOrganization Scope = "organization"
)

// AllCalls and AllScopes are every group and scope.
var (
	AllCalls  = [...]Calls{DataSourceCalls, LogCalls, CommunicateCalls, AICalls, ActionCalls}
	AllScopes = [...]Scope{PerToken, PerUser, PerApp, PerOrganization}
)

// Limit is how many requests of a group each holder of a scope may make in any such
// window; 0 requests is no limit.
type Limit struct {
	Calls    Calls
	Scope    Scope
	Requests int
	Window   time.Duration
}

// Check says what is wrong with a limit.
func (l Limit) Check() error {
	switch {
	case !slices.Contains(AllCalls[:], l.Calls):
		return fmt.Errorf("there is no group of calls %q; there are %v", l.Calls, AllCalls)
	case !slices.Contains(AllScopes[:], l.Scope):
		return fmt.Errorf("there is no scope %q; there are %v", l.Scope, AllScopes)
	case l.Requests < 0:
		return errors.New("a limit has a number of requests that is not negative")
	case l.Requests > 0 && l.Window < time.Millisecond:
		return errors.New("a limit has a window of a millisecond or more")
	}
	return nil
}

// documented are the limits that Fliplet publishes, in the order of AllCalls.
var documented = [len(AllCalls)]Limit{
	{DataSourceCalls, PerUser, 200, 10 * time.Second},
	{LogCalls, PerUser, 30, 10 * time.Second},
	{CommunicateCalls, PerUser, 20, 30 * time.Second},
	{AICalls, PerUser, 10, 60 * time.Second},
	{ActionCalls, PerApp, 60, 60 * time.Second},
}

// DocumentedLimits are those that Fliplet publishes.
func DocumentedLimits() []Limit { return documented[:] }

// callsOf is the group of a route, "" when there is none.
func callsOf(path string) Calls {
	switch {
	case strings.HasPrefix(path, "/v1/data-sources"):
		return DataSourceCalls
	case path == "/v1/organizations/:organization/logs":
		return LogCalls
	case strings.HasPrefix(path, "/v1/communicate/"):
		return CommunicateCalls
	}
	return ""
}

// group is the group that a request belongs to, "" when there is none.
func (r *route) group(req *http.Request) Calls {
	if r != unknownRoute {
		return r.calls
	}
	path := req.URL.Path
	switch {
	case strings.HasPrefix(path, "/v1/data-sources/"):
		return DataSourceCalls
	case strings.HasPrefix(path, "/v1/communicate/"):
		return CommunicateCalls
	// Where AI and app actions are is not published.
	case strings.HasPrefix(path, "/v1/ai/"):
		return AICalls
	case strings.Contains(path, "/actions/") && (strings.HasSuffix(path, "/run") || strings.HasSuffix(path, "/runWithResult")):
		return ActionCalls
	}
	return ""
}
