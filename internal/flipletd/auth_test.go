package flipletd_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

func TestFourWaysToAuthenticate(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{})
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"header": {func(r *http.Request) { r.Header.Set("auth-token", token) }, 200},
		"bearer in base64": {func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+base64.StdEncoding.EncodeToString([]byte(token)))
		}, 200},
		"bearer, raw":        {func(r *http.Request) { r.Header.Set("Authorization", "bearer "+token) }, 200},
		"query":              {func(r *http.Request) { r.URL.RawQuery = "auth_token=" + token }, 200},
		"cookie":             {func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "auth_token", Value: token}) }, 200},
		"none":               {func(*http.Request) {}, 401},
		"unknown":            {func(r *http.Request) { r.Header.Set("Auth-token", "eu--other") }, 401},
		"basic":              {func(r *http.Request) { r.SetBasicAuth("a", token) }, 401},
		"the header decides": {func(r *http.Request) { r.Header.Set("Auth-token", "eu--other"); r.URL.RawQuery = "auth_token=" + token }, 401},
		"the bearer is before the query": {func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+token)
			r.URL.RawQuery = "auth_token=no"
		}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/v1/data-sources", nil)
			test.change(r)
			a := k.send(r)
			assert.Equal(t, test.status, a.status)
			if test.status == 401 {
				assert.Equal(t, `{"error":"not authorised","message":"The auth_token provided doesn't belong to any user."}`, a.body)
			}
		})
	}
}

func TestTokensHaveTheirPowers(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.AddApp(2, "Other", 0)
	denied := k.source(m{"name": "Closed", "accessRules": []any{}})
	appToken, _, err := k.AddToken(flipletd.AppToken, 1, 0, "")
	require.NoError(t, err)
	studio := k.studio()
	assert.EqualValues(t, 101, denied)
	for _, by := range []*kit{k, k.as(appToken)} {
		by.do("GET", "/v1/data-sources/101/data", "").refused(400)
		by.do("DELETE", "/v1/data-sources/101", "").refused(400)
		by.do("GET", "/v1/data-sources/deleted", "").ok(200)
		assert.Len(t, by.do("GET", "/v1/apps", "").ok(200)["apps"], 1)
		by.do("GET", "/v1/apps/2", "").refused(404)
		assert.NotContains(t, by.do("GET", "/v1/apps/1", "").ok(200)["app"], "appUser")
	}
	assert.Equal(t, "appToken", k.as(appToken).do("GET", "/v1/session", "").ok(200)["session"].(m)["user"].(m)["type"])
	studio.do("GET", "/v1/data-sources/101/data", "").ok(200)
	assert.Len(t, studio.do("GET", "/v1/apps", "").ok(200)["apps"], 2)
	assert.Contains(t, studio.do("GET", "/v1/apps/2", "").ok(200)["app"], "appUser")
	studio.do("DELETE", "/v1/data-sources/101", "").ok(200)
	k.RevokeToken(token)
	k.do("GET", "/v1/data-sources", "").refused(401)
}

func TestLoginAnswersWithTheUser(t *testing.T) {
	t.Parallel()
	k := start(t)
	token, id, err := k.AddUser("jo@x.com", "Jo", "March", "secret")
	require.NoError(t, err)
	login := func(form string) answer {
		r := httptest.NewRequest("POST", "/v1/auth/login", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return k.send(r)
	}
	user := login("email=JO%40x.com&password=secret").ok(200)
	assert.Equal(t, m{
		"id": float64(id), "email": "jo@x.com", "firstName": "Jo", "lastName": "March", "fullName": "Jo March",
		"auth_token": token, "isAdmin": false,
	}, user)
	login("email=jo%40x.com&password=wrong").refused(401)
	login("email=jo%40x.com").refused(401)
	login("").refused(401)
	me := k.as(token)
	assert.Equal(t, m{"user": user}, me.do("GET", "/v1/user", "").ok(200))
	assert.Equal(t, m{"organizations": []any{m{"id": 1.0, "name": "Local organization"}}}, me.do("GET", "/v1/organizations", "").ok(200))
	me.do("POST", "/v1/auth/logout", "").ok(200)
	k.do("GET", "/v1/user", "").ok(200)
}

func TestSessionOfARow(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{"name": "Users", "entries": []any{m{"Email": "jo@x.com", "Password": "p"}}})
	session := func() m { return k.do("GET", "/v1/session", "").ok(200)["session"].(m) }
	assert.Empty(t, session()["entries"])
	k.do("GET", "/v1/data-sources/101/data/session", "").refused(404)
	const path = "/v1/session/authorize/dataSource"
	k.do("POST", path, `{"passport":"dataSource","dataSourceId":101,"where":{"Email":"jo@x.com","Password":"q"}}`).refused(401)
	k.do("POST", path, `{"dataSourceId":101,"where":{}}`).refused(400)
	k.do("POST", path, `{"dataSourceId":101,"where":{"a":{"$foo":1}}}`).refused(400)
	k.do("POST", path, `{"dataSourceId":7,"where":{"a":1}}`).refused(404)
	entered := k.do("POST", path, `{"passport":"dataSource","dataSourceId":101,"where":{"Email":{"$iLike":"JO@x.com"},"Password":"p"}}`).ok(200)
	want := m{"id": 5001.0, "dataSourceId": 101.0, "data": m{"Email": "jo@x.com", "Password": "p"}}
	assert.Equal(t, want, entered["session"].(m)["entries"].(m)["dataSource"])
	assert.Equal(t, want, session()["entries"].(m)["dataSource"])
	assert.Equal(t, "jo@x.com", k.do("GET", "/v1/data-sources/101/data/session", "").ok(200)["data"].(m)["Email"])
	k.do("POST", "/v1/auth/logout", "").ok(200)
	assert.Empty(t, session()["entries"])
	assert.NotEmpty(t, k.do("POST", "/v1/session/authorize/state", `{"appId":1,"sso":true}`).ok(200)["state"])
}

func TestWidgetSettings(t *testing.T) {
	t.Parallel()
	k := start(t)
	const path = "/v1/widget-instances/com.fliplet.chat?appId=1"
	k.do("GET", path, "").refused(404)
	require.NoError(t, k.SetWidget("com.fliplet.chat", 1, m{"dataSourceId": 7, "primaryKey": "Email"}))
	assert.Equal(t, m{"dataSourceId": 7.0, "primaryKey": "Email"}, k.do("GET", path, "").ok(200)["widgetInstance"].(m)["settings"])
	k.do("PUT", path, `{"settings":{"a":1}}`).ok(200)
	assert.Equal(t, m{"a": 1.0}, k.do("GET", "/v1/widget-instances/com.fliplet.chat", "").ok(200)["widgetInstance"].(m)["settings"])
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	k := start(t, func(c *flipletd.Config) { c.Limits = flipletd.DocumentedLimits() })
	k.Freeze(moment)
	for range 100 {
		k.do("GET", "/v1/data-sources", "").ok(200)
	}
	k.Shift(4 * time.Second)
	for range 100 {
		k.do("GET", "/v1/data-sources", "").ok(200)
	}
	assert.Equal(t, `{"message":"You've made too many attempts in a short period of time, please try again in a few seconds.",`+
		`"referenceUrl":"https://developers.fliplet.com/Rate-limiting-for-API.html","nextValidRequestDate":"2026-02-01T08:00:10.123Z"}`,
		k.do("GET", "/v1/data-sources", "").body)
	k.do("GET", "/v1/data-sources", "").ok(429)
	k.studio().do("GET", "/v1/data-sources", "").ok(200)
	k.do("GET", "/v1/user", "").ok(200)
	k.Shift(6*time.Second - time.Millisecond)
	k.do("GET", "/v1/data-sources", "").ok(429)
	k.Shift(time.Millisecond)
	k.do("GET", "/v1/data-sources", "").ok(200)

	k = start(t, func(c *flipletd.Config) {
		c.Limits = []flipletd.Limit{{Calls: flipletd.DataSourceCalls, Scope: flipletd.PerToken, Requests: 1, Window: time.Minute}}
	})
	k.do("GET", "/v1/data-sources", "").ok(200)
	k.do("GET", "/v1/data-sources", "").ok(429)
}
