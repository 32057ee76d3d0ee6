// Command bench measures this SDK beside other chat libraries, each through its public
// API against a small fake of its service, with the same messages. Every run is a process
// of its own, the service is in another one, and the contenders take turns.
//
//	go -C bench run . -short          a quick look
//	go -C bench run . -check          measure, and compare with docs/performance.md
//	go -C bench run . -write          measure, compare, and write docs/performance.md
//	go -C bench run . -profile DIR    where this SDK spends its time
//
// It fails when messages are missing, out of order or changed, received or sent. With -check it
// also fails when it cannot reproduce what the page claims, and when there is nothing to compare.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fliplet/fliplet-chat-go/bench/contender"
)

type options struct {
	short, check, write, force bool
	only, page, results, from  string
	profile                    string
	rounds                     int
}

func main() {
	if raw := os.Getenv(childEnv); raw != "" {
		if err := child(raw); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.BoolVar(&o.short, "short", false, "fewer messages and two rounds, for a quick look")
	flag.BoolVar(&o.check, "check", false, "fail when an order or the allocations of the page are not reproduced, or something cannot be compared")
	flag.BoolVar(&o.write, "write", false, "write the page and its pictures; fails, and leaves them, when an ordering is not reproduced")
	flag.BoolVar(&o.force, "force", false, "with -write: write what contradicts the page, too")
	flag.StringVar(&o.only, "only", "", "works and scenarios to run, with commas between them; all of them by default")
	flag.StringVar(&o.page, "page", filepath.Join("..", "docs", "performance.md"), "the page")
	flag.StringVar(&o.results, "json", "", "a file for the results")
	flag.StringVar(&o.from, "from", "", "a file of results that -json wrote, instead of measuring")
	flag.StringVar(&o.profile, "profile", "", "a folder for profiles of this SDK; nothing else is done then")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds, of which the medians are taken")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "%q is no flag: -help lists them\n", flag.Arg(0))
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out, progress io.Writer) error {
	if o.profile != "" {
		return profile(ctx, o.profile, works(false), 20)
	}
	wanted, err := chosen(o.only)
	if err != nil {
		return err
	}
	if o.force && !o.write {
		return errors.New("-force is for -write, and does nothing without it")
	}
	if o.from != "" {
		return reread(o, wanted, out)
	}
	if o.rounds < 1 {
		return fmt.Errorf("-rounds is %d: at least 1 is needed", o.rounds)
	}
	if o.short {
		o.rounds = min(o.rounds, 2)
	}
	r := Result{Machine: look(), Rounds: o.rounds, Quick: o.short}
	for _, w := range works(o.short) {
		if !wanted(w.Name) {
			continue
		}
		t, err := race(ctx, w, o.rounds, progress)
		if err != nil {
			return err
		}
		r.Tables = append(r.Tables, t)
	}
	for _, sc := range scenarios() {
		if !wanted(sc.Name) {
			continue
		}
		s, err := play(ctx, sc, contender.All(), progress)
		if err != nil {
			return err
		}
		r.Scores = append(r.Scores, s)
	}
	r.Machine.done()
	return r.finish(o, out)
}

// chosen are the works and scenarios of -only, which are those that exist, or an error.
func chosen(only string) (wanted func(name string) bool, err error) {
	names := allNames()
	if only == "" {
		return func(string) bool { return true }, nil
	}
	list := strings.Split(only, ",")
	for _, name := range list {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("-only: there is no %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	return func(name string) bool { return slices.Contains(list, name) }, nil
}

// allNames are the names of all works and scenarios.
func allNames() []string {
	var names []string
	for _, w := range works(false) {
		names = append(names, w.Name)
	}
	for _, sc := range scenarios() {
		names = append(names, sc.Name)
	}
	return names
}

// reread takes results that were measured before.
func reread(o options, wanted func(name string) bool, out io.Writer) error {
	raw, err := os.ReadFile(o.from)
	if err != nil {
		return err
	}
	var r Result
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("%s: %w", o.from, err)
	}
	o.short = o.short || r.Quick
	r.Tables = slices.DeleteFunc(r.Tables, func(t Table) bool { return !wanted(t.Name) })
	r.Scores = slices.DeleteFunc(r.Scores, func(s Score) bool { return !wanted(s.Name) })
	return r.finish(o, out)
}

// finish shows a result, compares it with the page, and writes what is to be written.
func (r Result) finish(o options, out io.Writer) error {
	fmt.Fprintln(out, r.markdown())
	if o.results != "" {
		raw, err := json.MarshalIndent(r, "", "\t")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.results, append(raw, '\n'), 0o644); err != nil {
			return err
		}
	}
	if !o.check && !o.write {
		return nil
	}
	raw, err := os.ReadFile(o.page)
	if err != nil {
		return err
	}
	_, said, _, err := split(string(raw))
	if err != nil {
		return err
	}
	wrong := r.contradictions(said)
	if o.check {
		wanted, err := chosen(o.only)
		if err != nil {
			return err
		}
		if missing := slices.Concat(unreadable(said), r.unmeasured(wanted), r.unsaid(said)); len(missing) > 0 {
			return errors.New("not everything that was to be compared can be:\n" + strings.Join(missing, "\n"))
		}
		wrong = append(wrong, r.allocations(said, out)...)
	}
	for _, d := range r.drifts(said) {
		fmt.Fprintln(out, "more than 15 % away:", d)
	}
	if len(wrong) > 0 && !o.force {
		return errors.New("not reproduced:\n" + strings.Join(wrong, "\n"))
	}
	if !o.write {
		return nil
	}
	if o.only != "" || o.short {
		return errors.New("the page is written from a whole run: without -only and -short")
	}
	if err := r.write(o.page); err != nil {
		return err
	}
	return r.draw(filepath.Join(filepath.Dir(o.page), "images"))
}
