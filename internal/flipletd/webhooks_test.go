package flipletd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd/boltjournal"
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
	ctx, cancel := context.WithTimeout(k.t.Context(), 30*time.Second)
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

// hostile are hooks that are refused when they are stored, and what the refusal says.
var hostile = []struct {
	payload m
	says    string
}{
	{m{"endpoint": "https://example.com/"}, `"example.com" is not allowed`},
	{m{"endpoint": "http://10.0.0.1/"}, `"10.0.0.1" is not allowed`},
	{m{"endpoint": "http://169.254.169.254/latest/meta-data"}, "not allowed"},
	{m{"endpoint": "http://0.0.0.0/"}, "not allowed"},
	{m{"endpoint": "http://[::]/"}, "not allowed"},
	{m{"endpoint": "http://[fe80::1]/"}, "not allowed"},
	{m{"endpoint": "http://[fe80::1%25lo]/"}, "IPv6"},
	{m{"endpoint": "http://[::1%25lo]/"}, "IPv6"},
	{m{"endpoint": "http://[::ffff:10.0.0.1]/"}, "not allowed"},
	{m{"endpoint": "http://[::127.0.0.1]/"}, "not allowed"},
	{m{"endpoint": "http://[127.0.0.1]/"}, "IPv6"},
	{m{"endpoint": "http://[::1/"}, "]"},
	{m{"endpoint": "http://localhost.evil.example/"}, "not allowed"},
	{m{"endpoint": "http://127.0.0.1.evil.example/"}, "not allowed"},
	{m{"endpoint": "http://evil-localhost/"}, "not allowed"},
	{m{"endpoint": "http://sub.localhost/"}, "not allowed"},
	{m{"endpoint": "http://localhost./"}, "no name and no address"},
	{m{"endpoint": "http://127.0.0.1./"}, "no name and no address"},
	{m{"endpoint": "http://2130706433/"}, "no name and no address"},
	{m{"endpoint": "http://0x7f000001/"}, "no name and no address"},
	{m{"endpoint": "http://0177.0.0.1/"}, "no name and no address"},
	{m{"endpoint": "http://127.1/"}, "no name and no address"},
	{m{"endpoint": "http://127.0.0.1@evil.example/"}, "@"},
	{m{"endpoint": "http://user:secret@127.0.0.1/"}, "@"},
	{m{"endpoint": "http://127.0.0.1\\@evil.example/"}, "@"},
	{m{"endpoint": "http://127.0.0.1\\.evil.example/"}, "no name and no address"},
	{m{"endpoint": "http://evil.example#@127.0.0.1/"}, "not allowed"},
	{m{"endpoint": "http://evil.example?@127.0.0.1/"}, "not allowed"},
	{m{"endpoint": "http://127.0.0.1:0/"}, "port"},
	{m{"endpoint": "http://127.0.0.1:99999/"}, "port"},
	{m{"endpoint": "http://127.0.0.1:80:80/"}, "port"},
	{m{"endpoint": "http://127.0.0.1:+80/"}, "port"},
	{m{"endpoint": "http://127.0.0.1:/"}, "port"},
	{m{"endpoint": "http://127.0.0.1 /"}, "no name and no address"},
	{m{"endpoint": "http://127.0.0.1\t/"}, "no name and no address"},
	{m{"endpoint": "http://127.0.0.1\r\nHost: evil.example/"}, "no name and no address"},
	{m{"endpoint": "http://127.0.0.1%2eevil.example/"}, "no name and no address"},
	{m{"endpoint": "http://１２７.0.0.1/"}, "no name and no address"},
	{m{"endpoint": "http://ⓛocalhost/"}, "no name and no address"},
	{m{"endpoint": "http:///path"}, "no name and no address"},
	{m{"endpoint": "http:127.0.0.1/"}, "must begin with http"},
	{m{"endpoint": "//127.0.0.1/"}, "must begin with http"},
	{m{"endpoint": "ftp://127.0.0.1/"}, "must begin with http"},
	{m{"endpoint": "file:///etc/passwd"}, "must begin with http"},
	{m{"endpoint": "javascript:alert(1)"}, "must begin with http"},
	{m{"endpoint": " http://127.0.0.1/"}, "must begin with http"},
	{m{"endpoint": ""}, "must begin with http"},
	{m{"endpoint": "{{url}}"}, "must begin with http"},
	{m{"endpoint": "http://{{host}}/"}, "not filled in from a row"},
	{m{"endpoint": "http://127.0.0.1{{x}}/"}, "not filled in from a row"},
	{m{"endpoint": "http://127.0.0.1:{{port}}/"}, "not filled in from a row"},
	{m{"endpoint": "http{{s}}://127.0.0.1/"}, "must begin with http"},
	{m{"endpoint": "{{#if a}}http://127.0.0.1/{{else}}http://evil.example/{{/if}}"}, "must begin with http"},
	{m{"endpoint": "http://127.0.0.1{{! x }}/"}, "not filled in from a row"},
	{m{"endpoint": "http://127.0.0.1/{{"}, "payload.endpoint: a {{ is not closed"},
	{m{"endpoint": "http://127.0.0.1/%zz"}, "no address"},
	{m{"endpoint": 5}, "payload.endpoint must be a text"},
	{m{"endpoint": []any{"http://127.0.0.1/"}}, "payload.endpoint must be a text"},
	{m{"endpoint": m{}}, "payload.endpoint must be a text"},
	{m{"endpoint": "http://127.0.0.1/", "method": "CONNECT"}, "payload.method must be GET"},
	{m{"endpoint": "http://127.0.0.1/", "method": "GET / HTTP/1.1\r\nX: y"}, "payload.method must be GET"},
	{m{"endpoint": "http://127.0.0.1/", "method": 1}, "payload.method must be a text"},
	{m{"endpoint": "http://127.0.0.1/", "headers": "X: y"}, "payload.headers must be an object"},
	{m{"endpoint": "http://127.0.0.1/", "headers": m{"X: y\r\nZ": "1"}}, "no name of a header"},
	{m{"endpoint": "http://127.0.0.1/", "headers": m{"": "1"}}, "no name of a header"},
	{m{"endpoint": "http://127.0.0.1/", "headers": m{"X": []any{"1"}}}, `the value of "X" must be a text`},
	{m{"endpoint": "http://127.0.0.1/", "headers": m{"X": "{{#if a}}"}}, "is not closed"},
	{m{"endpoint": "http://127.0.0.1/", "body": m{"a": []any{"x", "{{#each}}"}}}, `payload.body: "a": [1]: `},
	{m{"endpoint": "http://127.0.0.1/", "body": "{{formatDate when}}"}, "helpers are not known"},
	{m{"endpoint": "http://127.0.0.1/" + strings.Repeat("a", 300<<10)}, "larger than"},
}

func TestHostileWebHooksAreRefusedWhenTheyAreStored(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.source(m{"hooks": []any{webHook("http://127.0.0.1:1/", nil)}})
	before := k.state()
	for i, c := range hostile {
		hooks := []any{m{"type": "email"}, m{"type": "web", "runOn": []any{"insert"}, "payload": c.payload}}
		for path, body := range map[string]m{
			"POST /v1/data-sources": {"name": "X", "appId": 1, "hooks": hooks, "entries": []any{m{"a": 1}}}, "PUT /v1/data-sources/101": {"name": "Y", "hooks": hooks},
		} {
			raw, err := json.Marshal(body)
			require.NoError(t, err)
			method, path, _ := strings.Cut(path, " ")
			says := k.do(method, path, string(raw)).refused(400)
			assert.Contains(t, says, "hooks[1].payload", "%d: %v", i, c.payload)
			assert.Contains(t, says, c.says, "%d: %.200v", i, c.payload)
			assert.NotContains(t, says, "secret")
			assert.Less(t, len(says), 500)
		}
		_, err := k.CreateSource(m{"name": "X", "hooks": hooks})
		require.Error(t, err)
	}
	assert.Equal(t, before, k.state(), "nothing is half stored")
}

func TestHostsOfWebHooks(t *testing.T) {
	t.Parallel()
	k := start(t, func(cfg *flipletd.Config) {
		cfg.HookHosts = []string{"Hooks.Example.org", "10.0.0.1:8443", "[fd00::1]"}
	})
	for endpoint, allowed := range map[string]bool{
		"http://localhost/": true, "HTTP://LocalHost:8080": true, "https://127.0.0.1:65535/x?y#z": true, "http://127.9.9.9/": true,
		"http://[::1]:80/": true, "http://[::ffff:127.0.0.1]/": true, "http://localhost?{{a}}": true, "http://localhost/{{{a}}}": true,
		"https://hooks.example.org/a": true, "https://HOOKS.example.org:444/a": true, "https://10.0.0.1:8443/": true, "http://[fd00::1]/": true, "http://[FD00:0::1]/": true,
		"https://10.0.0.1/": false, "https://a.hooks.example.org/": false, "https://hooks.example.org.evil.example/": false, "http://[fd00::2]/": false,
	} {
		_, err := k.CreateSource(m{"name": "X", "hooks": []any{webHook(endpoint, nil)}})
		assert.Equal(t, allowed, err == nil, "%s: %v", endpoint, err)
	}
	for _, bad := range []string{"", "http://a.example", "a.example/x", "*.example", "a.example:0", "u@a.example", "a b", "2130706433", "[::1"} {
		_, err := flipletd.New(flipletd.Config{HookHosts: []string{bad}})
		assert.ErrorContains(t, err, "host of web hooks", bad)
	}
}

// Hooks without an endpoint are stored, as are those of other types whatever they hold.
func TestHooksThatPointNowhereAreStoredAndSendNothing(t *testing.T) {
	t.Parallel()
	k := start(t)
	on := []any{"insert"}
	k.source(m{"hooks": []any{
		m{"type": "web", "runOn": on}, m{"type": "web", "runOn": on, "payload": "x"}, m{"type": "web", "runOn": on, "payload": m{"url": "https://example.com"}},
		m{"type": "web", "payload": m{"endpoint": "http://127.0.0.1/"}}, m{"type": "Web", "runOn": on, "payload": m{"endpoint": "https://example.com"}}, m{"type": 5, "runOn": 5}, m{},
	}})
	k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200)
	k.settled()
	calls := k.HookCalls()
	require.Len(t, calls, 4)
	assert.Contains(t, calls[0].Err, "payload must be an object")
	assert.Contains(t, calls[1].Err, "payload must be an object")
	assert.Contains(t, calls[2].Err, "endpoint is missing")
	assert.Equal(t, flipletd.HookCall{Time: calls[3].Time, Type: "Web", RunOn: "insert", DataSourceID: 101, EntryID: 5001, Payload: m{"endpoint": "https://example.com"}}, calls[3])
}

// What a row holds moves no request to another host, adds no header, and is in no error.
func TestRowsCannotTurnAHookAround(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value, uri, err string
	}{
		"an @":            {"@evil.example/secret", "/@evil.example/secret?q=@evil.example/secret", ""},
		"two slashes":     {"/evil.example/secret", "//evil.example/secret?q=/evil.example/secret", ""},
		"a backslash":     {`\\evil.example`, `/%5C%5Cevil.example?q=\\evil.example`, ""},
		"an address":      {"http://evil.example/", "/http://evil.example/?q=http://evil.example/", ""},
		"a line":          {"x\r\nX-Secret: y", "", "makes no address"},
		"a NUL":           {"\x00secret", "", "makes no address"},
		"half an escape":  {"%zzsecret", "", "makes no address"},
		"a template":      {"{{secret}}", "/%7B%7Bsecret%7D%7D?q={{secret}}", ""},
		"something large": {strings.Repeat("secret", 300_000), "", "larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, nil)
			k := start(t)
			k.source(m{"hooks": []any{webHook(r.URL+"/{{{v}}}?q={{{v}}}", nil)}})
			raw, err := json.Marshal(m{"v": c.value})
			require.NoError(t, err)
			k.do("PUT", "/v1/data-sources/101/data", string(raw)).ok(200)
			k.settled()
			call := k.HookCalls()[0]
			if c.err != "" {
				assert.Contains(t, call.Err, c.err)
				assert.NotContains(t, call.Err, "ecret")
				assert.Empty(t, r.heard())
				return
			}
			require.Len(t, r.heard(), 1, call.Err)
			assert.Equal(t, c.uri, r.heard()[0].uri)
		})
	}
	r := newReceiver(t, nil)
	k := start(t)
	k.source(m{"hooks": []any{webHook(r.URL+"/", m{"headers": m{"X-A": "{{{v}}}"}})}})
	k.do("PUT", "/v1/data-sources/101/data", `{"v":"secret\r\nX-B: c"}`).ok(200)
	k.settled()
	assert.Empty(t, r.heard())
	assert.Equal(t, `payload.headers: the value of "X-A" has a control character in it`, k.HookCalls()[0].Err)
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	other := newReceiver(t, nil)
	r := newReceiver(t, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, other.URL, http.StatusTemporaryRedirect)
	})
	k := start(t)
	k.source(m{"hooks": []any{webHook(r.URL+"/", nil)}})
	k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200)
	k.settled()
	assert.Equal(t, 307, k.HookCalls()[0].Status)
	assert.Empty(t, other.heard())
}

// A file may come from a server that allowed more.
func TestHooksFromAFileAreCheckedBeforeTheySend(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/state"
	run := func(hosts []string, do func(*kit)) {
		journal, err := boltjournal.Open(path)
		require.NoError(t, err)
		defer journal.Close()
		k := start(t, func(cfg *flipletd.Config) { cfg.Journal, cfg.HookHosts = journal, hosts })
		defer k.Close()
		do(k)
	}
	run([]string{"example.com"}, func(k *kit) { k.source(m{"hooks": []any{webHook("https://example.com/", nil)}}) })
	run(nil, func(k *kit) {
		k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200)
		k.settled()
		call := k.HookCalls()[0]
		assert.Contains(t, call.Err, `the host "example.com" is not allowed`)
		assert.Zero(t, call.Sent)
		k.do("PUT", "/v1/data-sources/101", `{"name":"Z"}`).ok(200)
		k.do("PUT", "/v1/data-sources/101", `{"hooks":[]}`).ok(200)
	})
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
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	k.source(m{"hooks": []any{webHook("http://"+l.Addr().String()+"/?key=secret", nil)}})
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
	k := start(t, func(cfg *flipletd.Config) { cfg.HookTimeout = time.Minute })
	var hooks []any
	for range 3 {
		hooks = append(hooks, webHook(stuck.URL+"/", nil))
	}
	k.source(m{"hooks": append(hooks, webHook(fine.URL+"/", nil))})
	began := time.Now()
	for range 50 {
		k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200)
	}
	assert.Less(t, time.Since(began), 30*time.Second, "half of what one call may take")
	assert.Eventually(t, func() bool {
		answered := 0
		for _, h := range k.HookCalls() {
			answered += h.Status / 200
		}
		return answered == 50
	}, 30*time.Second, time.Millisecond)
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
	k := start(t, func(cfg *flipletd.Config) { cfg.HookTimeout = time.Minute })
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
	assert.Eventually(t, func() bool { return len(stuck.heard()) == 16 }, 30*time.Second, time.Millisecond)
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
