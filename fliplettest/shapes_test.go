package fliplettest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestIgnoredParameters(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	for range 4 {
		r.send(`{"n":1}`)
	}
	r.do("DELETE", "/v1/data-sources/Talk/data/5003", "")
	for parameter, test := range map[string]struct {
		more string
		want []int64
	}{
		"limit":          {`,"limit":1`, []int64{5006, 5005, 5004}},
		"offset":         {`,"offset":1`, []int64{5006, 5005, 5004}},
		"order":          {`,"order":[["id","ASC"]]`, []int64{5006, 5005, 5004}},
		"where":          {`,"where":{"id":5004}`, []int64{5006, 5005, 5004}},
		"includeDeleted": {`,"includeDeleted":true`, []int64{5006, 5005, 5004}},
		"dataSourceIds":  {`,"dataSourceIds":[1]`, []int64{5006, 5005, 5004}},
		"count":          {`,"count":true`, []int64{5006, 5005, 5004}},
	} {
		lever := r.Always(fliplettest.CrossSource, fliplettest.Ignore(parameter))
		assert.Equal(t, test.want, r.poll(test.more).ids(t), parameter)
		lever.Off()
		assert.NotEqual(t, r.poll("").body, r.poll(test.more).body, parameter)
	}
	const path = "/v1/data-sources?attributes=name&type=conversation&definition=%7B%22participants%22%3A%5B%22nobody%22%5D%7D"
	r.Next(1, fliplettest.ListSources, fliplettest.Ignore("definition", "attributes"))
	assert.Contains(t, r.do("GET", path, "").body, `"type":"conversation"`)
	r.Next(1, fliplettest.ListSources, fliplettest.Ignore("definition", "type"))
	assert.Contains(t, r.do("GET", path, "").body, `"Contacts"`)
	assert.Equal(t, `{"dataSources":[]}`, r.do("GET", path, "").body)
	r.Next(1, fliplettest.Insert, fliplettest.Ignore("limit"))
	assert.Contains(t, r.send(`{"limit":1}`).body, `"limit":1`, "columns are no parameters")
}

func TestQueriesWithTooManyJoinsAreRefused(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess(), fliplettest.WithMaxJoins(1))
	const one, two = `{"join":{"a":{"dataSourceId":101}}}`, `{"join":{"a":{"dataSourceId":101},"b":{"dataSourceId":101}}}`
	const path = "/v1/data-sources/Talk/data/query"
	assert.Equal(t, 200, r.do("POST", path, one).status)
	assert.Equal(t, 400, r.do("POST", path, two).status)
	r.Next(1, fliplettest.Query, fliplettest.MaxJoins(0))
	assert.Equal(t, 400, r.do("POST", path, one).status)
	r.Next(1, fliplettest.Query, fliplettest.MaxJoins(2))
	assert.Equal(t, 200, r.do("POST", path, two).status)
}

func TestAnswersThatAreCut(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	for range 5 {
		r.send(`{"body":"0123456789"}`)
	}
	const path = "/v1/data-sources/Talk/data"
	all := r.do("POST", path+"/query", `{}`).ids(t)
	require.Greater(t, len(all), 4)
	for _, route := range []fliplettest.Route{fliplettest.Query, fliplettest.CrossSource, fliplettest.ListEntries} {
		r.Always(route, fliplettest.MostRows(4))
	}
	assert.Equal(t, all[:4], r.do("POST", path+"/query", `{"limit":200}`).ids(t))
	assert.Equal(t, all[4:], r.do("POST", path+"/query", `{"offset":4}`).ids(t))
	assert.Len(t, r.do("GET", path, "").ids(t), 4)
	assert.Len(t, r.poll("").ids(t), 4)
	r.Next(2, fliplettest.Query, fliplettest.MostBytes(1))
	assert.Equal(t, all[:1], r.do("POST", path+"/query", `{"limit":200}`).ids(t))
	assert.Equal(t, all[1:2], r.do("POST", path+"/query", `{"limit":200,"offset":1}`).ids(t))
}

func TestEverybodysConversations(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	r.send(`{}`)
	own := r.poll("").ids(t)
	foreign := r.AddDataSource(datasource.M{"name": "Others", "type": "conversation", "definition": datasource.M{"participants": []string{"u-else"}}})
	other := r.AddRows(foreign, datasource.M{"body": "x"})
	r.AddRows(r.AddDataSource(datasource.M{"name": "No conversation"}), datasource.M{"body": "y"})
	assert.Equal(t, own, r.poll("").ids(t))
	r.Next(1, fliplettest.CrossSource, fliplettest.Everybody())
	assert.ElementsMatch(t, append(other, own...), r.poll("").ids(t))
	assert.Equal(t, own, r.poll("").ids(t))
}

func TestRowsOutOfOrderAndTwice(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	for range 20 {
		r.send(`{}`)
	}
	plain := r.poll("").ids(t)
	r.Next(1, fliplettest.CrossSource, fliplettest.Reverse())
	assert.Equal(t, plain[0], r.poll("").ids(t)[19])
	r.Next(1, fliplettest.CrossSource, fliplettest.Shuffle())
	shuffled := r.poll("").ids(t)
	assert.NotEqual(t, plain, shuffled)
	assert.ElementsMatch(t, plain, shuffled)
	r.Next(1, fliplettest.Query, fliplettest.DuplicateRow(), fliplettest.Shuffle())
	twice := r.do("POST", "/v1/data-sources/Talk/data/query", `{}`).ids(t)
	assert.Len(t, twice, 21)
	assert.Subset(t, plain, twice)
	assert.Equal(t, plain, r.poll("").ids(t))
}

func TestOtherShapes(t *testing.T) {
	t.Parallel()
	count := `,"count":true`
	for _, test := range []struct {
		name         string
		fault        fliplettest.Fault
		method, path string
		body         string
		status       int
		want, never  string
	}{
		{"count in entries", fliplettest.CountInEntries(), "POST", "/v1/data-sources/data", count, 200, `{"entries":1}`, ""},
		{"count in count", fliplettest.CountInCount(), "POST", "/v1/data-sources/data", count, 200, `{"count":1}`, ""},
		{"count as rows", fliplettest.CountAsRows(), "POST", "/v1/data-sources/data", count + `,"limit":7`, 200, `{"entries":[{"id":5003,`, ""},
		{"empty bulk", fliplettest.EmptyBody(), "POST", "/v1/data-sources/Talk/data", `{"append":true,"entries":[{}]}`, 200, ``, "{"},
		{"wrapped bulk", fliplettest.WrapBulk(), "POST", "/v1/data-sources/Talk/data", `{"append":true,"entries":[{}]}`, 200, `{"entries":[{"id":`, ""},
		{"wrapped entry", fliplettest.WrapEntry(), "GET", "/v1/data-sources/Talk/data/5003", ``, 200, `{"entry":{"id":5003`, ""},
		{"created", fliplettest.CreatedOnInsert(), "PUT", "/v1/data-sources/Talk/data", `{}`, 201, `{"id":`, ""},
		{"no deletedAt", fliplettest.OmitDeletedAt(), "GET", "/v1/data-sources/Talk/data/5003", ``, 200, `{"id":5003`, "deletedAt"},
		{"deletedAt", fliplettest.ShowDeletedAt(), "GET", "/v1/data-sources/Talk/data", ``, 200, `"deletedAt":null}`, ""},
		{"ids as texts", fliplettest.IDsAsStrings(), "GET", "/v1/data-sources/Talk/data/5003", ``, 200, `{"id":"5003","dataSourceId":"102"`, ""},
		{"ids of sources as texts", fliplettest.IDsAsStrings(), "GET", "/v1/data-sources/Talk", ``, 200, `{"dataSource":{"id":"102"`, ""},
		{"fields left out", fliplettest.OmitFields("order", "definition"), "GET", "/v1/data-sources/Talk", ``, 200, `"columns":`, "definition"},
		{"fields null", fliplettest.NullFields("definition"), "GET", "/v1/data-sources/Talk", ``, 200, `"definition":null`, "participants"},
		{"data null", fliplettest.NullFields("data"), "GET", "/v1/data-sources/Talk/data", ``, 200, `"data":null`, "hello"},
		{"unknown fields", fliplettest.UnknownFields(), "GET", "/v1/data-sources/Talk/data/5003", ``, 200, `"x-unknown":{`, ""},
		{"no entries", fliplettest.NullLists(), "POST", "/v1/data-sources/Talk/data/query", `{"id":1}`, 200, `{"entries":null,`, ""},
		{"no sources", fliplettest.NullLists(), "GET", "/v1/data-sources?type=none", ``, 200, `{"dataSources":null}`, ""},
		{"a number deleted", fliplettest.DeletedCountOnly(), "POST", "/v1/data-sources/Talk/data/query", `{"type":"delete"}`, 200, `{"deletedCount":1}`, ""},
		{"ids deleted", fliplettest.DeletedIDsOnly(), "POST", "/v1/data-sources/Talk/data/query", `{"type":"delete"}`, 200, `{"entries":[],"deleted":[5003]}`, ""},
		{"denied with 401", fliplettest.DenyWith401(), "PUT", "/v1/data-sources/Contacts/data", `{}`, 401, `"type":"datasource.access"`, ""},
		{"a tombstone with its columns", fliplettest.KeepTombstoneData(), "POST", "/v1/data-sources/data", `,"includeDeleted":true,"where":{"id":5004}`, 200, `"gone"`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := open(t, fliplettest.InProcess())
			r.send(`{"body":"hello"}`)
			r.send(`{"body":"gone"}`)
			r.do("DELETE", "/v1/data-sources/Talk/data/5004", "")
			body := test.body
			if test.path == "/v1/data-sources/data" {
				body = `{"flUserToken":"ta"` + body + `}`
			}
			before := r.do("GET", "/v1/data-sources/Talk/data/5003", "")
			require.Equal(t, 200, before.status)
			r.Next(1, fliplettest.AnyRoute, test.fault)
			got := r.do(test.method, test.path, body)
			assert.Equal(t, test.status, got.status, got.body)
			assert.Contains(t, got.body, test.want)
			if test.never != "" {
				assert.NotContains(t, got.body, test.never)
			}
		})
	}
}
