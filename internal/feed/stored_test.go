package feed_test

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// storedHistory is a history without chance that ends with a stored position.
type storedHistory struct {
	name string
	cfg  feed.Config
	play func(h *harness, id feed.ID)
	// kinds and ids are what comes after the position, when the last poll has been read;
	// before those after the position of the version before.
	kinds       string
	ids, before []int64
}

// storedHistories reach, between them, every field of a stored position.
var storedHistories = []storedHistory{
	{
		// Live: forgotten rows, a conversation left, one joined with a gap, one
		// repeated send, a deletion; half of the last page is acknowledged.
		name: "live",
		cfg:  feed.Config{PageSize: 3, Queue: 3, Collect: 20, Remember: 4},
		play: func(h *harness, id feed.ID) {
			for range 5 {
				h.send(3) // the user is not in it yet
				h.pass(time.Minute)
			}
			h.read(id, 100)
			for range 4 {
				h.send(1)
				h.send(2)
				h.pass(time.Minute)
				h.read(id, 100)
			}
			delete(h.members, 2)
			h.members[3] = 1
			h.feed.Joined(h.now)
			h.read(id, 100)
			h.pass(time.Minute)
			h.read(id, 100)
			h.repeat(1, 77)
			h.repeat(1, 77)
			h.remove(12)
			h.edit(8)
			h.send(3)
			h.read(id, 100)
			h.send(1)
			h.edit(16)
			h.send(1)
			h.read(id, 2)
		},
		kinds:  "u",
		ids:    []int64{16},
		before: []int64{16},
	},
	{
		// Catching: a long backlog with a join in the middle of it.
		name: "catching",
		cfg:  feed.Config{PageSize: 3, Queue: 3, Collect: 2, Remember: 2},
		play: func(h *harness, id feed.ID) {
			h.send(3)
			h.read(id, 100)
			for range 12 {
				h.send(1)
				h.send(2)
				h.pass(time.Second)
			}
			h.read(id, 4)
			h.members[3] = 1
			h.feed.Joined(h.now)
			h.read(id, 10)
		},
		kinds:  "nnnnnnnnnnn",
		ids:    []int64{15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25},
		before: []int64{1, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25},
	},
	{
		// Mending: the new rows are read, what changed among the older ones is not.
		name: "mending",
		cfg:  feed.Config{PageSize: 2, Queue: 2, Collect: 2, Remember: 2},
		play: func(h *harness, id feed.ID) {
			for range 6 {
				h.send(1)
				h.pass(time.Second)
			}
			h.read(id, 100)
			h.pass(time.Minute)
			h.read(id, 100)
			for i := range int64(6) {
				h.edit(i + 1)
				h.send(2)
				h.pass(time.Second)
			}
			h.remove(5)
			h.read(id, 9)
		},
		kinds:  "uud",
		ids:    []int64{4, 6, 5},
		before: []int64{4, 6, 5},
	},
}

// read polls and takes up to n events.
func (h *harness) read(id feed.ID, n int) {
	h.poll()
	for range n {
		if _, ok := h.feed.Take(id); !ok {
			return
		}
		if h.feed.Ack(id) {
			h.run()
		}
	}
}

// repeat stores a row of one send.
func (h *harness) repeat(conversation int64, origin uint64) {
	id := h.send(conversation)
	r := h.rows[id]
	r.Origin = origin
	h.rows[id] = r
}

// reach plays the history and returns the position at its end.
func (s *storedHistory) reach(t *testing.T) (*harness, feed.ID, feed.Cursor) {
	cfg := s.cfg
	cfg.Draw = rand.New(rand.NewPCG(1, 1)).Int64N
	h := newHarness(cfg, 1, 2)
	id, err := h.feed.SubscribeDurable(h.now, feed.FromBeginning, feed.Cursor{})
	require.NoError(t, err)
	s.play(h, id)
	c, ok := h.feed.Cursor(id)
	require.True(t, ok)
	return h, id, c
}

// stored is a position in testdata: its base, then what was acknowledged.
func (s *storedHistory) stored(t *testing.T, version string) feed.Cursor {
	text, err := os.ReadFile("testdata/cursors/" + version + s.name + ".txt")
	require.NoError(t, err)
	base, acked, ok := strings.Cut(strings.TrimSpace(string(text)), "\n")
	require.True(t, ok)
	return feed.Cursor{Base: []byte(base), Acked: []byte(acked)}
}

// Positions live as long as the programs' stores, so the files of testdata are
// never written again: a position stored by an earlier version is read, and a
// version that is taken back finds what it knows.
func TestStoredPositionsKeepTheirFormat(t *testing.T) {
	t.Parallel()
	for _, s := range storedHistories {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			want := s.stored(t, "joins/")
			_, _, got := s.reach(t)
			assert.Equal(t, string(want.Base), string(got.Base))
			assert.Equal(t, string(want.Acked), string(got.Acked))
		})
	}
}

func TestStoredPositionsGoOnWhereTheyEnd(t *testing.T) {
	t.Parallel()
	for _, s := range storedHistories {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			h, id, _ := s.reach(t)
			assert.Equal(t, s.ids, ids(h.rest(id)), "without an interruption")

			for version, want := range map[string][]int64{"joins/": s.ids, "": s.before} {
				h, _, _ = s.reach(t)
				h.feed = feed.New(s.cfg)
				id, err := h.feed.SubscribeDurable(h.now, feed.FromBeginning, s.stored(t, version))
				require.NoError(t, err)
				h.run()
				got := h.rest(id)
				assert.Equal(t, want, ids(got), "stored by the version %q", version)
				assert.Equal(t, s.kinds, kinds(got), "stored by the version %q", version)
			}
		})
	}
}

// rest takes what is left, and what one more poll brings.
func (h *harness) rest(id feed.ID) []feed.Event {
	got := h.drain(id)
	h.pass(10 * time.Second)
	h.poll()
	return append(got, h.drain(id)...)
}
