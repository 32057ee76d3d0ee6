package flipletlocal

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// How much of what happens the page shows.
const (
	shownRequests = 100
	shownSeconds  = 120
	shownHooks    = 50
	shownLogged   = 100
)

// traffic is what the server was asked and what it did.
type traffic struct {
	Seen     int       `json:"seen"` // requests since the start
	Requests []request `json:"requests"`
	Rates    rates     `json:"rates"`
	Limit    limit     `json:"limit"`
	Ran      int       `json:"ran"` // hooks since the start
	Hooks    []hook    `json:"hooks"`
	Log      []logged  `json:"log"` // the audit log
}

// request, and everything else in lists, comes the newest first.
type request struct {
	Time   string `json:"time"`
	Method string `json:"method"`
	Target string `json:"target"`
	Bytes  int    `json:"bytes"`
	Status int    `json:"status"` // 0 while there is no answer
	Class  string `json:"class"`  // of the status
}

// rates counts requests by second, the current one last.
type rates struct {
	From    int64 `json:"from"` // the first second, in Unix time
	OK      []int `json:"ok"`
	Refused []int `json:"refused"`
	TooMany []int `json:"toomany"`
	Failed  []int `json:"failed"`
}

// logged is a change as the audit log has it: no value of a row is in it.
type logged struct {
	ID      int64  `json:"id"`
	Time    string `json:"time"`
	Type    string `json:"type"`
	Source  int64  `json:"source"`
	Entry   int64  `json:"entry"` // 0 for changes of the data source
	Columns string `json:"columns"`
}

// limit is that of the calls of data sources: the lowest, when several are in force.
type limit struct {
	Requests int     `json:"requests"`
	Seconds  float64 `json:"seconds"`
	Of       string  `json:"of"`       // whose requests count together: token, user, app, organization
	Enforced bool    `json:"enforced"` // otherwise it is the documented one
}

type hook struct {
	Time   string `json:"time"`
	Type   string `json:"type"`
	RunOn  string `json:"runOn"`
	Source int64  `json:"source"`
	Entry  int64  `json:"entry"`
	To     string `json:"to"`     // the host that a web hook calls
	Result string `json:"result"` // the status of the answer, failed, sent, waits; noted where nothing is sent
	Error  string `json:"error"`
	Class  string `json:"class"` // of the result, as of requests
}

func (p *page) traffic() traffic {
	t := traffic{Seen: p.core.Count(flipletd.AnyRoute), Requests: []request{}, Rates: newRates(p.core.Rates(shownSeconds)), Limit: newLimit(p.core.RateLimit()), Hooks: []hook{}, Log: []logged{}}
	for _, r := range slices.Backward(p.core.LastRequests(shownRequests)) {
		t.Requests = append(t.Requests, newRequest(r))
	}
	calls := p.core.HookCalls()
	t.Ran = len(calls)
	for _, h := range slices.Backward(calls[max(0, len(calls)-shownHooks):]) {
		t.Hooks = append(t.Hooks, newHook(h))
	}
	for _, e := range slices.Backward(p.core.LastLogged(shownLogged)) {
		columns := slices.DeleteFunc(slices.Clone(e.Columns), isSecret)
		t.Log = append(t.Log, logged{ID: e.ID, Time: timeText(e.Time), Type: e.Type, Source: e.DataSourceID, Entry: e.EntryID, Columns: cut(strings.Join(columns, ", "), shownName)})
	}
	return t
}

func newRequest(r flipletd.Request) request {
	target := r.Path
	if r.Query != "" {
		target += "?" + r.Query
	}
	return request{Time: timeText(r.Time), Method: cut(r.Method, 20), Target: cut(target, 500), Bytes: r.BodySize, Status: r.Status, Class: class(r.Status)}
}

// class tells statuses apart as the graph does.
func class(status int) string {
	switch {
	case status == 0:
		return "open"
	case status == 429:
		return "toomany"
	case status >= 500:
		return "failed"
	case status >= 400:
		return "refused"
	}
	return "ok"
}

func newRates(list []flipletd.Rate) rates {
	var r rates
	for i, second := range list {
		if i == 0 {
			r.From = second.Second.Unix()
		}
		r.OK, r.Refused = append(r.OK, second.OK), append(r.Refused, second.Refused)
		r.TooMany, r.Failed = append(r.TooMany, second.TooMany), append(r.Failed, second.Failed)
	}
	return r
}

func newLimit(l flipletd.Limit) limit {
	enforced := l.Requests > 0
	if !enforced {
		l = flipletd.DocumentedLimits()[0]
	}
	return limit{Requests: l.Requests, Seconds: l.Window.Seconds(), Of: string(l.Scope), Enforced: enforced}
}

func newHook(h flipletd.HookCall) hook {
	out := hook{Time: timeText(h.Time), Type: cut(h.Type, 40), RunOn: h.RunOn, Source: h.DataSourceID, Entry: h.EntryID, Result: "noted", Class: "open"}
	if h.Type != "web" {
		return out
	}
	out.To = hostOf(h.URL)
	switch {
	case h.Err != "":
		out.Result, out.Error, out.Class = "failed", cut(h.Err, 200), "failed"
	case h.Status != 0:
		out.Result, out.Class = strconv.Itoa(h.Status), class(h.Status)
	case !h.Sent.IsZero():
		out.Result = "sent"
	default:
		out.Result = "waits"
	}
	if h.Lever != "" {
		out.Error = strings.TrimPrefix(out.Error+", lever: "+h.Lever, ", ")
	}
	return out
}

// hostOf is all of an address that is shown: its path may be what opens the door.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return cut(u.Scheme+"://"+u.Host, 100)
}
