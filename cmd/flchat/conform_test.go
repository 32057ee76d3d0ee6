package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/profile"
)

// studio is a local Fliplet with a user of Studio, whose token is in the environment, and the flags for it.
func studio(t *testing.T) (srv *fliplettest.Server, flags []string) {
	t.Helper()
	srv = fliplettest.New(t)
	t.Setenv("FLIPLET_TOKEN", srv.AddUser("studio@example.org", "Stu", "Dio", "a password"))
	dir := t.TempDir()
	return srv, []string{
		"conform", "-o", "text", "--url", srv.URL, "--app", "1",
		"--report", filepath.Join(dir, "report"), "--journals", filepath.Join(dir, "journals"),
	}
}

func TestConformPrintsItsWritesAndSendsNothing(t *testing.T) {
	srv, flags := studio(t)
	r := callWith(t, strings.NewReader(""), flags...)
	require.Equal(t, exitOK, r.code, r.errs)
	assert.Contains(t, r.out, "Nothing was sent")
	assert.Contains(t, r.out, "POST   /v1/data-sources  ")
	assert.Contains(t, r.out, "DELETE /v1/data-sources/deleted/{list}")
	assert.Regexp(t, `\d+ probes, \d+ requests, of which these \d+ write`, r.out)
	assert.Empty(t, srv.Requests())
	t.Setenv("FLIPLET_TOKEN", "") // it is not even needed
	r = callWith(t, strings.NewReader(""), "conform", "-o", "json", "--only", "rows")
	require.Equal(t, exitOK, r.code, r.errs)
	assert.Equal(t, "POST", r.objects(t)[0]["method"])
}

func TestConformReportsOnAnAccount(t *testing.T) {
	_, flags := studio(t)
	flags = append(flags, "--run", "--only", "reach", "--only", "rows.id")
	r := callWith(t, strings.NewReader(""), flags...)
	require.Equal(t, exitOK, r.code, r.errs)
	assert.Contains(t, r.out, "0 fails, ")
	assert.Contains(t, r.out, "0 not as the local Fliplet")
	dir := flags[8]
	p, err := profile.Read(filepath.Join(dir, "profile.json"))
	require.NoError(t, err)
	assert.Zero(t, p)
	for _, name := range []string{"report.html", "junit.xml", "conform.json"} {
		assert.FileExists(t, filepath.Join(dir, name))
	}
}

func TestConformEndsWithOneForWhatIsNotAsExpected(t *testing.T) {
	srv, flags := studio(t)
	file := filepath.Join(t.TempDir(), "expected.json")
	flags = append(flags, "--run", "--only", "reach.errors")
	lever := srv.Always(fliplettest.GetEntry, fliplettest.Answer(200, "{}"))
	r := callWith(t, strings.NewReader(""), append(flags, "--write-expect", file)...)
	require.Equal(t, exitOther, r.code, r.errs)
	assert.Contains(t, r.out, "reach.errors: An error is JSON with a message. a success")
	r = callWith(t, strings.NewReader(""), append(flags, "--expect", file)...)
	require.Equal(t, exitOK, r.code, "what is expected to fail may")
	lever.Off()
	r = callWith(t, strings.NewReader(""), append(flags, "--expect", file)...)
	require.Equal(t, exitOther, r.code)
	assert.Contains(t, r.out, "was expected to fail, and is now documented: a message")
}

func TestConformSaysHowToGoOnAfterCtrlC(t *testing.T) {
	srv, flags := studio(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	srv.Always(fliplettest.GetEntry, fliplettest.Delay(time.Hour))
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for srv.Count(fliplettest.Insert) == 0 && t.Context().Err() == nil { // something has been made by then
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	var out, errs bytes.Buffer
	code := run(ctx, append(flags, "--run", "--only", "rows"), strings.NewReader(""), &out, &errs)
	<-asked
	assert.Equal(t, exitInterrupted, code)
	assert.Contains(t, errs.String(), "To delete them: flchat conform --sweep. Then begin anew.")
	srv.Release()
	require.NotEmpty(t, srv.Sources())
	r := callWith(t, strings.NewReader(""), append(flags, "--sweep")...)
	require.Equal(t, exitOK, r.code, r.errs)
	assert.Contains(t, r.out, "1 runs, ")
	assert.Empty(t, srv.Sources())
}

func TestConformRefusesWhatCannotWork(t *testing.T) {
	srv, flags := studio(t)
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	garbage := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(garbage, "garbage.journal"), []byte("garbage\n"), 0o600))
	for want, x := range map[string]struct {
		args []string
		env  string
		code int
	}{
		"--app: give the id of the app":                        {args: []string{"--run", "--app", "0"}, code: exitUsage},
		"give the token of a user of Studio":                   {args: []string{"--run"}, env: srv.Token, code: exitUsage},
		"the token was refused":                                {args: []string{"--run"}, env: "eu--nobodys", code: exitUsage},
		"no data source can be made in app 99":                 {args: []string{"--run", "--app", "99"}, code: exitUsage},
		`there is no probe "nobody"`:                           {args: []string{"--run", "--only", "nobody"}, code: exitUsage},
		"--hook-url and --hook-listen: give both":              {args: []string{"--hook-url", "https://example.org"}, code: exitUsage},
		"--hook-listen: ":                                      {args: []string{"--run", "--hook-url", "https://example.org", "--hook-listen", "nowhere"}, code: exitUsage},
		"--expect: ":                                           {args: []string{"--run", "--expect", empty + "/no"}, code: exitUsage},
		"--api-token-file: " + empty + " is empty":             {args: []string{"--api-token-file", empty}, code: exitUsage},
		"--sweep: a local Fliplet":                             {args: []string{"--sweep", "--local"}, code: exitUsage},
		"--journals: mkdir ":                                   {args: []string{"--run", "--journals", empty + "/none"}, code: exitUsage},
		"garbage.journal: not a journal of flchat conform":     {args: []string{"--sweep", "--journals", garbage}, code: exitUsage},
		"can't be used together":                               {args: []string{"--run", "--sweep"}, code: exitUsage},
		"no answer to GET /v1/user":                            {args: []string{"--run", "--url", "http://127.0.0.1:1"}, code: exitService},
		"the address of the API is not one":                    {args: []string{"--run", "--url", "ftp:x"}, code: exitUsage},
		"--region us: the token belongs to eu; leave the flag": {args: []string{"--run", "--region", "us", "--url="}, env: "eu--x", code: exitUsage},
	} {
		if x.env != "" {
			t.Setenv("FLIPLET_TOKEN", x.env)
		} else {
			t.Setenv("FLIPLET_TOKEN", srv.AddUser(want+"@example.org", "Stu", "Dio", "a password"))
		}
		r := callWith(t, strings.NewReader(""), append(append(flags, "--only", "reach.user"), x.args...)...)
		assert.Equal(t, x.code, r.code, want)
		assert.Contains(t, r.errs, want)
		assert.NotContains(t, r.errs, srv.Token)
	}
	assert.Empty(t, srv.Sources())
}

func TestConformTellsAServiceThatFailsFromATokenThatIsRefused(t *testing.T) {
	srv, flags := studio(t)
	for _, tt := range []struct {
		what  string
		fault fliplettest.Fault
		want  string
		code  int
	}{
		{"a portal", fliplettest.Answer(200, "<html>log in</html>"), "check the network, --url and --region", exitService},
		{"another API", fliplettest.Answer(200, `{"hello": 1}`), "check the network, --url and --region", exitService},
		{"nothing", fliplettest.EmptyBody(), "check the network, --url and --region", exitService},
		{"down", fliplettest.Status(503), "try again later", exitService},
		{"forbidden", fliplettest.Status(403), "the token may not ask who it belongs to: status 403; give the token of a user", exitUsage},
	} {
		lever := srv.Always(fliplettest.AnyRoute, tt.fault)
		r := callWith(t, strings.NewReader(""), append(flags, "--run", "--only", "reach.user")...)
		assert.Equal(t, tt.code, r.code, "%s: %s", tt.what, r.errs)
		assert.Contains(t, r.errs, tt.want, tt.what)
		lever.Off()
	}
	assert.Empty(t, srv.Sources())
}

func TestConformOfTheLocalFliplet(t *testing.T) {
	r := callWith(t, strings.NewReader(""), "conform", "--local", "--run", "-o", "json", "--report", t.TempDir())
	require.Equal(t, exitOK, r.code, r.errs)
	assert.Greater(t, len(r.objects(t)), 150)
}
