package flipletlocal

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// browsed is a running server as a browser, or a program, talks to it.
type browsed struct {
	t     *testing.T
	addr  string // host and port
	token string
	log   *bytes.Buffer // read it after the end
}

// open runs the program, with a token that it makes up, until the test ends.
func open(t *testing.T, cfg config) *browsed {
	t.Helper()
	ready, line := io.Pipe()
	b := &browsed{t: t, log: &bytes.Buffer{}}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, cfg, line, slog.New(slog.NewTextHandler(b.log, nil))) }()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-ended)
		assert.NotContains(t, b.log.String(), b.token)
	})
	var text [200]byte
	n, err := ready.Read(text[:])
	require.NoError(t, err)
	words := strings.Fields(string(text[:n]))
	require.GreaterOrEqual(t, len(words), 8, string(text[:n]))
	b.addr, b.token = strings.TrimPrefix(words[1], "http://"), words[3]
	return b
}

// request is one request; h changes headers, of which Host is one.
func (b *browsed) request(method, path, body string, h map[string]string) (int, http.Header, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+b.addr+path, strings.NewReader(body))
	require.NoError(b.t, err)
	for name, value := range h {
		if name == "Host" {
			r.Host = strings.ReplaceAll(value, "PORT", b.port())
			continue
		}
		r.Header.Set(name, strings.NewReplacer("ADDR", b.addr, "PORT", b.port()).Replace(value))
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(r)
	require.NoError(b.t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return res.StatusCode, res.Header, string(answer)
}

func (b *browsed) port() string {
	_, port, err := net.SplitHostPort(b.addr)
	require.NoError(b.t, err)
	return port
}

// sources are the names of what is stored, asked for as a program does.
func (b *browsed) sources() []string {
	b.t.Helper()
	status, _, body := b.request("GET", "/v1/data-sources", "", map[string]string{"Auth-token": b.token})
	require.Equal(b.t, 200, status, body)
	var list struct{ DataSources []struct{ Name string } }
	require.NoError(b.t, json.Unmarshal([]byte(body), &list))
	names := []string{}
	for _, s := range list.DataSources {
		names = append(names, s.Name)
	}
	return names
}

// asked is what a page may try: everything that can be read, and writes that need no
// preflight, with the token in all places where it can be.
var asked = []struct{ name, method, path, contentType, body string }{
	{"the page", "GET", "/", "", ""},
	{"what the page fetches", "GET", "/live.json", "", ""},
	{"the head of the page", "HEAD", "/", "", ""},
	{"data sources", "GET", "/v1/data-sources?auth_token=TOKEN", "", ""},
	{"something that does not exist", "GET", "/nothing", "", ""},
	{"a form", "POST", "/v1/data-sources?auth_token=TOKEN", "application/x-www-form-urlencoded", "appId=1&name=planted"},
	{"a text that is JSON", "POST", "/v1/data-sources?auth_token=TOKEN", "text/plain", `{"appId":1,"name":"planted"}`},
	{"a request with a header", "POST", "/v1/data-sources", "application/json", `{"appId":1,"name":"planted"}`},
	{"a deletion", "DELETE", "/v1/data-sources/101?auth_token=TOKEN", "", ""},
	{"a preflight", "OPTIONS", "/v1/data-sources", "", ""},
	{"a login", "POST", "/v1/auth/login", "application/x-www-form-urlencoded", "email=a&password=b"},
}

// refusesAll tries everything with these headers. The token is where a browser sends it for
// anybody.
func (b *browsed) refusesAll(h map[string]string) {
	b.t.Helper()
	before := b.sources()
	for _, a := range asked {
		all := map[string]string{"Cookie": "auth_token=" + b.token}
		if a.contentType != "" {
			all["Content-Type"] = a.contentType
		}
		for name, value := range h {
			all[name] = value
		}
		status, header, body := b.request(a.method, strings.ReplaceAll(a.path, "TOKEN", b.token), a.body, all)
		assert.Equal(b.t, 403, status, "%s with %v", a.name, h)
		assert.NotContains(b.t, body, "Demo", "%s with %v", a.name, h)
		assert.NotContains(b.t, body, b.token)
		assert.Equal(b.t, "nosniff", header.Get("X-Content-Type-Options"))
		for name := range header {
			assert.False(b.t, strings.HasPrefix(name, "Access-Control-"), "%s grants %s", a.name, name)
		}
	}
	assert.Equal(b.t, before, b.sources(), "something was written with %v", h)
}

func TestOtherHostsAreRefused(t *testing.T) {
	t.Parallel()
	b := open(t, config{addr: "127.0.0.1:0", seedDemo: true, token: "eu--canary"})
	for _, host := range []string{
		"evil.example", "evil.example:PORT", "127.0.0.1.evil.example:PORT", "localhost.evil.example:PORT", "evil-localhost:PORT",
		"localhost.:PORT", "sub.localhost:PORT", "127.0.0.1", "127.0.0.1:1", "localhost", "0.0.0.0:PORT", "10.0.0.1:PORT", "127.1:PORT", "2130706433:PORT",
		"[::1]:PORT", "127.0.0.1:PORT.evil.example",
	} {
		b.refusesAll(map[string]string{"Host": host})
		b.refusesAll(map[string]string{"Host": host, "Auth-token": b.token, "Origin": "http://" + host})
		b.refusesAll(map[string]string{"Host": host, "Auth-token": b.token, "Origin": "http://elsewhere.example"})
		b.refusesAll(map[string]string{"Host": host, "Origin": "http://" + host, "Sec-Fetch-Site": "same-origin"})
	}
	_, _, body := b.request("GET", "/", "", map[string]string{"Host": "evil.example"})
	assert.Contains(t, body, "-host", "the answer says what to do")
	status, _, _ := b.request("GET", "/", "", map[string]string{"Host": "evil.example", "X-Forwarded-Host": "localhost:PORT", "Forwarded": "host=localhost:PORT"})
	assert.Equal(t, 403, status, "what a proxy says does not count")
}

func TestPagesOfOtherOriginsCanNeitherReadNorWrite(t *testing.T) {
	t.Parallel()
	b := open(t, config{addr: "127.0.0.1:0", seedDemo: true, token: "eu--canary"})
	for _, origin := range []string{
		"http://evil.example", "https://evil.example", "null", "file://", "http://127.0.0.1", "http://127.0.0.1:1", "http://localhost:PORT",
		"http://ADDR.evil.example", "http://evil.example@ADDR", "http://evil.example/http://ADDR", "ftp://ADDR", "//ADDR", "ADDR", "http://ADDR, http://evil.example",
		"chrome-extension://abc", "http://ADDR/",
	} {
		b.refusesAll(map[string]string{"Origin": origin})
		b.refusesAll(map[string]string{"Origin": origin, "Authorization": "Basic abc"})
		b.refusesAll(map[string]string{"Origin": origin, "Authorization": "Bearer"})
		b.refusesAll(map[string]string{"Origin": origin, "Sec-Fetch-Site": "same-origin"})
	}
	for _, site := range []string{"cross-site", "same-site", "Cross-Site", "something new"} {
		for _, mode := range []string{"no-cors", "cors", "navigate", "websocket"} {
			b.refusesAll(map[string]string{"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode})
		}
		b.refusesAll(map[string]string{"Sec-Fetch-Site": site, "Origin": "http://ADDR"})
	}
	for _, referrer := range []string{"http://evil.example/", "http://evil.example/http://ADDR/", "http://ADDR.evil.example/", "http://ADDR@evil.example/", "http://127.0.0.1:1/", ":"} {
		b.refusesAll(map[string]string{"Referer": referrer})
	}
}

func TestOwnPageAndProgramsAreServed(t *testing.T) {
	t.Parallel()
	b := open(t, config{addr: "127.0.0.1:0", seedDemo: true, token: "eu--canary"})
	for name, h := range map[string]map[string]string{
		"a program":                 {},
		"a name of this machine":    {"Host": "localhost:PORT"},
		"in capitals":               {"Host": "LocalHost:PORT", "Origin": "http://localhost:PORT"},
		"a person":                  {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
		"the page":                  {"Sec-Fetch-Site": "same-origin", "Referer": "http://ADDR/"},
		"the page, when it writes":  {"Sec-Fetch-Site": "same-origin", "Origin": "http://ADDR", "Referer": "http://ADDR/"},
		"the page under a name":     {"Host": "localhost:PORT", "Origin": "http://localhost:PORT"},
		"a browser of earlier days": {"Origin": "http://ADDR"},
	} {
		for path, want := range map[string]string{"/": "Local Fliplet", "/live.json": "Demo conversation", "/v1/data-sources": "Demo conversation"} {
			all := map[string]string{"Auth-token": b.token}
			for k, v := range h {
				all[k] = v
			}
			status, header, body := b.request("GET", path, "", all)
			assert.Equal(t, 200, status, "%s: %s", name, path)
			assert.Contains(t, body, want, "%s: %s", name, path)
			assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
			assert.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"))
			assert.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
			assert.Empty(t, header.Get("Access-Control-Allow-Origin"))
		}
		all := map[string]string{"Auth-token": b.token, "Content-Type": "application/json"}
		for k, v := range h {
			all[k] = v
		}
		status, _, body := b.request("POST", "/v1/data-sources", `{"appId":1,"name":"Mine"}`, all)
		assert.Equal(t, 201, status, "%s: %s", name, body)
	}
	status, _, _ := b.request("GET", "/v1/data-sources", "", map[string]string{"Origin": "http://ADDR"})
	assert.Equal(t, 401, status, "an origin is no token")
}

func TestHostsThatAFlagNamesAreServed(t *testing.T) {
	t.Parallel()
	b := open(t, config{addr: "127.0.0.1:0", token: "eu--canary", hosts: []string{"Fliplet.test", "other.test:77", "[fd00::1]:77"}})
	for host, want := range map[string]int{
		"fliplet.test": 200, "fliplet.test:1": 200, "FLIPLET.TEST:PORT": 200, "other.test:77": 200, "[fd00::1]:77": 200,
		"other.test": 403, "other.test:PORT": 403, "a.fliplet.test": 403, "fliplet.test.evil.example": 403, "fliplet.test.": 403,
	} {
		status, _, _ := b.request("GET", "/", "", map[string]string{"Host": host})
		assert.Equal(t, want, status, host)
		status, _, _ = b.request("GET", "/", "", map[string]string{"Host": host, "Origin": "https://" + host})
		assert.Equal(t, want, status, host)
		status, _, _ = b.request("GET", "/", "", map[string]string{"Host": host, "Origin": "http://evil.example"})
		assert.Equal(t, 403, status, host)
	}
	named := open(t, config{addr: "localhost:0", token: "eu--canary"})
	status, _, _ := named.request("GET", "/", "", map[string]string{"Host": "localhost:PORT"})
	assert.Equal(t, 200, status, "the name in -addr")
	everywhere := open(t, config{addr: "0.0.0.0:0", token: "eu--canary"})
	status, _, _ = everywhere.request("GET", "/", "", nil)
	assert.Equal(t, 200, status, "the address that the connection came in on")
	status, _, _ = everywhere.request("GET", "/", "", map[string]string{"Host": "evil.example:PORT"})
	assert.Equal(t, 403, status)
}

func TestStoredFilesAreNeverShownAsPages(t *testing.T) {
	t.Parallel()
	b := open(t, config{addr: "127.0.0.1:0", token: "eu--canary"})
	for _, f := range []struct{ name, contentType string }{
		{"page.html", "text/html"}, {"page.html", ""}, {"page.HTM", "TEXT/HTML; charset=utf-8"}, {"drawing.svg", "image/svg+xml"},
		{"page.xhtml", "application/xhtml+xml"}, {"feed.xml", "text/xml"}, {"photo.png", "text/html"}, {"photo.png", "image/png"},
		{"paper.pdf", "application/pdf"}, {"script.txt", "text/javascript"}, {"odd", "anything/else"}, {"parts.txt", "multipart/x-mixed-replace"},
		{"a \"quote\"; name=é.html", "text/html"},
	} {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		h := textproto.MIMEHeader{"Content-Disposition": {multipart.FileContentDisposition("files[0]", f.name)}}
		if f.contentType != "" {
			h.Set("Content-Type", f.contentType)
		}
		part, err := w.CreatePart(h)
		require.NoError(t, err)
		_, err = io.WriteString(part, markup)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		status, _, body := b.request("POST", "/v1/media/files?appId=1", form.String(), map[string]string{"Auth-token": b.token, "Content-Type": w.FormDataContentType()})
		require.Equal(t, 201, status, body)
		var made struct{ Files []struct{ URL string } }
		require.NoError(t, json.Unmarshal([]byte(body), &made))
		path := strings.TrimPrefix(made.Files[0].URL, "http://"+b.addr)
		short, _, _ := strings.Cut(path, "/contents")
		for _, path := range []string{path, short + "/contents", short + "/contents/other.html"} {
			for _, method := range []string{"GET", "HEAD"} {
				status, header, body := b.request(method, path, "", map[string]string{"Auth-token": b.token})
				assert.Equal(t, 200, status, body)
				assert.Regexp(t, `^attachment(;|$)`, header.Get("Content-Disposition"), f)
				assert.Equal(t, []string{"nosniff"}, header.Values("X-Content-Type-Options"), f)
				assert.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'; sandbox", f)
				assert.NotContains(t, header.Get("Content-Security-Policy"), "allow-", f)
			}
		}
		status, _, _ = b.request("GET", path+"?auth_token="+b.token, "", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"})
		assert.Equal(t, 403, status, "as an image of another page")
	}
}

// A header with a token is a proof that a page cannot have by itself.
func TestPagesOfOtherOriginsAskWithATokenInAHeader(t *testing.T) {
	t.Parallel()
	b := open(t, config{addr: "127.0.0.1:0", seedDemo: true, token: "eu--canary"})
	foreign := map[string]string{"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Referer": "https://app.example/"}
	with := func(more ...string) map[string]string {
		all := maps.Clone(foreign)
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	for _, header := range []string{"Auth-token", "Authorization"} {
		value := b.token
		if header == "Authorization" {
			value = "Bearer " + b.token
		}
		for _, asked := range []string{header, strings.ToLower(header) + ",cache-control,content-type,x-app-locales,x-device-platform,x-device-tracking", "x-requested-with, x-of-the-page," + header} {
			status, got, _ := b.request("OPTIONS", "/v1/data-sources", "", with("Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", asked, "Access-Control-Request-Private-Network", "true"))
			assert.Equal(t, 204, status)
			assert.Equal(t, "https://app.example", got.Get("Access-Control-Allow-Origin"), "* is for requests without cookies")
			for name := range strings.SplitSeq(asked, ",") {
				assert.Contains(t, strings.ToLower(got.Get("Access-Control-Allow-Headers")), strings.ToLower(name))
			}
			assert.Equal(t, "true", got.Get("Access-Control-Allow-Credentials"))
			assert.Contains(t, got.Get("Access-Control-Allow-Methods"), "PUT")
			assert.Equal(t, "true", got.Get("Access-Control-Allow-Private-Network"))
		}
		status, got, body := b.request("GET", "/v1/data-sources", "", with(header, value))
		assert.Equal(t, 200, status)
		assert.Equal(t, "https://app.example", got.Get("Access-Control-Allow-Origin"), "* is for requests without cookies")
		assert.Equal(t, "true", got.Get("Access-Control-Allow-Credentials"))
		assert.Equal(t, "Origin", got.Get("Vary"))
		assert.Contains(t, body, "Demo conversation")
		status, _, _ = b.request("POST", "/v1/data-sources", `{"appId":1,"name":"made by a page"}`, with(header, value, "Content-Type", "application/json"))
		assert.Equal(t, 201, status)
		status, got, body = b.request("GET", "/v1/data-sources", "", with(header, "eu--guessed", "Cookie", "auth_token="+b.token))
		if header == "Auth-token" {
			assert.Equal(t, 401, status, "the page may read why")
			assert.Equal(t, "https://app.example", got.Get("Access-Control-Allow-Origin"), "* is for requests without cookies")
		}
		assert.NotContains(t, body, "Demo")
		for _, path := range []string{"/", "/live.json", "/nothing"} {
			status, got, body = b.request("GET", path, "", with(header, value))
			assert.Equal(t, 403, status, "the server's own page is for nobody else")
			assert.Empty(t, got.Get("Access-Control-Allow-Origin"))
			assert.NotContains(t, body, "Demo")
		}
	}
	// A cookie is nobody's proof, also after a preflight that allowed a token.
	for _, more := range [][]string{{}, {"Authorization", "Basic eA=="}, {"Authorization", "Bearer"}, {"Auth-token", ""}, {"X-Requested-With", "XMLHttpRequest"}} {
		for _, method := range []string{"GET", "PUT", "POST"} {
			status, got, body := b.request(method, "/v1/data-sources", "", with(append(more, "Cookie", "auth_token="+b.token)...))
			assert.Equal(t, 403, status, more)
			assert.Empty(t, got.Get("Access-Control-Allow-Origin"))
			assert.Empty(t, got.Get("Access-Control-Allow-Credentials"))
			assert.NotContains(t, body, "Demo")
		}
	}
	for _, asked := range []string{"", "content-type", "x-auth-token", "x-requested-with"} {
		status, got, _ := b.request("OPTIONS", "/v1/data-sources", "", with("Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", asked))
		assert.Equal(t, 403, status)
		assert.Empty(t, got.Get("Access-Control-Allow-Origin"))
		assert.Empty(t, got.Get("Access-Control-Allow-Credentials"))
	}
}
