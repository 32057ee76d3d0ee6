package feed_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// What is queued can be found again only when nothing else is under way.
func TestOnlyAListenerAtRestIsParked(t *testing.T) {
	t.Parallel()
	keepAll := func(payload any) any { return payload }
	full := func(subscribe func(h *harness) feed.ID) (*harness, feed.ID) {
		h := newHarness(feed.Config{}, 1)
		h.dated = true
		id := subscribe(h)
		h.poll()
		for range 5 {
			h.pass(time.Minute)
			h.send(1)
		}
		h.poll()
		return h, id
	}
	live := func(h *harness) feed.ID { return h.feed.Subscribe(h.now, feed.FromNewest) }
	h, id := full(live)
	assert.True(t, h.feed.Park(id, keepAll))
	assert.False(t, h.feed.Park(id, keepAll), "it is parked")

	h, id = full(live)
	h.pass(time.Minute)
	h.feed.Poke(h.now)
	require.NotZero(t, h.feed.Next(h.now).Query.Kind)
	assert.False(t, h.feed.Park(id, keepAll), "a poll is under way")

	h, id = full(live)
	h.feed.Reset(h.now)
	assert.False(t, h.feed.Park(id, keepAll), "a page is to come again")

	h, id = full(live)
	h.send(2)
	h.members[2] = 1
	h.feed.Joined(h.now)
	require.Equal(t, feed.Members, h.feed.Next(h.now).Query.Kind)
	h.feed.Members(h.now, h.roster())
	assert.False(t, h.feed.Park(id, keepAll), "a conversation is to be read")

	h, id = full(live)
	for h.feed.Pending(id) > 1 {
		h.feed.Ack(id)
	}
	assert.False(t, h.feed.Park(id, keepAll), "it has nothing to drop")

	h, id = full(func(h *harness) feed.ID {
		id, err := h.feed.SubscribeDurable(h.now, feed.FromNewest, feed.Stored{})
		require.NoError(t, err)
		return id
	})
	assert.False(t, h.feed.Park(id, keepAll), "its position says what was handled")

	h = newHarness(feed.Config{PageSize: 4, Queue: 100, Collect: 10}, 1)
	id = live(h)
	h.poll()
	for range 3 {
		h.pass(time.Minute)
		h.send(1)
		h.poll()
	}
	for range 20 {
		h.pass(time.Minute)
		h.send(1)
	}
	h.feed.Poke(h.now)
	for _, what := range []string{"it is between two pages of a poll", "still", "it has found a backlog"} {
		q := h.feed.Next(h.now).Query
		if q.Kind == feed.Members {
			h.feed.Members(h.now, h.roster())
			q = h.feed.Next(h.now).Query
		}
		require.Equal(t, feed.Changes, q.Kind)
		h.feed.Page(h.now, h.answer(q), feed.Clock{})
		assert.False(t, h.feed.Park(id, keepAll), what)
	}
	require.Equal(t, feed.Latest, h.feed.Next(h.now).Query.Kind)

	h = newHarness(feed.Config{PageSize: 4, Queue: 4, Collect: 4}, 1)
	h.dated = true
	for range 20 {
		h.send(1)
		h.pass(time.Minute)
	}
	id = h.feed.Subscribe(h.now, feed.FromBeginning)
	h.poll()
	require.Greater(t, h.feed.Pending(id), 1)
	assert.False(t, h.feed.Park(id, keepAll), "it reads a backlog")
}

// What a parked listener drops is found again, although it is of a message that the listener
// had so long ago that it has forgotten it.
func TestAParkedListenerIsToldOfTheEndOfAMessageThatItHadForgotten(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{Remember: 2}, 1)
	id := h.feed.Subscribe(h.now, feed.FromBeginning)
	h.poll()
	for range 8 {
		h.send(1)
		for range 3 {
			h.pass(time.Minute)
			h.poll()
		}
	}
	require.Equal(t, "nnnnnnnn", kinds(h.drain(id)))
	h.send(1)
	h.remove(1)
	h.poll()
	require.True(t, h.feed.Park(id, func(payload any) any { return payload }))
	assert.Equal(t, "nd", kinds(h.rest(id)))
}

// An inbox ends the polls of its engine before all is read. So the first of them after a
// listener was parked must not settle what the listener had seen before.
func TestAPollThatEndsEarlySettlesNothingOfWhatAParkedListenerHasDropped(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{Overlap: 1}, 1)
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.poll()
	for range 6 {
		h.pass(time.Minute)
		h.send(1)
	}
	h.poll()
	require.True(t, h.feed.Park(id, func(payload any) any { return payload }))
	h.feed.Ack(id)
	for polls := 0; h.feed.Pending(id) < 5 && polls < 20; polls++ {
		h.pass(time.Second)
		h.feed.Poke(h.now)
		for {
			q := h.feed.Next(h.now).Query
			switch q.Kind {
			case 0:
			case feed.Members:
				h.feed.Members(h.now, h.roster())
				continue
			default:
				rows := h.answer(q)
				h.feed.Page(h.now, rows[:min(len(rows), 2)], feed.Clock{})
				continue
			}
			break
		}
	}
	assert.Equal(t, 5, h.feed.Pending(id))
}
