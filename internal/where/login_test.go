package where_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/where"
)

func parsed(t *testing.T, query where.M, anyOperator bool) where.Login {
	t.Helper()
	login, err := where.ParseLogin(query, anyOperator)
	require.NoError(t, err, "%v", query)
	return login
}

// choose returns the indexes of the rows that may be logged in.
func choose(l where.Login, rows []where.M) []int {
	indexes := make([]int, len(rows))
	for i := range rows {
		indexes[i] = i
	}
	return where.Choose(l, func(i int) where.M { return rows[i] }, indexes...)
}

func TestOnlyRowsThatMatchTheQueryHereAreChosen(t *testing.T) {
	t.Parallel()
	banjo, jo, other := where.M{"Email": "banjo@x.com", "Team": "A"}, where.M{"Email": " Jo@x.com", "Team": "B"}, where.M{"Email": "z", "No": json.Number("7"), "On": true}
	for name, c := range map[string]struct {
		query where.M
		rows  []where.M
		want  []int
	}{
		"nobody":                     {where.M{"Email": "jo@x.com"}, nil, nil},
		"all of equals, in order":    {where.M{"Email": " Jo@x.com"}, []where.M{banjo, jo, jo}, []int{1, 2}},
		"none when none is equal":    {where.M{"Email": "q"}, []where.M{banjo, jo}, nil},
		"equality heeds case":        {where.M{"Email": "jo@x.com"}, []where.M{banjo, jo}, nil},
		"not a part of another":      {where.M{"Email": where.M{"$iLike": "jo@x.com"}}, []where.M{banjo}, nil},
		"the whole, apart from case": {where.M{"Email": where.M{"$iLike": "JO@X.COM "}}, []where.M{banjo, jo}, []int{1}},
		"eq":                         {where.M{"Email": where.M{"$eq": "banjo@x.com"}}, []where.M{banjo, jo}, []int{0}},
		"and":                        {where.M{"$and": []where.M{{"Team": "B"}, {"Email": " Jo@x.com"}}}, []where.M{banjo, jo}, []int{1}},
		"or":                         {where.M{"$or": []any{where.M{"Team": "C"}, where.M{"Email": "banjo@x.com"}}}, []where.M{banjo, jo}, []int{0}},
		"or of parts":                {where.M{"$or": []any{where.M{"Email": where.M{"$iLike": "o@x"}}}}, []where.M{banjo, jo}, nil},
		"a number":                   {where.M{"No": 7}, []where.M{banjo, other}, []int{1}},
		"a number by value":          {where.M{"No": json.Number("7.0")}, []where.M{banjo, other}, []int{1}},
		"a boolean":                  {where.M{"On": true}, []where.M{banjo, other}, []int{1}},
		"where":                      {where.M{"where": where.M{"Team": "A"}}, []where.M{banjo, jo}, []int{0}},
	} {
		assert.Equal(t, c.want, choose(parsed(t, c.query, false), c.rows), name)
	}
}

func TestAnyOperatorIsCheckedAsFarAsItCanBe(t *testing.T) {
	t.Parallel()
	a, b := where.M{"Email": "a@x", "Team": "A", "Age": json.Number("30")}, where.M{"Email": "b@x", "Team": "B", "Age": json.Number("40")}
	for name, c := range map[string]struct {
		query where.M
		want  []int
	}{
		"in":                       {where.M{"Team": where.M{"$in": []string{"B", "C"}}}, []int{1}},
		"nin":                      {where.M{"Team": where.M{"$nin": []string{"B"}}}, []int{0}},
		"ne":                       {where.M{"Team": where.M{"$ne": "A"}}, []int{1}},
		"not":                      {where.M{"Team": where.M{"$not": where.M{"$eq": "A"}}}, []int{1}},
		"not, of a value":          {where.M{"Team": where.M{"$not": "A"}}, []int{1}},
		"not, of a list":           {where.M{"Team": where.M{"$not": []string{"A"}}}, []int{1}},
		"ne, of a list":            {where.M{"Team": where.M{"$ne": []string{"A", "B"}}}, nil},
		"filters that differ":      {where.M{"$filters": []any{where.M{"column": "Team", "condition": "!=", "value": "b"}}}, []int{0}},
		"nor":                      {where.M{"$nor": []where.M{{"Team": "A"}}}, []int{1}},
		"gt":                       {where.M{"Age": where.M{"$gt": 30}}, []int{1}},
		"gte":                      {where.M{"Age": where.M{"$gte": 30}}, []int{0, 1}},
		"gt, without a value":      {where.M{"Absent": where.M{"$gt": 1}}, nil},
		"text, without a value":    {where.M{"Absent": where.M{"$gt": "a"}}, nil},
		"not there":                {where.M{"Absent": where.M{"$exists": true}}, nil},
		"to be not there":          {where.M{"Absent": where.M{"$exists": false}}, []int{0, 1}},
		"lt":                       {where.M{"Age": where.M{"$lt": 40}}, []int{0}},
		"lte":                      {where.M{"Age": where.M{"$lte": 40}}, []int{0, 1}},
		"exists":                   {where.M{"Age": where.M{"$exists": true}, "Team": "B"}, []int{1}},
		"the server's word":        {where.M{"Email": where.M{"$regex": "^b"}}, []int{0, 1}},
		"contradicted beside it":   {where.M{"Email": where.M{"$regex": "@"}, "Team": "B"}, []int{1}},
		"certain before possible":  {where.M{"$or": []where.M{{"Email": where.M{"$regex": "@"}}, {"Team": "B"}}}, []int{1, 0}},
		"iLike stays whole":        {where.M{"Email": where.M{"$iLike": "@x"}}, nil},
		"filters that equal":       {where.M{"$filters": []any{where.M{"column": "Team", "condition": "==", "value": "b"}}}, []int{1}},
		"filters, the server's":    {where.M{"$filters": []any{where.M{"column": "Team", "condition": "contains", "value": "B"}}}, []int{0, 1}},
		"an object, the server's":  {where.M{"Team": where.M{"$elemMatch": where.M{"x": 1}}}, []int{0, 1}},
		"order of text, server's":  {where.M{"Email": where.M{"$gt": "b"}}, []int{0, 1}},
		"a list means any of them": {where.M{"Team": []string{"A"}}, []int{0, 1}},
	} {
		login := parsed(t, c.query, true)
		assert.Equal(t, c.want, choose(login, []where.M{a, b}), name)
		for i, row := range []where.M{a, b} {
			if login.Satisfied(row) {
				assert.Contains(t, c.want, i, name)
			}
		}
	}
	assert.False(t, parsed(t, where.M{"Email": where.M{"$regex": "^b"}}, true).Satisfied(b), "not certain without the server")
}

func TestWhoeverLacksAColumnIsNotFoundByWhatNeedsItsValue(t *testing.T) {
	t.Parallel()
	row := where.M{"Email": "jane@x", "Empty": nil, "Inside": where.M{"Email": "jane@x"}}
	for _, column := range []string{"Absent", "Empty"} {
		for op, operand := range map[string]any{
			"$regex": "x", "$like": "x", "$iLike": "x", "$gt": 0, "$lt": "a", "$in": []string{"a"}, "$size": 3, "$all": []string{"a"}, "$mod": []int{2, 0},
			"$elemMatch": where.M{"a": 1}, "$match": where.M{"a": 1}, "$contains": "x", "$startsWith": "x", "$between": []int{1, 2}, "$eq": "x",
		} {
			assert.Empty(t, choose(parsed(t, where.M{column: where.M{op: operand}}, true), []where.M{row}), "%s %s", column, op)
		}
		assert.Empty(t, choose(parsed(t, where.M{column: []string{"a"}}, true), []where.M{row}), column)
		for _, condition := range []string{"==", "contains", "notcontain", "notcontains", ">", "regex", "notempty", "between", "oneof", "dateis", "other"} {
			filters := where.M{"$filters": []any{where.M{"column": column, "condition": condition, "value": "x"}}}
			assert.Empty(t, choose(parsed(t, filters, true), []where.M{row}), "%s %s", column, condition)
		}
		for _, query := range []where.M{
			{column: where.M{"$ne": "x"}}, {column: where.M{"$not": "x"}}, {column: where.M{"$not": where.M{"$regex": "x"}}}, {column: where.M{"$not": []string{"x"}}},
			{column: where.M{"$nin": []string{"x"}}}, {"$nor": []where.M{{column: where.M{"$like": "x"}}}}, {column: where.M{"$notLike": "x"}},
			{"$filters": []any{where.M{"column": column, "condition": "!=", "value": "x"}}}, {"$filters": []any{where.M{"column": column, "condition": "empty"}}},
			{"$filters": []any{where.M{"column": column, "condition": "notin", "value": "x"}}},
		} {
			assert.Len(t, choose(parsed(t, query, true), []where.M{row}), 1, "%v", query)
		}
	}
	assert.Len(t, choose(parsed(t, where.M{"Inside.Email": where.M{"$regex": "x"}}, true), []where.M{row}), 1, "the server knows paths")
	assert.Empty(t, choose(parsed(t, where.M{"Email.x": where.M{"$eq": "x"}}, true), []where.M{row}))
}

func TestSatisfiedIsStrict(t *testing.T) {
	t.Parallel()
	row := where.M{"Email": "Jo@x.com", "Password": "s", "No": json.Number("7"), "Empty": ""}
	for _, yes := range []where.M{
		{"Email": "Jo@x.com"}, {"Email": where.M{"$iLike": " jo@X.com"}}, {"Email": where.M{"$eq": "Jo@x.com"}}, {"No": 7},
		{"$and": []any{where.M{"No": "7"}, where.M{"Password": "s"}}}, {"$or": []where.M{{"No": 8}, {"Password": "s"}}},
	} {
		assert.True(t, parsed(t, yes, false).Satisfied(row), "%v", yes)
	}
	for _, no := range []where.M{
		{"Email": "jo@x.com"}, {"Email": where.M{"$iLike": "o@x.com"}}, {"Password": "S"}, {"Absent": "x"},
		{"Email": "Jo@x.com", "Password": "t"}, {"Email": where.M{"$eq": "Jo@x.com", "$iLike": "x"}},
	} {
		assert.False(t, parsed(t, no, false).Satisfied(row), "%v", no)
	}
	for _, no := range []where.M{{"Email": where.M{"$ne": "Jo@x.com"}}, {"$where": "true"}, {"$filters": []any{where.M{"column": "x"}}}} {
		assert.False(t, parsed(t, no, true).Satisfied(row), "%v", no)
	}
	without := parsed(t, where.M{"Email": "Jo@x.com", "flUserToken": "t"}, false)
	assert.Equal(t, "t", without.Column("flUserToken"))
	assert.True(t, without.Without("flUserToken").Satisfied(row))
	assert.False(t, without.Satisfied(row), "Without changes a copy")
	assert.True(t, parsed(t, where.M{"flUserToken": "t"}, false).Without("flUserToken").Satisfied(row))
}

func TestLoginQueriesThatSayNothingAreRefused(t *testing.T) {
	t.Parallel()
	var missing *string
	for text, query := range map[string]where.M{
		`empty`:                           nil,
		`empty;`:                          {},
		`empty; say`:                      {"where": where.M{}},
		`"flUserToken" is nil`:            {"flUserToken": nil},
		`"token" is nil`:                  {"token": missing},
		`"Email" is blank`:                {"Email": ""},
		`"Mail" is blank`:                 {"Mail": " \t\n"},
		`"Email.$iLike" is blank`:         {"Email": where.M{"$iLike": " "}},
		`"Email.$eq" is nil`:              {"Email": where.M{"$eq": nil}},
		`"Email" is an empty object`:      {"Email": where.M{}},
		`"Team" is nil`:                   {"Team": where.M(nil)},
		`"$and" is an empty list`:         {"$and": []any{}},
		`"$or" is an empty list`:          {"$or": []where.M{}, "Z": "z"},
		`"$or[1]" is an empty object`:     {"$or": []where.M{{"Email": "x"}, {}}},
		`"$or[0].$and[0].Email" is blank`: {"$or": []where.M{{"$and": []where.M{{"Email": ""}}}}},
		`"where" is nil`:                  {"where": nil},
		`"No.$in[1]" is nil`:              {"No": where.M{"$in": []any{1, nil}}},
		`"No.$ne" is nil`:                 {"No": where.M{"$ne": nil}},
		`"No.$not" is an empty object`:    {"No": where.M{"$not": where.M{}}},
		`"$filters[0].value" is blank`:    {"$filters": []any{where.M{"column": "c", "condition": "==", "value": ""}}},
		`cannot be written as JSON`:       {"No": func() {}},
		`cannot be written as JSON; give`: {"No": math.NaN()},
	} {
		for _, anyOperator := range []bool{false, true} {
			_, err := where.ParseLogin(query, anyOperator)
			require.ErrorContains(t, err, text)
		}
	}
}

func TestOtherOperatorsNeedTheOption(t *testing.T) {
	t.Parallel()
	for text, query := range map[string]where.M{
		`column "Email": "$ne"`:        {"Email": where.M{"$ne": "q"}},
		`column "Email": "$regex"`:     {"Email": where.M{"$regex": "jo"}},
		`column "Email": "$like"`:      {"Email": where.M{"$like": "jo"}},
		`column "No": "$in"`:           {"No": where.M{"$in": []int{1}}},
		`column "Two": "$ne"`:          {"Two": where.M{"$eq": "q", "$ne": "r"}},
		`"$filters" can match`:         {"$filters": []any{where.M{"column": "Team", "condition": "==", "value": "B"}}},
		`"$nor" can match`:             {"$and": []any{where.M{"$nor": []any{where.M{"a": "b"}}}}},
		`"$where" can match`:           {"$or": []where.M{{"$where": "1"}}},
		`column "List": want text`:     {"List": []string{"a"}},
		`column "Profile": want text`:  {"Profile": where.M{"email": "x"}},
		`column "Email": want text, a`: {"Email": where.M{"$eq": []string{"x"}}},
		`"$and": want a list`:          {"$and": where.M{"a": "b"}},
		`$or[0]: want a condition`:     {"$or": []any{"a"}},
		`a column without a name`:      {" ": "x"},
	} {
		_, err := where.ParseLogin(query, false)
		require.ErrorContains(t, err, text)
	}
}

func TestAQueryIsSentAsItIsChecked(t *testing.T) {
	t.Parallel()
	type address string
	mail := "jo@x.com"
	login := parsed(t, where.M{"Email": &mail, "Second": address("b"), "No": 7}, false)
	sent := login.Where()
	assert.Equal(t, where.M{"Email": "jo@x.com", "Second": "b", "No": json.Number("7")}, sent)
	sent["No"] = 8
	assert.Equal(t, json.Number("7"), login.Where()["No"])
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

func TestQueriesThatAskForTheSameHaveOneFingerprint(t *testing.T) {
	t.Parallel()
	same := []where.M{
		{"Email": "jo@x.com"}, {"Email": " JO@X.com "}, {"Email": where.M{"$iLike": "Jo@x.com"}}, {"Email": where.M{"$eq": "jo@x.com"}}, {"where": where.M{"Email": "jo@x.com"}},
	}
	seen := map[string]bool{}
	for _, query := range same {
		seen[parsed(t, query, false).Fingerprint()] = true
	}
	assert.Len(t, seen, 1)
	for _, query := range []where.M{
		{"Email": "jo@x.co"}, {"email": "jo@x.com"}, {"Email": "jo@x.com", "Team": "A"}, {"$or": []any{where.M{"Email": "jo@x.com"}}}, {"Email": where.M{"$ne": "jo@x.com"}}, {"Age": 30},
	} {
		seen[parsed(t, query, true).Fingerprint()] = true
	}
	assert.Len(t, seen, 7)
	for print := range seen {
		assert.Regexp(t, "^[0-9a-f]{64}$", print)
	}
	assert.Equal(t, parsed(t, where.M{"Age": 30}, false).Fingerprint(), parsed(t, where.M{"Age": "30"}, false).Fingerprint())
}

func TestTheColumnsOfAQueryAreFoundAtAnyDepth(t *testing.T) {
	t.Parallel()
	query := where.M{
		"b": "1", "$and": []any{where.M{"a": where.M{"$iLike": "x"}}, where.M{"$or": []any{where.M{"c": 1}}}},
		"$not": where.M{"d": 1}, "$filters": []any{where.M{"column": "e", "condition": "==", "value": "x"}},
	}
	assert.Equal(t, []string{"a", "b", "c", "d", "e"}, parsed(t, query, true).Columns())
}
