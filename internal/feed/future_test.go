package feed_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

const century = 100 * 365 * 24 * time.Hour

// ahead stores a row that is stamped a century from now.
func (h *harness) ahead(conversation int64) int64 {
	h.tick(century)
	id := h.send(conversation)
	h.tick(-century)
	return id
}

func newIDs(events []feed.Event) []int64 {
	out := []int64{}
	for _, e := range events {
		if !e.Update {
			out = append(out, e.Row.ID)
		}
	}
	return out
}

// Answers without a time are what earlier versions made of all answers: they leave a
// position in the next century behind.
func TestAStoredPositionInTheFutureIsPulledBack(t *testing.T) {
	t.Parallel()
	for name, conversations := range map[string][]int64{"one conversation": {1}, "two": {1, 2}} {
		for _, start := range []feed.Start{feed.FromNewest, feed.FromBeginning, feed.FromNow} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				cfg := feed.Config{PageSize: 5}
				h := newHarness(cfg, conversations...)
				id, err := h.feed.SubscribeDurable(h.now, start, feed.Stored{})
				require.NoError(t, err)
				h.poll()
				sent := func(n int) (out []int64) {
					for range n {
						h.pass(10 * time.Second)
						for _, c := range conversations {
							out = append(out, h.send(c))
						}
					}
					return out
				}
				before := sent(12)
				h.poll()
				require.Equal(t, before, newIDs(h.drain(id)))
				var stored feed.Stored
				keep(h, id, &stored)
				read := func() (whole bool) {
					h.poll()
					h.drain(id)
					keep(h, id, &stored)
					return stored.Log == nil
				}
				for whole := false; !whole; { // and the next one comes 128 events later
					sent(1)
					whole = read()
				}
				for range 128/len(conversations) - 1 {
					sent(1)
					require.False(t, read())
				}
				for range len(conversations) {
					h.pass(10 * time.Second)
					h.ahead(1)
					read()
				}
				require.Nil(t, stored.Log)
				missed := sent(30)
				h.poll()
				require.Empty(t, h.drain(id), "the position is in the next century")
				var position struct {
					Base struct{ Created feed.Time }
				}
				require.NoError(t, json.Unmarshal(stored.Base, &position))
				require.Greater(t, position.Base.Created, h.fakeServer.now)

				h.feed, h.dated = feed.New(cfg), true
				id, err = h.feed.SubscribeDurable(h.now, start, stored)
				require.NoError(t, err)
				h.poll()
				assert.Equal(t, missed, newIDs(h.drain(id)), "what was missed, in order")
				for range 5 {
					later := sent(3)
					h.poll()
					assert.Equal(t, later, newIDs(h.drain(id)))
					keep(h, id, &stored)
					h.feed = feed.New(cfg)
					id, err = h.feed.SubscribeDurable(h.now, start, stored)
					require.NoError(t, err)
				}
			})
		}
	}
}

// The same for a cache that an earlier version wrote.
func TestACacheUpToTheFutureIsReadAnew(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{PageSize: 5}, 1)
	h.dated = true
	old := h.send(1)
	cached := []feed.Row{h.rows[old]}
	far := h.ahead(1)
	cached = append(cached, h.rows[far])
	h.pass(time.Hour)
	missed := h.send(1)
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.feed.Resume(id, cached, h.rows[far].Updated)
	h.poll()
	assert.Equal(t, []int64{missed}, newIDs(h.drain(id)))
	h.pass(time.Minute)
	later := h.send(1)
	h.poll()
	assert.Equal(t, []int64{later}, newIDs(h.drain(id)))
}

// A few seconds between the clocks of a server's machines move nothing.
func TestAClockThatIsALittleBehindLosesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{PageSize: 5}, 1)
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	for i := range 200 {
		h.dated = i%3 != 0
		h.tick(-3 * time.Second) // the clock of the answer
		h.poll()
		h.tick(3 * time.Second)
		sent := h.send(1)
		h.pass(time.Second)
		h.poll()
		assert.Equal(t, []int64{sent}, newIDs(h.drain(id)))
	}
}

// A cache up to a moment that the clock of the next answer has not reached, by less than
// clocks may differ, hides nothing that was stored meanwhile.
func TestACacheThatIsALittleAheadHidesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{PageSize: 5}, 1)
	h.dated = true
	h.tick(50 * time.Second)
	early := h.send(1)
	h.tick(-50 * time.Second)
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.feed.Resume(id, []feed.Row{h.rows[early]}, h.rows[early].Updated)
	missed := h.send(1)
	h.poll()
	assert.Equal(t, []int64{missed}, newIDs(h.drain(id)))
}

// Rows from the future may be on many pages of the first reading. What is edited while they
// are read is not on the pages that follow.
func TestAnEditDuringAFirstReadingOfManyPagesIsDelivered(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{PageSize: 4}, 1)
	h.dated = true
	recent := h.send(1)
	h.pass(time.Hour)
	var far int64
	for range 6 {
		far = h.ahead(1)
	}
	pages := 0
	h.change = func(q feed.Query) {
		if q.Kind != feed.Newest {
			return
		}
		if pages++; pages == 2 {
			h.edit(far)
			h.pass(time.Minute)
			h.edit(recent)
		}
	}
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.poll()
	require.Greater(t, pages, 1)
	for range 3 {
		h.pass(time.Minute)
		h.poll()
	}
	updates := map[int64]bool{}
	for _, e := range h.drain(id) {
		updates[e.Row.ID] = updates[e.Row.ID] || e.Row.Hash == 2
	}
	assert.True(t, updates[far], "it was edited behind its page")
}
