package fliplettest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// as speaks with another token.
func (r *room) as(token string) *room {
	s := *r
	s.token = token
	return &s
}

func TestLimitsOfEveryScopeForWhoSharesIt(t *testing.T) {
	both(t, func(t *testing.T, r *room) {
		twin, _ := r.AddTwin(r.Token)
		other, _ := r.AddToken(fliplettest.APIToken)
		organization, _ := r.AddToken(fliplettest.OrganizationToken)
		for scope, refused := range map[fliplettest.Scope]int{
			fliplettest.PerToken: 1, fliplettest.PerUser: 2, fliplettest.PerApp: 3, fliplettest.PerOrganization: 4,
		} {
			r.Limit(fliplettest.DataSourceCalls, scope, 2, time.Hour)
			require.Equal(t, 200, r.poll("").status)
			require.Equal(t, 200, r.poll("").status)
			for i, token := range []string{r.Token, twin, other, organization} {
				want := 200
				if i < refused {
					want = 429
				}
				assert.Equal(t, want, r.as(token).poll("").status, "%s %d", scope, i)
			}
			r.Limit(fliplettest.DataSourceCalls, scope, 0, 0)
		}
	})
}

func TestAClientWaitsForTheScopeThatRefusesLongest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess(),
			fliplettest.WithLimit(fliplettest.DataSourceCalls, fliplettest.PerToken, 1, 2*time.Second),
			fliplettest.WithLimit(fliplettest.DataSourceCalls, fliplettest.PerOrganization, 2, 9*time.Second))
		source := s.AddDataSource(m{"name": "Orders"})
		other, id := s.AddToken(fliplettest.OrganizationToken)
		_, err := s.Client().Find(t.Context(), source, datasource.Query{})
		require.NoError(t, err)
		_, err = s.ClientFor(other).Find(t.Context(), source, datasource.Query{})
		require.NoError(t, err)
		began := time.Now()
		_, err = s.Client().Find(t.Context(), source, datasource.Query{})
		require.NoError(t, err)
		assert.GreaterOrEqual(t, time.Since(began), 9*time.Second)
		assert.Less(t, time.Since(began), 11*time.Second, "clients that wait for one date spread a little")
		assert.Equal(t, fliplettest.Usage{
			Calls: fliplettest.DataSourceCalls, Scope: fliplettest.PerOrganization, Kind: "organization", ID: 1,
			InWindow: 1, Total: 3, Refused: 1,
		}, s.Used(fliplettest.DataSourceCalls, fliplettest.PerOrganization, s.OrganizationID))
		assert.Equal(t, 1, s.Used(fliplettest.DataSourceCalls, fliplettest.PerToken, id).Total)
		assert.Zero(t, s.Used(fliplettest.LogCalls, fliplettest.PerToken, id).Total)
		assert.Equal(t, 2, s.Used(fliplettest.DataSourceCalls, fliplettest.PerApp, s.AppID).Total)
		assert.Len(t, s.Usage(), 6)
	})
}

func TestDocumentedLimitsAreThoseOfAUser(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess(), fliplettest.WithRateLimit())
	r.FreezeClock()
	twin, _ := r.AddTwin(r.Token)
	for i := range 200 {
		require.Equal(t, 200, r.as([]string{r.Token, twin}[i%2]).poll("").status)
	}
	assert.Equal(t, 429, r.as(twin).poll("").status)
	organization, _ := r.AddToken(fliplettest.OrganizationToken)
	admin := r.as(organization)
	for range 30 {
		require.Equal(t, 200, admin.do("GET", "/v1/organizations/1/logs", "").status)
	}
	refused := admin.do("POST", "/v1/organizations/1/logs", "")
	assert.Equal(t, 429, refused.status)
	assert.Contains(t, refused.body, r.Now().Add(10*time.Second).Format(`"nextValidRequestDate":"2006-01-02T15:04:05.000Z"`))
	assert.Equal(t, 200, admin.poll("").status, "the log has a limit of its own")
}

func TestLimitsThatMakeNoSensePanicOrFailTheStart(t *testing.T) {
	t.Parallel()
	s := fliplettest.New(t, fliplettest.InProcess())
	assert.Panics(t, func() { s.Limit("tea", fliplettest.PerApp, 1, time.Second) })
	assert.Panics(t, func() { s.Limit(fliplettest.LogCalls, fliplettest.PerApp, 1, 0) })
	assert.Panics(t, func() { s.AddTwin("eu--nobody") })
	_, err := fliplettest.Start(fliplettest.WithLimit(fliplettest.LogCalls, "galaxy", 1, time.Second))
	require.ErrorContains(t, err, "galaxy")
}

func TestLimitsUnderManyClientsAtOnce(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	r.FreezeClock()
	r.Limit(fliplettest.DataSourceCalls, fliplettest.PerApp, 50, time.Minute)
	done := make(chan int)
	for range 8 {
		token, _ := r.AddToken(fliplettest.APIToken)
		go func() {
			served := 0
			for range 20 {
				if r.as(token).poll("").status == 200 {
					served++
				}
				r.Usage()
			}
			done <- served
		}()
	}
	served := 0
	for range 8 {
		served += <-done
	}
	assert.Equal(t, 50, served)
	used := r.Used(fliplettest.DataSourceCalls, fliplettest.PerApp, r.AppID)
	assert.Equal(t, []int{50, 50, 110}, []int{used.InWindow, used.Total, used.Refused})
}

func TestLeversOfTheAuditLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, fliplettest.InProcess())
		token, _ := r.AddToken(fliplettest.OrganizationToken)
		admin := r.as(token)
		lines := func(path string) int {
			reply := admin.do("GET", "/v1/organizations/1/logs?limit=500&"+path, "")
			require.Equal(t, 200, reply.status, reply.body)
			return strings.Count(reply.body, `"requestId"`)
		}
		before := lines("")
		r.send(`{"body":"a"}`)
		require.Equal(t, before+1, lines(""))

		late := r.Always(fliplettest.GetLogs, fliplettest.LogLag(time.Minute))
		assert.Zero(t, lines(""))
		time.Sleep(time.Minute)
		assert.Equal(t, before+1, lines(""))
		r.send(`{"body":"b"}`)
		assert.Equal(t, before+1, lines(""))
		assert.Equal(t, before+2, strings.Count(admin.do("POST", "/v1/organizations/1/logs", "").body, `"requestId"`), "another route")
		late.Off()

		r.Next(1, fliplettest.GetLogs, fliplettest.LogWithoutChats())
		assert.Equal(t, before, lines(""))
		r.Next(1, fliplettest.GetLogs, fliplettest.LogWithoutRows())
		assert.Equal(t, before+2, lines(""), "rows that were written alone are there")
		r.do("POST", "/v1/data-sources/Talk/commit", `{"append":true,"entries":[{"data":{}},{"data":{}}]}`)
		r.Next(1, fliplettest.GetLogs, fliplettest.LogWithoutRows())
		assert.Equal(t, before+3, lines(""), "the commit alone")
		assert.Equal(t, before+5, lines(""))

		r.Next(1, fliplettest.GetLogs, fliplettest.Lag(time.Hour))
		assert.Zero(t, lines(""), "a replica that is behind")
		r.Next(1, fliplettest.GetLogs, fliplettest.Ignore("type"))
		assert.Equal(t, before+5, lines("type=nothing"))
	})
}
