package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/fliplet/fliplet-chat-go/bench/contender"
	"github.com/fliplet/fliplet-chat-go/bench/fake"
)

// column is a number of a scenario, as the scoreboard shows it.
type column struct{ key, title string }

// scenario is a part of the scoreboard.
type scenario struct {
	Name, Title string
	N, AtOnce   int
	waiting     bool // the messages are there before the loop begins
	columns     []column
}

func scenarios() []scenario {
	return []scenario{
		{Name: "shutdown", Title: "Clean shutdown in mid-batch", N: 100, waiting: true, columns: []column{
			{"lost", "lost"}, {"twice", "twice"}, {"running", "still running when the stop returned"},
			{"later", "begun after that"}, {"stop ms", "stop took, ms"}, {"goroutines", "goroutines left"},
		}},
		{Name: "crash", Title: "Crash at the 11th event of 20", N: 20, waiting: true, columns: []column{
			{"lost", "lost"}, {"twice", "twice"}, {"back ms", "next life is up to date after, ms"},
		}},
		{Name: "order", Title: "Order of 1,000", N: 1000, waiting: true, columns: []column{
			{"late", "later than a later one"}, {"at once", "handled at the same time"},
		}},
		{Name: "deaf", Title: "A listener that never reads, 1,000 events", N: 1000, columns: []column{
			{"other", "another listener got"}, {"KB", "KB held"}, {"goroutines", "goroutines"}, {"stop ms", "stop took, ms"},
		}},
		{Name: "abandoned", Title: "200 abandoned streams, 100 events more", N: 101, AtOnce: 200, columns: []column{
			{"reached", "got their first event"}, {"KB each", "KB each"}, {"goroutines each", "goroutines each"}, {"left each", "goroutines each, left 3 s after the cancel"},
		}},
		{Name: "cancel", Title: "Cancel while the next is in flight, 20 times", N: 60, columns: []column{
			{"lost", "lost of 60"}, {"twice", "twice"}, {"slowest ms", "slowest stop, ms"},
		}},
	}
}

// Score is the outcome of one scenario.
type Score struct {
	Name string  `json:"name"`
	Rows []Count `json:"rows"`
}

// Count is what one contender had.
type Count struct {
	Name   string `json:"name"`
	Way    string `json:"way"`
	Counts counts `json:"counts"`
}

// play has every contender go through a scenario.
func play(ctx context.Context, sc scenario, contenders []contender.Contender, progress io.Writer) (Score, error) {
	out := Score{Name: sc.Name}
	for _, c := range contenders {
		got, err := playOne(ctx, sc, c)
		if err != nil {
			return out, fmt.Errorf("%s: %s: %w", sc.Title, c.Name, err)
		}
		out.Rows = append(out.Rows, Count{Name: c.Name, Way: c.Way, Counts: got})
		fmt.Fprintf(progress, "%s: %s %v\n", sc.Title, c.Name, got)
	}
	return out, nil
}

func playOne(ctx context.Context, sc scenario, c contender.Contender) (counts, error) {
	s, err := fake.Start(c.Service)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if sc.waiting {
		s.AddOld(sc.N)
	}
	dir, err := os.MkdirTemp("", "chat-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	t := task{Contender: c.Name, Work: sc.Name, N: sc.N, AtOnce: sc.AtOnce, Dir: dir, Where: s.Where}
	if sc.Name == "crash" {
		t.AtOnce = 1
		if _, err := spawn(ctx, t); !crashed(err) {
			return nil, fmt.Errorf("the first life ended otherwise than it should: %w", err)
		}
		t.AtOnce = 2
	}
	raw, err := spawn(ctx, t)
	if err != nil {
		return nil, err
	}
	var got counts
	if err := json.Unmarshal(raw, &got); err != nil {
		return nil, err
	}
	if sc.Name == "crash" {
		err = read(filepath.Join(dir, "diary"), sc.N, got)
	}
	return got, err
}

func crashed(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == 3
}

// read counts in the diary of two lives what was done in neither, and in both.
func read(path string, n int, into counts) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	done, again := map[int]bool{}, map[int]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var what string
		var seq int
		if _, err := fmt.Sscan(lines.Text(), &what, &seq); err != nil {
			return err
		}
		if what == "done" {
			done[seq] = true
		} else {
			again[seq] = true
		}
	}
	for seq := 1; seq <= n; seq++ {
		switch {
		case !done[seq] && !again[seq]:
			into["lost"]++
		case done[seq] && again[seq]:
			into["twice"]++
		}
	}
	return nil
}
