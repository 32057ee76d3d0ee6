package flipletd

import (
	"errors"
	"fmt"
)

// WebHook is what levers call the requests that web hooks send. It is in no group of routes.
const WebHook Route = "web hook"

var hookRoute = &route{name: WebHook}

// HookEffects is what levers do to a request of a web hook, beside the effects of LoseRequest,
// LoseAnswer, Twice and Delay.
type HookEffects struct {
	OutOfOrder bool // behind the next one of the hook
	Forged     bool // with Body instead of the hook's
	Body       any
	WithID     bool // templates see the ids of the entry and its data source
}

// ring starts the request of a web hook for a row that was written.
func (s *Server) ring(h *hook, key laneKey, call HookCall, row map[string]any) {
	if h.web == nil {
		call.Err = h.webErr.Error()
		s.hooks.add(call)
		return
	}
	fx := s.levers.effects(hookRoute)
	call.URL = h.web.shown
	x := ring{key: key, hook: h.web, row: hookColumns(row, fx.Hook.WithID, call.EntryID, call.DataSourceID)}
	switch {
	case fx.LoseRequest:
		call.Lever, x.lost = "lost", true
	case fx.Hook.Forged:
		call.Lever, x.body = "forged", orNull(fx.Hook.Body)
	case fx.Delay > 0:
		call.Lever = "late"
	case fx.Hook.OutOfOrder:
		call.Lever = "out of order"
	case fx.LoseAnswer:
		call.Lever = "answer lost"
	}
	x.unheard, x.late, x.outOfOrder = fx.LoseAnswer, fx.Delay, fx.Hook.OutOfOrder
	again := x
	x.record = s.hooks.add(call)
	s.ringer.add(&x)
	if fx.Twice {
		call.Lever = "twice"
		again.record, again.copyOf = s.hooks.add(call), &x
		s.ringer.add(&again)
	}
}

// orNull is a body that says null, since none means the hook's own.
func orNull(v any) any {
	if v == nil {
		return "null"
	}
	return v
}

// Forge sends what the web hooks of a data source would send for a row that nobody wrote:
// whatever their conditions are, with entry id 0. It returns how many there are,
// and none of a closed server.
func (s *Server) Forge(dataSourceID int64, row map[string]any) (int, error) {
	v, err := copyValue(row)
	if err != nil {
		return 0, err
	}
	columns, ok := v.(map[string]any)
	if !ok && row != nil {
		return 0, errors.New("flipletd: a row is an object")
	}
	s.st.mu.RLock()
	defer s.st.mu.RUnlock()
	_, m := s.st.find(dataSourceID, primary)
	if m == nil {
		return 0, fmt.Errorf("flipletd: there is no data source %d", dataSourceID)
	}
	select {
	case <-s.closed:
		return 0, nil // nothing is sent any more
	default:
	}
	sent := 0
	for i := range m.hookList {
		h := &m.hookList[i]
		if h.web == nil {
			continue
		}
		x := &ring{key: laneKey{m.id, i}, hook: h.web, row: columns}
		x.record = s.hooks.add(HookCall{
			Time: s.clock.now(), Type: h.kind, DataSourceID: m.id, AppID: h.appID, URL: h.web.shown, Lever: "forged",
		})
		s.ringer.add(x)
		sent++
	}
	return sent, nil
}
