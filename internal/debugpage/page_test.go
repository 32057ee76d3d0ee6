package debugpage_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/debugpage"
)

func ask(t *testing.T, s debugpage.State, method, target, accept string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	debugpage.Handler(func() debugpage.State { return s }).ServeHTTP(w, r)
	return w
}

func TestProgramsGetJSONAndPeopleGetHTML(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		target, accept, want string
	}{
		{"/", "", "text/html"},
		{"/", "text/html,application/xhtml+xml,application/json;q=0.9", "text/html"},
		{"/", "*/*", "text/html"},
		{"/", "application/json", "application/json"},
		{"/", "application/problem+json", "application/json"},
		{"/?format=json", "text/html", "application/json"},
		{"/?format=html", "application/json", "text/html"},
	} {
		w := ask(t, debugpage.State{At: time.Unix(9, 0)}, http.MethodGet, c.target, c.accept)
		assert.True(t, strings.HasPrefix(w.Header().Get("Content-Type"), c.want), "%+v", c)
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		if c.want == "application/json" {
			var s map[string]any
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &s))
			assert.Equal(t, []any{}, s["listeners"], "a list is never null")
		}
	}
}

func TestThePageIsReadOnly(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		w := ask(t, debugpage.State{}, method, "/", "")
		assert.Equal(t, http.StatusMethodNotAllowed, w.Code)
		assert.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	}
	w := ask(t, debugpage.State{}, http.MethodHead, "/", "")
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Empty(t, w.Body.String())
}

func TestWhatOthersNameIsEscapedOnThePage(t *testing.T) {
	t.Parallel()
	const evil = `<script>alert("1")</script>'&`
	w := ask(t, debugpage.State{
		Host: evil, User: evil,
		Listeners: []debugpage.Listener{{Kind: evil, Consumer: evil, Doing: evil}},
		Consumers: []debugpage.Consumer{{Name: evil, Storage: evil}},
		Errors:    []debugpage.Error{{Where: evil, Text: evil}},
	}, http.MethodGet, "/", "")
	assert.NotContains(t, w.Body.String(), "<script")
	assert.Equal(t, 9, strings.Count(w.Body.String(), "&lt;script&gt;alert(&#34;1&#34;)"))
	assert.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
}

func TestOfErrorsOnlyWhatTheServerSaidIsShown(t *testing.T) {
	t.Parallel()
	answer := &datasource.Error{StatusCode: 500, Message: "broken"}
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("the body was hello"), "*errors.errorString"},
		{fmt.Errorf("postgres://me:password@host: %w", errors.New("no")), "*errors.errorString"},
		{fmt.Errorf("of hello: %w", answer), answer.Error()},
		{fmt.Errorf("of hello: %w", datasource.ErrNoSlot), datasource.ErrNoSlot.Error()},
	} {
		assert.Equal(t, c.want, debugpage.Text(c.err))
	}
	long := debugpage.Text(&datasource.Error{StatusCode: 500, Message: strings.Repeat("é", 5000)})
	assert.LessOrEqual(t, len([]rune(long)), 301)
}
