package flipletd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// heard is a request that a receiver of hooks got.
type heard struct {
	method, uri, body string
	header            http.Header
}

// receiver is an HTTP server that web hooks ask.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []heard
}

func newReceiver(t testing.TB, then http.HandlerFunc) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.got = append(r.got, heard{req.Method, req.RequestURI, string(body), req.Header})
		r.mu.Unlock()
		if then != nil {
			then(w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) heard() []heard {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]heard{}, r.got...)
}

// settled waits for the requests of hooks that are due.
func (k *kit) settled() {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	require.NoError(k.t, k.WaitForHooks(ctx))
}

func webHook(endpoint string, more m) m {
	payload := m{"endpoint": endpoint}
	for name, v := range more {
		payload[name] = v
	}
	return m{"type": "web", "runOn": []any{"insert", "update"}, "payload": payload}
}

func TestAWebHookSendsItsRequest(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	k := start(t)
	k.Freeze(moment)
	id := k.source(m{"hooks": []any{webHook(r.URL+"/a/{{{Name}}}?n={{N}}&key=secret", m{
		"method": "put", "headers": m{"X-Who": "{{Name}}", "X-Number": 7, "Authorization": "Bearer secret"},
		"body": m{"{{Name}}": "{{Name}}", "raw": "{{{Name}}}", "n": 1.5, "list": []any{"{{N}}", nil, true}, "id": "{{id}}"},
	})}})
	k.do("PUT", "/v1/data-sources/101/data", `{"Name":"Jo <b>","N":3}`).ok(200)
	k.settled()
	got := r.heard()
	require.Len(t, got, 1)
	assert.Equal(t, "PUT", got[0].method)
	assert.Equal(t, "/a/Jo%20%3Cb%3E?n=3&key=secret", got[0].uri)
	assert.Equal(t, "Jo &lt;b&gt;", got[0].header.Get("X-Who"))
	assert.Equal(t, "7", got[0].header.Get("X-Number"))
	assert.Equal(t, "Bearer secret", got[0].header.Get("Authorization"))
	assert.Equal(t, "application/json", got[0].header.Get("Content-Type"))
	assert.JSONEq(t, `{"{{Name}}":"Jo &lt;b&gt;","raw":"Jo <b>","n":1.5,"list":["3",null,true],"id":""}`, got[0].body)
	assert.Equal(t, []flipletd.HookCall{{
		Time: moment, Type: "web", RunOn: "insert", DataSourceID: id, EntryID: 5001,
		Payload: m{
			"method": "PUT", "endpoint": r.URL + "/a/Jo%20%3Cb%3E?n=…&key=…", "headers": m{"X-Who": "…", "X-Number": "…", "Authorization": "…"},
			"body": m{"{{Name}}": "Jo &lt;b&gt;", "raw": "Jo <b>", "n": json.Number("1.5"), "list": []any{"3", nil, true}, "id": ""},
		},
		URL: r.URL + "/a/{{{Name}}}", Sent: moment, Status: 418,
	}}, k.HookCalls())
	assert.Equal(t, 1, k.Count(flipletd.WebHook))
}

func TestBodiesOfWebHooks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		more              m
		method, kind, got string
	}{
		"none":                  {m{}, "POST", "", ""},
		"null":                  {m{"body": nil, "method": "GET"}, "GET", "", ""},
		"a text":                {m{"body": "Hi {{n}}"}, "POST", "text/plain; charset=utf-8", "Hi 1"},
		"a text that is JSON":   {m{"body": `{"n":{{n}}}`}, "POST", "application/json", `{"n":1}`},
		"a list":                {m{"body": []any{"{{n}}"}}, "POST", "application/json", `["1"]`},
		"a method from a row":   {m{"method": "{{verb}}"}, "PATCH", "", ""},
		"a type of its own":     {m{"body": "a=1", "headers": m{"content-type": "application/x-www-form-urlencoded"}}, "POST", "application/x-www-form-urlencoded", "a=1"},
		"headers that are null": {m{"headers": m{"X": nil}}, "POST", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, nil)
			k := start(t)
			k.source(m{"hooks": []any{webHook(r.URL+"/", c.more)}})
			k.do("PUT", "/v1/data-sources/101/data", `{"n":1,"verb":"patch"}`).ok(200)
			k.settled()
			require.Len(t, r.heard(), 1, k.HookCalls())
			got := r.heard()[0]
			assert.Equal(t, [3]string{c.method, c.kind, c.got}, [3]string{got.method, got.header.Get("Content-Type"), got.body})
		})
	}
}

// Each write is made to a source with a row 5001 {"n":1} and hooks on insert and update.
func TestWhenWebHooksRing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, path, body string
		studio             bool
		rings              int
	}{
		"an insert":                         {"PUT", "/data", `{"n":2}`, false, 1},
		"an update":                         {"PUT", "/data/5001", `{"n":2}`, false, 1},
		"an append":                         {"POST", "/data", `{"append":true,"entries":[{"n":2},{"n":3}]}`, false, 2},
		"an append that asks":               {"POST", "/data", `{"append":true,"entries":[{"n":2}],"runHooks":true}`, false, 1},
		"an append that does not want them": {"POST", "/data", `{"append":true,"entries":[{"n":2}],"runHooks":false}`, false, 0},
		"a commit":                          {"POST", "/commit", `{"append":true,"entries":[{"data":{"n":2}},{"id":5001,"data":{"n":3}}]}`, false, 0},
		"a commit with no hooks":            {"POST", "/commit", `{"append":true,"entries":[{"data":{"n":2}}],"runHooks":[]}`, false, 0},
		"a commit with insert":              {"POST", "/commit", `{"append":true,"entries":[{"data":{"n":2}},{"id":5001,"data":{"n":3}}],"runHooks":["insert"]}`, false, 1},
		"a commit with both":                {"POST", "/commit", `{"append":true,"entries":[{"data":{"n":2}},{"id":5001,"data":{"n":3}}],"runHooks":["insert","update"]}`, false, 2},
		"an update query":                   {"POST", "/data/query", `{"type":"update","where":{"n":1},"data":{"n":2}}`, false, 1},
		"a deletion":                        {"DELETE", "/data/5001", ``, false, 0},
		"a delete query":                    {"POST", "/data/query", `{"type":"delete","where":{"n":1}}`, false, 0},
		"a commit that deletes":             {"POST", "/commit", `{"entries":[],"delete":[5001],"runHooks":["insert","update"]}`, false, 0},
		"an insert in Studio":               {"PUT", "/data", `{"n":2}`, true, 0},
		"an update in Studio":               {"PUT", "/data/5001", `{"n":2}`, true, 0},
		"an append in Studio":               {"POST", "/data", `{"append":true,"entries":[{"n":2}]}`, true, 0},
		"an update query in Studio":         {"POST", "/data/query", `{"type":"update","where":{"n":1},"data":{"n":2}}`, true, 0},
		"a commit in Studio":                {"POST", "/commit", `{"append":true,"entries":[{"data":{"n":2}}]}`, true, 0},
		"a commit of a user who asks":       {"POST", "/commit", `{"append":true,"entries":[{"data":{"n":2}}],"runHooks":["insert"]}`, true, 1},
		"an insert that is refused":         {"PUT", "/data", `[`, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, nil)
			k := start(t)
			k.source(m{"entries": []any{m{"n": 1}}, "hooks": []any{webHook(r.URL+"/", m{"body": "{{n}}"})}})
			by := k
			if c.studio {
				by = k.studio()
			}
			by.do(c.method, "/v1/data-sources/101"+c.path, c.body)
			k.settled()
			assert.Len(t, r.heard(), c.rings)
			assert.Len(t, k.HookCalls(), c.rings)
		})
	}
}

func TestConditionsOfHooks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		conditions any
		rings      bool
	}{
		"none":                  {nil, true},
		"an empty list":         {[]any{}, true},
		"equality":              {[]any{m{"Status": "Published"}}, true},
		"another value":         {[]any{m{"Status": "Draft"}}, false},
		"operators":             {[]any{m{"n": m{"$gt": 1}}, m{"Status": m{"$regex": "^Pub"}}}, true},
		"all have to hold":      {[]any{m{"n": m{"$gt": 1}}, m{"n": m{"$lt": 1}}}, false},
		"one that is no list":   {m{"Status": "Published"}, true},
		"one that does not":     {m{"Status": "Draft"}, false},
		"one that is unknown":   {[]any{m{"n": m{"$foo": 1}}}, false},
		"something else":        {"Status", false},
		"a list of nonsense":    {[]any{1}, false},
		"a column that is none": {[]any{m{"Missing": "x"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, nil)
			k := start(t)
			h := webHook(r.URL+"/", nil)
			h["conditions"] = c.conditions
			k.source(m{"hooks": []any{h}})
			k.do("PUT", "/v1/data-sources/101/data", `{"Status":"Published","n":2}`).ok(200)
			k.settled()
			assert.Len(t, r.heard(), map[bool]int{true: 1}[c.rings])
		})
	}
}

func TestReceiversThatAnswerBadly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		status int
		err    string
	}{
		"nothing":   {"", 0, "the connection was closed before an answer"},
		"no HTTP":   {"secret secret secret\r\n\r\n", 0, "the answer is none that HTTP has"},
		"500":       {"HTTP/1.1 500 Secret\r\nContent-Length: 6\r\n\r\nsecret", 500, ""},
		"half":      {"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\nsecret", 200, ""},
		"too large": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("secret", 100_000) + "\r\n\r\n", 0, "none that HTTP has"},
		"very long": {"HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("secret", 1_000_000), 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if assert.NoError(t, err) {
					defer conn.Close()
					_, _ = io.WriteString(conn, c.answer) // it may be cut off
				}
			})
			k := start(t)
			k.source(m{"hooks": []any{webHook(r.URL+"/", nil)}})
			k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200)
			k.settled()
			call := k.HookCalls()[0]
			assert.Equal(t, c.status, call.Status)
			assert.Contains(t, call.Err, c.err)
			assert.NotContains(t, call.Err, "ecret")
		})
	}
	k := start(t)
	k.source(m{"hooks": []any{webHook("http://127.0.0.1:1/?key=secret", nil)}})
	k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200)
	k.settled()
	assert.Contains(t, k.HookCalls()[0].Err, "connection refused")
	assert.NotContains(t, k.HookCalls()[0].Err, "secret")
}

// hanging is a receiver that answers when the test is over.
func hanging(t *testing.T) *receiver {
	over := make(chan struct{})
	r := newReceiver(t, func(_ http.ResponseWriter, req *http.Request) {
		select {
		case <-over:
		case <-req.Context().Done():
		}
	})
	t.Cleanup(func() { close(over) })
	return r
}

func TestAHookThatHangsSlowsNoWriteAndNoOtherHook(t *testing.T) {
	t.Parallel()
	stuck, fine := hanging(t), newReceiver(t, nil)
	k := start(t)
	var hooks []any
	for range 3 {
		hooks = append(hooks, webHook(stuck.URL+"/", nil))
	}
	k.source(m{"hooks": append(hooks, webHook(fine.URL+"/", nil))})
	for range 50 {
		k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200) // none of the calls that hang has ended
	}
	assert.Eventually(t, func() bool {
		answered := 0
		for _, h := range k.HookCalls() {
			answered += h.Status / 200
		}
		return answered == 50
	}, patience, time.Millisecond)
	assert.LessOrEqual(t, len(stuck.heard()), 3, "the calls of one hook wait for each other")
	k.Close()
	ends := map[string]int{}
	for _, h := range k.HookCalls() {
		ends[h.Err]++
	}
	assert.Equal(t, map[string]int{"": 50, "the server was closed": 150}, ends)
	k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200)
	k.settled()
	assert.Equal(t, "the server was closed", k.HookCalls()[203].Err, "also afterwards")
}

func TestACallOfAHookHasADeadline(t *testing.T) {
	t.Parallel()
	stuck := hanging(t)
	k := start(t, func(cfg *flipletd.Config) { cfg.HookTimeout = 20 * time.Millisecond })
	k.source(m{"hooks": []any{webHook(stuck.URL+"/", nil)}})
	k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200)
	k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200)
	k.settled()
	for _, h := range k.HookCalls() {
		assert.Equal(t, "no answer within 20ms", h.Err)
	}
}

func TestCallsOfHooksAreBounded(t *testing.T) {
	t.Parallel()
	stuck := hanging(t)
	k := start(t)
	var hooks []any
	for range 40 {
		hooks = append(hooks, webHook(stuck.URL+"/", nil))
	}
	k.source(m{"hooks": hooks})
	rows := "[" + strings.Repeat("{},", 299) + "{}]"
	k.do("POST", "/v1/data-sources/101/data", `{"append":true,"entries":`+rows+`}`)
	refused := 0
	for _, h := range k.HookCalls() {
		if h.Err == "more than 10000 calls of hooks wait" {
			refused++
		}
	}
	assert.Equal(t, 2000, refused)
	assert.Eventually(t, func() bool { return len(stuck.heard()) == 16 }, patience, time.Millisecond)
	k.Close()
	assert.Len(t, stuck.heard(), 16, "at once")
}

// The values of headers and of a query, and what a row holds, are for the receiver only.
func TestSecretsOfHooksAreShownNowhere(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	var mu sync.Mutex
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Secret", "secret") })
	k := start(t, func(cfg *flipletd.Config) { cfg.Logger = loggerTo(&mu, &log) })
	k.source(m{"hooks": []any{
		webHook(r.URL+"/?key=secret&secret", m{"headers": m{"Authorization": "Bearer secret", "X-Row": "{{body}}"}}),
		webHook("http://127.0.0.1:1/{{{body}}}?key=secret", m{"headers": m{"Authorization": "secret{{body}}"}, "body": "{{body}}"}),
		webHook(r.URL+"/\x7f{{body}}?secret", nil),
		webHook(r.URL+"/", m{"method": "secret{{body}}"}),
	}})
	k.do("PUT", "/v1/data-sources/101/data", `{"body":"secret"}`).ok(200)
	k.settled()
	require.Len(t, r.heard(), 1)
	assert.Equal(t, "Bearer secret", r.heard()[0].header.Get("Authorization"))
	k.Dump(&log)
	for _, h := range k.HookCalls() {
		if payload, ok := h.Payload.(m); ok {
			delete(payload, "body") // the test's own to see
			payload["endpoint"], _, _ = strings.Cut(payload["endpoint"].(string), "/secret")
		}
		fmt.Fprintf(&log, "%+v\n", h)
	}
	mu.Lock()
	defer mu.Unlock()
	assert.NotContains(t, log.String(), "secret")
	assert.Contains(t, log.String(), "web hook")
}

func loggerTo(mu *sync.Mutex, b *strings.Builder) *slog.Logger {
	return slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return b.Write(p)
	}), nil))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
