package flipletd

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/handlebars"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// When hooks run.
const (
	runInsert     = "insert"
	runUpdate     = "update"
	runBeforeSave = "beforeSave"
)

const hookPushMessage = "push-message"

// What the hooks of one write may cost while it holds the store's lock, their conditions and
// their templates together, in steps of packages sift and handlebars: tenths of a second.
// Behind that conditions do not hold and templates are filled in as far as they came.
const (
	hookSteps       = 1 << 21
	hookStepsPerRow = 1 << 10 // and so many more for each row that is written
)

// hook is one server hook of a data source.
type hook struct {
	kind       string
	runOn      []string
	appID      int64
	conditions []*sift.Filter
	never      bool // a condition that cannot be read
	payload    any

	web    *webHook // of type web; nil when nothing can be sent, and webErr says why
	webErr error
}

// parseHooks reads hooks leniently: what makes no sense never runs.
func parseHooks(raw json.RawMessage) []hook {
	if raw == nil {
		return nil
	}
	v, _ := decodeJSON(raw)
	list, _ := v.([]any)
	var hooks []hook
	for _, e := range list {
		fields, ok := e.(map[string]any)
		if !ok {
			continue
		}
		h := hook{runOn: textList(fields["runOn"]), payload: fields["payload"]}
		h.kind, _ = fields["type"].(string)
		h.appID, _ = wholeNumber(fields["appId"])
		var conditions []any
		switch c := fields["conditions"].(type) {
		case nil:
		case []any:
			conditions = c
		case map[string]any: // one condition
			conditions = []any{c}
		default:
			h.never = true
		}
		if h.kind == hookWeb {
			h.web, h.webErr = readWebHook(h.payload)
		}
		for _, condition := range conditions {
			f, err := sift.Compile(condition)
			if err != nil {
				h.never = true
				break
			}
			h.conditions = append(h.conditions, f)
		}
		hooks = append(hooks, h)
	}
	return hooks
}

// hookBudget is what the hooks of the write may still cost.
func (c *call) hookBudget() *handlebars.Budget {
	if c.hookWork == nil {
		c.hookWork = &handlebars.Budget{Steps: hookSteps}
	}
	return c.hookWork
}

// runs says whether a hook is meant for a row; every condition must hold. The error is that
// of conditions that take too long; one that fails otherwise does not hold.
func (c *call) runs(h *hook, on string, data map[string]any) (bool, error) {
	if h.never || !slices.Contains(h.runOn, on) {
		return false, nil
	}
	b := c.hookBudget()
	meter := sift.Meter{Steps: b.Steps}
	defer func() { b.Steps = meter.Steps }()
	for _, f := range h.conditions {
		switch ok, err := f.MatchWithin(data, &meter); {
		case errors.Is(err, sift.ErrSteps):
			return false, errHookConditions
		case !ok || err != nil:
			return false, nil
		}
	}
	return true, nil
}

var errHookConditions = errors.New("the conditions take too long")

// runHooks lets operations change the columns that are about to be stored.
// They run before the row is kept; Fliplet documents that single inserts run
// hooks in the background, which a reader sees a moment later.
func (c *call) runHooks(m *meta, on string, data map[string]any) map[string]any {
	if !c.runsHooks() {
		return data
	}
	c.hookBudget().Steps += hookStepsPerRow
	for i := range m.hookList {
		h := &m.hookList[i]
		if h.kind != "operations" {
			continue
		}
		ok, err := c.runs(h, on, data)
		if !ok && err == nil {
			ok, err = c.runs(h, runBeforeSave, data)
		}
		if !ok || err != nil {
			continue
		}
		payload, _ := h.payload.(map[string]any)
		if len(payload) == 0 {
			continue
		}
		if !c.hookBudget().Spend(len(data) / 4) {
			continue
		}
		data = maps.Clone(data)
		for _, column := range slices.Sorted(maps.Keys(payload)) {
			operate(data, column, payload[column], c.hookBudget())
		}
	}
	return data
}

// operate applies one operation: a template to fill in, or a list of trim,
// lower, upper and hash for the column's own text. With nothing left of the budget the column
// stays as it is.
func operate(data map[string]any, column string, operation any, b *handlebars.Budget) {
	if b.Over() {
		return
	}
	switch op := operation.(type) {
	case string:
		data[column], _ = handlebars.Fill(op, data, b) // in part, where it takes too long
	case []any:
		s, ok := data[column].(string)
		if !ok {
			return
		}
		for _, name := range op {
			if !b.Spend(1 + len(s)/64) {
				return
			}
			switch name {
			case "trim":
				s = strings.TrimSpace(s)
			case "lower":
				s = strings.ToLower(s)
			case "upper":
				s = strings.ToUpper(s)
			case "hash":
				// The algorithm is not public; a one-way one is what matters.
				sum := sha256.Sum256([]byte(s))
				s = hex.EncodeToString(sum[:])
			}
		}
		data[column] = s
	}
}

// afterWrite lets the hooks run that have an effect outside, once the write is certain.
func (c *call) afterWrite(tx *tx, m *meta, on string, v *version) {
	if !c.runsHooks() {
		return
	}
	for i := range m.hookList {
		h := &m.hookList[i]
		if h.kind == "operations" {
			continue
		}
		ok, err := c.runs(h, on, v.data())
		if !ok && err == nil {
			continue
		}
		call := HookCall{Time: c.now, Type: h.kind, RunOn: on, DataSourceID: m.id, EntryID: v.ID, AppID: h.appID}
		if err != nil { // whether it should run is not known
			call.Err = err.Error()
			if h.web != nil {
				call.URL = h.web.shown
			}
			tx.after = append(tx.after, func() { c.srv.hooks.add(call) })
			continue
		}
		if h.kind == hookWeb {
			tx.after = append(tx.after, func() { c.srv.ring(h, laneKey{m.id, i}, call, v.data()) })
			continue
		}
		if call.Payload, err = fillValues(h.payload, v.data(), c.hookBudget()); err != nil {
			call.Err = err.Error()
		}
		tx.after = append(tx.after, func() {
			if call.Type == hookPushMessage {
				tx.st.pushes.expect(call)
			}
			c.srv.hooks.add(call)
		})
	}
}

// fillValues fills every text inside a payload, as far as the budget goes. The error is the
// first one.
func fillValues(v any, data map[string]any, b *handlebars.Budget) (any, error) {
	var first error
	fill := func(v any) any {
		filled, err := fillValues(v, data, b)
		if first == nil {
			first = err
		}
		return filled
	}
	switch v := v.(type) {
	case string:
		return handlebars.Fill(v, data, b)
	case []any:
		if !b.Spend(len(v)) {
			return nil, handlebars.ErrTooLong
		}
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = fill(e)
		}
		return out, first
	case map[string]any:
		if !b.Spend(len(v)) {
			return nil, handlebars.ErrTooLong
		}
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out[k] = fill(v[k])
		}
		return out, first
	}
	return v, nil
}
