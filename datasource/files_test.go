package datasource_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// internet is a network on which every host answers, from one server on loopback.
type internet struct {
	*http.Transport
	mu     sync.Mutex
	seen   []*http.Request
	dialed []string
	moved  map[string]string // scheme, host and path to where it redirects
}

func newInternet(t *testing.T) *internet {
	t.Helper()
	in := &internet{moved: map[string]string{}}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme := "http://"
		if r.TLS != nil {
			scheme = "https://"
		}
		in.mu.Lock()
		in.seen = append(in.seen, r)
		to := in.moved[scheme+r.Host+r.URL.Path]
		in.mu.Unlock()
		if to != "" {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "image/png")
		_, _ = io.WriteString(w, "bytes")
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	in.Transport = &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test's own server
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			in.mu.Lock()
			in.dialed = append(in.dialed, address)
			in.mu.Unlock()
			to := plain
			if strings.HasSuffix(address, "443") {
				to = secure
			}
			return new(net.Dialer).DialContext(ctx, network, to.Listener.Addr().String())
		},
	}
	t.Cleanup(in.CloseIdleConnections)
	return in
}

func (in *internet) client(t *testing.T, cfg datasource.Config) *datasource.Client {
	t.Helper()
	if cfg.Token == "" {
		cfg.Token = token
	}
	cfg.HTTPClient = &http.Client{Transport: in.Transport}
	cfg.Retry.MaxAttempts = 1
	c, err := datasource.NewClient(cfg)
	require.NoError(t, err)
	return c
}

func (in *internet) take() (seen []*http.Request, dialed []string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	seen, dialed, in.seen, in.dialed = in.seen, in.dialed, nil, nil
	return seen, dialed
}

var encryptionKey = url.Values{"encryptionKey": {"k+/="}}

func TestCredentialsGoToFilesOfTheAPIAndOfItsInstallationOnly(t *testing.T) {
	t.Parallel()
	const media = "v1/media/files/900/contents/file.png"
	for _, c := range []struct{ token, base, url string }{
		{"eu--x", "", media},
		{"eu--x", "", "/" + media},
		{"eu--x", "", "//api.fliplet.com/" + media},
		{"eu--x", "", "https://api.fliplet.com/" + media},
		{"eu--x", "", "https://api.fliplet.com/v1/media/files/900/contents"},
		{"eu--x", "", "https://api.fliplet.com/v1/media/files/900/contents?size=small"},
		{"eu--x", "", "https://API.Fliplet.com:443/" + media},
		{"eu--x", "", "https://api.fliplet.com:0443/" + media},
		{"eu--x", "", "https://api.fliplet.com./" + media},
		{"eu--x", "https://api.fliplet.com.", "https://api.fliplet.com/" + media},
		{"eu--x", "", "https://api.fliplet.com/v1/media/files/900/contents/a%20b%25;c..d.png"},
		{"eu--x", "", "https://api.fliplet.com/v1/media/files/900/contents/50%25.png"},
		{"eu--x", "", "https://cdn.fliplet.com/" + media},
		{"eu--x", "", "https://CDN.fliplet.com./" + media},
		{"eu--x", "", "https://cdn.api.fliplet.com/" + media},
		{"eu--x", "", "https://apps.fliplet.com/" + media},
		{"us--x", "", "https://us.cdn.fliplet.com/" + media},
		{"x", "", "https://cdn.fliplet.com/" + media},
		{"eu--x", "https://us.api.fliplet.com", "https://us.cdn.fliplet.com/" + media},
		{"eu--x", "https://API.fliplet.com:443/", "https://cdn.fliplet.com/" + media},
		{"eu--x", "http://localhost:8080/api", "http://localhost:8080/api/" + media},
		{"eu--x", "http://localhost:8080/api", media},
		{"eu--x", "http://own.example", "https://own.example/" + media},
	} {
		in := newInternet(t)
		var got bytes.Buffer
		kind, n, err := in.client(t, datasource.Config{Token: c.token, BaseURL: c.base}).Download(t.Context(), c.url, encryptionKey, &got, nil)
		require.NoError(t, err, c.url)
		assert.Equal(t, []any{"image/png", int64(5), "bytes"}, []any{kind, n, got.String()})
		seen, _ := in.take()
		require.Len(t, seen, 1)
		assert.Equal(t, c.token, seen[0].Header.Get("Auth-Token"), c.url)
		assert.Equal(t, "k+/=", seen[0].URL.Query().Get("encryptionKey"), c.url)
	}
}

func TestThePrivateKeyOpensContentsOnlyAndPublicFilesGetNoCredentials(t *testing.T) {
	t.Parallel()
	for address, withToken := range map[string]bool{
		"v1/media/files/900/thumb/preview.jpg":                         true,
		"https://cdn.fliplet.com/v1/media/files/900/thumb/preview.jpg": true,
		"https://cdn.fliplet.com/apps/2/foo.jpg":                       false,
		"https://CDN.fliplet.com./apps/2/foo.jpg":                      false,
		"https://cdn.api.fliplet.com/organizations/1/foo.jpg?size=x":   false,
		"https://cdn.fliplet.com/api/v1/user":                          false,
		"https://cdn.fliplet.com/apps;x/v1/media/files/900/contents":   false,
		"https://cdn.fliplet.com/v/1.png":                              false,
	} {
		in := newInternet(t)
		_, _, err := in.client(t, datasource.Config{}).Download(t.Context(), address, encryptionKey, io.Discard, nil)
		require.NoError(t, err, address)
		seen, _ := in.take()
		require.Len(t, seen, 1)
		assert.Equal(t, withToken, seen[0].Header.Get("Auth-Token") != "", address)
		assert.NotContains(t, seen[0].URL.RawQuery, "encryptionKey", address)
	}
	in := newInternet(t)
	const media = "https://cdn.fliplet.com/v1/media/files/9/contents"
	in.moved[media] = "/apps/2/foo.jpg"
	_, _, err := in.client(t, datasource.Config{}).Download(t.Context(), media, encryptionKey, io.Discard, nil)
	require.NoError(t, err)
	seen, _ := in.take()
	require.Len(t, seen, 2)
	assert.NotEmpty(t, seen[0].Header.Get("Auth-Token"))
	assert.Empty(t, seen[1].Header.Get("Auth-Token"), "nor do they on a redirect")
	assert.Empty(t, seen[1].Header.Get("Referer"))
}

func TestAnAddressThatIsNoFileIsRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ base, url string }{
		{"", "v1/user"},
		{"", "/v1/user"},
		{"", "v1/data-sources/101/data"},
		{"", "https://api.fliplet.com/v1/data-sources/101/data"},
		{"", "https://api.fliplet.com./v1/user"},
		{"", "https://api.fliplet.com:443/v1/user"},
		{"", "https://api.fliplet.com"},
		{"", "v1/media"},
		{"", "v1/media?appId=1"},
		{"", "v1/media/files"},
		{"", "v1/media/files/9"},
		{"", "v1/media/files/x/contents"},
		{"", "v1/media/files/0/contents"},
		{"", "v1/media/files/9/versions"},
		{"", "v1/media/deleted"},
		{"", "v1/mediaX/files/9/contents"},
		{"", "V1/media/files/9/contents"},
		{"", "%76%31/media/files/9/contents"},
		{"", "v1/media/../user"},
		{"", "v1/media/files/9/contents/../../../../user"},
		{"", "v1/media/files/9/contents/%2e%2e/%2e%2e/%2E%2e/%2e%2e/user"},
		{"", "v1/media/files/9/contents/.%2e/.%2e/.%2e/.%2e/user"},
		{"", "v1/media/files/9/contents/%252e%252e/%252e%252e/%252e%252e/%252e%252e/user"},
		{"", "v1/media/files/9/contents/..%2f..%2f..%2f..%2fuser"},
		{"", "v1/media/files/9/contents/..%5c..%5c..%5c..%5cuser"},
		{"", `v1/media/files/9/contents/..\..\..\..\user`},
		{"", `v1\user`},
		{"", "v1/media/files/9/contents/..;/..;/..;/..;/user"},
		{"", "v1/media/files/9/contents//user"},
		{"", "v1//media/files/9/contents"},
		{"", "v1/media/files/9/contents/a%00b"},
		// What some decoders read further than others.
		{"", "v1/media/files/9/contents/%25zz%252f..%252f..%252f..%252f..%252fuser"},
		{"", "v1/media/files/9/contents/%25%2e%2e%252f"},
		{"", "v1/media/files/9/contents/a%25%252fb"},
		{"", "v1/media/files/9/contents/%25u002e%25u002e/x"},
		{"", "v1/media/files/9/contents/%25U002fx"},
		{"", "v1/media/files/9/contents/%c0%af..%c0%afuser"},
		{"", "v1/media/files/9/contents/%c0%ae%c0%ae/x"},
		{"", "v1/media/files/9/contents/%25c0%25af"},
		{"", "v1/media/files/9/contents/%ff/x"},
		{"", "v1/media/files/9/contents/%25252525252e%25252525252e/x"},
		{"", "https://cdn.fliplet.com/%25zz%252f..%252fv1%252fuser"},
		{"", "https://cdn.fliplet.com/v1;x/user"},
		{"", "https://cdn.fliplet.com/v1%3bx/user"},
		{"", "https://cdn.fliplet.com/%2576%2531/user"},
		{"", "https://cdn.fliplet.com/v1.0/user"},
		{"", "https://cdn.fliplet.com/v1/user"},
		{"", "https://cdn.api.fliplet.com/v1/data-sources/101/data"},
		{"", "https://cdn.api.fliplet.com/V1/user"},
		{"", "https://cdn.api.fliplet.com/v2/user"},
		{"", "https://cdn.api.fliplet.com/%76%31/user"},
		{"", "https://cdn.api.fliplet.com//v1/user"},
		{"", "https://cdn.api.fliplet.com/a/%2e%2e/v1/user"},
		{"", "https://cdn.api.fliplet.com/"},
		{"", "https://apps.fliplet.com/v1/user"},
		{"", "https://apps.fliplet.com/f"},
		{"http://localhost:8080/api", "http://localhost:8080/v1/media/files/9/contents"},
		{"http://localhost:8080/api", "http://localhost:8080/apiX/v1/media/files/9/contents"},
		// Other hosts, which no option names.
		{"", "https://us.cdn.fliplet.com/f"},
		{"", "http://api.fliplet.com/v1/media/files/9/contents"},
		{"", "http://api.fliplet.com./v1/media/files/9/contents"},
		{"", "http://cdn.fliplet.com/f"},
		{"", "https://cdn.fliplet.com:8443/f"},
		{"", "https://cdn.fliplet.com.evil.example/f"},
		{"", "https://cdn.fliplet.com../f"},
		{"", "https://evil.example/cdn.fliplet.com"},
		{"", "https://evil.example/v1/media/files/9/contents"},
		{"", "https://xcdn.fliplet.com/f"},
		{"", "//evil.example/f"},
		{"", "///evil.example/f"},
		{"", "https:evil.example/f"},
		{"", "https://api.fliplet.com@evil.example/f"},
		{"", "https://u:p@api.fliplet.com/v1/media/files/9/contents"},
		{"", `https://evil.example\@api.fliplet.com/v1/media/files/9/contents`},
		{"", "https://\u0430pi.fliplet.com/v1/media/files/9/contents"},
		{"", "https://\uff41pi.fliplet.com/v1/media/files/9/contents"},
		{"", "https://api\u3002fliplet\u3002com/v1/media/files/9/contents"},
		{"", "ftp://api.fliplet.com/v1/media/files/9/contents"},
		{"", "javascript:alert(1)"},
		{"", "http://127.0.0.1/latest"},
		{"", "http://169.254.169.254/latest/meta-data"},
		// A client with its own BaseURL: the token belongs to it alone.
		{"http://localhost:8080", "http://localhost:8081/v1/media/files/9/contents"},
		{"http://localhost:8080", "https://localhost:8080/v1/media/files/9/contents"},
		{"http://localhost:8080", "https://cdn.fliplet.com/f"},
		{"http://localhost:8080", "https://api.fliplet.com/v1/media/files/9/contents"},
		{"https://us.api.fliplet.com", "https://cdn.fliplet.com/f"},
		{"https://api.fliplet.com:8443", "https://cdn.fliplet.com/v1/media/files/9/contents"},
		{"https://api.fliplet.com:8443", "https://cdn.fliplet.com/f"},
		{"https://api.fliplet.com:8443", "https://api.fliplet.com/v1/media/files/9/contents"},
		{"https://api.fliplet.com:8443", "https://apps.fliplet.com/v1/media/files/9/contents"},
		{"https://api.fliplet.com/proxy", "https://cdn.fliplet.com/v1/media/files/9/contents"},
		{"https://cdn.fliplet.com", "https://api.fliplet.com/v1/media/files/9/contents"},
		{"https://cdn.fliplet.com", "https://apps.fliplet.com/v1/media/files/9/contents"},
		{"https://apps.fliplet.com", "https://cdn.fliplet.com/v1/media/files/9/contents"},
		{"https://onprem.fliplet.com", "https://cdn.fliplet.com/f"},
	} {
		in := newInternet(t)
		_, n, err := in.client(t, datasource.Config{BaseURL: c.base}).Download(t.Context(), c.url, encryptionKey, io.Discard, nil)
		require.ErrorIs(t, err, datasource.ErrFileRefused, "%s", c.url)
		require.ErrorContains(t, err, "rawURL", c.url)
		assert.Zero(t, n)
		seen, dialed := in.take()
		assert.Empty(t, seen, c.url)
		assert.Empty(t, dialed, c.url)
	}
}

func TestAForeignFileIsFetchedWithoutCredentialsFromNamedHostsOnly(t *testing.T) {
	t.Parallel()
	in := newInternet(t)
	in.TLSClientConfig.Certificates = []tls.Certificate{{}}
	client := in.client(t, datasource.Config{FileNetworks: loopback, FileHosts: []string{"Files.example.", "files.example:8443", "http://plain.example"}})
	for address, works := range map[string]bool{
		"https://files.example/a":      true,
		"https://FILES.example.:443/a": true,
		"https://files.example:8443/a": true,
		"http://plain.example/a":       true,
		"http://files.example/a":       false,
		"https://plain.example/a":      false,
		"https://files.example:444/a":  false,
		"https://x.files.example/a":    false,
		"https://files.example.com/a":  false,
	} {
		_, _, err := client.Download(t.Context(), address, encryptionKey, io.Discard, nil)
		seen, _ := in.take()
		if !works {
			require.ErrorIs(t, err, datasource.ErrFileRefused, address)
			require.ErrorContains(t, err, "Config.FileHosts")
			assert.Empty(t, seen, address)
			continue
		}
		require.NoError(t, err, address)
		require.Len(t, seen, 1, address)
		assert.Empty(t, seen[0].Header.Get("Auth-Token"), address)
		assert.Empty(t, seen[0].URL.RawQuery, address)
		assert.NotEmpty(t, seen[0].Header.Get("User-Agent"))
	}
}

func TestAFunctionMayDecideAboutForeignFiles(t *testing.T) {
	t.Parallel()
	in := newInternet(t)
	no := errors.New("not this one")
	client := in.client(t, datasource.Config{FileNetworks: loopback, AllowFile: func(u *url.URL) error {
		host := u.Hostname()
		u.Host = "changed.example" // is a copy
		if host == "good.example" {
			return nil
		}
		return no
	}})
	_, _, err := client.Download(t.Context(), "https://good.example/a", nil, io.Discard, nil)
	require.NoError(t, err)
	seen, _ := in.take()
	require.Len(t, seen, 1)
	assert.Equal(t, "good.example", seen[0].Host)
	_, _, err = client.Download(t.Context(), "https://bad.example/a", nil, io.Discard, nil)
	require.ErrorIs(t, err, no)
	require.ErrorIs(t, err, datasource.ErrFileRefused)
	in.moved["https://good.example/b"] = "https://bad.example/a"
	_, _, err = client.Download(t.Context(), "https://good.example/b", nil, io.Discard, nil)
	require.ErrorIs(t, err, no, "asked again for a redirect")
	_, _, err = client.Download(t.Context(), "v1/user", nil, io.Discard, nil)
	require.ErrorIs(t, err, datasource.ErrFileRefused, "not asked about the API")
}

func TestEachRedirectOfADownloadIsCheckedAgain(t *testing.T) {
	t.Parallel()
	const start = "https://api.fliplet.com/v1/media/files/9/contents"
	for to, works := range map[string]bool{
		"/v1/media/files/10/contents":                         true,
		"https://api.fliplet.com/v1/media/files/10/contents":  true,
		"https://cdn.fliplet.com/a.png":                       true,
		"https://files.example/signed?x=1":                    true,
		"https://evil.example/":                               false,
		"/v1/user":                                            false,
		"/v1/data-sources/101/data":                           false,
		"https://cdn.api.fliplet.com/v1/user":                 false,
		"http://api.fliplet.com/v1/media/files/9/contents":    false,
		"http://127.0.0.1/":                                   false,
		"https://u:p@files.example/":                          false,
		"file:///etc/passwd":                                  false,
		"https://api.fliplet.com/v1/media/%2e%2e/user":        false,
		"https://api.fliplet.com/v1/media/files/9/contents//": false,
	} {
		in := newInternet(t)
		in.moved[start] = to
		client := in.client(t, datasource.Config{FileNetworks: loopback, FileHosts: []string{"files.example"}, Token: token})
		_, _, err := client.Download(t.Context(), start, encryptionKey, io.Discard, nil)
		seen, _ := in.take()
		require.NotEmpty(t, seen, to)
		if !works {
			require.Error(t, err, to)
			assert.NotContains(t, err.Error(), "k+/=")
			assert.Len(t, seen, 1, to)
			continue
		}
		require.NoError(t, err, to)
		require.Len(t, seen, 2, to)
		stays := seen[1].Host == "api.fliplet.com"
		assert.Equal(t, stays, seen[1].Header.Get("Auth-Token") != "", to)
		assert.Equal(t, stays, seen[1].Header.Get("Referer") != "", "%s: its query holds the key", to)
		assert.NotContains(t, seen[1].URL.RawQuery, "encryptionKey")
	}
}

func TestADownloadGetsNoCredentialsBackOnReturn(t *testing.T) {
	t.Parallel()
	in := newInternet(t)
	const media = "https://api.fliplet.com/v1/media/files/9/contents"
	in.moved[media] = "https://files.example/a"
	in.moved["https://files.example/a"] = media + "/b"
	client := in.client(t, datasource.Config{FileNetworks: loopback, FileHosts: []string{"files.example"}})
	_, _, err := client.Download(t.Context(), media, nil, io.Discard, nil)
	require.NoError(t, err)
	seen, _ := in.take()
	require.Len(t, seen, 3)
	assert.Equal(t, token, seen[0].Header.Get("Auth-Token"))
	assert.Equal(t, "api.fliplet.com", seen[2].Host)
	assert.Empty(t, seen[2].Header.Get("Auth-Token"), "the foreign host chose this address")
}

func TestAForeignHostOfThisMachineOrNetworkIsRefusedByItsAddress(t *testing.T) {
	t.Parallel()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked++ }))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	all := func(*url.URL) error { return nil }
	for name, hc := range map[string]*http.Client{
		"shared": nil, "default": {}, "own transport": {Transport: &http.Transport{}}, "own dialer": {Transport: &http.Transport{DialContext: new(net.Dialer).DialContext}},
		"own TLS dialer": {Transport: &http.Transport{DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		}}},
		"own proxy":        {Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: server.Listener.Addr().String()})}},
		"own RoundTripper": {Transport: roundTrip(http.DefaultTransport.RoundTrip)},
	} {
		client, err := datasource.NewClient(datasource.Config{Token: token, HTTPClient: hc, AllowFile: all, Retry: datasource.RetryPolicy{MaxAttempts: 1}})
		require.NoError(t, err)
		for _, host := range []string{
			"127.0.0.1", "127.1.2.3", "localhost", "LOCALHOST", "[::1]", "[::ffff:127.0.0.1]", "[::]", "0.0.0.0", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
		} {
			for _, scheme := range []string{"http", "https"} {
				_, _, err := client.Download(t.Context(), scheme+"://"+host+":"+port+"/", nil, io.Discard, nil)
				require.ErrorIs(t, err, datasource.ErrFileRefused, "%s: %s", name, host)
			}
		}
		client.CloseIdle()
	}
	assert.Zero(t, asked)
	for i, networks := range [][]netip.Prefix{loopback[:1], loopback} {
		allowed, err := datasource.NewClient(datasource.Config{Token: token, AllowFile: all, FileNetworks: networks})
		require.NoError(t, err)
		_, _, err = allowed.Download(t.Context(), server.URL, nil, io.Discard, nil)
		require.NoError(t, err)
		assert.Equal(t, 1+i, asked)
		allowed.CloseIdle()
	}
}

func TestOnlyAddressesOnTheInternetArePublic(t *testing.T) {
	t.Parallel()
	for _, a := range strings.Fields(`0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.255 169.254.169.254 172.16.0.1 172.31.255.255
		192.0.0.1 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
		:: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::a00:1 100::1 2001::1 2001:2::1
		2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::1 3fff::1 5f00::1 fc00::1 fd00::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1 4000::1`) {
		assert.False(t, datasource.PublicAddress(netip.MustParseAddr(a)), a)
	}
	for _, a := range strings.Fields("1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 198.17.0.1 198.20.0.1 223.255.255.255 2606:4700::1111 2a00:1450::1 2400::1") {
		assert.True(t, datasource.PublicAddress(netip.MustParseAddr(a)), a)
	}
}

func TestUnusableRulesForFilesAreRefused(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"", "*.example.org", "https://a.example/path", "a.example?x", "ftp://a.example", "u@a.example", "b\u00fccher.example", "https://"} {
		_, err := datasource.NewClient(datasource.Config{Token: token, FileHosts: []string{"a.example", host}})
		require.ErrorContains(t, err, "Config.FileHosts[1]", host)
	}
	_, err := datasource.NewClient(datasource.Config{Token: token, FileNetworks: []netip.Prefix{{}}})
	require.ErrorContains(t, err, "Config.FileNetworks[0]")
	_, err = datasource.NewClient(datasource.Config{Token: token, BaseURL: "http://api.fliplet.com."})
	require.ErrorContains(t, err, "in the clear")
}

// FuzzFileAddress asks for any address. What gets the token is media of the API, however a server reads its path, and
// what gets the key its content.
func FuzzFileAddress(f *testing.F) {
	for _, address := range []string{
		"v1/media/files/9/contents", "v1/media/files/9/contents/%2e%2e/x", "https://cdn.fliplet.com/a/b.png", "//cdn.api.fliplet.com/v1/user",
		"https://api.fliplet.com./v1/media/files/9/thumb/a;b?x=1#y", `https://api.fliplet.com\@evil.example/`, "v1/media/files/9/contents/%25252e", "\uff41pi",
		"v1/media/files/9/contents/%25zz%252f..%252fuser", "https://cdn.fliplet.com/v1;x/user", "v1/media/files/9/contents/%c0%af", "v1/media/files/9/contents/%25u002e",
	} {
		f.Add(address)
	}
	var sent []*http.Request
	client, err := datasource.NewClient(datasource.Config{Token: token, Limiter: datasource.Unlimited(), HTTPClient: &http.Client{
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			sent = append(sent, r)
			return respond(r, 200, "x"), nil
		}),
	}})
	require.NoError(f, err)
	file := regexp.MustCompile(`^/v1/media/files/[0-9]+/(contents(/.+)?|thumb/.+)$`)
	content := regexp.MustCompile(`^/v1/media/files/[0-9]+/contents(/.+)?$`)
	f.Fuzz(func(t *testing.T, address string) {
		sent = nil
		_, _, err := client.Download(t.Context(), address, encryptionKey, io.Discard, nil)
		if err != nil {
			require.ErrorIs(t, err, datasource.ErrFileRefused)
			require.Empty(t, sent)
			return
		}
		require.Len(t, sent, 1)
		u := sent[0].URL
		host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
		require.Contains(t, []string{"api.fliplet.com", "cdn.fliplet.com", "cdn.api.fliplet.com", "apps.fliplet.com"}, host)
		require.Equal(t, "https", u.Scheme)
		p := u.EscapedPath()
		require.Equal(t, file.MatchString(path.Clean(p)), sent[0].Header.Get("Auth-Token") != "")
		require.Equal(t, content.MatchString(path.Clean(p)), u.Query().Get("encryptionKey") == encryptionKey.Get("encryptionKey"))
		for range 6 { // decoded once more by each proxy, and cleaned
			if cleaned := path.Clean(strings.ReplaceAll(p, `\`, "/")); host == "api.fliplet.com" || host == "apps.fliplet.com" {
				require.Regexp(t, file, cleaned)
			} else if !file.MatchString(cleaned) {
				require.NotRegexp(t, `(?i)^/+v[0-9]+(/|$)`, cleaned)
			}
			plain, err := url.PathUnescape(p)
			if err != nil || plain == p {
				break
			}
			p = plain
		}
	})
}
