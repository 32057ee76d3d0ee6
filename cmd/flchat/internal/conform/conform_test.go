package conform

import (
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// account is a local Fliplet in process, and what a run on it needs.
type account struct {
	*fliplettest.Server
	opts Options
	user string // a token
}

func newAccount(t *testing.T, opts ...fliplettest.Option) *account {
	t.Helper()
	ear := &Ear{}
	server := fliplettest.New(t, append(opts, fliplettest.InProcess(), fliplettest.OnHook(http.HandlerFunc(ear.ServeHTTP)))...)
	user := server.AddUser("conform@flchat.invalid", "Flchat", "Conform", "a password")
	return &account{server, Options{
		URL: server.URL, Transport: server.Transport(), App: server.AppID, Dir: t.TempDir(), Ear: ear, HookURL: "http://localhost/",
		Token: user, APIToken: server.Token,
	}, user}
}

func TestTheLocalFlipletIsAsDocumented(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		report, err := Run(t.Context(), a.opts)
		require.NoError(t, err)
		for _, r := range report.Results {
			switch {
			case r.ID == "reach.limit-scope":
				assert.Equal(t, Skipped, r.Verdict)
			case r.Known == Open:
				assert.Equal(t, Informational, r.Verdict, "%s: %s", r.ID, r.Observed)
				assert.Equal(t, r.Expect, r.Observed, r.ID)
			default:
				assert.Equal(t, AsDocumented, r.Verdict, "%s: %s", r.ID, r.Observed)
			}
		}
		t.Log(report.Requests, "requests,", len(report.Writes), "writes,", len(report.Results), "probes,", report.Took)
		a.isClean(t)
	})
}

// isClean asserts that nothing is left of a run, in the app or in its trash.
func (a *account) isClean(t *testing.T) {
	t.Helper()
	for _, list := range []string{"/v1/data-sources", "/v1/data-sources/deleted", "/v1/media", "/v1/media/deleted"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.URL+list+"?appId=1", http.NoBody)
		require.NoError(t, err)
		req.Header.Set("Auth-token", a.user)
		res, err := (&http.Client{Transport: a.Transport()}).Do(req)
		require.NoError(t, err)
		text, err := io.ReadAll(res.Body)
		require.NoError(t, errors.Join(err, res.Body.Close()))
		require.Equal(t, http.StatusOK, res.StatusCode)
		assert.NotRegexp(t, "flchat.conform", string(text), list)
	}
}

func TestThePageNamesProbesThatThereAre(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/conform.md")
	require.NoError(t, err)
	known := map[string]bool{}
	for _, p := range Probes() {
		known[p.ID] = true
	}
	named := regexp.MustCompile("`((?:across|batch|conversations|files|hooks|joins|log|messages|poll|query|reach|rights|rows|sizes|sources)\\.[a-z0-9-]+)`").FindAllStringSubmatch(string(text), -1)
	assert.Greater(t, len(named), 40)
	for _, n := range named {
		assert.True(t, known[n[1]], n[1])
	}
}

func TestEveryProbeHasASectionOfTheProtocol(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/protocol.md")
	require.NoError(t, err)
	seen := map[string]bool{}
	phrase := regexp.MustCompile(`^[a-zA-Z0-9 ,.-]+$`)
	for _, p := range Probes() {
		assert.True(t, strings.Contains(string(text), "\n## "+p.Section+"\n"), "%s: there is no section %s", p.ID, p.Section)
		assert.False(t, seen[p.ID], p.ID)
		seen[p.ID] = true
		assert.Regexp(t, phrase, p.Expect, p.ID)
		assert.True(t, strings.HasSuffix(p.Fact, "."), p.ID)
		assert.NotNil(t, p.ask, p.ID)
		if p.Known == Open {
			assert.Empty(t, p.Copes, p.ID)
		}
	}
	assert.GreaterOrEqual(t, len(seen), 80)
}

func TestThePlanHoldsNothingThatATerminalObeys(t *testing.T) {
	report, err := Rehearse(t.Context(), Options{App: 1, Only: []string{"rows"}})
	require.NoError(t, err)
	plan := report.Plan()
	assert.Contains(t, plan, `\u007f\u0085z`)
	for _, r := range plan {
		require.True(t, r == '\n' || unicode.IsPrint(r), "%U", r)
	}
}
