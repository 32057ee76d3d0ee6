package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/fliplet/fliplet-chat-go/internal/feed/sim/mutants"
	"github.com/fliplet/fliplet-chat-go/internal/patch"
)

// killAll builds the simulator with each defect and plays seeds until one notices
// it.
func killAll(ctx context.Context, first, seeds uint64, workers int) int {
	type verdict struct {
		seed uint64
		rule string
		err  error
	}
	list := mutants.All()
	verdicts := make([]verdict, len(list))
	err := inModule(func(root, dir string) {
		var next atomic.Int64
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for i := next.Add(1) - 1; int(i) < len(list); i = next.Add(1) - 1 {
					v := &verdicts[i]
					program, err := build(ctx, list[i], root, dir)
					if err != nil {
						v.err = err
						continue
					}
					v.seed, v.rule, v.err = program.Find(ctx, first, seeds)
				}
			})
		}
		wg.Wait()
	})
	if err != nil {
		return failed(err)
	}
	killed := 0
	for i, m := range list {
		switch v := verdicts[i]; {
		case v.err != nil:
			fmt.Printf("%2d  FAILED: %v\n", m.Number, v.err)
		case v.rule == "":
			fmt.Printf("%2d  ALIVE after %d seeds: %s\n", m.Number, seeds, m.What)
		default:
			killed++
			fmt.Printf("%2d  seed %-7d %-18s %s\n", m.Number, v.seed, v.rule, m.What)
		}
	}
	fmt.Printf("mutants: %d of %d killed\n", killed, len(list))
	if killed < len(list) {
		return 1
	}
	return 0
}

// runMutant runs this command again, built with a defect.
func runMutant(ctx context.Context, number int) int {
	all := mutants.All()
	if number < 1 || number > len(all) {
		return failed(fmt.Errorf("mutants have numbers from 1 to %d", len(all)))
	}
	status := 0
	err := inModule(func(root, dir string) {
		program, err := build(ctx, all[number-1], root, dir)
		if err != nil {
			status = failed(err)
			return
		}
		var args []string
		flag.Visit(func(f *flag.Flag) {
			if f.Name != "mutant" {
				args = append(args, "-"+f.Name+"="+f.Value.String())
			}
		})
		cmd := exec.CommandContext(ctx, string(program), args...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		err = cmd.Run()
		var exit *exec.ExitError
		switch {
		case errors.As(err, &exit):
			status = exit.ExitCode()
		case err != nil:
			status = failed(err)
		}
	})
	if err != nil {
		return failed(err)
	}
	return status
}

// inModule calls f with the root of the module and a directory for what is built.
func inModule(f func(root, dir string)) error {
	root, err := patch.Root()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	f(root, dir)
	return nil
}

func build(ctx context.Context, m mutants.Mutant, root, dir string) (mutants.Program, error) {
	dir = filepath.Join(dir, strconv.Itoa(m.Number))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	return m.Build(ctx, root, dir)
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "sim:", err)
	return 2
}
