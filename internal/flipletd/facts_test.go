package flipletd_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// TestFactsOfRealClients has one case for each fact that was seen in public clients of
// Fliplet, or is documented, and that this server has to share; the handbook lists them.
// All of them speak HTTP through a socket, as those clients do.
func TestFactsOfRealClients(t *testing.T) {
	t.Parallel()
	for name, fact := range map[string]func(t *testing.T, k *kit){
		"user of an API token":              factUserOfAToken,
		"isAdmin is for staff":              factIsAdmin,
		"lists say where sources are used":  factInUse,
		"fields of data sources":            factFieldsOfSources,
		"types of data sources":             factTypes,
		"values of media":                   factMedia,
		"calls of clients":                  factCalls,
		"entries keep their ids":            factEntryIDs,
		"deletes repeat ids":                factRepeatedDeletes,
		"salt of a keystore":                factKeystore,
		"second factor":                     factSecondFactor,
		"host":                              factHost,
		"passports are path segments":       factPassports,
		"the session's token is no chat's":  factSessionToken,
		"subscriptions on user rows":        factSubscriptionColumns,
		"tokens of an organization":         factOrganizationTokens,
		"a delete query shows entries":      factDeleteQuery,
		"single writes answer 200":          factSingleWrites,
		"one query joins many data sources": factJoins,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t)
			k.overHTTP()
			k.t = t
			fact(t, k)
		})
	}
}

func factUserOfAToken(t *testing.T, k *kit) {
	user := k.do("GET", "/v1/user", "").ok(200)["user"].(m)
	assert.Equal(t, "Local token", user["firstName"])
	assert.Equal(t, "Local token", user["fullName"])
	assert.Equal(t, "appToken", user["type"])
	assert.Regexp(t, `^token-1-local-token-\d+@fliplet\.com$`, user["email"])
	integration, _, err := k.AddToken(flipletd.OrganizationToken, 0, 0, "")
	require.NoError(t, err)
	assert.Equal(t, "integrationToken", k.as(integration).do("GET", "/v1/user", "").ok(200)["user"].(m)["type"])
}

func factIsAdmin(t *testing.T, k *kit) {
	token, _, err := k.AddUser("jo@x.com", "Jo", "March", "")
	require.NoError(t, err)
	for _, token := range []string{k.token, token} {
		assert.Equal(t, false, k.as(token).do("GET", "/v1/user", "").ok(200)["user"].(m)["isAdmin"])
	}
}

func factInUse(t *testing.T, k *kit) {
	id := k.source(m{"name": "Here"})
	apps := k.do("GET", "/v1/apps", "").ok(200)["apps"].([]any)
	assert.Equal(t, []any{float64(id)}, apps[0].(m)["dataSourcesInUse"])
	k.do("POST", "/v1/data-sources", `{"name":"Nowhere","organizationId":1}`).ok(201)
	for _, query := range []string{
		"attributes=id,name,apps", "roles=publisher,editor&includeInUse=true&appId=1&attributes=id,name,apps&type=&excludeTypes=bookmarks,likes,comments,menu,conversation",
	} {
		list := k.do("GET", "/v1/data-sources?"+query, "").ok(200)["dataSources"].([]any)
		require.NotEmpty(t, list, query)
		assert.Equal(t, []any{m{"id": 1.0, "name": "Local app"}}, list[0].(m)["apps"])
		for _, source := range list {
			assert.IsType(t, []any{}, source.(m)["apps"], "an app or none, but a list")
		}
	}
}

func factFieldsOfSources(t *testing.T, k *kit) {
	id := k.source(m{"name": "Here"})
	for _, source := range []any{
		k.do("GET", fmt.Sprintf("/v1/data-sources/%d", id), "").ok(200)["dataSource"],
		k.do("GET", "/v1/data-sources", "").ok(200)["dataSources"].([]any)[0],
		k.do("PUT", fmt.Sprintf("/v1/data-sources/%d", id), `{"name":"There"}`).ok(200)["dataSource"],
		k.do("POST", "/v1/data-sources", `{"name":"More","appId":1}`).ok(201)["dataSource"],
	} {
		assert.Equal(t, "crudq", source.(m)["permissions"])
		assert.Contains(t, source, "masterDataSourceId")
		assert.Nil(t, source.(m)["masterDataSourceId"])
		assert.Equal(t, []any{}, source.(m)["dataSourceRoles"])
		assert.Equal(t, 1.0, source.(m)["organizationId"])
	}
	k.Pull(flipletd.Rule{Route: flipletd.AnyRoute, Faults: []flipletd.Fault{func(fx *flipletd.Effects) { fx.Shape.Null = map[string]bool{"organizationId": true} }}})
	source := k.do("GET", fmt.Sprintf("/v1/data-sources/%d", id), "").ok(200)["dataSource"].(m)
	assert.Nil(t, source["organizationId"], "the lever")
	assert.Equal(t, 1.0, source["appId"])
}

func factTypes(t *testing.T, k *kit) {
	for _, kind := range []string{"bookmarks", "likes", "comments", "conversation", "keystore", "menu"} {
		k.do("POST", "/v1/data-sources", fmt.Sprintf(`{"name":"Of %s","appId":1,"type":%q}`, kind, kind)).ok(201)
		list := k.do("GET", "/v1/data-sources?type="+kind, "").ok(200)["dataSources"].([]any)
		require.Len(t, list, 1)
		assert.Equal(t, kind, list[0].(m)["type"])
	}
	k.source(m{"name": "Shown"})
	for _, query := range []string{"type=null", "excludeTypes=bookmarks,likes,comments,menu,conversation,keystore"} {
		assert.Equal(t, []any{m{"id": 107.0, "name": "Shown"}}, k.do("GET", "/v1/data-sources?attributes=name&"+query, "").ok(200)["dataSources"], query)
	}
}

func factMedia(t *testing.T, k *kit) {
	upload := func() m {
		return k.form("POST", "/v1/media/files?organizationId=1&name=a.png", part{name: "files", file: "x.png", content: "bytes"}, part{name: "checksum", content: "abc"}).ok(201)["files"].([]any)[0].(m)
	}
	file := upload()
	assert.Contains(t, file, "isEncrypted")
	assert.Nil(t, file["isEncrypted"])
	assert.Equal(t, false, file["isOrganizationMedia"])
	assert.Equal(t, "a.png", file["name"])
	assert.Regexp(t, `^http://[^/]+/v1/media/files/901/thumb/preview\.jpg$`, file["thumbnail"])
	assert.Regexp(t, `^organizations/1/`, file["path"])
	assert.Contains(t, file, "masterMediaFileId")
	metadata := file["metadata"].(m)
	assert.Equal(t, []any{"4b3a6218bb3e3a7303e8a171a60fcf92", "abc", "clean"}, []any{metadata["checksum"], metadata["clientChecksum"], metadata["av"].(m)["status"]})
	assert.Equal(t, "bytes", k.do("GET", "/v1/media/files/901/thumb/preview.jpg", "").body)

	// By default the url is the documented one that takes a token; a lever makes it the CDN's.
	at := strings.TrimPrefix(file["url"].(string), k.url)
	assert.Equal(t, "/v1/media/files/901/contents/a.png", at)
	assert.Equal(t, "bytes", k.do("GET", at, "").body)
	assert.Equal(t, 401, k.as("").do("GET", at, "").status)
	assert.Equal(t, 401, k.as("").do("GET", "/"+file["path"].(string), "").status, "nobody sees a file without a token before the lever is pulled")
	assert.Equal(t, "bytes", k.do("GET", "/"+file["path"].(string), "").body)
	k.Pull(flipletd.Rule{Route: flipletd.AnyRoute, Faults: []flipletd.Fault{func(fx *flipletd.Effects) { fx.Shape.CDN = true }}})
	file = upload()
	assert.Equal(t, k.url+"/"+file["path"].(string), file["url"])
	assert.Equal(t, "bytes", k.as("").do("GET", "/"+file["path"].(string), "").body, "a CDN asks for no token")
	k.source(m{"type": "conversation"})
	k.form("PUT", "/v1/data-sources/101/data", part{name: "_flSchema", content: `{"file":{"encryptionKey":"k"}}`}, part{name: "file", file: "private.png", content: "x"}).ok(200)
	assert.Equal(t, 401, k.as("").do("GET", "/organizations/1/files/903/private.png", "").status, "but a private file stays private")
}

func factCalls(t *testing.T, k *kit) {
	k.source(m{})
	folder := k.do("POST", "/v1/media/folders", `{"name":"Files","organizationId":1}`).ok(200)
	k.form("POST", "/v1/media/files?appId=1", part{name: "files[0]", file: "x.png", content: "x"}).ok(201)
	studio := k.studio()
	nobody := k.as("")
	assert.Equal(t, []any{}, nobody.do("GET", "/v1/widgets", "").ok(200)["widgets"])
	assert.Equal(t, m{}, nobody.do("GET", "/v1/widgets/assets", "").ok(200)["assets"])
	assert.Len(t, studio.do("GET", "/v1/apps/tokens", "").ok(200)["appTokens"], 1)
	assert.Equal(t, []any{}, k.do("GET", "/v1/apps/1/pages", "").ok(200)["pages"])
	assert.Equal(t, []any{}, k.do("GET", "/v1/widget-instances?appId=1", "").ok(200)["widgetInstances"])
	assert.Contains(t, k.do("GET", "/v1/data-sources/101/validation-code", "").ok(200), "code")
	assert.Equal(t, "y.png", k.do("PUT", "/v1/media/files/901", `{"name":"y.png"}`).ok(200)["file"].(m)["name"])
	assert.Equal(t, "Other", k.do("PUT", fmt.Sprintf("/v1/media/folders/%v", folder["id"]), `{"name":"Other"}`).ok(200)["name"])
	assert.Contains(t, k.do("GET", "/v1/media/deleted", "").ok(200), "files")
	assert.NotEmpty(t, k.do("GET", "/v1/session/authorize/saml2?appId=1&auth_token="+k.token, "").refused(400), "there is nobody to sign in with")
}

func factEntryIDs(t *testing.T, k *kit) {
	made := k.do("POST", "/v1/data-sources", `{"name":"x","appId":1,"entries":[{"id":7,"a":1},{"a":2}]}`).ok(201)["dataSource"].(m)
	entries := k.do("GET", fmt.Sprintf("/v1/data-sources/%v/data", made["id"]), "").ok(200)["entries"].([]any)
	require.Len(t, entries, 2)
	assert.Equal(t, 7.0, entries[1].(m)["id"])
	assert.Equal(t, m{"a": 1.0}, entries[1].(m)["data"])
}

func factRepeatedDeletes(t *testing.T, k *kit) {
	id := k.source(m{"entries": []any{m{"a": 1}, m{"a": 2}, m{"a": 3}}})
	path := fmt.Sprintf("/v1/data-sources/%d/commit", id)
	for range 3 { // each batch of the agent says it again
		k.do("POST", path, `{"append":true,"extend":true,"runHooks":[],"returnEntries":false,"entries":[{"data":{"a":9}}],"delete":[5001,5002,5002,77]}`).ok(200)
	}
	assert.Equal(t, []int64{5003, 5004, 5005, 5006}, k.live(id))
}

// The agent keeps its key in a keystore whose salt is made of the ids that it is told, and
// stops when that does not open the entry.
func factKeystore(t *testing.T, k *kit) {
	assert.Equal(t, []any{}, k.do("GET", "/v1/data-sources?type=keystore", "").ok(200)["dataSources"])
	organization := k.do("GET", "/v1/organizations", "").ok(200)["organizations"].([]any)[0].(m)
	made := k.do("POST", "/v1/data-sources", fmt.Sprintf(`{"name":"Keystore","type":"keystore","organizationId":%v}`, organization["id"])).ok(201)["dataSource"].(m)
	salt := fmt.Sprintf("%v-%v", made["organizationId"], made["id"])
	assert.Equal(t, "1-101", salt)
	k.do("PUT", "/v1/data-sources/101/data", `{"content":"U2FsdGVkX1","source":"Fliplet Agent","createdAt":1700000000}`).ok(200)
	found := k.do("GET", "/v1/data-sources?type=keystore", "").ok(200)["dataSources"].([]any)[0].(m)
	assert.Equal(t, salt, fmt.Sprintf("%v-%v", found["organizationId"], found["id"]), "the same salt in the next run")
	entries := k.do("GET", "/v1/data-sources/101/data", "").ok(200)["entries"].([]any)
	require.Len(t, entries, 1)
	assert.Equal(t, "U2FsdGVkX1", entries[0].(m)["data"].(m)["content"])
}

func factSecondFactor(t *testing.T, k *kit) {
	_, _, err := k.AddUser("jo@x.com", "Jo", "March", "secret")
	require.NoError(t, err)
	login := func(body string) answer { return k.as("").do("POST", "/v1/auth/login", body) }
	login(`{"email":"jo@x.com","password":"secret"}`).ok(200)
	lever := k.Pull(flipletd.Rule{Route: "POST /v1/auth/login", Faults: []flipletd.Fault{func(fx *flipletd.Effects) { fx.SecondFactor = "123456" }}})
	login(`{"email":"jo@x.com","password":"secret"}`).refused(http.StatusPreconditionRequired)
	login(`{"email":"jo@x.com","password":"secret","twofactor":"1"}`).refused(http.StatusPreconditionRequired)
	login(`{"email":"jo@x.com","password":"wrong","twofactor":"123456"}`).refused(401)
	assert.NotEmpty(t, login(`{"email":"jo@x.com","password":"secret","twofactor":"123456"}`).ok(200)["auth_token"])
	lever.Off()
	login(`{"email":"jo@x.com","password":"secret"}`).ok(200)
}

func factHost(t *testing.T, k *kit) {
	assert.NotContains(t, k.do("GET", "/v1/user", "").ok(200), "host")
	k.Pull(flipletd.Rule{Route: "GET /v1/user", Faults: []flipletd.Fault{func(fx *flipletd.Effects) { fx.Shape.Host = "https://us.api.fliplet.com/" }}})
	assert.Equal(t, "https://us.api.fliplet.com/", k.do("GET", "/v1/user", "").ok(200)["host"])
}

func factPassports(t *testing.T, k *kit) {
	k.source(m{"entries": []any{m{"Email": "jo@x.com"}}})
	user, id, err := k.AddUser("jo@x.com", "Jo", "March", "secret")
	require.NoError(t, err)
	row := k.do("POST", "/v1/session/authorize/dataSource", `{"passport":"dataSource","dataSourceId":101,"where":{"Email":"jo@x.com"}}`).ok(200)["session"].(m)
	assert.Equal(t, 5001.0, row["entries"].(m)["dataSource"].(m)["id"])
	k.do("POST", "/v1/session/authorize/flipletLogin", `{"email":"jo@x.com","password":"wrong"}`).refused(401)
	session := k.do("POST", "/v1/session/authorize/flipletLogin", `{"email":"jo@x.com","password":"secret"}`).ok(200)["session"].(m)
	passport := session["server"].(m)["passports"].(m)["flipletLogin"].([]any)[0].(m)
	assert.Equal(t, []any{user, "jo@x.com", "eu"}, []any{passport["auth_token"], passport["email"], passport["region"]})
	assert.Equal(t, float64(id), session["accounts"].(m)["flipletLogin"].([]any)[0].(m)["id"])
	assert.Equal(t, float64(id), session["entries"].(m)["flipletLogin"].(m)["id"])
	k.do("POST", "/v1/session/authorize/saml2", "{}").refused(400)
	k.do("POST", "/v1/session/authorize/nobody", "{}").refused(404)
	k.do("POST", "/v1/auth/logout", "").ok(200)
	assert.Empty(t, k.do("GET", "/v1/session", "").ok(200)["session"].(m)["accounts"])
}

// A component for SSO stores the token of the session where a chat looks for its own.
func factSessionToken(t *testing.T, k *kit) {
	k.source(m{"name": "Contacts", "entries": []any{m{"flUserId": "a", "flUserToken": "ta"}}})
	k.do("POST", "/v1/data-sources/data", fmt.Sprintf(`{"flUserToken":%q}`, k.do("GET", "/v1/session", "").ok(200)["session"].(m)["auth_token"])).refused(403)
	k.do("POST", "/v1/data-sources/data", `{"flUserToken":"ta"}`).ok(200)
}

func factSubscriptionColumns(t *testing.T, k *kit) {
	id := k.source(m{"entries": []any{m{"flUserId": "a"}}})
	data := k.do("PUT", fmt.Sprintf("/v1/data-sources/%d/data/5001", id), `{"flSubscriptionId":7,"flPushSubscriptionId":"8"}`).ok(200)["data"]
	assert.Equal(t, m{"flUserId": "a", "flSubscriptionId": 7.0, "flPushSubscriptionId": "8"}, data)
}

func factOrganizationTokens(t *testing.T, k *kit) {
	studio := k.studio()
	made := studio.do("POST", "/v1/organizations/1/tokens", `{"name":"My token"}`).ok(201)
	assert.Len(t, made, 3)
	assert.Equal(t, "My token", made["name"])
	listed := studio.do("GET", "/v1/organizations/1/tokens", "").ok(200)["organizationTokens"].([]any)[0].(m)
	assert.Equal(t, []any{made["id"], "My token", nil, "integrationToken"}, []any{listed["id"], listed["fullName"], listed["lastName"], listed["type"]})
	assert.Equal(t, "My token", k.as(made["token"].(string)).do("GET", "/v1/user", "").ok(200)["user"].(m)["fullName"])
	studio.do("DELETE", fmt.Sprintf("/v1/organizations/1/tokens/%v", made["id"]), "").ok(200)
	k.as(made["token"].(string)).do("GET", "/v1/user", "").refused(401)
}

func factDeleteQuery(t *testing.T, k *kit) {
	id := k.source(m{"entries": []any{m{"a": 1}, m{"a": 2}}})
	gone := k.do("POST", fmt.Sprintf("/v1/data-sources/%d/data/query", id), `{"type":"delete","where":{"a":1}}`).ok(200)
	assert.IsType(t, []any{}, gone["entries"])
	assert.Equal(t, []any{5001.0}, gone["deleted"])
	assert.Equal(t, []int64{5002}, k.live(id))
}

func factSingleWrites(t *testing.T, k *kit) {
	id := k.source(m{})
	path := fmt.Sprintf("/v1/data-sources/%d/data", id)
	made := k.do("PUT", path, `{"a":1}`).ok(200)
	k.do("PUT", fmt.Sprintf("%s/%v", path, made["id"]), `{"a":2}`).ok(200)
}

// One request reads many data sources: a join without on concatenates their rows.
func factJoins(t *testing.T, k *kit) {
	first := k.source(m{"name": "First", "entries": []any{m{"n": 0}}})
	var joins []string
	for i := range 30 {
		id := k.source(m{"name": fmt.Sprint("Joined ", i), "entries": []any{m{"n": i}, m{"n": i, "x": 1}, m{"n": i, "x": 2}}})
		joins = append(joins, fmt.Sprintf(`"J%d":{"dataSourceId":%d,"where":{"x":{"$gte":1}},"attributes":["n"],"order":["id","DESC"],"limit":1}`, i, id))
	}
	entries := k.do("POST", fmt.Sprintf("/v1/data-sources/%d/data/query", first), `{"join":{`+strings.Join(joins, ",")+`}}`).ok(200)["entries"].([]any)
	assert.Len(t, entries, 31)
}
