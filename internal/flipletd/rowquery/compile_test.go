package rowquery_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/rowquery"
)

// compile reads a clause as it arrives over HTTP.
func compile(t testing.TB, where string) *rowquery.Filter {
	t.Helper()
	v, err := decode([]byte(where))
	require.NoError(t, err)
	f, err := rowquery.Compile(v)
	require.NoError(t, err, where)
	return f
}

func at(text string) *time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return &t
}

// message is a row as the chat stores them.
func message(t testing.TB, data string) *rowquery.Row {
	t.Helper()
	v, err := decode([]byte(data))
	require.NoError(t, err)
	return &rowquery.Row{
		ID: 7, DataSourceID: 101, Order: new(int64(2)), Data: v,
		CreatedAt: at("2024-05-01T10:00:00Z"), UpdatedAt: at("2024-05-02T10:00:00.5Z"),
	}
}

func TestMatchFollowsSequelizesForms(t *testing.T) {
	t.Parallel()
	row := message(t, `{"body":"Hi","n":5,"ok":true,"readBy":["u1"],"meta":{"type":"text"},"none":null}`)
	tests := []struct {
		where string
		want  bool
	}{
		{`null`, true},
		{`{}`, true},
		{`[]`, true},
		{`[{"id":7},{"order":2}]`, true},
		{`[{"id":7},{"order":3}]`, false},
		{`{"$or":[{"order":{"$notIn":[]}},{"id":8}]}`, false}, // no condition is left out, not TRUE
		{`{"$not":{"order":{"$notIn":[]}}}`, false},
		{`{"$not":[[{"id":7},{"order":3}]]}`, true},
		{`{"order":{"$or":[]}}`, true}, // on a column an empty $or is no condition
		{`{"$or":[]}`, false},
		{`{"order":{"$or":{"$lt":1,"$gt":1}}}`, true},
		{`{"id":"7"}`, true},
		{`{"id":7.0}`, true},
		{`{"id":{"$between":[6.5,7.5]}}`, true},
		{`{"deletedAt":{"$between":["2024-01-01",null]}}`, false},
		{`{"data":{"none":{"$is":null},"missing":null,"n":{"$ne":null}}}`, true},
		{`{"data":{"missing":{"$not":true}}}`, true}, // IS NOT TRUE knows no NULL
		{`{"data":{"missing":{"$ne":true}}}`, false},
		{`{"data":{"readBy":{"0":"u1"}}}`, true},
		{`{"data.readBy.-1":"u1"}`, true},
		{`{"data":{"readBy":{"1":null,"x":null}}}`, true},
		{`{"data":{"readBy":"[\"u1\"]"}}`, true}, // an array as its text
		{`{"data":{"meta":"{\"type\": \"text\"}"}}`, true},
		{`{"data":{"body":["Hi","Ho"]}}`, true},
		{`{"data":{"n":{"$in":[null,"5"]}}}`, true},
		{`{"data":{"n":"5"}}`, true},
		{`{"data":{"n":{"$gt":"10"}}}`, true}, // text order
		{`{"data":{"n":{"$gt":10}}}`, false},
		{`{"data":{"meta":{}}}`, true},
		{`{"data":{"$eq":{"body":"Hi"}}}`, false},
		{`{"data":{"$contained":{"body":"Hi","n":5.0,"ok":true,"readBy":["u2","u1"],"meta":{"type":"text"},"none":null}}}`, true},
		{`{"data":{"$contains":null}}`, false},
		{`{"data":[{"body":"Hi"},null]}`, false},
	}
	for _, test := range tests {
		t.Run(test.where, func(t *testing.T) {
			t.Parallel()
			got, err := compile(t, test.where).Match(row)
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
}

func TestNullIsNeitherTrueNorFalse(t *testing.T) {
	t.Parallel()
	row := &rowquery.Row{ID: 7} // every other column is NULL
	const (
		yes     = `{"id":7}`
		no      = `{"id":8}`
		unknown = `{"order":{"$gt":1}}`
	)
	tests := []struct {
		name, where string
		want        bool
	}{
		{"NULL is not TRUE", unknown, false},
		{"NOT NULL is not TRUE", `{"$not":` + unknown + `}`, false},
		{"NULL AND FALSE is FALSE", `{"$not":[` + unknown + `,` + no + `]}`, true},
		{"NULL AND TRUE is NULL", `{"$not":[` + unknown + `,` + yes + `]}`, false},
		{"NULL OR TRUE is TRUE", `{"$or":[` + unknown + `,` + yes + `]}`, true},
		{"NULL OR FALSE is NULL", `{"$not":{"$or":[` + unknown + `,` + no + `]}}`, false},
		{"IN with a null finds", `{"id":{"$in":[7,null]}}`, true},
		{"IN with a null does not rule out", `{"$not":{"id":{"$in":[8,null]}}}`, false},
		{"NOT IN with a null rules out", `{"$not":{"id":{"$notIn":[7,null]}}}`, true},
		{"IN of nothing is NULL", `{"$not":{"id":{"$in":[]}}}`, false},
		{"IS NULL is TRUE", `{"data":null,"createdAt":null,"order":null}`, true},
		{"containment in NULL is NULL", `{"$not":{"data":{"$contains":{}}}}`, false},
		{"a path through NULL is NULL", `{"data":{"a":{"b":null}}}`, true},
		{"LIKE of NULL is NULL", `{"data":{"a":{"$notLike":"x"}}}`, false},
		{"BETWEEN with a null end can be FALSE", `{"id":{"$notBetween":[null,6]}}`, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := compile(t, test.where).Match(row)
			require.NoError(t, err)
			assert.Equal(t, test.want, got, test.where)
		})
	}
}

func TestMatchFailsWherePostgreSQLCannotCast(t *testing.T) {
	t.Parallel()
	row := message(t, `{"n":"abc","b":"maybe","big":1e400,"s":"50%"}`)
	for _, where := range []string{
		`{"data":{"n":5}}`,
		`{"data":{"n":{"$or":[1,null]}}}`,
		`{"data":{"b":true}}`,
		`{"data":{"big":{"$gt":1}}}`,
		`{"data":{"s":{"$like":"50\\"}}}`,
		`{"$not":{"data":{"n":5}}}`,
		`{"id":7,"data":{"n":5}}`,
	} {
		matched, err := compile(t, where).Match(row)
		assert.False(t, matched, where)
		var failure *rowquery.Error
		require.ErrorAs(t, err, &failure, where)
		assert.Equal(t, rowquery.BadValue, failure.Kind)
		assert.Contains(t, failure.Message, "data.", "names the path")
		assert.NotContains(t, failure.Message, "abc", "keeps the stored value")
	}
	for _, where := range []string{
		`{"id":8,"data":{"n":5}}`,
		`{"data":{"n":5},"deletedAt":{"$gt":"2024-01-01"}}`,
		`{"$not":{"$or":[{"id":7},{"data":{"n":5}}]}}`,
	} {
		matched, err := compile(t, where).Match(row)
		require.NoError(t, err, "another condition decides: %s", where)
		assert.False(t, matched, where)
	}
}

func TestCompileRefusesWithAKindAndTheFix(t *testing.T) {
	t.Parallel()
	tests := []struct {
		where   string
		kind    rowquery.ErrorKind
		message string
	}{
		{`5`, rowquery.BadValue, "object"},
		{`"id = 5"`, rowquery.BadValue, "object"},
		{`{"$or":5}`, rowquery.BadValue, "$or takes"},
		{`{"$or":[5]}`, rowquery.BadValue, "object"},
		{`{"$nor":[]}`, rowquery.UnknownOperator, `"$nor"`},
		{`{"id":{"$exists":true}}`, rowquery.UnknownOperator, `"$exists" under id`},
		{`{"data":{"a":{"$exists":true}}}`, rowquery.UnknownOperator, "under data.a"},
		{`{"$gt":5}`, rowquery.UnknownOperator, "under a column"},
		{`{"body":"secret"}`, rowquery.UnknownColumn, `"body"`},
		{`{"order.x":1}`, rowquery.UnknownColumn, `"order.x"`},
		{`{"id":{"gt":5}}`, rowquery.BadValue, "id takes"},
		{`{"id":{}}`, rowquery.BadValue, "empty object"},
		{`{"id":true}`, rowquery.BadValue, "id takes a number"},
		{`{"id":{"$in":5}}`, rowquery.BadValue, "$in takes a list"},
		{`{"id":{"$between":[1]}}`, rowquery.BadValue, "two values"},
		{`{"id":{"$like":"5%"}}`, rowquery.BadValue, "$like is for text"},
		{`{"id":{"$not":{"$gt":5}}}`, rowquery.Refused, `{"$not": {"id": …}}`},
		{`{"id":{"$is":true}}`, rowquery.BadValue, "$is takes"},
		{`{"createdAt":"yesterday"}`, rowquery.BadValue, "ISO 8601"},
		{`{"data":{"readBy":{"$contains":["u1"]}}}`, rowquery.BadValue, `{"data": {"$contains": {…}}}`},
		{`{"data":{"$overlap":[]}}`, rowquery.BadValue, "$overlap"},
		{`{"data":{"n":{"$in":["1",2]}}}`, rowquery.BadValue, "takes text here"},
		{`{"data":{"s":{"$like":5}}}`, rowquery.BadValue, "$like is for text"},
		{`{"data":{"s":{"$like":["a"]}}}`, rowquery.BadValue, "pattern"},
		{`{"id":{"$or":[1],"$gt":5}}`, rowquery.Refused, "$and"},
		{`{"data":{"$not":{"$contains":{}}}}`, rowquery.Refused, `{"$not": {"data": …}}`},
		{`{"data":{"$contains":{"n":{"$gt":5}}}}`, rowquery.Refused, "$gt"},
		{`{"data":{"$gt":5}}`, rowquery.Refused, "data"},
		{`{"data":{"n::integer":5}}`, rowquery.Refused, "cast"},
		{`{"data":{"a,b":5}}`, rowquery.Refused, "$contains"},
		{`{"data.":5}`, rowquery.Refused, "$contains"},
		{`{"data":{"s":{"$regexp":"x"}}}`, rowquery.Refused, "$regexp"},
		{`{"id":{"$col":"order"}}`, rowquery.Refused, "$col"},
		{`{"data":{"s":{"$like":"%` + strings.Repeat("a", 5000) + `%"}}}`, rowquery.Refused, "characters"},
		{strings.Repeat(`{"$not":`, 101) + `{}` + strings.Repeat(`}`, 101), rowquery.Refused, "nested"},
		{`{"data":{"$contains":` + strings.Repeat(`[`, 101) + strings.Repeat(`]`, 101) + `}}`, rowquery.Refused, "nested"},
	}
	for _, test := range tests {
		t.Run(test.where[:min(60, len(test.where))], func(t *testing.T) {
			t.Parallel()
			where, err := decode([]byte(test.where))
			require.NoError(t, err)
			f, err := rowquery.Compile(where)
			assert.Nil(t, f)
			var failure *rowquery.Error
			require.ErrorAs(t, err, &failure)
			assert.Equal(t, test.kind, failure.Kind)
			assert.Contains(t, failure.Message, test.message)
			assert.NotContains(t, failure.Message, "secret")
			assert.NotContains(t, failure.Message, "yesterday")
		})
	}
}

func TestCompileTakesAHundredLevels(t *testing.T) {
	t.Parallel()
	f := compile(t, strings.Repeat(`{"$not":`, 99)+`{"id":5}`+strings.Repeat(`}`, 99))
	matched, err := f.Match(&rowquery.Row{ID: 4})
	require.NoError(t, err)
	assert.True(t, matched)
}

func TestCompileRefusesValuesThatAreNoJSON(t *testing.T) {
	t.Parallel()
	for _, operand := range []any{5, 5.5, struct{}{}, []string{"a"}, time.Time{}} {
		for _, where := range []any{
			operand,
			map[string]any{"id": operand},
			map[string]any{"createdAt": operand},
			map[string]any{"data": map[string]any{"$contains": operand}},
			map[string]any{"data": map[string]any{"a": operand}},
		} {
			_, err := rowquery.Compile(where)
			assert.Error(t, err, "%v", where)
		}
	}
}

func TestFilterKeepsNothingOfTheClause(t *testing.T) {
	t.Parallel()
	readBy := []any{"u1"}
	where := map[string]any{"data": map[string]any{"$contains": map[string]any{"readBy": readBy}}}
	f, err := rowquery.Compile(where)
	require.NoError(t, err)
	readBy[0] = "u2"
	delete(where, "data")

	matched, err := f.Match(message(t, `{"readBy":["u1"]}`))
	require.NoError(t, err)
	assert.True(t, matched)
}

func TestFilterServesManyGoroutines(t *testing.T) {
	t.Parallel()
	f := compile(t, `{"$not":{"data":{"$contains":{"readBy":["u1"]}}},"data":{"body":{"$iLike":"%h_llo%"}},"id":{"$in":[7,8]}}`)
	row := message(t, `{"body":"Oh, Hello","readBy":[]}`)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				matched, err := f.Match(row)
				assert.NoError(t, err)
				assert.True(t, matched)
				f.Bounds().IDs[0] = 0 // the caller's own copy
			}
		})
	}
	wg.Wait()
	assert.Equal(t, []int64{7, 8}, f.Bounds().IDs)
}
