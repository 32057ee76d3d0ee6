package feed_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/longtest"
)

// durable is a consumer whose process may die: what it stored survives, base and
// acknowledgements one after the other.
type durable struct {
	stored feed.Cursor
	view   *view
	id     feed.ID
}

func (d *durable) open(t *testing.T, h *harness, cfg feed.Config) {
	h.feed = feed.New(cfg)
	id, err := h.feed.SubscribeDurable(h.now, feed.FromBeginning, d.stored)
	require.NoError(t, err)
	d.id = id
}

// store persists the cursor; a crash may come between its two halves.
func (d *durable) store(h *harness, crash bool) {
	c, ok := h.feed.Cursor(d.id)
	if !ok {
		return
	}
	if c.Generation != d.stored.Generation || d.stored.Base == nil {
		d.stored.Base, d.stored.Generation = c.Base, c.Generation
		if crash {
			return
		}
	}
	d.stored.Acked = c.Acked
}

func TestDurableListenerLosesNothingAndRepeatsOnlyWhatWasInFlight(t *testing.T) {
	t.Parallel()
	for seed := range uint64(longtest.Size(10, 40)) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		cfg := feed.Config{
			PageSize: 2 + rnd.IntN(8), Collect: 1 + rnd.IntN(30), Queue: 1 + rnd.IntN(10), Remember: 4 + rnd.IntN(30), Draw: rnd.Int64N,
		}
		h := newHarness(cfg, 1, 2, 3)
		for range rnd.IntN(20) {
			h.mutate(rnd)
		}
		d := &durable{view: newView()}
		d.open(t, h, cfg)
		h.change = func(feed.Query) {
			if rnd.IntN(4) == 0 && h.nextID < 300 {
				h.mutate(rnd)
			}
		}
		// What was handled but not stored when the process died comes again, in the
		// version of then, or not at all if it was deleted meanwhile.
		forget := func(e feed.Event) {
			delete(d.view.had, fmt.Sprintf("%d/%d/%d/%v", e.Row.ID, e.Row.Updated, e.Row.Hash, e.Row.Deleted))
			if !e.Update {
				delete(d.view.rows, e.Row.ID)
			}
		}
		for round := range 60 {
			if round >= 50 {
				h.change = nil
				h.pass(6 * time.Second)
			} else {
				for range rnd.IntN(8) {
					h.mutate(rnd)
				}
			}
			h.poll()
			d.store(h, false) // a position is stored before anything is handled
			for {
				e, ok := h.feed.Take(d.id)
				if !ok {
					d.store(h, false)
					break
				}
				d.view.apply(t, seed, []feed.Event{e})
				if round < 50 && rnd.IntN(15) == 0 {
					forget(e)
					d.open(t, h, cfg)
					break
				}
				if h.feed.Ack(d.id) {
					h.run()
				}
				if crash := round < 50 && rnd.IntN(15) == 0; crash {
					d.store(h, true)
					d.open(t, h, cfg)
					break
				}
				d.store(h, false)
			}
			if t.Failed() {
				return
			}
		}
		d.view.check(t, seed, h.rows)
		if t.Failed() {
			return
		}
	}
}

func TestDamagedCursorIsAnError(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "{", "[]", `{"v":99}`, `{"v":1,"phase":77}`} {
		_, err := feed.New(feed.Config{}).SubscribeDurable(time.Time{}, feed.FromNewest, feed.Cursor{Base: []byte(base)})
		assert.ErrorContains(t, err, "stored cursor", base)
	}
}

func TestDurableListenerFromNowHasAPositionBeforeItsFirstMessage(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1)
	h.send(1)
	id, err := h.feed.SubscribeDurable(h.now, feed.FromNow, feed.Cursor{})
	require.NoError(t, err)
	h.run()
	c, ok := h.feed.Cursor(id)
	require.True(t, ok)
	h.pass(time.Minute)
	missed := h.send(1)
	h.feed = feed.New(feed.Config{})
	id, err = h.feed.SubscribeDurable(h.now, feed.FromNow, c)
	require.NoError(t, err)
	h.run()
	assert.Equal(t, []int64{missed}, ids(h.drain(id)))
}
