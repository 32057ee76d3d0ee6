package fliplettest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

func TestRequestsAreSeenWithoutSecrets(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	r.do("PUT", "/v1/data-sources/Talk/data?flUserToken=ta&encryptionKey=secretkey&a=b&auth_token="+r.Token, `{"body":"private"}`)
	r.poll("")
	r.Next(1, fliplettest.AnyRoute, fliplettest.LoseAnswer())
	r.poll("")
	r.do("GET", "/v1/elsewhere", "")
	seen := r.Requests()
	require.Len(t, seen, 4)
	assert.Equal(t, fliplettest.Request{
		Time: seen[0].Time, Method: "PUT", Path: "/v1/data-sources/Talk/data", Route: fliplettest.Insert, BodySize: 18, Status: 200,
		Query: "flUserToken=…&encryptionKey=…&a=b&auth_token=…",
	}, seen[0])
	assert.Equal(t, []int{200, 200, 0, 404}, []int{seen[0].Status, seen[1].Status, seen[2].Status, seen[3].Status})
	assert.Equal(t, 2, r.Count(fliplettest.CrossSource))
	assert.Equal(t, 1, r.Count(fliplettest.AnyWrite))
	assert.Equal(t, 3, r.Count(fliplettest.AnyRead))
	assert.Equal(t, 4, r.Count(fliplettest.AnyRoute))
	assert.Zero(t, r.Count(fliplettest.Delete))
}

func TestDumpHelpsAndTellsNoSecrets(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	r.AddRows(r.contacts, m{"flUserToken": "canary-token", "Email": "canary@x.com"})
	r.AddDataSource(m{"name": "Keys", "type": "conversation", "definition": m{"encryptionKey": "canary-key", "participants": []any{"a"}}})
	r.do("PUT", "/v1/data-sources/Talk/data?flUserToken=canary-token", `{"body":"canary-body","fromUserId":"a","readBy":["a"]}`)
	r.do("POST", "/v1/data-sources/data", `{"flUserToken":"canary-token"}`)
	r.do("GET", "/v1/data-sources?auth_token=canary-auth&%zz=canary-odd", "")
	r.do("GET", "/v1/data-sources?definition=%7B%22inviteCode%22%3A%22canary-code%22%7D", "")
	r.do("GET", "/v1/data-sources?definition=canary", "")
	r.do("GET", "/v1/data-sources?definition=%7B%22participants%22%3A%5B%22a%22%5D%7D", "")
	dump := r.String()
	for _, want := range []string{`"Talk"`, "participants  a, b", "from a read by a columns body, fromUserId, readBy", "PUT /v1/data-sources/Talk/data?flUserToken=…", "200", "?definition=%7B%22participants"} {
		assert.Contains(t, dump, want)
	}
	assert.NotContains(t, dump, "canary")
	assert.NotContains(t, dump, r.Token)
	assert.NotContains(t, fmt.Sprint(r.Requests()), "canary")
}

// failing is a test that has failed, to see what New does about it.
type failing struct {
	testing.TB
	cleanups []func()
	logged   strings.Builder
}

func (f *failing) Helper()                      {}
func (f *failing) Failed() bool                 { return true }
func (f *failing) Cleanup(fn func())            { f.cleanups = append(f.cleanups, fn) }
func (f *failing) Log(args ...any)              { fmt.Fprintln(&f.logged, args...) }
func (f *failing) Fatalf(s string, args ...any) { panic(fmt.Sprintf(s, args...)) }

func TestAFailedTestGetsTheDump(t *testing.T) {
	t.Parallel()
	f := &failing{TB: t}
	s := fliplettest.New(f, fliplettest.InProcess())
	s.AddContacts(m{"a": 1})
	for _, fn := range f.cleanups {
		fn()
	}
	assert.Contains(t, f.logged.String(), `"Contacts"`)
	assert.Panics(t, func() { fliplettest.New(f, fliplettest.WithToken(" ")) })
}

func TestPushesAndHooksAreSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, fliplettest.InProcess())
		sent := time.Now().UTC()
		r.send(`{"fromUserId":"a","readBy":["a"]}`)
		require.Len(t, r.HookCalls(), 1)
		assert.Equal(t, "push-message", r.HookCalls()[0].Type)
		time.Sleep(time.Minute)
		assert.Equal(t, []fliplettest.Push{{Time: sent.Add(30 * time.Second), UserID: "b", MessageID: 5003, ConversationID: r.conversation, AppID: 1}}, r.Pushes())
	})
}

func TestRowsDroppedByACarelessCommit(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	r.send(`{}`)
	r.send(`{}`)
	assert.Equal(t, 200, r.do("POST", "/v1/data-sources/Talk/commit", `{"append":true,"entries":[]}`).status)
	assert.Zero(t, r.RowsDropped())
	assert.Equal(t, 200, r.do("POST", "/v1/data-sources/Talk/commit", `{"entries":[]}`).status)
	assert.Equal(t, 2, r.RowsDropped())
}

func TestContactsMayBeReadAndUpdatedOnly(t *testing.T) {
	t.Parallel()
	r := open(t)
	c := r.Client()
	rows, err := c.Find(t.Context(), r.contacts, datasource.Query{Where: m{"flUserId": "a"}})
	require.NoError(t, err)
	require.Len(t, rows, 1)
	_, err = c.Update(t.Context(), r.contacts, rows[0].ID, m{"n": 1})
	require.NoError(t, err)
	_, err = c.Insert(t.Context(), r.contacts, m{})
	require.Error(t, err)
	require.Error(t, c.Delete(t.Context(), r.contacts, rows[0].ID))
	studio, _ := r.AddToken(fliplettest.UserToken)
	require.NoError(t, r.ClientFor(studio).Delete(t.Context(), r.contacts, rows[0].ID))
	assert.NotNil(t, r.Rows(r.contacts)[0].DeletedAt)
	r.RevokeToken(studio)
	require.Error(t, r.ClientFor(studio).Delete(t.Context(), r.contacts, rows[0].ID))
}

func TestAccountsAndWidgets(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess(), fliplettest.WithAppID(7), fliplettest.WithOrganizationID(3), fliplettest.WithApps(8), fliplettest.WithToken("us--mine"))
	assert.Equal(t, []any{"us--mine", int64(7), int64(3)}, []any{r.Token, r.AppID, r.OrganizationID})
	assert.Equal(t, 201, r.do("POST", "/v1/data-sources", `{"name":"x","appId":8}`).status)
	assert.Equal(t, 400, r.do("POST", "/v1/data-sources", `{"name":"x","appId":1}`).status)
	token := r.AddUser("jo@x.com", "Jo", "March", "secret")
	assert.Contains(t, r.do("POST", "/v1/auth/login", `{"email":"jo@x.com","password":"secret"}`).body, token)
	r.SetWidget("com.fliplet.chat", m{"dataSourceId": r.contacts})
	assert.Contains(t, r.do("GET", "/v1/widget-instances/com.fliplet.chat", "").body, fmt.Sprintf(`"dataSourceId":%d`, r.contacts))
	other, id := r.AddTokenIn(8, fliplettest.APIToken)
	assert.NotEqual(t, r.Token, other)
	assert.Positive(t, id)
	assert.Len(t, r.Sources(), 3)
	assert.EqualValues(t, 8, r.Sources()[2].AppID)
}
