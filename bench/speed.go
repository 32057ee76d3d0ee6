package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"

	"github.com/fliplet/fliplet-chat-go/bench/contender"
	"github.com/fliplet/fliplet-chat-go/bench/fake"
)

// work is one thing that contenders are compared in.
type work struct {
	Name, Title string
	N, AtOnce   int
	Repeat      int // how often a process does it; 0 is once
	contenders  []contender.Contender
}

func works(quick bool) []work {
	receive, sends := 20_000, 4_800
	if quick {
		receive, sends = 4_000, 320
	}
	return []work{
		{Name: "receive", Title: "Receive", N: receive, contenders: contender.Receive()},
		{Name: "send", Title: "Send, one after another", N: sends, AtOnce: 1, contenders: contender.Send()},
		{Name: "send32", Title: "Send, 32 at once", N: sends, AtOnce: 32, contenders: contender.Send()},
	}
}

// everybody is each contender once, those that are measured for speed first.
func everybody() []contender.Contender {
	var out []contender.Contender
	seen := map[string]bool{}
	for _, list := range [][]contender.Contender{contender.Receive(), contender.Send(), contender.All()} {
		for _, c := range list {
			if !seen[c.Name] {
				seen[c.Name] = true
				out = append(out, c)
			}
		}
	}
	return out
}

// spawn has a process of its own do a task.
func spawn(ctx context.Context, t task) ([]byte, error) {
	raw, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(raw))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s, %s: %w\n%s", t.Contender, t.Work, err, bytes.TrimSpace(said.Bytes()))
	}
	return out, nil
}

// runner does a task with a contender.
type runner func(context.Context, contender.Contender, task) (cost, error)

// inProcess does it in a process of its own.
func inProcess(ctx context.Context, _ contender.Contender, t task) (used cost, err error) {
	out, err := spawn(ctx, t)
	if err != nil {
		return cost{}, err
	}
	err = json.Unmarshal(out, &used)
	return used, err
}

// once is one run of one contender, against a service of its own. What was sent is compared
// with what the service has got.
func once(ctx context.Context, w work, c contender.Contender, run runner) (cost, error) {
	s, err := fake.Start(c.Service)
	if err != nil {
		return cost{}, err
	}
	defer s.Close()
	kind := "send"
	if w.AtOnce == 0 {
		kind = "receive"
		s.AddOld(w.N)
	}
	t := task{Contender: c.Name, Work: kind, N: w.N, AtOnce: w.AtOnce, Repeat: w.Repeat, Where: s.Where}
	used, err := run(ctx, c, t)
	if err != nil {
		return cost{}, err
	}
	if kind == "send" {
		if err := t.delivered(s.Arrived()); err != nil {
			return cost{}, fmt.Errorf("%s, %s: %w", c.Name, w.Name, err)
		}
	}
	used.BytesOnTheWire = s.BytesEach()
	return used, nil
}

// Row is what is known of one contender in one work. Ratios are to the floor of the same
// round.
type Row struct {
	Name   string    `json:"name"`
	Module string    `json:"module"`
	Way    string    `json:"way"`
	CPU    []float64 `json:"cpu"`  // ratios, one for each round
	Own    []float64 `json:"own"`  // the same, to the floor of the contender's own service
	Wall   []float64 `json:"wall"` // the same as CPU
	Allocs float64   `json:"allocs"`
	Bytes  float64   `json:"bytes"`
	PeakMB float64   `json:"peakMB"`
	Wire   int       `json:"wire"`
}

// Table is one work.
type Table struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	N     int    `json:"n"`
	Rows  []Row  `json:"rows"`
}

// race runs the contenders in turn, round after round.
func race(ctx context.Context, w work, rounds int, progress io.Writer) (Table, error) {
	t := Table{Name: w.Name, Title: w.Title, N: w.N}
	costs := make([][]cost, len(w.contenders))
	for round := range rounds {
		for i, c := range w.contenders {
			used, err := once(ctx, w, c, inProcess)
			if err != nil {
				return t, err
			}
			costs[i] = append(costs[i], used)
			fmt.Fprintf(progress, "%s, round %d of %d: %s %.2f\n", w.Title, round+1, rounds, c.Name, ratio(used.CPU, costs[0][round].CPU))
		}
	}
	own := map[string]int{} // the floor of a service
	for i, c := range slices.Backward(w.contenders) {
		if c.IsFloor() {
			own[c.Service] = i
		}
	}
	for i, c := range w.contenders {
		r := Row{Name: c.Name, Module: c.Module, Way: c.Way}
		var allocs, bytes, peak []float64
		for round, used := range costs[i] {
			r.CPU = append(r.CPU, ratio(used.CPU, costs[0][round].CPU))
			if at, ok := own[c.Service]; ok {
				r.Own = append(r.Own, ratio(used.CPU, costs[at][round].CPU))
			}
			r.Wall = append(r.Wall, ratio(used.Wall, costs[0][round].Wall))
			allocs, bytes, peak = append(allocs, used.Allocs), append(bytes, used.Bytes), append(peak, used.PeakKB/1024)
			r.Wire = used.BytesOnTheWire
		}
		r.Allocs, r.Bytes, r.PeakMB = median(allocs), median(bytes), median(peak)
		t.Rows = append(t.Rows, r)
	}
	slices.SortStableFunc(t.Rows, func(a, b Row) int { return compare(median(a.CPU), median(b.CPU)) })
	return t, nil
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func ratio[T ~int64](a, b T) float64 { return float64(a) / float64(max(b, 1)) }

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}
