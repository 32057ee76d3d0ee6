package rowquery_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
)

func TestBounds(t *testing.T) {
	t.Parallel()
	const (
		early = "2024-05-01T10:00:00Z"
		late  = "2024-05-02T10:00:00Z"
	)
	after := func(text string, d time.Duration) *time.Time { return new(at(text).Add(d)) }
	const tick, rest = time.Microsecond, time.Microsecond - time.Nanosecond
	none := rowquery.Bounds{IDs: []int64{}, DataSourceIDs: []int64{}}

	tests := []struct {
		name, where string
		want        rowquery.Bounds
	}{
		{"nothing said", `{}`, rowquery.Bounds{}},
		{"the page after a row", `{"$or":[{"updatedAt":{"$gt":"` + early + `"}},{"updatedAt":"` + early + `","id":{"$gt":5}}]}`,
			rowquery.Bounds{UpdatedFrom: at(early)}},
		{"the page after a row beside others", `{"dataSourceId":{"$in":[3,1,3]},"$or":[{"updatedAt":{"$gt":"` + early + `"}},{"updatedAt":"` + early + `","id":{"$gt":5}}]}`,
			rowquery.Bounds{UpdatedFrom: at(early), DataSourceIDs: []int64{1, 3}}},
		{"the page before a row", `{"$or":[{"createdAt":{"$lt":"` + late + `"}},{"createdAt":"` + late + `","id":{"$lt":5}}]}`,
			rowquery.Bounds{CreatedTo: after(late, rest)}},
		{"an open end", `{"createdAt":{"$gt":"` + early + `","$lt":"` + late + `"}}`,
			rowquery.Bounds{CreatedFrom: after(early, tick), CreatedTo: after(late, -time.Nanosecond)}},
		{"a closed end", `{"createdAt":{"$between":["` + early + `","` + late + `"]}}`,
			rowquery.Bounds{CreatedFrom: at(early), CreatedTo: after(late, rest)}},
		{"a list of dates", `{"updatedAt":["` + late + `","` + early + `"]}`,
			rowquery.Bounds{UpdatedFrom: at(early), UpdatedTo: after(late, rest)}},
		{"negated", `{"$not":{"createdAt":{"$lt":"` + early + `"}}}`, rowquery.Bounds{CreatedFrom: at(early)}},
		{"negated alternatives", `{"$not":{"$or":[{"createdAt":{"$lt":"` + early + `"}},{"id":{"$ne":4}}]}}`,
			rowquery.Bounds{CreatedFrom: at(early), IDs: []int64{4}}},
		{"negated conjunction", `{"$not":[{"createdAt":{"$lt":"` + early + `"}},{"createdAt":{"$lt":"` + late + `"}}]}`,
			rowquery.Bounds{CreatedFrom: at(early)}},
		{"excluded outside of a range", `{"$not":{"createdAt":{"$notBetween":["` + early + `","` + late + `"]}}}`,
			rowquery.Bounds{CreatedFrom: at(early), CreatedTo: after(late, rest)}},
		{"one alternative unbounded", `{"$or":[{"id":4},{"data":{"$contains":{}}}]}`, rowquery.Bounds{}},
		{"NULL is an alternative", `{"updatedAt":{"$or":[null,{"$gt":"` + early + `"}]}}`, rowquery.Bounds{}},
		{"an impossible alternative", `{"$or":[{"id":4},{"$or":[]}]}`, rowquery.Bounds{IDs: []int64{4}}},
		{"ids in both", `{"$and":[{"id":[1,2,3]},{"id":[2,3,4]}]}`, rowquery.Bounds{IDs: []int64{2, 3}}},
		{"ids in one of two", `{"$or":[{"id":[1,9]},{"id":4}]}`, rowquery.Bounds{IDs: []int64{1, 4, 9}}},
		{"ids no row can have", `{"id":[1,2.5,1e30,null]}`, rowquery.Bounds{IDs: []int64{1}}},
		{"not a list of ids", `{"id":{"$notIn":[1,2]}}`, rowquery.Bounds{}},
		{"no id left", `{"id":1,"$and":[{"id":2}]}`, none},
		{"no time left", `{"createdAt":{"$lt":"` + early + `","$gt":"` + late + `"}}`, none},
		{"nothing", `{"$or":[]}`, none},
		{"unknown", `{"id":{"$gt":null}}`, none},
		{"not in a list with null", `{"order":{"$notIn":[1,null]}}`, none},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, compile(t, test.where).Bounds())
		})
	}
}

func TestBoundsOfAManyIDsAreSorted(t *testing.T) {
	t.Parallel()
	list := make([]any, 20_000)
	for i := range list {
		list[i] = number(len(list) - i)
	}
	f, err := rowquery.Compile(object{"$or": []any{object{"id": list}, object{"id": list}}})
	require.NoError(t, err)
	ids := f.Bounds().IDs
	assert.Len(t, ids, len(list))
	assert.True(t, slices.IsSorted(ids))
}

// TestRandomClauses checks laws that hold for every clause and row.
func TestRandomClauses(t *testing.T) {
	t.Parallel()
	m := newMaker(1)
	matches, bounded := 0, 0
	for range 1_500 {
		where := m.clause(3)
		other := m.clause(1)
		text, err := json.Marshal(object{"where": where, "other": other})
		require.NoError(t, err)

		filter := mustCompile(t, where)
		bounds := filter.Bounds()
		negated := mustCompile(t, object{"$not": where})
		twice := mustCompile(t, object{"$not": object{"$not": where}})
		both := mustCompile(t, object{"$and": []any{where, other}})
		either := mustCompile(t, object{"$or": []any{where, other}})
		deMorgan := mustCompile(t, object{"$not": []any{object{"$not": where}, object{"$not": other}}})
		beside := mustCompile(t, other)
		for range 8 {
			row := m.row()
			a, b := isMatch(t, filter, row), isMatch(t, beside, row)
			if a {
				matches++
				if bounds.IDs != nil || bounds.DataSourceIDs != nil || bounds.CreatedFrom != nil || bounds.UpdatedTo != nil {
					bounded++
				}
				require.True(t, covers(bounds, row), "%s matches %+v outside of %+v", text, row, bounds)
			}
			require.False(t, a && isMatch(t, negated, row), "%s and its negation match", text)
			require.Equal(t, a, isMatch(t, twice, row), "%s negated twice", text)
			require.Equal(t, a && b, isMatch(t, both, row), "%s", text)
			require.Equal(t, a || b, isMatch(t, either, row), "%s", text)
			require.Equal(t, a || b, isMatch(t, deMorgan, row), "%s", text)
			for _, f := range []*rowquery.Filter{negated, either, both} {
				require.True(t, !isMatch(t, f, row) || covers(f.Bounds(), row), "%s", text)
			}
		}
	}
	assert.Greater(t, matches, 1_500, "the clauses match too little to prove anything")
	assert.Greater(t, bounded, 150, "the bounds say too little to prove anything")
}

func mustCompile(t testing.TB, where any) *rowquery.Filter {
	t.Helper()
	f, err := rowquery.Compile(where)
	require.NoError(t, err)
	return f
}

func isMatch(t *testing.T, f *rowquery.Filter, r *rowquery.Row) bool {
	t.Helper()
	matched, err := f.Match(r)
	require.NoError(t, err)
	return matched
}

// covers reports whether an index that keeps to the bounds finds the row.
func covers(b rowquery.Bounds, r *rowquery.Row) bool {
	return (b.IDs == nil || slices.Contains(b.IDs, r.ID)) &&
		(b.DataSourceIDs == nil || slices.Contains(b.DataSourceIDs, r.DataSourceID)) &&
		inRange(b.CreatedFrom, b.CreatedTo, r.CreatedAt) &&
		inRange(b.UpdatedFrom, b.UpdatedTo, r.UpdatedAt)
}

func inRange(from, to, t *time.Time) bool {
	if t == nil {
		return from == nil && to == nil
	}
	return (from == nil || !t.Before(*from)) && (to == nil || !t.After(*to))
}
