package datasource_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// moving redirects what is asked for to another path, and answers the rest with 404 in JSON.
type moving struct{ to func(path string) string }

func (m moving) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: http.StatusNotFound, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(`{"message":"The resource not found."}`))}
	if to := m.to(r.URL.Path); to != "" {
		resp.StatusCode = http.StatusFound
		resp.Header.Set("Location", to)
	}
	return resp, nil
}

func TestARefusalOfAnotherPathToWhichAGatewayRedirectsIsNotTheServices(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		to          func(path string) string
		fromService bool
	}{
		"no redirect": {func(string) string { return "" }, true},
		"a page for logins": {func(path string) string {
			if path == "/login" {
				return ""
			}
			return "/login"
		}, false},
		"the same path below another": {func(path string) string {
			if strings.HasPrefix(path, "/api/") {
				return ""
			}
			return "/api" + path
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, err := datasource.NewClient(datasource.Config{Token: "t", BaseURL: "http://fliplet.test", HTTPClient: &http.Client{Transport: moving{c.to}}})
			require.NoError(t, err)
			_, err = client.DataSource(t.Context(), 102)
			var refusal *datasource.Error
			require.ErrorAs(t, err, &refusal)
			assert.Equal(t, http.StatusNotFound, refusal.StatusCode)
			assert.Equal(t, c.fromService, refusal.FromService)
		})
	}
}

// partly answers with a part that nobody has asked for.
type partly struct{}

func (partly) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusPartialContent, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(`{"entries":[]}`))}, nil
}

func TestAPartOfAnAnswerIsNoSuccess(t *testing.T) {
	t.Parallel()
	client, err := datasource.NewClient(datasource.Config{Token: "t", BaseURL: "http://fliplet.test", HTTPClient: &http.Client{Transport: partly{}}})
	require.NoError(t, err)
	_, err = client.Find(t.Context(), 102, datasource.Query{})
	require.ErrorContains(t, err, "206", "nothing is there, says the part")
	assert.False(t, datasource.Doubtful(err))
	_, err = client.Insert(t.Context(), 102, datasource.M{"a": 1})
	require.ErrorContains(t, err, "206")
	assert.True(t, datasource.Doubtful(err))
}
