package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"

	"github.com/fliplet/fliplet-chat-go/bench/contender"
)

// profileEnv names the file for the profile of a child, whose ending says which one:
// .cpu.prof or .allocs.prof.
const profileEnv = "CHAT_BENCH_PROFILE"

// profile has this SDK receive and send, and keeps where the time and the memory went. The
// two are runs of their own: noting allocations takes time.
func profile(ctx context.Context, dir string, list []work, repeat int) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	c, ok := contender.Find("fliplet-chat-go")
	if !ok {
		return errors.New("this SDK is not among the contenders")
	}
	for _, w := range list {
		w.Repeat = repeat // samples are taken a hundred times a second
		for _, kind := range []string{cpuProfile, allocsProfile} {
			if err := os.Setenv(profileEnv, filepath.Join(dir, w.Name+kind)); err != nil {
				return err
			}
			if _, err := once(ctx, w, c, inProcess); err != nil {
				return err
			}
		}
	}
	return os.Unsetenv(profileEnv)
}

const (
	cpuProfile    = ".cpu.prof"
	allocsProfile = ".allocs.prof"
)

// profiled runs fn, with a profile if it is wanted.
func profiled(fn func() error) (err error) {
	name := os.Getenv(profileEnv)
	if name == "" {
		return fn()
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if strings.HasSuffix(name, allocsProfile) {
		runtime.MemProfileRate = 8 << 10
		err = fn()
		runtime.GC()
		return errors.Join(err, pprof.Lookup("allocs").WriteTo(f, 0))
	}
	runtime.MemProfileRate = 0
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return fn()
}
