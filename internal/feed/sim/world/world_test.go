package world_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

// Consumers that store that an event is done with before they finish it, as a transaction
// does, keep the same promises.
func TestConsumersThatStoreAndFinishTogetherBreakNoPromise(t *testing.T) {
	t.Parallel()
	r := world.NewRunner()
	r.Together = true
	for seed := uint64(1); seed <= 6000; seed++ {
		play(t, r, seed)
	}
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

// A server that breaks its word makes the engine break its own: a row becomes
// visible long after the window in which late rows are looked for.
func TestShrinkKeepsWhatMatters(t *testing.T) {
	t.Parallel()
	r := world.NewRunner()
	late := time.Minute
	for seed := uint64(1); seed <= 20; seed++ {
		var s world.Story
		world.Tell(&s, seed)
		s.Blocked, s.Traits.Cap = 0, 0
		tooLate := func() *world.Step {
			i := slices.IndexFunc(s.Steps, func(x world.Step) bool { return x.Op == world.Send && x.D == late })
			require.GreaterOrEqual(t, i, 0, "seed %d: the step that matters is kept", seed)
			return &s.Steps[i]
		}
		s.Steps = append(s.Steps,
			world.Step{Op: world.Subscribe},
			world.Step{Op: world.Check},
			world.Step{Op: world.Pass, D: time.Minute},
			world.Step{Op: world.Send, B: 1, D: late},
			world.Step{Op: world.Pass, D: time.Millisecond},
			world.Step{Op: world.Send, B: 1},
			world.Step{Op: world.Check},
		)
		for _, d := range []time.Duration{s.Config.Overlap, s.Config.Overlap, late} { // settled, and visible
			s.Steps = append(s.Steps, world.Step{Op: world.Pass, D: d}, world.Step{Op: world.Check})
		}
		before := len(s.Steps)
		v := r.Play(&s)
		require.NotNil(t, v, "seed %d", seed)
		small := r.Shrink(&s)
		require.NotNil(t, small, "seed %d", seed)
		assert.Equal(t, v.Rule, small.Rule, "seed %d", seed)
		assert.Less(t, len(s.Steps), before, "seed %d", seed)
		text := r.Tell(&s)
		assert.Contains(t, text, "VIOLATION "+v.Rule)
		assert.Contains(t, text, "a listener subscribes")
		tooLate().D = 0
		assert.Nil(t, r.Shrink(&s), "seed %d: a server that keeps its word", seed)
	}
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
