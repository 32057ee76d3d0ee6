package fliplettest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// ear keeps the bodies of the requests that web hooks send.
type ear struct {
	mu  sync.Mutex
	got []string
	at  []time.Time
}

func (e *ear) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got, e.at = append(e.got, string(body)), append(e.at, time.Now())
}

func (e *ear) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string{}, e.got...)
}

// hooked is a room with a source "Orders" whose web hook sends the column n.
func hooked(t *testing.T, handler http.Handler, opts ...fliplettest.Option) (r *room, orders int64) {
	if handler != nil {
		opts = append(opts, fliplettest.OnHook(handler))
	}
	r = open(t, append(opts, fliplettest.InProcess())...)
	return r, r.AddDataSource(m{"name": "Orders", "hooks": []any{m{
		"type": "web", "runOn": []any{"insert"}, "payload": m{"endpoint": "http://localhost/hook?key=secret", "body": "{{n}}{{id}}{{dataSourceId}}"},
	}}})
}

func (r *room) order(n ...int) {
	r.t.Helper()
	for _, n := range n {
		require.Equal(r.t, 200, r.do("PUT", "/v1/data-sources/Orders/data", fmt.Sprintf(`{"n":%d}`, n)).status)
	}
}

func (r *room) settle() {
	r.t.Helper()
	require.NoError(r.t, r.WaitForHooks(r.t.Context()))
}

func TestHooksGoToTheHandlerOfTheTest(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]fliplettest.Option{"in process": {fliplettest.InProcess()}, "with a socket": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler := http.NewServeMux()
			handler.HandleFunc("PUT api.example.org/orders/{n}", func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "secret", r.URL.Query().Get("key"))
				assert.Equal(t, "yes", r.Header.Get("X-Hook"))
				http.Error(w, "", 200+len(r.PathValue("n")))
			})
			s := fliplettest.New(t, append(opts, fliplettest.OnHook(handler), fliplettest.HookHosts("api.example.org"))...)
			id := s.AddDataSource(m{"name": "Orders", "hooks": []any{m{"type": "web", "runOn": []any{"insert"}, "payload": m{
				"method": "PUT", "endpoint": "https://api.example.org/orders/{{n}}?key=secret", "headers": m{"X-Hook": "yes"},
			}}}})
			_, err := s.Client().Insert(t.Context(), id, m{"n": "four"})
			require.NoError(t, err)
			require.NoError(t, s.WaitForHooks(t.Context()))
			calls := s.HookCalls()
			require.Len(t, calls, 1)
			assert.Equal(t, 204, calls[0].Status, calls[0].Err)
			assert.Equal(t, "https://api.example.org/orders/{{n}}", calls[0].URL)
			assert.Equal(t, m{"method": "PUT", "endpoint": "https://api.example.org/orders/four?key=…", "headers": m{"X-Hook": "…"}, "body": nil}, calls[0].Payload)
		})
	}
}

func TestHooksThatLeadElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	r := open(t, fliplettest.InProcess(), fliplettest.OnHook(&ear{}))
	reply := r.do("POST", "/v1/data-sources", `{"name":"X","appId":1,"hooks":[{"type":"web","payload":{"endpoint":"https://example.com/"}}]}`)
	assert.Equal(t, 400, reply.status)
	assert.Contains(t, reply.body, `hooks[0].payload.endpoint: the host \"example.com\" is not allowed`)
	assert.Contains(t, reply.body, "HookHosts of package fliplettest")
	assert.Panics(t, func() {
		r.AddDataSource(m{"name": "X", "hooks": []any{m{"type": "web", "payload": m{"endpoint": "https://example.com/"}}}})
	})
	_, err := fliplettest.Start(fliplettest.HookHosts("http://a.example"))
	require.ErrorContains(t, err, "http://a.example")
}

func TestInProcessNothingIsSentWithoutAHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := hooked(t, nil)
		r.order(1)
		r.settle()
		assert.Contains(t, r.HookCalls()[0].Err, "OnHook")
	})
}

// Each lever, by what arrives and what is told of it. Orders are 1, 2 and 3.
func TestLeversOnWebHooks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pull   func(*room)
		heard  string
		levers string
		last   time.Duration // when the last one comes
	}{
		"none":                    {func(*room) {}, "1 2 3", "", 0},
		"lost":                    {func(r *room) { r.After(1, 1, fliplettest.WebHook, fliplettest.LoseRequest()) }, "1 3", ",lost,", 0},
		"unheard":                 {func(r *room) { r.Next(1, fliplettest.WebHook, fliplettest.LoseAnswer()) }, "1 2 3", "answer lost,,", 0},
		"twice":                   {func(r *room) { r.Next(1, fliplettest.WebHook, fliplettest.Twice()) }, "1 1 2 3", ",twice,,", 0},
		"late":                    {func(r *room) { r.Next(2, fliplettest.WebHook, fliplettest.Delay(time.Hour)) }, "3 1 2", "late,late,", time.Hour},
		"out of order":            {func(r *room) { r.Always(fliplettest.WebHook, fliplettest.OutOfOrder()) }, "2 1 3", "out of order,out of order,out of order", time.Second},
		"out of order, twice":     {func(r *room) { r.Next(1, fliplettest.WebHook, fliplettest.OutOfOrder(), fliplettest.Twice()) }, "2 1 1 3", "out of order,twice,,", 0},
		"all out of order, twice": {func(r *room) { r.Always(fliplettest.WebHook, fliplettest.OutOfOrder(), fliplettest.Twice()) }, "2 1 1 2 3 3", "out of order,twice,out of order,twice,out of order,twice", time.Second},
		"forged":                  {func(r *room) { r.Next(1, fliplettest.WebHook, fliplettest.ForgeBody("x")) }, "x 2 3", "forged,,", 0},
		"forged null":             {func(r *room) { r.Next(1, fliplettest.WebHook, fliplettest.ForgeBody(nil)) }, "null 2 3", "forged,,", 0},
		"late twice":              {func(r *room) { r.Next(1, fliplettest.WebHook, fliplettest.Delay(time.Minute), fliplettest.Twice()) }, "2 3 1 1", "late,twice,,", time.Minute},
		"ids":                     {func(r *room) { r.Always(fliplettest.WebHook, fliplettest.HookSeesID()) }, "15003103 25004103 35005103", "", 0},
		"of routes":               {func(r *room) { r.Always(fliplettest.AnyRead, fliplettest.LoseRequest(), fliplettest.Twice()) }, "1 2 3", "", 0},
		"others":                  {func(r *room) { r.Always(fliplettest.WebHook, fliplettest.Status(500), fliplettest.Cut()) }, "1 2 3", "", 0},
		"several": {func(r *room) {
			r.Next(1, fliplettest.WebHook, fliplettest.Delay(time.Second))
			r.After(2, 1, fliplettest.WebHook, fliplettest.LoseRequest())
		}, "2 1", "late,,lost", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := &ear{}
				r, _ := hooked(t, e)
				c.pull(r)
				began := time.Now()
				r.order(1, 2, 3)
				assert.Zero(t, time.Since(began), "no write waits")
				r.settle()
				assert.Equal(t, c.heard, strings.Join(e.heard(), " "))
				assert.Equal(t, c.last, e.at[len(e.at)-1].Sub(began))
				var levers []string
				for _, h := range r.HookCalls() {
					levers = append(levers, h.Lever)
				}
				assert.Equal(t, c.levers, strings.Trim(strings.Join(levers, ","), " ")[:len(c.levers)])
				assert.Equal(t, len(levers), r.Count(fliplettest.WebHook))
			})
		})
	}
}

func TestSometimesOnWebHooksDependsOnTheSeedAlone(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) string {
		e := &ear{}
		r, _ := hooked(t, e, fliplettest.WithSeed(seed))
		r.Sometimes(0.3, fliplettest.WebHook, fliplettest.LoseRequest())
		for n := range 40 {
			r.order(n)
			r.send(`{}`) // which draws from another route
		}
		r.settle()
		return strings.Join(e.heard(), " ")
	}
	first := run(1)
	assert.Equal(t, first, run(1))
	assert.NotEqual(t, first, run(2))
}

func TestForgedHooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &ear{}
		r, orders := hooked(t, e)
		assert.Equal(t, 1, r.ForgeHook(orders, m{"n": 7}))
		assert.Zero(t, r.ForgeHook(r.contacts, nil), "it has no web hook")
		r.settle()
		assert.Equal(t, []string{"7"}, e.heard())
		assert.Empty(t, r.Rows(orders))
		call := r.HookCalls()[0]
		assert.Equal(t, []any{"forged", int64(0), orders, 200}, []any{call.Lever, call.EntryID, call.DataSourceID, call.Status})
		assert.Panics(t, func() { r.ForgeHook(1, nil) })
	})
}

// A handler that hangs costs 10 s of the bubble's time and no write's.
func TestAHandlerThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &ear{}
		r, _ := hooked(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			e.ServeHTTP(w, req)
			if len(e.heard()) == 1 {
				<-req.Context().Done()
			}
		}))
		began := time.Now()
		r.order(1, 2)
		assert.Zero(t, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.ErrorIs(t, r.WaitForHooks(ctx), context.DeadlineExceeded)
		r.settle()
		assert.Equal(t, 10*time.Second, time.Since(began))
		calls := r.HookCalls()
		assert.Equal(t, "no answer within 10s", calls[0].Err)
		assert.Equal(t, 200, calls[1].Status)
	})
}

// The leak check of synctest and of the package look for what stays behind.
func TestCloseEndsHooksInEveryState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, orders := hooked(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }))
		r.Next(1, fliplettest.WebHook, fliplettest.Delay(time.Hour))
		r.order(1, 2, 3) // late, hanging, waiting
		r.Next(1, fliplettest.WebHook, fliplettest.OutOfOrder())
		r.order(4)
		synctest.Wait()
		began := time.Now()
		require.NoError(t, r.Close())
		assert.Zero(t, time.Since(began))
		require.NoError(t, r.WaitForHooks(t.Context()))
		for _, h := range r.HookCalls() {
			assert.Equal(t, "the server was closed", h.Err)
		}
		assert.Len(t, r.HookCalls(), 4)
		assert.Zero(t, r.ForgeHook(orders, m{"n": 5}), "nothing is sent any more")
		assert.Len(t, r.HookCalls(), 4)
		assert.Panics(t, func() { fliplettest.ForgeBody(make(chan int)) })
	})
}

// A backend that is told of a new row asks for it: what a hook says can be forged, lost or old.
func ExampleOnHook() {
	var srv *fliplettest.Server
	backend := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Println(r.Method, r.URL.Path, string(body))
	})
	srv, err := fliplettest.Start(fliplettest.InProcess(), fliplettest.OnHook(backend))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	orders := srv.AddDataSource(m{"name": "Orders", "hooks": []any{m{
		"type": "web", "runOn": []any{"insert"}, "conditions": []any{m{"status": "paid"}},
		"payload": m{"method": "POST", "endpoint": "http://localhost/orders", "body": m{"customer": "{{{name}}}"}},
	}}})
	for _, status := range []string{"open", "paid"} {
		if _, err := srv.Client().Insert(context.Background(), orders, m{"name": "Jo & Co", "status": status}); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(srv.WaitForHooks(context.Background()), srv.HookCalls()[0].Status)
	// Output:
	// POST /orders {"customer":"Jo & Co"}
	// <nil> 200
}

// The first call is lost, the second comes two times, and somebody forges one.
func ExampleServer_ForgeHook() {
	backend := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Println(string(body))
	})
	srv, err := fliplettest.Start(fliplettest.InProcess(), fliplettest.OnHook(backend))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	orders := srv.AddDataSource(m{"name": "Orders", "hooks": []any{m{
		"type": "web", "runOn": []any{"insert"}, "payload": m{"endpoint": "http://localhost/", "body": "order {{n}}"},
	}}})
	srv.Next(1, fliplettest.WebHook, fliplettest.LoseRequest())
	srv.After(1, 1, fliplettest.WebHook, fliplettest.Twice())
	for n := range 2 {
		if _, err := srv.Client().Insert(context.Background(), orders, m{"n": n + 1}); err != nil {
			fmt.Println(err)
		}
	}
	srv.ForgeHook(orders, m{"n": "of a forger"})
	fmt.Println(srv.WaitForHooks(context.Background()))
	// Output:
	// order 2
	// order 2
	// order of a forger
	// <nil>
}

// Of two calls the first is late and out of order.
func ExampleOutOfOrder() {
	backend := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Println(string(body))
	})
	srv, err := fliplettest.Start(fliplettest.InProcess(), fliplettest.OnHook(backend))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	orders := srv.AddDataSource(m{"name": "Orders", "hooks": []any{m{
		"type": "web", "runOn": []any{"insert"}, "payload": m{"endpoint": "http://localhost/", "body": "order {{n}}"},
	}}})
	srv.Next(1, fliplettest.WebHook, fliplettest.OutOfOrder())
	for n := range 2 {
		if _, err := srv.Client().Insert(context.Background(), orders, m{"n": n + 1}); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(srv.WaitForHooks(context.Background()))
	// Output:
	// order 2
	// order 1
	// <nil>
}

// A call with another body than the hook's: whoever knows the endpoint can send anything.
func ExampleForgeBody() {
	backend := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Println(string(body))
	})
	srv, err := fliplettest.Start(fliplettest.InProcess(), fliplettest.OnHook(backend), fliplettest.HookHosts("hooks.example.org"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	orders := srv.AddDataSource(m{"name": "Orders", "hooks": []any{m{
		"type": "web", "runOn": []any{"insert"}, "payload": m{"endpoint": "https://hooks.example.org/", "body": "order {{n}}"},
	}}})
	srv.Next(1, fliplettest.WebHook, fliplettest.ForgeBody(m{"pay": "me"}))
	if _, err := srv.Client().Insert(context.Background(), orders, m{"n": 1}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(srv.WaitForHooks(context.Background()), srv.HookCalls()[0].Lever)
	// Output:
	// {"pay":"me"}
	// <nil> forged
}
