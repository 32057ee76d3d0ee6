package flipletd_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

const logsPath = "/v1/organizations/1/logs"

// logs asks for the audit log, the oldest line first, as a person.
func (k *kit) logs(query string) []m {
	k.t.Helper()
	var lines []m
	for _, e := range k.do("GET", logsPath+"?limit=500&order=ASC&"+query, "").ok(200)["logs"].([]any) {
		lines = append(lines, e.(m))
	}
	return lines
}

// told is the log in few words: types, entries and columns.
func told(lines []m) []string {
	said := []string{}
	for _, e := range lines {
		line := strings.TrimPrefix(fmt.Sprint(e["type"]), "dataSource.")
		if id := e["dataSourceEntryId"]; id != nil {
			line += fmt.Sprintf(" %v", id)
		}
		data := e["data"].(m)
		for _, key := range []string{"columns", "attributes", "entries"} {
			if v := data[key]; v != nil {
				line += fmt.Sprintf(" %v", v)
			}
		}
		said = append(said, line)
	}
	return said
}

func TestWhatIsLogged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		calls []string // METHOD path body; the source is 101, its entries 5001 and 5002
		want  []string
	}{
		"an insert":           {[]string{`PUT 101/data {"b":1,"a":2}`}, []string{"entry.create 5003 [a b]"}},
		"an update":           {[]string{`PUT 101/data/5001 {"n":1,"x":[1,{"y":2}]}`}, []string{"entry.update 5001 [x]"}},
		"nothing new":         {[]string{`PUT 101/data/5001 {"n":1}`}, []string{"entry.update 5001 []"}},
		"what only looks new": {[]string{`PUT 101/data/5001 {"x":[1,{"y":null}],"z":true,"n":"1"}`, `PUT 101/data/5001 {"x":[1,{"y":null}],"z":true,"n":"1"}`}, []string{"entry.update 5001 [n x z]", "entry.update 5001 []"}},
		"a deletion":          {[]string{`DELETE 101/data/5001 `}, []string{"entry.delete 5001"}},
		"an update query":     {[]string{`POST 101/data/query {"type":"update","where":{},"data":{"k":1}}`}, []string{"entry.update 5002 [k]", "entry.update 5001 [k]"}},
		"a delete query":      {[]string{`POST 101/data/query {"type":"delete","where":{"n":2}}`}, []string{"entry.delete 5002"}},
		"a commit": {[]string{`POST 101/commit {"append":true,"delete":[5002,5002,77],"entries":[{"data":{"a":1}},{"id":5001,"data":{"b":1}},{"id":99,"data":{}}]}`},
			[]string{"commit map[created:1 deleted:1 updated:1]", "entry.delete 5002", "entry.update 5001 [b n]", "entry.create 5003 [a]"}},
		"an import":          {[]string{`POST 101/data {"entries":[{"n":3}]}`}, []string{"import map[created:1 deleted:2 updated:0]", "entry.delete 5001", "entry.delete 5002", "entry.create 5003 [n]"}},
		"rows appended":      {[]string{`POST 101/data {"append":true,"entries":[{"n":3},{"n":4}]}`}, []string{"entry.create 5003 [n]", "entry.create 5004 [n]"}},
		"a new data source":  {[]string{`POST  {"name":"Other","appId":1,"entries":[{"a":1}]}`}, []string{"create", "entry.create 5003 [a]"}},
		"other settings":     {[]string{`PUT 101 {"name":"B","accessRules":[],"nonsense":1}`}, []string{"update [accessRules name]"}},
		"trash":              {[]string{`DELETE 101 `, `POST 101/restore `, `DELETE 101 `, `DELETE deleted/101 `}, []string{"remove", "restore", "remove", "delete"}},
		"an earlier version": {[]string{`POST 101/commit {"append":true,"entries":[{"id":5001,"data":{"n":9}}],"delete":[5002]}`, `POST 101/versions/301/restore `}, []string{"commit map[created:0 deleted:1 updated:1]", "entry.delete 5002", "entry.update 5001 [n]", "rollback map[created:1 deleted:0 updated:1]", "entry.update 5001 [n]", "entry.create 5002 [n]"}},
		"reads":              {[]string{`GET 101/data `, `POST 101/data/query {}`, `GET  `}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t)
			source := k.source(m{"name": "Things"})
			require.EqualValues(t, 101, source)
			k.put(source, m{"n": 1}, m{"n": 2})
			k = k.studio()
			before := len(k.logs(""))
			for _, call := range c.calls {
				method, rest, _ := strings.Cut(call, " ")
				path, body, _ := strings.Cut(rest, " ")
				a := k.do(method, strings.TrimSuffix("/v1/data-sources/"+path, "/"), body)
				require.Less(t, a.status, 300, a.body)
			}
			assert.Equal(t, c.want, told(k.logs("")[before:]))
		})
	}
}

func TestALineOfTheLog(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.Freeze(moment)
	source := k.source(m{"name": "Things"})
	token, user, err := k.AddUser("jo@example.org", "Jo", "March", "")
	require.NoError(t, err)
	jo := k.as(token)
	jo.do("PUT", fmt.Sprintf("/v1/data-sources/%d/data", source), `{"Department":"Sales"}`).ok(200)
	got := jo.do("GET", logsPath+"?type=dataSource.entry.create", "")
	line := got.ok(200)["logs"].([]any)[0].(m)
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, line["requestId"])
	session := jo.do("GET", "/v1/session", "").ok(200)["session"].(m)["id"]
	assert.Equal(t, m{
		"id": 2.0, "type": "dataSource.entry.create", "data": m{"columns": []any{"Department"}, "_userEmail": "jo@example.org"},
		"requestId": line["requestId"], "createdAt": "2026-02-01T08:00:00.123Z", "updatedAt": "2026-02-01T08:00:00.123Z",
		"sessionId": session, "userId": float64(user), "appId": 1.0, "dataSourceId": float64(source), "dataSourceEntryId": 5001.0,
		"organizationId": 1.0, "appNotificationId": nil,
	}, line)
	assert.Equal(t, m{
		"where": m{"type": "dataSource.entry.create"}, "offset": 0.0, "limit": 50.0, "order": []any{[]any{"createdAt", "DESC"}},
	}, got.ok(200)["query"])
	assert.NotContains(t, got.body, "Sales", "a log has no values")

	// What the test kit does is nobody's; what a token does is the token's.
	k.do("PUT", fmt.Sprintf("/v1/data-sources/%d/data", source), `{}`).ok(200)
	lines := jo.logs("fields=userId,data")
	assert.Equal(t, m{"userId": nil, "data": m{"_userEmail": nil, "dataSource": m{"id": float64(source), "name": "Things"}}}, lines[0])
	assert.Equal(t, m{"userId": 40001.0, "data": m{"_userEmail": "token-1-local-token-40001@fliplet.com", "columns": []any{}}}, lines[2])
}

func TestWritesOfOneRequestShareItsID(t *testing.T) {
	t.Parallel()
	k := start(t).studio()
	source := fmt.Sprint(k.source(m{}))
	k.do("POST", "/v1/data-sources/"+source+"/commit", `{"append":true,"entries":[{"data":{}},{"data":{}}]}`).ok(200)
	k.do("PUT", "/v1/data-sources/"+source+"/data", `{}`).ok(200)
	lines := k.logs("fields=requestId&startDate=2020-01-01")
	require.Len(t, lines, 5)
	assert.Equal(t, lines[1], lines[2])
	assert.Equal(t, lines[1], lines[3])
	assert.NotEqual(t, lines[1], lines[4])
	assert.NotEqual(t, lines[0], lines[1])
}

func TestWhoMayReadTheLog(t *testing.T) {
	t.Parallel()
	k := start(t)
	organization, _, err := k.AddToken(flipletd.OrganizationToken, 0, 0, "")
	require.NoError(t, err)
	app, _, err := k.AddToken(flipletd.AppToken, 1, 0, "")
	require.NoError(t, err)
	for _, method := range []string{"GET", "POST"} {
		k.as(organization).do(method, logsPath, "").ok(200)
		k.studio().do(method, logsPath, "").ok(200)
		k.do(method, logsPath+"?limit=nonsense", "").refused(403)
		k.as(app).do(method, logsPath, "").refused(403)
		k.as("eu--nobody").do(method, logsPath, "").refused(401)
		k.studio().do(method, "/v1/organizations/2/logs", "").refused(404)
		k.studio().do(method, "/v1/organizations/one/logs", "").refused(404)
	}
	k.studio().do("PUT", logsPath, "").refused(404)
}

func TestOnlyWhatIsStoredIsLogged(t *testing.T) {
	t.Parallel()
	j := &journal{records: map[string]flipletd.Record{}}
	s, err := flipletd.New(flipletd.Config{Token: token, Journal: j})
	require.NoError(t, err)
	k := (&kit{Server: s, t: t, token: token}).studio()
	k.source(m{"name": "Things", "accessRules": []any{}})
	before := len(k.logs(""))
	k.as(token).do("PUT", "/v1/data-sources/101/data", `{"a":1}`).refused(400) // no rule grants it
	k.do("PUT", "/v1/data-sources/101/data/77", `{"a":1}`).refused(404)
	k.do("POST", "/v1/data-sources/101/data", `{"append":true,"entries":[{"a":1},{"id":5000,"a":1},{"id":5000}]}`).refused(400)
	j.fail = errors.New("the disk is full")
	k.do("PUT", "/v1/data-sources/101/data", `{"a":1}`).refused(500)
	k.do("POST", "/v1/data-sources/101/commit", `{"entries":[{"data":{}}]}`).refused(500)
	assert.Empty(t, k.logs("")[before:])
	j.fail = nil
	k.do("PUT", "/v1/data-sources/101/data", `{"a":1}`).ok(200)
	assert.Len(t, k.logs("")[before:], 1)
	k.Pull(flipletd.Rule{Faults: []flipletd.Fault{func(fx *flipletd.Effects) { fx.Partial, fx.PartialBatch = true, 1 }}})
	k.do("POST", "/v1/data-sources/101/commit", `{"append":true,"entries":[{"data":{}},{"data":{}}]}`).refused(500)
	assert.Equal(t, []string{"commit map[created:1 deleted:0 updated:0]", "entry.create 5005 []"}, told(k.logs("")[before+1:]), "the part that is stored")
}

func TestTheLogEndsWithTheProgram(t *testing.T) {
	t.Parallel()
	j := &journal{records: map[string]flipletd.Record{}}
	var last float64
	for range 3 {
		s, err := flipletd.New(flipletd.Config{Token: token, Journal: j})
		require.NoError(t, err)
		k := (&kit{Server: s, t: t, token: token}).studio()
		assert.Empty(t, k.logs(""))
		source := fmt.Sprint(k.source(m{}))
		for range 3 {
			k.do("PUT", "/v1/data-sources/"+source+"/data", `{}`).ok(200)
		}
		for _, e := range k.logs("") {
			assert.Greater(t, e["id"], last, "no id comes again")
			last = e["id"].(float64)
		}
		assert.Less(t, last, float64(1<<53), "JavaScript can tell ids apart")
		s.Close()
		time.Sleep(2 * time.Millisecond)
	}
}

func TestTheLogIsFilteredSortedAndPaged(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.AddApp(2, "Other", 0)
	k.Freeze(moment)
	things, others := k.source(m{"name": "Things"}), k.source(m{"name": "Others", "appId": 2})
	studio := k.studio()
	for i, call := range []struct {
		method, path string
		source       int64
	}{{"PUT", "data", things}, {"PUT", "data", others}, {"PUT", "data/5001", things}, {"DELETE", "data/5001", things}, {"PUT", "data/5002", others}} {
		k.Freeze(moment.Add(time.Duration(i+1) * time.Minute))
		studio.do(call.method, fmt.Sprintf("/v1/data-sources/%d/%s", call.source, call.path), `{"a":1}`).ok(200)
	}
	_, twin, err := k.AddTwin(studio.token, "")
	require.NoError(t, err)
	me := studio.do("GET", "/v1/session", "").ok(200)["session"].(m)["id"]
	// ids 1 and 2 are the data sources, 3 to 7 the calls
	for query, want := range map[string]string{
		"":                             "7 6 5 4 3 2 1",
		"order=asc":                    "1 2 3 4 5 6 7",
		"sort=createdAt&order=ASC":     "1 2 3 4 5 6 7",
		"sort=id&order=DESC&limit=2":   "7 6",
		"sort=id&order=ASC&offset=5":   "6 7",
		"sort=type&order=ASC":          "1 2 3 4 6 5 7", // create, entry.create, entry.delete, entry.update
		"sort=type":                    "7 5 6 4 3 2 1",
		"type=dataSource.entry.delete": "6",
		"type=dataSource.entry.delete,%20dataSource.entry.update":       "7 6 5",
		"type=dataSource.entry.delete&type=dataSource.entry.update":     "7 6 5",
		"type[]=dataSource.entry.delete&type[]=dataSource.entry.update": "7 6 5",
		"type=app.create":                         "",
		"type=":                                   "7 6 5 4 3 2 1",
		"appId=2":                                 "7 4 2",
		"appId=9":                                 "",
		"sessionId=" + fmt.Sprint(me):             "7 6 5 4 3",
		"sessionId=" + fmt.Sprint(twin):           "",
		"limit=2":                                 "7 6",
		"limit=2.9":                               "7 6",
		"limit=100000":                            "7 6 5 4 3 2 1",
		"limit=2&offset=6":                        "1",
		"offset=70":                               "",
		"startDate=2026-02-01T08:03:00.123Z":      "7 6 5",
		"startDate=2026-02-01T08:03:00.124Z":      "7 6",
		"endDate=2026-02-01T08:01:00.123Z":        "3 2 1",
		"endDate=2026-02-01T09:01:00.123%2B01:00": "3 2 1",
		"startDate=2026-02-01%2008:04:00&endDate=2026-02-01%2008:04:59": "6",
		"startDate=2026-02-01T08:04:00&endDate=2026-02-02":              "7 6",
		"startDate=2026-02-02":                    "",
		"startDate=2026-02-02&endDate=2026-02-01": "",
	} {
		var ids []string
		for _, e := range studio.do("GET", logsPath+"?"+query, "").ok(200)["logs"].([]any) {
			ids = append(ids, fmt.Sprint(e.(m)["id"]))
		}
		assert.Equal(t, want, strings.Join(ids, " "), query)
	}
	// The same in a body, where lists are lists.
	a := studio.do("POST", logsPath, `{"type":["dataSource.entry.delete","dataSource.entry.update"],"appId":"1","sort":"id","order":"ASC","limit":1,"offset":"1",
		"startDate":"2026-01-01","endDate":"2026-12-31 23:59:59","fields":["id"],"format":"json","sessionId":null,"where":null,"userType":[],"includePagination":true}`).ok(200)
	assert.Equal(t, m{
		"logs": []any{m{"id": 6.0}},
		"query": m{
			"where": m{
				"type": []any{"dataSource.entry.delete", "dataSource.entry.update"}, "appId": 1.0,
				"createdAt": m{"$gte": "2026-01-01T00:00:00.000Z", "$lte": "2026-12-31T23:59:59.000Z"},
			},
			"limit": 1.0, "offset": 1.0, "order": []any{[]any{"id", "ASC"}},
		},
		"totalCount": 2.0, "pageCount": 2.0, "pageNumber": 1.0, "perPage": 1.0,
	}, a)
	r := httptest.NewRequest("POST", logsPath, strings.NewReader(url.Values{"type": {"dataSource.entry.delete"}, "fields[]": {"id", "type"}}.Encode()))
	r.Header.Set("Auth-token", studio.token)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	assert.Equal(t, []any{m{"id": 6.0, "type": "dataSource.entry.delete"}}, studio.send(r).ok(200)["logs"])
}

func TestAPageHasFiftyLinesAndUpToFiveHundred(t *testing.T) {
	t.Parallel()
	k := start(t).studio()
	k.Freeze(moment)
	source := k.source(m{})
	rows := make([]map[string]any, 700)
	k.put(source, rows...)
	for i, e := range k.do("GET", logsPath+"?limit=500", "").ok(200)["logs"].([]any) {
		require.InDelta(t, 701-i, e.(m)["id"], 0, "what was written at once is in order")
	}
	for query, want := range map[string]int{"": 50, "limit=500": 500, "limit=501": 500, "limit=1": 1, "limit=500&offset=500": 201} {
		assert.Len(t, k.do("GET", logsPath+"?"+query, "").ok(200)["logs"], want, query)
	}
}

func TestFieldsOfTheLog(t *testing.T) {
	t.Parallel()
	k := start(t).studio()
	token, _, err := k.AddUser("jo@example.org", "Jo", "March", "")
	require.NoError(t, err)
	source := fmt.Sprint(k.source(m{}))
	k.as(token).do("PUT", "/v1/data-sources/"+source+"/data", `{"a":1}`).ok(200)
	// What Fliplet's own page about logs asks for.
	lines := k.logs("fields=user.type,type,app.name,user.email,dataString,typeDescription")
	assert.Equal(t, m{
		"user": m{"type": "studio", "email": "jo@example.org"}, "type": "dataSource.entry.create", "app": m{"name": "Local app"},
		"dataString": `{"_userEmail":"jo@example.org","columns":["a"]}`, "typeDescription": "A data source entry was created",
	}, lines[1])
	assert.Equal(t, m{"type": nil, "email": nil}, lines[0]["user"])
}

func TestTheLogAsCSV(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.Freeze(moment)
	k.source(m{"name": "=1+1, \"x\"\r\ny"})
	k = k.studio()
	k.do("PUT", "/v1/data-sources/101/data", `{"a,b":1,"=c":"v"}`).ok(200)
	a := k.do("GET", logsPath+"?format=csv&fields=id,type,data,dataSourceEntryId,userId&order=ASC", "")
	assert.Equal(t, 200, a.status)
	assert.Equal(t, "text/csv; charset=utf-8", a.header.Get("Content-Type"))
	assert.Equal(t, `attachment; filename="logs.csv"`, a.header.Get("Content-Disposition"))
	assert.Equal(t, "id,type,data,dataSourceEntryId,userId\r\n"+
		`1,dataSource.create,"{""_userEmail"":null,""dataSource"":{""id"":101,""name"":""=1+1, \""x\""\r\ny""}}",,`+"\r\n"+
		`2,dataSource.entry.create,"{""_userEmail"":""token-1-x-40002@fliplet.com"",""columns"":[""=c"",""a,b""]}",5001,1`+"\r\n", a.body)
	records, err := csv.NewReader(strings.NewReader(k.do("POST", logsPath, `{"format":"csv"}`).body)).ReadAll()
	require.NoError(t, err)
	require.Len(t, records, 3)
	assert.Equal(t, []string{
		"id", "type", "data", "requestId", "createdAt", "updatedAt", "sessionId", "userId", "appId", "dataSourceId", "dataSourceEntryId", "organizationId", "appNotificationId",
	}, records[0])
	assert.Equal(t, []string{"2", "dataSource.entry.create"}, records[1][:2])
	assert.Equal(t, "dataSourceEntryId\r\n\"\"\r\n5001\r\n", k.do("GET", logsPath+"?format=csv&fields=dataSourceEntryId&order=ASC", "").body, "a blank line is no record to readers")
	assert.Equal(t, "id\r\n", k.do("GET", logsPath+"?format=csv&fields=id&type=none", "").body, "a header without lines")
}

func TestBadQuestionsToTheLog(t *testing.T) {
	t.Parallel()
	k := start(t).studio()
	for _, bad := range []string{
		"limit=x", "limit=-1", "limit=0", "limit=NaN", "limit=1&limit=2", "offset=-1", "offset=x", "appId=x", "appId=0", "appId=-1", "appId=1.5",
		"appId=9223372036854775808", "sessionId=me", "startDate=yesterday", "endDate=2026-13-01", "startDate=1769932800000", "endDate=9999-12-31T23:59:59-23:00",
		"sort=data", "sort=createdat", "order=up", "format=xml", "fields=id,password", "fields=__proto__", "where=x", "userType=app",
	} {
		message := k.do("GET", logsPath+"?"+bad, "").refused(400)
		name, _, _ := strings.Cut(bad, "=")
		assert.Contains(t, message, name)
	}
	for _, bad := range []string{
		`[]`, `"x"`, `{`, `{"type":7}`, `{"type":[7]}`, `{"type":{"$ne":"x"}}`, `{"fields":"nonsense"}`, `{"fields":[["id"]]}`, `{"fields":true}`,
		`{"limit":"many"}`, `{"limit":[1]}`, `{"limit":0}`, `{"limit":-0.5}`, `{"offset":{}}`, `{"offset":-1}`, `{"appId":[]}`, `{"appId":true}`, `{"appId":1.5}`,
		`{"sessionId":{}}`, `{"startDate":5}`, `{"startDate":"5"}`, `{"endDate":{"$gt":1}}`, `{"sort":["id"]}`, `{"sort":1}`, `{"order":1}`, `{"order":["id","ASC"]}`,
		`{"format":null,"sort":"user.email"}`, `{"format":7}`, `{"where":{"type":"x"}}`, `{"userType":["app"]}`,
	} {
		k.do("POST", logsPath, bad).refused(400)
	}
	require.Empty(t, k.Faults())
}

func TestTheLogDropsTheOldest(t *testing.T) {
	t.Parallel()
	k := start(t).studio()
	source := k.source(m{})
	const kept = 100_000
	rows := make([]map[string]any, 1000)
	for range kept / len(rows) {
		k.put(source, rows...)
	}
	k.put(source, nil, nil)
	ends := func(order string) m {
		return k.do("GET", logsPath+"?limit=1&includePagination=true&sort=id&order="+order, "").ok(200)
	}
	first, last := ends("ASC"), ends("DESC")
	assert.Equal(t, float64(kept), first["totalCount"])
	assert.Equal(t, 4.0, first["logs"].([]any)[0].(m)["id"])
	assert.Equal(t, float64(kept+3), last["logs"].([]any)[0].(m)["id"])
}

func TestLeversOfTheLog(t *testing.T) {
	t.Parallel()
	pull := func(k *kit, f flipletd.Fault) *flipletd.Lever {
		return k.Pull(flipletd.Rule{Route: flipletd.AnyRead, Faults: []flipletd.Fault{f}})
	}
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			k := start(t).studio()
			k.Freeze(moment) // the lever goes by the system's clock
			source := k.source(m{})
			late := pull(k, func(fx *flipletd.Effects) { fx.LogLag = 10 * time.Second })
			time.Sleep(5 * time.Second)
			k.do("PUT", fmt.Sprintf("/v1/data-sources/%d/data", source), `{}`).ok(200)
			assert.Empty(t, k.logs(""))
			time.Sleep(5 * time.Second)
			assert.Equal(t, []string{"create"}, told(k.logs("")))
			time.Sleep(5*time.Second - time.Nanosecond)
			assert.Len(t, k.logs(""), 1)
			time.Sleep(time.Nanosecond)
			assert.Len(t, k.logs(""), 2)
			k.do("PUT", fmt.Sprintf("/v1/data-sources/%d/data", source), `{}`).ok(200)
			late.Off()
			assert.Len(t, k.logs(""), 3)
		})
	})
	t.Run("not before the row", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			k := start(t).studio()
			source := fmt.Sprint(k.source(m{}))
			k.Pull(flipletd.Rule{Route: flipletd.AnyWrite, Times: 1, Faults: []flipletd.Fault{func(fx *flipletd.Effects) { fx.VisibleAfter = time.Minute }}})
			k.do("PUT", "/v1/data-sources/"+source+"/data", `{}`).ok(200)
			k.do("PUT", "/v1/data-sources/"+source+"/data", `{}`).ok(200)
			assert.Equal(t, []string{"create", "entry.create 5002 []"}, told(k.logs("")))
			time.Sleep(time.Minute)
			assert.Equal(t, []string{"create", "entry.create 5001 []", "entry.create 5002 []"}, told(k.logs("")))
		})
	})
	t.Run("without chats", func(t *testing.T) {
		t.Parallel()
		k := start(t).studio()
		for _, kind := range []any{nil, "conversation", "chat", "keystore"} {
			source := fmt.Sprint(k.source(m{"name": fmt.Sprint(kind), "type": kind}))
			k.do("PUT", "/v1/data-sources/"+source+"/data", `{}`).ok(200)
			k.do("POST", "/v1/data-sources/"+source+"/commit", `{"append":true,"entries":[{"data":{}}]}`).ok(200)
		}
		assert.Len(t, k.logs(""), 16)
		pull(k, func(fx *flipletd.Effects) { fx.LogWithoutChats = true })
		var kinds []string
		for _, e := range k.logs("") {
			kinds = append(kinds, fmt.Sprintf("%v %v", e["dataSourceId"], e["type"]))
		}
		assert.Equal(t, []string{
			"101 dataSource.create", "101 dataSource.entry.create", "101 dataSource.commit", "101 dataSource.entry.create", "102 dataSource.create", "103 dataSource.create",
			"104 dataSource.create", "104 dataSource.entry.create", "104 dataSource.commit", "104 dataSource.entry.create",
		}, kinds)
	})
	t.Run("without the rows of batches", func(t *testing.T) {
		t.Parallel()
		k := start(t).studio()
		source := fmt.Sprint(k.source(m{}))
		k.do("PUT", "/v1/data-sources/"+source+"/data", `{}`).ok(200)
		k.do("POST", "/v1/data-sources/"+source+"/commit", `{"append":true,"entries":[{"data":{}}]}`).ok(200)
		require.Equal(t, 200, k.do("POST", "/v1/data-sources/"+source+"/data", `{"entries":[{}]}`).status)
		pull(k, func(fx *flipletd.Effects) { fx.LogWithoutRows = true })
		assert.Equal(t, []string{"create", "entry.create 5001 []", "commit map[created:1 deleted:0 updated:0]", "import map[created:1 deleted:2 updated:0]"}, told(k.logs("")))
	})
}

func TestTheLogIsTheSameForTheSameSeed(t *testing.T) {
	t.Parallel()
	bodies := map[string]bool{}
	for range 2 {
		k := start(t).studio()
		k.Freeze(moment)
		k.source(m{})
		k.do("PUT", "/v1/data-sources/101/data", `{"c":1,"b":2,"a":3}`).ok(200)
		bodies[k.do("GET", logsPath, "").body] = true
	}
	assert.Len(t, bodies, 1)
}

func FuzzLogs(f *testing.F) {
	for _, seed := range [][2]string{
		{"type=a,b&limit=2&offset=1&sort=type&order=asc&format=csv&fields=id,user.email", ""},
		{"", `{"type":["dataSource.create"],"appId":"1","startDate":"2026-01-01","endDate":"2026-12-31 23:59:59","includePagination":true,"limit":1e9}`},
		{"startDate=0000-01-01&endDate=9999-12-31T23:59:59.999999999-23:59", `{"fields":[],"where":null,"userType":[]}`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, query, body string) {
		u, err := url.ParseRequestURI(logsPath + "?" + query)
		if err != nil {
			t.Skip("no request has such a query")
		}
		k := inhabited(t).studio()
		before := k.state()
		for _, method := range []string{"GET", "POST"} {
			r := httptest.NewRequest(method, logsPath, strings.NewReader(body))
			r.URL = u
			r.Header.Set("Auth-token", k.token)
			r.Header.Set("Content-Type", "application/json")
			k.judge(before, k.send(r))
			require.Equal(t, before, k.state())
		}
	})
}

func TestOfSeveralMistakesInAQuestionToTheLogTheSameOneIsTold(t *testing.T) {
	t.Parallel()
	k := start(t).studio()
	for range 30 {
		assert.Contains(t, k.do("GET", logsPath+"?sessionId=x&appId=x", "").body, "appId must be")
		assert.Contains(t, k.do("GET", logsPath+"?endDate=x&startDate=x", "").body, "startDate must be")
	}
}
