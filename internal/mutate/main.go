// Command mutate makes the module wrong in small ways, drawn at random, and tells which of
// them no test notices.
//
//	go run ./internal/mutate -n 40 -seed 1
//
// A mutant is one change of one statement, operator, result or field in a package that
// carries promises. Of the tests of its package, and then of the root, those run that reach
// it. A mutant that does not compile is not counted. The outcome of each is kept in the file of -state, so
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
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
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
	Fate   string `json:"fate"` // killed or survived
	By     string `json:"by,omitempty"`
	Tests  int    `json:"tests"` // which reach it, until it was killed
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
	limit := flag.Duration("limit", 10*time.Second, "for the tests of a mutant, beside six times what they take without; one that takes longer is killed")
	again := flag.Bool("again", false, "try those again that have survived")
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
	if *again {
		maps.DeleteFunc(known, func(_ string, o outcome) bool { return o.Fate == "survived" })
	}
	rng := rand.New(rand.NewPCG(*seed, 12))
	rng.Shuffle(len(sites), func(i, k int) { sites[i], sites[k] = sites[k], sites[i] })
	c, err := newChecker(ctx, root, dirs)
	if err != nil {
		return err
	}
	mutants, invalid, err := choose(c, sites, *n)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &round{checker: c, dir: dir, limit: *limit}
	open := slices.DeleteFunc(slices.Clone(mutants), func(m *mutant) bool { return known[m.key()].Fate != "" })
	alone := len(slices.DeleteFunc(slices.Clone(open), func(m *mutant) bool { return !m.solo }))
	fmt.Printf("%d mutants to try, %d of them in a program of their own; %d did not compile\n", len(open), alone, invalid)
	if err := r.prepare(ctx, open); err != nil {
		return err
	}
	counts := map[string]int{"invalid": invalid}
	var alive []outcome
	count := func(m *mutant, o outcome) {
		counts[o.Fate]++
		fmt.Printf("%3d/%d %-8s %4ds  %d %s:%d  %s  %s\n", counts["killed"]+counts["survived"], len(mutants), o.Fate, o.Second, m.n, m.File, m.Line, m.What, o.By)
		if o.Fate == "survived" {
			alive = append(alive, o)
		}
	}
	for _, m := range mutants {
		if o, done := known[m.key()]; done {
			count(m, o)
		}
	}
	for _, last := range []bool{false, true} {
		var undecided []*mutant
		for _, m := range open {
			o, decided, err := r.try(ctx, m, last)
			if err != nil {
				return err
			}
			if !decided {
				fmt.Printf("undecided %d %s:%d  %s\n", m.n, m.File, m.Line, m.What)
				undecided = append(undecided, m)
				continue
			}
			if o.Seed = *seed; keep(*state, o) != nil {
				return fmt.Errorf("mutate: cannot write %s", *state)
			}
			count(m, o)
		}
		open = undecided
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

// keep appends an outcome to the state.
func keep(state string, o outcome) error {
	raw, err := json.Marshal(o)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(state, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	return errors.Join(err, f.Close())
}
