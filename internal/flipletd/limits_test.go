package flipletd_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// limited is a server whose clock stands, with these limits.
func limited(t testing.TB, limits ...flipletd.Limit) *kit {
	k := start(t, func(c *flipletd.Config) { c.Limits = limits })
	k.Freeze(moment)
	return k
}

func dataLimit(scope flipletd.Scope, requests int, window time.Duration) flipletd.Limit {
	return flipletd.Limit{Calls: flipletd.DataSourceCalls, Scope: scope, Requests: requests, Window: window}
}

// list is a data source call.
func (k *kit) list() answer { return k.do("GET", "/v1/data-sources", "") }

// used is the usage of one holder.
func (k *kit) used(calls flipletd.Calls, scope flipletd.Scope, kind string, id int64) flipletd.Usage {
	for _, u := range k.Usage() {
		if u.Calls == calls && u.Scope == scope && u.Kind == kind && u.ID == id {
			return u
		}
	}
	return flipletd.Usage{}
}

// until is the date that a 429 names, as the time since moment.
func (a answer) until(t testing.TB) time.Duration {
	t.Helper()
	body := a.ok(429)
	assert.Equal(t, "https://developers.fliplet.com/Rate-limiting-for-API.html", body["referenceUrl"])
	at, err := time.Parse(time.RFC3339, body["nextValidRequestDate"].(string))
	require.NoError(t, err)
	return at.Sub(moment)
}

func TestEachScopeCountsForThoseWhoShareIt(t *testing.T) {
	t.Parallel()
	for scope, want := range map[flipletd.Scope]map[string]int{ // which of the others are refused with the first
		flipletd.PerToken:        {"first": 429, "twin": 200, "another user of the app": 200, "another app": 200, "a person": 200, "the organization's": 200},
		flipletd.PerUser:         {"first": 429, "twin": 429, "another user of the app": 200, "another app": 200, "a person": 200, "the organization's": 200},
		flipletd.PerApp:          {"first": 429, "twin": 429, "another user of the app": 429, "another app": 200, "a person": 200, "the organization's": 200},
		flipletd.PerOrganization: {"first": 429, "twin": 429, "another user of the app": 429, "another app": 429, "a person": 429, "the organization's": 429},
	} {
		t.Run(string(scope), func(t *testing.T) {
			t.Parallel()
			k := limited(t, dataLimit(scope, 3, 10*time.Second))
			k.AddApp(2, "Other", 0)
			twin, _, err := k.AddTwin(k.token, "")
			require.NoError(t, err)
			other, _, err := k.AddToken(flipletd.APIToken, 1, 0, "")
			require.NoError(t, err)
			elsewhere, _, err := k.AddToken(flipletd.APIToken, 2, 0, "")
			require.NoError(t, err)
			organization, _, err := k.AddToken(flipletd.OrganizationToken, 0, 0, "")
			require.NoError(t, err)
			for range 3 {
				k.list().ok(200)
			}
			for name, holder := range map[string]*kit{
				"first": k, "twin": k.as(twin), "another user of the app": k.as(other), "another app": k.as(elsewhere),
				"a person": k.studio(), "the organization's": k.as(organization),
			} {
				assert.Equal(t, want[name], holder.list().status, name)
			}
		})
	}
}

func TestTwoTokensOfOnePersonAreOneUser(t *testing.T) {
	t.Parallel()
	k := limited(t, dataLimit(flipletd.PerUser, 2, time.Second))
	jo, id, err := k.AddUser("jo@example.org", "Jo", "March", "secret")
	require.NoError(t, err)
	twin, _, err := k.AddTwin(jo, "")
	require.NoError(t, err)
	eve, _, err := k.AddUser("eve@example.org", "Eve", "", "secret")
	require.NoError(t, err)
	k.as(jo).list().ok(200)
	k.as(twin).list().ok(200)
	k.as(jo).list().ok(429)
	k.as(twin).list().ok(429)
	k.as(eve).list().ok(200)
	assert.Equal(t, flipletd.Usage{Calls: "data-sources", Scope: "user", Kind: "user", ID: id, InWindow: 2, Total: 2, Refused: 2},
		k.used(flipletd.DataSourceCalls, flipletd.PerUser, "user", id))
	user := k.as(twin).do("GET", "/v1/user", "").ok(200)["user"].(m)
	assert.Equal(t, "jo@example.org", user["email"])
	_, _, err = k.AddTwin("eu--nobody", "")
	require.Error(t, err)
}

func TestTheRowThatASessionIsLoggedInWithIsAUser(t *testing.T) {
	t.Parallel()
	k := limited(t, dataLimit(flipletd.PerUser, 2, time.Second))
	ids, err := k.Insert(k.source(m{"name": "Users"}), m{"Email": "a"}, m{"Email": "b"})
	require.NoError(t, err)
	devices := make([]*kit, 3)
	for i, row := range []int64{ids[0], ids[0], ids[1]} { // two devices of a, one of b
		token, _, err := k.AddToken(flipletd.AppToken, 1, 0, "")
		require.NoError(t, err)
		require.NoError(t, k.SetSession(token, row))
		devices[i] = k.as(token)
	}
	devices[0].list().ok(200)
	devices[1].list().ok(200)
	devices[0].list().ok(429)
	devices[2].list().ok(200)
	assert.Equal(t, flipletd.Usage{Calls: "data-sources", Scope: "user", Kind: "entry", ID: ids[0], InWindow: 2, Total: 2, Refused: 1},
		k.used(flipletd.DataSourceCalls, flipletd.PerUser, "entry", ids[0]))
}

func TestEachGroupOfCallsHasItsOwnNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, path string
		status       int
		requests     int
		window       time.Duration
	}{
		{"GET", "/v1/data-sources", 200, 200, 10 * time.Second},
		{"GET", "/v1/organizations/1/logs", 200, 30, 10 * time.Second},
		{"POST", "/v1/organizations/1/logs", 200, 30, 10 * time.Second},
		{"POST", "/v1/communicate/email", 400, 20, 30 * time.Second},
		{"POST", "/v1/communicate/sms", 400, 20, 30 * time.Second},
		{"POST", "/v1/communicate/nothing", 404, 20, 30 * time.Second},
		{"POST", "/v1/ai/completion", 404, 10, time.Minute},
		{"POST", "/v1/apps/1/actions/7/run", 404, 60, time.Minute},
	} {
		t.Run(c.method+c.path, func(t *testing.T) {
			t.Parallel()
			k := limited(t, flipletd.DocumentedLimits()...)
			token, _, err := k.AddToken(flipletd.UserToken, 1, 7, "") // a person who works on an app
			require.NoError(t, err)
			k = k.as(token)
			for range c.requests {
				require.Equal(t, c.status, k.do(c.method, c.path, "").status)
			}
			assert.Equal(t, c.window, k.do(c.method, c.path, "").until(t))
			k.do("GET", "/v1/user", "").ok(200) // which no number is published for
			if c.path != "/v1/data-sources" {
				k.list().ok(200)
			}
			k.Shift(c.window - time.Millisecond)
			assert.Equal(t, c.window, k.do(c.method, c.path, "").until(t))
			k.Shift(time.Millisecond)
			assert.Equal(t, c.status, k.do(c.method, c.path, "").status)
		})
	}
}

func TestTheActionsOfAnAppAreLimitedTogether(t *testing.T) {
	t.Parallel()
	k := limited(t, flipletd.DocumentedLimits()...)
	other, _, err := k.AddToken(flipletd.APIToken, 1, 0, "")
	require.NoError(t, err)
	for i := range 60 {
		(map[bool]*kit{true: k, false: k.as(other)})[i%2 == 0].do("POST", "/v1/apps/1/actions/7/run", "").ok(404)
	}
	k.do("POST", "/v1/apps/1/actions/7/run", "").ok(429)
	k.as(other).do("POST", "/v1/apps/1/actions/8/run", "").ok(429)
	k.as("eu--unknown").do("POST", "/v1/apps/1/actions/8/run", "").ok(404)
}

func TestTheLatestOfSeveralScopesIsNamed(t *testing.T) {
	t.Parallel()
	k := limited(t, dataLimit(flipletd.PerToken, 2, 4*time.Second), dataLimit(flipletd.PerApp, 3, 10*time.Second), dataLimit(flipletd.PerOrganization, 100, time.Hour))
	other, _, err := k.AddToken(flipletd.APIToken, 1, 0, "")
	require.NoError(t, err)
	k.as(other).list().ok(200) // 0 s
	k.Shift(time.Second)
	k.list().ok(200) // 1 s
	k.Shift(time.Second)
	k.list().ok(200)                                             // 2 s
	assert.Equal(t, 10*time.Second, k.list().until(t))           // the token has room at 5 s, the app at 10 s
	assert.Equal(t, 10*time.Second, k.as(other).list().until(t)) // the app alone
	k.Shift(8 * time.Second)
	k.list().ok(200)
	assert.Equal(t, 11*time.Second, k.list().until(t))
	require.NoError(t, k.Limit(dataLimit(flipletd.PerApp, 0, 0)))
	k.list().ok(200)
	assert.Equal(t, 14*time.Second, k.list().until(t), "the token's own")

	k = limited(t, dataLimit(flipletd.PerToken, 1, 10*time.Second), dataLimit(flipletd.PerOrganization, 1, 2*time.Second))
	k.list().ok(200)
	assert.Equal(t, 10*time.Second, k.list().until(t), "whichever scope it is")
}

func TestARefusedRequestCountsForNobody(t *testing.T) {
	t.Parallel()
	k := limited(t, dataLimit(flipletd.PerToken, 1, 10*time.Second), dataLimit(flipletd.PerApp, 3, 10*time.Second))
	k.list().ok(200)
	for range 5 {
		k.list().ok(429)
	}
	for range 2 { // the app has room for two of others
		token, _, err := k.AddToken(flipletd.APIToken, 1, 0, "")
		require.NoError(t, err)
		k.as(token).list().ok(200)
	}
	app := k.used(flipletd.DataSourceCalls, flipletd.PerApp, "app", 1)
	assert.Equal(t, flipletd.Usage{Calls: "data-sources", Scope: "app", Kind: "app", ID: 1, InWindow: 3, Total: 3, Refused: 5}, app)
	k.Shift(10 * time.Second)
	app.InWindow = 0
	assert.Equal(t, app, k.used(flipletd.DataSourceCalls, flipletd.PerApp, "app", 1))
}

func TestPathsBesideThoseOfDataSourcesCount(t *testing.T) {
	t.Parallel()
	k := limited(t, dataLimit(flipletd.PerToken, 3, 10*time.Second))
	k.do("GET", "/v1/data-sources/101/nothing", "").refused(404)
	k.do("PATCH", "/v1/data-sources/101", "").refused(404)
	k.do("GET", "/v1/data-sources/101", "").refused(404)
	k.do("GET", "/v1/data-sources/101/nothing", "").ok(429)
	k.list().ok(429)
	k.as("eu--nobody").do("GET", "/v1/data-sources/101/nothing", "").refused(404)
}

func TestRequestsAreCountedWithoutALimit(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.Freeze(moment)
	token, id, err := k.AddToken(flipletd.OrganizationToken, 0, 0, "")
	require.NoError(t, err)
	k.list().ok(200)
	k.as(token).list().ok(200)
	k.as(token).do("GET", "/v1/organizations/1/logs", "").ok(200)
	k.as("eu--nobody").list().ok(401)
	var said []string
	for _, u := range k.Usage() {
		said = append(said, fmt.Sprintf("%s %s: %s %d %d/%d", u.Calls, u.Scope, u.Kind, u.ID, u.InWindow, u.Total))
	}
	assert.Equal(t, []string{
		"data-sources token: token 40001 1/1", fmt.Sprintf("data-sources token: token %d 1/1", id),
		"data-sources user: token 40001 1/1", fmt.Sprintf("data-sources user: token %d 1/1", id),
		"data-sources app: app 1 1/1", "data-sources organization: organization 1 2/2",
		fmt.Sprintf("logs token: token %d 1/1", id), fmt.Sprintf("logs user: token %d 1/1", id), "logs organization: organization 1 1/1",
	}, said)
}

func TestAClockThatIsSetBackLocksNobodyOut(t *testing.T) {
	t.Parallel()
	k := limited(t, dataLimit(flipletd.PerToken, 1, 10*time.Second))
	k.list().ok(200)
	k.Shift(-time.Hour)
	k.list().ok(200)
	assert.Equal(t, 10*time.Second-time.Hour, k.list().until(t))
}

func TestIdleHoldersAreForgotten(t *testing.T) {
	t.Parallel()
	k := limited(t)
	const many = 10_100
	for range many {
		token, _, err := k.AddToken(flipletd.APIToken, 1, 0, "")
		require.NoError(t, err)
		k.as(token).list().ok(200)
		k.RevokeToken(token)
	}
	assert.Greater(t, len(k.Usage()), many)
	k.Shift(11 * time.Second)
	k.list().ok(200)
	assert.Len(t, k.Usage(), 4, "who asked last")
}

func TestLimitsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	k := start(t)
	for text, l := range map[string]flipletd.Limit{
		"group of calls": {Calls: "tea", Scope: flipletd.PerApp, Requests: 1, Window: time.Second},
		"scope":          {Calls: flipletd.LogCalls, Scope: "galaxy", Requests: 1, Window: time.Second},
		"number":         dataLimit(flipletd.PerApp, -1, time.Second),
		"window":         dataLimit(flipletd.PerApp, 1, 0),
	} {
		require.ErrorContains(t, k.Limit(l), text)
		_, err := flipletd.New(flipletd.Config{Limits: []flipletd.Limit{l}})
		require.ErrorContains(t, err, text)
	}
}

func BenchmarkLimits(b *testing.B) {
	for name, limits := range map[string][]flipletd.Limit{
		"none": nil,
		"all": {dataLimit(flipletd.PerToken, 1<<30, time.Second), dataLimit(flipletd.PerUser, 1<<30, time.Second),
			dataLimit(flipletd.PerApp, 1<<30, time.Second), dataLimit(flipletd.PerOrganization, 1<<30, time.Second)},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := flipletd.New(flipletd.Config{Token: token, Limits: limits})
			require.NoError(b, err)
			k := &kit{Server: s, t: b, token: token}
			k.source(m{"name": "Talk"})
			k.measure(b, "/v1/data-sources/101/data/query", `{"limit":1}`, "entries")
		})
	}
}
