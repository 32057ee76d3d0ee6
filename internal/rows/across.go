package rows

import (
	"cmp"
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// across makes one request for a page, and returns the rows as they came.
func (s *Source) across(ctx context.Context, w want) (unchecked, error) {
	return s.acrossFrom(ctx, w, 0)
}

func (s *Source) acrossFrom(ctx context.Context, w want, offset int) (unchecked, error) {
	cross := wire.Cross{Conversations: w.conversations, Limit: w.limit, Offset: offset, IncludeDeleted: w.deletions}
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
	return s.ask(ctx, cross, w.clock, w.room.take())
}

// keyset is the condition for rows after a key. It is written as text, since each poll
// has one and a tree of maps costs more than the rest of the request.
func keyset(w want) wire.Raw {
	t, beyond := stamp(w.after.Time), "$gt"
	if w.newest {
		beyond = "$lt"
	}
	instant := !w.newest && w.after.WholeInstant()
	if !instant && !w.newest && w.after.ID == 0 {
		beyond, instant = "$gte", true
	}
	b := make([]byte, 0, 192) // the words are plain text
	if !instant || w.beyond != 0 {
		b = append(b, `{"$or":[`...)
	}
	b = append(append(append(b, `{"`...), w.column...), `":{"`...)
	b = append(append(append(append(b, beyond...), `":"`...), t...), `"}}`...)
	if !instant {
		b = append(append(append(b, `,{"`...), w.column...), `":"`...)
		b = append(append(append(append(b, t...), `","id":{"`...), beyond...), `":`...)
		b = append(strconv.AppendInt(b, w.after.ID, 10), `}}`...)
	}
	if w.beyond != 0 {
		b = append(strconv.AppendInt(append(b, `,{"id":{"$gt":`...), w.beyond, 10), '}')
		if w.from != (feed.Key{}) {
			b = append(append(append(b, `,"$and":[`...), keyset(want{column: w.column, after: w.from})...), ']')
		}
		b = append(b, '}')
	}
	if !instant || w.beyond != 0 {
		b = append(b, `]}`...)
	}
	return b
}

// fetchAcross is fetch through the cross-source endpoint.
func (s *Source) fetchAcross(ctx context.Context, w want) (Page, error) {
	u, more, err := s.windowAcross(ctx, w)
	if err != nil {
		return Page{}, err
	}
	page := Page{Next: w.end(u.rows), More: more}
	page.Rows, err = s.own(ctx, &w, u)
	return page, err
}

// windowAcross reads the rows within the bounds, sorted. If a full page is not reliable
// it asks for a larger one, which in the end holds everything.
func (s *Source) windowAcross(ctx context.Context, w want) (u unchecked, more bool, err error) {
	for {
		u, more, err := s.part(ctx, w)
		if err != nil {
			return unchecked{}, false, err
		}
		full := len(u.rows) >= w.limit
		if more && !identified(u.rows) {
			return unchecked{}, false, errNoIDs
		}
		if !full && w.strange(u.rows) {
			u.rows, more, err = w.readOn(u.rows, func(offset int) ([]datasource.Entry, error) {
				u, err := s.acrossFrom(ctx, w, offset)
				return u.rows, err
			})
			return u, more, err
		}
		if more && !full {
			if more, err = s.goesOn(ctx, w, u.rows); err != nil {
				return unchecked{}, false, err
			}
		}
		var sound bool
		if u.rows, sound = w.window(u.rows); !full || sound {
			return u, more, nil
		}
		w.limit *= 2
	}
}

// orderedAcross reads one page in the caller's order. If a full page is not reliable,
// or has rows that do not match, it asks for a larger one.
func (s *Source) orderedAcross(ctx context.Context, w want, order []datasource.Order) ([]datasource.Entry, error) {
	cross := wire.Cross{Where: w.where, Conversations: w.conversations, Limit: w.limit}
	for _, o := range order {
		cross.Order = append(cross.Order, [2]string{o.Column, cmp.Or(string(o.Direction), string(datasource.Asc))})
	}
	for {
		u, err := s.ask(ctx, cross, nil, nil)
		if tooLarge(err) {
			return s.first(ctx, w, order)
		}
		if err != nil {
			return nil, err
		}
		full := len(u.rows) >= cross.Limit
		if !full && w.strange(u.rows) {
			return s.first(ctx, w, order)
		}
		if !full && u.more { // in this order there is no position to go on from
			behind := cross
			behind.Offset = len(u.rows)
			rest, err := s.ask(ctx, behind, nil, nil)
			if tooLarge(err) || err == nil && unseen(u.rows, rest.rows) {
				return s.first(ctx, w, order)
			}
			if err != nil {
				return nil, err
			}
		}
		kept := Arrange(u.rows, order)
		u.rows = unique(u.rows)
		rows, err := s.own(ctx, &w, u)
		if err != nil {
			return nil, err
		}
		if !full || kept && len(rows) >= w.limit {
			return rows, nil
		}
		cross.Limit *= 2
	}
}

// countAcross counts the unread rows. list: the server answered with rows, perhaps
// with one page only.
func (s *Source) countAcross(ctx context.Context) (n int, list bool, err error) {
	var raw json.RawMessage
	err = s.Authorized(ctx, func(token string) error {
		body, err := wire.Cross{Token: token, Where: wire.UnreadBy(s.UserID), Count: true}.Body()
		if err != nil {
			return err
		}
		raw, err = s.Client.CountAcross(ctx, body)
		return err
	})
	if tooLarge(err) {
		return 0, true, nil // more than a number
	}
	if err != nil {
		return 0, false, err
	}
	return wire.ParseCount(raw)
}

// ask makes one request to the cross-source endpoint, whose rows are appended to into.
func (s *Source) ask(ctx context.Context, cross wire.Cross, at *clock, into []datasource.Entry) (unchecked, error) {
	var u unchecked
	err := s.Authorized(ctx, func(token string) error {
		cross.Token = token
		body, err := cross.Body()
		if err != nil {
			return &ConditionError{err}
		}
		sent := time.Now()
		answer, err := s.Client.SelectAcross(ctx, body, into)
		if err != nil {
			return err
		}
		u = unchecked{rows: answer.Entries, more: answer.More, size: answer.Size}
		at.note(answer.Answered, sent)
		return nil
	})
	s.Endpoint.assign(u.rows)
	return u, err
}
