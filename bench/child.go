package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fliplet/fliplet-chat-go/bench/contender"
	"github.com/fliplet/fliplet-chat-go/bench/fake"
)

// childEnv makes this program do one task, and print what came of it.
const childEnv = "CHAT_BENCH_TASK"

// task is what a process of its own does.
type task struct {
	Contender string
	Work      string // receive, send, or the name of a scenario
	N         int    // messages
	AtOnce    int    // senders
	Repeat    int    // how often it is done, where that is possible; 0 is once
	Dir       string
	fake.Where
}

// cost is what a piece of work has cost its process.
type cost struct {
	CPU, Wall      time.Duration
	Allocs, Bytes  float64 // for each message
	PeakKB         float64 // resident, of the whole process
	BytesOnTheWire int     // for each message; the parent knows
}

func child(raw string) error {
	var t task
	if err := json.Unmarshal([]byte(raw), &t); err != nil {
		return err
	}
	c, ok := contender.Find(t.Contender)
	if !ok {
		return fmt.Errorf("there is no contender %q", t.Contender)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var out any
	var err error
	switch t.Work {
	case "receive":
		out, err = receive(ctx, c, t)
	case "send":
		out, err = send(ctx, c, t)
	default:
		out, err = perform(ctx, c, t)
	}
	if err != nil {
		return fmt.Errorf("%s, %s: %w", t.Contender, t.Work, err)
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// measure runs fn and says what it has cost.
func measure(n int, fn func() error) (cost, error) {
	usage := func() (u syscall.Rusage) {
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return u
	}
	cpu := func(u syscall.Rusage) time.Duration { return time.Duration(u.Utime.Nano() + u.Stime.Nano()) }
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	u, at := usage(), time.Now()
	err := profiled(fn)
	end := usage()
	c := cost{CPU: cpu(end) - cpu(u), Wall: time.Since(at), PeakKB: peak()}
	runtime.ReadMemStats(&after)
	c.Allocs = float64(after.Mallocs-before.Mallocs) / float64(n)
	c.Bytes = float64(after.TotalAlloc-before.TotalAlloc) / float64(n)
	return c, err
}

// peak is how much memory the process has had at most, in KB; 0 where that is not known.
// What getrusage says of it includes the parent's from before the program began.
func peak() float64 {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.ParseFloat(fields[0], 64)
	return kb
}

// sequence checks that messages come one after the other, up from 1 or down to it.
type sequence struct {
	n, total, last, step int
	wrong                string
	all                  chan struct{}
}

func (s *sequence) take(seq int) {
	switch {
	case s.n == 0 && seq == s.total && s.total > 1:
		s.step = -1
	case s.n == 0:
		s.step = 1
		if seq != 1 {
			s.wrong = fmt.Sprintf("the first message is number %d", seq)
		}
	case seq != s.last+s.step && s.wrong == "":
		s.wrong = fmt.Sprintf("number %d after %d", seq, s.last)
	}
	s.last = seq
	if s.n++; s.n == s.total {
		close(s.all)
	}
}

func receive(ctx context.Context, c contender.Contender, t task) (cost, error) {
	s := &sequence{total: t.N, all: make(chan struct{})}
	ctx = contender.WithTotal(ctx, t.N)
	stop := func() {}
	used, err := measure(t.N, func() (err error) {
		if c.Read != nil {
			err = c.Read(ctx, t.Where, s.take)
			for i := 1; i < t.Repeat && err == nil; i++ {
				*s = sequence{total: t.N, all: make(chan struct{})}
				err = c.Read(ctx, t.Where, s.take)
			}
			return err
		}
		if stop, err = c.Start(ctx, contender.Setup{Where: t.Where, Handlers: []func(int){s.take}}); err != nil {
			return err
		}
		select {
		case <-s.all:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		return used, err
	}
	stop()
	if s.n != t.N || s.wrong != "" {
		return used, fmt.Errorf("%d of %d messages; %s", s.n, t.N, s.wrong)
	}
	return used, nil
}

func send(ctx context.Context, c contender.Contender, t task) (cost, error) {
	one, err := c.Send(ctx, t.Where)
	if err != nil {
		return cost{}, err
	}
	warm := make([]error, t.AtOnce)
	errs := make([]error, t.AtOnce)
	all := func(n int, errs []error) {
		var wg sync.WaitGroup
		for w := range t.AtOnce {
			wg.Go(func() {
				for i := range n / t.AtOnce {
					if err := one(fake.Text(1 + i*t.AtOnce + w)); err != nil {
						errs[w] = err
						return
					}
				}
			})
		}
		wg.Wait()
	}
	all(t.warmUp(), warm)
	return measure(t.N, func() error {
		for range max(t.Repeat, 1) {
			all(t.N, errs)
		}
		return errors.Join(append(errs, warm...)...)
	})
}

// warmUp is how many messages are sent before those that are measured.
func (t task) warmUp() int { return max(t.AtOnce, t.N/10) }

// delivered compares the texts that a service has got with those that were to be sent. Each
// sender waits for its answer before it sends the next one, so each one's texts come in their order.
func (t task) delivered(texts []string) error {
	at := make([]int, t.AtOnce) // how many of each sender have come
	warm, each := t.warmUp()/t.AtOnce, t.N/t.AtOnce
	total := warm + each*max(t.Repeat, 1)
	for i, text := range texts {
		seq := fake.Seq(text)
		if seq == 0 {
			return fmt.Errorf("message %d that arrived has another text than was sent", i+1)
		}
		w := (seq - 1) % t.AtOnce
		round := at[w]
		if round >= warm {
			round = (round - warm) % each
		}
		if want := 1 + round*t.AtOnce + w; at[w] == total || seq != want {
			return fmt.Errorf("message %d that arrived has the text of number %d, after %d of %d of its sender", i+1, seq, at[w], total)
		}
		at[w]++
	}
	if len(texts) != total*t.AtOnce {
		return fmt.Errorf("%d of %d messages have arrived", len(texts), total*t.AtOnce)
	}
	return nil
}
