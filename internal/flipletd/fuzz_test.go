package flipletd_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// inhabited is a small server in which every route finds something.
func inhabited(t testing.TB) *kit {
	s, err := flipletd.New(flipletd.Config{Token: token, MaxBody: 1 << 20, MaxFile: 1 << 16, HookTransport: deafness{}})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	k := &kit{Server: s, t: t, token: token}
	k.source(m{"name": "Contacts", "entries": []any{m{"flUserId": "a", "flUserToken": "ta"}}, "definition": m{"guid": "g"}})
	k.source(m{
		"name": "Talk", "type": "conversation", "definition": m{"participants": []any{"a", "b"}},
		"hooks":   []any{m{"runOn": []any{"insert"}, "type": "push-message"}, m{"type": "operations", "runOn": []any{"insert"}, "payload": m{"x": []any{"trim"}}}, webHook("http://localhost/{{n}}", m{"headers": m{"X": "{{n}}"}, "body": m{"n": "{{{n}}}"}})},
		"entries": []any{m{"n": 1}, m{"n": "2"}},
	})
	return k
}

// judge checks what holds for every answer to everything.
func (k *kit) judge(before string, a answer) {
	k.t.Helper()
	require.Empty(k.t, k.Faults())
	require.Less(k.t, a.status, 500)
	if a.body != "" && strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		require.True(k.t, json.Valid([]byte(a.body)), a.body)
	}
	if a.status >= 400 {
		require.NotEmpty(k.t, a.body)
		require.Equal(k.t, before, k.state(), "a refused request changes nothing")
	}
	require.NoError(k.t, k.Check())
}

func (k *kit) state() string {
	var b strings.Builder
	for _, s := range k.Sources() {
		rows, err := json.Marshal(k.Rows(s.ID))
		require.NoError(k.t, err)
		fmt.Fprintf(&b, "%+v %s\n", s, rows)
	}
	return b.String()
}

func FuzzRouter(f *testing.F) {
	for _, seed := range [][3]string{
		{"GET", "/v1/data-sources?definition=%7B%22participants%22%3A%5B%22a%22%5D%7D&order=updatedAt&direction=DESC", ""},
		{"POST", "/v1/data-sources/data", `{"flUserToken":"ta","where":{"$or":[{"updatedAt":{"$gt":"2026-01-01T00:00:00.000Z"}},{"updatedAt":"2026-01-01T00:00:00.000Z","id":{"$gt":1}}]},"order":[["updatedAt","ASC"],["id","ASC"]]}`},
		{"POST", "/v1/data-sources/102/data/query", `{"where":{"n":{"$in":[1]}},"order":[["data.n","ASC"]],"join":{"J":{"dataSourceId":101,"on":{"data.n":"data.n"}}}}`},
		{"POST", "/v1/data-sources/Talk/data/query?dsn", `{"aggregate":[{"$group":{"_id":"$data.n","s":{"$sum":1}}},{"$sort":{"s":-1}}],"distinct":"n","views":["v"]}`},
		{"POST", "/v1/data-sources/102/data/query", `{"type":"delete","where":{"$filters":[{"column":"n","condition":"oneof","value":"1,2"}]},"updatedAt":{"$gt":"2020"}}`},
		{"PUT", "/v1/data-sources/102/data/5002", `{"a.b":{"c":[1e400,-0.0]},"é":"\u0000"}`},
		{"PUT", "/v1/data-sources/102", `{"definition":{"participants":["a",1,null]},"hooks":[{"type":"operations","runOn":"insert","payload":{"a":"{{b}}"}}],"accessRules":[{"type":"select","allow":{"tokens":[1]}}]}`},
		{"PUT", "/v1/data-sources/101", `{"hooks":[{"type":"web","runOn":["update"],"conditions":{"n":1},"payload":{"method":"PUT","endpoint":"http://[::1]:80/{{#each a}}{{b}}{{/each}}?{{c}}","headers":{"X":"{{{d}}}"},"body":["{{e}}"]}}]}`},
		{"POST", "/v1/data-sources", `{"appId":1,"name":"\uD83D\uDE00","entries":[{"id":9007199254740993}]}`},
		{"DELETE", "/v1/data-sources/102/data/5002", ""}, {"GET", "/v1/data-sources/102/indexes/n,n.a", ""},
		{"POST", "/v1/data-sources/101/versions/1/restore", ""}, {"GET", "/v1/media/files/1/contents/a?encryptionKey=%00", ""},
		{"POST", "/v1/session/authorize/dataSource", `{"dataSourceId":101,"where":{"flUserId":"a"}}`},
		{"PUT", "/v1/widget-instances/com.fliplet.chat?appId=1", `{"settings":{}}`}, {"POST", "/v1/auth/login", "email=a&password=b"},
		{"POST", "/v1/apps/1/notifications", `{"where":{"data":{"$contains":{"a":1}}},"scope":[{"a":1}],"limit":1,"order":"id"}`},
		{"PUT", "/v1/apps/1/notifications", `{"data":{"a":1},"scope":{"a":1},"orderAt":1577836800,"status":"published"}`},
		{"PUT", "/v1/media/apps/1/accessRules", `{"accessRules":[{"type":["read"],"allow":"all"}]}`},
		{"POST", "/v1/media/files/aggregate", `{"files":[901,"x"],"attributes":["name"]}`}, {"GET", "/v1/media/zip?files=901&folders=801", ""},
		{"POST", "/v1/apps/1/publish", `{"release":{"type":"silent"}}`}, {"PUT", "/v1/apps/1", `{"name":"a","settings":{}}`},
		{"POST", "/v1/communicate/email/batch", `{"emails":[{"to":[{"email":"a"}]}]}`}, {"POST", "/v1/session/authorize/flipletLogin", `{"email":"a","password":"b"}`},
		{"POST", "/v1/auth/credential-types", `{"email":"a"}`}, {"PUT", "/v1/user", `{"currentPassword":"a","newPassword":"b"}`}, {"POST", "/v1/auth/reset/1", `{"email":"a","password":"b"}`},
		{"PUT", "/v1/media/organizations/1/accessRules", `{"accessRules":[{}]}`}, {"GET", "/v1/tokens?order=email&direction=x", ""},
		{"DELETE", "/v1/organizations/1/tokens/40001", ""}, {"PUT", "/v1/widget-instances/701", `{"a":1}`}, {"GET", "/organizations/1/files/901/x.png", ""},
		{"GET", "/v1/apps/1/tokens?type=appToken&order=id&direction=desc", ""}, {"POST", "/v1/session/providers/copy", `{"source_session_auth_token":"eu--test-token"}`},
	} {
		f.Add(seed[0], seed[1], seed[2], true)
		f.Add(seed[0], seed[1], seed[2], false)
	}
	f.Fuzz(func(t *testing.T, method, path, body string, studio bool) {
		if !strings.HasPrefix(path, "/") {
			path = "/" + path
		}
		u, err := url.ParseRequestURI(path)
		if err != nil {
			t.Skip("no request has such a path")
		}
		k := inhabited(t)
		if studio {
			k = k.studio()
		}
		before := k.state()
		r := (&http.Request{Method: method, URL: u, Header: http.Header{"Auth-Token": {k.token}}, Host: "x"}).WithContext(t.Context())
		if strings.HasPrefix(body, "email=") {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r.Body = http.NoBody
		if body != "" {
			r.Body = readCloser{strings.NewReader(body)}
		}
		k.judge(before, k.send(r))
	})
}

// deafness is a transport that reaches nobody.
type deafness struct{}

func (deafness) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, flipletd.HookError("nobody is there")
}

// onlyHere is a transport that looks where requests would go.
type onlyHere struct{ t *testing.T }

func (o onlyHere) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.URL.Hostname()
	if ip := net.ParseIP(host); !strings.EqualFold(host, "localhost") && (ip == nil || !ip.IsLoopback()) {
		o.t.Errorf("a hook goes to %q", r.URL.Host)
	}
	if r.URL.User != nil || r.Host != "" && r.Host != r.URL.Host || r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		o.t.Errorf("a hook goes to %q as %q", r.URL, r.Host)
	}
	return nil, flipletd.HookError("nobody is there")
}

// FuzzWebHook stores hooks and rows of any kind. What is stored may send to this machine only.
func FuzzWebHook(f *testing.F) {
	for _, endpoint := range []string{"http://localhost/{{{v}}}", "http://127.0.0.1:80{{v}}", "http://[::1]/?{{v}}", "https://u@localhost\\@x", "http://localhost#{{#if v}}@{{/if}}"} {
		f.Add(endpoint, "{{method}}", "X-A", "{{{v}}}", `{"a":["{{#each v}}{{@key}}{{/each}}"]}`, "@evil.example/\r\n")
	}
	f.Fuzz(func(t *testing.T, endpoint, method, name, value, body, v string) {
		s, err := flipletd.New(flipletd.Config{Token: token, HookTransport: onlyHere{t}})
		require.NoError(t, err)
		k := &kit{Server: s, t: t, token: token}
		defer k.Close()
		payload := m{"endpoint": endpoint, "method": method, "headers": m{name: value}}
		if json.Valid([]byte(body)) {
			payload["body"] = json.RawMessage(body)
		} else {
			payload["body"] = body
		}
		raw, err := json.Marshal(m{"name": "X", "appId": 1, "hooks": []any{m{"type": "web", "runOn": []any{"insert"}, "payload": payload}}})
		require.NoError(t, err)
		before := k.state()
		a := k.do("POST", "/v1/data-sources", string(raw))
		k.judge(before, a)
		if a.status != 201 {
			return
		}
		row, err := json.Marshal(m{"v": v, "method": v})
		require.NoError(t, err)
		k.do("PUT", "/v1/data-sources/101/data", string(row)).ok(200)
		k.settled()
		require.NotEmpty(t, k.HookCalls()[0].Err)
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func FuzzMultipart(f *testing.F) {
	const ct = "multipart/form-data; boundary=B"
	f.Add(ct, "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n[1]\r\n--B\r\nContent-Disposition: form-data; name=\"f[]\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\nx\r\n--B--\r\n", false)
	f.Add(ct, "--B\r\nContent-Disposition: form-data; name=\"_flSchema\"\r\n\r\n{\"f\":{\"append\":false,\"encryptionKey\":\"k\",\"name\":\"x\"}}\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.gif\"\r\n\r\nGIF89a\x01\x00\x01\x00\r\n--B--\r\n", true)
	f.Add("multipart/form-data; boundary=\"\"", "--\r\n\r\n", true)
	f.Add("multipart/form-data", "", false)
	f.Fuzz(func(t *testing.T, contentType, body string, media bool) {
		k := inhabited(t)
		method, path := "PUT", "/v1/data-sources/102/data/5002"
		if media {
			method, path = "POST", "/v1/media/files"
		}
		for _, c := range contentType {
			if c < ' ' || c > '~' {
				t.Skip("no header has such a value")
			}
		}
		before := k.state()
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Auth-token", token)
		r.Header.Set("Content-Type", contentType)
		k.judge(before, k.send(r))
	})
}

func FuzzCommit(f *testing.F) {
	for _, body := range []string{
		`{"entries":[{"id":5002,"data":{"a":1},"order":1},{"clientId":"t","data":{"b":null}}],"append":true,"extend":true,"runHooks":["insert","update"]}`,
		`{"entries":[],"delete":[5002,5002,"5003",1]}`, `{"entries":[{"id":5002},{"id":5002,"order":-7}],"normalizeOrder":{"gap":10},"columns":["x"]}`,
		`{"entries":[{"data":{"flUserToken":"x","":{"deep":[[[]]]}}}],"returnEntries":false}`, `{"delete":[]}`, `{"entries":[{"id":5001,"data":{}}]}`,
	} {
		f.Add(body, "102")
		f.Add(body, "Contacts")
	}
	f.Fuzz(func(t *testing.T, body, source string) {
		k := inhabited(t)
		before := k.state()
		was := map[int64]bool{}
		for _, id := range append(k.live(101), k.live(102)...) {
			was[id] = true
		}
		a := k.do("POST", "/v1/data-sources/"+url.PathEscape(source)+"/commit", body)
		k.judge(before, a)
		if a.status >= 400 {
			return
		}
		// Nothing is lost that the documented rules do not lose.
		var sent map[string]any // not a struct: its names would match in any case
		_ = json.Unmarshal([]byte(body), &sent)
		if sent["append"] == true && sent["delete"] == nil {
			now := map[int64]bool{}
			for _, id := range append(k.live(101), k.live(102)...) {
				now[id] = true
			}
			for id := range was {
				require.True(t, now[id], "append lost entry %d", id)
			}
		}
	})
}
