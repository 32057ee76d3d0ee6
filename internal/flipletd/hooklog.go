package flipletd

import (
	"slices"
	"sync"
	"time"
)

// HookCall is a hook that ran. E-mail, SMS and push hooks send nothing; for a web hook there
// is one HookCall for each request that it sends, or would have sent.
type HookCall struct {
	Time         time.Time
	Type         string
	RunOn        string
	DataSourceID int64
	EntryID      int64
	AppID        int64
	Payload      any // templates filled in

	// Of web hooks. In Payload the values of headers and of the query are left out.
	URL    string    // the endpoint as it is stored: not filled in, without its query
	Sent   time.Time // when the request went out; zero: not yet, or never
	Status int       // what was answered; 0 while nothing is
	Err    string    // why there is no answer, or of any hook that it took too long; holds nothing of a row, a header or an answer
	Lever  string    // what levers did: lost, answer lost, twice, late, out of order, forged
}

// maxHookCalls bounds the hooks kept; the latest are.
const maxHookCalls = 10_000

// hookLog is what hooks have done.
type hookLog struct {
	mu    sync.Mutex
	calls []*HookCall
	rung  int // web hooks
}

func (l *hookLog) add(h HookCall) *HookCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.calls) >= 2*maxHookCalls {
		l.calls = slices.Clone(l.calls[len(l.calls)-maxHookCalls:])
	}
	if h.Type == hookWeb {
		l.rung++
	}
	l.calls = append(l.calls, &h)
	return &h
}

func (l *hookLog) change(h *HookCall, set func(*HookCall)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	set(h)
}

// all returns the calls, the oldest first.
func (l *hookLog) all() []HookCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []HookCall
	for _, h := range l.calls {
		out = append(out, *h)
	}
	return out
}

func (l *hookLog) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rung
}
