package datasource_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

func TestDataSourcesAreListedWithTheDocumentedParameters(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]datasource.SourceFilter{
		"GET /v1/data-sources": {},
		"GET /v1/data-sources?appId=9&type=conversation&order=updatedAt&direction=DESC&definition=%7B%22participants%22%3A%5B%22u-jane%22%5D%7D": {
			AppID: 9, Type: "conversation", Order: "updatedAt", Direction: datasource.Desc, Definition: M{"participants": []string{"u-jane"}}},
		"GET /v1/data-sources?organizationId=2&type=a+b%26c&excludeTypes=keystore%2Cmenu&attributes=id%2Cname&direction=ASC": {
			OrganizationID: 2, Type: "a b&c", ExcludeTypes: []string{"keystore", "menu"}, Attributes: []string{"id", "name"}, Direction: "asc"},
	} {
		server := serve(t, answer(200, `{"dataSources":[]}`))
		list, err := server.client(t).DataSources(t.Context(), f)
		require.NoError(t, err)
		assert.Empty(t, list)
		assert.Equal(t, want, server.last(t).line)
	}
}

func TestDataSourcesAreReadInEveryShape(t *testing.T) {
	t.Parallel()
	text := `{"id":777,"name":"Project Phoenix","type":"conversation","appId":"9","organizationId":2,` +
		`"definition":{"participants":["u-jane"],"n":12345678901234567890, "x":1.0},"hooks":[{"type":"push-message"}],"accessRules":[],` +
		`"columns":["body",null,"guid"],"bundle":false,"appCapabilities":null,` +
		`"createdAt":"2026-02-01T08:01:00.000Z","updatedAt":"2026-02-01T08:01:00.500Z","deletedAt":null}`
	want := datasource.DataSource{ID: 777, Name: "Project Phoenix", Type: "conversation", AppID: 9, OrganizationID: 2,
		Definition:  json.RawMessage(`{"participants":["u-jane"],"n":12345678901234567890, "x":1.0}`),
		Hooks:       json.RawMessage(`[{"type":"push-message"}]`),
		AccessRules: json.RawMessage(`[]`), Columns: []string{"body", "guid"},
		CreatedAt: ms("2026-02-01T08:01:00.000Z"), UpdatedAt: ms("2026-02-01T08:01:00.500Z"),
		Extra: map[string]json.RawMessage{"bundle": json.RawMessage("false"), "appCapabilities": json.RawMessage("null")}}
	for _, body := range []string{`{"dataSources":[` + text + `]}`, `[` + text + `]`, `{"dataSource":` + text + `}`, text} {
		list, err := serve(t, answer(200, body)).client(t).DataSources(t.Context(), datasource.SourceFilter{})
		require.NoError(t, err, body)
		assert.Equal(t, []datasource.DataSource{want}, list, body)
		one, err := serve(t, answer(200, body)).client(t).DataSource(t.Context(), 777)
		require.NoError(t, err, body)
		assert.Equal(t, &want, one, body)
	}
	for body, isList := range map[string]bool{
		`{"dataSources":null}`: true, `{"dataSources":[]}`: true, ``: false, `null`: false, `[]`: false, `{}`: false, `{"error":"no"}`: false,
		`{"dataSources":{}}`: false, `{"dataSources":7}`: false, `{"dataSource":[]}`: false, `[null]`: false, `[{"name":"x"}]`: false,
		`{"dataSources":[{"name":"x"}]}`: false, `{"dataSources":[3]}`: false, `{"dataSources":[{"id":0}]}`: false,
	} {
		list, err := serve(t, answer(200, body)).client(t).DataSources(t.Context(), datasource.SourceFilter{})
		if assert.Empty(t, list, body); isList {
			require.NoError(t, err, body)
		} else {
			require.ErrorContains(t, err, "holds no list of data sources", body)
		}
		_, err = serve(t, answer(200, body)).client(t).DataSource(t.Context(), 777)
		require.ErrorContains(t, err, "the answer holds no", body)
	}
	for _, body := range []string{
		`"x"`, `{"dataSources":[{]}`, `{"dataSource":{"id":1}`, `[null,` + text + `,3,{}]`, `{"dataSources":[],"error":"upstream"}`,
		`{"dataSources":[],"message":"upstream"}`, `{"error":{"code":1},"dataSources":[` + text + `]}`,
	} {
		_, err := serve(t, answer(200, body)).client(t).DataSources(t.Context(), datasource.SourceFilter{})
		require.Error(t, err, body)
	}
}

// A cache, or another service, answers with what it has.
func TestAnAnswerWithAnotherDataSourceIsAFailure(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"id":5,"dataSourceId":7,"data":{"body":"x"}}`, `{"dataSource":{"id":4}}`, `{"dataSource":{"id":5,"name":"x"}}`, `{"dataSources":[{"id":5},{"id":102}]}`,
	} {
		c := serve(t, answer(200, body)).client(t)
		_, err := c.DataSource(t.Context(), 102)
		require.ErrorContains(t, err, "instead of 102", body)
		require.NotErrorIs(t, err, datasource.ErrNotFound, body)
		_, err = c.UpdateDataSource(t.Context(), 102, datasource.SourcePatch{Name: new("n")})
		require.ErrorContains(t, err, "instead of 102", body)
		assert.True(t, datasource.Doubtful(err), body)
	}
}

func TestAListWithoutItsNameHoldsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	const row, other, ours = `{"id":5,"dataSourceId":7,"data":{"body":"x"}}`, `{"id":4,"name":"x"}`, `{"id":6,"type":"conversation"}`
	for body, want := range map[string]int{
		row: -1, other: -1, `[` + row + `]`: -1, `{"dataSource":` + other + `}`: -1, `{"dataSource":` + row + `}`: -1, `[` + ours + `,` + other + `]`: -1,
		ours: 1, `[` + ours + `]`: 1, `{"dataSource":` + ours + `}`: 1,
		`{"dataSources":[` + other + `]}`: 1, // the filter may not be known
		`{"dataSources":[]}`:              0,
	} {
		c := serve(t, answer(200, body)).client(t)
		list, err := c.DataSources(t.Context(), datasource.SourceFilter{Type: "conversation"})
		if want < 0 {
			require.ErrorContains(t, err, "holds no list of data sources", body)
			continue
		}
		require.NoError(t, err, body)
		assert.Len(t, list, want, body)
		list, err = c.DataSources(t.Context(), datasource.SourceFilter{Type: "conversation", Attributes: []string{"id"}})
		require.NoError(t, err, body)
		assert.Len(t, list, want, body)
	}
	list, err := serve(t, answer(200, `[{"id":6}]`)).client(t).DataSources(t.Context(), datasource.SourceFilter{Type: "conversation", Attributes: []string{"id"}})
	require.NoError(t, err, "what the type is was not asked for")
	assert.Len(t, list, 1)
}

func TestFieldsOfAWrongTypeInADataSourceAreZero(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{`null`, `true`, `{}`, `[]`, `{"a":[1]}`, `1.5`} {
		body := `{"id":1`
		for _, f := range []string{"name", "type", "appId", "organizationId", "createdAt", "updatedAt", "deletedAt"} {
			body += `,"` + f + `":` + wrong
		}
		got, err := serve(t, answer(200, body+`}`)).client(t).DataSource(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, &datasource.DataSource{ID: 1}, got)
	}
}

func TestNamesAreEscapedAndNeverTakenForIDs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Foo bar":   "/v1/data-sources/Foo%20bar?dsn",
		"123":       "/v1/data-sources/123?dsn",
		"a/b?c#d%e": "/v1/data-sources/a%2Fb%3Fc%23d%25e?dsn",
		"Été 😀":     "/v1/data-sources/%C3%89t%C3%A9%20%F0%9F%98%80?dsn",
		"{name}":    "/v1/data-sources/%7Bname%7D?dsn",
		"a&b=c+d;e": "/v1/data-sources/a&b=c+d%3Be?dsn",
		"../x":      "/v1/data-sources/..%2Fx?dsn",
	} {
		server := serve(t, answer(200, `{"dataSource":{"id":1}}`))
		_, err := server.client(t).DataSourceByName(t.Context(), name)
		require.NoError(t, err)
		assert.Equal(t, "GET "+want, server.last(t).line)
		u, err := url.ParseRequestURI(server.last(t).line[len("GET "):])
		require.NoError(t, err)
		assert.Equal(t, "/v1/data-sources/"+name, u.Path)
	}
}

func TestADataSourceIsCreatedAsDocumented(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(201, `{"dataSource":{"id":777,"name":"Project Phoenix","columns":null}}`))
	got, err := server.client(t).CreateDataSource(t.Context(), datasource.NewDataSource{
		AppID: 9, Type: "conversation", Name: "Project Phoenix", Bundle: new(false),
		Definition:  json.RawMessage(`{"participants":["u-jane","u-bob"],"group":{"public":false}}`),
		Hooks:       json.RawMessage(`[{"runOn":["insert"],"type":"push-message","appId":9}]`),
		AccessRules: json.RawMessage(`[{"type":["select","insert","update","delete"],"allow":"all"}]`),
	})
	require.NoError(t, err)
	assert.Equal(t, &datasource.DataSource{ID: 777, Name: "Project Phoenix"}, got)
	assert.Equal(t, "POST /v1/data-sources", server.last(t).line)
	assert.Equal(t, `{"appId":9,"type":"conversation","name":"Project Phoenix",`+
		`"definition":{"participants":["u-jane","u-bob"],"group":{"public":false}},"bundle":false,`+
		`"hooks":[{"runOn":["insert"],"type":"push-message","appId":9}],`+
		`"accessRules":[{"type":["select","insert","update","delete"],"allow":"all"}]}`, server.last(t).body)

	server = serve(t, answer(201, `{"id":7,"name":"n"}`))
	_, err = server.client(t).CreateDataSource(t.Context(), datasource.NewDataSource{
		OrganizationID: 2, Name: "n", Columns: []string{"a"}, Entries: []M{{"a": 1}}, Encrypted: new(true), AppCapabilities: json.RawMessage("null")})
	require.NoError(t, err)
	assert.Equal(t, `{"organizationId":2,"name":"n","columns":["a"],"entries":[{"a":1}],"encrypted":true,"appCapabilities":null}`, server.last(t).body)
}

func TestACreatedDataSourceIsTheOneThatWasSent(t *testing.T) {
	t.Parallel()
	sent := datasource.NewDataSource{AppID: 9, Type: "conversation", Name: "Project Phoenix"}
	for _, c := range []struct {
		answer, stored string
		ok             bool
		requests       int
	}{
		{`{"id":7,"name":"Project Phoenix"}`, ``, true, 1},
		{`{"dataSource":{"id":7,"type":"conversation"}}`, ``, true, 1},
		{`{"id":7}`, `{"id":7,"name":"Project Phoenix","type":"conversation"}`, true, 2},
		{`{"dataSource":{"id":7}}`, `{"id":7,"name":"Contacts","type":null}`, false, 2},
		{`{"id":7}`, `{"id":8,"name":"Project Phoenix"}`, false, 2},
		{`{"id":7}`, `{"id":7}`, false, 2},
		{`{"id":7,"name":"Contacts"}`, `{"id":7,"name":"Contacts"}`, false, 2},
		{`{"id":7,"name":"Project Phoenix","type":"bookings"}`, `{"id":7,"name":"Project Phoenix","type":"bookings"}`, false, 2},
	} {
		server := serve(t, answer(200, c.answer), answer(200, c.stored))
		got, err := server.client(t).CreateDataSource(t.Context(), sent)
		assert.Len(t, server.seen(), c.requests, "%s %s", c.answer, c.stored)
		assert.Equal(t, !c.ok, datasource.Doubtful(err), "%s %s: %v", c.answer, c.stored, err)
		if c.ok {
			require.NoError(t, err)
			assert.EqualValues(t, 7, got.ID)
		} else {
			assert.Nil(t, got)
		}
	}
}

func TestOnlyWhatIsSetIsPatched(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]datasource.SourcePatch{
		`{"name":"n"}`:             {Name: new("n")},
		`{"definition":{"a":1.0}}`: {Definition: json.RawMessage(`{"a":1.0}`)},
		`{"columns":[],"definition":null,"bundle":true,"hooks":[],"accessRules":[],"appCapabilities":{}}`: {
			Columns: []string{}, Definition: json.RawMessage("null"), Bundle: new(true), Hooks: json.RawMessage("[]"),
			AccessRules: json.RawMessage("[]"), AppCapabilities: json.RawMessage("{}")},
	} {
		server := serve(t, answer(200, `{"dataSource":{"id":7}}`))
		_, err := server.client(t).UpdateDataSource(t.Context(), 7, p)
		require.NoError(t, err)
		assert.Equal(t, "PUT /v1/data-sources/7", server.last(t).line)
		assert.Equal(t, want, server.last(t).body)
	}
}

func TestDeletingADataSourceTakesAnEmptyAnswer(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(200, ``))
	require.NoError(t, server.client(t).DeleteDataSource(t.Context(), 7))
	assert.Equal(t, "DELETE /v1/data-sources/7", server.last(t).line)
}

func TestBadDataSourcesAreRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	server := serve(t)
	c := server.client(t)
	create := func(n datasource.NewDataSource) error { return second(c.CreateDataSource(t.Context(), n)) }
	patch := func(p datasource.SourcePatch) error { return second(c.UpdateDataSource(t.Context(), 1, p)) }
	list := func(f datasource.SourceFilter) error { return second(c.DataSources(t.Context(), f)) }
	for want, err := range map[string]error{
		"Name is empty":                   create(datasource.NewDataSource{AppID: 1}),
		"give AppID or OrganizationID":    create(datasource.NewDataSource{Name: "n"}),
		"which are positive":              create(datasource.NewDataSource{Name: "n", AppID: -1}),
		"definition: invalid JSON":        create(datasource.NewDataSource{Name: "n", AppID: 1, Definition: json.RawMessage(`{"a":}`)}),
		"entries: [0]: \"a\": func()":     create(datasource.NewDataSource{Name: "n", AppID: 1, Entries: []M{{"a": func() {}}}}),
		"hooks: invalid JSON":             patch(datasource.SourcePatch{Hooks: json.RawMessage(`[] []`)}),
		"SourcePatch is empty":            patch(datasource.SourcePatch{}),
		"leave it nil":                    patch(datasource.SourcePatch{Name: new("")}),
		`direction "x"`:                   list(datasource.SourceFilter{Direction: "x"}),
		"Definition: \"a\": chan int":     list(datasource.SourceFilter{Definition: M{"a": make(chan int)}}),
		"AppID and OrganizationID":        list(datasource.SourceFilter{AppID: -1}),
		"data source id is 0":             second(c.DataSource(t.Context(), 0)),
		`name is ""`:                      second(c.DataSourceByName(t.Context(), "")),
		`name is ".."`:                    second(c.DataSourceByName(t.Context(), "..")),
		"data source id is -1":            c.DeleteDataSource(t.Context(), -1),
		"data source id is -2: ids are p": second(c.UpdateDataSource(t.Context(), -2, datasource.SourcePatch{})),
	} {
		require.ErrorContains(t, err, want)
	}
	assert.Empty(t, server.seen())
}

func TestCallReachesAnyPathOfTheAPI(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(200, `{"session":{"id":9001,"big":12345678901234567890}}`))
	c := server.client(t)
	var typed struct{ Session struct{ ID int } }
	require.NoError(t, c.Call(t.Context(), http.MethodGet, "v1/session", url.Values{"a": {"b c"}}, nil, &typed))
	assert.Equal(t, "GET /v1/session?a=b+c", server.last(t).line)
	assert.Equal(t, 9001, typed.Session.ID)
	var loose any
	require.NoError(t, c.Call(t.Context(), http.MethodPost, "v1/x%2Fy", nil, M{"a": []int{1}}, &loose))
	assert.Equal(t, "POST /v1/x%2Fy", server.last(t).line)
	assert.Equal(t, `{"a":[1]}`, server.last(t).body)
	assert.Equal(t, json.Number("12345678901234567890"), loose.(M)["session"].(M)["big"])
	var raw json.RawMessage
	require.NoError(t, c.Call(t.Context(), http.MethodPut, "v1/x", nil, json.RawMessage(`{"a": 1}`), &raw))
	assert.Equal(t, `{"a": 1}`, server.last(t).body)
	assert.Equal(t, `{"session":{"id":9001,"big":12345678901234567890}}`, string(raw))
	require.NoError(t, c.Call(t.Context(), http.MethodDelete, "v1/x", nil, []byte(`[1]`), nil))
	assert.Equal(t, `[1]`, server.last(t).body)
	require.NoError(t, c.Call(t.Context(), http.MethodPost, "v1/auth/login", nil, url.Values{"email": {"a@b"}, "n": {"1"}}, nil))
	assert.Equal(t, "email=a%40b&n=1", server.last(t).body)
	assert.Equal(t, "application/x-www-form-urlencoded", server.last(t).header.Get("Content-Type"))

	raw = json.RawMessage("kept")
	require.NoError(t, serve(t, answer(204, ``)).client(t).Call(t.Context(), http.MethodPost, "v1/x", nil, nil, &raw))
	assert.Equal(t, "kept", string(raw))
	require.Error(t, serve(t, answer(200, `{} x`)).client(t).Call(t.Context(), http.MethodGet, "v1/x", nil, nil, &raw))
	require.ErrorIs(t, serve(t, answer(404, ``)).client(t).Call(t.Context(), http.MethodGet, "v1/x", nil, nil, &raw), datasource.ErrNotFound)
}

func TestAPathPrefixInTheBaseURLIsKept(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(200, `{"dataSource":{"id":1}}`))
	c := server.client(t, func(cfg *datasource.Config) { cfg.BaseURL += "/api//" })
	_, err := c.DataSource(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, "GET /api/v1/data-sources/1", server.last(t).line)
	assert.Equal(t, server.URL+"/api", c.BaseURL())
}
