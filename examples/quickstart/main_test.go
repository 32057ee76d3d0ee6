package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// nothing is an environment without variables.
func nothing(string) string { return "" }

// offline is an environment without variables and without a network, for stories on
// virtual time.
func offline(wire func(*fliplettest.Server) http.RoundTripper) env {
	return env{get: nothing, server: []fliplettest.Option{fliplettest.InProcess()}, wire: wire}
}

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1]
}

var okLine = regexp.MustCompile(`^ok: ([1-9]\d*) messages, 0 lost, 0 twice$`)

// requireOK checks the last line and that it counts the messages printed.
func requireOK(t *testing.T, out string) {
	t.Helper()
	found := okLine.FindStringSubmatch(lastLine(out))
	require.NotNil(t, found, out)
	assert.Equal(t, found[1], strconv.Itoa(strings.Count(out, " → ")), out)
}

// This story is told over a socket, as the program itself tells it.
func TestThreePeopleChatWithoutLoss(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, env{get: nothing}))
	requireOK(t, out.String())
	for _, part := range []string{"Jane → Bob ✓", "Bob → Jane ✓", "Jane → Bob, Eve ✓", "(edited) ✓", "body: U2FsdGVkX1", "meet at 10", "stored by crypto-js"} {
		assert.Contains(t, out.String(), part)
	}
}

// wire is a connection that changes what passes.
type wire func(*http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

// pull is a sabotage that is nothing but a lever of the server.
func pull(lever func(*fliplettest.Server)) func(*fliplettest.Server) http.RoundTripper {
	return func(s *fliplettest.Server) http.RoundTripper {
		lever(s)
		return s.Transport()
	}
}

// rewrite is a sabotage of the JSON that is sent to, or comes from, a path that
// ends in suffix.
func rewrite(method, suffix string, to, from func(string) string) func(*fliplettest.Server) http.RoundTripper {
	return func(s *fliplettest.Server) http.RoundTripper {
		return wire(func(r *http.Request) (*http.Response, error) {
			hit := r.Method == method && strings.HasSuffix(r.URL.Path, suffix)
			if hit && to != nil && r.Body != nil {
				b, err := io.ReadAll(r.Body)
				if err != nil {
					return nil, err
				}
				r = r.Clone(r.Context())
				text := to(string(b))
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
			}
			answer, err := s.Transport().RoundTrip(r)
			if !hit || from == nil || err != nil {
				return answer, err
			}
			defer answer.Body.Close()
			b, err := io.ReadAll(answer.Body)
			if err != nil {
				return nil, err
			}
			text := from(string(b))
			answer.Body, answer.ContentLength = io.NopCloser(bytes.NewBufferString(text)), int64(len(text))
			answer.Header.Del("Content-Length")
			return answer, nil
		})
	}
}

func TestEverySabotageIsNoticed(t *testing.T) {
	t.Parallel()
	body := regexp.MustCompile(`"body":"(U2FsdGVkX1[^"]*)"`)
	var once sync.Once
	for name, tc := range map[string]struct {
		wire func(*fliplettest.Server) http.RoundTripper
		want string
	}{
		"the server is down": {
			pull(func(s *fliplettest.Server) {
				s.Always(fliplettest.AnyRoute, fliplettest.Answer(500, `{"message":"out of order"}`))
			}),
			"out of order",
		},
		"a message is confirmed but not stored": {
			pull(func(s *fliplettest.Server) {
				s.After(2, 1, fliplettest.Insert, fliplettest.Answer(200, `{"id":999999}`))
			}),
			"answer of success does not hold the message",
		},
		"a message is stored twice": {
			pull(func(s *fliplettest.Server) { s.After(2, 1, fliplettest.Insert, fliplettest.Twice()) }),
			"0 lost, 1 twice",
		},
		"a stored body is damaged": {
			rewrite("POST", "/v1/data-sources/data", nil, func(text string) string {
				return body.ReplaceAllString(text, `"body":"U2FsdGVkX1+AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`)
			}),
			"cannot read a message of Jane",
		},
		"a body is stored as plain text": {
			rewrite("PUT", "/data", func(text string) string {
				var row map[string]any
				if json.Unmarshal([]byte(text), &row) != nil || row["body"] == nil {
					return text
				}
				once.Do(func() {
					row["body"] = "Hello Bob 👋"
					b, err := json.Marshal(row)
					require.NoError(t, err)
					text = string(b)
				})
				return text
			}, nil),
			"stored as plain text",
		},
		"the same people get another conversation": {
			pull(func(s *fliplettest.Server) {
				s.Always(fliplettest.ListSources, fliplettest.Answer(200, `{"dataSources":[]}`))
			}),
			"it is the same one",
		},
		"an edit is confirmed but not stored": {
			pull(func(s *fliplettest.Server) { s.After(3, 1, fliplettest.Update, fliplettest.Answer(200, `{}`)) }),
			"the answer holds no row",
		},
		"read marks are confirmed but not stored": {
			pull(func(s *fliplettest.Server) { s.Always(fliplettest.Commit, fliplettest.Answer(200, `{"clientIds":[]}`)) }),
			"Bob has read them",
		},
		"a deletion is confirmed but not made": {
			pull(func(s *fliplettest.Server) { s.Always(fliplettest.Delete, fliplettest.Answer(200, `{}`)) }),
			"still has the message",
		},
		"an unread count is wrong": {
			rewrite("POST", "/v1/data-sources/data", nil, func(text string) string {
				if strings.Contains(text, `"count":3`) {
					return `{"entries":7,"count":7}`
				}
				return text
			}),
			"the count is 7",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				err := run(t.Context(), &out, offline(tc.wire))
				require.Error(t, err, out.String())
				assert.ErrorContains(t, err, tc.want)
				assert.NotRegexp(t, okLine, lastLine(out.String()))
			})
		})
	}
}

// The SDK hides what a server should not have sent.
func TestAnOutsiderToWhomTheServerShowsEverythingSeesNothing(t *testing.T) {
	t.Parallel()
	token := regexp.MustCompile(`"flUserToken":"[^"]*"`)
	var first atomic.Pointer[string]
	shown := rewrite("POST", "/v1/data-sources/data", func(text string) string {
		found := token.FindString(text)
		first.CompareAndSwap(nil, &found)
		return token.ReplaceAllString(text, *first.Load()) // everybody asks as Jane
	}, nil)
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		require.NoError(t, run(t.Context(), &out, offline(shown)), out.String())
		assert.Contains(t, out.String(), "Eve's stream got nothing")
	})
}

func TestCancellingEndsTheStory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		out := writer(func(text string) {
			if strings.Contains(text, "Promised") {
				cancel()
			}
		})
		require.ErrorIs(t, run(ctx, out, offline(nil)), context.Canceled)
	})
}

// writer calls a function with what is written.
type writer func(string)

func (w writer) Write(b []byte) (int, error) {
	w(string(b))
	return len(b), nil
}
