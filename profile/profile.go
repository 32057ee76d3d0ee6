// Package profile says how the Fliplet of an account behaves where that is not published, so
// that chats need not find out. The command flchat conform writes one as profile.json.
package profile

import (
	"fmt"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// Use says whether chats rely on something.
type Use string

const (
	// Try finds out, as chats without a profile do. It is the zero value.
	Try Use = ""
	// Avoid makes do without.
	Avoid Use = "avoid"
)

// Profile is what is known of an account. The zero value knows nothing, and each field
// replaces one default. It is a value: copies share nothing.
type Profile struct {
	// CrossSource is the query over all conversations, POST v1/data-sources/data. Without it
	// a poll asks for the newest rows of the conversations, and then for those that have changed.
	CrossSource Use
	// Joins are queries with outer joins, which have the newest rows of many conversations.
	// Without CrossSource and Joins a poll takes a request for each conversation.
	Joins Use
	// ListTimes are the times at which conversations have changed, as the list of data sources
	// has them, which need not move with the messages. Without CrossSource and ListTimes a poll takes
	// two requests for each conversation. An App without ListTimes looks at all conversations in turn.
	ListTimes Use
	// AuditLog is the audit log of the organisation, which an App asks where its token may read it.
	// Nobody else does. Without it an App asks the list of conversations only.
	AuditLog Use
	// Overlap is how late a row may become visible. Default: 5 s. It is never less, since what
	// becomes visible later than that is lost, and 10 min at most. Each poll reads again what
	// has changed within it.
	Overlap time.Duration
	// MaxJoins is how many joins a query may have: 3 to 1000. Default: up to 100, and fewer when
	// the server refuses them.
	MaxJoins int
	// Requests in any Window are what the account's limit allows: up to 100,000 in 1 s to an hour.
	// Chats do not look at them: give the Limiter to the Client. Default: 200 in 10 s.
	Requests int
	Window   time.Duration
}

const (
	leastOverlap = 5 * time.Second
	mostOverlap  = 10 * time.Minute
	fewestJoins  = 3
	mostJoins    = 1000
	mostRequests = 100_000
	longWindow   = time.Hour
)

// Check returns nil, or an error that names the first unusable field and what it may hold.
func (p Profile) Check() error {
	for _, f := range []struct {
		name string
		use  Use
	}{{"strategies.crossSource", p.CrossSource}, {"strategies.joins", p.Joins}, {"strategies.listTimes", p.ListTimes}, {"strategies.auditLog", p.AuditLog}} {
		if f.use != Try && f.use != Avoid {
			return fmt.Errorf("profile: %s: %q; use \"try\" or \"avoid\"", f.name, f.use)
		}
	}
	switch {
	case p.Overlap != 0 && (p.Overlap < leastOverlap || p.Overlap > mostOverlap):
		return fmt.Errorf("profile: overlapSeconds: %v; use 5 to 600, or leave it out for 5", p.Overlap.Seconds())
	case p.MaxJoins != 0 && (p.MaxJoins < fewestJoins || p.MaxJoins > mostJoins):
		return fmt.Errorf("profile: limits.joins: %d; use %d to %d, or leave it out", p.MaxJoins, fewestJoins, mostJoins)
	case p.Requests < 0 || p.Requests > mostRequests:
		return fmt.Errorf("profile: limits.requests: %d; use 1 to %d, or leave it out for 200", p.Requests, mostRequests)
	case p.Window != 0 && (p.Window < time.Second || p.Window > longWindow):
		return fmt.Errorf("profile: limits.windowSeconds: %v; use 1 to 3600, or leave it out for 10", p.Window.Seconds())
	case (p.Requests == 0) != (p.Window == 0):
		return fmt.Errorf("profile: limits: requests without windowSeconds, or the other way round; give both or neither")
	}
	return nil
}

// Limiter returns a new one for what the account allows, for [datasource.Config]. Clients with one
// token, or of one app, should share it. It panics where Check has an error.
func (p Profile) Limiter() *datasource.Window {
	if err := p.Check(); err != nil {
		panic(err)
	}
	if p.Requests == 0 {
		return datasource.NewLimiter(200, 10*time.Second)
	}
	return datasource.NewLimiter(p.Requests, p.Window)
}
