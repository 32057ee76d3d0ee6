// Command mutate makes the module wrong in small ways, drawn at random, and tells which of
// them no test notices.
//
//	go run ./internal/mutate -n 40 -seed 1
//
// A mutant is one change of one statement, operator, result or field in a package that
// carries promises. Only the tests of its package run, and then those of the root. A mutant
// that does not compile is not counted. The outcome of each is kept in the file of -state, so
// that a run that was stopped goes on where it was. Survivors with a reason are in
// survivors.txt.
package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/patch"
)

// promising are the packages that carry promises.
var promising = []string{
	".", "datasource", "internal/wire", "internal/envelope", "internal/outbox", "internal/feed", "internal/receive", "internal/flipletd",
	"internal/cache", "internal/rows", "internal/where", "internal/bodies", "internal/claim", "internal/roster", "internal/pins", "internal/upload",
}

//go:embed survivors.txt
var survivors string

// outcome is what became of a mutant.
type outcome struct {
	Site   string `json:"site"`
	Line   int    `json:"line"`
	Seed   uint64 `json:"seed"`
	Fate   string `json:"fate"` // killed, survived or invalid
	By     string `json:"by,omitempty"`
	Second int    `json:"seconds"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	n := flag.Int("n", 40, "how many mutants that compile")
	seed := flag.Uint64("seed", 1, "which ones")
	limit := flag.Duration("limit", 4*time.Minute, "for the tests of one package; a mutant that takes longer is killed")
	state := flag.String("state", "", "file of the outcomes; default bin/mutate-<seed>.jsonl")
	in := flag.String("in", "", "only these packages, such as internal/feed,datasource")
	flag.Parse()
	root, err := patch.Root()
	if err != nil {
		return err
	}
	dirs := promising
	if *in != "" {
		dirs = strings.Split(*in, ",")
	}
	sites, err := sitesOf(root, dirs)
	if err != nil {
		return err
	}
	if *state == "" {
		*state = filepath.Join(root, "bin", fmt.Sprintf("mutate-%d.jsonl", *seed))
	}
	known, err := outcomes(*state)
	if err != nil {
		return err
	}
	r := round{root: root, limit: *limit, seed: *seed, state: *state}
	rng := rand.New(rand.NewPCG(*seed, 12))
	rng.Shuffle(len(sites), func(i, k int) { sites[i], sites[k] = sites[k], sites[i] })
	counts := map[string]int{}
	var alive []outcome
	for _, s := range sites {
		if counts["killed"]+counts["survived"] == *n {
			break
		}
		o, done := known[fmt.Sprint(s.Line, s)]
		if !done {
			if o, err = r.try(ctx, s); err != nil {
				return err
			}
		}
		if counts[o.Fate]++; o.Fate == "invalid" {
			continue
		}
		fmt.Printf("%3d/%d %-8s %4ds  %s:%d  %s  %s\n", counts["killed"]+counts["survived"], *n, o.Fate, o.Second, s.File, s.Line, s.What, o.By)
		if o.Fate == "survived" {
			alive = append(alive, o)
		}
	}
	return report(counts, alive)
}

func report(counts map[string]int, alive []outcome) error {
	all := counts["killed"] + counts["survived"]
	if all == 0 {
		return errors.New("no mutants")
	}
	fmt.Printf("\n%d of %d killed (%d %%), %d did not compile\n", counts["killed"], all, 100*counts["killed"]/all, counts["invalid"])
	for _, o := range alive {
		reason := "no reason yet: write a test, or the reason into internal/mutate/survivors.txt"
		for line := range strings.Lines(survivors) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), o.Site+" = "); ok {
				reason = rest
			}
		}
		fmt.Printf("survived: %s (line %d): %s\n", o.Site, o.Line, reason)
	}
	return nil
}

// outcomes reads what an earlier run has found.
func outcomes(state string) (map[string]outcome, error) {
	out := map[string]outcome{}
	raw, err := os.ReadFile(state)
	if errors.Is(err, os.ErrNotExist) {
		return out, os.MkdirAll(filepath.Dir(state), 0o750)
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		var o outcome
		if json.Unmarshal(lines.Bytes(), &o) == nil { // a line may be cut
			out[fmt.Sprint(o.Line, o.Site)] = o
		}
	}
	return out, errors.Join(err, lines.Err())
}

type round struct {
	root, state string
	limit       time.Duration
	seed        uint64
}

// try makes one mutant and tests it.
func (r *round) try(ctx context.Context, s site) (outcome, error) {
	began := time.Now()
	o := outcome{Site: s.String(), Line: s.Line, Seed: r.seed}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return o, err
	}
	defer os.RemoveAll(dir)
	overlay, err := r.overlay(dir, s)
	if err != nil {
		return o, err
	}
	o.Fate = "survived"
	if !built(ctx, r, overlay, s) {
		o.Fate = "invalid"
	}
	for _, pkg := range []string{s.pkg(), "."} {
		if o.Fate != "survived" {
			break
		}
		limited, cancel := context.WithTimeout(ctx, r.limit+time.Minute)
		out, err := r.command(limited, "test", "-failfast", "-timeout="+r.limit.String(), "-overlay="+overlay, pkg)
		cancel()
		if err != nil {
			o.Fate, o.By = "killed", killer(out)
		}
		if s.pkg() == "./." {
			break
		}
	}
	if ctx.Err() != nil {
		return o, ctx.Err() // it may have been killed by that
	}
	o.Second = int(time.Since(began).Seconds())
	return o, r.keep(o)
}

// built reports whether a mutant compiles.
func built(ctx context.Context, r *round, overlay string, s site) bool {
	_, err := r.command(ctx, "build", "-overlay="+overlay, "-o", os.DevNull, s.pkg())
	return err == nil
}

var failed = regexp.MustCompile(`--- FAIL: (\S+)`)

// killer is the test that has noticed a mutant.
func killer(out []byte) string {
	if m := failed.FindSubmatch(out); m != nil {
		return string(m[1])
	}
	return "the run"
}

func (r *round) overlay(dir string, s site) (string, error) {
	name := filepath.Join(r.root, filepath.FromSlash(s.File))
	source, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	changed := filepath.Join(dir, filepath.Base(name))
	text := append(append(append([]byte{}, source[:s.from]...), s.text...), source[s.to:]...)
	if err := os.WriteFile(changed, text, 0o600); err != nil {
		return "", err
	}
	raw, err := json.Marshal(map[string]map[string]string{"Replace": {name: changed}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, raw, 0o600)
}

func (r *round) command(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.WaitDelay = r.root, 10*time.Second
	return cmd.CombinedOutput()
}

// keep appends an outcome to the state.
func (r *round) keep(o outcome) error {
	raw, err := json.Marshal(o)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(r.state, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	return errors.Join(err, f.Close())
}
