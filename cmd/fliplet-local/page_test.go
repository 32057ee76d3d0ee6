package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

type m = map[string]any

// site is a server with its page, and rows whose names try everything.
type site struct {
	*flipletd.Server
	page http.Handler
	t    *testing.T
}

const markup = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`

func newSite(t *testing.T) *site {
	t.Helper()
	core, err := flipletd.New(flipletd.Config{Token: "eu--canary-token"})
	require.NoError(t, err)
	t.Cleanup(core.Close)
	s := &site{Server: core, page: newPage(core, "http://127.0.0.1:1"), t: t}
	s.add(m{"name": "People", "entries": []any{
		m{"flUserId": "u-jane", "Full name": "Jane Doe", "Email": "jane@example.org", "flUserToken": "canary-chat"},
		m{"flUserId": "u-bob", "first name": "Bob", "LAST NAME": "Roe"},
		m{"flUserId": "u-eve", "Name": markup},
		m{"flUserId": "u-odd", "Name": 7, "Email": "odd@example.org"},
	}})
	s.add(m{
		"name": "Tea " + markup, "type": "conversation", "entries": []any{m{"body": "canary-body"}, m{"body": "canary-body"}},
		"definition": m{"participants": []any{"u-jane", "u-bob", "u-eve", "u-odd", "u-nobody", 5}, "encryptionKey": "canary-key", "inviteCode": "canary-code"},
	})
	s.add(m{"name": "News", "type": "conversation", "definition": m{"participants": "nobody", "group": m{"public": true}}})
	return s
}

func (s *site) add(fields m) {
	s.t.Helper()
	_, err := s.CreateSource(fields)
	require.NoError(s.t, err)
}

func (s *site) do(method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Auth-token", "eu--canary-token")
	w := httptest.NewRecorder()
	s.page.ServeHTTP(w, r)
	return w
}

func TestPageShowsWhatThereIsAndNoSecret(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.do("GET", "/v1/data-sources?auth_token=canary-auth", "")
	s.do("GET", "/v1/<b>?x=<i>", "")
	s.do("PUT", "/v1/data-sources/102/data?flUserToken=canary-dead", `{"body":"canary-body"}`)
	page := s.do("GET", "/", "")
	var live struct{ HTML string }
	require.NoError(t, json.Unmarshal(s.do("GET", "/live.json", "").Body.Bytes(), &live))
	for _, html := range []string{page.Body.String(), live.HTML} {
		for _, want := range []string{
			"Jane Doe", "Bob Roe", "odd@example.org", `class="chip unknown" title="u-nobody"`, "Tea &lt;img", "channel",
			"/v1/data-sources?auth_token=…", "flUserToken=…", `refused">403`, `refused">404`, `ok">200`, "3 since the start",
		} {
			assert.Contains(t, html, want)
		}
		assert.NotContains(t, html, "canary")
		assert.NotContains(t, html, "<img src=x")
		assert.NotContains(t, html, "<i>")
	}
	assert.Equal(t, "no-store", page.Header().Get("Cache-Control"))
	assert.Contains(t, page.Header().Get("Content-Security-Policy"), "default-src 'none'")
	assert.NotRegexp(t, `(src|href)="?(https?:)?//`, page.Body.String(), "nothing is loaded from elsewhere")
	assert.Len(t, s.Requests(), 3, "looking is not a request")
}

func TestPageOnlyReads(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{"/", "/live.json"} {
		for _, method := range []string{"POST", "PUT", "DELETE"} {
			assert.Equal(t, 404, s.do(method, path, "{}").Code, "%s %s", method, path)
		}
		assert.Equal(t, 200, s.do("HEAD", path, "").Code)
	}
	assert.Equal(t, 404, s.do("GET", "/v1", "").Code)
	assert.Equal(t, 404, s.do("GET", "/elsewhere", "").Code)
}

func TestEmptyAndCrowdedPages(t *testing.T) {
	t.Parallel()
	core, err := flipletd.New(flipletd.Config{Token: "eu--t"})
	require.NoError(t, err)
	s := &site{Server: core, page: newPage(core, "http://127.0.0.1:1"), t: t}
	assert.Contains(t, s.do("GET", "/", "").Body.String(), "None yet.")
	crowd := make([]any, 1000)
	for i := range crowd {
		crowd[i] = "u"
	}
	for range shownSources + 10 {
		s.add(m{"name": strings.Repeat("long", 100), "type": "conversation", "definition": m{"participants": crowd}})
	}
	html := s.do("GET", "/", "").Body.String()
	assert.Contains(t, html, "the 10 least recent are left out")
	assert.Contains(t, html, "and 988 more")
	assert.Less(t, len(html), 1<<20)
}
