package flipletlocal

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHostsOfHooksAreAFlag(t *testing.T) {
	t.Parallel()
	cfg, err := parse([]string{"-hook-hosts", "a.test, b.test:8443", "-hook-hosts", "10.0.0.1"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []string{"a.test", "b.test:8443", "10.0.0.1"}, cfg.hookHosts)
}

func TestTheProgramRingsWebHooks(t *testing.T) {
	t.Parallel()
	rung, over := make(chan string, 10), make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		rung <- string(body) + " " + r.Header.Get("Authorization")
		select { // and does not answer
		case <-over:
		case <-r.Context().Done():
		}
	}))
	defer backend.Close()
	defer close(over)
	p := launch(t, "-hook-hosts", "hooks.example.org")
	create := func(name, endpoint string) (int, string) {
		status, answer, err := p.call("POST", "/v1/data-sources", fmt.Sprintf(`{"name":%q,"appId":1,"hooks":[{"type":"web","runOn":["insert"],
			"payload":{"endpoint":%q,"headers":{"Authorization":"Bearer secret"},"body":{"n":"{{n}}"}}}]}`, name, endpoint))
		require.NoError(t, err)
		return status, string(answer)
	}
	status, answer := create("Elsewhere", "https://example.org/")
	assert.Equal(t, 400, status)
	assert.Contains(t, answer, "-hook-hosts of fliplet-local")
	status, answer = create("Named", "https://hooks.example.org/")
	assert.Equal(t, 201, status, answer)
	status, answer = create("Orders", backend.URL+"/?key=secret")
	require.Equal(t, 201, status, answer)
	_, err := p.change("PUT", "/v1/data-sources/Orders/data", `{"n":"one"}`)
	require.NoError(t, err)
	assert.Equal(t, `{"n":"one"} Bearer secret`, <-rung)
	_, err = p.change("PUT", "/v1/data-sources/Orders/data", `{"n":"two"}`) // while the hook hangs
	require.NoError(t, err)

	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	status, _ = p.end()
	assert.Zero(t, status)
	assert.Contains(t, p.errs.String(), `error="the server was closed"`, "the hook is not waited for")
	assert.NotContains(t, p.errs.String(), "secret")
}
