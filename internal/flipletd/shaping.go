package flipletd

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// This file is what a query may do to rows after they were found: views,
// distinct and joins. Aggregation is in aggregate.go.

// join is one entry of a query's join.
type join struct {
	name       string
	sourceID   int64
	sourceName string
	on         map[string]string // path in the row → path in the joined row; nil: an outer join
	required   bool
	has        bool
	count      bool
	sum        string
	where      any
	filter     *sift.Filter
	attributes map[string]bool
	limit      int
	order      []ordering
}

// readShaping reads views, distinct, join and aggregate.
func (q *entryQuery) readShaping(fields map[string]any, body []byte) error {
	q.views = textList(fields["views"])
	switch d := fields["distinct"].(type) {
	case nil:
	case string:
		q.distinct = strings.TrimPrefix(d, "data.")
	default:
		return badRequest("distinct must be the name of a column.")
	}
	if v := fields["join"]; v != nil {
		joins, ok := v.(map[string]any)
		if !ok {
			return badRequest("join must be an object.")
		}
		for _, name := range slices.Sorted(maps.Keys(joins)) {
			j, err := readJoin(name, joins[name])
			if err != nil {
				return err
			}
			q.joins = append(q.joins, j)
		}
	}
	if v := fields["aggregate"]; v != nil {
		var err error
		q.pipeline, err = readPipeline(v, body)
		return err
	}
	return nil
}

func readJoin(name string, v any) (join, error) {
	j := join{name: name}
	fields, ok := v.(map[string]any)
	if !ok {
		return j, badRequest("join.%s must be an object.", name)
	}
	j.sourceID, _ = wholeNumber(fields["dataSourceId"])
	j.sourceName, _ = fields["dataSourceName"].(string)
	if j.sourceID == 0 && j.sourceName == "" {
		return j, badRequest("join.%s needs dataSourceId or dataSourceName.", name)
	}
	if on := fields["on"]; on != nil {
		pairs, ok := on.(map[string]any)
		if !ok {
			return j, badRequest("join.%s.on must be an object.", name)
		}
		j.on = make(map[string]string, len(pairs))
		for left, right := range inOrder(pairs) {
			if j.on[left], ok = right.(string); !ok {
				return j, badRequest("join.%s.on must hold texts.", name)
			}
		}
	}
	j.required, j.has, j.count = truthy(fields["required"]), truthy(fields["has"]), truthy(fields["count"])
	if j.sum, ok = fields["sum"].(string); !ok && fields["sum"] != nil {
		return j, badRequest("join.%s.sum must be the name of a column.", name)
	}
	j.sum = strings.TrimPrefix(j.sum, "data.")
	if j.where = fields["where"]; j.where != nil {
		if _, ok := j.where.(map[string]any); !ok {
			return j, badRequest("join.%s.where must be an object.", name)
		}
		var err error
		if j.filter, err = sift.Compile(j.where); err != nil {
			return j, err
		}
	}
	if v := fields["attributes"]; v != nil {
		names, err := texts("join attributes", v)
		if err != nil {
			return j, err
		}
		j.attributes = make(map[string]bool, len(names))
		for _, n := range names {
			j.attributes[strings.TrimPrefix(n, "data.")] = true
		}
	}
	var err error
	if j.limit, _, err = size("join limit", fields["limit"]); err != nil {
		return j, err
	}
	switch order := fields["order"].(type) {
	case nil:
	case []any:
		if len(order) > 0 {
			if _, nested := order[0].([]any); nested {
				j.order, err = parseOrder(order, nil)
				return j, err
			}
			term, err := parseOrdering(order, nil)
			if err != nil || len(order) > 2 {
				return j, badRequest("join.%s.order must be [column, direction].", name)
			}
			j.order = []ordering{term}
		}
	default:
		return j, badRequest("join.%s.order must be [column, direction].", name)
	}
	return j, nil
}

// viewFilter is the condition of the views that a query names: several are
// ORed, unknown ones are passed over. The form in which a definition keeps
// views is assumed to be a list of {"name", "filter"}; a filter's value that
// starts with "session." stands for a column of the session's row.
func (c *call) viewFilter(m *meta, names []string) (func(*version) (bool, error), error) {
	everything := func(*version) (bool, error) { return true, nil }
	definition, _ := m.definition.(map[string]any)
	list, _ := definition["views"].([]any)
	var filters []*sift.Filter
	known := false
	row := c.sessionRow()
	for _, e := range list {
		view, _ := e.(map[string]any)
		if name, _ := view["name"].(string); !slices.Contains(names, name) {
			continue
		}
		known = true
		filter, _ := view["filter"].(map[string]any)
		where := make(map[string]any, len(filter))
		complete := true
		for column, v := range inOrder(filter) {
			if s, ok := v.(string); ok {
				if path, ok := strings.CutPrefix(s, "session."); ok {
					if row == nil {
						complete = false
						break
					}
					v, complete = lookup(row.data(), path)
				}
			}
			if !complete {
				break
			}
			where[strings.TrimPrefix(column, "data.")] = v
		}
		if !complete {
			continue // nobody is logged in: the view is empty
		}
		f, err := sift.Compile(where)
		if err != nil {
			return nil, err
		}
		filters = append(filters, f)
	}
	if !known {
		return everything, nil
	}
	return func(v *version) (bool, error) {
		for _, f := range filters {
			if ok, err := c.match(f, v.Data); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	}, nil
}

// distinctRows keeps the first row per value of a column.
func distinctRows(rows []*version, column string) []*version {
	seen := make(map[string]bool)
	return slices.DeleteFunc(slices.Clone(rows), func(v *version) bool {
		value, _ := lookup(v.data(), column)
		key := string(appendValue(nil, value))
		defer func() { seen[key] = true }()
		return seen[key]
	})
}

// shaped is a page after distinct and the joins.
type shaped struct {
	rows []*version
	// extra writes the joins of a row; nil when there are none.
	extra func([]byte, *version) []byte
	// views has the rows of outer joins, each with the columns that its join shows.
	views map[*version]*columnView
}

// shapeRows applies distinct and the joins to a page. The caller holds the
// store's lock.
func (c *call) shapeRows(q *entryQuery, rows []*version) (*shaped, error) {
	if q.distinct != "" {
		rows = distinctRows(rows, q.distinct)
	}
	if len(q.joins) == 0 {
		return &shaped{rows: rows}, nil
	}
	joined := make(map[*version][]byte)
	views := make(map[*version]*columnView)
	var outer []*version
	for _, j := range q.joins {
		others, grant, err := c.joinSide(&j)
		if err != nil {
			return nil, err
		}
		if j.on == nil {
			for _, v := range others {
				shown := *v // one row may be in several joins, each with columns of its own
				views[&shown] = grant.view(j.attributes)
				outer = append(outer, &shown)
			}
			continue
		}
		byKey := make(map[string][]*version)
		for _, v := range others {
			if key, ok := j.key(v, false); ok {
				byKey[key] = append(byKey[key], v)
			}
		}
		rows = slices.DeleteFunc(slices.Clone(rows), func(v *version) bool {
			var matches []*version
			if key, ok := j.key(v, true); ok {
				matches = byKey[key]
			}
			if j.required && len(matches) == 0 {
				return true
			}
			b := joined[v]
			if len(b) > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, j.name), ':')
			joined[v] = c.appendJoin(b, &j, matches, grant)
			return false
		})
	}
	extra := func(b []byte, v *version) []byte {
		of, ok := joined[v]
		if !ok {
			return b
		}
		b = append(b, `,"joins":{`...)
		return append(append(b, of...), '}')
	}
	return &shaped{rows: slices.Concat(rows, outer), extra: extra, views: views}, nil
}

// joinSide is the rows of the other source, filtered and ordered; those of an outer
// join are as many as it wants.
func (c *call) joinSide(j *join) ([]*version, *grant, error) {
	name := j.sourceName
	if j.sourceID != 0 {
		name = strconv.FormatInt(j.sourceID, 10)
	}
	other := &call{srv: c.srv, st: c.st, req: c.req, fx: c.fx, cred: c.cred, args: []string{name}, query: map[string][]string{}}
	if j.sourceID == 0 {
		other.query["dsn"] = []string{""}
	}
	s, m, err := other.source(c.asOf)
	if err != nil {
		return nil, nil, err
	}
	for _, term := range j.order {
		if err := term.declaredIn(m.columnSet); err != nil {
			return nil, nil, err
		}
	}
	g, err := c.allow(m, access{verb: verbSelect, query: true, where: j.where})
	if err != nil {
		return nil, nil, err
	}
	sc := &scan{st: c.st, sources: []*source{s}, at: c.asOf, order: j.order, probes: siftProbes(j.filter)}
	if j.on == nil {
		sc.limit = j.limit
	}
	sc.keep = func(v *version) (bool, error) {
		if !v.live() || j.filter == nil {
			return v.live(), nil
		}
		return c.match(j.filter, v.Data)
	}
	rows, _, err := sc.run()
	return rows, g, err
}

// key is what a row is joined by; rows without a value are not joined.
func (j *join) key(v *version, left bool) (string, bool) {
	var b []byte
	for _, l := range slices.Sorted(maps.Keys(j.on)) {
		path := l
		if !left {
			path = j.on[l]
		}
		value, ok := entryPath(v, path)
		if !ok || value == nil {
			return "", false
		}
		b = appendString(b, plainText(value))
	}
	return string(b), len(b) > 0
}

// entryPath reads "id", "createdAt" or "data.Column" of an entry.
func entryPath(v *version, path string) (any, bool) {
	if column, ok := strings.CutPrefix(path, "data."); ok {
		return lookup(v.data(), column)
	}
	value, ok := entryValue(v)[path]
	return value, ok
}

// entryValue is an entry as a JSON object.
func entryValue(v *version) map[string]any {
	e := map[string]any{
		"id": v.ID, "dataSourceId": v.DataSourceID, "data": v.data(), "order": nil,
		"createdAt": timeText(v.created), "updatedAt": timeText(v.updated),
	}
	if v.Order != nil {
		e["order"] = *v.Order
	}
	return e
}

func (c *call) appendJoin(b []byte, j *join, matches []*version, g *grant) []byte {
	switch {
	case j.has:
		return strconv.AppendBool(b, len(matches) > 0)
	case j.count:
		return strconv.AppendInt(b, int64(len(matches)), 10)
	case j.sum != "":
		sum := 0.0
		visible := g.view(nil) // of what is hidden there is no sum
		for _, v := range matches {
			data := v.data()
			if visible != nil {
				data = visible.project(data)
			}
			value, _ := lookup(data, j.sum)
			if f, ok := number(value); ok {
				sum += f
			}
		}
		return appendFloat(b, sum)
	}
	return appendEntries(b, paginate(matches, 0, j.limit), &listing{shape: &c.fx.Shape, columns: g.view(j.attributes)})
}
