package rows

import (
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/where"
)

// matching is a query as far as its answer can be checked here: a server may ignore any
// part of it.
type matching struct {
	where      where.Columns
	fields     map[string]*where.Rows // conditions on id, createdAt and updatedAt
	id         int64
	attributes map[string]bool // nil: all columns
}

// match reads the conditions of a query. What cannot be decided here is the server's.
func match(q *datasource.Query) matching {
	m := matching{id: q.DataSourceEntryID}
	m.where, _ = where.CompileColumns(q.Where)
	for name, condition := range map[string]any{"id": q.ID, createdAt: q.CreatedAt, updatedAt: q.UpdatedAt} {
		if condition == nil {
			continue
		}
		if field, err := where.CompileRows(M{name: condition}); err == nil {
			if m.fields == nil {
				m.fields = map[string]*where.Rows{}
			}
			m.fields[name] = field
		}
	}
	if len(q.Attributes) > 0 {
		m.attributes = make(map[string]bool, len(q.Attributes))
		for _, name := range q.Attributes {
			m.attributes[strings.TrimPrefix(name, "data.")] = true
		}
	}
	return m
}

// keep reports whether a row may be one that was asked for.
func (m *matching) keep(e *datasource.Entry) bool {
	if e.DeletedAt != nil || m.id != 0 && e.ID != m.id {
		return false
	}
	row := where.Row{ID: e.ID, CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt}
	for name, field := range m.fields {
		switch {
		case name == createdAt && e.CreatedAt.IsZero(), name == updatedAt && e.UpdatedAt.IsZero(): // the answer left it out
		case !field.Match(&row):
			return false
		}
	}
	return e.Err != nil || !m.where.Contradicts(e.Data)
}

// project leaves only the columns that were asked for.
func (m *matching) project(rows []datasource.Entry) {
	if m.attributes == nil {
		return
	}
	for i := range rows {
		for name := range rows[i].Data {
			if !m.attributes[name] {
				delete(rows[i].Data, name)
			}
		}
	}
}

// Need adds to the attributes of a query, if it has any, the columns with which its answer
// can be checked, and others.
func Need(q *datasource.Query, others ...string) {
	if len(q.Attributes) == 0 {
		return
	}
	names := slices.Clone(q.Attributes)
	if w, err := where.CompileColumns(q.Where); err == nil {
		others = append(others, w.Names()...)
	}
	for _, o := range q.Order {
		if name, ok := strings.CutPrefix(o.Column, "data."); ok {
			name, _, _ = strings.Cut(name, ".")
			others = append(others, name)
		}
	}
	if q.Distinct != "" {
		others = append(others, q.Distinct)
	}
	for _, name := range others {
		if name != "" && !slices.Contains(names, name) && !slices.Contains(names, "data."+name) {
			names = append(names, name)
		}
	}
	q.Attributes = names
}

// Shaped reports whether the server makes other rows of those that match, so that the
// limit and offset are for it alone.
func Shaped(q *datasource.Query) bool {
	return q.Distinct != "" || q.Join != nil || q.Aggregate != nil
}
