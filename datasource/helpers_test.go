package datasource_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

const token = "eu--abcdef"

// A recorder is a server that keeps what it was asked and answers from a script.
type recorder struct {
	*httptest.Server
	mu       sync.Mutex
	requests []recorded
}

type recorded struct {
	line   string // method, path and query, as sent
	body   string
	header http.Header
}

// serve starts a recorder. Request number i (from 0) is answered by answer(i); the last answer repeats.
func serve(t *testing.T, answers ...http.HandlerFunc) *recorder {
	t.Helper()
	r := &recorder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		r.mu.Lock()
		i := len(r.requests)
		r.requests = append(r.requests, recorded{req.Method + " " + req.RequestURI, string(body), req.Header.Clone()})
		r.mu.Unlock()
		if err != nil || len(answers) == 0 {
			return
		}
		answers[min(i, len(answers)-1)](w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) seen() []recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// last is the last request: its line and its body.
func (r *recorder) last(t *testing.T) recorded {
	t.Helper()
	seen := r.seen()
	require.NotEmpty(t, seen, "no request arrived")
	return seen[len(seen)-1]
}

// client returns a client of the recorder that repeats quickly and leaves no connection behind.
func (r *recorder) client(t *testing.T, change ...func(*datasource.Config)) *datasource.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	cfg := datasource.Config{
		Token: token, BaseURL: r.URL, HTTPClient: &http.Client{Transport: transport},
		Retry: datasource.RetryPolicy{BaseDelay: time.Microsecond, MaxDelay: time.Microsecond, MaxWait: time.Millisecond},
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := datasource.NewClient(cfg)
	require.NoError(t, err)
	return c
}

// answer writes a status and a body.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func zipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.Bytes()
}

// roundTrip is an in-process transport: sockets hang a synctest bubble.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	return f(r)
}

// respond makes a response. header alternates names and values.
func respond(r *http.Request, status int, body string, header ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Request: r, ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp
}

// through returns a client over an in-process transport.
func through(t *testing.T, rt roundTrip, change ...func(*datasource.Config)) *datasource.Client {
	t.Helper()
	cfg := datasource.Config{Token: token, HTTPClient: &http.Client{Transport: rt}}
	for _, f := range change {
		f(&cfg)
	}
	c, err := datasource.NewClient(cfg)
	require.NoError(t, err)
	return c
}

// operations is every kind of call, as a read or a write, so that tables can go over all of them.
var operations = []struct {
	name string
	read bool
	run  func(context.Context, *datasource.Client) error
}{
	{"Find", true, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.Find(ctx, 1, datasource.Query{})
		return err
	}},
	{"FindByID", true, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.FindByID(ctx, 1, 2)
		return err
	}},
	{"FindAcross", true, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.FindAcross(ctx, []byte(`{}`), nil)
		return err
	}},
	{"SelectAcross", true, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.SelectAcross(ctx, []byte(`{}`), nil)
		return err
	}},
	{"CountAcross", true, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.CountAcross(ctx, []byte(`{}`))
		return err
	}},
	{"DataSources", true, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.DataSources(ctx, datasource.SourceFilter{})
		return err
	}},
	{"DatedDataSources", true, func(ctx context.Context, c *datasource.Client) error {
		_, _, err := c.DatedDataSources(ctx, datasource.SourceFilter{})
		return err
	}},
	{"DataSource", true, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.DataSource(ctx, 1)
		return err
	}},
	{"Call GET", true, func(ctx context.Context, c *datasource.Client) error {
		return c.Call(ctx, http.MethodGet, "v1/session", nil, nil, nil)
	}},
	{"Insert", false, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.Insert(ctx, 1, datasource.M{"a": 1})
		return err
	}},
	{"Update", false, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.Update(ctx, 1, 2, datasource.M{"a": 1})
		return err
	}},
	{"Delete", false, func(ctx context.Context, c *datasource.Client) error { return c.Delete(ctx, 1, 2) }},
	{"Append", false, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.Append(ctx, 1, []datasource.M{{"a": 1}})
		return err
	}},
	{"Replace", false, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.Replace(ctx, 1, nil)
		return err
	}},
	{"Commit", false, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.Commit(ctx, 1, datasource.Commit{Delete: []int64{2}})
		return err
	}},
	{"UpdateWhere", false, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.UpdateWhere(ctx, 1, datasource.Query{Where: datasource.M{"a": 1}}, datasource.M{"a": 2})
		return err
	}},
	{"DeleteWhere", false, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.DeleteWhere(ctx, 1, datasource.Query{Where: datasource.M{"a": 1}})
		return err
	}},
	{"CreateDataSource", false, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.CreateDataSource(ctx, datasource.NewDataSource{Name: "n", AppID: 1})
		return err
	}},
	{"UpdateDataSource", false, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.UpdateDataSource(ctx, 1, datasource.SourcePatch{Name: new("n")})
		return err
	}},
	{"DeleteDataSource", false, func(ctx context.Context, c *datasource.Client) error { return c.DeleteDataSource(ctx, 1) }},
	{"Call POST", false, func(ctx context.Context, c *datasource.Client) error {
		return c.Call(ctx, http.MethodPost, "v1/x", nil, datasource.M{}, nil)
	}},
	{"InsertEntry with files", false, func(ctx context.Context, c *datasource.Client) error {
		_, err := c.InsertEntry(ctx, 1, datasource.Write{Files: []datasource.Part{{Field: "f", Filename: "a.png", Content: []byte("x")}}})
		return err
	}},
}

// chain is an error, and every error below it.
func chain(err error) []error {
	if err == nil {
		return nil
	}
	out := []error{err}
	switch e := err.(type) { //nolint:errorlint // each one by itself
	case interface{ Unwrap() error }:
		out = append(out, chain(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			out = append(out, chain(inner)...)
		}
	}
	return out
}
