package flipletlocal

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLimitsThatFlagsGive(t *testing.T) {
	t.Parallel()
	p := launch(t, "-rate-limit", "-limit", "organization=2/1h", "-limit", "logs:organization=1/1m", "-limit", "app=100/1s")
	ask := func(path string) (int, time.Duration) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
		require.NoError(t, err)
		req.Header.Set("Auth-token", p.token)
		resp, err := p.http.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		var said struct{ NextValidRequestDate time.Time }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&said))
		return resp.StatusCode, time.Until(said.NextValidRequestDate)
	}
	for _, c := range []struct {
		path   string
		status int
		wait   time.Duration
	}{
		{"/v1/data-sources", 200, 0}, {"/v1/data-sources", 200, 0}, {"/v1/data-sources", 429, time.Hour},
		{"/v1/organizations/1/logs", 403, 0}, {"/v1/organizations/1/logs", 429, time.Minute}, {"/v1/user", 200, 0},
	} {
		status, wait := ask(c.path)
		assert.Equal(t, c.status, status, c.path)
		if c.wait > 0 {
			assert.InDelta(t, c.wait.Seconds(), wait.Seconds(), 30)
		}
	}
}
