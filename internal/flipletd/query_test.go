package flipletd_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// ids returns the ids of the entries of an answer.
func (a answer) ids() []int64 {
	a.t.Helper()
	entries, ok := a.ok(200)["entries"].([]any)
	require.True(a.t, ok, a.body)
	out := []int64{}
	for _, e := range entries {
		out = append(out, int64(e.(m)["id"].(float64)))
	}
	return out
}

// people is a source whose rows test orders and filters.
func people(t *testing.T) *kit {
	k := start(t)
	k.Freeze(moment)
	k.source(m{"name": "People"})
	for i, row := range []string{
		`{"Name":"Ann","Age":9,"Team":"red","Mail":"ann@x.com"}`,
		`{"Name":"bob","Age":"10","Team":"blue","Address":{"City":"Rome"}}`,
		`{"Name":"Cid","Age":11.5,"Team":"red","Tags":["a","b"]}`,
		`{"Name":"Dee","Age":"old","Team":null}`,
		`{"Name":"Eve","Team":"blue"}`,
	} {
		k.do("PUT", "/v1/data-sources/101/data", row).ok(200)
		if i == 3 {
			k.do("POST", "/v1/data-sources/101/commit", `{"append":true,"entries":[{"id":5004,"order":1}]}`).ok(200)
		}
		k.Shift(time.Second)
	}
	return k
}

func TestQueryOrdersAndPages(t *testing.T) {
	t.Parallel()
	k := people(t)
	for name, test := range map[string]struct {
		body string
		want []int64
	}{
		"by order, then the newest id":        {`{}`, []int64{5004, 5005, 5003, 5002, 5001}},
		"numbers before text before nothing":  {`{"order":[["data.Age","ASC"]]}`, []int64{5001, 5002, 5003, 5004, 5005}},
		"the other way round":                 {`{"order":[["data.Age","desc"]]}`, []int64{5005, 5004, 5003, 5002, 5001}},
		"several terms":                       {`{"order":[["data.Team","DESC"],["id","desc"]]}`, []int64{5005 - 1, 5003, 5001, 5005, 5002}},
		"into a value":                        {`{"order":[["data.Address.City","ASC"],["id","ASC"]],"limit":1}`, []int64{5002}},
		"by time":                             {`{"order":[["createdAt","DESC"]],"limit":2}`, []int64{5005, 5004}},
		"by time and id":                      {`{"order":[["updatedAt","DESC"],["id","DESC"]],"limit":2,"offset":1}`, []int64{5004, 5003}},
		"limit 0 is none":                     {`{"limit":0,"order":[["id","ASC"]]}`, []int64{5001, 5002, 5003, 5004, 5005}},
		"fractions are cut off":               {`{"limit":2.9,"offset":1.9,"order":[["id","ASC"]]}`, []int64{5002, 5003}},
		"an offset beyond the end":            {`{"offset":10}`, []int64{}},
		"text that is a number":               {`{"limit":"2","order":[["id","ASC"]]}`, []int64{5001, 5002}},
		"null is not given":                   {`{"limit":null,"offset":null,"order":null,"where":null,"attributes":null}`, []int64{5004, 5005, 5003, 5002, 5001}},
		"where looks at columns":              {`{"where":{"Team":"red"},"order":[["id","ASC"]]}`, []int64{5001, 5003}},
		"where id is a column":                {`{"where":{"id":5001}}`, []int64{}},
		"ids beside where":                    {`{"id":5001,"where":{"Team":"red"}}`, []int64{5001}},
		"dataSourceEntryId":                   {`{"dataSourceEntryId":5003}`, []int64{5003}},
		"dataSourceEntryId and id":            {`{"dataSourceEntryId":5003,"id":{"$in":[5002]}}`, []int64{}},
		"created since":                       {`{"createdAt":{"$gte":"2026-02-01T08:00:03.123Z"},"order":[["createdAt","ASC"]]}`, []int64{5004, 5005}},
		"filters":                             {`{"where":{"$filters":[{"column":"Name","condition":"contains","value":"E"}]},"order":[["id","ASC"]]}`, []int64{5004, 5005}},
		"distinct is applied after the limit": {`{"distinct":"Team","order":[["id","ASC"]],"limit":3}`, []int64{5001, 5002}},
		"distinct with the prefix":            {`{"distinct":"data.Team","order":[["id","ASC"]]}`, []int64{5001, 5002, 5004}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, k.do("POST", "/v1/data-sources/101/data/query", test.body).ids())
		})
	}
}

func TestPaginationCountsWhatMatches(t *testing.T) {
	t.Parallel()
	k := people(t)
	for body, want := range map[string]m{
		`{"includePagination":true}`:                                                {"total": 5.0},
		`{"includePagination":true,"limit":2,"offset":1}`:                           {"total": 5.0, "limit": 2.0, "offset": 1.0},
		`{"includePagination":true,"where":{"Team":"red"},"limit":1}`:               {"total": 2.0, "limit": 1.0},
		`{"includePagination":true,"distinct":"Team"}`:                              {"total": 5.0},
		`{"includePagination":true,"limit":1,"order":[["createdAt","DESC"]]}`:       {"total": 5.0, "limit": 1.0},
		`{"includePagination":true,"limit":1,"order":[["data.Name","DESC"]]}`:       {"total": 5.0, "limit": 1.0},
		`{"includePagination":true,"limit":1,"where":{"$not":{"Team":{"$in":[]}}}}`: {"total": 5.0, "limit": 1.0},
	} {
		assert.Equal(t, want, k.do("POST", "/v1/data-sources/101/data/query", body).ok(200)["pagination"], body)
	}
	assert.NotContains(t, k.do("POST", "/v1/data-sources/101/data/query", `{"includePagination":"true"}`).ok(200), "pagination")
}

func TestAttributesTakeBothSpellings(t *testing.T) {
	t.Parallel()
	k := people(t)
	for _, attributes := range []string{`["Name"]`, `["data.Name"]`, `["data.Name","id"]`} {
		entries := k.do("POST", "/v1/data-sources/101/data/query", `{"id":5001,"attributes":`+attributes+`}`).ok(200)["entries"].([]any)
		assert.Equal(t, m{"Name": "Ann"}, entries[0].(m)["data"])
		assert.Contains(t, entries[0], "createdAt", "metadata always comes along")
	}
}

func TestQueriesThatCannotBeRun(t *testing.T) {
	t.Parallel()
	k := people(t)
	for _, body := range []string{
		`{"limit":-1}`, `{"offset":-1}`, `{"limit":"many"}`, `{"offset":true}`, `{"limit":[1]}`, `{"limit":1e999}`,
		`{"order":"Name"}`, `{"order":["Name"]}`, `{"order":[["Name","ASC"]]}`, `{"order":[["data.Unknown","ASC"]]}`, `{"order":[["data.Name","UP"]]}`,
		`{"order":[["id",1]]}`, `{"order":[[]]}`, `{"order":[["id","ASC","x"]]}`, `{"order":[[1,"ASC"]]}`,
		`{"where":[]}`, `{"where":"x"}`, `{"where":{"a":{"$foo":1}}}`, `{"where":{"$where":"true"}}`, `{"where":{"Name":{"$regex":"("}}}`,
		`{"id":"abc"}`, `{"updatedAt":{"$near":1}}`, `{"type":"truncate"}`, `{"type":"update"}`, `{"type":"update","data":[]}`,
		`{"attributes":"Name"}`, `{"attributes":[1]}`, `{"distinct":1}`, `{"join":[]}`, `{"join":{"A":{}}}`, `{"join":{"A":{"dataSourceId":101,"on":{"a":1}}}}`,
		`{"join":{"A":{"dataSourceId":101,"order":"x"}}}`, `{"aggregate":{}}`, `{"aggregate":[{"$out":{}}]}`, `{"aggregate":[{"$group":{}}]}`,
		`{"aggregate":[{"$group":{"_id":null,"a":{"$push":"$x"}}}]}`, `{"aggregate":[{"$sort":{"a":2}}]}`, `{"aggregate":[{"$project":{"a":{"$add":[1]}}}]}`,
	} {
		k.do("POST", "/v1/data-sources/101/data/query", body).refused(400)
	}
	k.do("POST", "/v1/data-sources/101/data/query", `{"join":{"A":{"dataSourceId":999}}}`).refused(404)
}

func TestViews(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{"definition": m{"views": []any{
		m{"name": "mine", "filter": m{"Owner": "session.Email"}}, m{"name": "public", "filter": m{"data.Public": true}},
	}}, "entries": []any{m{"Owner": "jo@x.com"}, m{"Owner": "al@x.com"}, m{"Public": true}}})
	k.source(m{"name": "Users", "entries": []any{m{"Email": "jo@x.com"}}})
	views := func(list string) []int64 {
		return k.do("POST", "/v1/data-sources/101/data/query", `{"order":[["id","ASC"]],"views":`+list+`}`).ids()
	}
	assert.Equal(t, []int64{}, views(`["mine"]`), "nobody is logged in")
	assert.Equal(t, []int64{5003}, views(`["mine","public"]`))
	k.do("POST", "/v1/session/authorize/dataSource", `{"dataSourceId":102,"where":{"Email":"jo@x.com"}}`).ok(200)
	assert.Equal(t, []int64{5001}, views(`["mine"]`))
	assert.Equal(t, []int64{5001, 5003}, views(`["mine","public","other"]`))
	assert.Equal(t, []int64{5001, 5002, 5003}, views(`["other"]`), "an unknown view is passed over")
}

func TestJoins(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.Freeze(moment)
	k.source(m{"name": "Articles", "entries": []any{m{"ID": 1, "T": "one"}, m{"ID": "2", "T": "two"}, m{"T": "none"}}})
	k.source(m{"name": "Comments", "entries": []any{
		m{"ArticleID": "1", "Likes": 3, "Text": "a"}, m{"ArticleID": 1, "Likes": "x", "Text": "b"}, m{"ArticleID": 1, "Likes": 4.5, "Text": "c"}, m{"Text": "d"},
	}})
	run := func(join string) (ids []int64, joins []any) {
		t.Helper()
		a := k.do("POST", "/v1/data-sources/Articles/data/query", `{"order":[["id","ASC"]],"join":{"Comments":`+join+`}}`)
		for _, e := range a.ok(200)["entries"].([]any) {
			if of, ok := e.(m)["joins"]; ok {
				joins = append(joins, of.(m)["Comments"])
			}
		}
		return a.ids(), joins
	}
	const on = `"dataSourceName":"Comments","on":{"data.ID":"data.ArticleID"}`
	ids, joins := run(`{` + on + `,"order":["createdAt","DESC"],"limit":2,"attributes":["Text"]}`)
	assert.Equal(t, []int64{5001, 5002, 5003}, ids)
	assert.Len(t, joins[0], 2)
	assert.Equal(t, m{"Text": "a"}, joins[0].([]any)[0].(m)["data"])
	assert.Empty(t, joins[1])
	ids, _ = run(`{` + on + `,"required":true}`)
	assert.Equal(t, []int64{5001}, ids)
	_, joins = run(`{` + on + `,"has":true}`)
	assert.Equal(t, []any{true, false, false}, joins)
	_, joins = run(`{` + on + `,"count":true,"where":{"Text":{"$ne":"b"}}}`)
	assert.Equal(t, []any{2.0, 0.0, 0.0}, joins)
	_, joins = run(`{` + on + `,"sum":"Likes"}`)
	assert.Equal(t, []any{7.5, 0.0, 0.0}, joins)
	ids, _ = run(`{"dataSourceId":102,"limit":2}`)
	assert.Equal(t, []int64{5001, 5002, 5003, 5007, 5006}, ids, "without on the rows of the other source follow")
}

// Each outer join has a condition, an order, a limit and columns of its own.
func TestOuterJoinsHaveTheirOwnRowsAndColumns(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.Freeze(moment)
	k.source(m{"name": "Host", "entries": []any{m{"A": 1, "B": 2}}})
	k.source(m{"name": "Other", "accessRules": []any{m{"type": []any{"select"}, "allow": "all", "exclude": []any{"Secret"}}}})
	for i := range 6 {
		k.put(102, m{"A": i, "B": i % 2, "Secret": "s"})
		k.Shift(time.Duration(i%2) * time.Second)
	}
	a := k.do("POST", "/v1/data-sources/101/data/query", `{"attributes":["A"],"join":{
		"a":{"dataSourceId":102,"order":["createdAt","DESC"],"limit":2,"attributes":["B"]},
		"b":{"dataSourceId":102,"where":{"B":1},"order":["id","ASC"],"limit":1},
		"c":{"dataSourceId":102,"where":{"A":{"$lt":2}},"order":["data.A","DESC"]}}}`).ok(200)
	var got []string
	for _, e := range a["entries"].([]any) {
		data, _ := json.Marshal(e.(m)["data"])
		got = append(got, fmt.Sprint(e.(m)["id"], " ", string(data)))
	}
	assert.Equal(t, []string{
		`5001 {"A":1}`, `5006 {"B":0}`, `5007 {"B":1}`, `5003 {"A":1,"B":1}`, `5003 {"A":1,"B":1}`, `5002 {"A":0,"B":0}`,
	}, got)
}

// What a join costs goes by the rows of its answer.
func TestAnOuterJoinLooksAtTheRowsOfItsAnswer(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.Freeze(moment)
	const sources, rows = 20, 500
	joins := make([]string, sources)
	for i := range sources {
		id := k.source(m{"name": "Talk", "type": "conversation"})
		for j := range rows {
			k.put(id, m{"n": j})
			k.Shift(time.Duration(j%2) * time.Millisecond)
		}
		joins[i] = fmt.Sprintf(`"c%[1]d":{"dataSourceId":%[1]d,"limit":2`, id)
	}
	for _, settings := range []string{
		"", `,"order":["updatedAt","DESC"]`, `,"order":["createdAt","ASC"]`, `,"order":["id","ASC"]`, `,"where":{"n":{"$gte":0}},"order":["createdAt","DESC"]`,
	} {
		query := `{"limit":1,"join":{` + strings.Join(joins, settings+`},`) + settings + `}}}`
		before := k.Looked()
		got := k.do("POST", "/v1/data-sources/101/data/query", query).ids()
		assert.Len(t, got, 1+2*sources)
		assert.LessOrEqual(t, k.Looked()-before, int64(1+2*sources), settings)
		k.Plain(true)
		assert.Equal(t, k.do("POST", "/v1/data-sources/101/data/query", query).ids(), got, settings)
		k.Plain(false)
	}
}

func TestAQueryMayHaveAsManyJoinsAsAreAllowed(t *testing.T) {
	t.Parallel()
	k := start(t, func(c *flipletd.Config) { c.MaxJoins = 2 })
	k.source(m{"entries": []any{m{}}})
	query := func(n int) answer {
		joins := make([]string, n)
		for i := range joins {
			joins[i] = fmt.Sprintf(`"j%d":{"dataSourceId":101}`, i)
		}
		return k.do("POST", "/v1/data-sources/101/data/query", `{"join":{`+strings.Join(joins, ",")+`}}`)
	}
	assert.Len(t, query(2).ids(), 3)
	assert.Contains(t, query(3).refused(400), "3 joins, more than the 2 that are allowed")
	none := k.Pull(flipletd.Rule{Faults: []flipletd.Fault{func(fx *flipletd.Effects) { fx.MaxJoins = new(0) }}})
	query(1).refused(400)
	assert.Len(t, query(0).ids(), 1)
	none.Off()
	assert.Len(t, query(1).ids(), 2)
}

func TestAggregates(t *testing.T) {
	t.Parallel()
	k := people(t)
	for pipeline, want := range map[string]string{
		`[{"$group":{"_id":"$data.Team","n":{"$sum":1}}},{"$sort":{"n":-1,"_id":1}}]`:                                                                                             `[{"_id":"blue","n":2},{"_id":"red","n":2},{"_id":null,"n":1}]`,
		`[{"$group":{"_id":"$data.Team","n":{"$sum":1}}},{"$sort":{"_id":-1,"n":1}}]`:                                                                                             `[{"_id":"red","n":2},{"_id":"blue","n":2},{"_id":null,"n":1}]`,
		`[{"$project":{"age":{"$convertToNumber":"$data.Age"}}},{"$group":{"_id":null,"sum":{"$sum":"$age"},"avg":{"$avg":"$age"},"min":{"$min":"$age"},"max":{"$max":"$age"}}}]`: `[{"_id":null,"sum":30.5,"avg":10.166666666666666,"min":9,"max":11.5}]`,
		`[{"$group":{"_id":null,"sum":{"$sum":"$data.Age"},"avg":{"$avg":"$data.Nothing"}}}]`:                                                                                     `[{"_id":null,"sum":20.5,"avg":null}]`,
		`[{"$sort":{"id":1}},{"$project":{"data.Name":1,"city":"$data.Address.City"}}]`:                                                                                           `[{"data":{"Name":"Ann"}},{"data":{"Name":"bob"},"city":"Rome"},{"data":{"Name":"Cid"}},{"data":{"Name":"Dee"}},{"data":{"Name":"Eve"}}]`,
		`[{"$group":{"_id":{"t":"$data.Team"},"first":{"$min":"$data.Name"}}},{"$sort":{"first":1}},{"$project":{"_id":0}}]`:                                                      `[{"first":"Ann"},{"first":"Dee"},{"first":"Eve"}]`,
	} {
		a := k.do("POST", "/v1/data-sources/101/data/query", `{"aggregate":`+pipeline+`}`)
		require.Equal(t, 200, a.status, a.body)
		var got struct{ Entries json.RawMessage }
		require.NoError(t, json.Unmarshal([]byte(a.body), &got))
		assert.JSONEq(t, want, string(got.Entries), pipeline)
	}
}

func TestListsAreFilteredByContainment(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.AddApp(2, "Other", 0)
	k.Freeze(moment)
	k.source(m{"name": "B", "type": "conversation", "definition": m{"participants": []any{"u1", "u2"}, "group": m{"public": true, "readOnly": false}}})
	k.Shift(time.Second)
	k.source(m{"name": "a", "type": "conversation", "definition": m{"participants": []any{"u2"}, "group": m{"public": false}}})
	k.source(m{"name": "C", "type": "menu"})
	k.source(m{"name": "D", "appId": 2, "definition": m{}})
	list := func(query string) []string {
		t.Helper()
		names := []string{}
		for _, s := range k.do("GET", "/v1/data-sources?"+query, "").ok(200)["dataSources"].([]any) {
			names = append(names, s.(m)["name"].(string))
		}
		return names
	}
	by := func(definition string) []string {
		return list("type=conversation&definition=" + url.QueryEscape(definition))
	}
	assert.Equal(t, []string{"B"}, by(`{"group":{"public":true}}`), "not equality: the stored object holds more")
	assert.Equal(t, []string{"B"}, by(`{"participants":["u1"]}`))
	assert.Equal(t, []string{"B", "a"}, by(`{"participants":["u2"]}`))
	assert.Equal(t, []string{"B"}, by(`{"participants":["u2","u1"]}`))
	assert.Equal(t, []string{}, by(`{"participants":["u"]}`))
	assert.Equal(t, []string{"B", "a"}, by(`{}`))
	assert.Equal(t, []string{"B", "C", "a"}, list(""), "by name, in the token's app")
	assert.Equal(t, []string{"D"}, list("appId=2"))
	assert.Equal(t, []string{"B", "C", "D", "a"}, list("organizationId=1"))
	assert.Equal(t, []string{"D"}, list("organizationId=1&appId=2"))
	assert.Equal(t, []string{}, list("organizationId=5"))
	assert.Equal(t, []string{"a", "C", "B"}, list("order=updatedAt&direction=DESC"))
	assert.Equal(t, []string{"B"}, list("excludeTypes=menu,other&definition="+url.QueryEscape(`{"group":{"public":true}}`)))
	assert.Equal(t, []string{"D"}, list("organizationId=1&excludeTypes=menu,conversation"))
	for _, query := range []string{"definition=%7B", "definition=[]", "order=color", "direction=UP", "appId=x", "organizationId=9999999999999999999999"} {
		k.do("GET", "/v1/data-sources?"+query, "").refused(400)
	}
}

func TestNamesFindDataSources(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.AddApp(2, "Other", 0)
	ids := map[string]int64{}
	for _, name := range []string{"Foo bar", "a/b", "what?", "#1", "100%", "día 🎉", "data", "..", "101", "deleted"} {
		ids[name] = k.source(m{"name": name})
	}
	elsewhere := k.source(m{"name": "Twin", "appId": 2})
	twin := k.source(m{"name": "Twin"})
	k.source(m{"name": "Twin"})
	name := func(path string) any {
		t.Helper()
		return k.do("GET", "/v1/data-sources/"+path, "").ok(200)["dataSource"].(m)["id"]
	}
	for n, id := range ids {
		if n == "deleted" {
			continue // a literal path comes first
		}
		assert.EqualValues(t, id, name(url.PathEscape(n)+"?dsn"), n)
		k.do("PUT", "/v1/data-sources/"+url.PathEscape(n)+"/data?dsn=", `{"a":1}`).ok(200)
	}
	assert.EqualValues(t, 101, name("101"), "digits are an id")
	assert.EqualValues(t, ids["101"], name("101?dsn"), "unless dsn is there, even empty")
	assert.EqualValues(t, twin, name("Twin"), "the oldest in the token's own app")
	assert.EqualValues(t, elsewhere, name("Twin?appId=2"))
	k.do("GET", "/v1/data-sources/twin", "").refused(404)
	k.do("GET", "/v1/data-sources/Twin?organizationId=2", "").refused(404)
	k.do("POST", "/v1/data-sources/data", `{"flUserToken":"x"}`).refused(403)
}

func TestSourcesAreChecked(t *testing.T) {
	t.Parallel()
	k := start(t)
	for _, body := range []string{
		`{}`, `{"name":"","appId":1}`, `{"name":7,"appId":1}`, `{"name":"x"}`, `{"name":"x","appId":0}`, `{"name":"x","appId":"abc"}`, `{"name":"x","appId":77}`,
		`{"name":"x","organizationId":77}`, `{"name":"x","appId":1,"organizationId":2}`, `{"name":"x","appId":1,"type":7}`, `{"name":"x","appId":1,"definition":[]}`,
		`{"name":"x","appId":1,"hooks":{}}`, `{"name":"x","appId":1,"hooks":[1]}`, `{"name":"x","appId":1,"accessRules":"all"}`, `{"name":"x","appId":1,"columns":[1]}`,
		`{"name":"x","appId":1,"entries":{}}`, `{"name":"x","appId":1,"entries":[1]}`,
	} {
		k.do("POST", "/v1/data-sources", body).refused(400)
	}
	assert.Empty(t, k.Sources())
	k.source(m{})
	for _, body := range []string{`{"name":""}`, `{"definition":"x"}`, `{"name":"new","hooks":7}`} {
		k.do("PUT", "/v1/data-sources/101", body).refused(400)
	}
	assert.Equal(t, "Things", k.Sources()[0].Name, "a refused update changes nothing")
	made := k.do("POST", "/v1/data-sources?appId=1", `{"name":"Full","type":"keystore","columns":["z"],"entries":[{"a":1},{"a":2}],"bundle":true,"encrypted":true,"appCapabilities":{"x":1},"definition":null}`).ok(201)["dataSource"].(m)
	assert.Equal(t, []any{"z", "a"}, made["columns"])
	assert.Equal(t, true, made["bundle"])
	assert.Equal(t, true, made["encrypted"])
	assert.Equal(t, m{"x": 1.0}, made["appCapabilities"])
	assert.Len(t, k.live(int64(made["id"].(float64))), 2)
	k.do("PUT", fmt.Sprintf("/v1/data-sources/%.0f", made["id"]), `{"definition":{"a":1}}`).ok(200)
	k.do("PUT", fmt.Sprintf("/v1/data-sources/%.0f", made["id"]), `{"definition":{"b":1}}`).ok(200)
	assert.Equal(t, m{"b": json.Number("1")}, k.Sources()[1].Definition, "a definition is replaced whole")
}

// A join gives no more away than a query does, and is refused where a query would be.
func TestJoinsAreHeldToWhatQueriesAreHeldTo(t *testing.T) {
	t.Parallel()
	k := start(t)
	host := k.source(m{"name": "Host", "entries": []any{m{"n": 1}}})
	source := k.source(m{"name": "Pay", "entries": []any{m{"who": "ann", "salary": 777, "n": 1}, m{"who": "bob", "salary": 1234, "n": 1}}})
	token, id, err := k.AddToken(flipletd.APIToken, 1, 0, "")
	require.NoError(t, err)
	rules := func(rule m) {
		rule["type"], rule["allow"] = []any{"select"}, m{"tokens": []any{id}}
		k.studio().do("PUT", fmt.Sprintf("/v1/data-sources/%d", host), js(m{"accessRules": []any{m{"type": []any{"select"}, "allow": m{"tokens": []any{id}}}}})).ok(200)
		k.studio().do("PUT", fmt.Sprintf("/v1/data-sources/%d", source), js(m{"accessRules": []any{rule}})).ok(200)
	}
	ask := func(j m) answer {
		j["dataSourceId"] = source
		return k.as(token).do("POST", fmt.Sprintf("/v1/data-sources/%d/data/query", host), js(m{"join": m{"J": j}}))
	}
	sum := func(column string) any {
		a := ask(m{"on": m{"data.n": "data.n"}, "sum": column, "attributes": []any{"who"}})
		return a.ok(200)["entries"].([]any)[0].(m)["joins"].(m)["J"]
	}
	rules(m{})
	assert.Equal(t, 2011.0, sum("data.salary"), "nothing is hidden")
	for _, hides := range []m{{"exclude": []any{"salary"}}, {"include": []any{"who", "n"}}} {
		rules(hides)
		assert.Equal(t, 0.0, sum("data.salary"), hides)
		assert.Equal(t, 2.0, sum("data.n"), hides)
	}
	rules(m{"require": []any{"who"}})
	assert.Len(t, ask(m{"where": m{"who": "ann"}}).ok(200)["entries"], 2, "one of each")
	ask(m{"where": m{"n": 1}}).refused(400)
	ask(m{}).refused(400)
	rules(m{})
	for _, bad := range []m{
		{"where": []any{}}, {"where": "x"}, {"where": 5}, {"where": true}, {"where": []any{m{"who": "ann"}}}, {"sum": 5}, {"sum": []any{"n"}},
		{"order": []any{"data.nothing", "ASC"}}, {"order": []any{[]any{"data.nothing", "ASC"}}},
	} {
		ask(bad).refused(400)
	}
	ask(m{"order": []any{"data.who", "DESC"}}).ok(200)
}

func js(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
