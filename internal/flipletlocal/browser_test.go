package flipletlocal

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// chromium is the browser's path; without one the test is skipped and says so.
func chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("there is no Chromium: that the page works in a browser was NOT checked")
	return ""
}

// TestPageInChromium opens the page in a browser. While it is open a conversation
// is made and a request comes in: they must appear without a reload, and markup in
// their names must do nothing.
func TestPageInChromium(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it starts a browser")
	path := chromium(t)
	s := newSite(t)
	var once sync.Once
	fetched := make(chan struct{}) // closed at the second fetch: the first has been shown
	fetches := 0
	server := httptest.NewServer(newGuard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/live.json" {
			once.Do(func() {
				s.add(m{"name": "Born later " + markup, "type": "conversation", "definition": m{"participants": []any{"u-bob"}}})
				s.do("GET", "/v1/<script>document.title='owned'</script>?later=1", "")
			})
			if fetches++; fetches == 2 { // one at a time: each fetch waits for the one before
				close(fetched)
			}
		}
		s.page.ServeHTTP(w, r)
	}), nil, slog.New(slog.DiscardHandler)))
	defer server.Close()

	// Not t.TempDir: helpers of the browser may still write while it ends.
	profile, err := os.MkdirTemp("", "fliplet-local-chromium-")
	require.NoError(t, err)
	defer os.RemoveAll(profile)
	output := s.browse(path, profile, "--virtual-time-budget=5000", "--dump-dom", server.URL)
	select {
	case <-fetched:
	default:
		t.Fatalf("the page did not fetch twice:\n%s", output)
	}
	assert.Contains(t, output, "<title>Local Fliplet</title>", "no markup was run")
	assert.NotContains(t, output, "<img")
	assert.Contains(t, output, "Born later &lt;img")
	assert.Contains(t, output, "?later=1")
	assert.Contains(t, output, `role="status">live<`)
	assert.Equal(t, 5, strings.Count(output, "<section"), "the page is there once")
}

// foreign is a page of another origin that even knows the token, but sends it where every
// page's requests could have it. It tries to read and to write, and then says so in its
// title.
const foreign = `<!DOCTYPE html><title>trying</title><img src="TARGET/"><img src="TARGET/live.json"><script src="TARGET/live.json"></script>
<iframe src="TARGET/"></iframe><iframe name="answer"></iframe>
<form method="POST" target="answer" action="TARGET/v1/data-sources?auth_token=TOKEN"><input name="appId" value="1"><input name="name" value="planted"></form>
<pre id="read"></pre>
<script>
(async () => {
  document.forms[0].submit();
  const read = document.getElementById("read");
  const json = '{"appId":1,"name":"planted"}';
  for (const [path, options] of [
    ["/", {}], ["/live.json", {}], ["/live.json", { mode: "no-cors" }], ["/v1/data-sources?auth_token=TOKEN", {}],
    ["/v1/data-sources?auth_token=TOKEN", { method: "POST", mode: "no-cors", body: json }],
    ["/v1/data-sources", { method: "POST", body: json, headers: { "Content-Type": "application/json" } }],
    ["/v1/data-sources", { method: "PUT", body: json, credentials: "include" }],
    ["/v1/data-sources/101?auth_token=TOKEN", { method: "DELETE" }],
  ]) {
    try {
      read.textContent += await (await fetch("TARGET" + path, options)).text();
    } catch {}
  }
  document.title = "tried";
})();
</script>`

// app is a page of another origin that signs in with a token, as Fliplet's apps do: it
// reads, writes and reads again.
const app = `<!DOCTYPE html><title>trying</title><pre id="read"></pre>
<script>
(async () => {
  const headers = { "Auth-token": "TOKEN", "Content-Type": "application/json", "X-Requested-With": "XMLHttpRequest" };
  const call = async (method, path, body) => (await fetch("TARGET/v1/" + path, { method, headers, credentials: "include", body: body && JSON.stringify(body) })).json();
  const list = (await call("GET", "data-sources")).dataSources;
  const id = list.find((d) => d.name === "People").id;
  const row = await call("PUT", "data-sources/" + id + "/data", { Note: "written by a page" });
  await call("PUT", "data-sources/" + id + "/data/" + row.id, { Note: "changed by a page" });
  const found = await call("POST", "data-sources/" + id + "/data/query", { where: { Note: "changed by a page" } });
  document.getElementById("read").textContent = JSON.stringify(found.entries.map((e) => e.data.Note));
  document.title = "done";
})().catch((err) => { document.getElementById("read").textContent = String(err); });
</script>`

// TestForeignPageInChromium opens that page, and then the local Fliplet under a name
// that somebody else lets point to this machine.
func TestForeignPageInChromium(t *testing.T) {
	t.Parallel()
	longtest.Only(t, "it starts a browser")
	path := chromium(t)
	s := newSite(t)
	var mu sync.Mutex
	var refused []string
	guarded := newGuard(s.page, nil, slog.New(slog.DiscardHandler))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		guarded.ServeHTTP(answer, r)
		mu.Lock()
		if answer.Code == http.StatusForbidden {
			refused = append(refused, r.Method+" "+r.URL.Path)
		}
		mu.Unlock()
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	defer server.Close()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = strings.NewReplacer("TARGET", server.URL, "TOKEN", "eu--canary-token").WriteString(w, foreign)
	}))
	defer elsewhere.Close()
	profile, err := os.MkdirTemp("", "fliplet-local-chromium-")
	require.NoError(t, err)
	defer os.RemoveAll(profile)
	before := s.Sources()

	output := s.browse(path, profile, "--virtual-time-budget=5000", "--dump-dom", elsewhere.URL)
	assert.Contains(t, output, "<title>tried</title>")
	assert.NotContains(t, output, "Jane Doe")
	mu.Lock()
	for _, want := range []string{"GET /", "GET /live.json", "GET /v1/data-sources", "POST /v1/data-sources"} {
		assert.Contains(t, refused, want, "the browser sent it")
	}
	mu.Unlock()
	assert.Empty(t, s.Requests(), "nothing got through")
	assert.Equal(t, before, s.Sources())

	another := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = strings.NewReplacer("TARGET", server.URL, "TOKEN", "eu--canary-token").WriteString(w, app)
	}))
	defer another.Close()
	output = s.browse(path, profile, "--virtual-time-budget=5000", "--dump-dom", another.URL)
	assert.Contains(t, output, "<title>done</title>", "%s", output)
	assert.Contains(t, output, `["changed by a page"]`)

	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	output = s.browse(path, profile, "--host-resolver-rules=MAP evil.example 127.0.0.1", "--dump-dom", "http://evil.example:"+port+"/")
	assert.Contains(t, output, "not one of this server")
	assert.NotContains(t, output, "Jane Doe")
}

// quiet makes a browser ask nobody anything by itself.
func quiet(profile string) []string {
	return []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir=" + profile,
	}
}

func (s *site) browse(path, profile string, args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append(quiet(profile), args...)...)
	cmd.Env = append(os.Environ(), "HOME="+profile)
	cmd.WaitDelay = 10 * time.Second
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(s.t, cmd.Run(), errs.String())
	return out.String()
}
