package few_test

import (
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/few"
)

func TestARareValueIsMadeOnceAndTakesOnePointerBefore(t *testing.T) {
	t.Parallel()
	var r few.Rare[[100]int]
	assert.Equal(t, unsafe.Sizeof(uintptr(0)), unsafe.Sizeof(r))
	assert.Nil(t, r.Made())
	var seen sync.Map
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { seen.Store(r.Get(), true) })
	}
	wg.Wait()
	n := 0
	seen.Range(func(v, _ any) bool {
		n++
		return assert.Same(t, r.Get(), v)
	})
	assert.Equal(t, 1, n)
	assert.Same(t, r.Get(), r.Made())
}
