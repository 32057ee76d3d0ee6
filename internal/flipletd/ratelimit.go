package flipletd

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// Limits is a rate limit: so many requests in any such window, per token. The
// zero Limits is none. Fliplet documents 200 in 10 s for data sources.
type Limits struct {
	Requests int
	Window   time.Duration
}

// DocumentedLimits is what Fliplet publishes for the data source calls.
func DocumentedLimits() Limits { return Limits{Requests: 200, Window: 10 * time.Second} }

// limiter counts the requests of each token in a sliding window.
type limiter struct {
	mu     sync.Mutex
	limits Limits
	recent map[string][]time.Time // oldest first, none older than the window
}

// allow refuses a request that is one too many. A refused one is not counted.
func (l *limiter) allow(token string, rt *route, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limits.Requests <= 0 || !strings.Contains(string(rt.name), "/v1/data-sources") {
		return nil
	}
	if l.recent == nil {
		l.recent = make(map[string][]time.Time)
	}
	times := l.recent[token]
	start := now.Add(-l.limits.Window)
	for len(times) > 0 && !times[0].After(start) {
		times = times[1:]
	}
	if len(times) >= l.limits.Requests {
		l.recent[token] = times
		return tooMany(times[len(times)-l.limits.Requests].Add(l.limits.Window))
	}
	l.recent[token] = append(times, now)
	return nil
}

func (l *limiter) set(limits Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits, l.recent = limits, nil
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
