package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Cross is a query over the rows of all conversations of a user, sent to
// POST v1/data-sources/data.
//
// Known from a public client: the path, flUserToken, count, where with $not and
// $contains, and entries in the answer. Open: how the search is limited to some
// conversations (we filter by dataSourceId), the names of order and limit (as in
// data/query), and how deleted rows are asked for (includeDeleted, as in the
// Notifications API).
type Cross struct {
	Token string
	// Where is a condition over row fields, nil for none.
	Where any
	// Conversations limits the search; empty means all of the user.
	Conversations  []int64
	Order          [][2]string
	Limit, Offset  int
	IncludeDeleted bool
	Count          bool
}

// Body writes the request.
func (q Cross) Body() ([]byte, error) {
	body := M{"flUserToken": q.Token}
	where := q.Where
	if len(q.Conversations) > 0 {
		scope := M{"dataSourceId": M{"$in": q.Conversations}}
		if empty(where) {
			where = scope
		} else {
			where = M{"$and": []any{scope, where}}
		}
	}
	if !empty(where) {
		body["where"] = where
	}
	if len(q.Order) > 0 {
		body["order"] = q.Order
	}
	if q.Limit > 0 {
		body["limit"] = q.Limit
	}
	if q.Offset > 0 {
		body["offset"] = q.Offset
	}
	if q.IncludeDeleted {
		body["includeDeleted"] = true
	}
	if q.Count {
		body["count"] = true
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("where: %w", err)
	}
	return b, nil
}

func empty(where any) bool {
	m, ok := where.(M)
	return where == nil || ok && len(m) == 0
}

// UnreadBy is the condition for messages a user has not read (seen in a public
// client). Rows without readBy count as unread.
func UnreadBy(userID string) M {
	return M{"$not": M{"data": M{"$contains": M{ReadBy: []string{userID}}}}}
}

// ParseCount reads the answer to a count, whose shape is open: a number in count,
// a number in entries, or a list in entries. full says that the count came from a
// list, which a page limit may have cut.
func ParseCount(raw json.RawMessage) (n int, list bool, err error) {
	var answer struct {
		Count   json.RawMessage `json:"count"`
		Entries json.RawMessage `json:"entries"`
	}
	if json.Unmarshal(raw, &answer) == nil {
		for _, field := range []json.RawMessage{answer.Count, answer.Entries} {
			if n, ok := number(field); ok {
				return n, false, nil
			}
		}
		var entries []json.RawMessage
		if json.Unmarshal(answer.Entries, &entries) == nil && answer.Entries != nil {
			return len(entries), true, nil
		}
	}
	if n, ok := number(raw); ok {
		return n, false, nil
	}
	return 0, false, fmt.Errorf("the answer to the count has no number in it")
}

func number(raw json.RawMessage) (int, bool) {
	n, err := strconv.Atoi(string(bytes.Trim(bytes.TrimSpace(raw), `"`)))
	return n, err == nil && n >= 0
}

// Timestamp prints a time as the API does: UTC with milliseconds, and finer only
// when there is something finer to say.
func Timestamp(t time.Time) string {
	t = t.UTC()
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		return t.Format("2006-01-02T15:04:05.000000Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}
