// Command sim plays seeded histories against the receive engine and reports the
// promises it breaks.
//
//	go run ./internal/feed/sim -first 1 -seeds 1000000
//	go run ./internal/feed/sim -tell 4711
//	go run ./internal/feed/sim -mutants
//
// For each broken rule it prints the story of the first seed that breaks it, cut
// down to what matters, and exits with status 1.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/feed/sim/world"
)

func main() {
	first := flag.Uint64("first", 1, "the first seed")
	seeds := flag.Uint64("seeds", 100_000, "how many seeds to play")
	workers := flag.Int("workers", runtime.GOMAXPROCS(0), "how many at once")
	tell := flag.Uint64("tell", 0, "tell the story of one seed")
	mutant := flag.Int("mutant", 0, "plant the defect of this number")
	rule := flag.String("rule", "", "tell only what breaks this rule")
	mutants := flag.Bool("mutants", false, "plant every defect in turn, and tell which seed notices it")
	flag.Parse()
	if *mutants {
		os.Exit(killAll(*first, *seeds, *workers))
	}
	if *tell != 0 {
		os.Exit(tellOne(*tell, feed.Mutant(*mutant)))
	}
	os.Exit(play(*first, *seeds, *workers, feed.Mutant(*mutant), *rule))
}

// tellOne tells what happens in one story.
func tellOne(seed uint64, mutant feed.Mutant) int {
	r := world.NewRunner()
	r.Mutant = mutant
	var s world.Story
	world.Tell(&s, seed)
	fmt.Print(r.Tell(&s))
	if r.Play(&s) != nil {
		return 1
	}
	return 0
}

// killAll plants every defect in turn.
func killAll(first, seeds uint64, workers int) int {
	type verdict struct {
		seed uint64
		v    *world.Violation
	}
	list := feed.Mutants()
	verdicts := make([]verdict, len(list))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			r := world.NewRunner()
			for i := next.Add(1) - 1; int(i) < len(list); i = next.Add(1) - 1 {
				verdicts[i].seed, verdicts[i].v = r.Kill(list[i], first, seeds)
			}
		})
	}
	wg.Wait()
	killed := 0
	for i, m := range list {
		if v := verdicts[i].v; v != nil {
			killed++
			fmt.Printf("%2d  seed %-7d %-18s %s\n", m, verdicts[i].seed, v.Rule, m)
		} else {
			fmt.Printf("%2d  ALIVE after %d seeds: %s\n", m, seeds, m)
		}
	}
	fmt.Printf("mutants: %d of %d killed\n", killed, len(list))
	if killed < len(list) {
		return 1
	}
	return 0
}

// play plays a range of seeds on several workers.
func play(first, seeds uint64, workers int, mutant feed.Mutant, only string) int {
	const chunk = 256
	began := time.Now()
	var next, played, violations, requests atomic.Uint64
	var mu sync.Mutex
	worst := map[string]uint64{} // the first seed that breaks a rule
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			r := world.NewRunner()
			r.Mutant = mutant
			var s world.Story
			defer func() { requests.Add(r.Requests) }()
			for {
				from := next.Add(chunk) - chunk
				if from >= seeds {
					return
				}
				to := min(from+chunk, seeds)
				for i := from; i < to; i++ {
					world.Tell(&s, first+i)
					v := r.Play(&s)
					if v == nil {
						continue
					}
					violations.Add(1)
					mu.Lock()
					if seed, ok := worst[v.Rule]; !ok || first+i < seed {
						worst[v.Rule] = first + i
					}
					mu.Unlock()
				}
				played.Add(to - from)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-tick.C:
		}
		n := played.Load()
		fmt.Fprintf(os.Stderr, "%d of %d seeds, %.0f/s, %d violations\n", n, seeds, float64(n)/time.Since(began).Seconds(), violations.Load())
	}
	fmt.Fprintf(os.Stderr, "%v, %d requests answered\n", time.Since(began).Round(time.Millisecond), requests.Load())
	status := 0
	if n := violations.Load(); n > 0 {
		r := world.NewRunner()
		r.Mutant = mutant
		var s world.Story
		for rule, seed := range worst {
			if only != "" && only != rule {
				continue
			}
			world.Tell(&s, seed)
			r.Shrink(&s)
			fmt.Println(r.Tell(&s))
		}
		status = 1
	}
	fmt.Printf("sim: %d seeds, %d violations\n", played.Load(), violations.Load())
	return status
}
