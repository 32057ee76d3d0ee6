package flipletd_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// ruled is a server with one source of one row under access rules.
func ruled(t *testing.T, rules string) *kit {
	k := start(t)
	var list []any
	require.NoError(t, json.Unmarshal([]byte(rules), &list))
	k.source(m{"name": "Employees", "accessRules": list, "entries": []any{m{"Email": "jo@x.com", "Role": "Admin", "Password": "p"}}})
	return k
}

var calls = map[string]struct{ verb, method, path, body string }{
	"query":                           {"read", "POST", "/v1/data-sources/101/data/query", `{}`},
	"list":                            {"read", "GET", "/v1/data-sources/101/data", ``},
	"get":                             {"read", "GET", "/v1/data-sources/101/data/5001", ``},
	"indexes":                         {"read", "GET", "/v1/data-sources/101/indexes/Email", ``},
	"insert":                          {"write", "PUT", "/v1/data-sources/101/data", `{"a":1}`},
	"append":                          {"insert", "POST", "/v1/data-sources/101/data", `{"append":true,"entries":[{"a":1}]}`},
	"update":                          {"update", "PUT", "/v1/data-sources/101/data/5001", `{"a":1}`},
	"update query":                    {"update", "POST", "/v1/data-sources/101/data/query", `{"type":"update","where":{"Role":"Admin"},"data":{"a":1}}`},
	"commit":                          {"update", "POST", "/v1/data-sources/101/commit", `{"append":true,"entries":[{"id":5001,"data":{"a":1}}]}`},
	"delete":                          {"delete", "DELETE", "/v1/data-sources/101/data/5001", ``},
	"delete query":                    {"delete", "POST", "/v1/data-sources/101/data/query", `{"type":"delete","where":{"Role":"Admin"}}`},
	"commit that deletes by omission": {"delete", "POST", "/v1/data-sources/101/commit", `{"entries":[]}`},
}

func TestNoGrantIsADocumentedRefusal(t *testing.T) {
	t.Parallel()
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := ruled(t, `[]`)
			before := k.Rows(101)
			a := k.do(call.method, call.path, call.body)
			assert.Equal(t, 400, a.status)
			assert.JSONEq(t, fmt.Sprintf(`{"message":"The security rules for the Data Source \"Employees\" do not allow this app to %s data.",`+
				`"type":"datasource.access","payload":{"dataSourceId":101}}`, call.verb), a.body)
			assert.Equal(t, before, k.Rows(101))
		})
	}
}

func TestVerbsAreGrantedOneByOne(t *testing.T) {
	t.Parallel()
	verbs := map[string]string{"read": "select", "write": "insert", "insert": "insert", "update": "update", "delete": "delete"}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, verb := range []string{"select", "insert", "update", "delete"} {
				a := ruled(t, `[{"type":["`+verb+`"],"allow":"all"}]`).do(call.method, call.path, call.body)
				if verbs[call.verb] == verb {
					assert.Equal(t, 200, a.status, "%s with %s: %s", name, verb, a.body)
				} else {
					assert.Equal(t, 400, a.status, "%s with %s", name, verb)
				}
			}
		})
	}
}

func TestWhoIsAllowed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rule     string
		loggedIn bool
		want     bool
	}{
		"all":                               {`"allow":"all"`, false, true},
		"enabled":                           {`"allow":"all","enabled":true`, false, true},
		"disabled":                          {`"allow":"all","enabled":false`, false, false},
		"nobody logged in":                  {`"allow":"loggedIn"`, false, false},
		"logged in":                         {`"allow":"loggedIn"`, true, true},
		"logged in with this source":        {`"allow":{"loggedIn":true,"dataSourceId":102}`, true, true},
		"logged in with another source":     {`"allow":{"loggedIn":true,"dataSourceId":101}`, true, false},
		"user equals, in any case":          {`"allow":{"user":{"Role":{"equals":"EDITOR"}}}`, true, true},
		"user equals something else":        {`"allow":{"user":{"Role":{"equals":"Edit"}}}`, true, false},
		"user contains":                     {`"allow":{"user":{"Role":{"contains":"dit"}}}`, true, true},
		"user notequals":                    {`"allow":{"user":{"Role":{"notequals":"Admin"}}}`, true, true},
		"user nobody":                       {`"allow":{"user":{"Role":{"notequals":"Admin"}}}`, false, false},
		"user with an unknown operator":     {`"allow":{"user":{"Role":{"like":"x"}}}`, true, false},
		"this app":                          {`"allow":"all","appId":[1]`, false, true},
		"this app's draft":                  {`"allow":"all","appId":[3]`, false, true},
		"another app":                       {`"allow":"all","appId":[2]`, false, false},
		"no app":                            {`"allow":"all","appId":[]`, false, false},
		"other tokens":                      {`"allow":{"tokens":[1,2]}`, false, false},
		"this token by its id":              {`"allow":{"tokens":[1,ID]}`, false, true},
		"a script cannot be run":            {`"allow":"all","script":"return true"`, false, false},
		"an allow that means nothing":       {`"allow":{}`, true, false},
		"an allow with an unknown key":      {`"allow":{"moon":"full"}`, true, false},
		"no allow":                          {`"name":"x"`, false, false},
		"require is met by the where":       {`"allow":"all","require":["Email"]`, false, true},
		"require is not met by the where":   {`"allow":"all","require":["Role"]`, false, false},
		"require a value":                   {`"allow":"all","require":[{"Email":{"equals":"JO@x.com"}}]`, false, true},
		"require another value":             {`"allow":"all","require":[{"Email":{"equals":"al@x.com"}}]`, false, false},
		"require the user's own value":      {`"allow":"all","require":[{"Email":{"equals":"{{user.[Email]}}"}}]`, true, true},
		"require the value of nobody":       {`"allow":"all","require":[{"Email":{"equals":"{{user.[Email]}}"}}]`, false, false},
		"require something that is nothing": {`"allow":"all","require":[7]`, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t)
			k.AddApp(2, "Other", 0)
			k.AddApp(3, "Draft", 1)
			api, id, err := k.AddToken(flipletd.APIToken, 1, 0, "")
			require.NoError(t, err)
			var rule any
			text := `{"type":["select"],` + test.rule + `}`
			for i := 0; i+1 < len(text); i++ {
				if text[i:i+2] == "ID" {
					text = text[:i] + strconv.FormatInt(id, 10) + text[i+2:]
					break
				}
			}
			require.NoError(t, json.Unmarshal([]byte(text), &rule))
			k.source(m{"accessRules": []any{m{"type": []any{"select"}, "allow": "loggedIn", "enabled": false}, rule}})
			k.source(m{"name": "Users", "entries": []any{m{"Email": "jo@x.com", "Role": "Editor"}}})
			by := k.as(api)
			if test.loggedIn {
				by.do("POST", "/v1/session/authorize/dataSource", `{"dataSourceId":102,"where":{"Email":"jo@x.com"}}`).ok(200)
			}
			a := by.do("POST", "/v1/data-sources/101/data/query", `{"where":{"Email":"jo@x.com"}}`)
			if test.want {
				assert.Equal(t, 200, a.status, a.body)
			} else {
				assert.Equal(t, 400, a.status, a.body)
			}
		})
	}
}

func TestRequireLooksAtWhatTheCallIsAbout(t *testing.T) {
	t.Parallel()
	const all = `[{"type":["select","insert","update","delete"],"allow":"all","require":`
	for _, test := range []struct {
		require, method, path, body string
		status                      int
	}{
		{`["Email"]`, "PUT", "/v1/data-sources/101/data", `{"Email":"a"}`, 200},
		{`["Email"]`, "PUT", "/v1/data-sources/101/data", `{"a":1}`, 400},
		{`["Email"]`, "PUT", "/v1/data-sources/101/data/5001", `{"a":1}`, 400},
		{`["Email"]`, "GET", "/v1/data-sources/101/data/5001", ``, 200},
		{`["Nothing"]`, "GET", "/v1/data-sources/101/data/5001", ``, 400},
		{`[{"Role":{"equals":"admin"}}]`, "PUT", "/v1/data-sources/101/data/5001", `{"a":1}`, 200},
		{`[{"Role":{"equals":"user"}}]`, "PUT", "/v1/data-sources/101/data/5001", `{"Role":"user"}`, 400},
		{`[{"Role":{"equals":"user"}}]`, "PUT", "/v1/data-sources/101/data", `{"Role":"User"}`, 200},
		{`[{"Role":{"equals":"user"}}]`, "DELETE", "/v1/data-sources/101/data/5001", ``, 400},
		{`["Email"]`, "GET", "/v1/data-sources/101/data", ``, 400},
		{`["Email"]`, "POST", "/v1/data-sources/101/data", `{"append":true,"entries":[{"Email":"a"},{"b":1}]}`, 400},
	} {
		a := ruled(t, all+test.require+`}]`).do(test.method, test.path, test.body)
		assert.Equal(t, test.status, a.status, "%s %s %s: %s", test.require, test.method, test.path, a.body)
	}
}

func TestFirstGrantDecidesTheColumns(t *testing.T) {
	t.Parallel()
	k := ruled(t, `[{"type":["select","update"],"allow":"all","exclude":["Password"]},{"type":["select"],"allow":"all"},{"type":["insert"],"allow":"all","exclude":["Password"]}]`)
	for _, path := range []string{"/v1/data-sources/101/data", "/v1/data-sources/101/data/5001"} {
		assert.NotContains(t, k.do("GET", path, "").body, "Password")
	}
	assert.Contains(t, k.do("POST", "/v1/data-sources/101/data/query", `{}`).body, `{"Email":"jo@x.com","Role":"Admin"}`)
	k.do("GET", "/v1/data-sources/101/indexes/Password", "").refused(400)
	k.do("PUT", "/v1/data-sources/101/data/5001", `{"Password":"new","Email":"al@x.com"}`).ok(200)
	k.do("PUT", "/v1/data-sources/101/data", `{"Password":"new","Email":"al@x.com"}`).ok(200)
	k.do("POST", "/v1/data-sources/101/data", `{"append":true,"entries":[{"Password":"new"}]}`)
	rows := k.Rows(101)
	assert.Equal(t, m{"Email": "al@x.com", "Role": "Admin", "Password": "p"}, rows[0].Data, "excluded columns are dropped from a write")
	assert.NotContains(t, rows[1].Data, "Password")
	assert.Contains(t, rows[2].Data, "Password", "documented: not applied to bulk")

	only := ruled(t, `[{"type":["select"],"allow":"all","include":["Email","Role"],"exclude":["Role"]}]`)
	assert.Contains(t, only.do("POST", "/v1/data-sources/101/data/query", `{"attributes":["Email","Password"]}`).body, `"data":{"Email":"jo@x.com"}`)
}

func TestRulesLimitTheCrossSourceQuery(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{"name": "Contacts", "entries": []any{m{"flUserId": "u", "flUserToken": "t"}}})
	for i, rules := range []any{nil, []any{}, []any{m{"type": []any{"select"}, "allow": "all"}}} {
		k.source(m{"name": fmt.Sprint(i), "type": "conversation", "definition": m{"participants": []any{"u"}}, "accessRules": rules, "entries": []any{m{"n": i}}})
	}
	assert.Len(t, k.do("POST", "/v1/data-sources/data", `{"flUserToken":"t"}`).ok(200)["entries"], 2)
	assert.Len(t, k.studio().do("POST", "/v1/data-sources/data", `{"flUserToken":"t"}`).ok(200)["entries"], 3)
}
