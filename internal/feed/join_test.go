package feed_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// An answer that came late, or the date of another machine, looks like a clock that was set
// back. When that is between a join and the reading of its conversation, what may be of after
// the join by that clock comes all the same, and before what is newer.
func TestAClockThatSeemsSetBackDuringAJoinCostsNoMessageAndNoOrder(t *testing.T) {
	t.Parallel()
	for name, changed := range map[string]bool{"when the user joined is not known": false, "the user has just joined": true} {
		for _, step := range []time.Duration{3 * time.Second, 10 * time.Second, time.Minute, time.Hour} {
			h := newHarness(feed.Config{}, 1)
			h.dated = true
			id := h.feed.Subscribe(h.now, feed.FromBeginning)
			h.poll()
			want := []int64{}
			for range 40 { // the user is not in this one yet
				h.pass(2 * time.Second)
				want = append(want, h.send(2))
				h.send(1)
				h.poll()
			}
			h.drain(id)
			for range 4 {
				h.pass(time.Second)
				want = append(want, h.send(2))
			}
			h.feed.Joined(h.now)
			h.members[2] = 1
			for range 100 {
				q := h.feed.Next(h.now).Query
				switch q.Kind {
				case feed.Members:
					members := h.roster()
					for i := range members {
						if changed {
							members[i].Changed = h.fakeServer.now
						}
					}
					h.feed.Members(h.now, members)
				case 0:
				default:
					clock := h.fakeServer.now - feed.Time(step.Microseconds())
					h.feed.Page(h.now, h.answer(q), feed.Clock{Earliest: clock, Latest: clock})
				}
			}
			got := []int64{}
			for _, e := range h.rest(id) {
				if e.Row.Conversation == 2 && !e.Update {
					got = append(got, e.Row.ID)
				}
			}
			assert.Equal(t, want, got, "%s, by %v", name, step)
		}
	}
}
