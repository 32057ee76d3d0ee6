package flipletd

import (
	"encoding/json"
	"maps"
	"strconv"
	"time"
)

// What Fliplet does not document of web hooks, and what is assumed of it: the plainest.
//   - Each call is one attempt. Its status is recorded and changes nothing; a redirect is not
//     followed.
//   - Nothing is signed: whoever knows the endpoint can forge a call.
//   - The calls of one hook are made one after another, in the order of the writes. Calls of
//     different hooks do not wait for each other.
//   - Only beforeSave and beforeQuery of operations mean something.
//   - A write with a Studio user's token is an edit in Studio, unless it asks for hooks.
const (
	// defaultHookTimeout is how long a call may take.
	defaultHookTimeout = 10 * time.Second
	// defaultHookMethod is the method of a hook that names none.
	defaultHookMethod = "POST"
)

// hookColumns is what the templates of a web hook see: the columns, and neither the id of the
// entry nor that of its data source, unless a lever says that they do.
func hookColumns(data map[string]any, withID bool, entryID, dataSourceID int64) map[string]any {
	if !withID {
		return data
	}
	out := maps.Clone(data)
	if out == nil {
		out = make(map[string]any, 2)
	}
	for name, id := range map[string]int64{"id": entryID, "dataSourceId": dataSourceID} {
		if _, isColumn := out[name]; !isColumn {
			out[name] = json.Number(strconv.FormatInt(id, 10))
		}
	}
	return out
}

// hookContentType is the type of a body that names none.
func hookContentType(body any, encoded []byte) string {
	if _, isText := body.(string); isText && !json.Valid(encoded) {
		return "text/plain; charset=utf-8"
	}
	return "application/json"
}

// runsHooks says that hooks may run for a write. They are documented not to run for changes in
// Studio's "App data"; how Fliplet tells those is not.
func (c *call) runsHooks() bool { return c.asksForHooks || !c.cred.studio() }
