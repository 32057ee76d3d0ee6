package flipletd

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
)

// conversationType is the type of the sources that hold chat messages.
const conversationType = "conversation"

// meta describes a data source: everything but its entries. Like a version it
// is never changed once readers can see it.
type meta struct {
	id           int64
	name         string
	kind         string // "type"; "" is null
	appID, orgID int64  // 0 is null

	columns    []string // nil is null
	definition any      // decoded; nil is null

	// As sent; nil is null. Unknown keys and exact numbers survive that way.
	hooks, accessRules, capabilities, public json.RawMessage
	bundle, encrypted                        bool

	createdAt, updatedAt, deletedAt time.Time

	visible time.Time
	late    bool
	prev    *meta

	// Derived from the fields above by derive.
	columnSet    map[string]struct{}
	ownsColumns  bool // columns and columnSet belong to this meta alone
	participants []string
	rules        []rule
	hookList     []hook
}

// clone copies m for a change.
func (m *meta) clone() *meta {
	c := *m
	c.prev, c.ownsColumns = nil, false
	return &c
}

// derive computes what the rest of the server asks of a definition, of access
// rules and of hooks.
func (m *meta) derive() {
	m.columnSet = make(map[string]struct{}, len(m.columns))
	for _, c := range m.columns {
		m.columnSet[c] = struct{}{}
	}
	m.ownsColumns = true
	m.participants = m.participants[:0:0]
	if d, ok := m.definition.(map[string]any); ok {
		list, _ := d["participants"].([]any)
		for _, p := range list {
			if u, ok := p.(string); ok {
				m.participants = append(m.participants, u)
			}
		}
	}
	m.rules = parseRules(m.accessRules)
	m.hookList = parseHooks(m.hooks)
}

// listsMembers says that participants may read the source across sources.
func (m *meta) listsMembers() bool { return m.kind == conversationType && m.deletedAt.IsZero() }

// setting reads a text from the definition, "" when there is none.
func (m *meta) setting(key string) string {
	d, _ := m.definition.(map[string]any)
	s, _ := d[key].(string)
	return s
}

// grow declares the columns of a new row: documented for every write.
func (m *meta) grow(data map[string]any) {
	var missing []string
	for k := range data {
		if _, ok := m.columnSet[k]; !ok {
			missing = append(missing, k)
		}
	}
	if len(missing) == 0 {
		return
	}
	slices.Sort(missing)
	if !m.ownsColumns {
		m.columns, m.columnSet = slices.Clone(m.columns), maps.Clone(m.columnSet)
		m.ownsColumns = true
	}
	m.columns = append(m.columns, missing...)
	for _, k := range missing {
		m.columnSet[k] = struct{}{}
	}
}

// appendSource writes a data source. With attributes only those fields, and
// always the id, are written.
func appendSource(b []byte, m *meta, attributes map[string]bool, sh *Shape) []byte {
	o := object{shape: sh, only: attributes}
	b = append(b, '{')
	b = o.id(b, "id", m.id)
	b = o.text(b, "name", m.name)
	if o.wants(&b, "type") {
		b = appendOptional(b, m.kind)
	}
	b = o.optionalID(b, "appId", m.appID)
	b = o.optionalID(b, "organizationId", m.orgID)
	if o.wants(&b, "columns") {
		if m.columns == nil {
			b = append(b, "null"...)
		} else {
			b = appendValue(b, m.columns)
		}
	}
	if o.wants(&b, "definition") {
		b = appendValue(b, m.definition)
	}
	b = o.raw(b, "hooks", m.hooks, "[]")
	b = o.raw(b, "accessRules", m.accessRules, "null")
	b = o.raw(b, "appCapabilities", m.capabilities, "null")
	b = o.raw(b, "public", m.public, "false")
	if o.wants(&b, "bundle") {
		b = strconv.AppendBool(b, m.bundle)
	}
	if o.wants(&b, "encrypted") {
		b = strconv.AppendBool(b, m.encrypted)
	}
	// What follows is of roles that people have on a source; access rules took their place.
	b = o.raw(b, "permissions", nil, `"crudq"`)
	b = o.raw(b, "masterDataSourceId", nil, "null")
	b = o.raw(b, "dataSourceRoles", nil, "[]")
	b = o.time(b, "createdAt", m.createdAt)
	b = o.time(b, "updatedAt", m.updatedAt)
	if !m.deletedAt.IsZero() {
		b = o.time(b, "deletedAt", m.deletedAt)
	}
	b = o.unknown(b)
	return append(b, '}')
}

func appendOptional(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return appendString(b, s)
}

// readMeta is the inverse of appendSource.
func readMeta(raw []byte) (*meta, error) {
	v, err := decodeJSON(raw)
	if err != nil {
		return nil, err
	}
	fields, _ := v.(map[string]any)
	m := &meta{}
	if err := m.set(fields); err != nil {
		return nil, err
	}
	m.id, _ = wholeNumber(fields["id"])
	m.kind, _ = fields["type"].(string)
	m.appID, _ = wholeNumber(fields["appId"])
	m.orgID, _ = wholeNumber(fields["organizationId"])
	m.encrypted = truthy(fields["encrypted"])
	for key, at := range map[string]*time.Time{"createdAt": &m.createdAt, "updatedAt": &m.updatedAt, "deletedAt": &m.deletedAt} {
		if s, ok := fields[key].(string); ok {
			if *at, err = time.Parse(time.RFC3339, s); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// set takes over the fields that a create and an update may both send, after
// checking all of them.
func (m *meta) set(fields map[string]any) error {
	for key, v := range inOrder(fields) {
		switch key {
		case "name":
			s, ok := v.(string)
			if !ok || s == "" {
				return badRequest("name must be a text that is not empty.")
			}
			m.name = s
		case "columns":
			if v == nil {
				m.columns = nil
				continue
			}
			columns, err := texts("columns", v)
			if err != nil {
				return err
			}
			m.columns = columns
		case "definition":
			if _, ok := v.(map[string]any); !ok && v != nil {
				return badRequest("definition must be an object.")
			}
			m.definition = v
		case "hooks", "accessRules":
			list, ok := v.([]any)
			if !ok && v != nil {
				return badRequest("%s must be an array.", key)
			}
			for _, e := range list {
				if _, ok := e.(map[string]any); !ok {
					return badRequest("%s must hold objects.", key)
				}
			}
			if key == "hooks" {
				m.hooks = rawOrNil(v)
			} else {
				m.accessRules = rawOrNil(v)
			}
		case "appCapabilities":
			m.capabilities = rawOrNil(v)
		case "public":
			m.public = rawOrNil(v)
		case "bundle":
			m.bundle = truthy(v)
		}
	}
	m.derive()
	return nil
}

func rawOrNil(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	return appendValue(nil, v)
}

// texts reads a list of texts.
func texts(name string, v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, badRequest("%s must be an array.", name)
	}
	out := make([]string, len(list))
	for i, e := range list {
		if out[i], ok = e.(string); !ok {
			return nil, badRequest("%s must hold texts.", name)
		}
	}
	return out, nil
}
