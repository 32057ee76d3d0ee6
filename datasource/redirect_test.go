package datasource_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

func redirect(to string, code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, code) }
}

func TestCallsDoNotFollowARedirectToAnotherHost(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, op := range operations {
			other := serve(t, answer(200, `{"id":1,"data":{}}`))
			server := serve(t, redirect(other.URL+"/canary?flUserToken=canary", code))
			err := op.run(t.Context(), server.client(t))
			require.ErrorContains(t, err, other.URL, op.name)
			e, ok := errors.AsType[*datasource.Error](err)
			require.True(t, ok, "%s %d: %v", op.name, code, err)
			assert.Equal(t, code, e.StatusCode)
			assert.NotContains(t, err.Error(), "canary")
			assert.False(t, datasource.Doubtful(err))
			assert.Empty(t, other.seen(), "neither token nor body reach the other host")
			assert.Len(t, server.seen(), 1)
		}
	}
}

func TestCallsFollowARedirectOnTheirHostUnlessItTurnsAWriteIntoARead(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, op := range operations {
			server := serve(t, redirect("/moved", code), answer(200, `{"id":1,"data":{}}`))
			err := op.run(t.Context(), server.client(t))
			seen := server.seen()
			method, _, _ := strings.Cut(seen[0].line, " ")
			if method != http.MethodGet && code < 307 {
				require.Error(t, err, op.name)
				assert.Len(t, seen, 1, "%s %d", op.name, code)
				continue
			}
			if op.name == "InsertEntry with files" { // its body is streamed and cannot be sent again
				require.Error(t, err)
				continue
			}
			require.Len(t, seen, 2, "%s %d: %v", op.name, code, err)
			assert.Equal(t, method+" /moved", seen[1].line)
			assert.Equal(t, seen[0].body, seen[1].body)
			assert.Equal(t, token, seen[1].header.Get("Auth-Token"))
		}
	}
}

func TestAtMostFiveRedirectsAreFollowed(t *testing.T) {
	t.Parallel()
	for hops, works := range map[int]bool{5: true, 6: false, 100: false} {
		var answers []http.HandlerFunc
		for i := range hops {
			answers = append(answers, redirect("/"+strconv.Itoa(i), 307))
		}
		server := serve(t, append(answers, answer(200, `{"entries":[]}`))...)
		_, err := server.client(t).Find(t.Context(), 1, datasource.Query{})
		assert.Equal(t, works, err == nil, "%d: %v", hops, err)
		assert.Len(t, server.seen(), min(hops, 5)+1)
		_, err = serve(t, redirect("/again", 307)).client(t).Insert(t.Context(), 1, M{})
		require.ErrorContains(t, err, "stopped after 5 redirects")
		assert.False(t, datasource.Doubtful(err), "a redirect is a refusal")
	}
}

func TestTheRedirectPolicyOfTheGivenClientIsAskedToo(t *testing.T) {
	t.Parallel()
	server := serve(t, redirect("/moved", 307), answer(200, `{"entries":[]}`))
	c := server.client(t, func(cfg *datasource.Config) {
		cfg.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	})
	_, err := c.Find(t.Context(), 1, datasource.Query{})
	require.Error(t, err)
	assert.Len(t, server.seen(), 1)
}

// hosts is a transport on which every host answers from one map; the key is scheme and host.
type hosts struct {
	t     *testing.T
	reply map[string]string // a URL to redirect to, or a body
	seen  []*http.Request
}

func (h *hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	h.seen = append(h.seen, r)
	reply, ok := h.reply[r.URL.Scheme+"://"+r.URL.Host]
	if !ok {
		h.t.Errorf("unexpected host in %s", r.URL)
	}
	if strings.Contains(reply, "://") {
		return respond(r, 302, ``, "Location", reply), nil
	}
	return respond(r, 200, reply, "Content-Type", "image/png"), nil
}

func TestADownloadTrustsOnlyTheAPIHostAndItsRegionsHosts(t *testing.T) {
	t.Parallel()
	extra := url.Values{"encryptionKey": {"k+/="}}
	for _, c := range []struct {
		token, base, url string
		trusted          bool
	}{
		{"eu--x", "", "https://api.fliplet.com/v1/media/files/900/contents/file.png", true},
		{"eu--x", "", "https://API.fliplet.com:443/f", true},
		{"eu--x", "", "https://cdn.fliplet.com/f", true},
		{"eu--x", "", "https://cdn.api.fliplet.com/f", true},
		{"eu--x", "", "https://apps.fliplet.com/f", true},
		{"us--x", "", "https://us.cdn.fliplet.com/f", true},
		{"ca--x", "", "https://ca-apps.fliplet.com/f", true},
		{"x", "", "https://cdn.fliplet.com/f", true},
		{"eu--x", "", "https://us.cdn.fliplet.com/f", false},
		{"eu--x", "", "http://api.fliplet.com/f", false},
		{"eu--x", "", "http://cdn.fliplet.com/f", false},
		{"eu--x", "", "https://cdn.fliplet.com:8443/f", false},
		{"eu--x", "", "https://cdn.fliplet.com.evil.example/f", false},
		{"eu--x", "", "https://evil.example/cdn.fliplet.com", false},
		{"eu--x", "", "https://xcdn.fliplet.com/f", false},
		{"eu--x", "", "https://evil.example/f", false},
		{"eu--x", "", "//evil.example/f", false},
		{"eu--x", "https://us.api.fliplet.com", "https://us.cdn.fliplet.com/f", true},
		{"eu--x", "https://us.api.fliplet.com", "https://cdn.fliplet.com/f", false},
		{"eu--x", "http://localhost:8080/api", "http://localhost:8080/f", true},
		{"eu--x", "http://localhost:8080/api", "v1/f", true},
		{"eu--x", "http://localhost:8080", "http://localhost:8081/f", false},
		{"eu--x", "http://localhost:8080", "https://cdn.fliplet.com/f", true},
		{"x", "http://localhost:8080", "https://cdn.fliplet.com/f", false},
	} {
		h := &hosts{t: t, reply: map[string]string{}}
		u, err := url.Parse(c.url)
		require.NoError(t, err)
		for _, host := range []string{u.Scheme + "://" + u.Host, "https://evil.example", "http://localhost:8080"} {
			h.reply[host] = "bytes"
		}
		client, err := datasource.NewClient(datasource.Config{Token: c.token, BaseURL: c.base, HTTPClient: &http.Client{Transport: h}})
		require.NoError(t, err)
		var got bytes.Buffer
		kind, n, err := client.Download(t.Context(), c.url, extra, &got, nil)
		require.NoError(t, err, c.url)
		assert.Equal(t, []any{"image/png", int64(5), "bytes"}, []any{kind, n, got.String()})
		sent := h.seen[0]
		assert.Equal(t, c.trusted, sent.Header.Get("Auth-Token") != "", "%+v", c.url)
		if c.trusted {
			assert.Equal(t, "encryptionKey=k%2B%2F%3D", sent.URL.RawQuery)
		} else {
			assert.Empty(t, sent.URL.RawQuery)
		}
		assert.NotEmpty(t, sent.Header.Get("User-Agent"))
		assert.NotContains(t, sent.URL.String(), c.token+"&")
	}
}

func TestADownloadLeavesItsCredentialsBehindAtTheFirstForeignHost(t *testing.T) {
	t.Parallel()
	h := &hosts{t: t, reply: map[string]string{
		"https://api.fliplet.com": "https://storage.example/signed?x=1",
		"https://storage.example": "https://api2.example/next",
		"https://api2.example":    "bytes",
	}}
	client, err := datasource.NewClient(datasource.Config{Token: token, HTTPClient: &http.Client{Transport: h}})
	require.NoError(t, err)
	var got bytes.Buffer
	_, _, err = client.Download(t.Context(), "v1/media/files/9/contents?flUserToken=canary", nil, &got, nil)
	require.NoError(t, err)
	assert.Equal(t, "bytes", got.String())
	require.Len(t, h.seen, 3)
	assert.Equal(t, token, h.seen[0].Header.Get("Auth-Token"))
	for _, r := range h.seen[1:] {
		assert.Empty(t, r.Header.Get("Auth-Token"), r.URL)
		assert.Empty(t, r.Header.Get("Referer"), "its query holds what the URL held")
		assert.Empty(t, r.Header.Get("Authorization"))
	}
}

func TestADownloadGetsNoCredentialsBackOnReturnAndNoneInTheClear(t *testing.T) {
	t.Parallel()
	hops := []string{"https://storage.example/a", "https://api.fliplet.com/b", ""}
	var seen []*http.Request
	client := through(t, func(r *http.Request) (*http.Response, error) {
		seen = append(seen, r)
		if to := hops[len(seen)-1]; to != "" {
			return respond(r, 302, ``, "Location", to), nil
		}
		return respond(r, 200, `x`), nil
	})
	_, _, err := client.Download(t.Context(), "https://api.fliplet.com/f", nil, &bytes.Buffer{}, nil)
	require.NoError(t, err)
	require.Len(t, seen, 3)
	assert.Equal(t, "api.fliplet.com", seen[2].URL.Host)
	assert.Empty(t, seen[2].Header.Get("Auth-Token"), "the foreign host chose this address")

	seen, hops = nil, []string{"http://api.fliplet.com/f", ""}
	_, _, err = client.Download(t.Context(), "https://api.fliplet.com/f", nil, &bytes.Buffer{}, nil)
	require.NoError(t, err)
	assert.Empty(t, seen[1].Header.Get("Auth-Token"))
}

func TestAnUpgradeToHTTPSOnTheSameHostKeepsTheToken(t *testing.T) {
	t.Parallel()
	var seen []*http.Request
	client := through(t, func(r *http.Request) (*http.Response, error) {
		seen = append(seen, r)
		if r.URL.Scheme == "http" {
			return respond(r, 308, ``, "Location", "https://fliplet.example"+r.URL.Path), nil
		}
		return respond(r, 200, `{"entries":[]}`), nil
	}, func(cfg *datasource.Config) { cfg.BaseURL = "http://fliplet.example" })
	_, err := client.Find(t.Context(), 1, datasource.Query{})
	require.NoError(t, err)
	require.Len(t, seen, 2)
	assert.Equal(t, token, seen[1].Header.Get("Auth-Token"))
}
