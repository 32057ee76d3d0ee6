package world_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/feed/sim/world"
)

// play plays a seed and fails with its story, cut down to what matters.
func play(t *testing.T, r *world.Runner, seed uint64) {
	t.Helper()
	var s world.Story
	world.Tell(&s, seed)
	if r.Play(&s) == nil {
		return
	}
	r.Shrink(&s)
	require.Fail(t, "a promise is broken", r.Tell(&s))
}

func TestHistoriesBreakNoPromise(t *testing.T) {
	t.Parallel()
	r := world.NewRunner()
	for seed := uint64(1); seed <= 6000; seed++ {
		play(t, r, seed)
	}
	assert.Greater(t, r.Requests, uint64(60_000), "the stories are about something")
}

func TestSeedsThatFailedOncePass(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/seeds.txt")
	require.NoError(t, err)
	r := world.NewRunner()
	played := 0
	for line := range strings.Lines(string(text)) {
		number, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if number == "" || number == "#" {
			continue
		}
		seed, err := strconv.ParseUint(number, 10, 64)
		require.NoError(t, err)
		play(t, r, seed)
		played++
	}
	assert.NotZero(t, played)
}

// Each defect is noticed: by the seed that noticed it before, or by another soon.
func TestEveryMutantIsKilled(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/mutants.txt")
	require.NoError(t, err)
	known := map[string]uint64{}
	for line := range strings.Lines(string(text)) {
		number, what, ok := strings.Cut(strings.TrimSpace(line), " ")
		if seed, err := strconv.ParseUint(number, 10, 64); err == nil && ok {
			known[what] = seed
		}
	}
	require.GreaterOrEqual(t, len(feed.Mutants()), 20)
	for _, m := range feed.Mutants() {
		t.Run(m.String(), func(t *testing.T) {
			t.Parallel()
			r := world.NewRunner()
			seed, v := known[m.String()], (*world.Violation)(nil)
			if seed != 0 {
				seed, v = r.Kill(m, seed, 1)
			}
			if v == nil {
				seed, v = r.Kill(m, 1, 40_000)
			}
			require.NotNil(t, v, "no story notices it")
			t.Logf("seed %d: %s", seed, v.Rule)
		})
	}
}

func TestAStoryIsTheSameEveryTime(t *testing.T) {
	t.Parallel()
	for seed := uint64(1); seed <= 200; seed++ {
		var a, b world.Story
		world.Tell(&a, seed)
		world.Tell(&b, seed)
		require.Equal(t, a, b)
		require.Equal(t, world.NewRunner().Tell(&a), world.NewRunner().Tell(&b), "seed %d", seed)
	}
}

func TestShrinkKeepsWhatMatters(t *testing.T) {
	t.Parallel()
	r := world.NewRunner()
	r.Mutant = feed.Mutants()[0]
	seed, v := r.Kill(r.Mutant, 1, 1000)
	require.NotNil(t, v)
	var s world.Story
	world.Tell(&s, seed)
	before := len(s.Steps)
	small := r.Shrink(&s)
	require.NotNil(t, small)
	assert.Equal(t, v.Rule, small.Rule)
	assert.Less(t, len(s.Steps), before)
	text := r.Tell(&s)
	assert.Contains(t, text, "VIOLATION "+v.Rule)
	assert.Contains(t, text, "a listener subscribes")
	r.Mutant = 0
	assert.Nil(t, r.Shrink(&s), "the engine itself passes")
}

func BenchmarkStory(b *testing.B) {
	r := world.NewRunner()
	var s world.Story
	seed := uint64(0)
	began := time.Now()
	for b.Loop() {
		seed++
		world.Tell(&s, seed)
		r.Play(&s)
	}
	b.ReportMetric(float64(seed)/time.Since(began).Seconds(), "seeds/s")
}
