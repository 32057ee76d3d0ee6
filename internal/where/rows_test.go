package where_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
	"github.com/fliplet/fliplet-chat-go/internal/where"
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
		return column, where.M{d.of("$in", "$notIn", "$between", "$notBetween").(string): []any{a, b}}
	case 4:
		return column, where.M{d.of("$ne", "$not", "$eq").(string): d.of(nil, a)}
	}
	return column, where.M{d.of("$gt", "$gte", "$eq").(string): a, d.of("$lt", "$lte", "$ne").(string): b}
}

func (d dice) json(depth int) any {
	if depth == 0 {
		return d.of("a", "b", "", 1, 2.5, true, false, nil)
	}
	switch d.IntN(3) {
	case 0:
		return []any{d.json(depth - 1), d.json(depth - 1)}[:d.IntN(3)]
	case 1:
		return where.M{d.of("x", "y").(string): d.json(depth - 1)}
	}
	return d.json(0)
}

func (d dice) clause(depth int) where.M {
	out := where.M{}
	for range 1 + d.IntN(2) {
		switch n := d.IntN(7); {
		case depth > 0 && n == 0:
			out[d.of("$and", "$or").(string)] = []any{d.clause(depth - 1), d.clause(depth - 1)}
		case depth > 0 && n == 1:
			out["$not"] = d.clause(depth - 1)
		case n == 2:
			out["data"] = where.M{"$contains": where.M{d.of("x", "y").(string): d.json(2)}}
		case n == 3:
			out[d.of("data.x", "data.y", "data.x.y").(string)] = d.of("a", "b", nil, where.M{"$ne": "a"}, []any{"a", "b"})
		case n == 4:
			out["data"] = where.M{d.of("x", "y").(string): d.of("a", nil, where.M{"y": "a"})}
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
		clause := decoded(t, d.clause(2))
		want, err := rowquery.Compile(clause)
		got, here := where.CompileRows(clause)
		if err != nil || here != nil {
			continue // one of them does not do this
		}
		data := decoded(t, where.M{"x": d.json(2), "y": d.json(1)})
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
		local := got.Match(&where.Row{
			ID: row.ID, DataSourceID: row.DataSourceID, Order: row.Order, CreatedAt: created, UpdatedAt: updated,
			DeletedAt: row.DeletedAt, Data: data.(where.M),
		})
		text, _ := json.Marshal(clause)
		values, _ := json.Marshal(row)
		require.Equal(t, server, local, "%s on %s", text, values)
	}
	assert.Greater(t, compared, 10_000)
	assert.Greater(t, matched, 1_000)
}

func TestConditionsThatCannotBeEvaluatedAreNamed(t *testing.T) {
	t.Parallel()
	for text, clause := range map[string]any{
		`"body" is no field of rows`:   where.M{"body": "x"},
		"createdAt $iLike":             where.M{"createdAt": where.M{"$iLike": "x"}},
		"id $gt with this operand":     where.M{"id": where.M{"$gt": nil}},
		"id $lt with this operand":     where.M{"id": where.M{"$lt": []any{1}}},
		"data $contained":              where.M{"data": where.M{"$contained": where.M{}}},
		"data as a whole":              where.M{"data": "x"},
		"$nor":                         where.M{"$nor": []any{}},
		"want a number":                where.M{"id": "x"},
		"want a timestamp":             where.M{"createdAt": 5},
		"want objects":                 where.M{"$and": []any{1}},
		"$between wants two ends":      where.M{"id": where.M{"$between": []any{1}}},
		"operators beside keys":        where.M{"data": where.M{"x": where.M{"$eq": "a", "y": "b"}}},
		"want an object of conditions": []any{},
		"unsupported type":             where.M{"id": func() {}},
	} {
		_, err := where.CompileRows(clause)
		require.Error(t, err, text)
		assert.ErrorContains(t, err, text)
	}
}

func TestANumberMayHaveFourHundredDigits(t *testing.T) {
	t.Parallel()
	_, err := where.CompileRows(where.M{"id": where.M{"$lt": json.Number(strings.Repeat("1", 400))}})
	require.NoError(t, err)
	_, err = where.CompileRows(where.M{"id": where.M{"$lt": json.Number(strings.Repeat("1", 401))}})
	require.ErrorContains(t, err, "want a number")
}

func TestOperandsMayBeGoValues(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w, err := where.CompileRows(where.M{
		"createdAt": where.M{"$lt": at}, "id": []int64{1, 2},
		"data": where.M{"$contains": where.M{"readBy": []string{"u"}}}, "data.n": 5, "data.on": true,
	})
	require.NoError(t, err)
	row := &where.Row{ID: 2, CreatedAt: at.Add(-1), Data: where.M{"readBy": []any{"v", "u"}, "n": json.Number("5.0"), "on": true}}
	assert.True(t, w.Match(row))
	row.CreatedAt = at
	assert.False(t, w.Match(row))
	assert.Equal(t, where.M{"$lt": "2026-01-02T03:04:05Z"}, w.Bounds["createdAt"])
	assert.NotContains(t, w.Bounds, "id")
}

func TestColumnsSortNumbersByValueAndAbsentOnesLast(t *testing.T) {
	t.Parallel()
	order := []any{json.Number("-1"), "2", json.Number("10"), "10a", "1b", "a", nil}
	for i, a := range order {
		for j, b := range order {
			n, _ := where.CompareColumns(a, b, where.ByBytes)
			assert.Equal(t, min(max(i-j, -1), 1), n, "%v %v", a, b)
		}
	}
	assert.Equal(t, "v", where.Column(where.M{"a": where.M{"b": "v"}}, "data.a.b"))
	assert.Nil(t, where.Column(where.M{"a": 1}, "data.a.b"))
}

func TestLanguagesIgnoreCaseAccentsAndPunctuation(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{{"apple", "Banana"}, {"Anna", "Émile"}, {"emile", "Zoé"}, {"a-b", "ac"}} {
		n, _ := where.CompareColumns(pair[0], pair[1], where.ByLetters)
		assert.Negative(t, n, "%v", pair)
	}
	for _, pair := range [][2]string{{"a b", "ab"}, {"a", "A"}, {"-a", "a"}, {"été", "Ete"}} {
		n, same := where.CompareColumns(pair[0], pair[1], where.ByLetters)
		assert.Zero(t, n, "%v", pair)
		assert.False(t, same, "%v: a server may tell them apart", pair)
	}
}
