package flipletd

import (
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// logField is a field of a line.
type logField struct {
	name  string
	extra bool // shown only when it is asked for
	value func(c *call, e *change) any
}

// logFields are the documented fields, and those that Fliplet's own page about logs asks
// for beside them.
var logFields = []logField{
	{"id", false, func(_ *call, e *change) any { return e.id }},
	{"type", false, func(_ *call, e *change) any { return e.kind.String() }},
	{"data", false, func(c *call, e *change) any { return logData(e, c.logEmail(e)) }},
	{"requestId", false, func(c *call, e *change) any { return requestID(c.srv.levers.seed, e.request) }},
	{"createdAt", false, func(_ *call, e *change) any { return timeText(e.time()) }},
	{"updatedAt", false, func(_ *call, e *change) any { return timeText(e.time()) }},
	{"sessionId", false, func(_ *call, e *change) any { return e.whose((*credential).number) }},
	{"userId", false, func(_ *call, e *change) any { return e.whose((*credential).userNumber) }},
	{"appId", false, func(_ *call, e *change) any { return nullable(e.appID) }},
	{"dataSourceId", false, func(_ *call, e *change) any { return nullable(e.sourceID) }},
	{"dataSourceEntryId", false, func(_ *call, e *change) any { return nullable(e.entryID) }},
	{"organizationId", false, func(_ *call, e *change) any { return nullable(e.orgID) }},
	{"appNotificationId", false, func(*call, *change) any { return nil }},
	{"dataString", true, func(c *call, e *change) any { return string(appendValue(nil, logData(e, c.logEmail(e)))) }},
	{"typeDescription", true, func(_ *call, e *change) any { return logTypes[e.kind].description }},
	{"app.name", true, func(c *call, e *change) any {
		if a := c.srv.people.app(e.appID); a != nil {
			return a.name
		}
		return nil
	}},
	{"user.email", true, func(c *call, e *change) any { return c.logEmail(e) }},
	{"user.type", true, func(_ *call, e *change) any {
		switch {
		case e.by == nil:
			return nil
		case e.by.kind == UserToken:
			return "studio"
		}
		return "app"
	}},
}

// whose is a number of who made the change, null for the test kit.
func (e *change) whose(number func(*credential) int64) any {
	if e.by == nil {
		return nil
	}
	return number(e.by)
}

func (c *credential) number() int64 { return c.id }

// logEmail is the address of who made a change.
func (c *call) logEmail(e *change) any {
	if e.by == nil {
		return nil
	}
	if p := c.srv.people.person(e.by.userID); p != nil {
		return p.email
	}
	return e.by.email()
}

// logFieldsNamed picks fields, in the order of their names; no names are the documented ones.
func logFieldsNamed(names []string) ([]logField, error) {
	if names == nil {
		return slices.DeleteFunc(slices.Clone(logFields), func(f logField) bool { return f.extra }), nil
	}
	var picked []logField
	for _, name := range names {
		i := slices.IndexFunc(logFields, func(f logField) bool { return f.name == name })
		if i < 0 {
			return nil, badRequest("fields: there is no field %q.", name)
		}
		picked = append(picked, logFields[i])
	}
	return picked, nil
}

// line is a change as an object; a field "user.email" is the field email of an object user.
func (c *call) line(q *logQuery, e *change) map[string]any {
	line := make(map[string]any, len(q.fields))
	for _, f := range q.fields {
		outer, inner, nested := strings.Cut(f.name, ".")
		if !nested {
			line[f.name] = f.value(c, e)
			continue
		}
		object, _ := line[outer].(map[string]any)
		if object == nil {
			object = make(map[string]any)
			line[outer] = object
		}
		object[inner] = f.value(c, e)
	}
	return line
}

func (c *call) logsAsJSON(q *logQuery, page []*change, total int) error {
	lines := make([]any, len(page))
	for i, e := range page {
		lines[i] = c.line(q, e)
	}
	answer := map[string]any{"logs": lines, "query": q.echo()}
	if q.paginated {
		answer["totalCount"], answer["perPage"] = total, q.limit
		answer["pageNumber"], answer["pageCount"] = q.offset/q.limit, (total+q.limit-1)/q.limit
	}
	return c.value(http.StatusOK, answer)
}

// echo is "query": how the question was understood.
func (q *logQuery) echo() map[string]any {
	where := map[string]any{}
	switch len(q.types) {
	case 0:
	case 1:
		where["type"] = q.types[0]
	default:
		where["type"] = q.types
	}
	if q.appID != 0 {
		where["appId"] = q.appID
	}
	if q.sessionID != 0 {
		where["sessionId"] = q.sessionID
	}
	period := map[string]any{}
	if !q.from.IsZero() {
		period["$gte"] = timeText(q.from)
	}
	if !q.to.IsZero() {
		period["$lte"] = timeText(q.to)
	}
	if len(period) > 0 {
		where["createdAt"] = period
	}
	direction := "ASC"
	if q.descending {
		direction = "DESC"
	}
	return map[string]any{
		"where": where, "limit": q.limit, "offset": q.offset, "order": []any{[]string{q.sort, direction}},
	}
}

// logsAsCSV answers as RFC 4180 has it: a header, fields in quotes where they need them,
// lines that end with CRLF. Null is empty, and an object is its JSON.
func (c *call) logsAsCSV(q *logQuery, page []*change) error {
	w := &appender{c.out[:0]}
	table := csv.NewWriter(w)
	table.UseCRLF = true
	record := make([]string, len(q.fields))
	for i, f := range q.fields {
		record[i] = f.name
	}
	_ = table.Write(record) // an appender takes everything
	for _, e := range page {
		for i, f := range q.fields {
			record[i] = cell(f.value(c, e))
		}
		if len(record) == 1 && record[0] == "" { // else a blank line, which readers take for no record
			table.Flush()
			w.b = append(w.b, "\"\"\r\n"...)
			continue
		}
		_ = table.Write(record)
	}
	table.Flush()
	c.status, c.out = http.StatusOK, w.b
	c.contentType = "text/csv; charset=utf-8"
	c.header = http.Header{
		"Content-Disposition":    {`attachment; filename="logs.csv"`},
		"X-Content-Type-Options": {"nosniff"},
	}
	return nil
}

func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return string(appendValue(nil, v))
}

// appender is an io.Writer into an answer.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
