package flipletd

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// The verbs of access rules.
const (
	verbSelect = "select"
	verbInsert = "insert"
	verbUpdate = "update"
	verbDelete = "delete"
)

// rule is one access rule of a data source.
type rule struct {
	verbs    []string
	allow    any // "all", "loggedIn" or an object
	disabled bool
	apps     []int64 // nil: all
	require  []any
	include  []string
	exclude  []string
	script   bool
}

// parseRules reads access rules leniently: a rule that makes no sense grants
// nothing. nil means that there are none, the legacy state in which
// everything is allowed; an empty list means that nothing is.
func parseRules(raw json.RawMessage) []rule {
	if raw == nil {
		return nil
	}
	v, _ := decodeJSON(raw)
	list, _ := v.([]any)
	rules := make([]rule, 0, len(list))
	for _, e := range list {
		fields, ok := e.(map[string]any)
		if !ok {
			continue
		}
		r := rule{
			allow: fields["allow"], disabled: fields["enabled"] == false,
			verbs: textList(fields["type"]), include: textList(fields["include"]), exclude: textList(fields["exclude"]),
		}
		r.require, _ = fields["require"].([]any)
		r.script = truthy(fields["script"])
		switch apps := fields["appId"].(type) {
		case nil:
		case []any:
			r.apps = make([]int64, 0, len(apps))
			for _, a := range apps {
				if id, ok := wholeNumber(a); ok {
					r.apps = append(r.apps, id)
				}
			}
		default:
			if id, ok := wholeNumber(apps); ok {
				r.apps = []int64{id}
			}
		}
		rules = append(rules, r)
	}
	return rules
}

// textList reads a list of texts, or one text, and skips everything else.
func textList(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// access is what a request wants to do with a data source.
type access struct {
	verb   string
	single bool           // one row by itself: the message and the filters differ
	any    bool           // some row, unknown which: requirements are not looked at
	query  bool           // a data/query: require is about where
	where  any            // of a query
	sent   map[string]any // the columns submitted
	stored *version       // the row as it is
}

// grant is the rule that allowed a request; nil stands for no restriction.
type grant struct{ rule *rule }

// allow asks the access rules. They are tried in order and the first that
// grants wins; if none does the request is denied. The caller holds the
// store's lock.
func (c *call) allow(m *meta, a access) (*grant, error) {
	if c.cred.studio() || m.rules == nil {
		return nil, nil
	}
	row := c.sessionRow()
	for i := range m.rules {
		r := &m.rules[i]
		if r.disabled || r.script || !slices.Contains(r.verbs, a.verb) || !c.appliesTo(r) {
			continue
		}
		if c.admits(r.allow, row) && (a.any || r.satisfied(a, row)) {
			return &grant{r}, nil
		}
	}
	return nil, c.denied(m, a)
}

// allowBulk asks for rows that are written together.
func (c *call) allowBulk(m *meta, verb string, rows []flatRow) error {
	if c.cred.studio() || m.rules == nil {
		return nil
	}
	if len(rows) == 0 {
		_, err := c.allow(m, access{verb: verb, any: true})
		return err
	}
	for _, r := range rows {
		if _, err := c.allow(m, access{verb: verb, sent: r.data}); err != nil {
			return err
		}
	}
	return nil
}

// denied is the documented refusal. A single insert is called a write there.
func (c *call) denied(m *meta, a access) error {
	verb := a.verb
	switch {
	case verb == verbSelect:
		verb = "read"
	case verb == verbInsert && a.single:
		verb = "write"
	}
	status := http.StatusBadRequest
	if a.single && c.fx.Shape.Denied401 {
		status = http.StatusUnauthorized
	}
	return &refusal{
		status:  status,
		message: "The security rules for the Data Source \"" + m.name + "\" do not allow this app to " + verb + " data.",
		kind:    "datasource.access", dataSourceID: m.id,
	}
}

func (c *call) appliesTo(r *rule) bool {
	return r.apps == nil || slices.ContainsFunc(r.apps, func(id int64) bool {
		return c.srv.people.related(id, c.cred.appID)
	})
}

// sessionRow is the row that the session is logged in with, nil for nobody.
func (c *call) sessionRow() *version {
	id := c.cred.loggedInWith()
	if id == 0 {
		return nil
	}
	if v := c.st.entries[id]; v != nil && v.live() {
		return v
	}
	return nil
}

// admits evaluates the allow of a rule.
func (c *call) admits(allow any, row *version) bool {
	switch a := allow.(type) {
	case string:
		return a == "all" || a == "loggedIn" && row != nil
	case map[string]any:
		if len(a) == 0 {
			return false
		}
		for key, want := range a {
			switch key {
			case "tokens":
				ids, _ := want.([]any)
				if !slices.ContainsFunc(ids, func(e any) bool {
					id, ok := wholeNumber(e)
					return ok && id == c.cred.id
				}) {
					return false
				}
			case "user":
				conditions, _ := want.(map[string]any)
				if row == nil || conditions == nil {
					return false
				}
				for column, condition := range conditions {
					v, _ := lookup(row.data(), column)
					if !holds(v, condition, row) {
						return false
					}
				}
			case "loggedIn":
				if truthy(want) != (row != nil) {
					return false
				}
			case "dataSourceId":
				id, ok := wholeNumber(want)
				if !ok || row == nil || row.DataSourceID != id {
					return false
				}
			default:
				return false
			}
		}
		return true
	}
	return false
}

// holds evaluates {"equals":…}, {"notequals":…} or {"contains":…}. Equality is
// of the whole text without regard to case, as documented; contains is a
// substring, taken without regard to case too.
func holds(v, condition any, row *version) bool {
	ops, ok := condition.(map[string]any)
	if !ok || len(ops) == 0 {
		return false
	}
	have := strings.ToLower(plainText(v))
	for op, operand := range ops {
		want := operand
		if s, ok := operand.(string); ok {
			want = fillUser(s, row)
		}
		text := strings.ToLower(plainText(want))
		switch op {
		case "equals":
			if v == nil || have != text {
				return false
			}
		case "notequals":
			if have == text {
				return false
			}
		case "contains":
			if v == nil || !strings.Contains(have, text) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// fillUser replaces {{user.[Column]}} and {{user.Column}} by a column of the
// session's row.
func fillUser(s string, row *version) string {
	return fillTemplate(s, func(path string) (any, bool) {
		column, ok := strings.CutPrefix(path, "user.")
		if !ok || row == nil {
			return nil, false
		}
		return lookup(row.data(), strings.Trim(column, "[]"))
	})
}

// satisfied checks require. What a requirement is about depends on the call:
// a query's where, the row that is read or deleted, the columns submitted.
func (r *rule) satisfied(a access, row *version) bool {
	for _, req := range r.require {
		switch req := req.(type) {
		case string:
			if !r.mentions(a, req) {
				return false
			}
		case map[string]any:
			for column, condition := range req {
				if !holds(a.subject(column), condition, row) {
					return false
				}
			}
		default:
			return false
		}
	}
	return true
}

func (r *rule) mentions(a access, column string) bool {
	if a.query {
		w, _ := a.where.(map[string]any)
		_, ok := w[column]
		return ok
	}
	if a.sent != nil {
		_, ok := a.sent[column]
		return ok
	}
	if a.stored != nil {
		_, ok := lookup(a.stored.data(), column)
		return ok
	}
	return false
}

// subject is the value that an object requirement is about.
func (a access) subject(column string) any {
	switch {
	case a.query:
		w, _ := a.where.(map[string]any)
		if eq, ok := loneOperand(w[column], "$eq"); ok {
			return eq
		}
		return w[column]
	case a.stored != nil:
		v, _ := lookup(a.stored.data(), column)
		return v
	}
	return a.sent[column]
}

// view is which columns the reader gets: those asked for, within the rule's
// include, without its exclude. nil is all.
func (g *grant) view(attributes map[string]bool) *columnView {
	v := &columnView{only: attributes}
	if g != nil && g.rule != nil {
		if g.rule.include != nil {
			only := make(map[string]bool, len(g.rule.include))
			for _, name := range g.rule.include {
				if attributes == nil || attributes[name] {
					only[name] = true
				}
			}
			v.only = only
		}
		for _, name := range g.rule.exclude {
			if v.except == nil {
				v.except = make(map[string]bool)
			}
			v.except[name] = true
		}
	}
	if v.only == nil && v.except == nil {
		return nil
	}
	return v
}

// drop removes what a rule excludes from a single write, silently, as
// documented.
func (g *grant) drop(data map[string]any) map[string]any {
	if g == nil || g.rule == nil || len(g.rule.exclude) == 0 {
		return data
	}
	out := make(map[string]any, len(data))
	for k, v := range data {
		if !slices.Contains(g.rule.exclude, k) {
			out[k] = v
		}
	}
	return out
}
