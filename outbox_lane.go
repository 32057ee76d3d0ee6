package chat

import (
	"iter"
	"slices"
	"time"
)

// A Store cannot list its keys, so one key, the registry, says where messages may
// be: in lanes, each a row of numbered places that one process fills. Places are
// reserved by the block, so that a message costs one write and one removal, and
// some of them stay empty.
type registry struct {
	Version int    `json:"version"`
	Lanes   []lane `json:"lanes"`
}

type lane struct {
	ID string `json:"id"`
	// Owner is who may send what is in the lane; "" is nobody.
	Owner string `json:"owner,omitempty"`
	// Beat changes with every renewal. Whoever sees it unchanged for as long as a
	// claim lasts knows that the claim is dead, whatever the clocks say.
	Beat  uint64    `json:"beat"`
	Until time.Time `json:"until"`
	// Messages are in some of the places First ≤ n < Next of a lane that is being
	// filled, and in those of Used afterwards.
	First uint64   `json:"first"`
	Next  uint64   `json:"next"`
	Used  []uint64 `json:"used,omitempty"`
}

// places are those that may hold messages.
func (l *lane) places() iter.Seq[uint64] {
	if len(l.Used) > 0 {
		return slices.Values(l.Used)
	}
	return func(yield func(uint64) bool) {
		for n := l.First; n < l.Next; n++ {
			if !yield(n) {
				return
			}
		}
	}
}
