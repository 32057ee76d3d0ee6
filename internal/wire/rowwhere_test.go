package wire_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

func decoded(t testing.TB, v any) any {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var out any
	require.NoError(t, dec.Decode(&out))
	return out
}

// dice make clauses and rows from few values, so that they often meet.
type dice struct{ *rand.Rand }

func (d dice) of(list ...any) any { return list[d.IntN(len(list))] }

func (d dice) time() time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, d.IntN(4)*int(time.Millisecond), time.UTC)
}

func (d dice) operand(column string) any {
	if column == "id" || column == "order" || column == "dataSourceId" {
		return 1 + d.IntN(4)
	}
	return wire.Timestamp(d.time())
}

func (d dice) column() (string, any) {
	column := d.of("id", "dataSourceId", "order", "createdAt", "updatedAt", "deletedAt").(string)
	a, b := d.operand(column), d.operand(column)
	switch d.IntN(8) {
	case 0:
		return column, a
	case 1:
		return column, nil
	case 2:
		return column, []any{a, b}
	case 3:
		return column, wire.M{d.of("$in", "$notIn", "$between", "$notBetween").(string): []any{a, b}}
	case 4:
		return column, wire.M{d.of("$ne", "$not", "$eq").(string): d.of(nil, a)}
	}
	return column, wire.M{d.of("$gt", "$gte", "$eq").(string): a, d.of("$lt", "$lte", "$ne").(string): b}
}

func (d dice) json(depth int) any {
	if depth == 0 {
		return d.of("a", "b", "", 1, 2.5, true, false, nil)
	}
	switch d.IntN(3) {
	case 0:
		return []any{d.json(depth - 1), d.json(depth - 1)}[:d.IntN(3)]
	case 1:
		return wire.M{d.of("x", "y").(string): d.json(depth - 1)}
	}
	return d.json(0)
}

func (d dice) clause(depth int) wire.M {
	out := wire.M{}
	for range 1 + d.IntN(2) {
		switch n := d.IntN(7); {
		case depth > 0 && n == 0:
			out[d.of("$and", "$or").(string)] = []any{d.clause(depth - 1), d.clause(depth - 1)}
		case depth > 0 && n == 1:
			out["$not"] = d.clause(depth - 1)
		case n == 2:
			out["data"] = wire.M{"$contains": wire.M{d.of("x", "y").(string): d.json(2)}}
		case n == 3:
			out[d.of("data.x", "data.y", "data.x.y").(string)] = d.of("a", "b", nil, wire.M{"$ne": "a"}, []any{"a", "b"})
		case n == 4:
			out["data"] = wire.M{d.of("x", "y").(string): d.of("a", nil, wire.M{"y": "a"})}
		default:
			column, v := d.column()
			out[column] = v
		}
	}
	return out
}

// What a row matches must not depend on who evaluates it.
func TestConditionsAgreeWithTheServersLanguage(t *testing.T) {
	t.Parallel()
	d := dice{rand.New(rand.NewPCG(1, 2))}
	compared, matched := 0, 0
	for range 20_000 {
		where := decoded(t, d.clause(2))
		want, err := rowquery.Compile(where)
		got, here := wire.CompileRowWhere(where)
		if err != nil || here != nil {
			continue // one of them does not do this
		}
		data := decoded(t, wire.M{"x": d.json(2), "y": d.json(1)})
		created, updated := d.time(), d.time()
		row := rowquery.Row{ID: int64(1 + d.IntN(4)), DataSourceID: int64(1 + d.IntN(4)), Data: data, CreatedAt: &created, UpdatedAt: &updated}
		if d.IntN(2) == 0 {
			row.Order = new(int64(1 + d.IntN(4)))
		}
		if d.IntN(2) == 0 {
			row.DeletedAt = new(d.time())
		}
		server, err := want.Match(&row)
		if err != nil {
			continue
		}
		compared++
		if server {
			matched++
		}
		local := got.Match(&wire.RowFields{
			ID: row.ID, DataSourceID: row.DataSourceID, Order: row.Order, CreatedAt: created, UpdatedAt: updated,
			DeletedAt: row.DeletedAt, Data: data.(wire.M),
		})
		clause, _ := json.Marshal(where)
		values, _ := json.Marshal(row)
		require.Equal(t, server, local, "%s on %s", clause, values)
	}
	assert.Greater(t, compared, 10_000)
	assert.Greater(t, matched, 1_000)
}

func TestConditionsThatCannotBeEvaluatedAreNamed(t *testing.T) {
	t.Parallel()
	for text, where := range map[string]any{
		`"body" is no field of rows`:   wire.M{"body": "x"},
		"createdAt $iLike":             wire.M{"createdAt": wire.M{"$iLike": "x"}},
		"data $contained":              wire.M{"data": wire.M{"$contained": wire.M{}}},
		"data as a whole":              wire.M{"data": "x"},
		"$nor":                         wire.M{"$nor": []any{}},
		"want a number":                wire.M{"id": "x"},
		"want a timestamp":             wire.M{"createdAt": 5},
		"want objects":                 wire.M{"$and": []any{1}},
		"$between wants two ends":      wire.M{"id": wire.M{"$between": []any{1}}},
		"operators beside keys":        wire.M{"data": wire.M{"x": wire.M{"$eq": "a", "y": "b"}}},
		"want an object of conditions": []any{},
		"unsupported type":             wire.M{"id": func() {}},
	} {
		_, err := wire.CompileRowWhere(where)
		require.Error(t, err, text)
		assert.ErrorContains(t, err, text)
	}
}

func TestOperandsMayBeGoValues(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w, err := wire.CompileRowWhere(wire.M{
		"createdAt": wire.M{"$lt": at}, "id": []int64{1, 2},
		"data": wire.M{"$contains": wire.M{"readBy": []string{"u"}}}, "data.n": 5, "data.on": true,
	})
	require.NoError(t, err)
	row := &wire.RowFields{ID: 2, CreatedAt: at.Add(-1), Data: wire.M{"readBy": []any{"v", "u"}, "n": json.Number("5.0"), "on": true}}
	assert.True(t, w.Match(row))
	row.CreatedAt = at
	assert.False(t, w.Match(row))
	assert.Equal(t, wire.M{"$lt": "2026-01-02T03:04:05Z"}, w.Bounds["createdAt"])
	assert.NotContains(t, w.Bounds, "id")
}

func TestColumnsSortNumbersByValueAndAbsentOnesLast(t *testing.T) {
	t.Parallel()
	order := []any{json.Number("-1"), "2", json.Number("10"), "10a", "a", nil}
	for i, a := range order {
		for j, b := range order {
			if i < 3 && j < 3 || i >= 3 && j >= 3 || a == nil || b == nil {
				assert.Equal(t, sign(i-j), wire.CompareColumns(a, b), "%v %v", a, b)
			}
		}
	}
	assert.Equal(t, "v", wire.Column(wire.M{"a": wire.M{"b": "v"}}, "data.a.b"))
	assert.Nil(t, wire.Column(wire.M{"a": 1}, "data.a.b"))
}

func sign(n int) int { return min(max(n, -1), 1) }
