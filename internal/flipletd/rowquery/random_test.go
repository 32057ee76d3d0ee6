package rowquery_test

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
)

// maker makes random clauses and rows whose few values meet often.
type maker struct{ *rand.Rand }

func newMaker(seed uint64) maker { return maker{rand.New(rand.NewPCG(seed, 0))} }

func pick[T any](m maker, of ...T) T { return of[m.IntN(len(of))] }

type object = map[string]any

func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

var epoch = time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)

// instant is one of few, a microsecond or an hour apart.
func (m maker) instant() time.Time {
	return epoch.Add(time.Duration(m.IntN(4))*time.Hour + time.Duration(m.IntN(3))*time.Microsecond)
}

func (m maker) row() *rowquery.Row {
	r := &rowquery.Row{ID: int64(m.IntN(6)), DataSourceID: int64(100 + m.IntN(3))}
	if m.IntN(4) > 0 {
		r.Order = new(int64(m.IntN(4)))
	}
	for _, t := range []**time.Time{&r.CreatedAt, &r.UpdatedAt, &r.DeletedAt} {
		if m.IntN(4) > 0 {
			*t = new(m.instant().Add(time.Duration(m.IntN(2)*700) * time.Nanosecond))
		}
	}
	if m.IntN(5) > 0 {
		r.Data = object{"from": pick[any](m, "u1", "u2", nil), "n": number(m.IntN(3)), "readBy": pick[any](m, []any{"u1", "u2"}, []any{}, nil)}
	}
	return r
}

func (m maker) clause(depth int) object {
	if depth == 0 || m.IntN(3) == 0 {
		return m.leaf()
	}
	below := func() object { return m.clause(depth - 1) }
	switch m.IntN(6) {
	case 0:
		return object{"$not": below()}
	case 1:
		return object{"$not": []any{below(), below()}}
	case 2:
		return object{"$or": []any{below(), below(), below()}}
	case 3:
		return object{"$and": []any{below(), below()}}
	case 4:
		return object{"$or": merged(below(), below())}
	}
	return merged(below(), below())
}

func merged(a, b object) object {
	for key, value := range b {
		a[key] = value
	}
	return a
}

func (m maker) leaf() object {
	switch m.IntN(4) {
	case 0:
		column := pick(m, "id", "dataSourceId", "order")
		offset := 0
		if column == "dataSourceId" {
			offset = 100
		}
		return object{column: m.condition(func() any { return number(offset + m.IntN(4)) })}
	case 1, 2:
		column := pick(m, "createdAt", "updatedAt", "deletedAt")
		return object{column: m.condition(func() any { return m.instant().Format(time.RFC3339Nano) })}
	}
	return object{"data": pick[any](m,
		object{"$contains": object{"readBy": []any{pick(m, "u1", "u2")}}},
		object{"from": m.condition(func() any { return pick(m, "u1", "u2") })},
		object{"n": m.condition(func() any { return number(m.IntN(3)) })},
		object{"from": object{"$iLike": pick(m, "U%", "%1", "_2")}},
		nil,
	)}
}

func (m maker) condition(value func() any) any {
	switch m.IntN(9) {
	case 0:
		return nil
	case 1:
		return value()
	case 2:
		return object{pick(m, "$in", "$notIn", "$not"): []any{value(), value()}}
	case 3:
		return object{pick(m, "$in", "$notIn"): []any{value(), nil}}
	case 4:
		return object{pick(m, "$between", "$notBetween"): []any{value(), value()}}
	case 5:
		return object{pick(m, "$or", "$and"): []any{value(), nil}}
	case 6:
		return object{"$gt": value(), "$lte": value()}
	}
	return object{pick(m, "$eq", "$ne", "$not", "$gt", "$gte", "$lt", "$lte"): value()}
}
