package few_test

import (
	"maps"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/few"
)

func TestAMapOfFewOrManyEntriesIsAMap(t *testing.T) {
	t.Parallel()
	for _, keys := range []int{1, 3, 8, 9, 100} {
		rnd := rand.New(rand.NewPCG(1, uint64(keys)))
		var m few.Map[int, int]
		want := map[int]int{}
		for range 2000 {
			switch key, value := rnd.IntN(keys), rnd.Int(); rnd.IntN(3) {
			case 0:
				m.Delete(key)
				delete(want, key)
			default:
				m.Set(key, value)
				want[key] = value
			}
			assert.Equal(t, len(want), m.Len())
			key := rnd.IntN(keys)
			value, ok := m.Get(key)
			was, there := want[key]
			assert.Equal(t, there, ok)
			assert.Equal(t, was, value)
		}
		assert.Equal(t, want, maps.Collect(m.All()))
		for key, value := range m.Each() {
			*value, want[key] = -key, -key
		}
		assert.Nil(t, m.At(keys))
		for key := range want {
			*m.At(key)++
			want[key]++
		}
		assert.Equal(t, want, maps.Collect(m.All()))
		for range m.All() {
			break
		}
	}
}

func TestAMapWithOneEntryIsOneAllocationOfItsSize(t *testing.T) { // not parallel: it counts allocations
	var before, after runtime.MemStats
	made := make([]few.Map[int64, *int], 1000)
	runtime.ReadMemStats(&before)
	for i := range made {
		made[i].Set(1, nil)
	}
	runtime.ReadMemStats(&after)
	assert.Less(t, after.Mallocs-before.Mallocs, uint64(len(made)+100))
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(len(made)*20+10_000))
	runtime.KeepAlive(made)
}
