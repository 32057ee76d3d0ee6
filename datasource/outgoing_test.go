package datasource_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// countedConn counts what is written at a time.
type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countedConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func TestAShortWriteLeavesInOnePieceWithItsHeaders(t *testing.T) {
	t.Parallel()
	var writes atomic.Int64
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		return countedConn{c, &writes}, err
	}
	bodies := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
		_, _ = io.WriteString(w, `{"id":1,"data":{}}`)
	}))
	t.Cleanup(server.Close)
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := datasource.NewClient(datasource.Config{Token: token, BaseURL: server.URL, HTTPClient: &http.Client{Transport: transport}})
	require.NoError(t, err)
	for _, want := range []string{`{"a":1}`, `{"b":2}`} { // the second with what the first has left
		before := writes.Load()
		_, err := c.Insert(t.Context(), 1, datasource.M{want[2:3]: int(want[5] - '0')})
		require.NoError(t, err)
		assert.Equal(t, want, <-bodies)
		assert.Equal(t, int64(1), writes.Load()-before)
	}
}

func TestAShortWriteOverARealTransportEndsAtEachLimit(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct {
		dials time.Duration
		body  int
		takes bool // the body is taken
		ends  time.Duration
	}{
		"no answer":                         {0, 100, true, 30 * time.Second},
		"no answer after a long connecting": {29 * time.Second, 100, true, 59 * time.Second},
		"nothing is taken":                  {0, 12 << 10, false, 30 * time.Second},
		"nothing is taken of a long one":    {0, 100 << 10, false, 30 * time.Second},
		"no answer to a long one":           {29 * time.Second, 100 << 10, true, 60 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
					time.Sleep(is.dials)
					here, there := net.Pipe()
					if is.takes {
						go func() { _, _ = io.Copy(io.Discard, there) }()
					}
					return here, nil
				}}
				defer transport.CloseIdleConnections()
				c, err := datasource.NewClient(datasource.Config{Token: token, BaseURL: "http://a.example", HTTPClient: &http.Client{Transport: transport}})
				require.NoError(t, err)
				began := time.Now()
				_, err = c.Insert(t.Context(), 1, datasource.M{"a": strings.Repeat("a", is.body)})
				require.ErrorIs(t, err, datasource.ErrNoAnswer)
				assert.True(t, datasource.Doubtful(err))
				assert.InDelta(t, is.ends.Seconds(), time.Since(began).Seconds(), 1.5, err)
			})
		})
	}
}

// redirected answers the first request with a redirect that repeats it, and notes what came.
type redirected struct {
	bodies  []string
	headers []http.Header
}

func (s *redirected) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.bodies, s.headers = append(s.bodies, string(body)), append(s.headers, r.Header.Clone())
	r.Header.Set("Auth-Token", "spoilt") // a RoundTripper must not, and one that does spoils its own request
	resp := respond(r, 200, `{"id":1,"data":{}}`)
	if len(s.bodies)%2 == 1 {
		resp.StatusCode = http.StatusTemporaryRedirect
		resp.Header.Set("Location", r.URL.String())
	}
	return resp, nil
}

func TestARequestHasNothingOfThoseBeforeIt(t *testing.T) {
	t.Parallel()
	s := &redirected{}
	c, err := datasource.NewClient(datasource.Config{Token: token, HTTPClient: &http.Client{Transport: s}})
	require.NoError(t, err)
	form := datasource.Write{Files: []datasource.Part{{Field: "f", Filename: "a.txt", Content: []byte("file")}}}
	for range 3 {
		s.bodies, s.headers = nil, nil
		_, err := c.Insert(t.Context(), 1, datasource.M{"a": 1})
		require.NoError(t, err)
		assert.Equal(t, []string{`{"a":1}`, `{"a":1}`}, s.bodies)
		assert.Equal(t, []string{token}, s.headers[0]["Auth-Token"])
		assert.Equal(t, []string{"application/json"}, s.headers[0]["Content-Type"])
		assert.Equal(t, []string{"application/json"}, s.headers[0]["Accept"])

		_, _ = c.InsertEntry(t.Context(), 1, form) // a form is not sent twice, so this ends at the redirect
		last := s.headers[2]
		assert.True(t, bytes.Contains([]byte(s.bodies[2]), []byte("file")))
		assert.Contains(t, last.Get("Content-Type"), "multipart/form-data")
		assert.NotContains(t, last, "Accept")
	}
}
