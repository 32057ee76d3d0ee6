package wire

import (
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// This file knows the audit log of an organisation. The call, its parameters and its fields are
// documented. That an entry names the data source of a row, that startDate is inclusive, and
// what a change of many rows is logged as, is inferred; whether the rows of chats are in it, and
// how late, is open.

// AuditPage is the most entries of an answer.
const AuditPage = 500

// auditTypes are the changes that rows and data sources may have.
const auditTypes = "dataSource.entry.create,dataSource.entry.update,dataSource.entry.delete," +
	"dataSource.create,dataSource.update,dataSource.remove,dataSource.restore,dataSource.delete," +
	"dataSource.commit,dataSource.import,dataSource.rollback"

// AuditPath is where the log of an organisation is.
func AuditPath(organization int64) string {
	return "v1/organizations/" + strconv.FormatInt(organization, 10) + "/logs"
}

// AuditQuery asks for the entries from a time on, the oldest first.
func AuditQuery(since time.Time, limit, offset int) url.Values {
	q := url.Values{
		"type": {auditTypes}, "fields": {"id,type,createdAt,dataSourceId"}, "startDate": {Timestamp(since)},
		"sort": {"createdAt"}, "order": {"ASC"}, "limit": {strconv.Itoa(limit)},
	}
	if offset > 0 {
		q.Set("offset", strconv.Itoa(offset))
	}
	return q
}

// AuditEntry says that something has changed in a data source.
type AuditEntry struct {
	ID, DataSource int64
	At             time.Time // zero: it does not say
	Deleted        bool      // rows may have been deleted
}

// ErrAudit: an answer is no audit log.
var ErrAudit = errors.New("the answer has no list of logs")

// ParseAudit reads an answer. lines is how many entries it has, with those that are of no use:
// of other types, or without an id or a data source.
func ParseAudit(answer json.RawMessage) (entries []AuditEntry, lines int, err error) {
	var list struct {
		Logs *[]json.RawMessage `json:"logs"`
	}
	if json.Unmarshal(answer, &list) != nil || list.Logs == nil {
		return nil, 0, ErrAudit
	}
	for _, raw := range *list.Logs {
		var line struct {
			ID           any `json:"id"`
			Type         any `json:"type"`
			CreatedAt    any `json:"createdAt"`
			DataSourceID any `json:"dataSourceId"`
		}
		if json.Unmarshal(raw, &line) != nil {
			continue
		}
		kind, _ := line.Type.(string)
		what, ours := strings.CutPrefix(kind, "dataSource.")
		e := AuditEntry{ID: idOf(line.ID), DataSource: idOf(line.DataSourceID)}
		if !ours || e.ID <= 0 || e.DataSource <= 0 {
			continue
		}
		if text, ok := line.CreatedAt.(string); ok {
			e.At, _ = time.Parse(time.RFC3339, text)
		}
		switch what {
		case "entry.delete", "commit", "import", "rollback":
			e.Deleted = true
		}
		entries = append(entries, e)
	}
	return entries, len(*list.Logs), nil
}

// idOf is an id that may have come as a text; 0 if it is none.
func idOf(v any) int64 {
	switch v := v.(type) {
	case float64:
		if v == float64(int64(v)) && v > 0 && v < 1<<53 {
			return int64(v)
		}
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return max(n, 0)
		}
	}
	return 0
}

// OrganizationsPath lists the organisations that a token sees.
const OrganizationsPath = "v1/organizations"

// ParseOrganization is the one organisation of a list; 0 if there is none, or another one, too.
func ParseOrganization(answer json.RawMessage) (id int64) {
	var list struct {
		Organizations []struct {
			ID any `json:"id"`
		} `json:"organizations"`
	}
	if json.Unmarshal(answer, &list) != nil || len(list.Organizations) != 1 {
		return 0
	}
	return idOf(list.Organizations[0].ID)
}
