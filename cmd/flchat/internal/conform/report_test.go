package conform

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/profile"
)

// ask asks some probes of an account that deviates.
func ask(t *testing.T, only []string, pull func(*account)) (report *Report) {
	t.Helper()
	local := baseline(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		a.opts.Only, a.opts.Local = only, local
		if pull != nil {
			pull(a)
		}
		var err error
		report, err = Run(t.Context(), a.opts)
		require.NoError(t, err)
	})
	return report
}

func TestAProfileHasWhatChatsHaveToKnow(t *testing.T) {
	only := []string{"across", "joins", "conversations", "poll", "log"}
	for name, x := range map[string]struct {
		pull func(*account)
		want profile.Profile
	}{
		"as the local Fliplet": {nil, profile.Profile{}},
		"sixty joins":          {lever(fliplettest.Query, fliplettest.MaxJoins(60)), profile.Profile{MaxJoins: 60}},
		"no joins":             {lever(fliplettest.Query, fliplettest.MaxJoins(0)), profile.Profile{Joins: profile.Avoid}},
		"no call":              {lever(fliplettest.CrossSource, fliplettest.Status(404)), profile.Profile{CrossSource: profile.Avoid}},
		"no messages in a log": {lever(fliplettest.GetLogs, fliplettest.LogWithoutChats()), profile.Profile{AuditLog: profile.Avoid}},
		"late rows":            {lever(fliplettest.CrossSource, fliplettest.Lag(8*time.Second)), profile.Profile{Overlap: 18 * time.Second}},
		"times that stand": {func(a *account) {
			a.opts.Transport = &proxy{a.opts.Transport, func(x *exchange) {
				if x.is("GET", "/data-sources") {
					for _, s := range (&answer{body: x.body}).list("dataSources") {
						s["updatedAt"] = s["createdAt"]
					}
				}
			}}
		}, profile.Profile{ListTimes: profile.Avoid}},
	} {
		t.Run(name, func(t *testing.T) {
			got := ask(t, only, x.pull).Profile()
			if x.want.Overlap != 0 { // looks are some seconds apart by then
				assert.InDelta(t, x.want.Overlap.Seconds(), got.Overlap.Seconds(), 4)
				got.Overlap = x.want.Overlap
			}
			assert.Equal(t, x.want, got)
			again, err := profile.Parse(got.JSON())
			require.NoError(t, err)
			assert.Equal(t, got, again)
		})
	}
}

func TestWhatIsExpectedOfAnAccountIsCompared(t *testing.T) {
	definitions := func(a *account) {
		a.opts.Transport = &proxy{a.opts.Transport, func(x *exchange) {
			for _, d := range deviations() {
				if d.probe == "sources.definition" {
					d.change(x)
				}
			}
		}}
	}
	only := []string{"sources"}
	failing, fine := ask(t, only, definitions), ask(t, only, nil)
	unexpected := func(r *Report) map[string]string {
		out := map[string]string{}
		for _, res := range r.Results {
			if res.Unexpected != "" {
				out[res.ID] = res.Unexpected
			}
		}
		return out
	}
	failing.Compare(nil)
	assert.Equal(t, map[string]string{"sources.definition": "fails"}, unexpected(failing))
	fine.Compare(nil)
	assert.Empty(t, unexpected(fine))

	name := filepath.Join(t.TempDir(), "expected.json")
	require.NoError(t, os.WriteFile(name, failing.Expectation(), 0o600))
	e, err := ReadExpectation(name)
	require.NoError(t, err)
	failing = ask(t, only, definitions)
	failing.Compare(e)
	assert.Empty(t, unexpected(failing))
	fine.Compare(e)
	assert.Equal(t, map[string]string{"sources.definition": "was expected to fail, and is now documented: replaced"}, unexpected(fine))

	for text, want := range map[string]string{
		`[]`: "is not what --write-expect writes",
		`{"nobody":{"verdict":"fails","observed":""}}`:     `there is no probe "nobody"`,
		`{"rows.id":{"verdict":"good","observed":""}}`:     `there is no verdict "good"`,
		`{"rows.id":{"verdict":"fails","remark":"known"}}`: "is not what --write-expect writes",
	} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		_, err := ReadExpectation(name)
		assert.ErrorContains(t, err, want)
	}
	_, err = ReadExpectation(filepath.Join(t.TempDir(), "none"))
	assert.ErrorContains(t, err, "--write-expect makes one")
}

func TestReportsSayWhatWasFound(t *testing.T) {
	report := ask(t, []string{"rows", "joins", "across"}, func(a *account) {
		lever(fliplettest.Query, fliplettest.MaxJoins(60))(a)
		lever(fliplettest.CrossSource, fliplettest.Status(404))(a)
		lever(fliplettest.GetEntry, fliplettest.WrapEntry())(a)
	})
	report.Compare(Expectation{"rows.id": {Fails, "a text"}})
	dir := t.TempDir()
	_, err := report.Write(dir)
	require.NoError(t, err)
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		return string(text)
	}
	page := read("report.html")
	for _, want := range []string{"fewer than 100", "(60 joins)", "no: 100 or more", "no: bare", "tolerated", "was expected to fail, and is now documented: a number"} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "<script")
	assert.NotContains(t, page, "://")

	var s suite
	require.NoError(t, xml.Unmarshal([]byte(read("junit.xml")), &s))
	assert.Equal(t, len(report.Results), s.Tests)
	assert.Len(t, s.Cases, s.Tests)
	assert.Equal(t, 1, s.Failures)
	assert.Equal(t, report.Count(Skipped), s.Skipped)
	assert.Greater(t, s.Skipped, 10)

	text := read("conform.json")
	var sent struct{ Results []Result }
	require.NoError(t, json.Unmarshal([]byte(text), &sent))
	assert.Len(t, sent.Results, s.Tests)
	for _, mine := range []string{"fliplet.test", "conform@flchat", "hello", report.guard.forms[0]} {
		assert.NotContains(t, text, mine)
	}
	assert.NotRegexp(t, `[0-9a-f]{32}`, text)
	assert.True(t, strings.HasPrefix(text, "{\n  \"conform\": 1,\n  \"day\": \""))

	_, err = profile.Read(filepath.Join(dir, "profile.json"))
	require.NoError(t, err)
}
