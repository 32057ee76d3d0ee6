package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/fliplet/fliplet-chat-go/bench/contender"
)

// The scenarios of the scoreboard. Each is the same for every contender, and ends in
// numbers.

const (
	// patience is how long a scenario waits for what may never come.
	patience = 45 * time.Second
	// settled is how long nothing must come before a scenario counts.
	settled = 500 * time.Millisecond
	// stops is how long a stop may take before it counts as one that does not return.
	stops = 5 * time.Second
	// notApplicable is the number of what a library does not have.
	notApplicable = -1
)

// counts are the numbers of a scenario, by name.
type counts map[string]float64

// tally is what the handlers have seen.
type tally struct {
	mu       sync.Mutex
	begun    map[int]int
	done     map[int]int
	running  int
	most     int // that ran at the same time
	order    []int
	progress chan struct{}
}

func newTally() *tally {
	return &tally{begun: map[int]int{}, done: map[int]int{}, progress: make(chan struct{}, 1)}
}

// handler counts, and calls work in between.
func (t *tally) handler(work func(seq int)) func(int) {
	return func(seq int) {
		t.mu.Lock()
		t.begun[seq]++
		t.running++
		t.most = max(t.most, t.running)
		t.mu.Unlock()
		if work != nil {
			work(seq)
		}
		t.mu.Lock()
		t.running--
		t.done[seq]++
		t.order = append(t.order, seq)
		t.mu.Unlock()
		select {
		case t.progress <- struct{}{}:
		default:
		}
	}
}

// until waits for a condition, and reports whether it came true.
func (t *tally) until(d time.Duration, ok func() bool) bool {
	deadline := time.After(d)
	for {
		t.mu.Lock()
		yes := ok()
		t.mu.Unlock()
		if yes {
			return true
		}
		select {
		case <-t.progress:
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			return false
		}
	}
}

// ms rounds to milliseconds.
func ms(d time.Duration) float64 { return float64(d.Milliseconds()) }

// timed calls stop and says how long it took, or that it has not returned in time.
func timed(stop func()) float64 {
	at, returned := time.Now(), make(chan struct{})
	go func() {
		defer close(returned)
		stop()
	}()
	select {
	case <-returned:
		return ms(time.Since(at))
	case <-time.After(stops):
		return ms(stops)
	}
}

// add has the service add messages.
func add(ctx context.Context, t task, n int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.Control+"?n="+strconv.Itoa(n), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// footprint is the memory of heap and stacks in KB, and the goroutines, at rest.
func footprint() (kb float64, goroutines int) {
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc+m.StackInuse) / 1024, runtime.NumGoroutine()
}

func perform(ctx context.Context, c contender.Contender, t task) (counts, error) {
	scenarios := map[string]func(context.Context, contender.Contender, task) (counts, error){
		"shutdown": shutdown, "crash": crash, "order": order, "deaf": deaf, "abandoned": abandoned, "cancel": cancelInFlight,
	}
	run, ok := scenarios[t.Work]
	if !ok {
		return nil, fmt.Errorf("there is no work %q", t.Work)
	}
	return run(ctx, c, t)
}

// again starts a second life in which a message more than n comes, and waits for it.
func again(ctx context.Context, c contender.Contender, t task, n int, work func(int)) (*tally, float64, error) {
	second := newTally()
	at := time.Now()
	stop, err := c.Start(ctx, contender.Setup{Where: t.Where, Dir: t.Dir, Handlers: []func(int){second.handler(work)}})
	if err != nil {
		return nil, 0, err
	}
	if err := add(ctx, t, 1); err != nil {
		return nil, 0, err
	}
	second.until(patience, func() bool { return second.done[n+1] > 0 })
	back := ms(time.Since(at))
	time.Sleep(settled)
	timed(stop)
	return second, back, nil
}

// shutdown ends a loop in good order while it has handled half of what waits, and sees
// what a second life gets. What still runs when the stop returns counts as cut off: the
// program would end now.
func shutdown(ctx context.Context, c contender.Contender, t task) (counts, error) {
	first := newTally()
	half := make(chan struct{})
	var once sync.Once
	var n int
	work := func(seq int) {
		time.Sleep(time.Duration(4+36*(seq%2)) * time.Millisecond) // some take longer than others
		first.mu.Lock()
		if n++; n == t.N/2 {
			once.Do(func() { close(half) })
		}
		first.mu.Unlock()
	}
	_, before := footprint()
	stop, err := c.Start(ctx, contender.Setup{Where: t.Where, Dir: t.Dir, Handlers: []func(int){first.handler(work)}})
	if err != nil {
		return nil, err
	}
	select {
	case <-half:
	case <-time.After(patience):
		return nil, fmt.Errorf("%d of %d messages came", len(first.done), t.N)
	}
	took := timed(stop)
	first.mu.Lock()
	running, begun := first.running, len(first.begun)
	saved := map[int]bool{}
	for seq := range first.done {
		saved[seq] = true
	}
	first.mu.Unlock()
	time.Sleep(settled)
	first.mu.Lock()
	later := len(first.begun) - begun
	first.mu.Unlock()
	time.Sleep(settled)
	_, after := footprint()
	second, _, err := again(ctx, c, t, t.N, nil)
	if err != nil {
		return nil, err
	}
	out := counts{"stop ms": took, "running": float64(running), "later": float64(later), "goroutines": float64(max(after-before, 0))}
	for seq := 1; seq <= t.N; seq++ {
		switch {
		case !saved[seq] && second.done[seq] == 0:
			out["lost"]++
		case saved[seq] && second.done[seq] > 0:
			out["twice"]++
		}
	}
	return out, nil
}

// crash handles messages until the process ends in the middle of the 11th; AtOnce is the
// life. What was begun and done is written to a file at once.
func crash(ctx context.Context, c contender.Contender, t task) (counts, error) {
	diary, err := os.OpenFile(filepath.Join(t.Dir, "diary"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer diary.Close()
	if t.AtOnce == 2 {
		second, back, err := again(ctx, c, t, t.N, nil)
		if err != nil {
			return nil, err
		}
		for seq := range second.done {
			fmt.Fprintf(diary, "again %d\n", seq)
		}
		return counts{"back ms": back}, nil
	}
	var mu sync.Mutex
	n := 0
	work := func(int) {
		mu.Lock()
		n++
		if n == 11 {
			os.Exit(3)
		}
		mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	first := newTally()
	_, err = c.Start(ctx, contender.Setup{Where: t.Where, Dir: t.Dir, Handlers: []func(int){func(seq int) {
		first.handler(work)(seq)
		fmt.Fprintf(diary, "done %d\n", seq)
	}}})
	if err != nil {
		return nil, err
	}
	time.Sleep(patience)
	return nil, fmt.Errorf("%d messages came, and no 11th", len(first.done))
}

// order counts messages whose effect comes after that of a later one.
func order(ctx context.Context, c contender.Contender, t task) (counts, error) {
	seen := newTally()
	stop, err := c.Start(ctx, contender.Setup{Where: t.Where, Dir: t.Dir, Handlers: []func(int){seen.handler(func(int) {
		time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
	})}})
	if err != nil {
		return nil, err
	}
	all := seen.until(patience, func() bool { return len(seen.done) == t.N })
	timed(stop)
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if !all {
		return nil, fmt.Errorf("%d of %d messages came", len(seen.done), t.N)
	}
	out, highest := counts{"at once": float64(seen.most)}, 0
	for _, seq := range seen.order {
		if seq < highest {
			out["late"]++
		}
		highest = max(highest, seq)
	}
	return out, nil
}

// deaf has a handler that never returns, and beside it, where a client can have two, one
// that does.
func deaf(ctx context.Context, c contender.Contender, t task) (counts, error) {
	first, second := newTally(), newTally()
	forever := make(chan struct{})
	handlers := []func(int){first.handler(func(int) { <-forever })}
	if !c.Single {
		handlers = append(handlers, second.handler(nil))
	}
	kb, goroutines := footprint()
	stop, err := c.Start(ctx, contender.Setup{Where: t.Where, Dir: t.Dir, Handlers: handlers})
	if err != nil {
		return nil, err
	}
	if err := add(ctx, t, t.N); err != nil {
		return nil, err
	}
	first.until(patience, func() bool { return len(first.begun) > 0 })
	if !c.Single {
		second.until(stops, func() bool { return len(second.done) == t.N })
	}
	time.Sleep(2 * time.Second)
	kbNow, goroutinesNow := footprint()
	out := counts{"KB": max(kbNow-kb, 0), "goroutines": float64(goroutinesNow - goroutines), "other": notApplicable}
	if !c.Single {
		second.mu.Lock()
		out["other"] = float64(len(second.done))
		second.mu.Unlock()
	}
	out["stop ms"] = timed(stop)
	return out, nil
}

// abandoned starts loops whose handlers never return, and forgets them. Then their
// context is cancelled.
func abandoned(ctx context.Context, c contender.Contender, t task) (counts, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	forever := make(chan struct{})
	tallies := make([]*tally, t.AtOnce)
	kb, goroutines := footprint()
	for i := range tallies {
		tallies[i] = newTally()
		dir := filepath.Join(t.Dir, strconv.Itoa(i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
		_, err := c.Start(ctx, contender.Setup{Where: t.Where, Account: i, Dir: dir, Handlers: []func(int){tallies[i].handler(func(int) { <-forever })}})
		if err != nil {
			return nil, err
		}
	}
	if err := add(ctx, t, t.N); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(patience)
	for _, each := range tallies {
		each.until(time.Until(deadline), func() bool { return len(each.begun) > 0 })
	}
	time.Sleep(2 * time.Second)
	kbNow, goroutinesNow := footprint()
	loops := float64(t.AtOnce)
	out := counts{"KB each": max(kbNow-kb, 0) / loops, "goroutines each": float64(goroutinesNow-goroutines) / loops}
	cancel()
	time.Sleep(3 * time.Second)
	_, left := footprint()
	reached := 0
	for _, each := range tallies {
		each.mu.Lock()
		left -= each.running // the handlers themselves are the program's
		reached += min(len(each.begun), 1)
		each.mu.Unlock()
	}
	out["reached"] = float64(reached)
	out["left each"] = float64(max(left-goroutines, 0)) / loops
	return out, nil
}

// cancelInFlight stops loops at any moment after a message came, while the next request
// is on its way, and sees whether the next loop goes on where this one was.
func cancelInFlight(ctx context.Context, c contender.Contender, t task) (counts, error) {
	all, slowest := newTally(), 0.0
	const each = 3
	for range t.N / each {
		stop, err := c.Start(ctx, contender.Setup{Where: t.Where, Dir: t.Dir, Poll: 5 * time.Millisecond, Handlers: []func(int){all.handler(nil)}})
		if err != nil {
			return nil, err
		}
		if err := add(ctx, t, each); err != nil {
			return nil, err
		}
		time.Sleep(time.Duration(rand.IntN(20_000)) * time.Microsecond)
		slowest = max(slowest, timed(stop))
	}
	added := t.N / each * each
	last, _, err := again(ctx, c, t, added, nil)
	if err != nil {
		return nil, err
	}
	out := counts{"slowest ms": slowest}
	for seq := 1; seq <= added; seq++ {
		switch n := all.done[seq] + last.done[seq]; {
		case n == 0:
			out["lost"]++
		case n > 1:
			out["twice"]++
		}
	}
	return out, nil
}
