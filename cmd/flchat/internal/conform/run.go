package conform

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// Options are what a run needs.
type Options struct {
	URL      string // the base of the API
	Token    string // of a user of Studio: others may not delete data sources
	APIToken string // of the app; "": what needs it is skipped
	App      int64  // in which data sources are made
	Dir      string // of journals
	Only     []string
	// HookURL is where web hooks reach Ear. "": what needs it is skipped.
	HookURL string
	Ear     *Ear `json:"-"`

	Transport http.RoundTripper `json:"-"`
	// Calls and Logs hold requests back. Default: a fifth of the documented limits.
	Calls, Logs datasource.Limiter `json:"-"`
	// Patience is how long something may take to come, Quiet how long nothing has to come to be
	// taken for never, Settle after what time a request of a killed run is over.
	Patience, Quiet, Settle time.Duration
	Progress                func(done, of int, what string) `json:"-"`
	Local                   map[string]string               // what the local Fliplet answers, by probe
}

// A fifth of what is documented for a user, so that the app goes on as ever.
const (
	callsShare = 40 // of 200 in 10 s
	logsShare  = 6  // of 30 in 10 s
	window     = 10 * time.Second
)

func (o *Options) prepare() {
	o.URL = strings.TrimSuffix(o.URL, "/")
	if o.Calls == nil {
		o.Calls = datasource.NewLimiter(callsShare, window)
	}
	if o.Logs == nil {
		o.Logs = datasource.NewLimiter(logsShare, window)
	}
	for at, value := range map[*time.Duration]time.Duration{&o.Patience: 45 * time.Second, &o.Quiet: 10 * time.Second, &o.Settle: 10 * time.Second} {
		if *at == 0 {
			*at = value
		}
	}
	if o.Progress == nil {
		o.Progress = func(int, int, string) {}
	}
}

// Report is what a run has found.
type Report struct {
	Results  []Result
	Writes   []Write // in their order
	Requests int
	Began    time.Time
	Took     time.Duration
	Region   string // eu, us, ca or another
	Secrets  int    // had to be taken out of texts: 0 unless there is a bug
	Left     []string
	Journal  string // of what is left; "" if nothing is

	guard *guard
}

// UsageError is a mistake of whoever called.
type UsageError struct{ text string }

func (e *UsageError) Error() string { return e.text }

// run is one under way.
type run struct {
	Options
	ctx      context.Context
	http     *http.Client
	host     string
	id       string
	guard    *guard
	journal  *journal
	names    map[string]int64 // of what the run has made; 0 while it is not known
	roles    map[int64]string
	files    map[int64]string
	fixtures map[string]*fixture
	probe    string
	writes   []Write
	requests int
	sent     time.Time     // when the last request was
	waited   time.Duration // for the limit, since it refused
	canary   string
	limited  *limited
	headers  []string // that tell of limits
}

func newRun(ctx context.Context, o Options) (*run, error) {
	o.prepare()
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, &UsageError{"the address of the API is not one: give it as https://host"}
	}
	r := &run{
		Options: o, ctx: ctx, host: base.Host, guard: &guard{}, id: random(),
		names: map[string]int64{}, roles: map[int64]string{}, files: map[int64]string{}, fixtures: map[string]*fixture{},
		canary: "canary" + random(),
		http: &http.Client{Transport: o.Transport, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a token goes to nobody else
		}},
	}
	r.guard.add(o.Token, o.APIToken, r.canary)
	return r, nil
}

func random() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// Run asks all probes and cleans up. What it returns is also there beside an error, as far as
// it came. When ctx ends it stops at once, and leaves the journal for [Sweep].
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	r, err := newRun(ctx, o)
	if err != nil {
		return nil, err
	}
	probes, err := r.selected()
	if err != nil {
		return nil, err
	}
	report := &Report{Began: time.Now(), Region: regionOf(r.host), guard: r.guard}
	defer func() {
		report.Took, report.Writes, report.Requests, report.Secrets = time.Since(report.Began), r.writes, r.requests, r.guard.found()
		if r.journal == nil {
			return
		}
		for _, l := range r.journal.left() {
			report.Left = append(report.Left, l.Name)
		}
		if len(report.Left) > 0 {
			report.Journal = r.journal.f.Name()
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		err = errors.Join(err, r.journal.close())
	}()
	if err := r.begin(); err != nil {
		return report, err
	}
	for i := range probes {
		r.Progress(i, len(probes), probes[i].ID)
		result, failed := r.ask(&probes[i])
		if err = failed; err != nil {
			break
		}
		report.Results = append(report.Results, result)
	}
	r.Progress(len(probes), len(probes), "")
	if ctx.Err() == nil {
		r.probe = "clean-up"
		err = errors.Join(err, r.clean(r.journal, false))
	}
	return report, err
}

// selected are the probes to ask.
func (r *run) selected() ([]Probe, error) {
	all := Probes()
	if len(r.Only) == 0 {
		return all, nil
	}
	for _, name := range r.Only {
		if !slices.ContainsFunc(all, func(p Probe) bool { return matches(p.ID, name) }) {
			return nil, &UsageError{fmt.Sprintf("--only: there is no probe %q; give one as the report names it, or the part before the dot", name)}
		}
	}
	return slices.DeleteFunc(all, func(p Probe) bool {
		return !slices.ContainsFunc(r.Only, func(name string) bool { return matches(p.ID, name) })
	}), nil
}

func matches(id, name string) bool { return id == name || strings.HasPrefix(id, name+".") }

// begin looks at the token before anything is made, and whether the first thing that is made can
// be deleted.
func (r *run) begin() (err error) {
	defer r.recovered(&err)
	r.probe = "start"
	user := r.do(call{method: "GET", path: "/v1/user"})
	switch {
	case user.status == http.StatusUnauthorized:
		return &UsageError{"the token was refused: make a new one in Fliplet Studio, or check --region"}
	case user.status >= 400 && user.status < 500 && user.status != http.StatusRequestTimeout && user.status != http.StatusTooManyRequests:
		return &UsageError{fmt.Sprintf("the token may not ask who it belongs to: status %d; give the token of a user of Studio, and check --url", user.status)}
	case !user.ok():
		return &ServiceError{fmt.Sprintf("who the token belongs to cannot be read: status %d; try again later", user.status)}
	}
	who, there := user.object()["user"].(object)
	if !there {
		return &ServiceError{"the answer does not say who the token belongs to, as that of a portal or a gateway: check the network, --url and --region, and try again"}
	}
	if kind, _ := who["type"].(string); kind == "appToken" || kind == "integrationToken" || kind == "apiToken" {
		return &UsageError{"this is an app's token, which may not delete data sources, so everything that is made would stay: give the token of a user of Studio, and this one with --api-token-file"}
	}
	if r.journal, err = createJournal(r.Dir, line{Run: r.id, Host: r.host, App: r.App}); err != nil {
		return err
	}
	made, said := r.make("first", nil)
	if said.status >= http.StatusInternalServerError {
		return &ServiceError{fmt.Sprintf("no data source can be made now: status %d; sweep, and try again later", said.status)}
	}
	if said.ok() && made == 0 {
		return &ServiceError{"the answer to a new data source is not one of Fliplet: check the network and --url; sweep, and try again"}
	}
	if made == 0 {
		return &UsageError{fmt.Sprintf("no data source can be made in app %d: check --app, and that the token's user may edit the app", r.App)}
	}
	if err := r.clean(r.journal, false); err != nil {
		return fmt.Errorf("the first data source that was made cannot be deleted, so nothing else was made; delete %q in Studio: %w", r.journal.left()[0].Name, err)
	}
	return nil
}

// ask asks one probe.
func (r *run) ask(p *Probe) (result Result, err error) {
	result = Result{ID: p.ID, Section: p.Section, Fact: p.Fact, Known: p.Known, Expect: p.Expect, Local: r.Local[p.ID]}
	began := time.Now()
	defer func() { result.Took = time.Since(began) }()
	defer r.recovered(&err)
	defer func() {
		switch why := recover().(type) {
		case nil:
		case skipped:
			result.Verdict, result.Observed = Skipped, why.why
		default:
			panic(why)
		}
	}()
	r.probe = p.ID
	a := &asker{run: r}
	result.Observed = r.guard.clean(p.ask(a))
	result.Verdict = p.verdict(result.Observed)
	result.Measured, result.Unit = a.measured, a.unit
	return result, nil
}

// recovered makes an error of a stop.
func (r *run) recovered(err *error) {
	switch why := recover().(type) {
	case nil:
	case stopped:
		*err = why.err
	default:
		panic(why)
	}
}

// pause waits, and stops the run when it ends.
func (r *run) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ctx.Done():
		panic(stopped{context.Cause(r.ctx)})
	}
}

// until asks again and again until it holds, and returns after what time the request was sent that
// showed it. ok is false if patience has ended before.
func (r *run) until(holds func() bool) (took time.Duration, ok bool) {
	return r.within(r.Patience, holds)
}

func (r *run) within(patience time.Duration, holds func() bool) (took time.Duration, ok bool) {
	began, waited := time.Now(), r.waited
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		if holds() {
			return max(0, r.sent.Sub(began)-(r.waited-waited)), true
		}
		if time.Since(began) > patience {
			return 0, false
		}
		r.pause(wait)
	}
}

// room waits until the pace lets some requests through at once, so that none waits while a time is
// measured.
func (r *run) room() {
	const some = 8
	for {
		used, of, _ := r.Calls.Load()
		if of == 0 || of-used >= some {
			return
		}
		r.pause(250 * time.Millisecond)
	}
}

func regionOf(host string) string {
	for region, api := range map[string]string{"eu": "api.fliplet.com", "us": "us.api.fliplet.com", "ca": "ca.api.fliplet.com"} {
		if host == api {
			return region
		}
	}
	return "another"
}
