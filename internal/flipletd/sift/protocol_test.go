package sift_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/sift"
)

// matches answers whether a row satisfies a clause, both written as JSON. The
// clause is tried as text and as a decoded map.
func matches(t *testing.T, where, row string) bool {
	t.Helper()
	got := matchAs(t, json.RawMessage(where), row)
	require.Equal(t, got, matchAs(t, decode(t, where), row), "text and map of %s", where)
	return got
}

func matchAs(t *testing.T, where any, row string) bool {
	t.Helper()
	filter, err := sift.Compile(where)
	require.NoError(t, err, "%s", where)
	matched, err := filter.Match(decode(t, row))
	require.NoError(t, err, "%s on %s", where, row)
	return matched
}

// TestProtocolTable holds the package to every row of the table in the
// protocol's description of the per-source language.
func TestProtocolTable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		where   string
		matches []string
		misses  []string
	}{
		{`{"a": 1}`, []string{`{"a": "1"}`, `{"a": "1 "}`, `{"a": "01"}`, `{"a": [1]}`, `{"a": true}`}, nil},
		{`{"a": "01"}`, []string{`{"a": 1}`}, []string{`{"a": "1"}`}},
		{`{"a": "A"}`, nil, []string{`{"a": "a"}`}},
		{`{"a": " x"}`, nil, []string{`{"a": "x"}`}},
		{`{"a": true}`, []string{`{"a": 1}`, `{"a": "1"}`}, []string{`{"a": "true"}`}},
		{`{"a": 0}`, []string{`{"a": ""}`}, nil},
		{`{"a": null}`, []string{`{}`}, []string{`{"a": ""}`}},
		{`{"a": "x"}`, []string{`{"a": ["x", "y"]}`}, nil},
		{`{"a": []}`, []string{`{"a": []}`}, nil},
		{`{"a": {"$ne": "x"}}`, []string{`{}`}, []string{`{"a": ["x", "y"]}`}},
		{`{"a": {"$in": ["1"]}}`, []string{`{"a": 1}`}, nil},
		{`{"a": {"$in": ["A"]}}`, nil, []string{`{"a": "a"}`}},
		{`{"a": {"$in": ["x"]}}`, []string{`{"a": ["x"]}`}, nil},
		{`{"a": {"$in": [1]}}`, []string{`{"a": [1]}`}, []string{`{"a": ["1"]}`}},
		{`{"a": {"$in": [null]}}`, []string{`{}`}, nil},
		{`{"a": {"$nin": ["x"]}}`, []string{`{}`}, nil},
		{`{"a": {"$exists": true}}`, []string{`{"a": null}`}, []string{`{}`}},
		{`{"a": {"$not": {"$gt": 5}}}`, []string{`{}`}, []string{`{"a": 6}`}},
		{`{"$not": {"a": 1}}`, []string{`{"a": 2}`}, []string{`{"a": 1}`}},
		{`{"$or": [{"a": 1}, {"b": 1}]}`, []string{`{"b": 1}`}, []string{`{"a": 2}`}},
		{`{"$and": [{"a": 1}, {"b": 1}]}`, []string{`{"a": 1, "b": 1}`}, []string{`{"a": 1}`}},
		{`{"$nor": [{"a": 1}, {"b": 1}]}`, []string{`{"a": 2}`}, []string{`{"b": 1}`}},
		{`{"a.b": 1}`, []string{`{"a": {"b": 1}}`}, []string{`{"a.b": 1}`}},
		{`{"a": {"b": 1}}`, []string{`{"a": {"b": 1, "c": 2}}`}, []string{`{"a": {"c": 2}}`}},
		{`{"a": {}}`, []string{`{}`, `{"a": 1}`, `{"a": null}`}, nil},
		{`{}`, []string{`{}`, `{"a": 1}`}, nil},
		{`{"a": {"$size": 2}}`, []string{`{"a": [1, 2]}`}, []string{`{"a": [1]}`}},
		{`{"a": {"$all": [1, 2]}}`, []string{`{"a": [2, 1, 3]}`}, []string{`{"a": [1]}`}},
		{`{"a": {"$elemMatch": {"x": 1, "y": 2}}}`, []string{`{"a": [{"x": 1, "y": 2}]}`}, []string{`{"a": [{"x": 1}, {"y": 2}]}`}},
		{`{"a": {"$mod": [2, 0]}}`, []string{`{"a": "4"}`}, []string{`{"a": "3"}`}},
		{`{"a": {"$regex": "^X", "$options": "i"}}`, []string{`{"a": "xy"}`}, nil},
		{`{"a": {"$regex": "5"}}`, []string{`{"a": "5"}`}, []string{`{"a": 5}`}},
		{`{"a": {"$match": {"x": 1}}}`, []string{`{"a": {"x": 1}}`}, []string{`{"a": {"x": 1, "y": 2}}`, `{"a": {"x": 2}}`, `{}`}},

		// $like and $iLike
		{`{"a": {"$iLike": "jo@x.com"}}`, []string{`{"a": "banJO@X.com"}`}, nil},
		{`{"a": {"$like": "jo"}}`, []string{`{"a": "banjo"}`}, []string{`{"a": "banJO"}`}},
		{`{"a": {"$iLike": "%b%"}}`, []string{`{"a": "a%B%c"}`}, []string{`{"a": "abc"}`, `{}`}},
		{`{"a": {"$iLike": "null"}}`, []string{`{"a": null}`}, []string{`{}`}},
		{`{"a": {"$like": "5"}}`, []string{`{"a": 150}`, `{"a": ["x", "5"]}`}, nil},

		// ranges
		{`{"a": {"$gte": "2024-01-05T00:00:00Z"}}`, []string{`{"a": "2024-01-05"}`}, []string{`{"a": "2024-1-6"}`}},
		{`{"a": {"$gte": 10, "$lte": 10}}`, []string{`{"a": "$10"}`}, nil},
		{`{"a": {"$gte": -45, "$lte": -45}}`, []string{`{"a": "-€45"}`}, nil},
		{`{"a": {"$gte": 1, "$lte": 1}}`, []string{`{"a": "1 dollar"}`, `{"a": "1,500"}`}, nil},
		{`{"a": {"$gte": 102, "$lte": 102}}`, []string{`{"a": "01/02/2018"}`}, nil},
		{`{"a": {"$gt": 0}}`, []string{`{"a": [-1, 1]}`}, []string{`{"a": "31.12.2019"}`, `{"a": true}`, `{"a": null}`, `{}`}},
		{`{"a": {"$lt": "b"}}`, nil, []string{`{"a": "a"}`}},
		{`{"a": {"$gte": null}}`, nil, []string{`{"a": null}`, `{}`}},
	}
	for _, test := range tests {
		for _, row := range test.matches {
			assert.True(t, matches(t, test.where, row), "%s matches %s", test.where, row)
		}
		for _, row := range test.misses {
			assert.False(t, matches(t, test.where, row), "%s does not match %s", test.where, row)
		}
	}
}

// TestFilterConditions holds $filters to the protocol's table of conditions.
func TestFilterConditions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		filter  string
		matches []string
		misses  []string
	}{
		{`"condition": "==", "value": "Active"`, []string{`"ACTIVE"`}, []string{`"inactive"`, `null`}},
		{`"condition": "==", "value": 18`, []string{`18`, `"18"`}, []string{`19`, `null`, `""`}},
		{`"condition": "==", "value": "18"`, []string{`18`}, []string{`19`}},
		{`"condition": "!=", "value": "Active"`, []string{`"x"`, `null`}, []string{`"active"`}},
		{`"condition": ">", "value": 9`, []string{`10`, `"10"`}, []string{`9`, `null`, `"x"`}},
		{`"condition": ">=", "value": "9"`, []string{`9`, `"100"`}, []string{`8`, `true`}},
		{`"condition": "<", "value": 0`, []string{`-1`}, []string{`0`, `null`, `""`}},
		{`"condition": "<=", "value": "bob"`, []string{`"ANN"`, `"Bob"`}, []string{`"carl"`, `5`}},
		{`"condition": "contains", "value": "@X.com"`, []string{`"a@x.COM"`}, []string{`"a@y.com"`, `null`}},
		{`"condition": "contains", "value": 5`, []string{`150`}, []string{`1`}},
		{`"condition": "notcontain", "value": "x"`, []string{`"abc"`}, []string{`"aXc"`, `null`}},
		{`"condition": "regex", "value": "^A\\d$"`, []string{`"a1"`}, []string{`"ab"`, `null`}},
		{`"condition": "empty"`, []string{`null`, `""`, `[]`, `{}`}, []string{`0`, `false`, `" "`, `[null]`}},
		{`"condition": "notempty"`, []string{`0`, `false`, `"a"`}, []string{`null`, `[]`}},
		{`"condition": "between", "value": {"from": 1, "to": "5"}`, []string{`1`, `"5"`, `3.5`}, []string{`0`, `6`, `null`, `""`}},
		{`"condition": "between", "value": {"from": 1, "to": "?"}`, []string{`1000`}, []string{`0`}},
		{`"condition": "oneof", "value": ["a", 1, null]`, []string{`"a"`, `1`, `["z", "a"]`, `null`}, []string{`"A"`, `"1"`, `[]`}},
		{`"condition": "oneof", "value": "a, \"b,c\",1"`, []string{`"a"`, `"b,c"`, `1`}, []string{`"b"`, `"a,1"`, `null`}},
		{`"condition": "notoneof", "value": ["a"]`, []string{`"b"`, `null`}, []string{`"a"`, `["a"]`}},
		{`"condition": "notin", "value": "a,b"`, []string{`"c"`}, []string{`"b"`}},
		{`"condition": "none"`, []string{`null`, `1`}, nil},
		{`"condition": "contains", "value": ""`, []string{`null`, `"x"`}, nil},
		{`"condition": ">", "value": null`, []string{`null`, `"x"`}, nil},
		{`"condition": "dateis", "value": "2024-05-31"`, []string{`"2024-05-31"`, `"2024-05-31T23:59:59Z"`}, []string{`"2024-06-01"`, `null`, `"x"`, `"10:00"`}},
		{`"condition": "dateis", "value": "2024-05-31 10:00"`, []string{`"2024-05-31T10:00:00Z"`}, []string{`"2024-05-31 10:01"`}},
		{`"condition": "dateis", "value": "2024-05-31", "unit": "year"`, []string{`"2024-01-01"`}, []string{`"2025-05-31"`}},
		{`"condition": "dateis", "value": "2024-05-31", "unit": "week"`, []string{`"2024-05-26"`, `"2024-06-01"`}, []string{`"2024-06-02"`}},
		{`"condition": "dateis", "value": 86400000`, []string{`"1970-01-02T00:00:00Z"`, `86400000`}, []string{`"1970-01-02T00:00:01Z"`}},
		{`"condition": "datebefore", "value": "2024-05-31"`, []string{`"2024-05-30T23:59:59Z"`}, []string{`"2024-05-31T00:00:00Z"`, `null`}},
		{`"condition": "dateafter", "value": "17:30"`, []string{`"17:31"`, `"17:30:01"`}, []string{`"17:30"`, `"2024-05-31"`}},
		{`"condition": "datebetween", "from": {"value": "2024-05-01"}, "to": {"value": "2024-05-31"}`,
			[]string{`"2024-05-01"`, `"2024-05-31 23:00"`}, []string{`"2024-04-30"`, `"2024-06-01"`, `null`, `"12:00"`}},
		{`"condition": "datebetween", "from": {"value": "2024-05-01"}`, []string{`"2030-01-01"`}, []string{`"2024-04-30"`}},
		{`"condition": "datebetween"`, []string{`null`}, nil},
	}
	for _, test := range tests {
		where := `{"$filters": [{"column": "a", ` + test.filter + `}]}`
		for _, value := range test.matches {
			assert.True(t, matches(t, where, `{"a": `+value+`}`), "%s holds for %s", test.filter, value)
		}
		for _, value := range test.misses {
			assert.False(t, matches(t, where, `{"a": `+value+`}`), "%s does not hold for %s", test.filter, value)
		}
	}
}
