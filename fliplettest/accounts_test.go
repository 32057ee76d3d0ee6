package fliplettest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// answerTo asks with a token of its own, "" for none.
func answerTo(t *testing.T, srv *fliplettest.Server, token, method, path, body string) (status int, fields map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Auth-token", token)
	}
	resp, err := (&http.Client{Transport: srv.Transport()}).Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &fields), "%s", raw)
	return resp.StatusCode, fields
}

func TestAccountsAsPublicClientsMeetThem(t *testing.T) {
	t.Parallel()
	srv := fliplettest.New(t, fliplettest.InProcess())
	studio := srv.AddUser("jo@x.com", "Jo", "March", "secret")
	lever := srv.Always(fliplettest.SignIn, fliplettest.SecondFactor("123456"))
	status, answer := answerTo(t, srv, "", "POST", "/v1/auth/login", `{"email":"jo@x.com","password":"secret"}`)
	assert.Equal(t, 428, status)
	assert.NotEmpty(t, answer["message"])
	status, answer = answerTo(t, srv, "", "POST", "/v1/auth/login", `{"email":"jo@x.com","password":"secret","twofactor":"123456"}`)
	assert.Equal(t, 200, status)
	assert.Equal(t, studio, answer["auth_token"])
	assert.Equal(t, 2, lever.Hits())

	srv.Next(1, fliplettest.User, fliplettest.Host("https://us.api.fliplet.com/"))
	_, answer = answerTo(t, srv, srv.Token, "GET", "/v1/user", "")
	assert.Equal(t, "https://us.api.fliplet.com/", answer["host"])
	_, answer = answerTo(t, srv, srv.Token, "GET", "/v1/user", "")
	assert.NotContains(t, answer, "host")

	token, id := srv.AddToken(fliplettest.OrganizationToken)
	_, answer = answerTo(t, srv, token, "GET", "/v1/user", "")
	user := answer["user"].(map[string]any)
	assert.Equal(t, []any{float64(id), "integrationToken"}, []any{user["id"], user["type"]})

	srv.Always(fliplettest.AnyRoute, fliplettest.CDN())
	_, answer = answerTo(t, srv, srv.Token, "GET", "/v1/media", "")
	assert.Equal(t, fmt.Sprint([]any{}), fmt.Sprint(answer["files"]))
}
