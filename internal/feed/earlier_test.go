package feed_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// The rows of one conversation are those of an earlier moment, for a minute. What came in
// it since is not passed by, and positions follow that moment.
func TestAPartOfAnEarlierMomentSettlesNoMoreThanWasThere(t *testing.T) {
	t.Parallel()
	for _, clocked := range []bool{false, true} {
		h := newHarness(feed.Config{Overlap: 5 * time.Second}, 1, 2)
		h.dated = clocked
		h.send(1)
		id := h.feed.Subscribe(h.now, feed.FromNewest)
		h.run()
		h.drain(id)
		h.pass(time.Minute)
		h.poll()
		asked, clock := h.now, h.fakeServer.now/1e6*1e6
		h.change = func(q feed.Query) {
			if q.Partial {
				h.feed.Earlier(asked, clock)
			}
		}
		h.pass(2 * time.Second)
		missing := h.send(2)
		h.visible[missing] = 1 << 62
		want := []int64{}
		for range 11 {
			want = append(want, h.send(1))
			h.pass(5 * time.Second)
			h.poll()
		}
		assert.Equal(t, want, ids(h.drain(id)), "others come")
		h.pass(5 * time.Second)
		delete(h.visible, missing)
		asked, clock = h.now, h.fakeServer.now/1e6*1e6
		h.poll()
		assert.Equal(t, []int64{missing}, ids(h.drain(id)))

		before := h.fakeServer.now
		for range 5 {
			h.send(1)
			h.pass(10 * time.Second)
			asked, clock = h.now.Add(-8*time.Second), (h.fakeServer.now-8_000_000)/1e6*1e6
			h.poll()
		}
		last := h.asked[len(h.asked)-1]
		require.True(t, last.First)
		assert.GreaterOrEqual(t, last.After.Time, before, "positions move on")
	}
}
