package flipletd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// What public clients of Fliplet were seen to ask for and to rely on.

func TestTheUserOfATokenIsNamedAfterIt(t *testing.T) {
	t.Parallel()
	k := start(t)
	integration, id, err := k.AddToken(flipletd.OrganizationToken, 0, 0, "")
	require.NoError(t, err)
	appToken, _, err := k.AddToken(flipletd.AppToken, 1, 0, "")
	require.NoError(t, err)
	for token, kind := range map[string]string{k.token: "appToken", appToken: "appToken", integration: "integrationToken"} {
		user := k.as(token).do("GET", "/v1/user", "").ok(200)["user"].(m)
		assert.Equal(t, kind, user["type"])
		assert.NotEmpty(t, user["firstName"])
		assert.Equal(t, user["firstName"], user["fullName"])
		assert.Regexp(t, `^token-1-[a-z-]+-\d+@fliplet\.com$`, user["email"])
		assert.Equal(t, false, user["isAdmin"])
	}
	assert.Equal(t, fmt.Sprintf("token-1-another-organization-token-%d@fliplet.com", id), k.as(integration).do("GET", "/v1/user", "").ok(200)["user"].(m)["email"])
}

func TestAnAdministratorOfAnOrganizationIsNoAdmin(t *testing.T) {
	t.Parallel()
	k := start(t)
	token, _, err := k.AddUser("jo@x.com", "Jo", "March", "")
	require.NoError(t, err)
	assert.Equal(t, false, k.as(token).do("GET", "/v1/user", "").ok(200)["user"].(m)["isAdmin"])
}

func TestTokensOfAnOrganization(t *testing.T) {
	t.Parallel()
	k := start(t)
	const path = "/v1/organizations/1/tokens"
	k.do("GET", path, "").refused(403)
	k.do("POST", path, `{"name":"Sync"}`).refused(403)
	admin := k.studio()
	assert.Equal(t, []any{}, admin.do("GET", path, "").ok(200)["organizationTokens"])
	admin.do("POST", path, `{}`).refused(400)
	admin.do("POST", path, `{"name":7}`).refused(400)
	admin.do("POST", "/v1/organizations/7/tokens", `{"name":"Sync"}`).refused(404)
	made := admin.do("POST", path, `{"name":"Sync"}`).ok(201)
	require.NotEmpty(t, made["token"])
	assert.Equal(t, "Sync", made["name"])
	list := admin.do("GET", path, "")
	listed := list.ok(200)["organizationTokens"].([]any)[0].(m)
	assert.Equal(t, []any{made["id"], "Sync", "Sync", nil, "integrationToken"}, []any{listed["id"], listed["fullName"], listed["firstName"], listed["lastName"], listed["type"]})
	assert.Equal(t, 1.0, listed["organizationUser"].(m)["organizationId"])
	assert.NotContains(t, list.body, made["token"], "a token is told once")
	sync := k.as(made["token"].(string))
	user := sync.do("GET", "/v1/user", "").ok(200)["user"].(m)
	assert.Equal(t, []any{"Sync", "integrationToken"}, []any{user["fullName"], user["type"]})
	k.AddApp(2, "Other", 0)
	assert.Len(t, sync.do("GET", "/v1/apps", "").ok(200)["apps"], 2)
	sync.do("GET", path, "").ok(200)
	assert.Empty(t, admin.do("DELETE", fmt.Sprintf("%s/%v", path, made["id"]), "").ok(200), "there is no body")
	admin.do("DELETE", fmt.Sprintf("%s/%v", path, made["id"]), "").refused(404)
	sync.do("GET", "/v1/apps", "").refused(401)
}

func TestListsSayWhereSourcesAreUsed(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.AddApp(2, "Other", 0)
	k.source(m{"name": "Here"})
	k.source(m{"name": "There", "appId": 2})
	studio := k.studio()
	assert.Equal(t, m{"dataSources": []any{m{"id": 101.0, "name": "Here", "apps": []any{m{"id": 1.0, "name": "Local app"}}}}},
		studio.do("GET", "/v1/data-sources?appId=1&attributes=id,name,apps", "").ok(200))
	assert.NotContains(t, studio.do("GET", "/v1/data-sources?appId=1", "").body, `"apps"`)
	apps := studio.do("GET", "/v1/apps", "").ok(200)["apps"].([]any)
	assert.Equal(t, []any{101.0}, apps[0].(m)["dataSourcesInUse"])
	assert.Equal(t, []any{102.0}, apps[1].(m)["dataSourcesInUse"])
	studio.do("DELETE", "/v1/data-sources/101", "").ok(200)
	assert.Equal(t, []any{}, studio.do("GET", "/v1/apps/1", "").ok(200)["app"].(m)["dataSourcesInUse"])
}

func TestAttributesOfAListAreSpeltAsClientsSpellThem(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{"name": "Things"})
	want := []any{m{"id": 101.0, "name": "Things", "type": nil}}
	for _, query := range []string{
		"attributes=name,type", "attributes=name&attributes=type", "attributes[]=id&attributes[]=name&attributes[]=type",
		"attributes%5B%5D=name&attributes=type,", "attributes=&attributes=name, type",
	} {
		assert.Equal(t, want, k.do("GET", "/v1/data-sources?"+strings.ReplaceAll(query, " ", "%20"), "").ok(200)["dataSources"], query)
	}
	assert.Contains(t, k.do("GET", "/v1/data-sources?attributes[]=id&attributes[]=apps", "").ok(200)["dataSources"].([]any)[0], "apps")
	all := k.do("GET", "/v1/data-sources", "").body
	for _, query := range []string{"attributes=", "attributes[]=", "attributes=,&attributes="} {
		assert.Equal(t, all, k.do("GET", "/v1/data-sources?"+query, "").body, "no name is all fields")
	}
}

func TestCallsOfClientsThatAreAnsweredWithLittle(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{})
	require.NoError(t, k.SetWidget("com.fliplet.chat", 1, m{"a": 1}))
	require.NoError(t, k.SetWidget("com.fliplet.push-notifications", 1, m{"b": 2}))
	require.NoError(t, k.SetWidget("com.fliplet.chat", 2, m{}))
	for path, want := range map[string]m{
		"/v1/apps/1/pages":                     {"pages": []any{}},
		"/v1/data-sources/101/validation-code": {"code": nil},
		"/v1/widget-instances?appId=9":         {"widgetInstances": []any{}},
		"/v1/widget-instances?appId=1": {"widgetInstances": []any{
			m{"id": 701.0, "widgetId": 701.0, "package": "com.fliplet.chat", "appId": 1.0, "settings": m{"a": 1.0}},
			m{"id": 702.0, "widgetId": 702.0, "package": "com.fliplet.push-notifications", "appId": 1.0, "settings": m{"b": 2.0}},
		}},
		"/v1/widget-instances?pageId=7": {"widgetInstances": []any{}},
		"/v1/apps/1/subscriptions":      nil,
	} {
		if want == nil {
			k.do("GET", path, "").refused(403)
			want = m{"subscriptions": []any{}}
			assert.Equal(t, want, k.studio().do("GET", path, "").ok(200), path)
		} else {
			assert.Equal(t, want, k.do("GET", path, "").ok(200), path)
		}
		k.as("eu--nobody").do("GET", path, "").refused(401)
	}
	for path, want := range map[string]string{"/v1/widgets": `{"widgets":[]}`, "/v1/widgets/assets": `{"assets":{}}`} {
		assert.Equal(t, want, k.as("").do("GET", path, "").body, "nobody needs a token for %s", path)
	}
	k.do("GET", "/v1/apps/7/pages", "").refused(404)
	k.do("GET", "/v1/data-sources/7/validation-code", "").refused(404)
	k.do("GET", "/v1/widget-instances?appId=x", "").refused(400)
}

func TestMediaIsRenamedMovedAndDeletedIntoATrash(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.form("POST", "/v1/media/files?appId=1", part{name: "files[0]", file: "x.png", content: "x"}).ok(201)
	outer := k.do("POST", "/v1/media/folders", `{"name":"Outer","appId":1}`).ok(200)
	inner := k.do("POST", "/v1/media/folders", fmt.Sprintf(`{"name":"Inner","parentId":%v}`, outer["id"])).ok(200)

	file := k.do("PUT", "/v1/media/files/901", fmt.Sprintf(`{"name":"y.png","mediaFolderId":%v}`, inner["id"])).ok(200)["file"].(m)
	assert.Equal(t, []any{"y.png", inner["id"]}, []any{file["name"], file["mediaFolderId"]})
	assert.Equal(t, "x", k.do("GET", strings.TrimPrefix(file["url"].(string), "http://example.com"), "").body)
	assert.Len(t, k.do("GET", fmt.Sprintf("/v1/media?folderId=%v", inner["id"]), "").ok(200)["files"], 1)
	assert.Equal(t, "y.png", k.do("PUT", "/v1/media/files/901", `{}`).ok(200)["file"].(m)["name"])
	for _, bad := range []string{`{"name":""}`, `{"name":null}`, `{"mediaFolderId":77}`, `{"folderId":"x"}`} {
		k.do("PUT", "/v1/media/files/901", bad).refused(400)
	}
	k.do("PUT", "/v1/media/files/7", `{"name":"z"}`).refused(404)

	folder := k.do("PUT", fmt.Sprintf("/v1/media/folders/%v", inner["id"]), `{"name":"Deep","parentId":null}`).ok(200)
	assert.Equal(t, []any{"Deep", nil}, []any{folder["name"], folder["parentId"]})
	k.do("PUT", fmt.Sprintf("/v1/media/folders/%v", outer["id"]), fmt.Sprintf(`{"parentId":%v}`, inner["id"])).ok(200)
	k.do("PUT", fmt.Sprintf("/v1/media/folders/%v", inner["id"]), fmt.Sprintf(`{"parentId":%v}`, outer["id"])).refused(400)
	k.do("PUT", fmt.Sprintf("/v1/media/folders/%v", inner["id"]), fmt.Sprintf(`{"parentId":%v}`, inner["id"])).refused(400)

	assert.Equal(t, m{"files": []any{}, "folders": []any{}}, k.do("GET", "/v1/media/deleted", "").ok(200))
	k.do("DELETE", "/v1/media/files/901", "").ok(200)
	k.do("DELETE", fmt.Sprintf("/v1/media/folders/%v", outer["id"]), "").ok(200)
	trash := k.do("GET", "/v1/media/deleted?appId=1", "").ok(200)
	assert.Len(t, trash["files"], 1)
	assert.Len(t, trash["folders"], 1)
	assert.NotEmpty(t, trash["files"].([]any)[0].(m)["deletedAt"])
	k.do("PUT", "/v1/media/files/901", `{"name":"z"}`).refused(404)
	k.do("GET", "/v1/media/files/901/contents", "").refused(404)
	k.do("POST", "/v1/media/folders", fmt.Sprintf(`{"name":"x","parentId":%v}`, outer["id"])).ok(401)
}

func TestPrivateFilesAreEncrypted(t *testing.T) {
	t.Parallel()
	k := talk(t)
	k.form("PUT", "/v1/data-sources/102/data?flUserToken=ta",
		part{name: "_flSchema", content: `{"file":{"encryptionKey":"k"}}`}, part{name: "file[]", file: "file.png", content: "one"}).ok(200)
	assert.Contains(t, k.do("GET", "/v1/media", "").body, `"isEncrypted":true`)
}

func TestIDsOfEntriesOfANewSourceAreKept(t *testing.T) {
	t.Parallel()
	k := start(t)
	made := k.do("POST", "/v1/data-sources", `{"name":"x","appId":1,"entries":[{"id":7,"a":1},{"a":2},{"id":null,"a":3}]}`).ok(201)["dataSource"].(m)
	var ids []int64
	for _, row := range k.Rows(int64(made["id"].(float64))) {
		ids = append(ids, row.ID)
	}
	assert.Equal(t, []int64{7, 5001, 5002}, ids)
	k.do("POST", "/v1/data-sources", `{"name":"y","appId":1,"entries":[{"id":7}]}`).refused(400)
	k.do("POST", "/v1/data-sources", `{"name":"y","appId":1,"entries":[{"id":8},{"id":8}]}`).refused(400)
	k.do("POST", "/v1/data-sources", `{"name":"y","appId":1,"entries":[{"id":-1}]}`).refused(400)
	assert.Len(t, k.Sources(), 1)
}
