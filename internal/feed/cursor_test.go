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

// durable is a consumer whose process may die: what it stored survives.
type durable struct {
	stored feed.Stored
	view   *view
	id     feed.ID
}

func (d *durable) open(t *testing.T, h *harness, cfg feed.Config) {
	h.feed = feed.New(cfg)
	id, err := h.feed.SubscribeDurable(h.now, feed.FromBeginning, d.stored)
	require.NoError(t, err)
	d.id = id
}

// store stores what there is to store.
func (d *durable) store(h *harness) { keep(h, d.id, &d.stored) }

// keep stores what there is to store, and reports whether there was something.
func keep(h *harness, id feed.ID, into *feed.Stored) bool {
	c, ok := h.feed.Commit(id, false)
	switch {
	case !ok:
	case c.Base != nil:
		*into = feed.Stored{Base: c.Base}
	default:
		into.Log = append(into.Log, c.Log)
	}
	return ok
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
			d.store(h) // a position is stored before anything is handled
			for {
				e, ok := h.feed.Take(d.id)
				if !ok {
					d.store(h)
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
				d.store(h)
				if round < 50 && rnd.IntN(15) == 0 {
					d.open(t, h, cfg)
					break
				}
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
	for _, s := range []feed.Stored{
		{Base: []byte{}}, {Base: []byte("{")}, {Base: []byte("[]")}, {Base: []byte(`{"v":99}`)}, {Base: []byte(`{"v":1,"phase":77}`)},
		{Base: []byte(`{"v":1,"phase":1}`), Acked: []byte("?")},
		{Base: []byte(`{"v":2}`)}, {Base: []byte(`{"v":2,"base":{"v":2,"phase":9}}`)},
		{Base: []byte(`{"v":2,"base":{"v":2,"phase":1},"acked":"BQ=="}`)},
		{Base: []byte(`{"v":2,"base":{"v":2,"phase":1,"packed":"AQA="}}`)},
		{Base: []byte(`{"v":2,"base":{"v":2,"phase":1},"apart":{"7":{}}}`)},
		{Base: []byte(`{"v":2,"base":{"v":2,"phase":1}}`), Log: [][]byte{{1}}},
		{Base: []byte(`{"v":2,"base":{"v":2,"phase":1}}`), Log: [][]byte{{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}}},
	} {
		_, err := feed.New(feed.Config{}).SubscribeDurable(time.Time{}, feed.FromNewest, s)
		assert.ErrorContains(t, err, "stored cursor", "%s %x", s.Base, s.Log)
	}
}

func TestDurableListenerFromNowHasAPositionBeforeItsFirstMessage(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1)
	h.send(1)
	id, err := h.feed.SubscribeDurable(h.now, feed.FromNow, feed.Stored{})
	require.NoError(t, err)
	h.run()
	var c feed.Stored
	require.True(t, keep(h, id, &c))
	h.pass(time.Minute)
	missed := h.send(1)
	h.feed = feed.New(feed.Config{})
	id, err = h.feed.SubscribeDurable(h.now, feed.FromNow, c)
	require.NoError(t, err)
	h.run()
	assert.Equal(t, []int64{missed}, ids(h.drain(id)))
}

// From an older position nobody could tell later which messages were history when the
// user joined.
func TestAPositionIsStoredAsAWholeSoonAfterAJoinAndOtherwiseSeldom(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1)
	h.send(1)
	id, err := h.feed.SubscribeDurable(h.now, feed.FromBeginning, feed.Stored{})
	require.NoError(t, err)
	var stored feed.Stored
	whole := func() bool {
		h.pass(time.Minute)
		h.poll()
		h.drain(id)
		keep(h, id, &stored)
		return stored.Log == nil
	}
	require.True(t, whole())
	for range 100 {
		h.send(1)
		require.False(t, whole())
	}
	h.send(2)
	h.members[2] = 1
	h.feed.Joined(h.now)
	assert.True(t, whole(), "after a join")
	bases := 0
	for range 1000 {
		h.send(1)
		if whole() {
			bases++
		}
	}
	assert.Equal(t, 7, bases, "of 1000 events, one in 128")
	for range 10 {
		h.pass(time.Hour)
		h.poll()
		_, some := h.feed.Commit(id, true)
		assert.False(t, some, "nothing has happened")
	}
}

// What is set aside survives a restart, and so does what others have had meanwhile.
func TestWhatIsSetAsideGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	cfg := feed.Config{Queue: 4, PageSize: 4, Collect: 8}
	h := newHarness(cfg, 1, 2)
	var stored feed.Stored
	open := func() (id feed.ID) {
		h.feed = feed.New(cfg)
		id, err := h.feed.SubscribeDurable(h.now, feed.FromBeginning, stored)
		require.NoError(t, err)
		return id
	}
	id := open()
	stuck, sent := true, map[int64][]int64{}
	got := map[int64][]int64{}
	// read lets everybody take what they can.
	read := func(id feed.ID) {
		held := false
		for range 100 {
			h.poll()
			keep(h, id, &stored)
			for {
				e, ok := h.feed.Pull(id)
				if !ok {
					break
				}
				if c := e.Conversation(); c == 1 && stuck {
					if !held {
						held = true
						require.True(t, h.feed.SetAside(id, 1, true))
					}
					continue
				}
				got[e.Conversation()] = append(got[e.Conversation()], e.Row.ID)
				h.feed.Finish(id, e)
				keep(h, id, &stored)
			}
		}
	}
	for range 3 {
		for range 40 {
			for c := range int64(2) {
				sent[c+1] = append(sent[c+1], h.send(c+1))
			}
			h.pass(time.Second)
		}
		read(id)
		assert.Empty(t, got[1])
		assert.Equal(t, sent[2], got[2])
		assert.Equal(t, 1, h.feed.Aside(id))
		id = open()
	}
	stuck = false
	read(id)
	assert.Equal(t, sent, got)
	assert.Zero(t, h.feed.Aside(id))
}

// What is set aside reads nothing while its event fails, so the server's clock may be set back
// meanwhile.
func TestWhatIsSetAsideMissesNothingWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1, 2)
	h.dated = true
	id, err := h.feed.SubscribeDurable(h.now, feed.FromBeginning, feed.Stored{})
	require.NoError(t, err)
	pull := func() (out []feed.Event) {
		h.poll()
		for {
			e, ok := h.feed.Pull(id)
			if !ok {
				return out
			}
			out = append(out, e)
		}
	}
	old := h.send(1)
	for range 300 { // until the position is a live one
		h.pass(10 * time.Second)
		h.send(1)
		for _, e := range pull() {
			h.feed.Finish(id, e)
		}
	}
	h.send(1)
	failing := pull()
	require.Len(t, failing, 1)
	require.True(t, h.feed.SetAside(id, 1, true))
	h.pass(time.Hour)
	h.poll()
	h.tick(-90 * time.Minute)
	h.edit(old)
	missed := h.send(1)
	other := h.send(2)
	require.Equal(t, []int64{other}, ids(pull()))
	h.pass(3 * time.Hour) // the clock is where it was, and nothing shows any more what happened
	h.poll()
	h.feed.Finish(id, failing[0])
	assert.ElementsMatch(t, []int64{old, missed}, ids(pull()))
}

// The log says until when the user was not in other conversations, which the base, being
// older, cannot.
func TestWhatWasSentBeforeAJoinIsHistoryAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1)
	h.dated = true
	h.send(1)
	id, err := h.feed.SubscribeDurable(h.now, feed.FromNow, feed.Stored{})
	require.NoError(t, err)
	var stored feed.Stored
	for range 50 {
		h.pass(time.Hour)
		h.send(1)
		h.send(2)
		h.poll()
		h.drain(id)
		keep(h, id, &stored)
	}
	require.NotEmpty(t, stored.Log)
	h.pass(time.Hour)
	h.members[2] = 1
	later := h.send(2)
	h.feed = feed.New(feed.Config{})
	id, err = h.feed.SubscribeDurable(h.now, feed.FromNow, stored)
	require.NoError(t, err)
	h.poll()
	got := h.drain(id)
	assert.Equal(t, "gnn", kinds(got), "what is older than the last message is left out")
	assert.Equal(t, later, got[len(got)-1].Row.ID)
}
