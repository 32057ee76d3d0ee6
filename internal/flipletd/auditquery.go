package flipletd

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// How many lines an answer has. [documented]
const (
	logDefaultLimit = 50
	logMaxLimit     = 500
)

// logQuery is what the audit log is asked for.
type logQuery struct {
	types            []string // nil is all
	appID, sessionID int64    // 0 is any
	from, to         time.Time
	sort             string
	descending       bool
	limit, offset    int
	csv, paginated   bool
	fields           []logField
}

// organizationLogs serves the audit log.
func (c *call) organizationLogs() error {
	if err := c.governed(); err != nil {
		return err
	}
	q, err := c.logQuery()
	if err != nil {
		return err
	}
	c.st.mu.RLock()
	defer c.st.mu.RUnlock()
	found := q.sorted(c.logged(q))
	page := found[min(q.offset, len(found)):]
	page = page[:min(q.limit, len(page))]
	if q.csv {
		return c.logsAsCSV(q, page)
	}
	return c.logsAsJSON(q, page, len(found))
}

// logged finds the lines that match, the oldest first.
func (c *call) logged(q *logQuery) []*change {
	seen := time.Now().Add(-max(c.fx.LogLag, c.fx.Lag)).UnixNano()
	var found []*change
	c.st.audit.each(func(e *change) {
		switch {
		case e.seen > seen, e.orgID != c.cred.orgID,
			q.types != nil && !slices.Contains(q.types, e.kind.String()),
			q.appID != 0 && e.appID != q.appID,
			q.sessionID != 0 && (e.by == nil || e.by.id != q.sessionID),
			!q.from.IsZero() && e.time().Before(q.from), !q.to.IsZero() && e.time().After(q.to),
			c.fx.LogWithoutChats && e.chat && e.ofRows(),
			c.fx.LogWithoutRows && e.batch:
			return
		}
		found = append(found, e)
	})
	return found
}

// sorted sorts by the column that was asked for. Lines that are equal in it are in the
// order in which they were written, or in the reverse of it.
func (q *logQuery) sorted(lines []*change) []*change {
	slices.SortFunc(lines, func(a, b *change) int {
		by := 0
		switch q.sort {
		case "createdAt":
			by = cmp.Compare(a.at, b.at)
		case "type":
			by = strings.Compare(a.kind.String(), b.kind.String())
		}
		return cmp.Or(by, cmp.Compare(a.id, b.id))
	})
	if q.descending {
		slices.Reverse(lines)
	}
	return lines
}

// logQuery reads the parameters: of a GET from the query string, where lists are separated
// by commas, of a POST from the body, too.
func (c *call) logQuery() (*logQuery, error) {
	fields := map[string]any{}
	if c.req.Method == http.MethodPost {
		var err error
		if fields, err = c.object(); err != nil {
			return nil, err
		}
	}
	get := func(name string) any {
		v, sent := fields[name]
		if !sent {
			values := append(slices.Clone(c.query[name]), c.query[name+"[]"]...)
			if v = strings.Join(values, ","); len(values) == 0 {
				return nil
			}
		}
		if v == "" {
			return nil
		}
		return v
	}
	q := &logQuery{paginated: truthy(get("includePagination"))}
	for _, name := range []string{"where", "userType"} {
		// Only Fliplet's own page about logs sends them. An answer that leaves them out
		// of account would be taken for what was asked.
		v := get(name)
		if list, ok := v.([]any); v != nil && (!ok || len(list) > 0) {
			return nil, badRequest("%s is not known here: ask by type, appId, sessionId, startDate and endDate.", name)
		}
	}
	var err error
	if q.types, err = listOf("type", get("type")); err != nil {
		return nil, err
	}
	if q.appID, err = logID("appId", get("appId")); err != nil {
		return nil, err
	}
	if q.sessionID, err = logID("sessionId", get("sessionId")); err != nil {
		return nil, err
	}
	if q.from, err = logDate("startDate", get("startDate")); err != nil {
		return nil, err
	}
	if q.to, err = logDate("endDate", get("endDate")); err != nil {
		return nil, err
	}
	q.sort, err = oneOf("sort", get("sort"), "createdAt", "id", "type")
	if err != nil {
		return nil, err
	}
	direction := get("order")
	if s, ok := direction.(string); ok {
		direction = strings.ToUpper(s)
	}
	if direction, err = oneOf("order", direction, "DESC", "ASC"); err != nil {
		return nil, err
	}
	q.descending = direction == "DESC"
	format, err := oneOf("format", get("format"), "json", "csv")
	if err != nil {
		return nil, err
	}
	q.csv = format == "csv"
	if q.limit, err = logLimit(get("limit")); err != nil {
		return nil, err
	}
	if q.offset, _, err = size("offset", get("offset")); err != nil {
		return nil, err
	}
	names, err := listOf("fields", get("fields"))
	if err != nil {
		return nil, err
	}
	q.fields, err = logFieldsNamed(names)
	return q, err
}

// logLimit is 50 unless another is given, and 500 for a larger one: Fliplet's own page
// about logs asks for 100,000.
func logLimit(v any) (int, error) {
	n, given, err := size("limit", v)
	switch {
	case err != nil:
		return 0, err
	case !given:
		return logDefaultLimit, nil
	case n == 0:
		return 0, badRequest("limit must be from 1 to %d.", logMaxLimit)
	}
	return min(n, logMaxLimit), nil
}

// listOf reads a text or a list of texts; commas separate texts, too. None is nil.
func listOf(name string, v any) ([]string, error) {
	var texts []any
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		texts = []any{v}
	case []any:
		texts = v
	default:
		return nil, badRequest("%s must be a text or a list of texts.", name)
	}
	var list []string
	for _, e := range texts {
		s, ok := e.(string)
		if !ok {
			return nil, badRequest("%s must hold texts.", name)
		}
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
	}
	return list, nil
}

// oneOf reads one of some texts; the first stands for none.
func oneOf(name string, v any, choices ...string) (string, error) {
	if v == nil {
		return choices[0], nil
	}
	if s, ok := v.(string); ok && slices.Contains(choices, s) {
		return s, nil
	}
	return "", badRequest("%s must be one of %s.", name, strings.Join(choices, ", "))
}

// logID reads an id; 0 if there is none.
func logID(name string, v any) (int64, error) {
	if v == nil {
		return 0, nil
	}
	n, ok := wholeNumber(v)
	if !ok || n <= 0 {
		return 0, badRequest("%s must be an id.", name)
	}
	return n, nil
}

// logDate reads a date, the zero time if there is none: ISO 8601, with a space instead of the T as the documentation
// writes it, and in UTC when it has no zone.
func logDate(name string, v any) (time.Time, error) {
	if v == nil {
		return time.Time{}, nil
	}
	s, ok := v.(string)
	if ok {
		for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
			if t, err := time.Parse(form, s); err == nil && t.UTC().Year() <= 9999 {
				return t.UTC(), nil
			}
		}
	}
	return time.Time{}, badRequest("%s must be a date such as 2026-01-31T12:00:00.000Z.", name)
}
