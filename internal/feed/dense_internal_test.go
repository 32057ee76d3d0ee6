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
	for range 200 {
		var got dense[originKey, int]
		want := map[originKey]int{}
		keys := 1 + r.IntN(1<<r.IntN(13))
		key := func() originKey { return originKey{int64(r.IntN(3)), uint64(r.IntN(keys))} } //nolint:gosec // small
		growing := r.IntN(10)
		for step := range 3 * keys {
			k := key()
			switch n := r.IntN(12); {
			case n > growing:
				got.drop(k)
				delete(want, k)
			case n == 0 && r.IntN(keys) == 0:
				odd := func(_ originKey, v int) bool { return v%2 == 1 }
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
			k = key()
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
