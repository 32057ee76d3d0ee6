package feed_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// An answer that is put together from several may have a row and lack one that was stored
// before it: what had a higher id than any before is not taken for read.
func TestAnIdIsNotTakenForReadWhereEarlierOnesMayBeMissing(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1, 2)
	h.send(1)
	h.feed.Subscribe(h.now, feed.FromNow)
	h.run()
	h.poll()
	h.pass(time.Minute)
	first := h.send(1)
	h.poll()
	h.pass(time.Minute)
	// beyond answers a poll and returns from which id on it asked.
	beyond := func(upto int64) int64 {
		h.feed.Poke(h.now)
		for {
			q := h.feed.Next(h.now).Query
			switch q.Kind {
			case 0:
				t.Fatal("no poll")
			case feed.Members:
				h.feed.Members(h.now, h.roster())
				continue
			default:
			}
			require.Equal(t, feed.Changes, q.Kind)
			h.feed.PageUpto(h.now, h.answer(q), feed.Clock{}, upto)
			h.pass(time.Minute)
			return q.Beyond
		}
	}
	assert.Equal(t, first, beyond(first))
	second := h.send(1)
	assert.Equal(t, first, beyond(first))
	assert.Equal(t, first, beyond(first), "the second was not known when the poll before began")
	assert.Equal(t, first, beyond(second), "nor when this one did")
	assert.Equal(t, second, beyond(second))
	third := h.send(1)
	assert.Equal(t, second, beyond(0), "an answer of one moment")
	assert.Equal(t, third, beyond(third))
}
