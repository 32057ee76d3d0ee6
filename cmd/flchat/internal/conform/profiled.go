package conform

import (
	"math"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/profile"
)

// fewestJoins is with how many joins a look pays.
const fewestJoins = 3

// Profile is what chats have to know of the account. What was not found out stays the default.
func (r *Report) Profile() profile.Profile {
	var p profile.Profile
	for i := range r.Results {
		res := &r.Results[i]
		if res.Verdict == Skipped {
			continue
		}
		late := time.Duration(0)
		switch res.ID {
		case "across.there":
			if res.Observed != "200" {
				p.CrossSource = profile.Avoid
			}
		case "joins.outer", "joins.limit", "joins.source-id":
			if res.Verdict == Fails {
				p.Joins = profile.Avoid
			}
		case "joins.most":
			switch n := int(res.Measured); {
			case n < fewestJoins:
				p.Joins = profile.Avoid
			case n < 100:
				p.MaxJoins = n
			}
		case "conversations.moves":
			for _, change := range []string{"insert", "edit", "deletion"} {
				if !strings.Contains(res.Observed, change) {
					p.ListTimes = profile.Avoid
				}
			}
		case "conversations.list-moves":
			if res.Observed != res.Expect || res.Measured > 10_000 {
				p.ListTimes = profile.Avoid
			}
		case "log.rows":
			if !strings.Contains(res.Observed, "insert") {
				p.AuditLog = profile.Avoid
			}
		case "poll.query", "poll.changed", "poll.across":
			if late = time.Duration(res.Measured) * time.Millisecond; res.Observed == "it does not come" {
				late = time.Minute
			}
		}
		// Twice what was seen: one look has hardly met the worst case.
		if needed := time.Duration(math.Ceil(2*late.Seconds())) * time.Second; needed > 5*time.Second {
			p.Overlap = max(p.Overlap, min(needed, 10*time.Minute))
		}
	}
	return p
}
