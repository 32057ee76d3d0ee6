package mutants_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed/sim/mutants"
	"github.com/fliplet/fliplet-chat-go/internal/feed/sim/world"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
	"github.com/fliplet/fliplet-chat-go/internal/patch"
)

func TestEveryMutantApplies(t *testing.T) {
	t.Parallel()
	root, err := patch.Root()
	require.NoError(t, err)
	all := mutants.All()
	require.GreaterOrEqual(t, len(all), 68)
	seen := map[string]int{}
	for i, m := range all {
		assert.Equal(t, i+1, m.Number)
		assert.NotZero(t, m.Seed, "%d: which story notices it?", m.Number)
		files, err := patch.Apply(root, m.Edits)
		if !assert.NoError(t, err, "%d: %s", m.Number, m.What) {
			continue
		}
		for name, text := range files {
			assert.Regexp(t, `^internal/(feed|pages)/\w+\.go$`, name, "%d: %s", m.Number, m.What)
			_, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
			assert.NoError(t, err, "%d: %s", m.Number, m.What)
		}
		for _, key := range []string{m.What, fmt.Sprint(files)} {
			assert.Zero(t, seen[key], "%d is the same as %d", m.Number, seen[key])
			seen[key] = m.Number
		}
	}
}

// Each defect is noticed: by the story that noticed it before, or by another soon.
func TestEveryMutantIsKilled(t *testing.T) {
	longtest.Only(t, "compiles the simulator anew")
	t.Parallel()
	for _, m := range mutants.All() {
		t.Run(m.What, func(t *testing.T) {
			t.Parallel()
			program := build(t, m)
			seed, rule, err := program.Find(t.Context(), m.Seed, 1)
			require.NoError(t, err)
			if rule == "" {
				seed, rule, err = program.Find(t.Context(), 1, 40_000)
				require.NoError(t, err)
			}
			require.NotEmpty(t, rule, "no story notices it")
			t.Logf("seed %d: %s", seed, rule)
		})
	}
}

func TestTheStoryOfAMutantIsCutDownToWhatMatters(t *testing.T) {
	longtest.Only(t, "compiles the simulator anew")
	t.Parallel()
	m := mutants.All()[0]
	program := build(t, m)
	seed, rule, err := program.Find(t.Context(), 1, 1000)
	require.NoError(t, err)
	require.NotEmpty(t, rule)
	whole, err := program.Run(t.Context(), fmt.Sprint("-tell=", seed))
	require.NoError(t, err)
	short, err := program.Run(t.Context(), fmt.Sprint("-first=", seed), "-seeds=1")
	require.NoError(t, err)
	assert.Contains(t, whole, "VIOLATION "+rule)
	assert.Contains(t, short, "VIOLATION "+rule)
	assert.Contains(t, short, "a listener subscribes")
	assert.Contains(t, short, "sim: 1 seeds, 1 violations")
	assert.Less(t, strings.Count(short, "\n"), strings.Count(whole, "\n"))

	var s world.Story
	world.Tell(&s, seed)
	assert.Nil(t, world.NewRunner().Shrink(&s), "the engine itself passes")
}

// build builds the simulator with a defect.
func build(t *testing.T, m mutants.Mutant) mutants.Program {
	t.Helper()
	root, err := patch.Root()
	require.NoError(t, err)
	program, err := m.Build(t.Context(), root, t.TempDir())
	require.NoError(t, err)
	return program
}
