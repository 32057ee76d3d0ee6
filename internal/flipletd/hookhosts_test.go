package flipletd_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd/boltjournal"
)

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

// A name can have any address, also one that was not its own a moment ago.
func TestConnectionsOfHooksStayOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"192.0.2.1", "[2001:db8::1]", "0.0.0.0", "[::ffff:192.0.2.1]"} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+host+"/", nil)
		require.NoError(t, err)
		res, err := flipletd.LocalTransport().RoundTrip(req)
		if err == nil {
			res.Body.Close()
		}
		require.ErrorContains(t, err, "an address that is not this machine's", host)
	}
	r := newReceiver(t, nil)
	k := start(t)
	k.source(m{"hooks": []any{webHook(strings.Replace(r.URL, "127.0.0.1", "localhost", 1)+"/", nil)}})
	k.do("PUT", "/v1/data-sources/101/data", `{}`).ok(200)
	k.settled()
	assert.Len(t, r.heard(), 1, "by its name")
}
