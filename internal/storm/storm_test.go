package storm_test

import (
	"flag"
	"fmt"
	"io"
	"log"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/internal/storm"
)

var (
	seedFlag = flag.Uint64("storm.seed", 0, "play this seed only")
	forFlag  = flag.Duration("storm.for", 0, "how long the storm lasts: 3s every day, 2m in a long test")
	settles  = flag.Duration("storm.settle", 2*time.Minute, "what all of it may take when the storm is over")
)

// TestMain fails the run when a goroutine is left behind. net/http logs bytes that follow
// an answer, which are many here.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	leaktest.Main(m)
}

// TestStorm plays seeds, all at the same time, and prints the story of those that fail.
func TestStorm(t *testing.T) {
	t.Parallel()
	seeds, lasts := []uint64{1, 2}, 3*time.Second
	if longtest.Enabled() {
		seeds, lasts = []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 2*time.Minute
	}
	if *seedFlag != 0 {
		seeds = []uint64{*seedFlag}
	}
	if *forFlag != 0 {
		lasts = *forFlag
	}
	results := make([]*result, len(seeds))
	var all sync.WaitGroup
	for i, seed := range seeds {
		all.Go(func() { results[i] = play(t.TempDir(), seed, lasts) })
	}
	all.Wait()
	sum := &result{faults: map[string]int{}}
	for _, r := range results {
		t.Log(r)
		if r.failed() {
			t.Error(r.story())
		}
		sum.add(r)
	}
	t.Logf("in all: %v", sum)
	assert.Positive(t, sum.messages)
	if *forFlag == 0 {
		assert.Positive(t, sum.kills)
	}
	if longtest.Enabled() && *seedFlag == 0 {
		for _, name := range storm.Kinds() {
			assert.Positive(t, sum.faults[name], "%s did not happen", name)
		}
		t.Log(sum.table())
	}
}

func TestThereAreManyKindsOfFaults(t *testing.T) {
	t.Parallel()
	names := storm.Kinds()
	require.GreaterOrEqual(t, len(names), 30)
	slices.Sort(names)
	assert.Equal(t, names, slices.Compact(slices.Clone(names)), "each has a name of its own")
}

// table lists how often each kind happened.
func (r *result) table() string {
	var b strings.Builder
	for _, name := range storm.Kinds() {
		fmt.Fprintf(&b, "%7d %s\n", r.faults[name], name)
	}
	return b.String()
}
