package wire

import (
	"encoding/json"
	"slices"
	"strings"
)

// credentials are the names under which tokens, keys and invite codes are stored, in
// lower case and without signs. Somebody may have copied one deeper into a definition
// or a column.
var credentials = map[string]bool{
	strings.ToLower(UserToken): true, strings.ToLower(encryptionKey): true, strings.ToLower(inviteCode): true, "authtoken": true,
}

func credential(name string) bool {
	return credentials[strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name))]
}

// Shown is the definition as it may be shown: without its key, its invite code and
// tokens, at any depth. The other fields stay as they are.
func (d Definition) Shown() Definition {
	out := NewDefinition()
	for name, raw := range d.fields() {
		if credential(name) {
			continue
		}
		v := d.Value(name)
		if !Hide(v) {
			out.fields()[name] = raw
			continue
		}
		out.fields()[name], _ = json.Marshal(v) // it was JSON before
	}
	return out
}

// Hide removes credentials from a decoded JSON value, and reports whether there were
// any.
func Hide(v any) (found bool) {
	switch v := v.(type) {
	case M:
		for name, inner := range v {
			if credential(name) {
				delete(v, name)
				found = true
			} else if Hide(inner) {
				found = true
			}
		}
	case []any:
		for _, inner := range v {
			if Hide(inner) {
				found = true
			}
		}
	}
	return found
}

// Mentions reports whether a text occurs anywhere in a value, as a server would read it.
func Mentions(v any, text string) bool {
	raw, err := json.Marshal(v)
	if err != nil {
		return false
	}
	var plain any
	_ = json.Unmarshal(raw, &plain) // it was JSON just now
	return within(plain, strings.ToLower(text))
}

func within(v any, text string) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(strings.ToLower(v), text)
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return within(e, text) })
	case M:
		for name, e := range v {
			if within(name, text) || within(e, text) {
				return true
			}
		}
	}
	return false
}
