package where_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
	"github.com/fliplet/fliplet-chat-go/internal/where"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// columnOperands are values that JavaScript compares in all of its ways.
var columnOperands = []any{"a", "A", "ab", " a", "", "1", "01", "1 ", "x1", 1, 0, 1.5, -1, true, false, nil, []any{"a", 1}, []any{}, wire.M{"b": 1}, wire.M{}, "2024-01-01", "$10"}

func (d dice) columnValue() any { return columnOperands[d.IntN(len(columnOperands))] }

func (d dice) columnCondition() any {
	switch d.IntN(4) {
	case 0:
		return d.columnValue()
	case 1:
		op := []string{"$in", "$nin"}[d.IntN(2)]
		return wire.M{op: []any{d.columnValue(), d.columnValue()}}
	case 2:
		return wire.M{"$exists": d.IntN(2) == 0}
	}
	op := []string{"$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$iLike", "$like"}[d.IntN(8)]
	return wire.M{op: d.columnValue()}
}

func (d dice) columnClause(deep int) wire.M {
	out := wire.M{}
	for range 1 + d.IntN(2) {
		name := []string{"p", "q", "p.b"}[d.IntN(3)]
		switch kind := d.IntN(4); {
		case kind == 0 && deep > 0:
			out[[]string{"$and", "$or", "$nor"}[d.IntN(3)]] = []any{d.columnClause(deep - 1), d.columnClause(deep - 1)}
		case kind == 1 && deep > 0:
			out["$not"] = d.columnClause(deep - 1)
		default:
			out[name] = d.columnCondition()
		}
	}
	return out
}

func TestAConditionOverColumnsContradictsNothingThatTheServerFinds(t *testing.T) {
	t.Parallel()
	d := dice{rand.New(rand.NewPCG(12, 15))}
	cut, passed := 0, 0
	for range 20_000 {
		clause := d.columnClause(2)
		filter, err := sift.Compile(decoded(t, clause))
		if err != nil {
			continue
		}
		mine, err := where.CompileColumns(clause)
		require.NoError(t, err)
		row := wire.M{}
		for _, name := range []string{"p", "q"} {
			if d.IntN(4) > 0 {
				row[name] = d.columnValue()
			}
		}
		row = decoded(t, row).(wire.M)
		found, err := filter.Match(row)
		if err != nil {
			continue
		}
		if found {
			passed++
			if !assert.False(t, mine.Contradicts(row), "%v of %v", clause, row) {
				return
			}
		} else if mine.Contradicts(row) {
			cut++
		}
	}
	assert.Greater(t, passed, 3_000)
	assert.Greater(t, cut, 3_000)
}

func TestAConditionOverColumnsNamesWhatItLooksAt(t *testing.T) {
	t.Parallel()
	w, err := where.CompileColumns(wire.M{
		"$or": []any{wire.M{"a": 1}, wire.M{"$not": wire.M{"b.c": 1}}}, "d": wire.M{"$in": []any{"e"}},
		"$filters": []any{wire.M{"column": "f", "condition": "==", "value": "g"}},
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b", "d", "f"}, w.Names())
}
