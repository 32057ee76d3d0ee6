package flipletd_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

const token = "eu--test-token"

// kit is a server and what tests say to it.
type kit struct {
	*flipletd.Server
	t     testing.TB
	token string
}

func start(t testing.TB, change ...func(*flipletd.Config)) *kit {
	cfg := flipletd.Config{Token: token}
	for _, f := range change {
		f(&cfg)
	}
	s, err := flipletd.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.Close()
		require.Empty(t, s.Faults())
	})
	return &kit{Server: s, t: t, token: token}
}

// as speaks with another token.
func (k *kit) as(token string) *kit { return &kit{Server: k.Server, t: k.t, token: token} }

// studio speaks with a user token.
func (k *kit) studio() *kit {
	token, _, err := k.AddToken(flipletd.UserToken, 0, 1, "")
	require.NoError(k.t, err)
	return k.as(token)
}

// answer is what came back.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

func (k *kit) do(method, path, body string) answer {
	k.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Auth-token", k.token)
	r.Header.Set("Content-Type", "application/json")
	return k.send(r)
}

func (k *kit) send(r *http.Request) answer {
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	return answer{t: k.t, status: w.Code, header: w.Header(), body: w.Body.String()}
}

// ok asserts a status and decodes the body.
func (a answer) ok(status int) map[string]any {
	a.t.Helper()
	require.Equal(a.t, status, a.status, a.body)
	if a.body == "" {
		return nil
	}
	var v map[string]any
	require.NoError(a.t, json.Unmarshal([]byte(a.body), &v), a.body)
	return v
}

// refused asserts a status and returns the message.
func (a answer) refused(status int) string {
	a.t.Helper()
	message, _ := a.ok(status)["message"].(string)
	require.NotEmpty(a.t, message, "a refusal says why: %s", a.body)
	return message
}

// source makes a data source and returns its id.
func (k *kit) source(fields map[string]any) int64 {
	k.t.Helper()
	if fields["name"] == nil {
		fields["name"] = "Things"
	}
	id, err := k.CreateSource(fields)
	require.NoError(k.t, err)
	return id
}

type m = map[string]any
