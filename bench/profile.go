package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"

	"github.com/fliplet/fliplet-chat-go/bench/contender"
)

// profileEnv names files for the profiles of a child: it gets an ending for each.
const profileEnv = "CHAT_BENCH_PROFILE"

// profile has this SDK receive and send, and keeps where the time and the memory went.
func profile(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, w := range works(false) {
		w.Repeat = 20 // samples are taken a hundred times a second
		if err := os.Setenv(profileEnv, filepath.Join(dir, w.Name)); err != nil {
			return err
		}
		c, ok := contender.Find("fliplet-chat-go")
		if !ok {
			return errors.New("this SDK is not among the contenders")
		}
		if _, err := once(ctx, w, c, inProcess); err != nil {
			return err
		}
	}
	return os.Unsetenv(profileEnv)
}

// profiled runs fn, with profiles if they are wanted.
func profiled(fn func() error) (err error) {
	name := os.Getenv(profileEnv)
	if name == "" {
		return fn()
	}
	runtime.MemProfileRate = 8 << 10
	cpu, err := os.Create(name + ".cpu.prof")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cpu.Close()) }()
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return err
	}
	err = fn()
	pprof.StopCPUProfile()
	memory, memoryErr := os.Create(name + ".allocs.prof")
	if memoryErr != nil {
		return errors.Join(err, memoryErr)
	}
	runtime.GC()
	return errors.Join(err, pprof.Lookup("allocs").WriteTo(memory, 0), memory.Close())
}
