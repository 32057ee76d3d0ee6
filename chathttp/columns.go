package chathttp

import (
	"net/http"
	"path"
	"strings"

	chat "github.com/fliplet/fliplet-chat-go"
)

// token is the column of contacts with which one acts as a person.
const token = "fluserToken"

// hidden reports whether a column of contacts is none for pages.
func (h *Handler) hidden(column string) bool {
	column = strings.ToLower(strings.TrimPrefix(column, "data."))
	if strings.Contains(column, strings.ToLower(token)) {
		return true
	}
	for part := range strings.SplitSeq(column, ".") {
		for _, pattern := range h.opts.HiddenColumns {
			if ok, _ := path.Match(strings.ToLower(pattern), part); ok {
				return true
			}
		}
	}
	return false
}

// contact is a contact without what pages do not get. The value itself may be shared.
func (h *Handler) contact(ct *chat.Contact) *chat.Contact {
	if ct == nil {
		return nil
	}
	out := *ct
	out.Data, _ = h.shownPart(ct.Data).(chat.M)
	return &out
}

// shownPart is a copy of a part of a contact without what is hidden, also inside of columns:
// what cannot be asked for by its path is not to be seen in the whole.
func (h *Handler) shownPart(v any) any {
	switch v := v.(type) {
	case chat.M:
		out := make(chat.M, len(v))
		for column, e := range v {
			if !h.hidden(column) {
				out[column] = h.shownPart(e)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = h.shownPart(e)
		}
		return out
	}
	return v
}

func (h *Handler) contacts(found []*chat.Contact) []*chat.Contact {
	out := make([]*chat.Contact, len(found))
	for i, ct := range found {
		out[i] = h.contact(ct)
	}
	return out
}

// checkQuery refuses a query over contacts that would tell a page what it does not get, or
// what other data sources have: the server may read more than its pages.
func (f *fields) checkQuery(h *Handler) {
	for _, key := range []string{"join", "aggregate"} {
		if f.has(key) {
			f.a.forbid("options.%s: pages may not; it reads other data sources with the rights of the server", key)
		}
	}
	for _, key := range []string{"where", "order", "attributes", "distinct", "id", "createdAt", "updatedAt"} {
		var v any
		if f.has(key) && decode(f.m[key], &v) == nil && h.asksHidden(v, key != "where") {
			f.a.forbid("options.%s: it names a column that pages may not ask about", key)
		}
	}
}

func (a *args) forbid(format string, args ...any) {
	if a.err == nil {
		a.err = refusal(http.StatusForbidden, format, args...)
	}
}

// asksHidden reports whether a part of a query names a hidden column. texts: texts are names.
func (h *Handler) asksHidden(v any, texts bool) bool {
	switch v := v.(type) {
	case string:
		return texts && h.hidden(v)
	case []any:
		for _, e := range v {
			if h.asksHidden(e, texts) {
				return true
			}
		}
	case map[string]any:
		for key, e := range v {
			if key == "$where" || h.hidden(key) || h.asksHidden(e, key == "column") {
				return true
			}
		}
	}
	return false
}
