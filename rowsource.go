package chat

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// rowSource reads rows of all the user's conversations at once, through the
// cross-source endpoint.
type rowSource struct{ chat *Chat }

func newRowSource(c *Chat) rowSource { return rowSource{c} }

// search is what [Chat.Messages] asks for.
type search struct {
	where         M
	conversations []int64
	order         []datasource.Order
	limit, offset int
}

// latest returns live rows, the newest first unless an order is given.
func (r rowSource) latest(ctx context.Context, s *session, q search) ([]datasource.Entry, error) {
	cross := wire.Cross{
		Where: q.where, Conversations: q.conversations, Limit: q.limit, Offset: q.offset,
		Order: [][2]string{{"createdAt", "DESC"}, {"id", "DESC"}},
	}
	if len(q.order) > 0 {
		cross.Order = nil
		for _, o := range q.order {
			cross.Order = append(cross.Order, [2]string{o.Column, cmp.Or(string(o.Direction), string(datasource.Asc))})
		}
	}
	rows, err := r.query(ctx, s, cross)
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(e datasource.Entry) bool {
		return deleted(e) || len(q.conversations) > 0 && !slices.Contains(q.conversations, e.DataSourceID)
	})
	if len(q.order) == 0 {
		slices.SortStableFunc(rows, newestFirst)
	} else {
		sortRows(rows, q.order)
	}
	return rows[:min(len(rows), q.limit)], nil
}

func newestFirst(a, b datasource.Entry) int {
	return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
}

// unread returns every unread row, oldest first, page by page.
func (r rowSource) unread(ctx context.Context, s *session) ([]datasource.Entry, error) {
	var out []datasource.Entry
	seen := map[int64]bool{}
	after := feed.Query{Kind: feed.Created, Limit: batchSize}
	for first := true; ; first = false {
		cross := wire.Cross{
			Where: wire.UnreadBy(s.userID), Limit: after.Limit,
			Order: [][2]string{{"createdAt", "ASC"}, {"id", "ASC"}},
		}
		if !first {
			cross.Where = M{"$and": []any{cross.Where, keyset("createdAt", after.After)}}
		}
		rows, err := r.query(ctx, s, cross)
		if err != nil {
			return nil, err
		}
		fresh := 0
		for i := range rows {
			e := rows[i]
			after.After = later(after.After, feed.Key{Time: micros(e.CreatedAt), ID: e.ID})
			if !seen[e.ID] {
				seen[e.ID] = true
				fresh++
				if !deleted(e) && !slices.Contains(wire.Strings(e.Data[wire.ReadBy]), s.userID) {
					out = append(out, e)
				}
			}
		}
		if len(rows) < after.Limit || fresh == 0 {
			slices.SortStableFunc(out, func(a, b datasource.Entry) int { return newestFirst(b, a) })
			return out, nil
		}
	}
}

func later(a, b feed.Key) feed.Key {
	if a.Compare(b) >= 0 {
		return a
	}
	return b
}

// countUnread counts them on the server.
func (r rowSource) countUnread(ctx context.Context, s *session) (int, error) {
	var raw json.RawMessage
	err := r.chat.authorized(ctx, s, func(token string) error {
		body, err := wire.Cross{Token: token, Where: wire.UnreadBy(s.userID), Count: true}.Body()
		if err != nil {
			return err
		}
		raw, err = r.chat.client.CountAcross(ctx, body)
		return err
	})
	if err != nil {
		return 0, err
	}
	n, list, err := wire.ParseCount(raw)
	if err != nil {
		return 0, err
	}
	if list && n >= batchSize {
		// A server that answers with rows may have cut the list at a page.
		rows, err := r.unread(ctx, s)
		return len(rows), err
	}
	return n, nil
}

// page answers a query of the receive engine.
func (r rowSource) page(ctx context.Context, s *session, q feed.Query) ([]datasource.Entry, error) {
	cross := wire.Cross{Limit: q.Limit}
	var and []any
	switch q.Kind {
	case feed.Newest:
		cross.Order = [][2]string{{"createdAt", "DESC"}, {"id", "DESC"}}
		if q.Conversation != 0 {
			cross.Conversations = []int64{q.Conversation}
		}
		if q.Before != (feed.Key{}) {
			t := stamp(q.Before.Time)
			and = append(and, M{"$or": []any{M{"createdAt": M{"$lt": t}}, M{"createdAt": t, "id": M{"$lt": q.Before.ID}}}})
		}
	case feed.Created:
		cross.Order = [][2]string{{"createdAt", "ASC"}, {"id", "ASC"}}
		and = appendKeyset(and, "createdAt", q.After)
	case feed.Changes:
		cross.Order = [][2]string{{"updatedAt", "ASC"}, {"id", "ASC"}}
		cross.IncludeDeleted = true
		and = appendKeyset(and, "updatedAt", q.After)
		if q.UpdatedTo != 0 {
			and = append(and, M{"updatedAt": M{"$lte": stamp(q.UpdatedTo)}})
		}
		if q.CreatedTo != 0 {
			and = append(and, M{"createdAt": M{"$lte": stamp(q.CreatedTo)}})
		}
	case feed.Latest:
		cross.Order = [][2]string{{"updatedAt", "DESC"}, {"id", "DESC"}}
		cross.IncludeDeleted = true
	}
	switch len(and) {
	case 0:
	case 1:
		cross.Where = and[0]
	default:
		cross.Where = M{"$and": and}
	}
	return r.query(ctx, s, cross)
}

// appendKeyset adds the condition for rows behind a key, if there is one.
func appendKeyset(and []any, column string, k feed.Key) []any {
	if k.FromStart() {
		return and
	}
	return append(and, keyset(column, k))
}

func keyset(column string, k feed.Key) M {
	t := stamp(k.Time)
	switch {
	case k.WholeInstant():
		return M{column: M{"$gt": t}}
	case k.ID == 0:
		return M{column: M{"$gte": t}}
	}
	return M{"$or": []any{M{column: M{"$gt": t}}, M{column: t, "id": M{"$gt": k.ID}}}}
}

func stamp(t feed.Time) string { return wire.Timestamp(time.UnixMicro(int64(t))) }

func micros(t time.Time) feed.Time { return feed.Time(t.UnixMicro()) }

func (r rowSource) query(ctx context.Context, s *session, cross wire.Cross) ([]datasource.Entry, error) {
	var rows []datasource.Entry
	err := r.chat.authorized(ctx, s, func(token string) error {
		cross.Token = token
		body, err := cross.Body()
		if err != nil {
			return invalid("%v", err)
		}
		rows, err = r.chat.client.FindAcross(ctx, body, nil)
		return err
	})
	return rows, err
}
