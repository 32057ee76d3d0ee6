package flipletd_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

const token = "eu--test-token"

// kit is a server and what tests say to it.
type kit struct {
	*flipletd.Server
	t     testing.TB
	token string
	url   string // where a socket leads to the server; "" calls it
}

// patience is for what will happen, on a machine that does much else.
const patience = 2 * time.Minute

// start starts a server whose hooks have all the time that they need.
func start(t testing.TB, change ...func(*flipletd.Config)) *kit {
	cfg := flipletd.Config{Token: token, HookTimeout: time.Hour}
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
func (k *kit) as(token string) *kit { return &kit{Server: k.Server, t: k.t, token: token, url: k.url} }

// overHTTP speaks through a socket from now on.
func (k *kit) overHTTP() {
	server := httptest.NewServer(k.Server)
	k.t.Cleanup(server.Close)
	k.url = server.URL
}

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
	if k.url != "" {
		return k.post(r)
	}
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	return answer{t: k.t, status: w.Code, header: w.Header(), body: w.Body.String()}
}

// post is send through a socket.
func (k *kit) post(r *http.Request) answer {
	out, err := http.NewRequestWithContext(k.t.Context(), r.Method, k.url+r.URL.RequestURI(), r.Body)
	require.NoError(k.t, err)
	out.Header = r.Header
	resp, err := http.DefaultClient.Do(out)
	require.NoError(k.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(k.t, err)
	return answer{t: k.t, status: resp.StatusCode, header: resp.Header, body: string(body)}
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
