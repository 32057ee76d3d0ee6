package flipletd

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
)

// primary is the time at which everything written is visible: what writes and
// the test kit see, whatever levers do to readers.
var primary = time.Unix(1<<40, 0)

// source finds the data source a path names: all digits are an id unless the
// dsn flag is there, even empty; anything else is a name. The caller holds the
// store's lock.
func (c *call) source(t time.Time) (*source, *meta, error) {
	arg := c.args[0]
	if !c.has("dsn") && strings.Trim(arg, "0123456789") == "" {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil {
			return nil, nil, notFound("The data source")
		}
		s, m := c.st.find(id, t)
		if s == nil || !c.reaches(m) {
			return nil, nil, notFound("The data source")
		}
		return s, m, nil
	}
	// Names are looked up in the app of the request, then in its organisation.
	// Of several with one name the oldest is taken, which is assumed.
	appID, orgID, err := c.scope()
	if err != nil {
		return nil, nil, err
	}
	elsewhere := func(m *meta) bool { return appID == 0 || m.appID != appID }
	var found *source
	var best *meta
	for _, s := range c.st.sources {
		m := s.at(t)
		if m == nil || !m.deletedAt.IsZero() || m.name != arg || !c.reaches(m) ||
			c.has("appId") && elsewhere(m) || orgID != 0 && m.orgID != orgID {
			continue
		}
		switch {
		case found == nil, elsewhere(best) && !elsewhere(m), elsewhere(best) == elsewhere(m) && s.id < found.id:
			found, best = s, m
		}
	}
	if found == nil {
		return nil, nil, notFound("The data source")
	}
	return found, best, nil
}

// reaches says whether the credential may know of a source at all.
func (c *call) reaches(m *meta) bool { return m.orgID == c.cred.orgID }

// scope is the app and organisation that a request names in its query; the
// app of the token stands in for one that is not named.
func (c *call) scope() (appID, orgID int64, err error) {
	appID = c.cred.appID
	for name, to := range inOrder(map[string]*int64{"appId": &appID, "organizationId": &orgID}) {
		if v := c.param(name); v != "" {
			n, ok := wholeNumber(v)
			if !ok {
				return 0, 0, badRequest("%s must be a number.", name)
			}
			*to = n
		}
	}
	return appID, orgID, nil
}

// sourceFilter is what a list of data sources is asked for.
type sourceFilter struct {
	appID, orgID int64
	orgWide      bool // sources of no app are meant too
	kind         string
	untyped      bool // only sources without a type: type=null
	exclude      []string
	definition   any
	order        func(a, b *meta) int
}

func (c *call) sourceFilter() (*sourceFilter, error) {
	f := &sourceFilter{kind: c.param("type")}
	if f.kind == "null" {
		f.kind, f.untyped = "", true
	}
	appID, orgID, err := c.scope()
	if err != nil {
		return nil, err
	}
	if orgID == 0 || c.param("appId") != "" {
		f.appID, f.orgWide = appID, c.param("appId") == ""
	}
	f.orgID = orgID
	if list := c.param("excludeTypes"); list != "" {
		f.exclude = strings.Split(list, ",")
	}
	if raw := c.param("definition"); raw != "" {
		v, err := decodeJSON([]byte(raw))
		if err != nil {
			return nil, badRequest("definition must be a JSON object.")
		}
		if _, ok := v.(map[string]any); !ok {
			return nil, badRequest("definition must be a JSON object.")
		}
		f.definition = v
	}
	f.order, err = sourceOrder(orElse(c.param("order"), "name"), orElse(c.param("direction"), "ASC"))
	return f, err
}

func sourceOrder(column, direction string) (func(a, b *meta) int, error) {
	var by func(a, b *meta) int
	switch column {
	case "id":
		by = func(a, b *meta) int { return cmp.Compare(a.id, b.id) }
	case "name":
		by = func(a, b *meta) int { return strings.Compare(a.name, b.name) }
	case "type":
		by = func(a, b *meta) int { return strings.Compare(a.kind, b.kind) }
	case "createdAt":
		by = func(a, b *meta) int { return a.createdAt.Compare(b.createdAt) }
	case "updatedAt":
		by = func(a, b *meta) int { return a.updatedAt.Compare(b.updatedAt) }
	default:
		return nil, badRequest("Data sources cannot be ordered by %q.", column)
	}
	switch strings.ToUpper(direction) {
	case "ASC":
		return func(a, b *meta) int { return cmp.Or(by(a, b), cmp.Compare(a.id, b.id)) }, nil
	case "DESC":
		return func(a, b *meta) int { return cmp.Or(by(b, a), cmp.Compare(a.id, b.id)) }, nil
	}
	return nil, badRequest("direction must be ASC or DESC.")
}

func (f *sourceFilter) matches(m *meta) bool {
	return (f.appID == 0 || m.appID == f.appID || f.orgWide && m.appID == 0) && (f.orgID == 0 || m.orgID == f.orgID) &&
		(f.kind == "" || m.kind == f.kind) && (!f.untyped || m.kind == "") && !slices.Contains(f.exclude, m.kind) &&
		(f.definition == nil || rowquery.Contains(m.definition, f.definition))
}

// listed is one line of a list: the description and the number of entries.
type listed struct {
	*meta
	live int
}

// listSources serves the list. definition= is JSON containment: stored
// definitions hold more keys than public clients filter by.
func (c *call) listSources() error { return c.list(false) }

// listDeleted serves the trash.
func (c *call) listDeleted() error { return c.list(true) }

func (c *call) list(trash bool) error {
	f, err := c.sourceFilter()
	if err != nil {
		return err
	}
	var found []listed
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	for _, s := range c.st.sources {
		if m := s.at(c.asOf); m != nil && m.deletedAt.IsZero() != trash && c.reaches(m) && f.matches(m) {
			found = append(found, listed{m, s.live})
		}
	}
	slices.SortFunc(found, func(a, b listed) int { return f.order(a.meta, b.meta) })

	attributes := c.attributes()
	c.status = http.StatusOK
	b := append(c.out[:0], `{"dataSources":`...)
	if len(found) == 0 && c.fx.Shape.NullLists {
		b = append(b, "null"...)
	} else {
		b = append(b, '[')
		for i, l := range found {
			if i > 0 {
				b = append(b, ',')
			}
			b = c.appendSource(b, l, attributes)
		}
		b = append(b, ']')
	}
	c.out = append(b, '}')
	return nil
}

// attributes is the projection of a list, nil for all fields.
func (c *call) attributes() map[string]bool {
	var out map[string]bool
	for _, spelling := range []string{"attributes", "attributes[]"} { // jQuery writes lists with brackets
		for _, list := range c.query[spelling] {
			for name := range strings.SplitSeq(list, ",") {
				if name = strings.TrimSpace(name); name == "" {
					continue
				}
				if out == nil {
					out = make(map[string]bool)
				}
				out[name] = true
			}
		}
	}
	return out
}

func (c *call) appendSource(b []byte, l listed, attributes map[string]bool) []byte {
	b = appendSource(b, l.meta, attributes, &c.fx.Shape)
	if attributes["apps"] {
		b = append(b[:len(b)-1], `,"apps":`...)
		b = append(appendValue(b, c.appsOf(l.meta)), '}')
	}
	if c.has("includeEntriesCount") || c.has("includeCount") {
		b = append(b[:len(b)-1], `,"entriesCount":`...)
		b = strconv.AppendInt(b, int64(l.live), 10)
		b = append(b, '}')
	}
	return b
}

// appsOf names the apps that use a source: the one it belongs to.
func (c *call) appsOf(m *meta) []any {
	if a := c.srv.people.app(m.appID); a != nil {
		return []any{map[string]any{"id": a.id, "name": a.name}}
	}
	return []any{}
}

// validationCode: scripts that validate writes are not kept here.
func (c *call) validationCode() error {
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	if _, _, err := c.source(c.asOf); err != nil {
		return err
	}
	return c.value(http.StatusOK, map[string]any{"code": nil})
}

// oneSource answers with {"dataSource":{…}}.
func (c *call) oneSource(status int, l listed) error {
	c.status = status
	c.out = c.appendSource(append(c.out[:0], `{"dataSource":`...), l, c.attributes())
	c.out = append(c.out, '}')
	return nil
}

func (c *call) getSource() error {
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	s, m, err := c.source(c.asOf)
	if err != nil {
		return err
	}
	return c.oneSource(http.StatusOK, listed{m, s.live})
}

// createSource takes the app and organisation from the query, as documented,
// or from the body, as public clients send them.
func (c *call) createSource() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	m := &meta{encrypted: truthy(fields["encrypted"])}
	if _, ok := fields["name"]; !ok {
		return badRequest("name is required.")
	}
	if err := m.set(fields); err != nil {
		return err
	}
	if err := c.srv.checkHooks(fields["hooks"]); err != nil {
		return err
	}
	switch kind := fields["type"].(type) {
	case nil:
	case string:
		m.kind = kind
	default:
		return badRequest("type must be a text.")
	}
	if err := c.place(m, fields); err != nil {
		return err
	}
	rows, err := flatRows(fields["entries"])
	if err != nil {
		return err
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	tx := c.begin(logSourceCreate)
	tx.create(m)
	for i, r := range rows {
		if _, twice := tx.byID[r.id]; twice || r.id != 0 && c.st.entries[r.id] != nil {
			return badRequest("entries[%d].id is taken.", i)
		}
		tx.insert(m, r.id, c.st.withGUID(m, r.data), nil)
	}
	if err := tx.commit(); err != nil {
		return err
	}
	return c.oneSource(http.StatusCreated, listed{m, len(rows)})
}

// place puts a new source into an app or organisation that the token reaches.
func (c *call) place(m *meta, fields map[string]any) error {
	for name, to := range inOrder(map[string]*int64{"appId": &m.appID, "organizationId": &m.orgID}) {
		v := fields[name]
		if v == nil && c.param(name) != "" {
			v = c.param(name)
		}
		if v == nil {
			continue
		}
		n, ok := wholeNumber(v)
		if !ok || n <= 0 {
			return badRequest("%s must be the id of one.", name)
		}
		*to = n
	}
	if m.appID == 0 && m.orgID == 0 {
		return badRequest("appId or organizationId is required.")
	}
	if m.appID != 0 {
		a := c.srv.people.app(m.appID)
		if a == nil || a.orgID != c.cred.orgID || m.orgID != 0 && m.orgID != a.orgID {
			return badRequest("The app %d is not one that this token can use.", m.appID)
		}
		m.orgID = a.orgID
	}
	if m.orgID != c.cred.orgID {
		return badRequest("The organization %d is not one that this token can use.", m.orgID)
	}
	return nil
}

// updateSource replaces the fields that are sent, each as a whole: documented
// clients read a definition, change it and send all of it back.
func (c *call) updateSource() error {
	fields, err := c.object()
	if err != nil {
		return err
	}
	if err := (&meta{}).set(fields); err != nil {
		return err
	}
	if err := c.srv.checkHooks(fields["hooks"]); err != nil {
		return err
	}
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	s, _, err := c.source(primary)
	if err != nil {
		return err
	}
	tx := c.begin(logSourceUpdate)
	tx.attributes = attributes(fields)
	m := tx.edit(s)
	if err := m.set(fields); err != nil {
		return err
	}
	if err := tx.commit(); err != nil {
		return err
	}
	return c.oneSource(http.StatusOK, listed{m, s.live})
}
