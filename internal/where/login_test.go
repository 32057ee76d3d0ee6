package where_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/where"
)

func TestBestPrefersTheRowThatEqualsTheQuery(t *testing.T) {
	t.Parallel()
	banjo, jo, other := where.M{"Email": "banjo@x.com", "Team": "A"}, where.M{"Email": " Jo@x.com", "Team": "B"}, where.M{"Email": "z", "No": json.Number("7")}
	for name, c := range map[string]struct {
		query where.M
		rows  []where.M
		want  int
	}{
		"nobody":                       {where.M{"Email": "jo@x.com"}, nil, -1},
		"the first of equals":          {where.M{"Email": "jo@x.com"}, []where.M{banjo, jo, jo}, 1},
		"the first when none is equal": {where.M{"Email": "q"}, []where.M{banjo, jo}, 0},
		"not a part of another":        {where.M{"Email": where.M{"$iLike": "jo@x.com"}}, []where.M{banjo}, -1},
		"the whole of a part":          {where.M{"Email": where.M{"$iLike": "JO@X.COM "}}, []where.M{banjo, jo}, 1},
		"a pattern":                    {where.M{"Email": where.M{"$regex": "jo"}}, []where.M{banjo, jo}, -1},
		"an operator of no value":      {where.M{"Email": where.M{"$ne": "q"}}, []where.M{banjo, jo}, 0},
		"eq":                           {where.M{"Email": where.M{"$eq": "jo@x.com"}}, []where.M{banjo, jo}, 1},
		"and":                          {where.M{"$and": []where.M{{"Team": "b"}, {"Email": "jo@x.com"}}}, []where.M{banjo, jo}, 1},
		"or":                           {where.M{"$or": []any{where.M{"Team": "C"}, where.M{"Email": "jo@x.com"}}}, []where.M{banjo, jo}, 1},
		"or of parts":                  {where.M{"$or": []any{where.M{"Email": where.M{"$iLike": "o@x"}}}}, []where.M{banjo, jo}, -1},
		"filters":                      {where.M{"$filters": []any{where.M{"column": "Team", "condition": "==", "value": "B"}}}, []where.M{banjo, jo}, 1},
		"filters for a part":           {where.M{"$filters": []any{where.M{"column": "Email", "condition": "contains", "value": "jo"}}}, []where.M{banjo, jo}, -1},
		"a number":                     {where.M{"No": 7}, []where.M{banjo, other}, 1},
	} {
		assert.Equal(t, c.want, where.Best(c.rows, c.query), name)
	}
}

func TestSatisfiesIsStrict(t *testing.T) {
	t.Parallel()
	row := where.M{"Email": "Jo@x.com", "Password": "s", "No": json.Number("7"), "Empty": ""}
	for _, yes := range []where.M{
		{"Email": "Jo@x.com"}, {"Email": where.M{"$iLike": " jo@X.com"}}, {"Email": where.M{"$eq": "Jo@x.com"}}, {"No": 7},
		{"$and": []any{where.M{"No": "7"}, where.M{"Password": "s"}}}, {"$or": []where.M{{"No": 8}, {"Password": "s"}}},
	} {
		assert.True(t, where.Satisfies(row, yes), "%v", yes)
	}
	for _, no := range []where.M{
		nil, {}, {"Email": "jo@x.com"}, {"Email": where.M{"$iLike": "o@x.com"}}, {"Password": "S"}, {"Empty": ""}, {"Absent": nil},
		{"Email": where.M{}}, {"Email": where.M{"$ne": "q"}}, {"Email": "Jo@x.com", "Password": "t"}, {"$nor": []any{}},
		{"$and": []any{}}, {"$or": []any{}}, {"$and": []any{where.M{"No": 7}, where.M{}}}, {"$filters": []any{}},
	} {
		assert.False(t, where.Satisfies(row, no), "%v", no)
	}
}

func TestLooksAtTheTextOfAColumn(t *testing.T) {
	t.Parallel()
	for _, yes := range []any{
		where.M{"body": "hi"}, where.M{"body": where.M{"$iLike": "h"}}, where.M{"body": where.M{"$ne": "x"}}, where.M{"data.body": "hi"},
		where.M{"$or": []any{where.M{"from": "x"}, where.M{"body": "hi"}}}, where.M{"$not": where.M{"body": "hi"}},
		where.M{"$and": []where.M{{"body": []any{"a"}}}}, where.M{"data": where.M{"$contains": where.M{"body": "hi"}}},
		where.M{"$filters": []any{where.M{"column": "body", "condition": "contains", "value": "h"}}},
	} {
		assert.True(t, where.LooksAt(yes, "body"), "%v", yes)
	}
	for _, no := range []any{
		nil, where.M{}, where.M{"from": "body"}, where.M{"body": ""}, where.M{"body": nil}, where.M{"body": where.M{"$exists": true}},
		where.M{"body": where.M{"$ne": ""}}, where.M{"body": where.M{"$not": nil}},
		where.M{"$filters": []any{where.M{"column": "body", "condition": "notempty"}, where.M{"column": "from", "condition": "==", "value": "x"}}},
	} {
		assert.False(t, where.LooksAt(no, "body"), "%v", no)
	}
	assert.True(t, where.Names("data.body", "body"))
	assert.False(t, where.Names("data.bodyguard", "body"))
}
