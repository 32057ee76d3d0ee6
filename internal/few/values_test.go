package few_test

import (
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/few"
)

func TestValuesAreAMapWhileTheyFitIntoOnePieceAndBeyond(t *testing.T) {
	t.Parallel()
	for _, longest := range []int{1, 50, 200, 1000, 10_000} { // ten keys: from all that fit to one that does not
		rnd := rand.New(rand.NewPCG(2, uint64(longest)))
		var m few.Values
		want := map[string]string{}
		for range 1000 {
			key := strings.Repeat("k", rnd.IntN(10)) // the empty key, too
			switch rnd.IntN(3) {
			case 0:
				m.Delete(key)
				delete(want, key)
			default:
				value := []byte(strings.Repeat(strconv.Itoa(rnd.IntN(10)), rnd.IntN(longest)))
				m.Set(key, value)
				want[key] = string(value)
				clear(value) // it was copied
			}
			for key := range strings.Repeat("k", 10) {
				value, ok := m.Get("kkkkkkkkkk"[key:])
				was, there := want["kkkkkkkkkk"[key:]]
				assert.Equal(t, there, ok)
				assert.Equal(t, was, value)
			}
			keys := slices.Sorted(m.Keys())
			if !assert.Equal(t, slices.Sorted(maps.Keys(want)), keys) {
				return
			}
		}
		for range m.Keys() {
			break
		}
	}
}

func TestAFewValuesAreOnePieceOfTheirSize(t *testing.T) { // not parallel: it looks at the heap
	var before, after runtime.MemStats
	made := make([]few.Values, 1000)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range made {
		for _, key := range []string{"one", "two", "three", "four"} {
			made[i].Set(key, make([]byte, 50))
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	assert.Less(t, after.HeapObjects-before.HeapObjects, uint64(len(made)+100))
	assert.Less(t, after.HeapAlloc-before.HeapAlloc, uint64(len(made)*260+10_000))
	runtime.KeepAlive(made)
}
