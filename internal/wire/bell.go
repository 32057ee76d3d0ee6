package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// This file knows the web hook that rings for a conversation. That a data source has such hooks
// is documented; that they run for the rows of chats, and whether the service reaches an
// endpoint, is inferred.

// BellParameter is the parameter of a bell's URL that names the conversation.
const BellParameter = "conversation"

// ErrHooks: the hooks of a data source are not what is documented, so nobody knows how to keep
// them.
var ErrHooks = errors.New("the hooks of the data source are no list of objects; they were left as they are")

// CheckBell says what is wrong with the URL of a bell.
func CheckBell(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil: // its text has the URL
		return errors.New("cannot be parsed; give one such as https://example.org/bell")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Opaque != "":
		return errors.New("is not absolute; give one such as https://example.org/bell")
	case u.User != nil:
		return errors.New("has a user or password; everybody who reads the conversation's hooks would see it")
	case u.Fragment != "" || strings.Contains(endpoint, "#"):
		return errors.New("has a fragment, which no request carries; leave it out")
	case strings.Contains(endpoint, "{{"):
		return errors.New("has {{, which the service takes for a template; leave it out")
	case u.Query().Has(BellParameter):
		return fmt.Errorf("has the parameter %q, which is the bell's own; leave it out", BellParameter)
	}
	return nil
}

// Bell is the hook that rings for a conversation: a request without content, to the URL with
// the conversation's id.
func Bell(endpoint string, conversation int64) json.RawMessage {
	joint := "?"
	if strings.Contains(endpoint, "?") {
		joint = "&"
	}
	at := endpoint + joint + BellParameter + "=" + strconv.FormatInt(conversation, 10)
	b, _ := json.Marshal(M{ // plain values always marshal
		"type": "web", "runOn": []string{"insert", "update"}, "conditions": []any{},
		"payload": M{"method": "POST", "endpoint": at, "headers": M{}, "body": M{}},
	})
	return b
}

// WithBell returns hooks with the bell of a conversation, and every other as it was. changed is
// false if they have it.
func WithBell(hooks json.RawMessage, endpoint string, conversation int64) (_ json.RawMessage, changed bool, err error) {
	list, others, right, err := bells(hooks, endpoint, conversation)
	if err != nil || right && len(others) == len(list)-1 {
		return hooks, false, err
	}
	return joined(append(others, Bell(endpoint, conversation))), true, nil
}

// WithoutBell is the reverse of WithBell.
func WithoutBell(hooks json.RawMessage, endpoint string, conversation int64) (_ json.RawMessage, changed bool, err error) {
	list, others, _, err := bells(hooks, endpoint, conversation)
	if err != nil || len(others) == len(list) {
		return hooks, false, err
	}
	return joined(others), true, nil
}

// bells returns the hooks, and those that are not the endpoint's bells. right: one of these is
// the conversation's. Others have the id of the conversation that they were copied from.
func bells(hooks json.RawMessage, endpoint string, conversation int64) (list, others []json.RawMessage, right bool, err error) {
	if len(hooks) > 0 && json.Unmarshal(hooks, &list) != nil {
		return nil, nil, false, ErrHooks
	}
	want, _, _ := bellOf(Bell(endpoint, conversation))
	for _, hook := range list {
		at, id, err := bellOf(hook)
		if err != nil {
			return nil, nil, false, err
		}
		if at != want {
			others = append(others, hook)
			continue
		}
		right = right || id == strconv.FormatInt(conversation, 10) && rings(hook)
	}
	return list, others, right, nil
}

// bellOf takes the URL of a web hook apart, at the parameter that is its last; at is "" for any
// other hook, and for one whose requests are not a bell's.
func bellOf(hook json.RawMessage) (at, id string, err error) {
	if !bytes.HasPrefix(bytes.TrimSpace(hook), []byte("{")) {
		return "", "", ErrHooks
	}
	var h struct {
		Type       any
		Conditions any
		Payload    any
	}
	if json.Unmarshal(hook, &h) != nil {
		return "", "", ErrHooks
	}
	payload, _ := h.Payload.(map[string]any)
	endpoint, _ := payload["endpoint"].(string)
	conditions, _ := h.Conditions.([]any)
	i := strings.LastIndex(endpoint, BellParameter+"=")
	if len(conditions) > 0 || h.Type != "web" || i <= 0 || !strings.Contains("?&", endpoint[i-1:i]) || payload["method"] != "POST" || !blank(payload["headers"]) || !blank(payload["body"]) {
		return "", "", nil
	}
	at, id = endpoint[:i], endpoint[i+len(BellParameter)+1:]
	if id == "" || strings.Trim(id, "0123456789") != "" {
		return "", "", nil
	}
	return at, id, nil
}

// blank reports whether headers or a body are nothing.
func blank(v any) bool {
	m, ok := v.(map[string]any)
	return v == nil || v == "" || ok && len(m) == 0
}

// rings reports whether a bell runs for inserts and updates.
func rings(hook json.RawMessage) bool {
	var h struct{ RunOn any }
	if json.Unmarshal(hook, &h) != nil {
		return false
	}
	on, _ := h.RunOn.([]any)
	return slices.Contains(on, any("insert")) && slices.Contains(on, any("update"))
}

// joined is the list of hooks. They stay as they were, byte for byte.
func joined(list []json.RawMessage) json.RawMessage {
	parts := make([][]byte, len(list))
	for i := range list {
		parts[i] = list[i]
	}
	return slices.Concat([]byte("["), bytes.Join(parts, []byte(",")), []byte("]"))
}
