package datasource_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

func TestTemporaryTellsAServerThatIsDownFromOneThatRefuses(t *testing.T) {
	t.Parallel()
	for _, f := range failures {
		down := true
		switch f.name {
		case "400", "401", "403", "404", "422", "501", "505", "304", "untrusted certificate":
			down = false
		}
		for _, op := range operations {
			synctest.Test(t, func(t *testing.T) {
				err := op.run(t.Context(), through(t, f.rt))
				assert.Equal(t, down, datasource.Temporary(err), "%s, %s: %v", f.name, op.name, err)
			})
		}
	}
	assert.False(t, datasource.Temporary(nil))
	assert.False(t, datasource.Temporary(context.DeadlineExceeded), "no request was made")
}

func TestTemporaryIsAboutTheServerAlone(t *testing.T) {
	t.Parallel()
	hang := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	synctest.Test(t, func(t *testing.T) {
		c := through(t, hang)
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.FindByID(late, 1, 2)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.True(t, datasource.Temporary(err), "it did not answer in time")

		gone, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		_, err = c.FindByID(gone, 1, 2)
		require.ErrorIs(t, err, context.Canceled)
		assert.False(t, datasource.Temporary(err), "the caller left")

		limited := through(t, knowing, func(cfg *datasource.Config) { cfg.Limiter = datasource.NewLimiter(1, time.Hour) })
		require.NoError(t, limited.Ping(t.Context()))
		soon, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		assert.False(t, datasource.Temporary(limited.Ping(soon)), "the limit is the client's own")
	})
	full := errors.New("the disk is full")
	server := serve(t, answer(200, "content"))
	_, _, err := server.client(t).Download(t.Context(), "v1/media/files/1/contents", nil, failingWriter{full}, nil)
	require.ErrorIs(t, err, full)
	assert.False(t, datasource.Temporary(err), "%v", err)
	_, err = server.client(t).Upload(t.Context(), url.Values{"appId": {"1"}}, []datasource.Part{{Field: "f", Filename: "f.txt", Reader: io.MultiReader(bytes.NewReader([]byte("x")), failingReader{full})}}, nil)
	require.ErrorIs(t, err, full)
	assert.False(t, datasource.Temporary(err), "%v", err)
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// known is an answer to Ping.
const known = `{"user":{"id":1,"email":"token-1@fliplet.com","type":"appToken"}}`

func knowing(r *http.Request) (*http.Response, error) { return respond(r, 200, known), nil }

func TestPingMakesOneRequestInOneAttempt(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]error{200: nil, 401: datasource.ErrUnauthorized, 403: datasource.ErrForbidden, 429: datasource.ErrRateLimited, 503: nil} {
		body := `<html>`
		if code == 200 {
			body = known
		}
		server := serve(t, answer(code, body))
		err := server.client(t).Ping(t.Context())
		assert.Equal(t, code < 300, err == nil, "%d: %v", code, err)
		if want != nil {
			require.ErrorIs(t, err, want)
		}
		assert.Equal(t, code == 429 || code == 503, datasource.Temporary(err), "%d", code)
		seen := server.seen()
		require.Len(t, seen, 1, "%d", code)
		assert.Equal(t, "GET /v1/user", seen[0].line)
	}
}

func TestPingBelievesOnlyTheServiceItself(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct {
		status   int
		body     string
		believed bool
	}{
		"the service":           {200, known, true},
		"an id as text":         {200, `{"user":{"id":"1"}}`, true},
		"empty":                 {200, ``, false},
		"no content":            {204, ``, false},
		"a page":                {200, `<html>Welcome to our wireless network</html>`, false},
		"text":                  {200, `OK`, false},
		"a string":              {200, `"ok"`, false},
		"null":                  {200, `null`, false},
		"an array":              {200, `[{"user":{"id":1}}]`, false},
		"a health check":        {200, `{"status":"ok","id":1}`, false},
		"an error":              {200, `{"error":"upstream","message":"try later"}`, false},
		"nobody":                {200, `{"user":null}`, false},
		"no id":                 {200, `{"user":{}}`, false},
		"an id that is nothing": {200, `{"user":{"id":null}}`, false},
		"cut":                   {200, known[:len(known)-1], false},
		"text behind it":        {200, known + `<html>`, false},
	} {
		err := serve(t, answer(is.status, is.body)).client(t).Ping(t.Context())
		assert.Equal(t, is.believed, err == nil, "%s: %v", name, err)
	}
}

func TestDelayIsTheWaitOfTheNextRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := datasource.NewLimiter(2, 10*time.Second)
		c := through(t, knowing, func(cfg *datasource.Config) { cfg.Limiter = l })
		assert.Zero(t, c.Limiter().Delay())
		require.NoError(t, c.Ping(t.Context()))
		time.Sleep(time.Second)
		require.NoError(t, c.Ping(t.Context()))
		time.Sleep(time.Second)
		assert.Equal(t, 8*time.Second, l.Delay())
		assert.Equal(t, 8*time.Second, l.Delay(), "it takes no slot")
		time.Sleep(l.Delay())
		assert.Zero(t, l.Delay())
	})
	assert.Zero(t, datasource.Unlimited().Delay())
}
