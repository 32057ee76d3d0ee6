package chat

import (
	"encoding/json"
	"math"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// feedRows reads rows for the receive engine. A row without an id or conversation
// cannot be told from others and is left out; one without times takes its place
// from the row before.
func (c *Chat) feedRows(entries []datasource.Entry) []feed.Row {
	rows := make([]feed.Row, 0, len(entries))
	before := feed.Time(1)
	for i := range entries {
		e := &entries[i]
		if e.DataSourceID == 0 {
			e.DataSourceID = wire.Int(e.Data[wire.Conversation])
		}
		if e.ID <= 0 || e.DataSourceID <= 0 {
			c.log.Warn("a row without an id or conversation was left out", "id", e.ID, "conversation", e.DataSourceID)
			continue
		}
		r := feed.Row{
			ID: e.ID, Conversation: e.DataSourceID, Deleted: deleted(*e),
			Hash: hashObject(e.Data), Payload: e,
		}
		if e.UpdatedAt.IsZero() {
			e.UpdatedAt = e.CreatedAt
		}
		if e.UpdatedAt.IsZero() {
			r.Updated = before
		} else {
			r.Updated = micros(e.UpdatedAt)
		}
		if e.CreatedAt.IsZero() {
			r.Created = r.Updated
		} else {
			r.Created = micros(e.CreatedAt)
		}
		before = r.Updated
		if guid := wire.Text(e.Data[wire.GUID]); guid != "" {
			r.Origin = hashText(hashText(offset, wire.Text(e.Data[wire.From])), guid)
		}
		rows = append(rows, r)
	}
	return rows
}

// FNV-1a, 64 bits. Hashes tell versions with one timestamp apart and are kept in
// cursors, so they must not depend on the process.
const (
	offset uint64 = 14695981039346656037
	prime  uint64 = 1099511628211
)

func hashText(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	return (h ^ uint64(len(s))) * prime
}

// hashObject hashes an object whatever the order of its keys.
func hashObject(m M) uint64 {
	var sum uint64
	for k, v := range m {
		sum += hashValue(hashText(offset, k), v)
	}
	return sum
}

func hashValue(h uint64, v any) uint64 {
	switch v := v.(type) {
	case string:
		return hashText(h^1, v)
	case json.Number:
		return hashText(h^2, v.String())
	case bool:
		if v {
			return (h ^ 3) * prime
		}
		return (h ^ 4) * prime
	case []any:
		h = (h ^ 5) * prime
		for _, e := range v {
			h = hashValue(h, e)
		}
		return h
	case map[string]any:
		return (h ^ 6 ^ hashObject(v)) * prime
	case float64:
		return (h ^ 7 ^ math.Float64bits(v)) * prime
	}
	return (h ^ 8) * prime
}
