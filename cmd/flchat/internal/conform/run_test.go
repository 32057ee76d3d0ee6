package conform

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
)

// tap records what a run sends.
type tap struct {
	next http.RoundTripper
	mu   sync.Mutex
	sent []sent
}

type sent struct {
	at     time.Time
	method string
	url    string
	path   string
	made   int64 // the data source that the answer has made
}

func (p *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	s := sent{at: time.Now(), method: r.Method, url: r.URL.String(), path: r.URL.Path}
	res, err := p.next.RoundTrip(r)
	if err == nil && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/data-sources") {
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		s.made = id((&answer{body: decode(raw)}).source()["id"])
		res.Body = io.NopCloser(strings.NewReader(string(raw)))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, s)
	return res, err
}

func (a *account) tapped() *tap {
	p := &tap{next: a.opts.Transport}
	a.opts.Transport = p
	return p
}

func TestARunKeepsToAFifthOfTheLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		p := a.tapped()
		_, err := Run(t.Context(), a.opts)
		require.NoError(t, err)
		require.Greater(t, len(p.sent), 300)
		for i := range p.sent {
			calls, logs := 0, 0
			for _, s := range p.sent[i:] {
				if s.at.Sub(p.sent[i].at) >= 10*time.Second {
					break
				}
				if strings.HasSuffix(s.path, "/logs") {
					logs++
				} else {
					calls++
				}
			}
			require.LessOrEqual(t, calls, 40)
			require.LessOrEqual(t, logs, 6)
		}
	})
}

func TestARunTouchesOnlyWhatItHasMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		contacts, rows := a.AddContacts(datasource.M{"Email": "jane@example.org", "flUserId": "jane", "flUserToken": "a token of hers"})
		talk := a.AddDataSource(datasource.M{"name": "Talk", "type": "conversation", "definition": datasource.M{"participants": []any{"jane"}}})
		a.AddRows(talk, datasource.M{"body": "hello"})
		before := []any{a.Sources(), a.Rows(contacts), a.Rows(talk), rows}
		p := a.tapped()
		_, err := Run(t.Context(), a.opts)
		require.NoError(t, err)
		assert.Equal(t, before, []any{a.Sources(), a.Rows(contacts), a.Rows(talk), rows})
		made := map[int64]bool{}
		for _, s := range p.sent {
			made[s.made] = true
			parts := strings.Split(strings.Trim(s.path, "/"), "/")
			if len(parts) < 3 || parts[1] != "data-sources" {
				continue
			}
			if n, err := strconv.ParseInt(strings.TrimPrefix(strings.Join(parts[2:min(4, len(parts))], "/"), "deleted/"), 10, 64); err == nil {
				assert.True(t, made[n], "%s %s", s.method, s.path)
			} else if n, err := strconv.ParseInt(parts[2], 10, 64); err == nil {
				assert.True(t, made[n], "%s %s", s.method, s.path)
			}
		}
	})
}

func TestARequestForAnythingElseIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		talk := a.AddDataSource(datasource.M{"name": "Talk"})
		p := a.tapped()
		r, err := newRun(t.Context(), a.opts)
		require.NoError(t, err)
		for _, c := range []call{
			{method: "GET", path: path(talk)},
			{method: "PUT", path: path(talk), body: object{}},
			{method: "DELETE", path: path(talk)},
			{method: "DELETE", path: "/v1/data-sources/deleted/" + number64(talk)},
			{method: "POST", path: path(talk) + "/data/query", body: object{}},
			{method: "GET", path: "/v1/data-sources/Talk"},
			{method: "DELETE", path: "/v1/media/files/7"},
			{method: "DELETE", path: "/v1/media/deleted/files/7"},
			{method: "POST", path: "/v1/media/files", body: object{}},
			{method: "POST", path: "/v1/apps", body: object{}},
			{method: "PUT", path: "/v1/user", body: object{}},
			{method: "POST", path: "/v1/organizations/1/tokens", body: object{}},
			{method: "DELETE", path: "/v1/apps/1"},
		} {
			err := func() (err error) {
				defer r.recovered(&err)
				r.do(c)
				return nil
			}()
			assert.ErrorContains(t, err, "about something that this run has not made", "%s %s", c.method, c.path)
		}
		assert.Empty(t, p.sent)
	})
}

func TestCtrlCEndsARunWithinASecondAndASweepCleansUp(t *testing.T) {
	for _, hangs := range []fliplettest.Route{"", fliplettest.Query, fliplettest.CreateSource, fliplettest.Insert} {
		t.Run(string(hangs), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var stopped time.Time
				a.opts.Progress = func(done, _ int, _ string) {
					if done != 40 {
						return
					}
					if hangs != "" {
						a.Always(hangs, fliplettest.DelayAnswer(time.Hour))
					}
					time.AfterFunc(30*time.Second, func() { stopped = time.Now(); cancel() })
				}
				report, err := Run(ctx, a.opts)
				require.ErrorIs(t, err, context.Canceled)
				assert.Less(t, time.Since(stopped), time.Second)
				assert.NotEmpty(t, report.Left)
				assert.FileExists(t, report.Journal)
				a.Release()
				time.Sleep(time.Hour) // what the service still had to do
				swept, err := Sweep(t.Context(), a.opts)
				require.NoError(t, err)
				assert.Equal(t, len(report.Left), swept.Things)
				a.isClean(t)
				left, err := os.ReadDir(a.opts.Dir)
				require.NoError(t, err)
				assert.Empty(t, left)
			})
		})
	}
}

func TestAServiceThatFailsIsSaidAndWhatWasMadeIsInTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		a.opts.Progress = func(done, _ int, _ string) {
			if done == 40 {
				a.Always(fliplettest.AnyRoute, fliplettest.LoseRequest())
			}
		}
		report, err := Run(t.Context(), a.opts)
		var failed *ServiceError
		require.ErrorAs(t, err, &failed)
		assert.NotEmpty(t, report.Left)
		a.Release()
		_, err = Sweep(t.Context(), a.opts)
		require.NoError(t, err)
		a.isClean(t)
	})
}

func TestAServiceThatFailsAtTheBeginningIsNoMistakeOfTheUser(t *testing.T) {
	for _, route := range []fliplettest.Route{fliplettest.User, fliplettest.CreateSource} {
		synctest.Test(t, func(t *testing.T) {
			a := newAccount(t)
			a.Always(route, fliplettest.Status(503))
			_, err := Run(t.Context(), a.opts)
			var failed *ServiceError
			require.ErrorAs(t, err, &failed)
			a.Release()
			_, err = Sweep(t.Context(), a.opts)
			require.NoError(t, err)
			a.isClean(t)
		})
	}
}

func TestATokenThatCouldNotCleanUpMakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		a.opts.Token = a.Token
		_, err := Run(t.Context(), a.opts)
		var usage *UsageError
		require.ErrorAs(t, err, &usage)
		assert.ErrorContains(t, err, "give the token of a user of Studio")
		a.opts.Token = "eu--unknown-token"
		_, err = Run(t.Context(), a.opts)
		require.ErrorAs(t, err, &usage)
		assert.ErrorContains(t, err, "the token was refused")
		a.isClean(t)
	})
}

// What is made first is deleted before anything else is made.
func TestARunStopsAtOnceWhereNothingCanBeDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		lever := a.Always(fliplettest.DeleteSource, fliplettest.Status(403))
		report, err := Run(t.Context(), a.opts)
		require.ErrorContains(t, err, "cannot be deleted, so nothing else was made")
		assert.Empty(t, report.Results)
		assert.Len(t, a.Sources(), 1)
		lever.Off()
		_, err = Sweep(t.Context(), a.opts)
		require.NoError(t, err)
		a.isClean(t)
	})
}

func TestOneOfAnUnknownNameIsRefused(t *testing.T) {
	a := newAccount(t)
	a.opts.Only = []string{"rows", "nobody"}
	_, err := Run(t.Context(), a.opts)
	assert.ErrorContains(t, err, `there is no probe "nobody"`)
	a.opts.Only, a.opts.URL = nil, "no address"
	_, err = Run(t.Context(), a.opts)
	assert.ErrorContains(t, err, "the address of the API is not one")
}

func TestTheDryRunNamesEveryWriteOfARun(t *testing.T) {
	local, err := rehearsed()
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		p := a.tapped()
		report, err := Run(t.Context(), a.opts)
		require.NoError(t, err)
		names := func(r *Report) (out []string) {
			for _, w := range r.Writes {
				out = append(out, w.Probe+" "+w.Method+" "+w.Path)
			}
			return out
		}
		assert.Equal(t, names(local), names(report))
		writes := 0
		for _, s := range p.sent {
			if c := (call{method: s.method, path: s.path}); c.writes() {
				writes++
			}
		}
		assert.Equal(t, len(local.Writes), writes+2) // two queries change rows, which their paths do not show
		plan := local.Plan()
		assert.Contains(t, plan, "DELETE /v1/data-sources/deleted/{conversation}")
		assert.NotRegexp(t, `[0-9a-f]{32}`, plan)
	})
}

func TestAJournalSurvivesWhatMayHappenToIt(t *testing.T) {
	dir := t.TempDir()
	j, err := createJournal(dir, line{Run: "r", Host: "h", App: 1})
	require.NoError(t, err)
	_, err = openJournal(filepath.Join(dir, "r.journal"))
	require.ErrorIs(t, err, errBusy)
	require.NoError(t, j.write(line{Do: "make", Kind: dataSource, Name: "a"}))
	require.NoError(t, j.write(line{Do: "make", Kind: dataSource, Name: "b"}))
	require.NoError(t, j.write(line{Do: "made", Kind: dataSource, Name: "b", ID: 7}))
	require.NoError(t, j.write(line{Do: "gone", Kind: dataSource, Name: "a"}))
	_, err = j.f.WriteString(`{"do":"make","kind":"data sou`) // killed here
	require.NoError(t, err)
	require.NoError(t, j.f.Close())
	j, err = openJournal(filepath.Join(dir, "r.journal"))
	require.NoError(t, err)
	assert.Equal(t, []line{{Do: "make", Kind: dataSource, Name: "b", ID: 7}}, j.left())
	require.NoError(t, j.write(line{Do: "gone", Kind: dataSource, Name: "b"}))
	require.NoError(t, j.f.Close())
	j, err = openJournal(filepath.Join(dir, "r.journal"))
	require.NoError(t, err)
	assert.Empty(t, j.left())
	require.NoError(t, j.close())
	assert.NoFileExists(t, filepath.Join(dir, "r.journal"))

	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.journal"), []byte("a diary\n"), 0o600))
	_, err = Sweep(t.Context(), Options{URL: "http://h", Dir: dir})
	require.ErrorContains(t, err, "not a journal of flchat conform")
}

func TestASweepOnAnotherHostTouchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		j, err := createJournal(a.opts.Dir, line{Run: "r", Host: "api.fliplet.com", App: 1})
		require.NoError(t, err)
		require.NoError(t, j.write(line{Do: "make", Kind: dataSource, Name: "a"}))
		require.NoError(t, j.f.Close())
		p := a.tapped()
		_, err = Sweep(t.Context(), a.opts)
		require.ErrorContains(t, err, "this run was on api.fliplet.com")
		assert.Empty(t, p.sent)
	})
}

func TestWhatWasMadeTwiceIsDeletedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		a.opts.Only = []string{"rows", "files"}
		lever := a.Always(fliplettest.CreateSource, fliplettest.Twice())
		_, err := Run(t.Context(), a.opts)
		require.NoError(t, err)
		assert.Positive(t, lever.Hits())
		a.isClean(t)
	})
}

func TestASweepDoesNotTakeAPageOfAGatewayForAnEmptyList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		a.Next(1, fliplettest.CreateSource, fliplettest.LoseAnswer()) // its id is in no journal
		_, err := Run(ctx, a.opts)
		require.Error(t, err)
		lever := a.Always(fliplettest.ListSources, fliplettest.Answer(200, "<html>Welcome to the portal</html>"))
		_, err = Sweep(t.Context(), a.opts)
		require.ErrorContains(t, err, "the answer has no dataSources")
		lever.Off()
		swept, err := Sweep(t.Context(), a.opts)
		require.NoError(t, err)
		assert.Equal(t, 1, swept.Things)
		a.isClean(t)
	})
}

// A data source that somebody else has called so, as far as that is possible, has another id.
func TestAnIDInAJournalIsOfNoUseWithoutTheName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t)
		foreign := a.AddDataSource(datasource.M{"name": "Orders"})
		j, err := createJournal(a.opts.Dir, line{Run: "r", Host: "fliplet.test", App: 1})
		require.NoError(t, err)
		require.NoError(t, j.write(line{Do: "make", Kind: dataSource, Name: "flchat conform r first"}))
		require.NoError(t, j.write(line{Do: "made", Kind: dataSource, Name: "flchat conform r first", ID: foreign}))
		require.NoError(t, j.f.Close())
		_, err = Sweep(t.Context(), a.opts)
		require.NoError(t, err)
		assert.Len(t, a.Sources(), 1)
	})
}

// echo is a service that repeats all it was sent wherever it can.
type echo struct{ next http.RoundTripper }

func (e *echo) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	all := r.URL.String() + r.Header.Get("Auth-token") + r.Header.Get("Authorization") + r.Header.Get("Cookie") + string(body)
	if strings.HasSuffix(r.URL.Path, "/logs") {
		return nil, errors.New("lost: " + all)
	}
	res, err := e.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Header.Set("X-RateLimit-Remaining", all)
	res.Header.Set("X-RateLimit-"+r.Header.Get("Auth-token"), "1")
	if res.StatusCode >= 400 {
		text, _ := json.Marshal(object{"message": all, "type": all, "error": all}) //nolint:errchkjson // texts
		res.Body = io.NopCloser(strings.NewReader(string(text)))
	}
	return res, nil
}

func TestNoSecretIsWrittenAnywhere(t *testing.T) {
	for name, loud := range map[string]bool{"a service as it should be": false, "a service that repeats everything": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t)
				if loud {
					a.opts.Transport = &echo{a.opts.Transport}
				}
				p := a.tapped()
				var written strings.Builder
				a.opts.Progress = func(_, _ int, what string) {
					written.WriteString(what)
					names, _ := journals(a.opts.Dir)
					for _, n := range names {
						text, err := os.ReadFile(n)
						require.NoError(t, err)
						written.Write(text)
					}
				}
				report, err := Run(t.Context(), a.opts)
				assert.Equal(t, loud, err != nil)
				if err != nil {
					written.WriteString(err.Error())
				}
				dir := t.TempDir()
				report.Compare(nil)
				names, err := report.Write(dir)
				require.NoError(t, err)
				require.Len(t, names, 4)
				for _, n := range names {
					text, err := os.ReadFile(n)
					require.NoError(t, err)
					written.Write(text)
				}
				written.WriteString(report.Plan())
				written.Write(report.Expectation())
				if !loud {
					assert.Zero(t, report.Secrets, "something had to be taken out")
				}
				secrets := &guard{}
				secrets.add(a.opts.Token, a.opts.APIToken)
				secrets.forms = append(secrets.forms, report.guard.forms...)
				secrets.clean(written.String())
				assert.Zero(t, secrets.found(), "a secret is in what was written")

				// Addresses get into logs on the way. The protocol wants a person's token in one place.
				for _, s := range p.sent {
					tokens := &guard{}
					tokens.add(a.opts.Token, a.opts.APIToken)
					tokens.clean(s.url)
					assert.Zero(t, tokens.found(), "a token is in an address")
					secrets.clean(strings.Split(s.url, "flUserToken=")[0])
					if strings.Contains(s.url, "flUserToken=") {
						assert.Equal(t, http.MethodPut, s.method)
					}
				}
				assert.Zero(t, secrets.found(), "a secret is in an address")
			})
		})
	}
}

func TestTheGuardFindsSecretsInAllTheirForms(t *testing.T) {
	g := &guard{}
	g.add("eu--s3cret/+\"token")
	for _, text := range []string{
		"eu--s3cret/+\"token", `{"a":"eu--s3cret/+\"token"}`, "?auth_token=eu--s3cret%2F%2B%22token",
		"Bearer ZXUtLXMzY3JldC8rInRva2Vu", "aHR0cHM6Ly94P2F1dGhfdG9rZW49ZXUtLXMzY3JldC8rInRva2Vu",
	} {
		assert.NotEqual(t, text, g.clean(text))
	}
	assert.Equal(t, 5, g.found())
	assert.Equal(t, "eu--another", g.clean("eu--another"))
}
