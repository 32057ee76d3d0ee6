package feed_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// A send that was stored twice has two rows, and a listener gets one of them.
func TestADuplicateComesOnlyWhenItsSendHasLeftTheOtherRow(t *testing.T) {
	t.Parallel()
	const send = 77
	for name, c := range map[string]struct {
		change func(h *harness, first, second int64)
		kinds  string
		ids    func(first, second int64) []int64
	}{
		"an edit": {func(h *harness, a, b int64) { h.edit(a) }, "u", func(a, b int64) []int64 { return []int64{a} }},
		"another guid": {func(h *harness, a, b int64) { h.claim(a, 99) }, "uu",
			func(a, b int64) []int64 { return []int64{b, a} }},
		"no guid": {func(h *harness, a, b int64) { h.claim(a, 0) }, "uu",
			func(a, b int64) []int64 { return []int64{b, a} }},
		"and back": {func(h *harness, a, b int64) { h.claim(a, 0); h.poll(); h.pass(time.Second); h.claim(a, send) }, "uuu",
			func(a, b int64) []int64 { return []int64{b, a, a} }},
		"deleted":                 {func(h *harness, a, b int64) { h.remove(a) }, "d", func(a, b int64) []int64 { return []int64{a} }},
		"the duplicate, deleted":  {func(h *harness, a, b int64) { h.claim(b, 0); h.remove(b) }, "", func(a, b int64) []int64 { return []int64{} }},
		"the duplicate, edited":   {func(h *harness, a, b int64) { h.edit(b) }, "", func(a, b int64) []int64 { return []int64{} }},
		"the duplicate, another":  {func(h *harness, a, b int64) { h.claim(b, 99) }, "u", func(a, b int64) []int64 { return []int64{b} }},
		"a third, after it moved": {func(h *harness, a, b int64) { h.claim(a, 0); h.poll(); h.pass(time.Second); h.repeat(1, send) }, "uu", func(a, b int64) []int64 { return []int64{b, a} }},
	} {
		for _, together := range []bool{true, false} {
			h := newHarness(feed.Config{}, 1)
			id := h.feed.Subscribe(h.now, feed.FromNewest)
			h.run()
			h.repeat(1, send)
			first := h.nextID
			if !together {
				h.poll()
				h.pass(time.Second)
			}
			h.repeat(1, send)
			second := h.nextID
			h.poll()
			assert.Equal(t, []int64{first}, ids(h.drain(id)), name)
			h.pass(time.Second)
			c.change(h, first, second)
			h.poll()
			got := h.drain(id)
			assert.Equal(t, c.kinds, kinds(got), name)
			assert.Equal(t, c.ids(first, second), ids(got), name)
		}
	}
}

// claim makes a row one of a send.
func (h *harness) claim(id int64, origin uint64) {
	h.edit(id)
	r := h.rows[id]
	r.Origin = origin
	h.rows[id] = r
}

// A body that goes from row to row is one message.
func TestASendThatMovesIsNewOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1)
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.run()
	fresh := 0
	for range 40 {
		if h.nextID > 0 {
			h.claim(h.nextID, 0)
		}
		h.poll()
		h.pass(time.Second)
		h.repeat(1, 77)
		h.poll()
		for _, e := range h.drain(id) {
			if !e.Update {
				fresh++
			}
		}
	}
	assert.Equal(t, 1, fresh)
}

// Only the row that a send was delivered in makes room for another one of it, and only by
// becoming something else.
func TestNobodyMakesRoomForTheDuplicateOfAnother(t *testing.T) {
	t.Parallel()
	const send = 77
	for name, c := range map[string]struct {
		change func(h *harness, first, third int64)
		kinds  string
		ids    func(first, third int64) []int64
	}{
		"a duplicate that becomes another message": {func(h *harness, _, c int64) { h.claim(c, 99) }, "u", func(_, c int64) []int64 { return []int64{c} }},
		"a tombstone without a guid":               {func(h *harness, a, _ int64) { h.claim(a, 0); h.remove(a) }, "d", func(a, _ int64) []int64 { return []int64{a} }},
	} {
		h := newHarness(feed.Config{}, 1)
		id := h.feed.Subscribe(h.now, feed.FromNewest)
		h.run()
		for range 3 {
			h.repeat(1, send)
		}
		third := h.nextID
		h.poll()
		assert.Equal(t, []int64{third - 2}, ids(h.drain(id)), name)
		h.pass(time.Second)
		c.change(h, third-2, third)
		h.poll()
		got := h.drain(id)
		assert.Equal(t, c.kinds, kinds(got), name)
		assert.Equal(t, c.ids(third-2, third), ids(got), name)
	}
}

// A row remembers the send that it was delivered as, whatever it becomes in between.
func TestACopyOfWhatARowWasIsNotNew(t *testing.T) {
	t.Parallel()
	const send = 77
	for name, between := range map[string]func(h *harness, id int64){
		"edited before":          func(h *harness, id int64) { h.edit(id) },
		"without a guid between": func(h *harness, id int64) { h.claim(id, 0) },
	} {
		h := newHarness(feed.Config{}, 1)
		id := h.feed.Subscribe(h.now, feed.FromNewest)
		h.run()
		h.repeat(1, send)
		first := h.nextID
		for _, change := range []func(){
			func() {}, func() { between(h, first) }, func() { h.claim(first, 99) },
		} {
			h.pass(time.Second)
			change()
			h.poll()
		}
		assert.Equal(t, "nuu", kinds(h.drain(id)), name)
		h.pass(time.Second)
		h.repeat(1, send)
		h.poll()
		assert.Equal(t, "u", kinds(h.drain(id)), name)
	}
}

// What was deleted does not come back in another row of its send, whatever a stored position
// has kept of it: a tombstone has no guid.
func TestTheDuplicateOfWhatWasDeletedIsNotNewAfterARestart(t *testing.T) {
	t.Parallel()
	const send = 77
	for name, c := range map[string]struct {
		base  bool // the position is a base
		moved bool // of a moment after the deletion
		later bool // the duplicate is stored after that
	}{
		"a log": {}, "a base": {base: true}, "a base that has moved": {base: true, moved: true},
		"a log, and it comes later": {later: true}, "a base, and it comes later": {base: true, later: true},
		"a base that has moved, and it comes later": {base: true, moved: true, later: true},
	} {
		h := newHarness(feed.Config{}, 1)
		h.stored = &feed.Stored{}
		open := func() feed.ID {
			h.feed = feed.New(feed.Config{})
			id, err := h.feed.SubscribeDurable(h.now, feed.FromBeginning, *h.stored)
			require.NoError(t, err, name)
			h.pass(time.Second)
			h.poll()
			return id
		}
		store := func(id feed.ID) {
			if commit, ok := h.feed.Commit(id, c.base); ok && commit.Base != nil {
				*h.stored = feed.Stored{Base: commit.Base}
			} else if ok {
				h.stored.Log = append(h.stored.Log, commit.Log)
			}
		}
		id := open()
		store(id)
		h.repeat(1, send)
		first := h.nextID
		if !c.later {
			h.repeat(1, send)
		}
		h.poll()
		assert.Equal(t, []int64{first}, ids(h.drain(id)), name)
		store(id)
		h.pass(time.Second)
		h.claim(first, 0)
		h.remove(first)
		h.poll()
		assert.Equal(t, "d", kinds(h.drain(id)), name)
		store(id)
		if c.moved {
			h.members[2] = 1
			h.feed.Joined(h.now)
			h.poll()
			h.send(2)
			h.poll()
			assert.Equal(t, "n", kinds(h.drain(id)), name)
			store(id)
		}
		if c.later {
			h.repeat(1, send)
		}
		for range 3 {
			id = open()
			assert.Empty(t, kinds(h.drain(id)), name)
			store(id)
		}
	}
}
