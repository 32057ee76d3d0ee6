package chat_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/profile"
)

// seen is what a listener got, in order.
type seen struct {
	mu    sync.Mutex
	order map[int64][]string // new ones, by conversation
	gone  map[int64]int
	when  map[int64]time.Time
}

func (s *seen) take(m *chat.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.order == nil {
		s.order, s.gone, s.when = map[int64][]string{}, map[int64]int{}, map[int64]time.Time{}
	}
	switch {
	case m.IsDeleted:
		s.gone[m.ID]++
		s.when[m.ID] = time.Now()
	case !m.IsUpdate:
		s.order[m.ConversationID] = append(s.order[m.ConversationID], m.Body)
	}
}

func (s *seen) news() map[int64][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[int64][]string{}
	for c, list := range s.order {
		out[c] = append([]string{}, list...)
	}
	return out
}

func (s *seen) deleted(id int64) (n int, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone[id], s.when[id]
}

// tower is an app with a few users in conversations of two, one of whom is in all, an App, and
// what its listeners got.
type tower struct {
	*world
	app      *chat.App
	requests *counter
	rooms    []int64
	users    int
	sent     map[int64][]string
	all      seen
	each     []*seen
	n        int
}

func newTower(t *testing.T, kind fliplettest.TokenKind, change ...func(*tower, *chat.AppOptions)) *tower {
	t.Helper()
	w := newWorld(t, fliplettest.InProcess())
	x := &tower{world: w, users: 6, requests: &counter{next: w.Transport()}, sent: map[int64][]string{}}
	token := w.Token
	if kind != fliplettest.APIToken {
		token, _ = w.AddToken(kind)
	}
	client := sure(datasource.NewClient(datasource.Config{Token: token, BaseURL: w.URL, HTTPClient: &http.Client{Transport: x.requests}}))
	for i := range x.users {
		id := fmt.Sprint("user-", i)
		w.AddRows(w.contacts, chat.M{"Email": id, "flUserId": id, "flUserToken": "token-" + id})
	}
	for i := range 4 * x.users {
		people := []string{fmt.Sprint("user-", i%x.users), fmt.Sprint("user-", (i+1)%x.users)}
		x.rooms = append(x.rooms, w.AddDataSource(chat.M{"name": "room", "type": "conversation", "definition": chat.M{"participants": people}}))
	}
	time.Sleep(10 * time.Second)
	opts := chat.AppOptions{Options: chat.Options{Client: client, DataSourceID: w.contacts, AppID: w.AppID}}
	for _, fn := range change {
		fn(x, &opts)
	}
	app, err := chat.OpenApp(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, app.Close()) })
	x.app = app
	return x
}

// listen begins a stream of everything and one of each user.
func (x *tower) listen(t *testing.T) {
	_, err := x.app.Stream(t.Context(), x.all.take)
	require.NoError(t, err)
	for i := range x.users {
		s := &seen{}
		x.each = append(x.each, s)
		c, err := x.app.User(t.Context(), chat.M{"flUserId": fmt.Sprint("user-", i)})
		require.NoError(t, err)
		_, err = c.Stream(t.Context(), s.take, chat.StartAt(chat.FromNow))
		require.NoError(t, err)
	}
	time.Sleep(10 * time.Second)
}

// send writes messages, and returns the id of the last one.
func (x *tower) send(n int, pause time.Duration) (room, id int64) {
	for range n {
		room = x.rooms[x.n*7%len(x.rooms)]
		body := fmt.Sprint("m", x.n)
		id = x.AddRows(room, chat.M{"body": body, "fromUserId": "somebody", "guid": body})[0]
		x.sent[room] = append(x.sent[room], body)
		x.n++
		time.Sleep(pause)
	}
	return room, id
}

// had checks that each listener has every message once, and in order.
func (x *tower) had(t *testing.T, when string) {
	t.Helper()
	assert.Equal(t, x.sent, x.all.news(), "%s: the stream of all", when)
	for u, s := range x.each {
		want := map[int64][]string{}
		for i, room := range x.rooms {
			if i%x.users == u || (i+1)%x.users == u {
				if len(x.sent[room]) > 0 {
					want[room] = x.sent[room]
				}
			}
		}
		assert.Equal(t, want, s.news(), "%s: user %d", when, u)
	}
}

// ring lets a bell ring for each row that is written.
func (x *tower) ring(room int64) { x.app.Bell().ServeHTTP(discard{}, request(room)) }

func request(room int64) *http.Request {
	r, _ := http.NewRequest(http.MethodPost, fmt.Sprint("http://bell.example/?conversation=", room), http.NoBody) //nolint:noctx // it is served here
	return r
}

// discard takes an answer.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

func TestAnAppWithEachStrategyHasEveryMessageOnceAndInOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[chat.Strategy]struct {
		kind  fliplettest.TokenKind
		fault func(*tower)
		late  time.Duration // the last message comes so late at most
		most  int64         // requests in three minutes, of which one has a message each second
		uses  fliplettest.Route
	}{
		chat.StrategyBell:   {fliplettest.APIToken, nil, 3 * time.Second, 100, ""},
		chat.StrategyAudit:  {fliplettest.OrganizationToken, nil, 5 * time.Second, 300, fliplettest.GetLogs},
		chat.StrategyList:   {fliplettest.APIToken, nil, 10 * time.Second, 100, ""},
		chat.StrategyCover:  {fliplettest.APIToken, nil, 10 * time.Second, 100, ""},
		chat.StrategySweep:  {fliplettest.APIToken, nil, 10 * time.Second, 80, ""},
		chat.StrategyAcross: {fliplettest.APIToken, func(x *tower) { x.Always(fliplettest.Query, fliplettest.MaxJoins(0)) }, 10 * time.Second, 120, fliplettest.CrossSource},
		chat.StrategySingle: {fliplettest.APIToken, func(x *tower) {
			x.Always(fliplettest.Query, fliplettest.MaxJoins(0))
			x.Always(fliplettest.CrossSource, fliplettest.Status(http.StatusNotFound))
		}, 10 * time.Second, 180, ""},
	} {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := newTower(t, c.kind, func(x *tower, o *chat.AppOptions) {
					o.Strategy = name
					if c.fault != nil {
						c.fault(x)
					}
				})
				x.listen(t)
				before, used := x.requests.n.Load(), map[fliplettest.Route]int{}
				for _, route := range []fliplettest.Route{fliplettest.GetLogs, fliplettest.CrossSource} {
					used[route] = x.Count(route)
				}
				for range 60 {
					room, _ := x.send(1, 0)
					if name == chat.StrategyBell {
						x.ring(room)
					}
					time.Sleep(time.Second)
				}
				time.Sleep(c.late)
				x.had(t, "soon")
				time.Sleep(2*time.Minute - c.late)
				x.had(t, "later")
				n := x.requests.n.Load() - before
				t.Logf("%s: %d requests in 3 min", name, n)
				assert.LessOrEqual(t, n, c.most)
				for route, before := range used {
					assert.Equal(t, route == c.uses, x.Count(route) > before+20, route)
				}
				h := x.app.Health()
				assert.Equal(t, name, h.Strategy)
				assert.Contains(t, h.Why, "asked for")
				assert.NoError(t, h.Err)
			})
		})
	}
}

func TestAnAppChoosesItsStrategyAndSaysWhy(t *testing.T) {
	t.Parallel()
	joins := func(x *tower) { x.Always(fliplettest.Query, fliplettest.MaxJoins(0)) }
	across := func(x *tower) { x.Always(fliplettest.CrossSource, fliplettest.Status(http.StatusNotFound)) }
	logs := func(status int) func(*tower) {
		return func(x *tower) { x.Always(fliplettest.GetLogs, fliplettest.Status(status)) }
	}
	for name, c := range map[string]struct {
		kind    fliplettest.TokenKind
		profile profile.Profile
		bell    bool
		rings   bool
		faults  []func(*tower)
		want    chat.Strategy
		why     string
	}{
		"a token of the app":                   {want: chat.StrategyList, why: "the audit log cannot be used"},
		"one of the organisation":              {kind: fliplettest.OrganizationToken, want: chat.StrategyAudit},
		"a bell":                               {kind: fliplettest.OrganizationToken, bell: true, rings: true, want: chat.StrategyBell},
		"a bell that nothing rings":            {bell: true, want: chat.StrategyList, why: "no bell rings"},
		"no log in the profile":                {kind: fliplettest.OrganizationToken, profile: profile.Profile{AuditLog: profile.Avoid}, want: chat.StrategyList, why: "the profile has no audit log"},
		"no times in the profile":              {profile: profile.Profile{ListTimes: profile.Avoid}, want: chat.StrategySweep, why: "the profile has no times"},
		"no joins":                             {faults: []func(*tower){joins}, want: chat.StrategyAcross, why: "refuses queries with joins"},
		"no joins in the profile":              {profile: profile.Profile{Joins: profile.Avoid}, want: chat.StrategyAcross, why: "the profile has no joins"},
		"neither joins nor queries across":     {faults: []func(*tower){joins, across}, want: chat.StrategySingle, why: "refuses queries across"},
		"neither in the profile":               {profile: profile.Profile{Joins: profile.Avoid, CrossSource: profile.Avoid}, want: chat.StrategySingle, why: "the profile has no queries across"},
		"a log that is refused":                {kind: fliplettest.OrganizationToken, faults: []func(*tower){logs(403)}, want: chat.StrategyList, why: "403"},
		"a log that is not there":              {kind: fliplettest.OrganizationToken, faults: []func(*tower){logs(404)}, want: chat.StrategyList, why: "404"},
		"a log that is something else":         {kind: fliplettest.OrganizationToken, faults: []func(*tower){logs(200)}, want: chat.StrategyList, why: "audit log"},
		"a log without the messages of a chat": {kind: fliplettest.OrganizationToken, faults: []func(*tower){func(x *tower) { x.Always(fliplettest.GetLogs, fliplettest.LogWithoutChats()) }}, want: chat.StrategyList, why: "lacks changes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				kind := c.kind
				if kind == "" {
					kind = fliplettest.APIToken
				}
				x := newTower(t, kind, func(x *tower, o *chat.AppOptions) {
					o.Profile, o.Bell = c.profile, c.bell
					for _, fault := range c.faults {
						fault(x)
					}
				})
				x.listen(t)
				for range 60 {
					room, _ := x.send(1, 0)
					if c.rings {
						x.ring(room)
					}
					time.Sleep(time.Second)
				}
				time.Sleep(time.Minute)
				h := x.app.Health()
				assert.Equal(t, c.want, h.Strategy, h.Why)
				assert.Contains(t, h.Why, c.why)
				assert.NotContains(t, h.Why, x.Token)
				x.had(t, name)
			})
		})
	}
}

func TestAnAppRefusesAStrategyThatIsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	before := len(w.Requests())
	_, err := chat.OpenApp(t.Context(), chat.AppOptions{Options: chat.Options{Client: w.Client(), DataSourceID: w.contacts}, Strategy: "adit"})
	require.ErrorIs(t, err, chat.ErrInvalid)
	require.ErrorContains(t, err, `AppOptions.Strategy: "adit" is no strategy; use one of bell, audit, list, cover, across, single, sweep`)
	assert.Len(t, w.Requests(), before, "it makes no request")
}

// deleteOne deletes a message, in a conversation in which nothing else happens, and waits.
func (x *tower) deleteOne(t *testing.T, wait time.Duration) (told bool) {
	t.Helper()
	room, id := x.send(1, 90*time.Second) // everybody has it then
	require.NoError(t, x.Client().Delete(t.Context(), room, id))
	at := time.Now()
	time.Sleep(wait)
	n, when := x.all.deleted(id)
	assert.LessOrEqual(t, n, 1)
	t.Logf("told: %d, after %s", n, when.Sub(at))
	for _, s := range x.each {
		if k, _ := s.deleted(id); k > 0 {
			assert.Equal(t, 1, k)
			assert.Positive(t, n)
		}
	}
	return n == 1
}

func TestADeletionComesAsSoonAsTheStrategyTells(t *testing.T) {
	t.Parallel()
	still := func(x *tower) { x.Always(fliplettest.ListSources, fliplettest.NullFields("updatedAt")) }
	for name, c := range map[string]struct {
		strategy chat.Strategy
		kind     fliplettest.TokenKind
		fault    func(*tower)
		within   time.Duration
		told     bool
	}{
		"by the audit log, although the list shows nothing": {chat.StrategyAudit, fliplettest.OrganizationToken, still, 10 * time.Second, true},
		"where neither shows anything it comes later":       {chat.StrategyList, fliplettest.APIToken, still, time.Minute, false},
		"by a query across": {chat.StrategyAcross, fliplettest.APIToken, nil, 15 * time.Second, true},
		"by the sweep of those, although nothing else shows": {chat.StrategyAcross, fliplettest.APIToken, still, 2 * time.Minute, true},
		"by a read of the conversation":                      {chat.StrategySingle, fliplettest.APIToken, nil, 15 * time.Second, true},
		"by the list and a look for deleted rows":            {chat.StrategyList, fliplettest.APIToken, nil, 4 * time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := newTower(t, c.kind, func(x *tower, o *chat.AppOptions) {
					if o.Strategy = c.strategy; c.fault != nil {
						c.fault(x)
					}
				})
				x.listen(t)
				assert.Equal(t, c.told, x.deleteOne(t, c.within))
			})
		})
	}
}

// A way that stops working is replaced, and tried again within an hour or so; no message is lost
// or comes twice meanwhile.
func TestAnAppGoesOnWhenAWayStopsWorkingAndUsesItAgainLater(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind   fliplettest.TokenKind
		breaks func(*tower) []*fliplettest.Lever
		before chat.Strategy
		then   chat.Strategy
		why    string
	}{
		"the audit log is refused": {fliplettest.OrganizationToken, func(x *tower) []*fliplettest.Lever {
			return []*fliplettest.Lever{x.Always(fliplettest.GetLogs, fliplettest.Status(http.StatusForbidden))}
		}, chat.StrategyAudit, chat.StrategyList, "403"},
		"the audit log is down": {fliplettest.OrganizationToken, func(x *tower) []*fliplettest.Lever {
			return []*fliplettest.Lever{x.Always(fliplettest.GetLogs, fliplettest.Status(http.StatusInternalServerError))}
		}, chat.StrategyAudit, chat.StrategyList, "500"},
		"the audit log has no messages any more": {fliplettest.OrganizationToken, func(x *tower) []*fliplettest.Lever {
			return []*fliplettest.Lever{x.Always(fliplettest.GetLogs, fliplettest.LogWithoutChats())}
		}, chat.StrategyAudit, chat.StrategyList, "lacks changes"},
		"joins are refused": {fliplettest.APIToken, func(x *tower) []*fliplettest.Lever {
			return []*fliplettest.Lever{x.Always(fliplettest.Query, fliplettest.MaxJoins(0))}
		}, chat.StrategyList, chat.StrategyAcross, "refuses queries with joins"},
		"joins and queries across are refused": {fliplettest.APIToken, func(x *tower) []*fliplettest.Lever {
			return []*fliplettest.Lever{
				x.Always(fliplettest.Query, fliplettest.MaxJoins(0)),
				x.Always(fliplettest.CrossSource, fliplettest.Status(http.StatusNotFound)),
			}
		}, chat.StrategyList, chat.StrategySingle, "refuses queries across"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := newTower(t, c.kind)
				x.listen(t)
				x.send(30, time.Second)
				time.Sleep(10 * time.Second)
				assert.Equal(t, c.before, x.app.Health().Strategy, x.app.Health().Why)
				x.had(t, "before")

				levers := c.breaks(x)
				x.send(60, 2*time.Second)
				time.Sleep(time.Minute)
				h := x.app.Health()
				assert.Equal(t, c.then, h.Strategy, h.Why)
				assert.Contains(t, h.Why, c.why)
				assert.NoError(t, h.Err, "nothing is down")
				assert.Less(t, time.Until(h.Again), time.Hour+time.Minute)
				assert.Greater(t, time.Until(h.Again), time.Minute)
				x.had(t, "without")

				x.send(8, 10*time.Minute) // it is tried in vain
				assert.Equal(t, c.then, x.app.Health().Strategy, x.app.Health().Why)
				x.had(t, "long without")
				for _, lever := range levers {
					lever.Off()
				}
				for range 14 {
					if x.send(1, 5*time.Minute); x.app.Health().Strategy == c.before {
						break
					}
				}
				h = x.app.Health()
				assert.Equal(t, c.before, h.Strategy, h.Why)
				x.send(10, time.Second)
				time.Sleep(time.Minute)
				x.had(t, "again")
			})
		})
	}
}
