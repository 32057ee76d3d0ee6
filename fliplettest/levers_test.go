package fliplettest_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// both runs a test over a socket and in process.
func both(t *testing.T, test func(t *testing.T, r *room)) {
	t.Parallel()
	for name, opts := range map[string][]fliplettest.Option{"loopback": nil, "in process": {fliplettest.InProcess()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, opts...))
		})
	}
}

func TestNextFailsThatManyCallsOfARoute(t *testing.T) {
	both(t, func(t *testing.T, r *room) {
		lever := r.Next(2, fliplettest.Insert, fliplettest.Status(503))
		assert.Equal(t, 200, r.poll("").status, "other routes are served")
		assert.Equal(t, 503, r.send(`{"n":1}`).status)
		assert.Equal(t, 503, r.send(`{"n":1}`).status)
		assert.Equal(t, 200, r.send(`{"n":1}`).status)
		assert.Equal(t, 2, lever.Hits())
		assert.Len(t, r.Rows(r.conversation), 1, "a failed request is not applied")
	})
}

func TestAfterLetsSomeThrough(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	r.After(1, 2, fliplettest.AnyWrite, fliplettest.Answer(502, "<html>"))
	var got []int
	for range 4 {
		got = append(got, r.send(`{}`).status)
	}
	assert.Equal(t, []int{200, 502, 502, 200}, got)
}

func TestAlwaysLastsUntilOff(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	lever := r.Always(fliplettest.CrossSource, fliplettest.Status(404))
	assert.Equal(t, 404, r.poll("").status)
	assert.Equal(t, 404, r.poll("").status)
	lever.Off()
	lever.Off()
	assert.Equal(t, 200, r.poll("").status)
	r.Always(fliplettest.AnyRoute, fliplettest.Status(500))
	r.Release()
	assert.Equal(t, 200, r.poll("").status)
}

func TestSometimesDependsOnTheSeedAlone(t *testing.T) {
	t.Parallel()
	pattern := func(seed uint64, noise bool) (s string) {
		r := open(t, fliplettest.InProcess(), fliplettest.WithSeed(seed))
		r.Sometimes(0.5, fliplettest.AnyRoute, fliplettest.Status(503))
		for range 64 {
			if noise {
				r.send(`{}`)
			}
			s += fmt.Sprint(r.poll("").status/100, " ")
		}
		return s
	}
	assert.Equal(t, pattern(7, false), pattern(7, true), "calls of other routes change nothing")
	assert.NotEqual(t, pattern(7, false), pattern(8, false))
	assert.Contains(t, pattern(7, false), "5")
	assert.Contains(t, pattern(7, false), "2")
}

func TestStatusHasTheDocumentedBody(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	r.FreezeClockAt(time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC))
	for fault, want := range map[int]string{
		401: `{"error":"not authorised","message":"The auth_token provided doesn't belong to any user."}`,
		403: `{"error":"forbidden","message":"The flUserToken provided is not valid."}`,
		500: `{"message":"Internal Server Error"}`,
	} {
		r.Next(1, fliplettest.AnyRoute, fliplettest.Status(fault))
		got := r.poll("")
		assert.Equal(t, fault, got.status)
		assert.Equal(t, want, got.body)
	}
	r.Next(1, fliplettest.AnyRoute, fliplettest.TooMany(3*time.Second), fliplettest.Header("Retry-After", "3"))
	got := r.poll("")
	assert.Equal(t, 429, got.status)
	assert.Contains(t, got.body, `"nextValidRequestDate":"2026-02-01T08:00:03.000Z"`)
	assert.Equal(t, "3", got.header.Get("Retry-After"))
	assert.Equal(t, "Sun, 01 Feb 2026 08:00:00 GMT", got.header.Get("Date"), "the date is the server's own")
	r.Next(1, fliplettest.AnyRoute, fliplettest.Answer(200, `{}`))
	assert.Equal(t, `{}`, r.poll("").body)
}

func TestLostRequestsAndAnswers(t *testing.T) {
	both(t, func(t *testing.T, r *room) {
		r.Next(1, fliplettest.Insert, fliplettest.LoseRequest())
		require.Error(t, r.send(`{"n":1}`).err)
		assert.Empty(t, r.Rows(r.conversation), "a lost request leaves nothing")
		r.Next(1, fliplettest.Insert, fliplettest.LoseAnswer())
		require.Error(t, r.send(`{"n":1}`).err)
		assert.Len(t, r.Rows(r.conversation), 1, "a lost answer hides a row that is there")
		r.Next(1, fliplettest.Insert, fliplettest.Cut())
		got := r.send(`{"n":1}`)
		require.ErrorIs(t, got.err, io.ErrUnexpectedEOF)
		assert.Equal(t, 200, got.status)
		assert.NotEmpty(t, got.body)
		assert.Len(t, r.Rows(r.conversation), 2)
		assert.Equal(t, 200, r.send(`{}`).status, "the next connection works")
	})
}

func TestTwiceAppliesTwice(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	r.Next(1, fliplettest.Insert, fliplettest.Twice())
	assert.Contains(t, r.send(`{"guid":"g"}`).body, `"id":5003`)
	assert.Len(t, r.Rows(r.conversation), 2)
}

func TestPartialKeepsTheFirstRows(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	r.Next(2, fliplettest.AnyWrite, fliplettest.Partial(2))
	assert.Equal(t, 500, r.do("POST", "/v1/data-sources/Talk/data", `{"append":true,"entries":[{"n":1},{"n":2},{"n":3}]}`).status)
	assert.Len(t, r.Rows(r.conversation), 2)
	assert.Equal(t, 500, r.do("POST", "/v1/data-sources/Talk/commit",
		`{"append":true,"extend":true,"entries":[{"data":{"n":9}},{"id":5003,"data":{"n":7}},{"data":{"n":8}},{"data":{"n":8}}]}`).status)
	assert.Len(t, r.Rows(r.conversation), 3, "updates come before inserts")
}

func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	r.Next(1, fliplettest.AnyRoute, fliplettest.RefuseToken())
	assert.Equal(t, 401, r.poll("").status)
	r.Next(1, fliplettest.CrossSource, fliplettest.RefuseChatToken())
	assert.Equal(t, 403, r.poll("").status)
	assert.Equal(t, 200, r.poll("").status)
	r.Next(1, fliplettest.Insert, fliplettest.RefuseChatToken())
	assert.Equal(t, 403, r.do("PUT", "/v1/data-sources/Talk/data?flUserToken=ta", `{}`).status)
}

func TestDelaysRunOnTheBubblesClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, fliplettest.InProcess())
		r.Next(1, fliplettest.Insert, fliplettest.Delay(time.Hour))
		started := time.Now()
		assert.Equal(t, 200, r.send(`{}`).status)
		assert.Equal(t, time.Hour, time.Since(started))

		r.Next(1, fliplettest.Insert, fliplettest.Delay(time.Hour))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got := r.doCtx(ctx, "PUT", "/v1/data-sources/Talk/data", `{}`)
		require.ErrorIs(t, got.err, context.DeadlineExceeded)
		assert.Len(t, r.Rows(r.conversation), 1, "a request that was given up is not applied")

		r.Next(1, fliplettest.Insert, fliplettest.DelayAnswer(time.Hour))
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got = r.doCtx(ctx, "PUT", "/v1/data-sources/Talk/data", `{}`)
		require.ErrorIs(t, got.err, context.DeadlineExceeded)
		assert.Len(t, r.Rows(r.conversation), 2, "an answer that was given up is")
	})
}

func TestCloseEndsDelays(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.Always(fliplettest.Insert, fliplettest.Delay(time.Hour))
	done := make(chan error)
	go func() { done <- r.send(`{}`).err }()
	r.awaitCall(fliplettest.Insert)
	require.NoError(t, r.Close())
	assert.Error(t, <-done)
}

// awaitCall waits until a route has been called.
func (r *room) awaitCall(route fliplettest.Route) {
	for r.Count(route) == 0 {
		require.NoError(r.t, r.t.Context().Err())
		runtime.Gosched()
	}
}

func TestAClientThatLeavesEndsItsDelay(t *testing.T) {
	both(t, func(t *testing.T, r *room) {
		r.Always(fliplettest.Insert, fliplettest.Delay(time.Hour))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.doCtx(ctx, "PUT", "/v1/data-sources/Talk/data", `{"n":1}`).err }()
		r.awaitCall(fliplettest.Insert)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		require.NoError(t, r.Close())
		assert.Empty(t, r.Rows(r.conversation))
	})
}

func TestLateRowsCarryTheirOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, fliplettest.InProcess())
		r.Next(1, fliplettest.Insert, fliplettest.VisibleAfter(5*time.Second))
		before := time.Now()
		assert.Contains(t, r.send(`{"n":1}`).body, `"id":5003`, "the writer sees its row")
		time.Sleep(time.Second)
		r.send(`{"n":2}`)
		assert.Equal(t, []int64{5004}, r.poll("").ids(t))
		assert.Equal(t, 404, r.do("GET", "/v1/data-sources/Talk/data/5003", "").status)
		time.Sleep(4 * time.Second)
		assert.Equal(t, []int64{5003, 5004}, r.poll(`,"order":[["updatedAt","ASC"],["id","ASC"]]`).ids(t), "late, it sorts before what was seen")
		assert.Equal(t, before.UTC(), r.Rows(r.conversation)[0].UpdatedAt)

		r.Next(1, fliplettest.Update, fliplettest.VisibleAfter(5*time.Second))
		r.do("PUT", "/v1/data-sources/Talk/data/5003", `{"n":"changed"}`)
		assert.Contains(t, r.do("GET", "/v1/data-sources/Talk/data/5003", "").body, `"n":1`, "until then the old state is seen")
		r.do("PUT", "/v1/data-sources/Talk/data/5003", `{"m":1}`)
		assert.Contains(t, r.do("GET", "/v1/data-sources/Talk/data/5003", "").body, `"m":1,"n":"changed"`, "later writes build on it")
		r.Next(1, fliplettest.Delete, fliplettest.VisibleAfter(5*time.Second))
		r.do("DELETE", "/v1/data-sources/Talk/data/5003", ``)
		assert.Len(t, r.poll("").ids(t), 2)
		time.Sleep(5 * time.Second)
		assert.Len(t, r.poll("").ids(t), 1)
		r.Next(1, fliplettest.CreateSource, fliplettest.VisibleAfter(5*time.Second))
		assert.Equal(t, 201, r.do("POST", "/v1/data-sources", `{"name":"New","appId":1}`).status)
		assert.Equal(t, 404, r.do("GET", "/v1/data-sources/New", "").status)
		time.Sleep(5 * time.Second)
		assert.Equal(t, 200, r.do("GET", "/v1/data-sources/New", "").status)
	})
}

func TestReplicaLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, fliplettest.InProcess())
		r.send(`{"n":"old"}`)
		time.Sleep(10 * time.Second)
		lever := r.Always(fliplettest.AnyRead, fliplettest.Lag(3*time.Second))
		r.send(`{"n":1}`)
		r.do("PUT", "/v1/data-sources/Talk/data/5003", `{"n":"new"}`)
		r.do("PUT", fmt.Sprintf("/v1/data-sources/%d", r.conversation), `{"definition":{"participants":["a","b"],"k":"v"}}`)
		r.do("POST", "/v1/data-sources", `{"name":"Newer","appId":1}`)
		check := func(n int, old bool) {
			t.Helper()
			assert.Len(t, r.poll("").ids(t), n)
			assert.Len(t, r.do("POST", "/v1/data-sources/Talk/data/query", `{}`).ids(t), n)
			assert.Equal(t, old, r.do("GET", "/v1/data-sources/Newer", "").status == 404)
			body := r.do("GET", "/v1/data-sources/Talk/data", "").body
			if old {
				assert.Contains(t, body, `"old"`)
				assert.NotContains(t, r.do("GET", "/v1/data-sources", "").body, `"k"`)
			} else {
				assert.Contains(t, body, `"new"`)
				assert.Contains(t, r.do("GET", "/v1/data-sources", "").body, `"k"`)
			}
		}
		check(1, true)
		time.Sleep(3*time.Second - time.Millisecond)
		check(1, true)
		time.Sleep(time.Millisecond)
		check(2, false)
		r.send(`{"n":2}`)
		lever.Off()
		check(3, false)
	})
}

func TestTimestampsThatTieOrGoBack(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	r.FreezeClock()
	now := r.Now()
	r.send(`{}`)
	r.send(`{}`)
	r.Next(1, fliplettest.Insert, fliplettest.Backdate(5*time.Second))
	r.send(`{}`)
	r.ShiftClock(-time.Hour)
	r.send(`{}`)
	var got []time.Duration
	for _, row := range r.Rows(r.conversation) {
		assert.Equal(t, row.CreatedAt, row.UpdatedAt)
		got = append(got, row.CreatedAt.Sub(now))
	}
	assert.Equal(t, []time.Duration{0, 0, -5 * time.Second, -time.Hour}, got)
	assert.Equal(t, []int64{5006, 5005, 5003, 5004}, r.poll(`,"order":[["updatedAt","ASC"],["id","ASC"]]`).ids(t))
	r.ThawClock()
	assert.WithinDuration(t, time.Now(), r.Now(), time.Minute)
}

func TestLeversCompose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, fliplettest.InProcess())
		r.Always(fliplettest.AnyWrite, fliplettest.Delay(time.Second), fliplettest.Backdate(time.Minute))
		r.Next(1, fliplettest.Insert, fliplettest.LoseAnswer(), fliplettest.VisibleAfter(time.Second))
		started := time.Now()
		require.Error(t, r.send(`{}`).err)
		assert.Equal(t, time.Second, time.Since(started))
		assert.Empty(t, r.poll("").ids(t))
		time.Sleep(time.Second)
		assert.Len(t, r.poll("").ids(t), 1)
		assert.Equal(t, started.Add(time.Second-time.Minute).UTC(), r.Rows(r.conversation)[0].CreatedAt)
	})
}

func TestRandomFaultsRepeatUnderASeed(t *testing.T) {
	t.Parallel()
	run := func() (seen []string) {
		synctest.Test(t, func(t *testing.T) {
			r := open(t, fliplettest.InProcess(), fliplettest.WithFaults(42, fliplettest.Rates{
				Unavailable: 0.1, TooMany: 0.1, LoseRequest: 0.1, LoseAnswer: 0.1, Cut: 0.1, Slow: 0.2, SlowBy: time.Second,
				Late: 0.2, LateBy: time.Second, Duplicate: 0.2, Shuffle: 0.2,
			}))
			started := time.Now()
			for i := range 100 {
				got := r.send(fmt.Sprintf(`{"n":%d}`, i))
				seen = append(seen, fmt.Sprint(got.status, got.err != nil))
				got = r.poll("")
				seen = append(seen, fmt.Sprint(got.status, got.err != nil, len(got.body)))
			}
			seen = append(seen, time.Since(started).String())
		})
		return seen
	}
	first := run()
	assert.Equal(t, first, run())
	kinds := map[string]bool{}
	for _, s := range first {
		kinds[s[:3]] = true
	}
	for _, kind := range []string{"200", "503", "429", "0 t"} {
		assert.True(t, kinds[kind], kind)
	}
}

func TestRateLimitOptionAndLever(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess(), fliplettest.WithRateLimit())
	r.FreezeClock()
	for range 200 {
		require.Equal(t, 200, r.poll("").status)
	}
	assert.Equal(t, 429, r.poll("").status)
	r.RateLimit(1, time.Second)
	assert.Equal(t, 200, r.poll("").status)
	assert.Equal(t, 429, r.poll("").status)
	r.RateLimit(0, 0)
	assert.Equal(t, 200, r.poll("").status)
}

func TestLeversThatMakeNoSensePanic(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	for _, pull := range []func(){
		func() { r.Next(0, fliplettest.AnyRoute) }, func() { r.After(-1, 1, fliplettest.AnyRoute) }, func() { r.After(0, 0, fliplettest.AnyRoute) },
		func() { r.Sometimes(0, fliplettest.AnyRoute) }, func() { r.Sometimes(1.1, fliplettest.AnyRoute) }, func() { r.Always("GET /v1/nothing") },
		func() { r.AddTokenIn(1, "king") }, func() { r.AddRows(1, m{}) }, func() { r.AddDataSource(m{}) },
	} {
		assert.Panics(t, pull)
	}
}

func TestEveryNamedRouteExists(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess())
	for _, route := range []fliplettest.Route{
		fliplettest.ListSources, fliplettest.CreateSource, fliplettest.GetSource, fliplettest.UpdateSource, fliplettest.DeleteSource,
		fliplettest.ListEntries, fliplettest.GetEntry, fliplettest.Insert, fliplettest.Update, fliplettest.Delete, fliplettest.Bulk,
		fliplettest.Commit, fliplettest.Query, fliplettest.CrossSource, fliplettest.Upload, fliplettest.Contents, fliplettest.Session,
	} {
		assert.Contains(t, r.Routes(), route)
	}
}

func TestACancelledRequestDoesNothing(t *testing.T) {
	both(t, func(t *testing.T, r *room) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, r.doCtx(ctx, "PUT", "/v1/data-sources/Talk/data", `{}`).err, context.Canceled)
		assert.Empty(t, r.Rows(r.conversation))
	})
}

func TestAnAnswerThatDripsArrivesPieceByPiece(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess())
		id := s.AddDataSource(datasource.M{"name": "Talk"})
		s.AddRows(id, datasource.M{"text": strings.Repeat("x", 1000)})
		s.Next(1, fliplettest.AnyRoute, fliplettest.Drip(100, time.Second))
		began := time.Now()
		rows, err := s.Client().Find(t.Context(), id, datasource.Query{})
		require.NoError(t, err)
		require.Len(t, rows, 1)
		assert.GreaterOrEqual(t, time.Since(began), 10*time.Second)
		assert.Less(t, time.Since(began), 15*time.Second)
	})
	s := fliplettest.New(t) // through a socket
	id := s.AddDataSource(datasource.M{"name": "Talk"})
	s.Next(1, fliplettest.AnyRoute, fliplettest.Drip(10, time.Millisecond))
	_, err := s.Client().Find(t.Context(), id, datasource.Query{})
	require.NoError(t, err)
}
