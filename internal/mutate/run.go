package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// round is the program of all mutants, and what its tests reach.
type round struct {
	*checker
	dir      string // for files
	limit    time.Duration
	programs map[string]string      // the tests of a package, by its directory
	reaching map[string][]*testCase // of a package, likewise
}

// testCase is one test of a package.
type testCase struct {
	name    string
	took    time.Duration
	reaches map[int]bool
}

// key names a mutant in the state.
func (m *mutant) key() string { return fmt.Sprint(m.Line, m.String()) }

// elsewhere are packages whose only purpose is to test another one.
var elsewhere = map[string][]string{"internal/feed": {"internal/feed/sim/world"}}

// tested are the packages whose tests may notice a mutant.
func (m *mutant) tested() []string {
	return slices.Compact(append(append([]string{m.dir()}, elsewhere[m.dir()]...), "."))
}

func (m *mutant) dir() string { return strings.TrimPrefix(m.pkg(), "./") }

// prepare builds the program of some mutants, and runs each of its tests once without any.
func (r *round) prepare(ctx context.Context, mutants []*mutant) error {
	r.programs, r.reaching = map[string]string{}, map[string][]*testCase{}
	switched := map[string][]insertion{}
	for _, m := range mutants {
		switched[m.File] = append(switched[m.File], m.switched)
	}
	texts := map[string]string{}
	for file, list := range switched {
		source, err := os.ReadFile(filepath.Join(r.root, filepath.FromSlash(file)))
		if err != nil {
			return err
		}
		texts[file] = insert(string(source), list)
	}
	overlay, err := r.overlay("all", texts)
	if err != nil {
		return err
	}
	for _, m := range mutants {
		for _, dir := range m.tested() {
			if r.programs[dir] != "" {
				continue
			}
			if r.programs[dir], err = r.build(ctx, overlay, dir); err != nil {
				return err
			}
			if r.reaching[dir], err = r.reach(ctx, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// overlay writes changed files, and the file that each of their packages needs.
func (r *round) overlay(name string, texts map[string]string) (string, error) {
	dir := filepath.Join(r.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	replace := map[string]string{}
	write := func(of, text string) error {
		if replace[of] != "" {
			return nil // two files of one package
		}
		changed := filepath.Join(dir, strconv.Itoa(len(replace))+".go")
		replace[of] = changed
		return os.WriteFile(changed, []byte(text), 0o600)
	}
	for file, text := range texts {
		p := r.dirs[filepath.ToSlash(filepath.Dir(file))]
		if err := write(filepath.Join(p.Dir, filepath.Base(file)), text); err != nil {
			return "", err
		}
		if err := write(filepath.Join(p.Dir, runtimeName), runtimeOf(p.Name)); err != nil {
			return "", err
		}
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, raw, 0o600)
}

// build makes the program of the tests of a package.
func (r *round) build(ctx context.Context, overlay, dir string) (string, error) {
	program := strings.TrimSuffix(overlay, ".json") + "-" + strings.ReplaceAll(dir, "/", "-") + ".test"
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay="+overlay, "-o", program, "./"+dir)
	cmd.Dir = r.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("mutate: tests of %s: %w\n%s", dir, err, out)
	}
	return program, nil
}

// reach runs the tests of a package one by one.
func (r *round) reach(ctx context.Context, dir string) ([]*testCase, error) {
	names, err := r.test(ctx, dir, r.programs[dir], nil, "-test.list=.")
	if err != nil {
		return nil, fmt.Errorf("mutate: tests of %s: %w\n%s", dir, err, names)
	}
	var out []*testCase
	var lock sync.Mutex
	var workers sync.WaitGroup
	free := make(chan bool, 2)
	for name := range strings.FieldsSeq(string(names)) {
		if strings.HasPrefix(name, "Benchmark") {
			continue
		}
		free <- true
		workers.Go(func() {
			defer func() { <-free }()
			file := filepath.Join(r.dir, strings.ReplaceAll(dir, "/", "-")+"-"+name)
			began := time.Now()
			said, err := r.test(ctx, dir, r.programs[dir], []string{reachedEnv + "=" + file}, "-test.run=^"+name+"$", "-test.timeout=5m")
			c := &testCase{name: name, took: time.Since(began), reaches: map[int]bool{}}
			raw, _ := os.ReadFile(file) // none if it reaches nothing
			for line := range strings.FieldsSeq(string(raw)) {
				if n, err := strconv.Atoi(line); err == nil {
					c.reaches[n] = true
				}
			}
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				fmt.Printf("not used, as it fails without a mutant: %s of %s: %v\n%s\n", name, dir, err, said[:min(len(said), 2000)])
				return
			}
			out = append(out, c)
		})
	}
	workers.Wait()
	slices.SortFunc(out, func(a, b *testCase) int { return int(a.took - b.took) })
	fmt.Printf("%s: %d tests\n", dir, len(out))
	return out, ctx.Err()
}

func (r *round) test(ctx context.Context, dir, program string, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = filepath.Join(r.root, filepath.FromSlash(dir)), append(os.Environ(), env...), 10*time.Second
	return cmd.CombinedOutput()
}

// budgets are how long the tests of a step may take together. The tests that run at once do
// not stop when one fails, so the first steps are small.
var budgets = []time.Duration{time.Second, 4 * time.Second, 15 * time.Second, time.Hour}

// quick is how many steps come first, for all mutants.
const quick = 2

// steps are the tests of a package that reach a mutant, the fastest first.
func (r *round) steps(m *mutant, dir string) [][]*testCase {
	out := make([][]*testCase, len(budgets))
	step, sum := 0, time.Duration(0)
	for _, c := range r.reaching[dir] {
		if !c.reaches[m.n] {
			continue
		}
		for sum += c.took; sum > budgets[step] && step < len(budgets)-1; {
			step++
		}
		out[step] = append(out[step], c)
	}
	return out
}

// try turns a mutant on and runs the tests that reach it: those of its package first, and of
// each package first those that take no time. Most mutants need no others, and slow tests are
// left for later, when undecided mutants are tried with last set.
func (r *round) try(ctx context.Context, m *mutant, last bool) (o outcome, decided bool, err error) {
	began := time.Now()
	m.outcome.Site, m.outcome.Line, m.outcome.Fate = m.String(), m.Line, "survived"
	defer func() {
		m.took += time.Since(began)
		m.outcome.Second = int(m.took.Seconds())
		o = m.outcome
	}()
	decided = true
	for _, dir := range m.tested() {
		all := r.steps(m, dir)
		steps := all[:quick]
		if last {
			steps = all[quick:]
		} else if len(all[quick])+len(all[quick+1]) > 0 {
			decided = false
		}
		program := r.programs[dir]
		for _, step := range steps {
			if m.solo && len(step) > 0 && program == r.programs[dir] {
				if program, err = r.alone(ctx, m, dir); err != nil {
					return o, false, err
				}
			}
			m.outcome.Tests += len(step)
			by, err := r.killer(ctx, m, dir, program, step)
			if err != nil {
				return o, false, err
			}
			if by != "" {
				m.outcome.Fate, m.outcome.By = "killed", by
				return o, true, nil
			}
		}
	}
	return o, decided, nil
}

// alone builds the program of one mutant, which is on.
func (r *round) alone(ctx context.Context, m *mutant, dir string) (string, error) {
	source, err := os.ReadFile(filepath.Join(r.root, filepath.FromSlash(m.File)))
	if err != nil {
		return "", err
	}
	overlay, err := r.overlay(strconv.Itoa(m.n), map[string]string{m.File: m.plain(string(source))})
	if err != nil {
		return "", err
	}
	return r.build(ctx, overlay, dir)
}

var (
	failed  = regexp.MustCompile(`--- FAIL: ([^\s/]+)`)
	running = regexp.MustCompile(`(?m)^\t+([^\s/]+)\S* \(.*s\)$`) // when the time was over
)

// killer is the test, of some, that notices a mutant. It must do so twice, because a test may
// fail on a busy machine without a reason.
func (r *round) killer(ctx context.Context, m *mutant, dir, program string, tests []*testCase) (string, error) {
	for len(tests) > 0 {
		out, err := r.fails(ctx, m, dir, program, tests)
		if err != nil || out == nil {
			return "", err
		}
		name, blamed := blame(out, tests)
		again, err := r.fails(ctx, m, dir, program, blamed)
		if err != nil || again != nil {
			return name, err
		}
		fmt.Printf("fails once only with mutant %d: %s\n", m.n, name)
		tests = slices.DeleteFunc(slices.Clone(tests), func(c *testCase) bool { return slices.Contains(blamed, c) })
	}
	return "", nil
}

// blame reads in what tests say which of them have failed, or were running when the time was
// over: all of them if it does not say.
func blame(out []byte, tests []*testCase) (string, []*testCase) {
	names := failed.FindAllSubmatch(out, 1)
	if names == nil && bytes.Contains(out, []byte("panic: test timed out")) {
		names = running.FindAllSubmatch(out, -1)
	}
	blamed := slices.DeleteFunc(slices.Clone(tests), func(c *testCase) bool {
		return !slices.ContainsFunc(names, func(n [][]byte) bool { return string(n[1]) == c.name })
	})
	if len(blamed) == 0 { // nothing, or a name that a test has printed itself
		return "the run", tests
	}
	return string(names[0][1]), blamed
}

// fails runs some tests with a mutant, and returns what they say if one fails.
func (r *round) fails(ctx context.Context, m *mutant, dir, program string, tests []*testCase) ([]byte, error) {
	limit := r.limit
	names := make([]string, len(tests))
	for i, c := range tests {
		names[i] = c.name
		limit += 6 * c.took
	}
	limited, cancel := context.WithTimeout(ctx, limit+30*time.Second)
	defer cancel()
	out, err := r.test(limited, dir, program, []string{chosenEnv + "=" + strconv.Itoa(m.n)},
		"-test.run=^("+strings.Join(names, "|")+")$", "-test.failfast", "-test.timeout="+limit.String())
	if ctx.Err() != nil || err == nil {
		return nil, ctx.Err() // it may have been killed by that
	}
	return append(out, '\n'), nil
}
