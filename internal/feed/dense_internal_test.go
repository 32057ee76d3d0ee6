package feed

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestADenseMapIsLikeAGoMapWhateverIsDoneToIt(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	t.Run("sends", func(t *testing.T) {
		isLikeAGoMap(t, r, func(keys, _ int) originKey { return originKey{int64(r.IntN(3)), uint64(r.IntN(keys))} }) //nolint:gosec // small
	})
	t.Run("ids", func(t *testing.T) {
		isLikeAGoMap(t, r, func(keys, _ int) int64 { return int64(r.IntN(keys)) })
	})
	t.Run("ids that ascend", func(t *testing.T) {
		isLikeAGoMap(t, r, func(_, step int) int64 { return int64(step - r.IntN(2)) })
	})
	t.Run("ids that ascend but for some", func(t *testing.T) {
		isLikeAGoMap(t, r, func(keys, step int) int64 { return int64(step - r.IntN(keys)*(r.IntN(keys)/max(1, keys-1))) })
	})
}

// isLikeAGoMap does the same to a dense map and a Go map. key makes a key for a step: one of
// so many, or one that ascends with the steps.
func isLikeAGoMap[K denseKey](t *testing.T, r *rand.Rand, keyOf func(keys, step int) K) {
	for range 100 {
		var got dense[K, int]
		want := map[K]int{}
		keys := 1 + r.IntN(1<<r.IntN(13))
		growing := r.IntN(10)
		for step := range 3 * keys {
			k := keyOf(keys, step)
			switch n := r.IntN(12); {
			case n > growing:
				got.drop(k)
				delete(want, k)
			case n == 0 && r.IntN(keys) == 0:
				odd := func(_ K, v int) bool { return v%2 == 1 }
				got.dropFunc(odd)
				maps.DeleteFunc(want, odd)
			case n == 1 && r.IntN(4*keys) == 0:
				got.clear()
				clear(want)
			case n == 2 && r.IntN(keys) == 0:
				got = got.clone()
			default:
				got.put(k, step)
				want[k] = step
			}
			k = keyOf(keys, step)
			v, ok := got.get(k)
			w, there := want[k]
			require.Equal(t, w, v)
			require.Equal(t, there, ok)
			require.Equal(t, len(want), got.len())
		}
		require.Equal(t, want, maps.Collect(got.all()))
		for k := range want {
			got.drop(k)
		}
		require.Zero(t, got.len())
		require.Empty(t, maps.Collect(got.all()))
	}
}

func TestADenseMapKeepsTheOrderOfAddition(t *testing.T) {
	t.Parallel()
	var m dense[int64, int64]
	for round := range 3 {
		for i := range int64(3000) {
			m.put(i*7919%10007, i)
		}
		next := int64(0)
		for _, v := range m.all() {
			require.Equal(t, next, v, "round %d", round)
			next++
		}
		require.EqualValues(t, 3000, next)
		m.clear()
	}
}

func TestADenseMapOfKeysThatAscendHasNoTable(t *testing.T) {
	t.Parallel()
	var m dense[int64, int64]
	for round := range int64(3) {
		for i := range int64(500) {
			m.put(i*3, i)
			m.put(i/2*3, i/2) // which is known
		}
		v, ok := m.get(300)
		require.True(t, ok)
		require.EqualValues(t, 100, v)
		_, ok = m.get(299)
		require.False(t, ok)
		require.Nil(t, m.cells(), "round %d", round)
		m.clear()
	}
	m.put(7, 0)
	for i := range int64(few + 2) {
		m.put(i, i)
	}
	require.NotNil(t, m.cells())
}
