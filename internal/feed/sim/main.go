// Command sim plays seeded histories against the receive engine and reports the
// promises it breaks.
//
//	go run ./internal/feed/sim -first 1 -seeds 1000000
//	go run ./internal/feed/sim -tell 4711
//	go run ./internal/feed/sim -mutants
//	go run ./internal/feed/sim -mutant 12 -tell 31
//
// For each broken rule it prints the story of the first seed that breaks it, cut
// down to what matters, and exits with status 1.
//
// The last two forms need the module's source and the go command: they build the
// simulator again, with one defect of package mutants at a time.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"

	"github.com/fliplet/fliplet-chat-go/internal/feed/sim/world"
)

func main() {
	first := flag.Uint64("first", 1, "the first seed")
	seeds := flag.Uint64("seeds", 100_000, "how many seeds to play")
	workers := flag.Int("workers", runtime.GOMAXPROCS(0), "how many at once")
	tell := flag.Uint64("tell", 0, "tell the story of one seed")
	find := flag.Bool("find", false, "print the first seed that breaks a promise, and the rule, and no story")
	rule := flag.String("rule", "", "tell only what breaks this rule")
	mutant := flag.Int("mutant", 0, "do it with the defect of this number")
	mutants := flag.Bool("mutants", false, "try every defect, and tell which seed notices it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var status int
	switch {
	case *mutants:
		status = killAll(ctx, *first, *seeds, *workers)
	case *mutant != 0:
		status = runMutant(ctx, *mutant)
	case *tell != 0:
		status = tellOne(*tell)
	case *find:
		status = findOne(*first, *seeds)
	default:
		status = play(*first, *seeds, *workers, *rule)
	}
	stop()
	os.Exit(status)
}

// tellOne tells what happens in one story.
func tellOne(seed uint64) int {
	r := world.NewRunner()
	var s world.Story
	world.Tell(&s, seed)
	fmt.Print(r.Tell(&s))
	if r.Play(&s) != nil {
		return 1
	}
	return 0
}

// findOne names the first seed of a range that breaks a promise.
func findOne(first, seeds uint64) int {
	seed, v := world.NewRunner().Find(first, seeds)
	if v == nil {
		return 0
	}
	fmt.Println(seed, v.Rule)
	return 1
}
