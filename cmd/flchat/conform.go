package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/conform"
)

// apiTokenVariable has the API token of the app, which is no flag.
const apiTokenVariable = "FLIPLET_APP_TOKEN" //nolint:gosec // a name

type conformCmd struct {
	Go           bool     `name:"run" xor:"mode" help:"Ask the account. Without it nothing is sent, and every write that would be made is printed."`
	Sweep        bool     `xor:"mode" help:"Delete what runs have left behind that were killed. It takes --run's token and address."`
	Report       string   `placeholder:"DIR" default:"conform-report" help:"Where the reports go: report.html, junit.xml, conform.json to send in, profile.json for chats."`
	Expect       string   `placeholder:"FILE" help:"What is expected of the account, as --write-expect has written it. The status is 1 for whatever differs, what is better, too."`
	WriteExpect  string   `placeholder:"FILE" help:"Write what was found, for a later --expect."`
	APITokenFile string   `name:"api-token-file" placeholder:"FILE" help:"An API token of the app, for what it may do. FLIPLET_APP_TOKEN does the same."`
	HookURL      string   `name:"hook-url" placeholder:"URL" help:"An address at which Fliplet reaches --hook-listen, for web hooks."`
	HookListen   string   `name:"hook-listen" placeholder:"ADDRESS" help:"Where to listen for web hooks, such as :8080."`
	Only         []string `placeholder:"PROBE" help:"These probes, or groups of them, alone."`
	Journals     string   `placeholder:"DIR" help:"Where runs keep track of what they have made. Default: flchat/conform in your directory of configurations."`
}

// Run prints a plan, asks, or sweeps.
func (cmd *conformCmd) Run(a *app) error {
	if (cmd.HookURL == "") != (cmd.HookListen == "") {
		return usagef("--hook-url and --hook-listen: give both, the address that Fliplet calls and the one that flchat listens on, or neither")
	}
	var expect conform.Expectation
	if cmd.Expect != "" {
		var err error
		if expect, err = conform.ReadExpectation(cmd.Expect); err != nil {
			return cmd.said(a, nil, err)
		}
	}
	opts := conform.Options{App: a.App, Only: cmd.Only, HookURL: cmd.HookURL, Dir: cmd.Journals}
	if opts.Dir == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return usagef("--journals: %s; name a directory", err)
		}
		opts.Dir = filepath.Join(dir, "flchat", "conform")
	}
	var err error
	if opts.APIToken, err = cmd.apiToken(a); err != nil {
		return err
	}
	if cmd.Sweep && a.Local {
		return usagef("--sweep: a local Fliplet of this command's has nothing that an earlier one has left; leave out --local")
	}
	if !cmd.Go && !cmd.Sweep {
		return cmd.plan(a, opts)
	}
	if a.Local {
		report, err := conform.Rehearse(a.ctx, conform.Options{App: a.App, Only: cmd.Only, APIToken: "local", HookURL: "local"})
		if err != nil {
			return cmd.said(a, report, err)
		}
		for i := range report.Results {
			report.Results[i].Local = report.Results[i].Observed
		}
		return cmd.finish(a, report, expect)
	}
	if opts.Token, err = a.token(a.ctx); err != nil {
		return err
	}
	if opts.URL, err = a.base(opts.Token); err != nil {
		return err
	}
	if cmd.Sweep {
		return cmd.sweep(a, opts)
	}
	if a.App <= 0 {
		return usagef("--app: give the id of the app in which data sources are made for a few minutes, or set FLIPLET_APP_ID; best is one that nobody uses")
	}
	return cmd.ask(a, opts, expect)
}

// base is the address of the API.
func (a *app) base(token string) (string, error) {
	of, _, _ := strings.Cut(strings.ToLower(token), "--")
	switch {
	case a.URL != "":
		return a.URL, nil
	case a.Region != "" && apis[of] != "" && of != a.Region:
		return "", usagef("--region %s: the token belongs to %s; leave the flag out, or give a token of an app in %s", a.Region, of, a.Region)
	case a.Region != "":
		return apis[a.Region], nil
	case apis[of] != "":
		return apis[of], nil
	}
	return apis["eu"], nil
}

func (cmd *conformCmd) apiToken(a *app) (string, error) {
	if cmd.APITokenFile == "" {
		return strings.TrimSpace(os.Getenv(apiTokenVariable)), nil
	}
	text, err := readSmallFile(cmd.APITokenFile, a.errs)
	if err != nil {
		return "", usagef("--api-token-file: %s", err)
	}
	if text := strings.TrimSpace(string(text)); text != "" {
		return text, nil
	}
	return "", usagef("--api-token-file: %s is empty; write the token into it", cmd.APITokenFile)
}

// plan prints what a run would write, by playing it to a local Fliplet.
func (cmd *conformCmd) plan(a *app, opts conform.Options) error {
	report, err := conform.Rehearse(a.ctx, opts)
	if err != nil {
		return cmd.said(a, report, err)
	}
	if a.out.json {
		for _, w := range report.Writes {
			if err := a.out.JSON(w); err != nil {
				return err
			}
		}
		return nil
	}
	a.out.Printf("These are the writes of a run, in their order. Nothing was sent; with --run they are made.\n\n%s", report.Clean(report.Plan()))
	return nil
}

// ask asks the account.
func (cmd *conformCmd) ask(a *app, opts conform.Options, expect conform.Expectation) error {
	local, err := conform.Rehearse(a.ctx, conform.Options{App: opts.App, Only: cmd.Only, APIToken: "local", HookURL: "local"})
	if err != nil {
		return cmd.said(a, nil, err)
	}
	opts.Local = local.Answers()
	if cmd.HookListen != "" {
		opts.Ear = &conform.Ear{}
		listener, err := net.Listen("tcp", cmd.HookListen)
		if err != nil {
			return usagef("--hook-listen: %s; give an address of this machine and a free port", err)
		}
		server := &http.Server{Handler: opts.Ear, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 20 * time.Second}
		a.atEnd(func() { _ = server.Close() })
		go func() { _ = server.Serve(listener) }()
	}
	opts.Transport = a.transport
	opts.Progress = func(done, of int, what string) {
		switch {
		case a.errs.terminal():
			a.errs.Printf("\r\x1b[K%d of %d %s%s", done, of, what, map[bool]string{true: "\r\x1b[K"}[done == of])
		case done%25 == 0 || done == of:
			a.errs.Printf("%d of %d\n", done, of)
		}
	}
	a.ifCut("data sources or files of this run may be left. "+sweepThem, exitInterrupted)
	report, err := conform.Run(a.ctx, opts)
	if report != nil && len(report.Left) == 0 {
		a.ifCut("", exitInterrupted)
	}
	if err != nil {
		return cmd.said(a, report, err)
	}
	return cmd.finish(a, report, expect)
}

// finish writes the reports, and says what is worth a look.
func (cmd *conformCmd) finish(a *app, report *conform.Report, expect conform.Expectation) error {
	report.Compare(expect)
	names, err := report.Write(cmd.Report)
	if err != nil {
		return usagef("--report: %s; name a directory that can be written", err)
	}
	if cmd.WriteExpect != "" {
		if err := os.WriteFile(cmd.WriteExpect, report.Expectation(), 0o600); err != nil {
			return usagef("--write-expect: %s", err)
		}
	}
	a.ifCut("the reports are written: "+strings.Join(names, ", "), exitInterrupted)
	styles := map[conform.Verdict]style{conform.AsDocumented: green, conform.Tolerated: yellow, conform.Informational: cyan, conform.Fails: red, conform.Skipped: dim}
	for i := range report.Results {
		r := &report.Results[i]
		if a.out.json {
			if err := a.out.JSON(r); err != nil {
				return err
			}
			continue
		}
		if r.Unexpected == "" && (r.AsLocal() || r.Verdict == conform.Skipped) {
			continue
		}
		a.out.Printf("%s  %s: %s %s\n", a.out.Paint(styles[r.Verdict], pad(string(r.Verdict), 13)), r.ID, r.Fact, a.out.Paint(bold, r.Observed))
		if !r.AsLocal() && r.Verdict != conform.Skipped {
			a.out.Printf("%s  the local Fliplet: %s\n", pad("", 13), r.Local)
		}
		if r.Unexpected != "" {
			a.out.Printf("%s  %s\n", pad("", 13), a.out.Paint(red, r.Unexpected))
		}
	}
	if !a.out.json {
		for _, v := range []conform.Verdict{conform.AsDocumented, conform.Tolerated, conform.Informational, conform.Fails, conform.Skipped} {
			a.out.Printf("%s %s, ", a.out.Paint(styles[v], fmt.Sprint(report.Count(v))), v)
		}
		a.out.Printf("%d not as the local Fliplet. %d requests in %s.\nReports: %s\n", report.Differs(), report.Requests, report.Took.Round(time.Second), strings.Join(names, ", "))
	}
	if report.Secrets > 0 {
		return fmt.Errorf("%d secrets were taken out of the reports before they were written: a bug, please report it", report.Secrets)
	}
	if report.Unexpected() > 0 {
		return exitError(exitOther)
	}
	return nil
}

// sweep removes what killed runs have left.
func (cmd *conformCmd) sweep(a *app, opts conform.Options) error {
	opts.Transport = a.transport
	a.ifCut("the same command goes on from here", exitInterrupted)
	swept, err := conform.Sweep(a.ctx, opts)
	if swept.Busy > 0 {
		a.errs.Printf("%d runs are under way, and were left alone.\n", swept.Busy)
	}
	if err != nil {
		return cmd.said(a, nil, err)
	}
	a.out.Printf("%d runs, %d things that they had left.\n", swept.Runs, swept.Things)
	return nil
}

const sweepThem = "To delete them: flchat conform --sweep. Then begin anew."

// said says what went wrong and how to go on.
func (*conformCmd) said(a *app, report *conform.Report, err error) error {
	if report != nil && len(report.Left) > 0 {
		a.errs.Printf("%d data sources or files of this run are left. %s\n", len(report.Left), sweepThem)
	}
	if _, ok := errors.AsType[*conform.UsageError](err); ok {
		return usagef("%s", err)
	}
	if _, ok := errors.AsType[*conform.ServiceError](err); ok && !errors.Is(err, context.Canceled) {
		a.errs.Printf("%s %s\n", a.errs.Paint(red, "flchat:"), safe(err.Error()))
		return exitError(exitService)
	}
	return err
}
