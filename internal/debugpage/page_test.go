package debugpage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

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
		{"/", "application/json;q=0", "text/html"},
		{"/", "application/json; Q=0.000, */*", "text/html"},
		{"/", "application/json;charset=utf-8;q=0", "text/html"},
		{"/", "application/json;q=NaN", "text/html"},
		{"/", "application/json, text/html;q=0", "application/json"},
		{"/", "application/json, text/html;q=0.5", "application/json"},
		{"/", "application/json;q=0.5, text/html;q=0.9", "text/html"},
		{"/", "application/json, text/html", "text/html"},
		{"/", "application/json, text/plain, */*", "application/json"},
		{"/", "application/json;q=0.1, */*", "application/json"},
		{"/", "text/html;q=0, */*", "application/json"},
		{"/", "text/html;q=0, application/json;q=0, */*", "text/html"},
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

func TestEveryStateIsJSON(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 14*3600)), time.Date(-300000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(300000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -14*3600)), time.Unix(0, 0).In(time.FixedZone("", 24*3600)), {},
	} {
		for _, seconds := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1} {
			const text = "a\xffb\x1b[31m\u202ec"
			s := debugpage.State{
				At: at, Host: text, User: text, Polls: debugpage.Polls{Last: at, Next: at}, Limiter: debugpage.Limiter{Wait: seconds},
				Listeners: []debugpage.Listener{{Kind: text, Consumer: text, Doing: text, Settled: at, Newest: at}},
				Consumers: []debugpage.Consumer{{Name: text, Storage: text}}, Outbox: debugpage.Outbox{Oldest: at, Next: at},
				Errors: []debugpage.Error{{At: at, Where: text, Text: text}},
			}
			for _, format := range []string{"json", "html"} {
				w := ask(t, s, http.MethodGet, "/?format="+format, "")
				require.Equal(t, http.StatusOK, w.Code, "%v %v", at, seconds)
				assert.Equal(t, format == "json", json.Valid(w.Body.Bytes()))
				for _, r := range w.Body.String() {
					require.False(t, r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf), "%q", r)
				}
				assert.True(t, utf8.ValidString(w.Body.String()))
			}
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

// answerOf is an answer as a client reads it.
func answerOf(t *testing.T, status int, body string) error {
	t.Helper()
	client, err := datasource.NewClient(datasource.Config{
		Token: "eu--x", Limiter: datasource.Unlimited(), Retry: datasource.RetryPolicy{MaxAttempts: 1},
		HTTPClient: &http.Client{Transport: trip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
		})},
	})
	require.NoError(t, err)
	_, err = client.DataSourceByName(t.Context(), "the secret name")
	require.Error(t, err)
	return err
}

type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// stranger is what marks an error as one of the program's.
type stranger struct{ error }

func (s stranger) Unwrap() error { return s.error }
func (stranger) Foreign() bool   { return true }

func TestOfAnAnswerTheStatusAndTheWordsOfFlipletAreShown(t *testing.T) {
	t.Parallel()
	const asked = "GET v1/data-sources/…: HTTP "
	for body, want := range map[string]string{
		`{"message":"The security rules for the Data Source \"secret\" do not allow this app to read data.","type":"datasource.access"}`: asked + `400 datasource.access: The security rules for the Data Source "…" do not allow this app to read data.`,
		`{"error":"not authorised","message":"The auth_token provided doesn't belong to any user."}`:                                     asked + "400 not authorised: The auth_token provided doesn't belong to any user.",
		`{"message":"Data source not found"}`:                                                                     asked + "400: Data source not found",
		`{"message":"Data source not found: secret"}`:                                                             asked + "400 Bad Request",
		`{"message":"You've made too many attempts secret"}`:                                                      asked + "400: You've made too many attempts…",
		`{"message":"meet me at the pier","error":"meet me","type":"at the pier","payload":{"a":"secret"}}`:       asked + "400 Bad Request",
		`{"message":"m","type":"file.access","error":"secret","nextValidRequestDate":"2020-02-01T08:10:05.000Z"}`: asked + "400 file.access (next valid request: 2020-02-01T08:10:05Z)",
		`meet me`: asked + "400 Bad Request",
	} {
		err := answerOf(t, 400, body)
		assert.Equal(t, want, debugpage.Answer(fmt.Errorf("of secret: %w", err)), body)
		assert.Equal(t, "*datasource.Error", debugpage.Kind(fmt.Errorf("of secret: %w", err)), body)
		assert.Equal(t, "*datasource.Error", debugpage.Answer(fmt.Errorf("send: %w", stranger{err})), body)
		assert.Equal(t, want, debugpage.Answer(errors.Join(errors.New("secret"), err)), body)
	}
}

func TestOfErrorsOfTheProgramTheTypeAloneIsShown(t *testing.T) {
	t.Parallel()
	own := &datasource.Error{StatusCode: 400, Type: "datasource.access", Message: "Data source not found"}
	for _, err := range []error{
		errors.New("the body was hello"), fmt.Errorf("postgres://me:password@host: %w", errors.New("no")), own,
		fmt.Errorf("of hello: %w", own), fmt.Errorf("of hello: %w", datasource.ErrNoSlot), context.DeadlineExceeded,
	} {
		inner := err
		for errors.Unwrap(inner) != nil {
			inner = errors.Unwrap(inner)
		}
		assert.Equal(t, fmt.Sprintf("%T", inner), debugpage.Kind(err))
	}
	assert.Equal(t, "*datasource.Error", debugpage.Answer(fmt.Errorf("hello: %w", own)), "no client has read it")
	assert.Equal(t, datasource.ErrNoSlot.Error(), debugpage.Answer(fmt.Errorf("of hello: %w", datasource.ErrNoSlot)))
	assert.Equal(t, datasource.ErrImpaired.Error(), debugpage.Impaired(fmt.Errorf("of hello: %w", datasource.ErrImpaired)))
	assert.Equal(t, "*datasource.Error", debugpage.Impaired(fmt.Errorf("of hello: %w", own)))
	assert.Empty(t, debugpage.Kind(nil))
}
