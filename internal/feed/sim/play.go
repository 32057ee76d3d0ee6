package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed/sim/world"
)

// play plays a range of seeds on several workers.
func play(first, seeds uint64, workers int, only string) int {
	const chunk = 256
	began := time.Now()
	var next, played, violations, requests atomic.Uint64
	var mu sync.Mutex
	worst := map[string]uint64{} // the first seed that breaks a rule
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			r := world.NewRunner()
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
