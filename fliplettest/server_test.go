package fliplettest_test

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// get asks a server for a path with its token.
func get(t *testing.T, s *fliplettest.Server, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+path, nil)
	require.NoError(t, err)
	r.Header.Set("Auth-token", s.Token)
	res, err := s.Transport().RoundTrip(r)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func TestServesOverLoopbackAndInProcess(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]fliplettest.Option{"loopback": nil, "in process": {fliplettest.InProcess()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fliplettest.New(t, opts...)
			id, rows := s.AddContacts(datasource.M{"Email": "jane@x.com"}, datasource.M{"Email": "bob@x.com"})
			require.Len(t, rows, 2)
			status, body := get(t, s, "/v1/data-sources/Contacts/data")
			assert.Equal(t, 200, status)
			assert.Contains(t, body, "jane@x.com")
			status, body = get(t, s, "/v1/data-sources")
			assert.Equal(t, 200, status)
			assert.Contains(t, body, `"name":"Contacts"`)
			assert.Positive(t, id)
		})
	}
}

func TestCloseTwiceIsFineAndNobodyListensAfterwards(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]fliplettest.Option{"loopback": nil, "in process": {fliplettest.InProcess()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := fliplettest.Start(opts...)
			require.NoError(t, err)
			assert.NoError(t, s.Close())
			assert.NoError(t, s.Close())
			r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL, nil)
			require.NoError(t, err)
			res, err := s.Transport().RoundTrip(r)
			if err == nil {
				res.Body.Close()
			}
			assert.ErrorIs(t, err, syscall.ECONNREFUSED)
		})
	}
}

func TestInProcessRunsInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fliplettest.New(t, fliplettest.InProcess())
		s.AddContacts(datasource.M{"Email": "jane@x.com"})
		_, body := get(t, s, "/v1/data-sources/Contacts/data")
		assert.True(t, strings.Contains(body, `"createdAt":"2000-01-01T00:00:00.000Z"`), body)
	})
}
