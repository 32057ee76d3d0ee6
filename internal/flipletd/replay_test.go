package flipletd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// replayed is one call of a public client, as it sends it.
type replayed struct {
	client, method, path, body string
	by                         string // "" the API token, "studio", "app", "nobody"
	status                     int
	keys                       string // that the object in the answer has; "" is an answer without a body
}

// TestCallsOfPublicClientsAreReplayed asks what public clients ask, in one sitting, over a
// socket. Each call gets the documented status and an object with the keys that the client
// reads, and no documented call is unknown.
func TestCallsOfPublicClientsAreReplayed(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.overHTTP()
	k.source(m{"name": "Contacts", "entries": []any{m{"Email": "jane@example.org", "flUserId": "a", "flUserToken": "ta"}, m{"Email": "bob@example.org"}}}) // 101: 5001, 5002
	k.source(m{"name": "Things", "entries": []any{m{"ID": 1, "Name": "One"}, m{"ID": 2, "Name": "Two"}}})                                                  // 102: 5003, 5004
	k.source(m{"name": "Talk", "type": "conversation", "definition": m{"participants": []any{"a"}}})                                                       // 103
	require.NoError(t, k.SetWidget("com.fliplet.chat", 1, m{"dataSourceId": 101}))                                                                         // 701
	studio, _, err := k.AddUser("studio@example.org", "Stu", "Dio", "secret")
	require.NoError(t, err)
	app, _, err := k.AddToken("app", 1, 0, "")
	require.NoError(t, err)
	speak := map[string]*kit{"": k, "studio": k.as(studio), "app": k.as(app), "nobody": k.as("")}

	const (
		rest = "REST pages"
		cli  = "fliplet-cli"
		code = "VS Code extension"
		mgr  = "Data Source Manager"
		file = "File Manager"
		js   = "JavaScript libraries"
		dis  = "Fliplet Agent"
		in   = "login components"
		glue = "connectors"
	)
	calls := []replayed{
		{cli, "POST", "/v1/auth/login", "email=studio%40example.org&password=secret", "nobody", 200, "auth_token email fullName"},
		{cli, "GET", "/v1/user?auth_token=" + studio, "", "nobody", 200, "user"},
		{cli, "GET", "/v1/organizations?auth_token=" + studio, "", "nobody", 200, "organizations"},
		{cli, "GET", "/v1/widgets", "", "nobody", 200, "widgets"},
		{cli, "GET", "/v1/widgets/assets", "", "nobody", 200, "assets"},
		{cli, "GET", "/v1/widgets/com.fliplet.nothing", "", "nobody", 404, "message"},
		{cli, "POST", "/v1/apps", `{"organizationId":1,"name":"Test app"}`, "studio", 201, "app"},
		{cli, "DELETE", "/v1/apps/2", "", "studio", 200, "-"},

		{code, "GET", "/v1/apps", "", "studio", 200, "apps"},
		{code, "GET", "/v1/apps/1/pages", "", "studio", 200, "pages"},
		{code, "GET", "/v1/data-sources?roles=publisher,editor&appId=1", "", "studio", 200, "dataSources"},
		{code, "GET", "/v1/widget-instances?appId=1", "", "studio", 200, "widgetInstances"},
		{code, "GET", "/v1/widget-instances?pageId=5", "", "studio", 200, "widgetInstances"},
		{code, "GET", "/v1/widget-instances/701", "", "studio", 200, "widgetInstance"},
		{code, "PUT", "/v1/widget-instances/701", `{"dataSourceId":101,"a":1}`, "studio", 200, "widgetInstance"},
		{code, "POST", "/v1/apps/1/settings", `{"customJS":"1"}`, "studio", 200, "app"},
		{code, "POST", "/v1/data-sources/102/commit", `{"entries":[{"id":5003,"data":{"ID":1,"Name":"One"}},{"id":5004,"data":{"ID":2,"Name":"Two"}}],"source":"vscode"}`, "studio", 200, "entries clientIds"},
		{code, "PUT", "/v1/data-sources/102", `{"name":"Things","definition":{}}`, "studio", 200, "dataSource"},
		{code, "GET", "/v1/data-sources/102/data/query?appId=1", "", "studio", 200, "entries"},

		{mgr, "GET", "/v1/apps/tokens", "", "studio", 200, "appTokens"},
		{mgr, "GET", "/v1/data-sources?roles=publisher%2Ceditor&appId=1&includeInUse=true&attributes=id%2Cname%2Cbundle%2CcreatedAt%2CupdatedAt%2CappId%2Capps&type=&excludeTypes=bookmarks%2Clikes%2Ccomments%2Cmenu%2Cconversation", "", "studio", 200, "dataSources"},
		{mgr, "GET", "/v1/data-sources/102?includeEntriesCount", "", "studio", 200, "dataSource"},
		{mgr, "POST", "/v1/data-sources/102/data/query", `{"limit":50,"offset":0,"order":[["order","ASC"],["id","ASC"]]}`, "studio", 200, "entries"},
		{mgr, "POST", "/v1/data-sources/102/commit", `{"entries":[{"clientId":"c1","data":{"ID":3}}],"delete":[],"append":true,"extend":true,"runHooks":[],"columns":["ID","Name"]}`, "studio", 200, "entries clientIds"},
		{mgr, "GET", "/v1/data-sources/102/versions", "", "studio", 200, "versions"},
		{mgr, "GET", "/v1/data-sources/102/versions/301/data", "", "studio", 200, "entries"},
		{mgr, "POST", "/v1/data-sources/102/versions/301/restore", "", "studio", 200, "-"},
		{mgr, "GET", "/v1/data-sources/102/validation-code", "", "studio", 200, "code"},
		{mgr, "POST", "/v1/data-sources", `{"name":"New","appId":1,"organizationId":1,"accessRules":[],"entries":[{"id":1,"Column 1":"demo data"}],"columns":["id","Column 1"]}`, "studio", 201, "dataSource"},
		{mgr, "DELETE", "/v1/data-sources/104", "", "studio", 200, ""},
		{mgr, "GET", "/v1/data-sources/deleted/", "", "studio", 200, "dataSources"},
		{mgr, "POST", "/v1/data-sources/104/restore", "", "studio", 200, "dataSource"},
		{mgr, "DELETE", "/v1/data-sources/104", "", "studio", 200, ""},
		{mgr, "DELETE", "/v1/data-sources/deleted/104", "", "studio", 200, ""},

		{dis, "GET", "/v1/user", "", "", 200, "user"},
		{dis, "GET", "/v1/data-sources?type=keystore", "", "", 200, "dataSources"},
		{dis, "POST", "/v1/data-sources", `{"name":"Keystore","type":"keystore","organizationId":1}`, "", 201, "dataSource"},
		{dis, "PUT", "/v1/data-sources/105/data", `{"createdAt":1700000000,"source":"Fliplet Agent","content":"U2FsdGVkX1"}`, "", 200, "id data"},
		{dis, "GET", "/v1/data-sources/102/data", "", "", 200, "entries"},
		{dis, "POST", "/v1/data-sources/102/commit", `{"append":true,"delete":[5003,5003,99],"extend":true,"entries":[{"data":{"ID":7}}],"runHooks":["insert","update"],"returnEntries":false}`, "", 200, "clientIds"},
		{dis, "POST", "/v1/data-sources/102/data/query", `{"where":{"ID":7},"attributes":["ID"]}`, "", 200, "entries"},
		{dis, "GET", "/v1/organizations/", "", "", 200, "organizations"},
		{dis, "GET", "/v1/media/?organizationId=1", "", "", 200, "folders files"},
		{dis, "POST", "/v1/media/folders", `{"name":"Files uploaded from DIS","organizationId":1}`, "", 200, "id name organizationId deletedAt"},
		{dis, "GET", "/v1/media?folderId=801&organizationId=1", "", "", 200, "folders files"},

		{file, "GET", "/v1/media/deleted", "", "studio", 200, "folders files"},
		{file, "PUT", "/v1/media/folders/801", `{"name":"Renamed"}`, "studio", 200, "id name"},
		{file, "PUT", "/v1/media/files/901", `{"name":"renamed.png","mediaFolderId":801}`, "studio", 200, "file"},
		{file, "PUT", "/v1/media/files/901", `{"appId":1,"mediaFolderId":null}`, "studio", 200, "file"},
		{file, "GET", "/v1/media/zip?appId=1&files=901&folders=801", "", "studio", 200, "zip"},
		{file, "GET", "/v1/media/folders/801", "", "studio", 200, "id name parentId"},
		{rest, "GET", "/v1/media/files/901/accessRules", "", "studio", 200, "accessRules effectiveRules inheritedFrom"},
		{rest, "PUT", "/v1/media/files/901/accessRules", `{"accessRules":[{"type":["read"],"allow":"loggedIn","enabled":true}]}`, "studio", 200, "accessRules effectiveRules inheritedFrom"},
		{rest, "PUT", "/v1/media/folders/801/accessRules", `{"accessRules":null}`, "studio", 200, "accessRules effectiveRules inheritedFrom"},
		{rest, "GET", "/v1/media/apps/1/accessRules", "", "studio", 200, "accessRules"},
		{rest, "GET", "/v1/media/apps/1/accessRules", "", "", 403, "message"},
		{file, "GET", "/v1/tokens", "", "studio", 200, "tokens"},
		{file, "GET", "/v1/media/organizations/1/accessRules", "", "studio", 200, "accessRules effectiveRules inheritedFrom"},
		{file, "PUT", "/v1/media/organizations/1/accessRules", `{"accessRules":[{"type":["read"],"allow":{"tokens":[40001]},"stop":false}]}`, "studio", 200, "accessRules effectiveRules inheritedFrom"},
		{file, "PUT", "/v1/media/organizations/1/accessRules", `{"accessRules":null}`, "studio", 200, "accessRules effectiveRules inheritedFrom"},
		{file, "DELETE", "/v1/media/files/901", "", "studio", 200, "-"},
		{file, "POST", "/v1/media/files/901/restore", "", "studio", 200, "file"},
		{file, "DELETE", "/v1/media/folders/801", "", "studio", 200, "-"},
		{file, "POST", "/v1/media/folders/801/restore", "", "studio", 200, "id"},
		{file, "DELETE", "/v1/media/folders/801", "", "studio", 200, "-"},
		{file, "DELETE", "/v1/media/deleted/folders/801", "", "studio", 200, "-"},
		{file, "DELETE", "/v1/media/deleted/files/901", "", "studio", 404, "message"},

		{js, "GET", "/v1/session", "", "app", 200, "session"},
		{js, "POST", "/v1/session/authorize/dataSource", `{"passport":"dataSource","dataSourceId":101,"where":{"Email":"jane@example.org"}}`, "app", 200, "session"},
		{js, "GET", "/v1/data-sources/101/data/session", "", "app", 200, "id data"},
		{js, "GET", "/v1/data-sources?appId=1&type=conversation&definition=%7B%22group%22%3A%7B%22public%22%3Atrue%7D%7D", "", "app", 200, "dataSources"},
		{js, "GET", "/v1/data-sources/Things?attributes=id,name", "", "app", 200, "dataSource"},
		{js, "POST", "/v1/data-sources/102/data/query", `{"type":"select","where":{"$filters":[{"column":"Name","condition":"contains","value":"t"}]},"includePagination":true,"limit":10,"offset":0}`, "app", 200, "entries pagination"},
		{js, "POST", "/v1/data-sources/102/data", `{"append":true,"entries":[{"ID":8}],"runHooks":false}`, "app", 200, "[]"},
		{js, "PUT", "/v1/data-sources/102/data?folderId=801&public=true", `{"ID":9}`, "app", 200, "id data"},
		{js, "PUT", "/v1/data-sources/102/data/5004", `{"Name":"Deux"}`, "app", 200, "id data"},
		{js, "GET", "/v1/data-sources/102/data/5004", "", "app", 200, "id data"},
		{js, "DELETE", "/v1/data-sources/102/data/5004", "", "app", 200, "-"},
		{js, "GET", "/v1/data-sources/102/indexes/Name,ID", "", "app", 200, "indexes"},
		{js, "POST", "/v1/data-sources/data", `{"flUserToken":"ta","count":true,"where":{"$not":{"data":{"$contains":{"readBy":["a"]}}}}}`, "app", 200, "entries count"},
		{js, "GET", "/v1/media?appId=1", "", "app", 200, "folders files"},
		{js, "GET", "/v1/media/files/901", "", "app", 200, "file"},
		{js, "POST", "/v1/media/files/aggregate", `{"files":[901,902],"attributes":["id","name","url","updatedAt"]}`, "app", 200, "files"},
		{js, "GET", "/v1/media/files/901/contents/x.png?size=medium&format=webp&quality=80", "", "app", 200, "bytes"},
		{js, "GET", "/v1/media/files/901/pdf", "", "app", 200, "bytes"},
		{js, "GET", "/v1/apps/1/tokens?type=integrationToken&order=id&direction=DESC", "", "", 200, "appTokens"},
		{js, "GET", "/v1/apps/1", "", "app", 200, "app"},
		{js, "PUT", "/v1/apps/1", `{"settings":{"v3":{"routes":[]}}}`, "studio", 200, "app"},
		{js, "GET", "/v1/organizations/1", "", "studio", 200, "organization"},
		{js, "POST", "/v1/organizations/1/analytics", `{"startDate":"2026-01-01T00:00:00.000Z","endDate":"2026-02-01T00:00:00.000Z"}`, "studio", 200, "appSessions studioSessions stats apps users"},
		{js, "GET", "/v1/widget-instances/com.fliplet.chat?appId=1", "", "app", 200, "widgetInstance"},

		{in, "POST", "/v1/auth/credential-types", fmt.Sprintf(`{"email":"studio@example.org","target_session_auth_token":%q}`, app), "app", 200, "types"},
		{in, "POST", "/v1/auth/forgot?method=code", `{"email":"studio@example.org"}`, "app", 200, "-"},
		{in, "POST", "/v1/auth/reset/123456", `{"email":"studio@example.org","password":"secret 2"}`, "app", 400, "message"},
		{in, "POST", "/v1/auth/login", `{"email":"studio@example.org","password":"secret","session":true}`, "app", 200, "auth_token session"},
		{in, "POST", "/v1/session/providers/copy", fmt.Sprintf(`{"source_session_auth_token":%q}`, studio), "app", 200, "session"},
		{in, "POST", "/v1/session/authorize/state", `{"appId":1,"sso":true}`, "app", 200, "state"},
		{in, "GET", "/v1/session/authorize/saml2?appId=1&auth_token=" + app, "", "nobody", 400, "message"},
		{in, "PUT", "/v1/user", `{"currentPassword":"secret","newPassword":"secret 2"}`, "app", 200, "user"},
		{in, "POST", "/v1/auth/logout", "", "app", 200, "-"},

		{rest, "POST", "/v1/apps/1/publish", `{"release":{"type":"visible","changelog":"Description of the update"}}`, "studio", 201, "app"},
		{rest, "GET", "/v1/apps/1/subscriptions", "", "studio", 200, "subscriptions"},
		{rest, "GET", "/v1/apps/1/subscriptions", "", "", 403, "message"},
		{rest, "GET", "/v1/apps/1/analytics/sessions", "", "", 200, "sessions"},
		{rest, "GET", "/v1/organizations/1/tokens", "", "studio", 200, "organizationTokens"},
		{rest, "POST", "/v1/organizations/1/tokens", `{"name":"My token"}`, "studio", 201, "token id name"},
		{rest, "DELETE", "/v1/organizations/1/tokens/40004", "", "studio", 200, ""},
		{rest, "POST", "/v1/apps/1/tokens", `{"name":"Zapier integration"}`, "studio", 201, "appToken"},
		{rest, "DELETE", "/v1/apps/1/tokens/40005", "", "studio", 200, ""},
		{rest, "PUT", "/v1/apps/1/notifications", `{"data":{"title":"New article"},"scope":{"Email":"nick@example.org"},"pushNotification":{"payload":{"title":"x"}}}`, "", 200, "notification"},
		{rest, "POST", "/v1/apps/1/notifications/batch", `{"notifications":[{"data":{"title":"Next"},"status":"published"}]}`, "", 200, "notifications"},
		{rest, "GET", "/v1/apps/1/notifications?limit=10&order=orderAt&direction=DESC", "", "", 200, "notifications"},
		{rest, "POST", "/v1/apps/1/notifications", `{"limit":50,"scope":[{"Email":"nick@example.org"}],"where":{"data":{"$contains":{"title":"New article"}}}}`, "", 200, "notifications"},
		{rest, "POST", "/v1/apps/1/notifications", `{"count":true}`, "", 200, "count"},
		{rest, "PUT", "/v1/apps/1/notifications/601", `{"data":{"more":1},"extendData":true,"status":"published"}`, "", 200, "notification"},
		{rest, "POST", "/v1/apps/1/notifications/mark-as-read", `{"recipientId":"20680bf2-5dc6-49b1-bb3e-602ec22b0a8c","entries":[601]}`, "", 200, "-"},
		{rest, "DELETE", "/v1/apps/1/notifications/601", "", "", 200, "-"},
		{rest, "POST", "/v1/communicate/email", `{"to":[{"email":"john@example.org","type":"to"}],"subject":"Hi","html":"<p>Hi</p>"}`, "", 200, "-"},
		{rest, "POST", "/v1/communicate/email/batch", `{"emails":[{"to":[{"email":"john@example.org"}]}]}`, "", 200, "-"},
		{rest, "POST", "/v1/communicate/sms", `{"provider":"twilio","data":{"from":"+1","to":"+2","body":"Hey!"},"options":{}}`, "", 200, "-"},
		{rest, "POST", "/v1/communicate/sms/batch", `{"sms":[{"data":{"to":"+2","body":"Hey!"}}]}`, "", 200, "-"},

		{glue, "GET", "/v1/apps", "", "", 200, "apps"},
		{glue, "GET", "/v1/apps/1", "", "", 200, "app"},
		{glue, "GET", "/v1/data-sources", "", "", 200, "dataSources"},
		{glue, "GET", "/v1/data-sources/102", "", "", 200, "dataSource"},
		{glue, "GET", "/v1/data-sources/102/data", "", "", 200, "entries"},
		{glue, "POST", "/v1/data-sources/102/data", `{"append":true,"entries":[{"ID":10}]}`, "", 200, "[]"},
		{glue, "PUT", "/v1/data-sources/102/data/5005", `{"ID":11}`, "", 404, "message"}, // the version that was restored is without it
	}
	seen := map[string]int{}
	for i, c := range calls {
		if c.client == file && seen[file] == 0 {
			k.form("POST", "/v1/media/files?folderId=801&name=x.png&organizationId=1", part{name: "files", file: "x.png", content: "bytes"}, part{name: "checksum", content: "4b3a6218bb3e3a7303e8a171a60fcf92"}).ok(201)
		}
		seen[c.client]++
		a := speak[c.by].sendAs(c)
		what := fmt.Sprintf("%d %s: %s %s: %s", i, c.client, c.method, c.path, a.body)
		require.Equal(t, c.status, a.status, what)
		switch c.keys {
		case "":
			assert.Empty(t, a.body, what)
		case "bytes":
			assert.Equal(t, "bytes", a.body, what)
		case "zip":
			assert.True(t, strings.HasPrefix(a.body, "PK"), what)
		case "[]":
			var list []m
			require.NoError(t, json.Unmarshal([]byte(a.body), &list), what)
		default:
			answer := a.ok(c.status)
			for key := range strings.FieldsSeq(strings.ReplaceAll(c.keys, "-", "")) {
				assert.Contains(t, answer, key, what)
			}
		}
		require.Empty(t, k.Faults(), what)
		require.NoError(t, k.Check(), what)
	}
	assert.Len(t, seen, 9, "every client has its turn")

	// A call that makes no sense changes nothing and says so.
	for _, c := range calls {
		if c.method != "POST" && c.method != "PUT" || c.status >= 400 {
			continue
		}
		for _, body := range []string{"{", "[]", `"x"`, "null", `{"data":1,"entries":1,"files":{},"name":7,"to":1,"emails":[],"sms":[1],"notifications":[1],"release":{},"definition":1}`} {
			c.body = body
			a := speak[c.by].sendAs(c)
			require.Less(t, a.status, 500, "%s %s %s: %s", c.method, c.path, body, a.body)
			require.True(t, a.body == "" || json.Valid([]byte(a.body)), a.body)
		}
	}
}

// sendAs makes a call of another client, which sends a form where that client does.
func (k *kit) sendAs(c replayed) answer {
	k.t.Helper()
	r, err := http.NewRequest(c.method, "http://example.com"+c.path, strings.NewReader(c.body)) //nolint:noctx // send gives it one
	require.NoError(k.t, err)
	if k.token != "" {
		r.Header.Set("Auth-token", k.token)
	}
	r.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(c.body, "email=") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return k.send(r)
}

func TestNotificationsOfAnApp(t *testing.T) {
	t.Parallel()
	k := start(t)
	const path = "/v1/apps/1/notifications"
	for _, body := range []string{`{}`, `{"data":1}`, `{"data":{},"status":"x"}`, `{"data":{},"scope":1}`, `{"data":{},"orderAt":"x"}`} {
		k.do("PUT", path, body).refused(400)
	}
	k.do("POST", path+"/batch", `{"notifications":[{"data":{}},{}]}`).refused(400)
	k.do("PUT", "/v1/apps/7/notifications", `{"data":{}}`).refused(404)
	assert.Equal(t, m{"count": 0.0}, k.do("POST", path, `{"count":true}`).ok(200), "nothing of what was refused is kept")
	k.do("PUT", path, `{"data":{"a":1},"orderAt":1577836800,"scope":{"topic":"x"}}`).ok(200)
	k.do("PUT", path, `{"data":{"b":1},"orderAt":"2020-01-02T00:00:00.000Z"}`).ok(200)
	k.do("PUT", path, `{"data":{"c":1},"orderAt":1577836801,"scope":[{"topic":"y"}]}`).ok(200)
	ids := func(body string) (ids []float64) {
		for _, n := range k.do("POST", path, body).ok(200)["notifications"].([]any) {
			ids = append(ids, n.(m)["id"].(float64))
		}
		return ids
	}
	assert.Equal(t, []float64{602, 603, 601}, ids(`{}`), "the latest first")
	assert.Equal(t, []float64{601, 603}, ids(`{"direction":"ASC","limit":2}`))
	assert.Equal(t, []float64{602, 601}, ids(`{"scope":[{"topic":"x"}]}`), "what has no scope is for all")
	assert.Equal(t, []float64{603}, ids(`{"where":{"data":{"$contains":{"c":1}}}}`))
	k.do("DELETE", path+"/602", "").ok(200)
	k.do("DELETE", path+"/602", "").refused(404)
	assert.Equal(t, []float64{603, 601}, ids(`{}`))
	assert.Len(t, ids(`{"includeDeleted":true}`), 3)
	changed := k.do("PUT", path+"/601", `{"data":{"z":2},"extendData":true,"status":"published"}`).ok(200)["notification"].(m)
	assert.Equal(t, []any{m{"a": 1.0, "z": 2.0}, "published"}, []any{changed["data"], changed["status"]})
	k.do("PUT", path+"/601", `{"status":"x"}`).refused(400)
	for _, body := range []string{`{"order":"x"}`, `{"direction":"x"}`, `{"limit":-1}`, `{"where":{"$nope":1}}`} {
		k.do("POST", path, body).refused(400)
	}
	for _, body := range []string{`{"entries":[601]}`, `{"recipientId":"x"}`, `{"recipientId":"x","entries":["y"]}`} {
		k.do("POST", path+"/mark-as-read", body).refused(400)
	}
}

func TestAppsAndTheirTokens(t *testing.T) {
	t.Parallel()
	k := start(t)
	studio := k.studio()
	k.do("POST", "/v1/apps", `{"name":"Mine"}`).refused(403)
	studio.do("POST", "/v1/apps", `{}`).refused(400)
	made := studio.do("POST", "/v1/apps", `{"name":"Mine","settings":{"a":1}}`).ok(201)["app"].(m)
	assert.Equal(t, []any{2.0, m{"a": 1.0}, nil}, []any{made["id"], made["settings"], made["version"]})
	changed := studio.do("PUT", "/v1/apps/2", `{"settings":{"b":2}}`).ok(200)["app"].(m)
	assert.Equal(t, []any{"Mine", m{"a": 1.0, "b": 2.0}}, []any{changed["name"], changed["settings"]})
	k.do("PUT", "/v1/apps/2", `{}`).refused(404)
	k.do("PUT", "/v1/apps/1", `{}`).refused(403)
	studio.do("PUT", "/v1/apps/2", `{"settings":1}`).refused(400)
	for want := range 2 {
		assert.Equal(t, float64(want+1), studio.do("POST", "/v1/apps/2/publish", `{"release":{"type":"silent"}}`).ok(201)["app"].(m)["version"])
	}
	studio.do("POST", "/v1/apps/2/publish", `{"release":{"type":"x"}}`).refused(400)

	k.do("POST", "/v1/apps/1/tokens", `{"name":"x"}`).refused(403)
	token := studio.do("POST", "/v1/apps/2/tokens", `{"name":"Zapier integration!"}`).ok(201)["appToken"].(m)
	assert.Equal(t, []any{"Zapier integration!", nil, "appToken", 2.0}, []any{token["firstName"], token["lastName"], token["type"], token["appId"]})
	assert.Equal(t, fmt.Sprintf("token-2-zapier-integration-%v@fliplet.com", token["id"]), token["email"])
	other := k.as(token["auth_token"].(string))
	assert.Equal(t, 2.0, other.do("GET", "/v1/apps", "").ok(200)["apps"].([]any)[0].(m)["id"])
	names := func(by *kit, path string) (names []string) {
		for _, token := range by.do("GET", path, "").ok(200)["appTokens"].([]any) {
			names = append(names, token.(m)["firstName"].(string))
			assert.NotEmpty(t, token.(m)["auth_token"])
		}
		return names
	}
	assert.Equal(t, []string{"Local token", "Zapier integration!"}, names(studio, "/v1/apps/tokens"))
	assert.Equal(t, []string{"Zapier integration!", "Local token"}, names(studio, "/v1/apps/tokens?order=id&direction=DESC"))
	assert.Equal(t, []string{"Local token"}, names(k, "/v1/apps/tokens"))
	assert.Equal(t, []string{"Zapier integration!"}, names(studio, "/v1/apps/2/tokens"))
	assert.Empty(t, names(studio, "/v1/apps/2/tokens?type=integrationToken"))
	k.do("GET", "/v1/apps/2/tokens", "").refused(404)
	k.do("GET", "/v1/apps/tokens?order=x", "").refused(400)
	page, _, err := k.AddToken("app", 1, 0, "")
	require.NoError(t, err)
	k.as(page).do("GET", "/v1/apps/tokens", "").refused(403)
	k.do("DELETE", fmt.Sprintf("/v1/apps/2/tokens/%v", token["id"]), "").refused(404)
	studio.do("DELETE", fmt.Sprintf("/v1/apps/1/tokens/%v", token["id"]), "").refused(404)
	studio.do("DELETE", fmt.Sprintf("/v1/apps/2/tokens/%v", token["id"]), "").ok(200)
	other.do("GET", "/v1/apps", "").refused(401)
	studio.do("DELETE", "/v1/apps/1", "").refused(400)
	studio.do("DELETE", "/v1/apps/2", "").ok(200)
	studio.do("GET", "/v1/apps/2", "").refused(404)
}

func TestSignInAsTheLoginComponentDoes(t *testing.T) {
	t.Parallel()
	k := start(t)
	_, id, err := k.AddUser("jo@example.org", "Jo", "March", "secret")
	require.NoError(t, err)
	_, _, err = k.AddUser("sso@example.org", "No", "Password", "")
	require.NoError(t, err)
	page, _, err := k.AddToken("app", 1, 0, "")
	require.NoError(t, err)
	app, nobody := k.as(page), k.as("")
	const types, forgot, reset = "/v1/auth/credential-types", "/v1/auth/forgot?method=code", "/v1/auth/reset/123456"
	for body, want := range map[string][]any{
		`{"email":" JO@example.org"}`: {m{"type": "password"}}, `{"email":"sso@example.org"}`: {}, `{"email":"x@example.org"}`: {},
	} {
		assert.Equal(t, m{"types": want}, nobody.do("POST", types, body).ok(200), body)
	}
	for _, body := range []string{`{}`, `{"email":1}`, `{"email":" "}`, `{`, `[]`} {
		nobody.do("POST", types, body).refused(400)
		nobody.do("POST", forgot, body).refused(400)
		nobody.do("POST", reset, body).refused(400)
	}
	assert.Equal(t, m{}, nobody.do("POST", forgot, `{"email":"jo@example.org"}`).ok(200))
	assert.Equal(t, "password must be a text that is not empty.", nobody.do("POST", reset, `{"email":"jo@example.org"}`).ok(400)["message"])
	assert.Equal(t, "The verification code is not valid.", nobody.do("POST", reset, `{"email":"jo@example.org","password":"x"}`).ok(400)["message"])

	const change = `{"currentPassword":"secret","newPassword":"other"}`
	login := func(password string) answer {
		return app.do("POST", "/v1/auth/login", fmt.Sprintf(`{"email":"jo@example.org","password":%q}`, password))
	}
	nobody.do("PUT", "/v1/user", change).refused(401)
	app.do("PUT", "/v1/user", change).refused(403)
	login("secret").ok(200)
	for _, body := range []string{`{}`, `{"currentPassword":"secret"}`, `{"newPassword":"other"}`, `{"currentPassword":"secret","newPassword":""}`, `{"currentPassword":"secret","newPassword":7}`, `{"currentPassword":"wrong","newPassword":"other"}`} {
		app.do("PUT", "/v1/user", body).refused(400)
	}
	login("secret").ok(200)
	user := app.do("PUT", "/v1/user", change).ok(200)["user"].(m)
	assert.Equal(t, []any{float64(id), "jo@example.org"}, []any{user["id"], user["email"]})
	login("secret").refused(401)
	login("other").ok(200)
}

func TestTokensOfAllAppsAreListedWithoutTheirSecrets(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.AddApp(2, "Other", 0)
	_, id, err := k.AddToken(flipletd.APIToken, 2, 0, "")
	require.NoError(t, err)
	_, _, err = k.AddToken(flipletd.AppToken, 1, 0, "")
	require.NoError(t, err)
	k.do("GET", "/v1/tokens", "").refused(403)
	a := k.studio().do("GET", "/v1/tokens?order=id", "")
	tokens := a.ok(200)["tokens"].([]any)
	require.Len(t, tokens, 2)
	assert.Equal(t, []any{"Local token", []any{m{"id": 1.0, "name": "Local app"}}}, []any{tokens[0].(m)["fullName"], tokens[0].(m)["apps"]})
	assert.Equal(t, []any{float64(id), []any{m{"id": 2.0, "name": "Other"}}}, []any{tokens[1].(m)["id"], tokens[1].(m)["apps"]})
	assert.NotContains(t, a.body, "auth_token")
	assert.NotContains(t, a.body, k.token)
	k.studio().do("GET", "/v1/tokens?order=x", "").refused(400)
}

func TestRulesOfMediaAreInherited(t *testing.T) {
	t.Parallel()
	k := start(t)
	studio := k.studio()
	outer := k.do("POST", "/v1/media/folders", `{"name":"Outer","appId":1}`).ok(200)["id"]
	inner := k.do("POST", "/v1/media/folders", fmt.Sprintf(`{"name":"Inner","parentId":%v}`, outer)).ok(200)["id"]
	k.form("POST", fmt.Sprintf("/v1/media/files?folderId=%v", inner), part{name: "files[0]", file: "x.png", content: "x"}).ok(201)
	const file, app = "/v1/media/files/901/accessRules", "/v1/media/apps/1/accessRules"
	folder := fmt.Sprintf("/v1/media/folders/%v/accessRules", outer)
	set := func(path, rules string) m { return studio.do("PUT", path, `{"accessRules":`+rules+`}`).ok(200) }
	rule := []any{m{"allow": "all", "type": []any{"read"}}}
	const text = `[{"type":["read"],"allow":"all"}]`
	assert.Equal(t, m{"accessRules": nil, "effectiveRules": []any{}, "inheritedFrom": nil}, studio.do("GET", file, "").ok(200))
	const organization = "/v1/media/organizations/1/accessRules"
	assert.Equal(t, m{"accessRules": nil, "effectiveRules": []any{}, "inheritedFrom": nil}, studio.do("GET", organization, "").ok(200))
	assert.Equal(t, m{"accessRules": rule, "effectiveRules": rule, "inheritedFrom": nil}, set(organization, text))
	assert.Equal(t, m{"type": "organization", "organizationId": 1.0, "organizationName": "Local organization"}, studio.do("GET", file, "").ok(200)["inheritedFrom"])
	assert.Equal(t, m{"accessRules": rule}, set(app, text))
	assert.Equal(t, m{"accessRules": nil, "effectiveRules": rule, "inheritedFrom": m{"type": "app", "appId": 1.0}}, studio.do("GET", file, "").ok(200))
	set(folder, text)
	assert.Equal(t, m{"type": "folder", "folderId": outer, "folderName": "Outer"}, studio.do("GET", file, "").ok(200)["inheritedFrom"])
	assert.Equal(t, m{"accessRules": []any{}, "effectiveRules": []any{}, "inheritedFrom": nil}, set(file, `[]`), "no rules of its own are rules")
	assert.Equal(t, "folder", set(file, `null`)["inheritedFrom"].(m)["type"])
	for _, bad := range []string{`{}`, `{"accessRules":1}`, `{"accessRules":[1]}`, `{"accessRules":[` + strings.Repeat("{},", 20) + `{}]}`} {
		studio.do("PUT", file, bad).refused(400)
	}
	for _, path := range []string{"/v1/media/files/7/accessRules", "/v1/media/folders/7/accessRules", "/v1/media/apps/7/accessRules", "/v1/media/organizations/7/accessRules", "/v1/media/organizations/x/accessRules"} {
		studio.do("GET", path, "").refused(404)
		studio.do("PUT", path, `{"accessRules":null}`).refused(404)
	}
	k.do("PUT", file, `{"accessRules":null}`).refused(403)
}

func TestMediaComesBackFromTheTrash(t *testing.T) {
	t.Parallel()
	k := start(t)
	outer := k.do("POST", "/v1/media/folders", `{"name":"Outer","appId":1}`).ok(200)["id"]
	inner := k.do("POST", "/v1/media/folders", fmt.Sprintf(`{"name":"Inner","parentId":%v}`, outer)).ok(200)["id"]
	k.form("POST", fmt.Sprintf("/v1/media/files?folderId=%v", inner), part{name: "files[0]", file: "x.png", content: "x"}).ok(201)
	k.form("POST", fmt.Sprintf("/v1/media/files?folderId=%v", inner), part{name: "files[0]", file: "x.png", content: "y"}).ok(201)
	k.do("POST", "/v1/media/files/901/restore", "").refused(404)
	k.do("DELETE", "/v1/media/deleted/files/901", "").refused(404)
	for _, path := range []string{"files/901", "files/902", fmt.Sprintf("folders/%v", inner), fmt.Sprintf("folders/%v", outer)} {
		k.do("DELETE", "/v1/media/"+path, "").ok(200)
	}
	k.do("POST", "/v1/media/files/901/restore", "").ok(200)
	assert.Len(t, k.do("GET", fmt.Sprintf("/v1/media?folderId=%v", inner), "").ok(200)["files"], 1, "with the folders around it")
	assert.Len(t, k.do("GET", fmt.Sprintf("/v1/media?folderId=%v", outer), "").ok(200)["folders"], 1)
	k.do("DELETE", "/v1/media/deleted/files/902", "").ok(200)
	k.do("POST", "/v1/media/files/902/restore", "").refused(404)
	k.form("POST", fmt.Sprintf("/v1/media/files?folderId=%v", inner), part{name: "files[0]", file: "x.png", content: "z"}).ok(201)

	zip := k.do("GET", fmt.Sprintf("/v1/media/zip?folders=%v", inner), "")
	assert.Equal(t, "application/zip", zip.header.Get("Content-Type"))
	assert.Equal(t, 2, strings.Count(zip.body, "PK\x01\x02"), "both files, under names of their own")
	for _, query := range []string{"", "?files=x", "?folders=1,"} {
		a := k.do("GET", "/v1/media/zip"+query, "")
		assert.Contains(t, []int{200, 400}, a.status, query)
	}
	k.do("GET", "/v1/media/zip", "").refused(400)
	k.do("POST", "/v1/media/files/aggregate", `{"files":[1,"x"]}`).refused(400)
	k.do("POST", "/v1/media/files/aggregate", `{"files":[901],"attributes":1}`).refused(400)
	assert.Equal(t, []any{m{"id": 901.0, "name": "x.png"}}, k.do("POST", "/v1/media/files/aggregate", `{"files":[901,902,77],"attributes":["name"]}`).ok(200)["files"])
}
