package flipletlocal

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// parseLimit reads [calls:]scope=requests/window; without calls it is about data sources.
func parseLimit(value string) (flipletd.Limit, error) {
	what, number, found := strings.Cut(value, "=")
	requests, window, divided := strings.Cut(number, "/")
	calls, scope, grouped := strings.Cut(what, ":")
	if !grouped {
		calls, scope = string(flipletd.DataSourceCalls), what
	}
	n, err := strconv.Atoi(requests)
	d, badWindow := time.ParseDuration(window)
	if !found || !divided || err != nil || badWindow != nil {
		return flipletd.Limit{}, errors.New("give a scope, a number of requests and a window, such as organization=500/10s")
	}
	limit := flipletd.Limit{Calls: flipletd.Calls(calls), Scope: flipletd.Scope(scope), Requests: n, Window: d}
	return limit, limit.Check()
}
