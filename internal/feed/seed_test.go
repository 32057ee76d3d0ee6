package feed_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// cached is what a listener that has followed everything would have stored.
func (h *harness) cached() (rows []feed.Row, upto feed.Time) {
	for _, r := range h.rows {
		upto = max(upto, r.Updated)
		if !r.Deleted {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b feed.Row) int { return int(a.ID - b.ID) })
	return rows, upto
}

func (h *harness) resume(cfg feed.Config, rows []feed.Row, upto feed.Time) feed.ID {
	h.feed = feed.New(cfg)
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.feed.Resume(id, rows, upto)
	h.run()
	return id
}

func TestResumedListenerLearnsWhatChangedMeanwhile(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1)
	for range 5 {
		h.send(1)
		h.pass(time.Minute)
	}
	rows, upto := h.cached()
	h.edit(2)
	h.pass(time.Hour)
	h.remove(3)
	h.pass(time.Hour)
	gone := h.send(1)
	h.remove(gone)
	fresh := h.send(1)
	h.edit(fresh)
	got := h.drain(h.resume(feed.Config{}, rows, upto))
	assert.Equal(t, []int64{fresh, 2, 3}, ids(got))
	assert.Equal(t, "nud", kinds(got), "an edited message that was never seen is new, a deleted one is nothing")
	for _, q := range h.asked {
		assert.NotEqual(t, feed.Newest, q.Kind, "the newest page is not asked for")
	}
}

func TestResumedListenerTakesUnknownOldRowsForHistory(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1)
	for range 5 {
		h.send(1)
		h.pass(time.Minute)
	}
	rows, upto := h.cached()
	h.edit(1)
	h.edit(4)
	got := h.drain(h.resume(feed.Config{}, rows[3:], upto))
	assert.Equal(t, []int64{1, 4}, ids(got))
	assert.Equal(t, "uu", kinds(got))
}

func TestResumeWithoutATimeOrRowsIsSeed(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1)
	for range 3 {
		h.send(1)
		h.pass(time.Minute)
	}
	rows, upto := h.cached()
	h.edit(2)
	got := h.drain(h.resume(feed.Config{}, rows[1:], 0))
	assert.Equal(t, []int64{1, 2}, ids(got))
	assert.Equal(t, "nu", kinds(got))
	got = h.drain(h.resume(feed.Config{}, nil, upto))
	assert.Equal(t, "nnn", kinds(got))
	h.feed.Resume(feed.ID(999), rows, upto) // nobody: nothing happens
}

// Whatever happened while nobody listened, cache and stream together show what
// the server has.
func TestResumedViewsEndEqualToTheServer(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		cfg := feed.Config{PageSize: 2 + rnd.IntN(8), Collect: 1 + rnd.IntN(30), Queue: 1 + rnd.IntN(10), Remember: 4 + rnd.IntN(30), Draw: rnd.Int64N}
		h := newHarness(cfg, 1, 2, 3)
		h.send(1)
		for range rnd.IntN(40) {
			h.mutate(rnd)
		}
		h.pass(10 * time.Second)
		rows, upto := h.cached()
		if len(rows) == 0 {
			continue // nothing cached: the newest page
		}
		v := newView()
		for _, r := range rows {
			v.rows[r.ID] = r
		}
		for range rnd.IntN(80) {
			h.mutate(rnd)
		}
		id := h.resume(cfg, rows, upto)
		v.apply(t, seed, h.drain(id))
		for range 5 {
			h.pass(10 * time.Second)
			h.poll()
			v.apply(t, seed, h.drain(id))
		}
		v.check(t, seed, h.rows)
		if t.Failed() {
			return
		}
	}
}
