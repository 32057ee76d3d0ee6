package chat

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// This file asks the cross-source endpoint.

// across makes one request for a page, and returns the rows as they came.
func (r rowSource) across(ctx context.Context, s *session, w want) ([]datasource.Entry, error) {
	cross := wire.Cross{Conversations: w.conversations, Limit: w.limit, IncludeDeleted: w.tombstones}
	direction := string(datasource.Asc)
	if w.newest {
		direction = string(datasource.Desc)
	}
	cross.Order = [][2]string{{w.column, direction}, {"id", direction}}
	var and []any
	if len(w.where) > 0 {
		and = append(and, w.where)
	}
	if w.unreadBy != "" {
		and = append(and, wire.UnreadBy(w.unreadBy))
	}
	if !w.unbounded() {
		and = append(and, keyset(w))
	}
	if w.updatedTo != 0 {
		and = append(and, M{updatedAt: M{"$lte": stamp(w.updatedTo)}})
	}
	if w.createdTo != 0 {
		and = append(and, M{createdAt: M{"$lte": stamp(w.createdTo)}})
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

// keyset is the condition for rows behind a key.
func keyset(w want) M {
	t, beyond := stamp(w.after.Time), "$gt"
	if w.newest {
		beyond = "$lt"
	}
	switch {
	case !w.newest && w.after.WholeInstant():
		return M{w.column: M{"$gt": t}}
	case !w.newest && w.after.ID == 0:
		return M{w.column: M{"$gte": t}}
	}
	return M{"$or": []any{M{w.column: M{beyond: t}}, M{w.column: t, "id": M{beyond: w.after.ID}}}}
}

// fetchAcross is fetch through the cross-source endpoint. Where a full page cannot
// be relied on it asks for a wider one, which eventually holds everything.
func (r rowSource) fetchAcross(ctx context.Context, s *session, w want) (rowPage, error) {
	for {
		rows, err := r.across(ctx, s, w)
		if err != nil {
			return rowPage{}, err
		}
		full := len(rows) >= w.limit
		rows, sound := w.window(rows)
		if !full || sound {
			return w.fitting(rows, full), nil
		}
		w.limit *= 2
	}
}

// orderedAcross reads one page in an order of the caller's.
func (r rowSource) orderedAcross(ctx context.Context, s *session, w want, order []datasource.Order) ([]datasource.Entry, error) {
	cross := wire.Cross{Where: w.where, Conversations: w.conversations, Limit: w.limit}
	for _, o := range order {
		cross.Order = append(cross.Order, [2]string{o.Column, cmp.Or(string(o.Direction), string(datasource.Asc))})
	}
	for {
		rows, err := r.query(ctx, s, cross)
		if err != nil {
			return nil, err
		}
		full := len(rows) >= cross.Limit
		sound := inOrder(rows, order)
		rows = unique(rows)
		rows = slices.DeleteFunc(rows, func(e datasource.Entry) bool { return !w.fits(&e) })
		if !full || sound && len(rows) >= w.limit {
			if !sound {
				sortEntries(rows, order)
			}
			return rows, nil
		}
		cross.Limit *= 2
	}
}

// countAcross counts the unread rows. list: the server answered with rows instead,
// perhaps a page of them.
func (r rowSource) countAcross(ctx context.Context, s *session) (n int, list bool, err error) {
	var raw json.RawMessage
	err = r.chat.authorized(ctx, s, func(token string) error {
		body, err := wire.Cross{Token: token, Where: wire.UnreadBy(s.userID), Count: true}.Body()
		if err != nil {
			return err
		}
		raw, err = r.chat.client.CountAcross(ctx, body)
		return err
	})
	if err != nil {
		return 0, false, err
	}
	return wire.ParseCount(raw)
}

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
	for i := range rows {
		if rows[i].DataSourceID == 0 { // the row may say it itself
			rows[i].DataSourceID = wire.Int(rows[i].Data[wire.Conversation])
		}
	}
	return rows, err
}

// inOrder reports whether rows are sorted as far as can be told here: how columns
// of the data are sorted is the server's business.
func inOrder(rows []datasource.Entry, order []datasource.Order) bool {
	if slices.ContainsFunc(order, func(o datasource.Order) bool { return fieldOf(o.Column) == nil }) {
		return true
	}
	return slices.IsSortedFunc(rows, func(a, b datasource.Entry) int { return byOrder(&a, &b, order) })
}

// fieldOf compares rows by a field of theirs; nil for columns of the data.
func fieldOf(column string) func(a, b *datasource.Entry) int {
	switch column {
	case "id":
		return func(a, b *datasource.Entry) int { return cmp.Compare(a.ID, b.ID) }
	case "dataSourceId":
		return func(a, b *datasource.Entry) int { return cmp.Compare(a.DataSourceID, b.DataSourceID) }
	case createdAt:
		return func(a, b *datasource.Entry) int { return a.CreatedAt.Compare(b.CreatedAt) }
	case updatedAt:
		return func(a, b *datasource.Entry) int { return a.UpdatedAt.Compare(b.UpdatedAt) }
	case "order": // rows without one are last
		return func(a, b *datasource.Entry) int {
			if a.Order == nil || b.Order == nil {
				return cmp.Compare(bit(a.Order == nil), bit(b.Order == nil))
			}
			return cmp.Compare(*a.Order, *b.Order)
		}
	}
	return nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// byOrder compares by several columns.
func byOrder(a, b *datasource.Entry, order []datasource.Order) int {
	for _, o := range order {
		compare := fieldOf(o.Column)
		if compare == nil {
			compare = func(a, b *datasource.Entry) int {
				return wire.CompareColumns(wire.Column(a.Data, o.Column), wire.Column(b.Data, o.Column))
			}
		}
		n := compare(a, b)
		if descending(o.Direction) {
			n = -n
		}
		if n != 0 {
			return n
		}
	}
	return 0
}

// sortEntries sorts rows of several conversations.
func sortEntries(rows []datasource.Entry, order []datasource.Order) {
	slices.SortStableFunc(rows, func(a, b datasource.Entry) int { return byOrder(&a, &b, order) })
}
