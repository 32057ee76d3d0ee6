package flipletd

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// entryQuery is a checked data/query.
type entryQuery struct {
	verb       string // of access rules: select, update or delete
	where      any
	filter     *sift.Filter     // nil: all
	meta       *rowquery.Filter // of id, createdAt, updatedAt; nil: all
	byUpdate   bool             // updatedAt is filtered by, so tombstones are reported
	order      any
	offset     int
	limit      int
	limited    bool // limit was sent
	offsetSent bool
	paginated  bool
	attributes map[string]bool // nil: all
	patch      map[string]any  // of an update
	distinct   string
	views      []string
	joins      []join
	pipeline   []stage // nil: no aggregation
}

func (c *call) entryQuery() (*entryQuery, error) {
	fields, err := c.object()
	if err != nil {
		return nil, err
	}
	if c.req.Method == http.MethodGet {
		for _, name := range []string{"limit", "offset"} {
			if v := c.param(name); v != "" && fields[name] == nil {
				fields[name] = v
			}
		}
	}
	q := &entryQuery{verb: verbSelect, order: fields["order"], paginated: fields["includePagination"] == true}
	switch kind := fields["type"]; kind {
	case nil, "select":
	case "update":
		q.verb = verbUpdate
		if q.patch, _ = fields["data"].(map[string]any); q.patch == nil {
			return nil, badRequest("data must be an object.")
		}
	case "delete":
		q.verb = verbDelete
	default:
		return nil, badRequest("type must be select, update or delete.")
	}
	if q.where = fields["where"]; q.where != nil {
		if _, ok := q.where.(map[string]any); !ok {
			return nil, badRequest("where must be an object.")
		}
		if q.filter, err = sift.Compile(asWritten(c.body, "where", q.where)); err != nil {
			return nil, err
		}
	}
	if err := q.readMetadata(fields); err != nil {
		return nil, err
	}
	if q.offset, q.offsetSent, err = size("offset", fields["offset"]); err != nil {
		return nil, err
	}
	if q.limit, q.limited, err = size("limit", fields["limit"]); err != nil {
		return nil, err
	}
	if v := fields["attributes"]; v != nil {
		names, err := texts("attributes", v)
		if err != nil {
			return nil, err
		}
		q.attributes = make(map[string]bool, len(names))
		for _, n := range names {
			q.attributes[n] = true
			q.attributes[strings.TrimPrefix(n, "data.")] = true
		}
	}
	if err := q.readShaping(fields, c.body); err != nil {
		return nil, err
	}
	most := c.srv.maxJoins
	if c.fx.MaxJoins != nil {
		most = *c.fx.MaxJoins
	}
	if n := len(q.joins); n > most && (most > 0 || c.fx.MaxJoins != nil) {
		return nil, badRequest("The query has %d joins, more than the %d that are allowed.", n, most)
	}
	return q, nil
}

// readMetadata takes the filters that stand beside where. They are conditions
// on the entry itself and therefore in the language of the entries table.
func (q *entryQuery) readMetadata(fields map[string]any) error {
	clause := make(map[string]any)
	for _, name := range []string{"id", "createdAt", "updatedAt"} {
		if v := fields[name]; v != nil {
			clause[name] = v
		}
	}
	_, q.byUpdate = clause["updatedAt"]
	var where any = clause
	if v := fields["dataSourceEntryId"]; v != nil {
		where = map[string]any{"$and": []any{clause, map[string]any{"id": v}}}
	} else if len(clause) == 0 {
		return nil
	}
	var err error
	q.meta, err = rowquery.Compile(where)
	return err
}

// scan prepares the search for the live rows of a query that keep lets pass.
func (q *entryQuery) scan(c *call, s *source, m *meta, keep func(*version) (bool, error)) (*scan, error) {
	order, err := parseOrder(q.order, m.columnSet)
	if err != nil {
		return nil, err
	}
	sc := &scan{
		st: c.st, sources: []*source{s}, at: c.asOf, order: order,
		offset: q.offset, limit: q.limit, all: q.paginated, probes: siftProbes(q.filter),
	}
	sc.probes.alone = sc.probes.alone && q.meta == nil && len(q.views) == 0
	if q.meta != nil {
		sc.bounds = q.meta.Bounds()
	}
	sc.keep = func(v *version) (bool, error) {
		if !v.live() {
			return false, nil
		}
		if ok, err := q.matches(c, v); !ok || err != nil {
			return false, err
		}
		return keep(v)
	}
	return sc, nil
}

// matches applies the metadata filters and where.
func (q *entryQuery) matches(c *call, v *version) (bool, error) {
	if q.meta != nil {
		if ok, err := q.meta.Match(&v.Row); !ok || err != nil {
			return false, err
		}
	}
	if q.filter == nil {
		return true, nil
	}
	return c.match(q.filter, v.Data)
}

// queryEntries serves data/query: select, update and delete.
func (c *call) queryEntries() error {
	q, err := c.entryQuery()
	if err != nil {
		return err
	}
	if q.verb == verbSelect {
		return c.selectEntries(q)
	}
	return c.changeEntries(q)
}

func (c *call) selectEntries(q *entryQuery) error {
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	s, m, err := c.source(c.asOf)
	if err != nil {
		return err
	}
	grant, err := c.allow(m, access{verb: verbSelect, query: true, where: q.where})
	if err != nil {
		return err
	}
	inViews, err := c.viewFilter(m, q.views)
	if err != nil {
		return err
	}
	sc, err := q.scan(c, s, m, inViews)
	if err != nil {
		return err
	}
	rows, total, err := sc.run()
	if err != nil {
		return err
	}
	page, err := c.shapeRows(q, rows)
	if err != nil {
		return err
	}
	l := &listing{shape: &c.fx.Shape, columns: grant.view(q.attributes), views: page.views, extra: page.extra}
	if q.pipeline != nil {
		return c.aggregate(q, page.rows, l, s.id)
	}
	rows = c.fx.arrange(page.rows)
	c.status = http.StatusOK
	b := appendEntries(append(c.out[:0], `{"entries":`...), rows, l)
	b = append(b, `,"dataSourceId":`...)
	b = strconv.AppendInt(b, s.id, 10)
	b = append(b, `,"count":`...)
	b = strconv.AppendInt(b, int64(len(rows)), 10)
	if q.paginated {
		b = q.appendPagination(b, total)
	}
	if q.byUpdate {
		sc.keep = func(v *version) (bool, error) {
			if v.live() {
				return false, nil
			}
			return q.meta.Match(&v.Row)
		}
		sc.probes, sc.found = probes{}, nil
		var buried []*version
		if err := sc.gather(func(v *version) { buried = append(buried, v) }); err != nil {
			return err
		}
		b = append(b, `,"deletedEntries":`...)
		b = appendEntries(b, buried, &listing{shape: &c.fx.Shape})
	}
	c.out = append(b, '}')
	return nil
}

func (q *entryQuery) appendPagination(b []byte, total int) []byte {
	b = append(b, `,"pagination":{"total":`...)
	b = strconv.AppendInt(b, int64(total), 10)
	if q.limited {
		b = append(b, `,"limit":`...)
		b = strconv.AppendInt(b, int64(q.limit), 10)
	}
	if q.offsetSent {
		b = append(b, `,"offset":`...)
		b = strconv.AppendInt(b, int64(q.offset), 10)
	}
	return append(b, '}')
}

// changeEntries updates or deletes what matches.
func (c *call) changeEntries(q *entryQuery) error {
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	s, m, err := c.source(primary)
	if err != nil {
		return err
	}
	c.asOf = primary
	inViews, err := c.viewFilter(m, q.views)
	if err != nil {
		return err
	}
	sc, err := q.scan(c, s, m, inViews)
	if err != nil {
		return err
	}
	rows, _, err := sc.run()
	if err != nil {
		return err
	}
	if _, err := c.allow(m, access{verb: q.verb, query: true, where: q.where, sent: q.patch}); err != nil {
		return err
	}
	tx := c.begin(logRowsOnly)
	var changed []*version
	if len(rows) > 0 {
		edited := tx.edit(s)
		for _, v := range rows {
			if q.verb == verbDelete {
				changed = append(changed, tx.remove(v))
				continue
			}
			data := c.runHooks(m, runUpdate, merge(v.data(), q.patch))
			u := tx.update(edited, v, data, v.Order)
			c.afterWrite(tx, m, runUpdate, u)
			changed = append(changed, u)
		}
	}
	if err := tx.commit(); err != nil {
		return err
	}
	c.status = http.StatusOK
	if q.verb == verbUpdate {
		c.out = appendEntries(append(c.out[:0], `{"entries":`...), changed, &listing{shape: &c.fx.Shape})
		c.out = append(c.out, '}')
		return nil
	}
	c.out = c.appendDeleted(c.out[:0], changed)
	return nil
}

// appendDeleted answers a delete query. One page documents a count, another a
// list of ids; the answer has both unless a lever picks one.
func (c *call) appendDeleted(b []byte, rows []*version) []byte {
	count := append([]byte(`"deletedCount":`), strconv.Itoa(len(rows))...)
	ids := []byte(`"entries":[],"deleted":[`)
	for i, v := range rows {
		if i > 0 {
			ids = append(ids, ',')
		}
		ids = strconv.AppendInt(ids, v.ID, 10)
	}
	ids = append(ids, ']')
	b = append(b, '{')
	switch c.fx.Shape.Deleted {
	case "count":
		b = append(b, count...)
	case "ids":
		b = append(b, ids...)
	default:
		b = slices.Concat(b, ids, []byte{','}, count)
	}
	return append(b, '}')
}
