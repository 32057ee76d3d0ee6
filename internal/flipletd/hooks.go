package flipletd

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// runs says whether a hook is meant for a row; every condition must hold.
func (c *call) runs(h *hook, on string, data map[string]any) bool {
	if h.never || !slices.Contains(h.runOn, on) {
		return false
	}
	for _, f := range h.conditions {
		if ok, err := c.match(f, data); !ok || err != nil {
			return false
		}
	}
	return true
}

// runHooks lets operations change the columns that are about to be stored.
// They run before the row is kept; Fliplet documents that single inserts run
// hooks in the background, which a reader sees a moment later.
func (c *call) runHooks(m *meta, on string, data map[string]any) map[string]any {
	if !c.runsHooks() {
		return data
	}
	for i := range m.hookList {
		h := &m.hookList[i]
		if h.kind != "operations" || !c.runs(h, on, data) && !c.runs(h, runBeforeSave, data) {
			continue
		}
		payload, _ := h.payload.(map[string]any)
		if len(payload) == 0 {
			continue
		}
		data = maps.Clone(data)
		for _, column := range slices.Sorted(maps.Keys(payload)) {
			operate(data, column, payload[column])
		}
	}
	return data
}

// operate applies one operation: a template to fill in, or a list of trim,
// lower, upper and hash for the column's own text.
func operate(data map[string]any, column string, operation any) {
	switch op := operation.(type) {
	case string:
		data[column] = handlebars.Fill(op, data)
	case []any:
		s, ok := data[column].(string)
		if !ok {
			return
		}
		for _, name := range op {
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
		if h.kind == "operations" || !c.runs(h, on, v.data()) {
			continue
		}
		call := HookCall{Time: c.now, Type: h.kind, RunOn: on, DataSourceID: m.id, EntryID: v.ID, AppID: h.appID}
		if h.kind == hookWeb {
			tx.after = append(tx.after, func() { c.srv.ring(h, laneKey{m.id, i}, call, v.data()) })
			continue
		}
		call.Payload = fillValues(h.payload, v.data())
		tx.after = append(tx.after, func() {
			if call.Type == hookPushMessage {
				tx.st.pushes.expect(call)
			}
			c.srv.hooks.add(call)
		})
	}
}

// fillValues fills every text inside a payload.
func fillValues(v any, data map[string]any) any {
	switch v := v.(type) {
	case string:
		return handlebars.Fill(v, data)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = fillValues(e, data)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = fillValues(e, data)
		}
		return out
	}
	return v
}
