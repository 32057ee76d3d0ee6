package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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
	// Conversations limits the search; empty means all of the user's.
	Conversations  []int64
	Order          [][2]string
	Limit, Offset  int
	IncludeDeleted bool
	Count          bool
}

// Body returns the body of the request. It avoids reflection, since every user's poll
// sends one every few seconds.
func (q Cross) Body() ([]byte, error) {
	where := q.Where
	if len(q.Conversations) > 0 {
		scope := M{"dataSourceId": M{"$in": q.Conversations}}
		if empty(where) {
			where = scope
		} else {
			where = M{"$and": []any{scope, where}}
		}
	}
	b := make([]byte, 0, 512)
	b = append(b, `{"flUserToken":`...)
	b = appendText(b, q.Token)
	if !empty(where) {
		var err error
		if b, err = appendJSON(append(b, `,"where":`...), where); err != nil {
			return nil, fmt.Errorf("where: %w", err)
		}
	}
	for i, o := range q.Order {
		b = append(b, []string{`,"order":[[`, `,[`}[min(i, 1)]...)
		b = append(appendText(append(appendText(b, o[0]), ','), o[1]), ']')
		if i == len(q.Order)-1 {
			b = append(b, ']')
		}
	}
	if q.Limit > 0 {
		b = strconv.AppendInt(append(b, `,"limit":`...), int64(q.Limit), 10)
	}
	if q.Offset > 0 {
		b = strconv.AppendInt(append(b, `,"offset":`...), int64(q.Offset), 10)
	}
	if q.IncludeDeleted {
		b = append(b, `,"includeDeleted":true`...)
	}
	if q.Count {
		b = append(b, `,"count":true`...)
	}
	return append(b, '}'), nil
}

// Raw is a condition, or part of one, that is JSON already.
type Raw []byte

// appendJSON is json.Marshal without reflection for the common types in conditions.
func appendJSON(b []byte, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case M:
		b = append(b, '{')
		var few [4]string // most conditions have one or two keys
		keys := slices.AppendSeq(few[:0], maps.Keys(v))
		slices.Sort(keys)
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(append(appendText(b, k), ':'), v[k]); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, e); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case Raw:
		return append(b, v...), nil
	case string:
		return appendText(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	}
	raw, err := json.Marshal(v)
	return append(b, raw...), err
}

func appendText(b []byte, text string) []byte {
	if plain(text) {
		return append(append(append(b, '"'), text...), '"')
	}
	raw, _ := json.Marshal(text) // a string can always be written
	return append(b, raw...)
}

// plain reports whether text needs no escaping.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

func empty(where any) bool {
	m, ok := where.(M)
	return where == nil || ok && len(m) == 0
}

// UnreadBy is the condition for messages a user has not read, as a public client
// sends it. Rows without readBy count as unread.
func UnreadBy(userID string) M {
	return M{"$not": M{"data": M{"$contains": M{ReadBy: []string{userID}}}}}
}

// ParseCount reads the answer to a count. Its shape is not known: a number in count, a
// number in entries, or a list in entries. list: the count is that of a list, which a
// page limit may have cut.
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

// Timestamp formats a time as the API does: UTC with milliseconds, and with more
// digits only if the time has them.
func Timestamp(t time.Time) string {
	t = t.UTC()
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		return t.Format("2006-01-02T15:04:05.000000Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

// UnreadByColumn is UnreadBy as a condition over columns: no element of the list
// equals the user. In Fliplet's sift rows without a list match, too.
func UnreadByColumn(userID string) M { return M{ReadBy: M{"$ne": userID}} }
