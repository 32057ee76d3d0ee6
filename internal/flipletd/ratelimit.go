package flipletd

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// maxCounted is how many requests of a window are told apart where no limit needs
	// more: a holder that makes more is said to have made as many.
	maxCounted = 10_000
	// maxHolders is how many holders are remembered; beyond, those that have made no
	// request for the length of their window are forgotten.
	maxHolders = 10_000
)

// holder is who has made requests of a group: a token, a user, an app, an organisation.
type holder struct {
	calls, scope int8 // places in AllCalls and AllScopes
	kind         holderKind
	id           int64
}

// holderKind is what the id of a holder is of: the user of a token may be an entry.
type holderKind int8

const (
	ofToken holderKind = iota
	ofUser
	ofEntry
	ofApp
	ofOrganization
)

func (k holderKind) String() string {
	return [...]string{"token", "user", "entry", "app", "organization"}[k]
}

// count is what a holder has made: the times of its requests within the window, the
// oldest first, in milliseconds, and how many there were at all.
type count struct {
	times          []int64
	total, refused int
}

// limiter counts the requests of everybody in sliding windows, and refuses what a limit
// does not allow. Times are those of the server's clock.
type limiter struct {
	mu     sync.Mutex
	limits [len(AllCalls)][len(AllScopes)]Limit
	counts map[holder]*count
	swept  int64 // when holders were last looked through
}

// allow refuses a request that is one too many for any of its holders, with the latest of
// the times at which they may come again. A refused one is not counted.
func (l *limiter) allow(c *credential, calls Calls, now time.Time) error {
	if calls == "" {
		return nil
	}
	holders := c.holders(calls)
	l.mu.Lock()
	defer l.mu.Unlock()
	at := now.UnixMilli()
	l.sweep(at)
	var counts [len(AllScopes)]*count
	var next int64
	for i, h := range holders {
		if h.id == 0 {
			continue
		}
		n := l.count(h)
		counts[i] = n
		n.forget(at, l.window(h))
		if limit := l.limits[h.calls][h.scope]; limit.Requests > 0 && len(n.times) >= limit.Requests {
			next = max(next, n.times[len(n.times)-limit.Requests]+limit.Window.Milliseconds())
		}
	}
	for i, n := range counts {
		switch {
		case n == nil:
		case next > 0:
			n.refused++
		default:
			n.add(at, max(maxCounted, l.limits[holders[i].calls][holders[i].scope].Requests))
		}
	}
	if next > 0 {
		return tooMany(time.UnixMilli(next).UTC())
	}
	return nil
}

// holders are those that a request counts for, one for each scope; those without an id
// are none.
func (c *credential) holders(calls Calls) [len(AllScopes)]holder {
	group := int8(slices.Index(AllCalls[:], calls))
	who, id := c.user()
	return [...]holder{
		{group, 0, ofToken, c.id}, {group, 1, who, id}, {group, 2, ofApp, c.appID}, {group, 3, ofOrganization, c.orgID},
	}
}

// user is who makes the requests of a token.
func (c *credential) user() (holderKind, int64) {
	if c.userID != 0 {
		return ofUser, c.userID
	}
	if row := c.loggedInWith(); row != 0 {
		return ofEntry, row
	}
	return ofToken, orElse(c.twinOf, c.id)
}

func (l *limiter) count(h holder) *count {
	n := l.counts[h]
	if n == nil {
		if l.counts == nil {
			l.counts = make(map[holder]*count)
		}
		n = &count{}
		l.counts[h] = n
	}
	return n
}

// window is the one that the requests of a holder are counted in.
func (l *limiter) window(h holder) int64 {
	if limit := l.limits[h.calls][h.scope]; limit.Requests > 0 {
		return limit.Window.Milliseconds()
	}
	return documented[h.calls].Window.Milliseconds()
}

// add counts a request, and keeps the times of so many. Requests that run at the same time
// may be a moment out of order.
func (n *count) add(at int64, keep int) {
	n.total++
	if last := len(n.times) - 1; last >= 0 {
		at = max(at, n.times[last])
	}
	if len(n.times) >= keep {
		n.times = n.times[len(n.times)-keep+1:]
	}
	n.times = append(n.times, at)
}

// forget drops what is out of the window, and what lies ahead of a clock that was set back.
func (n *count) forget(now, window int64) {
	const moment = 1000
	times := n.times
	for len(times) > 0 && times[len(times)-1] > now+moment {
		times = times[:len(times)-1]
	}
	for len(times) > 0 && times[0] <= now-window {
		times = times[1:]
	}
	n.times = times
}

// sweep frees the times of holders that are idle, every minute, and forgets such holders
// altogether when there are very many.
func (l *limiter) sweep(now int64) {
	pause, many := int64(60_000), len(l.counts) > maxHolders
	if many {
		pause = 1000
	}
	if now >= l.swept && now < l.swept+pause {
		return
	}
	l.swept = now
	for h, n := range l.counts {
		if n.forget(now, l.window(h)); len(n.times) > 0 {
			continue
		}
		n.times = nil
		if many {
			delete(l.counts, h)
		}
	}
}

// set puts limits into force; what was counted of their holders is forgotten.
func (l *limiter) set(limits ...Limit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, limit := range limits {
		calls, scope := slices.Index(AllCalls[:], limit.Calls), slices.Index(AllScopes[:], limit.Scope)
		l.limits[calls][scope] = limit
		for h, n := range l.counts {
			if int(h.calls) == calls && int(h.scope) == scope {
				n.times = nil
			}
		}
	}
}

// Usage is how many requests of a group a holder of a scope has made.
type Usage struct {
	Calls    Calls
	Scope    Scope
	Kind     string // what ID is of: token, user, entry, app or organization
	ID       int64
	InWindow int // within the window that ends now
	Total    int // since the start, without those that were refused
	Refused  int // with 429, whatever scope refused them
}

// usage lists what everybody has made, by group, scope, kind and id.
func (l *limiter) usage(now time.Time) []Usage {
	l.mu.Lock()
	defer l.mu.Unlock()
	holders := slices.SortedFunc(maps.Keys(l.counts), func(a, b holder) int {
		return cmp.Or(cmp.Compare(a.calls, b.calls), cmp.Compare(a.scope, b.scope), cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id))
	})
	list := make([]Usage, len(holders))
	for i, h := range holders {
		n := l.counts[h]
		n.forget(now.UnixMilli(), l.window(h))
		list[i] = Usage{AllCalls[h.calls], AllScopes[h.scope], h.kind.String(), h.id, len(n.times), n.total, n.refused}
	}
	return list
}

// tooMany is the documented answer to one request too many.
func tooMany(next time.Time) *refusal {
	return &refusal{
		status:       http.StatusTooManyRequests,
		message:      "You've made too many attempts in a short period of time, please try again in a few seconds.",
		referenceURL: "https://developers.fliplet.com/Rate-limiting-for-API.html",
		nextValid:    timeText(next),
	}
}
