package datasource_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

func TestTheTokenPicksTheRegion(t *testing.T) {
	t.Parallel()
	for tok, want := range map[string]string{
		"eu--abcdef": "https://api.fliplet.com", "us--abcdef": "https://us.api.fliplet.com", "ca--abcdef": "https://ca.api.fliplet.com",
		"US--abcdef": "https://us.api.fliplet.com", "Ca--x": "https://ca.api.fliplet.com", "au--abcdef": "https://api.fliplet.com",
		"abcdef": "https://api.fliplet.com", "u": "https://api.fliplet.com",
	} {
		var asked string
		c := through(t, func(r *http.Request) (*http.Response, error) {
			asked = r.URL.String()
			return respond(r, 200, `{"entries":[]}`), nil
		}, func(cfg *datasource.Config) { cfg.Token = tok })
		assert.Equal(t, want, c.BaseURL(), tok)
		_, err := c.Find(t.Context(), 1, datasource.Query{})
		require.NoError(t, err)
		assert.Equal(t, want+"/v1/data-sources/1/data/query", asked)
	}
}

func TestBadConfigurationIsNamedWithoutTheToken(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]datasource.Config{
		"Token is empty":                    {},
		"Token holds a space":               {Token: "eu--canary secret"},
		"without line ends":                 {Token: "eu--canary\r\nX-Evil: 1"},
		"a character that a header cannot":  {Token: "eu--canary\x00"},
		"or a character that a header":      {Token: "eu--canaryé"},
		"BaseURL is not a URL":              {Token: token, BaseURL: "api.fliplet.com"},
		`like "https://api.fliplet.com"`:    {Token: token, BaseURL: "https://%zz"},
		"not a URL like":                    {Token: token, BaseURL: "ftp://canary.example"},
		"the token goes into Token":         {Token: token, BaseURL: "https://canary:canary@host"},
		"scheme, host and path only":        {Token: token, BaseURL: "https://host?auth_token=canary"},
		"must end before /v1":               {Token: token, BaseURL: "https://host/v1/"},
		"in the clear: use https":           {Token: token, BaseURL: "http://US.api.fliplet.com"},
		"UserAgent holds":                   {Token: token, UserAgent: "a\nb"},
		"MaxResponseBytes is -1":            {Token: token, MaxResponseBytes: -1},
		"Retry.MaxAttempts is -1":           {Token: token, Retry: datasource.RetryPolicy{MaxAttempts: -1}},
		"Retry needs 0 <= BaseDelay":        {Token: token, Retry: datasource.RetryPolicy{BaseDelay: -1}},
		"<= MaxDelay":                       {Token: token, Retry: datasource.RetryPolicy{BaseDelay: 2, MaxDelay: 1}},
		"BaseURL is not a URL like \"https": {BaseURL: "x"}, // reported beside the missing token
	} {
		c, err := datasource.NewClient(cfg)
		require.ErrorContains(t, err, want)
		assert.Nil(t, c)
		assert.NotContains(t, err.Error(), "canary")
		assert.True(t, strings.HasPrefix(err.Error(), "datasource: "))
	}
	_, err := datasource.NewClient(datasource.Config{BaseURL: "x"})
	require.ErrorContains(t, err, "Token is empty")
}

func TestTheHTTPClientIsCopied(t *testing.T) {
	t.Parallel()
	given := &http.Client{Timeout: time.Minute}
	_, err := datasource.NewClient(datasource.Config{Token: token, HTTPClient: given})
	require.NoError(t, err)
	assert.Nil(t, given.Transport)
	assert.Nil(t, given.CheckRedirect)
}

func TestClientsWithoutAnHTTPClientShareConnections(t *testing.T) {
	t.Parallel()
	var hosts []string
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.RemoteAddr)
		answer(200, `{"entries":[]}`)(w, r)
	})
	for range 5 {
		c, err := datasource.NewClient(datasource.Config{Token: token, BaseURL: server.URL})
		require.NoError(t, err)
		_, err = c.Find(t.Context(), 1, datasource.Query{})
		require.NoError(t, err)
		defer c.CloseIdle()
	}
	require.Len(t, hosts, 5)
	for _, h := range hosts {
		assert.Equal(t, hosts[0], h)
	}
}
