package sift_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

func TestCompileRefusesWithAKind(t *testing.T) {
	t.Parallel()
	for where, kind := range map[string]sift.ErrorKind{
		`{"a": {"$contains": 1}}`:                                                 sift.UnknownOperator,
		`{"$and": [{"a": {"$not": {"$near": 1}}}]}`:                               sift.UnknownOperator,
		`{"a": {"$regex": "("}}`:                                                  sift.BadRegex,
		`{"a": {"$regex": "a", "$options": "q"}}`:                                 sift.BadRegex,
		`{"a": {"$regex": "a", "$options": null}}`:                                sift.BadRegex,
		`{"$or": {"a": 1}}`:                                                       sift.TypeError,
		`{"a": {"$all": "x"}}`:                                                    sift.TypeError,
		`{"__proto__": 1}`:                                                        sift.TypeError,
		`{"a": {"$match": {"x": {"y": 1}}}}`:                                      sift.TypeError,
		`{"a": {"$regex": {"toString": 1}}}`:                                      sift.TypeError,
		`{"$where": "while (true) {}"}`:                                           sift.Refused,
		`{"a": {"$in": [{"$where": "1"}]}}`:                                       sift.Refused,
		`{"a": {"$regex": "(?:a{1000}){1000}"}}`:                                  sift.Refused,
		`{"$filters": {}}`:                                                        sift.TypeError,
		`{"$filters": [1]}`:                                                       sift.TypeError,
		`{"$filters": [{"column": "a"}]}`:                                         sift.TypeError,
		`{"$filters": [{"condition": "=="}]}`:                                     sift.TypeError,
		`{"$filters": [{"column": "a", "condition": "like", "value": 1}]}`:        sift.UnknownOperator,
		`{"$filters": [{"column": "a", "condition": "between", "value": 1}]}`:     sift.TypeError,
		`{"$filters": [{"column": "a", "condition": "dateis", "value": "soon"}]}`: sift.TypeError,
		`{"$filters": [{"column": "a", "condition": "dateis", "value": "2024-05-31", "unit": "era"}]}`: sift.TypeError,
		`{"$filters": [{"column": "a", "condition": "datebetween", "to": {"value": "soon"}}]}`:         sift.TypeError,
		`{"$filters": [{"column": "a", "condition": "regex", "value": "["}]}`:                          sift.BadRegex,
	} {
		for _, form := range []any{json.RawMessage(where), decode(t, where)} {
			_, err := sift.Compile(form)
			e, ok := errors.AsType[*sift.Error](err)
			if assert.True(t, ok, "%s: %v", where, err) {
				assert.Equal(t, kind, e.Kind, "%s: %v", where, err)
				assert.Equal(t, "sift: "+kind.String()+": "+e.Message, err.Error())
			}
		}
	}
}

func TestRowsCanFail(t *testing.T) {
	t.Parallel()
	tests := []struct {
		where, row string
		kind       sift.ErrorKind // 0: the row passes without an error
	}{
		{`{"a": {"b": {"$exists": true}}}`, `{}`, sift.TypeError},
		{`{"a": {"b": {"$exists": true}}}`, `{"a": {}}`, 0},
		{`{"a.b": {"$exists": true}}`, `{}`, 0},
		{`{"$exists": true}`, `{}`, sift.TypeError},
		{`{"a": {"$elemMatch": {"$exists": true}}}`, `{"a": [1]}`, sift.TypeError},
		{`{"a": {"$in": 5}}`, `{"a": 5}`, sift.TypeError},
		{`{"a": {"$in": null}}`, `{"a": []}`, 0},
		{`{"a": {"$mod": null}}`, `{"a": 5}`, sift.TypeError},
		{`{"a": {"$type": "date"}}`, `{"a": 5}`, sift.TypeError},
		{`{"a": {"$type": "date"}}`, `{"a": null}`, 0},
		{`{"a": {"$in": [{"$foo": 1}]}}`, `{"a": "x"}`, sift.UnknownOperator},
		{`{"a": {"$in": [{"$foo": 1}]}}`, `{"a": ["x"]}`, 0},
		{`{"a": "x"}`, `{"a": {"toString": 1}}`, sift.TypeError},
		{`{"a": "x"}`, `{"a": [[{"toString": 1}]]}`, sift.TypeError},
		{`{"a": {"$exists": true}}`, `{"hasOwnProperty": 1}`, sift.TypeError},
		{`{"a": {"$regex": "^(a+)+\\1b"}}`, `{"a": "` + strings.Repeat("a", 100) + `"}`, sift.Refused},
	}
	for _, test := range tests {
		filter, err := sift.Compile(json.RawMessage(test.where))
		require.NoError(t, err, test.where)
		_, err = filter.Match(decode(t, test.row))
		if test.kind == 0 {
			assert.NoError(t, err, "%s on %s", test.where, test.row)
			continue
		}
		e, ok := errors.AsType[*sift.Error](err)
		if assert.True(t, ok, "%s on %s: %v", test.where, test.row, err) {
			assert.Equal(t, test.kind, e.Kind, "%s on %s", test.where, test.row)
		}
	}
}

func TestConditionsAreTriedInTheOrderWritten(t *testing.T) {
	t.Parallel()
	row := decode(t, `{"b": 1}`)
	fails, err := sift.Compile(json.RawMessage(`{"x": {"y": {"$exists": true}}, "b": 2}`))
	require.NoError(t, err)
	_, err = fails.Match(row)
	assert.Error(t, err, "the condition that raises comes first")

	settles, err := sift.Compile(json.RawMessage(`{"b": 2, "x": {"y": {"$exists": true}}}`))
	require.NoError(t, err)
	matched, err := settles.Match(row)
	assert.NoError(t, err, "the other condition has settled the matter")
	assert.False(t, matched)

	numeric, err := sift.Compile(json.RawMessage(`{"x": {"y": {"$exists": true}}, "7": 2}`))
	require.NoError(t, err)
	_, err = numeric.Match(row)
	assert.NoError(t, err, "JavaScript visits whole numbers first")

	repeated, err := sift.Compile(json.RawMessage(`{"b": 2, "b": 1}`))
	require.NoError(t, err)
	matched, err = repeated.Match(row)
	assert.True(t, matched && err == nil, "the last of repeated keys counts")
}

func TestAbsurdClausesAreRefused(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]string{
		"deep objects":         strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000),
		"deep lists":           `{"a": {"$in": ` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}}",
		"deep logic":           strings.Repeat(`{"$and":[`, 60) + strings.Repeat("]}", 60),
		"long list":            `{"a": {"$in": [` + strings.Repeat("1,", 100_000) + "1]}}",
		"long path":            `{"` + strings.Repeat("a.", 200) + `a": 1}`,
		"many big expressions": `{"$or": [` + strings.Repeat(`{"a": {"$regex": "a{9000}"}},`, 9) + `{}]}`,
	} {
		for _, form := range []any{json.RawMessage(where), decode(t, where)} {
			_, err := sift.Compile(form)
			e, ok := errors.AsType[*sift.Error](err)
			require.True(t, ok, "%s: %v", name, err)
			assert.Equal(t, sift.Refused, e.Kind, name)
		}
	}
	for name, where := range map[string]string{
		"nothing":     "",
		"half":        `{"a": [1`,
		"two clauses": `{} {}`,
		"no JSON":     `{a: 1}`,
	} {
		_, err := sift.Compile(json.RawMessage(where))
		assert.Error(t, err, name)
	}
	_, err := sift.Compile(map[string]any{"a": time.Now()})
	assert.ErrorContains(t, err, "time.Time")
}

func TestReasonableClausesAreNotRefused(t *testing.T) {
	t.Parallel()
	assert.True(t, matches(t, strings.Repeat(`{"$and":[`, 40)+`{"a": 1}`+strings.Repeat("]}", 40), `{"a": 1}`))
	list := make([]any, 50_000)
	for i := range list {
		list[i] = fmt.Sprint("u", i)
	}
	filter, err := sift.Compile(map[string]any{"a": map[string]any{"$in": list}})
	require.NoError(t, err)
	for range 10_000 {
		matched, err := filter.Match(map[string]any{"a": "u49999"})
		require.True(t, matched && err == nil)
	}
}

func TestEmptyAndNullClauses(t *testing.T) {
	t.Parallel()
	row := map[string]any{"a": 1.0}
	for _, test := range []struct {
		where any
		want  bool
	}{
		{map[string]any{}, true},
		{map[string]any(nil), true},
		{nil, false},
		{[]any{}, false},
		{"x", false},
		{"[object Object]", true},
	} {
		filter, err := sift.Compile(test.where)
		require.NoError(t, err)
		matched, err := filter.Match(row)
		require.NoError(t, err)
		assert.Equal(t, test.want, matched, "%#v", test.where)
	}
}

func TestNumbersOfEitherTypeAreAlike(t *testing.T) {
	t.Parallel()
	for _, where := range []any{5.0, json.Number("5"), json.Number("5.0"), 5, int64(5)} {
		for _, row := range []any{5.0, json.Number("5e0"), 5, int64(5)} {
			for _, clause := range []map[string]any{
				{"a": where}, {"a": map[string]any{"$in": []any{where}}}, {"a": map[string]any{"$gte": where}},
				{"a": map[string]any{"$type": "number"}}, {"a": map[string]any{"$match": where}},
			} {
				filter, err := sift.Compile(clause)
				require.NoError(t, err)
				matched, err := filter.Match(map[string]any{"a": row})
				require.NoError(t, err)
				assert.True(t, matched, "%v on %T", clause, row)
			}
		}
	}
}

func TestCompileDoesNotKeepTheClause(t *testing.T) {
	t.Parallel()
	list := []any{"x"}
	where := map[string]any{"a": map[string]any{"$in": list}}
	filter, err := sift.Compile(where)
	require.NoError(t, err)
	list[0] = "y"
	where["a"] = "z"
	matched, err := filter.Match(map[string]any{"a": "x"})
	assert.True(t, matched && err == nil)
}

func TestOneFilterServesManyAtOnce(t *testing.T) {
	t.Parallel()
	filter, err := sift.Compile(json.RawMessage(
		`{"a": {"$regex": "^(x)\\1*$"}, "b": {"$in": ["1", {"$gt": 5}]}, "$filters": [{"column": "c", "condition": "contains", "value": "Q"}]}`))
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				row := map[string]any{"a": strings.Repeat("x", 1+i%7), "b": float64(i), "c": "aqa"}
				matched, err := filter.Match(row)
				assert.True(t, matched == (i > 5 || i == 1) && err == nil, "row %d", i)
			}
		})
	}
	wg.Wait()
}

// TestInheritedNames pins down what JavaScript's prototypes do to columns that
// happen to be called like one of their members.
func TestInheritedNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		where, row string
		want       bool
	}{
		{`{"toString": "x"}`, `{"toString": "y"}`, true},
		{`{"hasOwnProperty": "x"}`, `{"hasOwnProperty": "x"}`, false},
		{`{"constructor": "x"}`, `{"constructor": "x"}`, false},
		{`{"a.link": null}`, `{"a": "text"}`, false},
		{`{"a.link": null}`, `{"a": 5}`, true},
		{`{"a.toFixed": null}`, `{"a": 5}`, false},
		{`{"a.constructor": {"$like": "Boolean"}}`, `{"a": true}`, true},
		{`{"a.constructor": {"$exists": true}}`, `{"a": {}}`, false},
		{`{"a.constructor": 1}`, `{"a": {"constructor": 1}}`, true},
		{`{"a.__proto__": {"$type": "object"}}`, `{"a": {}}`, true},
		{`{"a.valueOf": {"$in": ["function valueOf() { [native code] }"]}}`, `{"a": {}}`, true},
	} {
		assert.Equal(t, test.want, matches(t, test.where, test.row), "%s on %s", test.where, test.row)
	}
}

func TestTextIsCountedInUTF16(t *testing.T) {
	t.Parallel()
	assert.True(t, matches(t, `{"a": {"$size": 3}}`, `{"a": "x👍"}`))
	assert.True(t, matches(t, `{"a.length": 3}`, `{"a": "x👍"}`))
	assert.True(t, matches(t, `{"a.1": {"$size": 1, "$ne": "👍"}}`, `{"a": "x👍"}`))
	assert.True(t, matches(t, `{"a.2": {"$regex": "^[\\udc00-\\udfff]$"}}`, `{"a": "x👍"}`))
	assert.True(t, matches(t, `{"a.3": {"$exists": false}}`, `{"a": "x👍"}`))
	// U+FF5E sorts after the surrogates of the emoji.
	assert.True(t, matches(t, `{"$filters": [{"column": "a", "condition": "<", "value": "～"}]}`, `{"a": "👍"}`))
}

func TestFiltersCombineWithOtherConditions(t *testing.T) {
	t.Parallel()
	where := `{"b": {"$gt": 1}, "$filters": [{"column": "a", "condition": "==", "value": "X"}, {"column": "b", "condition": "<", "value": 9}]}`
	assert.True(t, matches(t, where, `{"a": "x", "b": 5}`))
	assert.False(t, matches(t, where, `{"a": "x", "b": 9}`))
	assert.False(t, matches(t, where, `{"a": "x", "b": 1}`))
	assert.False(t, matches(t, where, `{"a": "y", "b": 5}`))
	assert.True(t, matches(t, `{"$filters": []}`, `{}`))
	assert.True(t, matches(t, `{"$or": [{"b": 1}, {"$filters": [{"column": "a.b", "condition": "empty"}]}]}`, `{"a": {"b": 2}}`))
}
