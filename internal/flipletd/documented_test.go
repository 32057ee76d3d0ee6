package flipletd_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// moment is when the clock of these tests stands still.
var moment = time.Date(2026, 2, 1, 8, 0, 0, 123_000_000, time.UTC)

const at = `"2026-02-01T08:00:00.123Z"`

// step is one documented exchange. want is the whole body, byte for byte.
type step struct {
	name, method, path, body string
	status                   int
	want                     string
	studio                   bool
}

// TestDocumentedExchanges replays the examples of the public REST pages over HTTP
// in one sitting, so that each sees what the ones before it did.
func TestDocumentedExchanges(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.overHTTP()
	k.Freeze(moment)
	studio := k.studio()
	entry := func(id, source, data string, more string) string {
		return `{"id":` + id + `,"dataSourceId":` + source + `,"data":` + data + `,"order":null,"createdAt":` + at + `,"updatedAt":` + at + more + `}`
	}
	const live = `,"deletedAt":null`
	source := func(id, name, columns, definition string) string {
		return `{"id":` + id + `,"name":"` + name + `","type":null,"appId":1,"organizationId":1,"columns":` + columns +
			`,"definition":` + definition + `,"hooks":[],"accessRules":null,"appCapabilities":null,"public":false,"bundle":false,"encrypted":false,"permissions":"crudq","masterDataSourceId":null,"dataSourceRoles":[]` +
			`,"createdAt":` + at + `,"updatedAt":` + at + `}`
	}
	steps := []step{
		{name: "no data sources", method: "GET", path: "/v1/data-sources?appId=1", status: 200, want: `{"dataSources":[]}`},
		{
			name: "create", method: "POST", path: "/v1/data-sources?appId=1", body: `{"name":"Users","columns":["email"],"definition":{"a":{"b":1.50}}}`,
			status: 201, want: `{"dataSource":` + source("101", "Users", `["email"]`, `{"a":{"b":1.50}}`) + `}`,
		},
		{
			name: "create with the organisation in the body", method: "POST", path: "/v1/data-sources", body: `{"name":"Foo bar","organizationId":1}`,
			status: 201, want: `{"dataSource":{"id":102,"name":"Foo bar","type":null,"appId":null,"organizationId":1,"columns":null,"definition":null,"hooks":[],` +
				`"accessRules":null,"appCapabilities":null,"public":false,"bundle":false,"encrypted":false,"permissions":"crudq","masterDataSourceId":null,"dataSourceRoles":[],"createdAt":` + at + `,"updatedAt":` + at + `}}`,
		},
		{name: "get by id", method: "GET", path: "/v1/data-sources/101", status: 200, want: `{"dataSource":` + source("101", "Users", `["email"]`, `{"a":{"b":1.50}}`) + `}`},
		{name: "get by name", method: "GET", path: "/v1/data-sources/Foo%20bar?attributes=name", status: 200, want: `{"dataSource":{"id":102,"name":"Foo bar"}}`},
		{name: "list by app", method: "GET", path: "/v1/data-sources?appId=1&attributes=id,name", status: 200, want: `{"dataSources":[{"id":101,"name":"Users"}]}`},
		{name: "list by organisation", method: "GET", path: "/v1/data-sources?organizationId=1&attributes=name&order=id&direction=desc", status: 200, want: `{"dataSources":[{"id":102,"name":"Foo bar"},{"id":101,"name":"Users"}]}`},
		{name: "list with the number of entries", method: "GET", path: "/v1/data-sources/101?attributes=id&includeEntriesCount=true", status: 200, want: `{"dataSource":{"id":101,"entriesCount":0}}`},
		{
			name: "update", method: "PUT", path: "/v1/data-sources/102", body: `{"name":"Bar","definition":{"x":9007199254740993}}`, status: 200,
			want: `{"dataSource":{"id":102,"name":"Bar","type":null,"appId":null,"organizationId":1,"columns":null,"definition":{"x":9007199254740993},"hooks":[],` +
				`"accessRules":null,"appCapabilities":null,"public":false,"bundle":false,"encrypted":false,"permissions":"crudq","masterDataSourceId":null,"dataSourceRoles":[],"createdAt":` + at + `,"updatedAt":` + at + `}}`,
		},
		{name: "insert", method: "PUT", path: "/v1/data-sources/101/data", body: `{"email":"jane@x.com","n":10000000000000001}`, status: 200, want: entry("5001", "101", `{"email":"jane@x.com","n":10000000000000001}`, live)},
		{name: "get an entry", method: "GET", path: "/v1/data-sources/101/data/5001", status: 200, want: entry("5001", "101", `{"email":"jane@x.com","n":10000000000000001}`, live)},
		{name: "columns grew", method: "GET", path: "/v1/data-sources/101?attributes=columns", status: 200, want: `{"dataSource":{"id":101,"columns":["email","n"]}}`},
		{name: "update an entry, shallowly", method: "PUT", path: "/v1/data-sources/101/data/5001", body: `{"n":null,"tags":{"a":1}}`, status: 200, want: entry("5001", "101", `{"email":"jane@x.com","n":null,"tags":{"a":1}}`, live)},
		{name: "nested objects are replaced whole", method: "PUT", path: "/v1/data-sources/101/data/5001", body: `{"tags":{"b":2}}`, status: 200, want: entry("5001", "101", `{"email":"jane@x.com","n":null,"tags":{"b":2}}`, live)},
		{name: "append", method: "POST", path: "/v1/data-sources/101/data", body: `{"append":true,"entries":[{"email":"bob@x.com"},{"email":"eve@x.com"}]}`, status: 200, want: `[` + entry("5002", "101", `{"email":"bob@x.com"}`, live) + `,` + entry("5003", "101", `{"email":"eve@x.com"}`, live) + `]`},
		{name: "list entries, the newest id first", method: "GET", path: "/v1/data-sources/101/data", status: 200, want: `{"entries":[` + entry("5003", "101", `{"email":"eve@x.com"}`, "") + `,` + entry("5002", "101", `{"email":"bob@x.com"}`, "") + `,` + entry("5001", "101", `{"email":"jane@x.com","n":null,"tags":{"b":2}}`, "") + `]}`},
		{name: "query", method: "POST", path: "/v1/data-sources/101/data/query", body: `{"type":"select","where":{"email":{"$iLike":"BOB"}},"limit":10,"includePagination":true}`, status: 200, want: `{"entries":[` + entry("5002", "101", `{"email":"bob@x.com"}`, "") + `],"dataSourceId":101,"count":1,"pagination":{"total":1,"limit":10}}`},
		{name: "query with GET", method: "GET", path: "/v1/data-sources/101/data/query?appId=1&limit=1", status: 200, want: `{"entries":[` + entry("5003", "101", `{"email":"eve@x.com"}`, "") + `],"dataSourceId":101,"count":1}`},
		{name: "query by metadata", method: "POST", path: "/v1/data-sources/101/data/query", body: `{"id":{"$in":[5002,5001]},"attributes":["email"],"order":[["data.email","ASC"]]}`, status: 200, want: `{"entries":[` + entry("5002", "101", `{"email":"bob@x.com"}`, "") + `,` + entry("5001", "101", `{"email":"jane@x.com"}`, "") + `],"dataSourceId":101,"count":2}`},
		{name: "update query", method: "POST", path: "/v1/data-sources/101/data/query", body: `{"type":"update","where":{"email":"eve@x.com"},"data":{"flag":true}}`, status: 200, want: `{"entries":[` + entry("5003", "101", `{"email":"eve@x.com","flag":true}`, "") + `]}`},
		{name: "delete query", method: "POST", path: "/v1/data-sources/101/data/query", body: `{"type":"delete","where":{"flag":true}}`, status: 200, want: `{"entries":[],"deleted":[5003],"deletedCount":1}`},
		{name: "tombstones of an incremental query", method: "POST", path: "/v1/data-sources/101/data/query", body: `{"updatedAt":{"$gte":` + at + `},"id":{"$gt":5001}}`, status: 200, want: `{"entries":[` + entry("5002", "101", `{"email":"bob@x.com"}`, "") + `],"dataSourceId":101,"count":1,"deletedEntries":[` + entry("5003", "101", `{}`, `,"deletedAt":`+at) + `]}`},
		{name: "commit", method: "POST", path: "/v1/data-sources/101/commit", body: `{"entries":[{"id":5002,"data":{"a":1}},{"clientId":"tmp-1","data":{"email":"new@x.com"}}],"append":true,"extend":true,"runHooks":[],"returnEntries":false}`, status: 200, want: `{"clientIds":[{"id":5004,"clientId":"tmp-1"}]}`},
		{name: "commit with nothing to correlate", method: "POST", path: "/v1/data-sources/101/commit", body: `{"append":true,"extend":true,"returnEntries":false,"runHooks":[],"entries":[{"id":5002,"data":{"readBy":["u"]}}]}`, status: 200, want: `{"clientIds":[]}`},
		{name: "commit returns every row", method: "POST", path: "/v1/data-sources/101/commit", body: `{"entries":[],"delete":[5001,5002]}`, status: 200, want: `{"entries":[` + entry("5004", "101", `{"email":"new@x.com"}`, "") + `],"clientIds":[]}`},
		{name: "indexes are text", method: "PUT", path: "/v1/data-sources/101/data", body: `{"email":"z@x.com","n":12,"tags":{"a":"q"}}`, status: 200, want: entry("5005", "101", `{"email":"z@x.com","n":12,"tags":{"a":"q"}}`, live)},
		{name: "indexes", method: "GET", path: "/v1/data-sources/101/indexes/n,tags.a", status: 200, want: `{"indexes":{"n":["12",null],"tags.a":["q",null]}}`},
		{name: "delete an entry", method: "DELETE", path: "/v1/data-sources/101/data/5005", status: 200, want: `{}`},
		{name: "a deleted entry is gone", method: "GET", path: "/v1/data-sources/101/data/5005", status: 404, want: `{"message":"The data source entry not found."}`},
		{name: "an API token may not delete a source", method: "DELETE", path: "/v1/data-sources/102", status: 400, want: `{"message":"This token is not allowed to delete or restore data sources."}`},
		{name: "delete a source", method: "DELETE", path: "/v1/data-sources/102", studio: true, status: 200, want: ``},
		{name: "the trash", method: "GET", path: "/v1/data-sources/deleted/?attributes=name,deletedAt", studio: true, status: 200, want: `{"dataSources":[{"id":102,"name":"Bar","deletedAt":` + at + `}]}`},
		{name: "restore", method: "POST", path: "/v1/data-sources/102/restore", studio: true, status: 200, want: `{"dataSource":{"id":102,"name":"Bar","type":null,"appId":null,"organizationId":1,"columns":null,"definition":{"x":9007199254740993},"hooks":[],"accessRules":null,"appCapabilities":null,"public":false,"bundle":false,"encrypted":false,"permissions":"crudq","masterDataSourceId":null,"dataSourceRoles":[],"createdAt":` + at + `,"updatedAt":` + at + `}}`},
		{name: "delete it again", method: "DELETE", path: "/v1/data-sources/102", studio: true, status: 200, want: ``},
		{name: "for good", method: "DELETE", path: "/v1/data-sources/deleted/102", studio: true, status: 200, want: ``},
		{name: "nothing to restore", method: "POST", path: "/v1/data-sources/102/restore", studio: true, status: 404, want: `{"message":"The deleted data source not found."}`},
		{name: "no such path", method: "GET", path: "/v1/nothing", status: 404, want: `{"message":"The resource not found."}`},
	}
	for _, s := range steps {
		by := k
		if s.studio {
			by = studio
		}
		a := by.do(s.method, s.path, s.body)
		assert.Equal(t, s.status, a.status, s.name)
		assert.Equal(t, s.want, a.body, s.name)
		assert.Equal(t, "application/json; charset=utf-8", a.header.Get("Content-Type"), s.name)
	}
}

// TestDocumentedChat replays the exchanges of a chat.
func TestDocumentedChat(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.overHTTP()
	k.AddApp(9, "Chat", 0)
	k.Freeze(moment)
	k.source(m{"name": "Contacts", "entries": []any{m{"Email": "jane@example.org", "Full name": "Jane Doe"}}})
	k.source(m{"name": "People", "entries": []any{m{"flUserId": "u-bob", "flUserToken": "t-bob"}}})
	filter := url.QueryEscape(`{"participants":["u-jane"]}`)
	const row = `"order":null,"createdAt":` + at + `,"updatedAt":` + at
	conversation := `{"id":103,"name":"Project Phoenix","type":"conversation","appId":9,"organizationId":1,"columns":null,` +
		`"definition":{"group":{"public":false},"participants":["u-jane","u-bob"]},"hooks":[{"appId":9,"runOn":["insert"],"type":"push-message"}],` +
		`"accessRules":[{"allow":"all","type":["select","insert","update","delete"]}],"appCapabilities":null,"public":false,"bundle":false,"encrypted":false,"permissions":"crudq","masterDataSourceId":null,"dataSourceRoles":[],` +
		`"createdAt":` + at + `,"updatedAt":` + at + `}`
	for _, s := range []step{
		{name: "login", method: "POST", path: "/v1/data-sources/101/data/query", body: `{"type":"select","where":{"Email":{"$iLike":"Jane@Example.org"}}}`, status: 200, want: `{"entries":[{"id":5001,"dataSourceId":101,"data":{"Email":"jane@example.org","Full name":"Jane Doe"},` + row + `}],"dataSourceId":101,"count":1}`},
		{name: "identity", method: "PUT", path: "/v1/data-sources/101/data/5001", body: `{"flUserId":"u-jane","flUserToken":"t-jane"}`, status: 200, want: `{"id":5001,"dataSourceId":101,"data":{"Email":"jane@example.org","Full name":"Jane Doe","flUserId":"u-jane","flUserToken":"t-jane"},` + row + `,"deletedAt":null}`},
		{name: "no conversations", method: "GET", path: "/v1/data-sources?appId=9&type=conversation&order=updatedAt&direction=DESC&definition=" + filter, status: 200, want: `{"dataSources":[]}`},
		{name: "create", method: "POST", path: "/v1/data-sources", body: `{"appId":9,"type":"conversation","name":"Project Phoenix","definition":{"participants":["u-jane","u-bob"],"group":{"public":false}},"bundle":false,"hooks":[{"runOn":["insert"],"type":"push-message","appId":9}],"accessRules":[{"type":["select","insert","update","delete"],"allow":"all"}]}`, status: 201, want: `{"dataSource":` + conversation + `}`},
		{name: "conversations", method: "GET", path: "/v1/data-sources?appId=9&type=conversation&definition=" + filter, status: 200, want: `{"dataSources":[` + conversation + `]}`},
		{name: "send", method: "PUT", path: "/v1/data-sources/103/data?flUserToken=t-jane", body: `{"body":"cipher","fromUserId":"u-jane","readBy":["u-jane"],"conversationId":103}`, status: 200, want: `{"id":5003,"dataSourceId":103,"data":{"body":"cipher","conversationId":103,"fromUserId":"u-jane","readBy":["u-jane"]},` + row + `,"deletedAt":null}`},
		{name: "poll", method: "POST", path: "/v1/data-sources/data", body: `{"flUserToken":"t-bob","where":{"updatedAt":{"$gte":` + at + `}},"order":[["updatedAt","ASC"],["id","ASC"]],"limit":200,"includeDeleted":true}`, status: 200, want: `{"entries":[{"id":5003,"dataSourceId":103,"data":{"body":"cipher","conversationId":103,"fromUserId":"u-jane","readBy":["u-jane"]},` + row + `,"deletedAt":null}]}`},
		{name: "unread", method: "POST", path: "/v1/data-sources/data", body: `{"flUserToken":"t-bob","count":true,"where":{"$not":{"data":{"$contains":{"readBy":["u-bob"]}}}}}`, status: 200, want: `{"entries":1,"count":1}`},
		{name: "read", method: "POST", path: "/v1/data-sources/103/commit", body: `{"append":true,"extend":true,"returnEntries":false,"runHooks":[],"entries":[{"id":5003,"data":{"readBy":["u-jane","u-bob"]}}]}`, status: 200, want: `{"clientIds":[]}`},
		{name: "nothing unread", method: "POST", path: "/v1/data-sources/data", body: `{"flUserToken":"t-bob","count":true,"where":{"$not":{"data":{"$contains":{"readBy":["u-bob"]}}}}}`, status: 200, want: `{"entries":0,"count":0}`},
		{name: "delete", method: "DELETE", path: "/v1/data-sources/103/data/5003", status: 200, want: `{}`},
		{name: "tombstone", method: "POST", path: "/v1/data-sources/data", body: `{"flUserToken":"t-bob","includeDeleted":true}`, status: 200, want: `{"entries":[{"id":5003,"dataSourceId":103,"data":{},` + row + `,"deletedAt":` + at + `}]}`},
		{name: "gone from the live rows", method: "POST", path: "/v1/data-sources/data", body: `{"flUserToken":"t-bob"}`, status: 200, want: `{"entries":[]}`},
		{name: "logout", method: "PUT", path: "/v1/data-sources/101/data/5001", body: `{"flUserToken":null}`, status: 200, want: `{"id":5001,"dataSourceId":101,"data":{"Email":"jane@example.org","Full name":"Jane Doe","flUserId":"u-jane","flUserToken":null},` + row + `,"deletedAt":null}`},
		{name: "dead chat token", method: "POST", path: "/v1/data-sources/data", body: `{"flUserToken":"t-jane"}`, status: 403, want: `{"error":"forbidden","message":"The flUserToken provided is not valid."}`},
		{name: "a dead chat token cannot send", method: "PUT", path: "/v1/data-sources/103/data?flUserToken=t-jane", body: `{"body":"x"}`, status: 403, want: `{"error":"forbidden","message":"The flUserToken provided is not valid."}`},
		{name: "an empty chat token is dead", method: "POST", path: "/v1/data-sources/data", body: `{"flUserToken":""}`, status: 403, want: `{"error":"forbidden","message":"The flUserToken provided is not valid."}`},
	} {
		a := k.do(s.method, s.path, s.body)
		assert.Equal(t, s.status, a.status, s.name)
		assert.Equal(t, s.want, a.body, s.name)
		assert.Equal(t, "application/json; charset=utf-8", a.header.Get("Content-Type"), s.name)
	}
}
