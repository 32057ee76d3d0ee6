package datasource_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

func redirect(to string, code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, code) }
}

func TestCallsDoNotFollowARedirectToAnotherHost(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, op := range operations {
			other := serve(t, answer(200, `{"id":1,"name":"n","data":{}}`))
			server := serve(t, redirect(other.URL+"/canary?flUserToken=canary", code))
			err := op.run(t.Context(), server.client(t))
			require.ErrorContains(t, err, other.URL, op.name)
			e, ok := errors.AsType[*datasource.Error](err)
			require.True(t, ok, "%s %d: %v", op.name, code, err)
			assert.Equal(t, code, e.StatusCode)
			assert.NotContains(t, err.Error(), "canary")
			assert.False(t, datasource.Doubtful(err))
			assert.Empty(t, other.seen(), "neither token nor body reach the other host")
			assert.Len(t, server.seen(), 1)
		}
	}
}

func TestCallsFollowARedirectOnTheirHostUnlessItTurnsAWriteIntoARead(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, op := range operations {
			server := serve(t, redirect("/moved", code), answer(200, `{"id":1,"name":"n","data":{}}`))
			err := op.run(t.Context(), server.client(t))
			seen := server.seen()
			method, _, _ := strings.Cut(seen[0].line, " ")
			if method != http.MethodGet && code < 307 {
				require.Error(t, err, op.name)
				assert.Len(t, seen, 1, "%s %d", op.name, code)
				continue
			}
			if op.name == "InsertEntry with files" { // its body is streamed and cannot be sent again
				require.Error(t, err)
				continue
			}
			require.Len(t, seen, 2, "%s %d: %v", op.name, code, err)
			assert.Equal(t, method+" /moved", seen[1].line)
			assert.Equal(t, seen[0].body, seen[1].body)
			assert.Equal(t, token, seen[1].header.Get("Auth-Token"))
		}
	}
}

func TestAtMostFiveRedirectsAreFollowed(t *testing.T) {
	t.Parallel()
	for hops, works := range map[int]bool{5: true, 6: false, 100: false} {
		var answers []http.HandlerFunc
		for i := range hops {
			answers = append(answers, redirect("/"+strconv.Itoa(i), 307))
		}
		server := serve(t, append(answers, answer(200, `{"entries":[]}`))...)
		_, err := server.client(t).Find(t.Context(), 1, datasource.Query{})
		assert.Equal(t, works, err == nil, "%d: %v", hops, err)
		assert.Len(t, server.seen(), min(hops, 5)+1)
		_, err = serve(t, redirect("/again", 307)).client(t).Insert(t.Context(), 1, M{})
		require.ErrorContains(t, err, "stopped after 5 redirects")
		assert.False(t, datasource.Doubtful(err), "a redirect is a refusal")
	}
}

func TestTheRedirectPolicyOfTheGivenClientIsAskedToo(t *testing.T) {
	t.Parallel()
	server := serve(t, redirect("/moved", 307), answer(200, `{"entries":[]}`))
	c := server.client(t, func(cfg *datasource.Config) {
		cfg.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	})
	_, err := c.Find(t.Context(), 1, datasource.Query{})
	require.Error(t, err)
	assert.Len(t, server.seen(), 1)
}

func TestAnUpgradeToHTTPSOnTheSameHostKeepsTheToken(t *testing.T) {
	t.Parallel()
	var seen []*http.Request
	client := through(t, func(r *http.Request) (*http.Response, error) {
		seen = append(seen, r)
		if r.URL.Scheme == "http" {
			return respond(r, 308, ``, "Location", "https://fliplet.example"+r.URL.Path), nil
		}
		return respond(r, 200, `{"entries":[]}`), nil
	}, func(cfg *datasource.Config) { cfg.BaseURL = "http://fliplet.example" })
	_, err := client.Find(t.Context(), 1, datasource.Query{})
	require.NoError(t, err)
	require.Len(t, seen, 2)
	assert.Equal(t, token, seen[1].Header.Get("Auth-Token"))
}
