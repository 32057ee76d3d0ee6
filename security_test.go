package chat_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// front is a real HTTP server before a local Fliplet, with a handler that may
// answer in its place.
type front struct {
	*httptest.Server
	mu    sync.Mutex
	serve func(http.ResponseWriter, *http.Request) bool
}

func newFront(t *testing.T, w *world) *front {
	f := &front{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		serve := f.serve
		f.mu.Unlock()
		if serve == nil || !serve(rw, r) {
			w.Handler().ServeHTTP(rw, r)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *front) set(serve func(http.ResponseWriter, *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serve = serve
}

// behind makes a Chat talk to a front, reading at most a megabyte at a time.
func behind(t *testing.T, w *world, f *front) func(*chat.Options) {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := datasource.NewClient(datasource.Config{
		Token: w.Token, BaseURL: f.URL, HTTPClient: &http.Client{Transport: transport}, MaxResponseBytes: 1 << 20,
		Limiter: datasource.Unlimited(), Retry: datasource.RetryPolicy{MaxAttempts: 1},
	})
	require.NoError(t, err)
	return func(o *chat.Options) { o.Client = client }
}

func TestHostileAnswersFailTheCallAndNotTheStream(t *testing.T) {
	t.Parallel()
	for name, hostile := range map[string]func(http.ResponseWriter){
		"decompression bomb": func(rw http.ResponseWriter) {
			rw.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(rw)
			_, _ = io.WriteString(z, `{"entries":[{"id":1,"data":{"body":"`)
			zeros := strings.Repeat("0", 1<<20)
			for range longtest.Size(4, 64) { // a few kilobytes on the wire
				if _, err := io.WriteString(z, zeros); err != nil {
					return
				}
			}
			_ = z.Close()
		},
		"endless answer": func(rw http.ResponseWriter) {
			_, _ = io.WriteString(rw, `{"entries":[`)
			for range 1 << 16 {
				if _, err := io.WriteString(rw, `{"id":1,"data":{"body":"aaaaaaaaaaaaaaaaaaaaaa"}},`); err != nil {
					return
				}
			}
		},
		"not JSON": func(rw http.ResponseWriter) { _, _ = io.WriteString(rw, "<html>") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f := newFront(t, w)
			jane := w.login("jane", behind(t, w, f))
			conv := w.converse(jane, "bob")
			toJane := stream(t, jane)
			var met atomic.Int64
			f.set(func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/v1/data-sources/data" {
					return false
				}
				met.Add(1)
				hostile(rw)
				return true
			})
			_, err := jane.Messages(t.Context())
			require.Error(t, err)
			assert.Less(t, len(err.Error()), 500)
			require.Error(t, jane.Poll(t.Context()))
			require.GreaterOrEqual(t, met.Load(), int64(2))
			f.set(nil)
			w.say(jane, conv, "still here")
			assert.Equal(t, "still here", toJane.wait(t, 1)[0].Body)
		})
	}
}

func TestDeeplyNestedColumnIsDeliveredAndMarshalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	jane := w.login("jane")
	conv := w.converse(jane, "bob")
	var deep any = "bottom"
	for range 240 { // the local Fliplet takes 500 levels
		deep = map[string]any{"x": []any{deep}}
	}
	put(t, w, conv.ID, "deep", datasource.M{"tree": deep})
	a, b := stream(t, jane), stream(t, jane) // two listeners: the row is copied
	for _, r := range []*recorder{a, b} {
		m := r.wait(t, 1)[0]
		assert.Equal(t, "deep", m.Body)
		raw, err := json.Marshal(m)
		require.NoError(t, err)
		assert.Contains(t, string(raw), "bottom")
	}
}

func TestRedirectsTakeNoCredentialToAnotherHost(t *testing.T) {
	t.Parallel()
	var visits atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		visits.Add(1)
		_, _ = io.WriteString(rw, `{"entries":[]}`)
	}))
	t.Cleanup(thief.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		w := newWorld(t)
		f := newFront(t, w)
		jane := w.login("jane", behind(t, w, f))
		conv := w.converse(jane, "bob")
		f.set(func(rw http.ResponseWriter, r *http.Request) bool {
			// 127.0.0.1 and localhost are two hosts.
			http.Redirect(rw, r, strings.Replace(thief.URL, "127.0.0.1", "localhost", 1)+r.URL.RequestURI(), status)
			return true
		})
		_, err := jane.Messages(t.Context())
		require.Error(t, err)
		_, err = jane.Message(t.Context(), conv.ID, chat.Draft{Body: "x"})
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "flUserToken=")
		_, err = jane.Conversations(t.Context())
		require.Error(t, err)
	}
	assert.Zero(t, visits.Load(), "nobody went there")
}

// watcher sees every request.
type watcher struct {
	next http.RoundTripper
	see  func(*http.Request)
}

func (x *watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	x.see(r)
	return x.next.RoundTrip(r)
}

func TestTextFromUsersStaysInItsPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	const evil = "x\"\r\nAuth-token: stolen\r\n\r\n../../v1/user?a=b#c"
	var mu sync.Mutex
	parts := 0
	jane := w.login("jane", through(t, w, &watcher{next: w.Transport(), see: func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		for name, values := range r.Header {
			assert.NotContains(t, strings.Join(values, ""), "stolen", name)
			assert.NotContains(t, strings.Join(values, ""), "\n", name)
		}
		if kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
			body, err := io.ReadAll(r.Body)
			if !assert.NoError(t, err) {
				return
			}
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			form := multipart.NewReader(strings.NewReader(string(body)), params["boundary"])
			for p, err := form.NextPart(); err == nil; p, err = form.NextPart() {
				parts++
				for header := range p.Header {
					assert.Contains(t, []string{"Content-Disposition", "Content-Type"}, header)
				}
			}
		}
	}}))
	conv := w.converse(jane, "bob")
	for _, call := range []func() error{
		func() error { _, err := jane.Channels().Create(t.Context(), evil); return err },
		func() error { _, err := jane.JoinConversation(t.Context(), evil); return err },
		func() error { _, err := jane.Contacts(t.Context(), chat.Where(chat.M{evil: evil})); return err },
		func() error {
			_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: evil, Data: chat.M{evil: evil}})
			return err
		},
		func() error {
			_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Files: []chat.File{{Name: evil + ".png", ContentType: "image/png", Content: []byte("x")}}})
			return err
		},
	} {
		if err := call(); err != nil {
			require.NotErrorIs(t, err, datasource.ErrUnauthorized)
		}
	}
	_, err := jane.Message(t.Context(), conv.ID, chat.Draft{Body: "x", GUID: evil})
	require.ErrorIs(t, err, chat.ErrInvalid)
	for _, r := range w.Requests() {
		assert.NotEqual(t, fliplettest.Route("unknown"), r.Route, r.Path)
		assert.NotContains(t, r.Path, "..")
	}
	got := messages(t, jane, conv.ID)
	require.NotEmpty(t, got)
	assert.Equal(t, evil, got[0].Body)
	assert.Equal(t, evil, got[0].Data[evil])
}

func TestUnsafeClientsAreRefused(t *testing.T) {
	t.Parallel()
	for _, cfg := range []datasource.Config{
		{Token: "eu--x\r\nHost: evil"}, {Token: ""}, {Token: "eu--x", BaseURL: "http://api.fliplet.com"},
		{Token: "eu--x", BaseURL: "ftp://api.fliplet.com"}, {Token: "eu--x", UserAgent: "a\r\nb: c"},
	} {
		_, err := datasource.NewClient(cfg)
		require.Error(t, err, "%q %q", cfg.BaseURL, cfg.UserAgent)
		assert.NotContains(t, err.Error(), "eu--x")
	}
}

func TestSecretsOfOneUserAreNotShownToTheNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fliplettest.InProcess())
	c := w.login("jane")
	conv := w.converse(c, "bob")
	w.say(c, conv, "for Bob")
	r := stream(t, c)
	_, err := c.Login(context.Background(), chat.M{"Email": "eve@example.org"})
	require.NoError(t, err)
	w.say(w.login("bob"), conv, "for Jane")
	got, err := c.Messages(t.Context())
	require.NoError(t, err)
	assert.Empty(t, got)
	assert.Len(t, r.all(), 1, "the stream of the user before has ended")
}
