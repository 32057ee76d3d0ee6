package few_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/few"
)

// things are options of all kinds.
type things struct {
	Text string
	Of   *int
	Any  any
	List []string
	Call func()
	Sub  struct{ N int }
}

func TestEqualValuesAreSharedAndOthersAreNot(t *testing.T) {
	t.Parallel()
	one, other := new(int), new(int)
	same := things{Text: "a", Of: one, Any: one}
	var l few.Last[things]
	first := l.Of(same)
	assert.Equal(t, same, *first)
	assert.Same(t, first, l.Of(same))
	for name, v := range map[string]things{
		"a text":                        {Text: "b", Of: one, Any: one},
		"a pointer to an equal value":   {Text: "a", Of: other, Any: one},
		"none":                          {Text: "a", Any: one},
		"another type":                  {Text: "a", Of: one, Any: "one"},
		"what cannot be compared":       {Text: "a", Of: one, Any: []string{}},
		"a list":                        {Text: "a", Of: one, Any: one, List: []string{"x"}},
		"an empty list that is not nil": {Text: "a", Of: one, Any: one, List: []string{}},
		"a function":                    {Text: "a", Of: one, Any: one, Call: func() {}},
		"a part":                        {Text: "a", Of: one, Any: one, Sub: struct{ N int }{1}},
	} {
		l.Of(same)
		assert.NotSame(t, first, l.Of(v), name)
	}
	again := things{Any: []string{"x"}}
	assert.NotSame(t, l.Of(again), l.Of(again), "lists may be changed")
}

func TestWhatIsDerivedFromTheSameIsShared(t *testing.T) {
	t.Parallel()
	var d few.Derived[things, int]
	one, other := &things{}, &things{}
	made := 0
	of := func(from *things) *int {
		return d.Of(from, func() *int { made++; return &[]int{made}[0] })
	}
	first := of(one)
	assert.Same(t, first, of(one))
	second := of(other)
	assert.NotSame(t, first, second, "an equal one may have been changed")
	assert.Same(t, second, of(other))
	assert.Equal(t, 2, made)
	runtime.KeepAlive(first)
}

func TestASharedValueIsNotKeptByWhatSharesIt(t *testing.T) {
	t.Parallel()
	var l few.Last[things]
	gone := make(chan struct{})
	func() {
		v := l.Of(things{Text: "a"})
		runtime.AddCleanup(v, func(c chan struct{}) { close(c) }, gone)
	}()
	for {
		runtime.GC()
		select {
		case <-gone:
			assert.Equal(t, "a", l.Of(things{Text: "a"}).Text)
			return
		default:
			runtime.Gosched()
		}
	}
}
