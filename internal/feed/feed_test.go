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

func TestNewestPageComesFirstOldestToNewest(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{PageSize: 3}, 1)
	for range 5 {
		h.send(1)
		h.tick(time.Minute)
	}
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.run()
	got := h.drain(id)
	assert.Equal(t, []int64{3, 4, 5}, ids(got))
	assert.Equal(t, "nnn", kinds(got))
	h.pass(time.Minute)
	h.send(1)
	h.poll()
	got = h.drain(id)
	assert.Equal(t, []int64{6}, ids(got))
	assert.Equal(t, "n", kinds(got))
}

func TestNothingIsLostWhenTheChatWasEmptyAtTheStart(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{PageSize: 4}, 1)
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.run()
	require.Empty(t, h.drain(id))
	for range 50 {
		h.send(1)
	}
	h.poll()
	got := h.drain(id)
	assert.Len(t, got, 50)
	assert.IsIncreasing(t, ids(got))
}

func TestManyRowsOnOneTimestampArriveOnceInOrder(t *testing.T) {
	t.Parallel()
	for _, page := range []int{1, 2, 3, 7, 200} {
		for _, collect := range []int{1, 10, 1000} {
			t.Run(fmt.Sprintf("page %d, collect %d", page, collect), func(t *testing.T) {
				h := newHarness(feed.Config{PageSize: page, Collect: collect, Queue: 5}, 1)
				h.send(1)
				id := h.feed.Subscribe(h.now, feed.FromNewest)
				h.run()
				require.Len(t, h.drain(id), 1)
				h.pass(time.Second)
				for range 100 {
					h.send(1)
				}
				var got []feed.Event
				for range 3 {
					h.poll()
					got = append(got, h.drain(id)...)
				}
				assert.Len(t, got, 100)
				assert.IsIncreasing(t, ids(got))
			})
		}
	}
}

func TestEditsAreUpdatesAndDeletionsAreDeletions(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1)
	a, b := h.send(1), h.send(1)
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.run()
	require.Equal(t, "nn", kinds(h.drain(id)))
	h.pass(time.Minute)
	h.edit(b)
	h.poll()
	h.remove(a)
	h.poll()
	got := h.drain(id)
	assert.Equal(t, []int64{b, a}, ids(got))
	assert.Equal(t, "ud", kinds(got))
	h.poll()
	assert.Empty(t, h.drain(id), "nothing comes twice")
}

func TestSecondChangeWithinOneTimestampIsSeen(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1)
	a := h.send(1)
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.run()
	h.drain(id)
	h.edit(a) // same server time as the send
	h.poll()
	assert.Equal(t, "u", kinds(h.drain(id)))
}

func TestRowsVisibleLateAreDeliveredWithinTheWindow(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{Overlap: 5 * time.Second}, 1)
	h.send(1)
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.run()
	h.drain(id)
	h.pass(time.Second)
	late := h.send(1)
	h.visible[late] = h.fakeServer.now + 4_000_000
	h.pass(100 * time.Millisecond)
	h.send(1)
	h.poll()
	require.Len(t, h.drain(id), 1)
	h.pass(4 * time.Second)
	h.poll()
	assert.Equal(t, []int64{late}, ids(h.drain(id)))
}

func TestMessageEditedBeforeFirstSightIsNew(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1)
	h.send(1)
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.run()
	h.drain(id)
	h.pass(time.Second)
	a := h.send(1)
	h.pass(time.Second)
	h.send(1)
	h.edit(a)
	h.poll()
	got := h.drain(id)
	assert.Equal(t, "nn", kinds(got))
	assert.IsIncreasing(t, ids(got), "order is of creation, whatever changed last")
}

func TestEditOfHistoryNeverLoadedIsAnUpdate(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{PageSize: 2}, 1)
	old := h.send(1)
	for range 3 {
		h.pass(time.Hour)
		h.send(1)
	}
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.run()
	require.Len(t, h.drain(id), 2)
	h.pass(time.Hour)
	h.edit(old)
	h.poll()
	assert.Equal(t, "u", kinds(h.drain(id)))
}

func TestBackdatedRowIsNew(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{PageSize: 2}, 1)
	for range 4 {
		h.pass(time.Hour)
		h.send(1)
	}
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.run()
	h.drain(id)
	h.pass(time.Hour)
	b := h.send(1)
	r := h.rows[b]
	r.Created = 5
	h.rows[b] = r
	h.poll()
	got := h.drain(id)
	assert.Equal(t, "n", kinds(got), "an id above all others cannot have been delivered before")
}

func TestRepeatedSendIsShownOnceWithTheLowestID(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1)
	h.send(1)
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.run()
	h.drain(id)
	a, b := h.send(1), h.send(1)
	for _, row := range []int64{a, b} {
		r := h.rows[row]
		r.Origin = 77
		h.rows[row] = r
	}
	h.pass(time.Second)
	h.edit(a) // comes after b in order of change
	h.poll()
	assert.Equal(t, []int64{a}, ids(h.drain(id)))
	c := h.send(1)
	r := h.rows[c]
	r.Origin = 77
	h.rows[c] = r
	h.poll()
	assert.Empty(t, h.drain(id))
}

func TestJoinedConversationBringsItsHistoryFirst(t *testing.T) {
	t.Parallel()
	for _, discovery := range []string{"message", "list"} {
		t.Run(discovery, func(t *testing.T) {
			h := newHarness(feed.Config{}, 1)
			var history []int64
			for range 3 {
				history = append(history, h.send(2)) // not a member yet
				h.pass(time.Minute)
			}
			h.send(1)
			id := h.feed.Subscribe(h.now, feed.FromNewest)
			h.run()
			require.Len(t, h.drain(id), 1)
			h.pass(time.Hour)
			h.members[2] = 1
			want := history
			if discovery == "message" {
				want = append(want, h.send(2))
				h.poll()
			} else {
				h.feed.Joined(h.now)
				h.run()
			}
			got := h.drain(id)
			assert.Equal(t, want, ids(got))
			assert.NotContains(t, kinds(got), "u")
			h.poll()
			assert.Empty(t, h.drain(id))
		})
	}
}

func TestHistoryThatWasNotLoadedIsAGap(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{PageSize: 3}, 1)
	for range 10 {
		h.send(2)
		h.pass(time.Minute)
	}
	h.send(1)
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.run()
	require.Len(t, h.drain(id), 1)
	h.members[2] = 1
	h.send(2)
	h.poll()
	got := h.drain(id)
	assert.Equal(t, "gnnn", kinds(got), "the newest page")
	assert.EqualValues(t, 2, got[0].Gap.Conversation)
}

func TestResetReplaysWithoutLosingNews(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{PageSize: 3}, 1)
	for range 3 {
		h.send(1)
		h.pass(time.Minute)
	}
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.run()
	h.drain(id)
	for range 10 {
		h.send(1)
	}
	h.feed.Reset(h.now.Add(time.Second))
	h.now = h.now.Add(time.Second)
	h.run()
	got := append(h.drain(id), h.drain(id)...)
	news := []int64{}
	for _, e := range got {
		if !e.Update {
			news = append(news, e.Row.ID)
		}
	}
	assert.Equal(t, []int64{4, 5, 6, 7, 8, 9, 10, 11, 12, 13}, news)

	h.feed.Reset(h.now.Add(time.Minute))
	h.now = h.now.Add(time.Minute)
	h.run()
	assert.Equal(t, "rrr", kinds(h.drain(id)))
}

func TestBlockedListenerHoldsAPageAndCatchesUpLater(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{PageSize: 10, Collect: 20}, 1)
	slow := h.feed.Subscribe(h.now, feed.FromNewest)
	quick := h.feed.Subscribe(h.now, feed.FromNewest)
	h.run()
	got := 0
	for range 200 {
		for range 5 {
			h.send(1)
			h.pass(20 * time.Millisecond)
		}
		h.poll()
		got += len(h.drain(quick))
		require.LessOrEqual(t, h.feed.Pending(slow), 50)
	}
	assert.Equal(t, 1000, got)
	late := h.drain(slow)
	h.poll()
	late = append(late, h.drain(slow)...)
	assert.Len(t, late, 1000)
	assert.IsIncreasing(t, ids(late))
}

func TestLiveListenersShareOneRequest(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1)
	for range 5 {
		h.feed.Subscribe(h.now, feed.FromNewest)
	}
	h.send(1)
	h.run()
	h.asked = nil
	h.send(1)
	h.poll()
	assert.Len(t, h.asked, 1)
}

func TestQuietPollReadsNothingOnceTheWindowHasPassed(t *testing.T) {
	t.Parallel()
	h := newHarness(feed.Config{}, 1)
	for range 20 {
		h.send(1)
	}
	id := h.feed.Subscribe(h.now, feed.FromNewest)
	h.run()
	h.drain(id)
	for range 3 {
		h.pass(6 * time.Second)
		h.poll()
	}
	assert.Empty(t, h.answer(h.asked[len(h.asked)-1]))
}

// TestEveryVersionReachesEveryListener plays random histories against random
// sizes, and compares what listeners made of the events with the server's rows.
func TestEveryVersionReachesEveryListener(t *testing.T) {
	t.Parallel()
	for seed := range uint64(longtest.Size(25, 100)) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		cfg := feed.Config{
			PageSize: 2 + rnd.IntN(8), Collect: 1 + rnd.IntN(30), Queue: 1 + rnd.IntN(10), Remember: 4 + rnd.IntN(30),
			Draw: rnd.Int64N,
		}
		h := newHarness(cfg, 1, 2, 3)
		disturb := func(feed.Query) {
			if rnd.IntN(4) > 0 || h.nextID > 300 {
				return
			}
			h.mutate(rnd)
		}
		for range rnd.IntN(20) {
			h.mutate(rnd)
		}
		views := map[feed.ID]*view{}
		for range 1 + rnd.IntN(3) {
			views[h.feed.Subscribe(h.now, feed.FromBeginning)] = newView()
		}
		for range 30 {
			for range rnd.IntN(12) {
				h.mutate(rnd)
			}
			h.change = disturb
			h.poll()
			h.change = nil
			for id, v := range byID(views) {
				if rnd.IntN(3) > 0 {
					v.apply(t, seed, h.drain(id))
				}
			}
		}
		for range 3 {
			h.pass(6 * time.Second)
			h.poll()
			for id, v := range byID(views) {
				v.apply(t, seed, h.drain(id))
			}
		}
		for _, v := range views {
			v.check(t, seed, h.rows)
		}
		if t.Failed() {
			return
		}
	}
}

func (h *harness) mutate(rnd *rand.Rand) {
	if rnd.IntN(3) == 0 {
		h.pass(time.Duration(rnd.IntN(3000)) * time.Millisecond)
	}
	pick := func() int64 { return 1 + rnd.Int64N(h.nextID) }
	switch n := rnd.IntN(10); {
	case n < 6 || h.nextID == 0:
		for range 1 + rnd.IntN(4) {
			id := h.send(1 + rnd.Int64N(3))
			if rnd.IntN(5) == 0 {
				h.visible[id] = h.fakeServer.now + feed.Time(rnd.Int64N(4_900_000))
			}
		}
	case n < 9:
		if id := pick(); !h.rows[id].Deleted {
			h.edit(id)
		}
	default:
		if id := pick(); !h.rows[id].Deleted {
			h.remove(id)
		}
	}
}

// view is what a listener that follows the documented consumer's rules believes.
type view struct {
	rows map[int64]feed.Row
	had  map[string]bool
}

func newView() *view { return &view{rows: map[int64]feed.Row{}, had: map[string]bool{}} }

func (v *view) apply(t *testing.T, seed uint64, events []feed.Event) {
	for _, e := range events {
		version := fmt.Sprintf("%d/%d/%d/%v", e.Row.ID, e.Row.Updated, e.Row.Hash, e.Row.Deleted)
		assert.False(t, v.had[version], "seed %d: version %s came twice", seed, version)
		v.had[version] = true
		_, known := v.rows[e.Row.ID]
		switch {
		case e.Deleted:
			delete(v.rows, e.Row.ID)
		case e.Update:
			assert.True(t, known, "seed %d: update of %d, which was never new", seed, e.Row.ID)
			v.rows[e.Row.ID] = e.Row
		default:
			assert.False(t, known, "seed %d: %d was new twice", seed, e.Row.ID)
			v.rows[e.Row.ID] = e.Row
		}
	}
}

func (v *view) check(t *testing.T, seed uint64, rows map[int64]feed.Row) {
	for id, r := range rows {
		got, ok := v.rows[id]
		if r.Deleted {
			assert.False(t, ok, "seed %d: %d is deleted but still shown", seed, id)
			continue
		}
		if assert.True(t, ok, "seed %d: %d was lost", seed, id) {
			assert.Equal(t, r.Hash, got.Hash, "seed %d: %d is stale", seed, id)
		}
	}
}

// Rows of other people's conversations fill pages, and are nothing else.
func TestForeignRowsOnlyTakeUpSpace(t *testing.T) {
	t.Parallel()
	for _, start := range []feed.Start{feed.FromNewest, feed.FromNow, feed.FromBeginning} {
		for _, page := range []int{2, 3, 7, 200} {
			for _, collect := range []int{1, 10, 1000} {
				t.Run(fmt.Sprintf("start %d, page %d, collect %d", start, page, collect), func(t *testing.T) {
					t.Parallel()
					h := newHarness(feed.Config{PageSize: page, Collect: collect, Queue: 5}, 1)
					h.leaks = true
					var foreign []int64
					flood := func(n int) {
						for range n {
							foreign = append(foreign, h.send(2), h.send(3))
						}
					}
					flood(20)
					id := h.feed.Subscribe(h.now, start)
					h.run()
					require.Empty(t, h.drain(id))
					var want []int64
					var got []feed.Event
					for range 10 {
						h.pass(time.Second)
						flood(5)
						for range 4 {
							want = append(want, h.send(1))
						}
						flood(5)
						h.edit(foreign[0])
						h.remove(foreign[1])
						foreign = foreign[2:]
						h.poll()
						got = append(got, h.drain(id)...)
					}
					for range 20 {
						h.poll()
						got = append(got, h.drain(id)...)
					}
					assert.Equal(t, want, ids(got))

					// Who joins gets the history, as if it had never been seen.
					h.members[2] = 1
					h.feed.Joined(h.now)
					joined := h.send(2)
					got = nil
					for range 20 {
						h.poll()
						got = append(got, h.drain(id)...)
					}
					for _, e := range got {
						assert.True(t, e.Gap != nil || e.Row.Conversation == 2)
					}
					assert.Contains(t, ids(got), joined)
				})
			}
		}
	}
}

// More than a page is read by creation at once: what a poll reads until there is too much
// of it would be read again.
func TestTheFirstReadingOfEverythingReadsAPageTwiceAtMost(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rows, queries, read int
	}{
		// A quiet chat of a page or less takes one query.
		{0, 1, 0},
		{199, 1, 199},
		// Else there are a page that is dropped, what was changed last, the rows by creation,
		// and a poll for what has changed since, which reads the last row again.
		{200, 5, 402},
		{2_100, 14, 2_302},
	} {
		h := newHarness(feed.Config{}, 1)
		for range test.rows {
			h.send(1)
			h.tick(time.Minute)
		}
		queries, read := 0, 0
		h.change = func(q feed.Query) {
			queries++
			read += len(h.answer(q))
		}
		id := h.feed.Subscribe(h.now, feed.FromBeginning)
		h.run()
		got := h.drain(id)
		assert.Len(t, got, test.rows)
		assert.IsNonDecreasing(t, ids(got))
		assert.Equal(t, test.queries, queries, "queries for %d rows", test.rows)
		assert.Equal(t, test.read, read, "rows read for %d", test.rows)
	}
}
