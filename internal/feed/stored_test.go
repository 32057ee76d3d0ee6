package feed_test

import (
	"cmp"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"slices"
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
		keep(h, id, h.stored)
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
func (s *storedHistory) reach(t *testing.T) (*harness, feed.ID, feed.Stored) {
	cfg := s.cfg
	cfg.Draw = rand.New(rand.NewPCG(1, 1)).Int64N
	h := newHarness(cfg, 1, 2)
	id, err := h.feed.SubscribeDurable(h.now, feed.FromBeginning, feed.Stored{})
	require.NoError(t, err)
	h.stored = &feed.Stored{}
	s.play(h, id)
	keep(h, id, h.stored)
	return h, id, *h.stored
}

// stored is a position in testdata: its base, then what was acknowledged.
func (s *storedHistory) stored(t *testing.T, version string) feed.Stored {
	text, err := os.ReadFile("testdata/cursors/" + version + "/" + s.name + ".txt")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if version == "v1" || version == "joins" {
		require.Len(t, lines, 2)
		return feed.Stored{Base: []byte(lines[0]), Acked: []byte(lines[1])}
	}
	out := feed.Stored{Base: []byte(lines[0])}
	for _, line := range lines[1:] {
		log, err := hex.DecodeString(line)
		require.NoError(t, err)
		out.Log = append(out.Log, log)
	}
	return out
}

// Positions live as long as the programs' stores, so the files of testdata are never
// written again: a position stored by an earlier version is read.
func TestStoredPositionsKeepTheirFormat(t *testing.T) {
	t.Parallel()
	for _, s := range storedHistories {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			_, _, got := s.reach(t)
			want := s.stored(t, "v2")
			assert.Equal(t, string(want.Base), string(got.Base))
			assert.Equal(t, want.Log, got.Log)
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
			for version, want := range map[string][]int64{"v1": s.before, "joins": s.ids, "logs": s.ids, "v2": s.ids} {
				h, _, _ = s.reach(t)
				h.feed = feed.New(s.cfg)
				id, err := h.feed.SubscribeDurable(h.now, feed.FromBeginning, s.stored(t, version))
				require.NoError(t, err)
				h.run()
				got := h.rest(id)
				// The order is that of each conversation.
				order := func(ids []int64) []int64 {
					slices.SortStableFunc(ids, func(a, b int64) int { return cmp.Compare(h.rows[a].Conversation, h.rows[b].Conversation) })
					return ids
				}
				assert.Equal(t, order(slices.Clone(want)), order(ids(got)), "version %s", version)
				assert.Equal(t, s.kinds, kinds(got), "version %s", version)
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
