// Package mutants keeps defects of the receive engine, as patches of its source.
// The simulator is built with each of them and has to notice it: that is how we
// know that its silence means something. The engine itself knows nothing of them.
package mutants

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/patch"
)

// Mutant is one defect.
type Mutant struct {
	Number int
	What   string // is wrong
	Seed   uint64 // of a story that notices it
	Edits  []patch.Edit
}

// All returns the defects by number, from 1 on.
func All() []Mutant {
	all := table
	for i := range all {
		all[i].Number = i + 1
	}
	return all[:]
}

// edits are pairs of an old and a new text in one file of the engine.
func edits(file string, oldNew ...string) (out []patch.Edit) {
	for i := 0; i < len(oldNew); i += 2 {
		out = append(out, patch.Edit{File: "internal/feed/" + file, Old: oldNew[i], New: oldNew[i+1]})
	}
	return out
}

// Program is a simulator with a defect.
type Program string

// evidence is edits for the part of the engine's owner that tells whether a page is the last.
func evidence(from, to string) []patch.Edit {
	return []patch.Edit{{File: "internal/pages/evidence.go", Old: from, New: to}}
}

// Build builds the simulator of the module at root with the defect, in a
// directory of its own. A defect that no longer applies is an error.
func (m Mutant) Build(ctx context.Context, root, dir string) (Program, error) {
	overlay, err := patch.Overlay(root, dir, m.Edits)
	if err != nil {
		return "", fmt.Errorf("mutant %d, %q: %w", m.Number, m.What, err)
	}
	program := filepath.Join(dir, "sim.exe") // a name that every system executes
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay="+overlay, "-o", program, "./internal/feed/sim")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("mutant %d, %q, does not compile: %w\n%s", m.Number, m.What, err, out)
	}
	return Program(program), nil
}

// Find plays so many seeds, from one on, until a promise is broken, and returns
// the seed and the rule. The rule is "" if none is.
func (p Program) Find(ctx context.Context, first, seeds uint64) (seed uint64, rule string, err error) {
	out, err := p.Run(ctx, "-find", fmt.Sprint("-first=", first), fmt.Sprint("-seeds=", seeds))
	if err != nil || out == "" {
		return 0, "", err
	}
	number, rule, _ := strings.Cut(strings.TrimSpace(out), " ")
	if _, err := fmt.Sscan(number, &seed); err != nil {
		return 0, "", fmt.Errorf("mutants: the simulator answers %q: %w", out, err)
	}
	return seed, rule, nil
}

// Run runs the simulator and returns what it prints. Broken promises, its status
// 1, are no error.
func (p Program) Run(ctx context.Context, args ...string) (string, error) {
	var errs strings.Builder
	cmd := exec.CommandContext(ctx, string(p), args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		return "", fmt.Errorf("mutants: %w\n%s", err, errs.String())
	}
	return string(out), nil
}
