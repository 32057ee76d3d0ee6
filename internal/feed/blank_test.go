package feed_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// starts are all of them.
var starts = map[string]feed.Start{"newest": feed.FromNewest, "now": feed.FromNow, "beginning": feed.FromBeginning}

// subscribe adds a listener, a durable one if asked for.
func (h *harness) subscribe(t *testing.T, s feed.Start, durable bool) feed.ID {
	t.Helper()
	if !durable {
		return h.feed.Subscribe(h.now, s)
	}
	id, err := h.feed.SubscribeDurable(h.now, s, feed.Stored{})
	require.NoError(t, err)
	return id
}

// told is what came as history, as new, and as gaps.
func told(events []feed.Event) string {
	history, fresh, gaps, others := 0, 0, 0, 0
	for _, e := range events {
		switch {
		case e.Gap != nil:
			gaps++
		case e.Update || e.Deleted || e.Replay:
			others++
		case e.History:
			history++
		default:
			fresh++
		}
	}
	return fmt.Sprintf("%d history, %d new, %d gaps, %d others", history, fresh, gaps, others)
}

// Answers are empty until so many were given. Two messages come after that, and before the
// answers are honest.
func TestWhatEmptyAnswersHidIsWhatItWouldHaveBeen(t *testing.T) {
	t.Parallel()
	for name, start := range starts {
		for _, durable := range []bool{false, true} {
			for lies := 1; lies <= 6; lies++ {
				t.Run(fmt.Sprint("from ", name, ", durable ", durable, ", ", lies, " of them"), func(t *testing.T) {
					h := newHarness(feed.Config{PageSize: 4, Queue: 4, Collect: 8}, 1, 2)
					h.dated = true
					for range 15 {
						h.send(1)
						h.send(2)
						h.pass(time.Hour)
					}
					for id := range h.rows {
						h.visible[id] = 1 << 62
					}
					asked := 0
					h.change = func(feed.Query) {
						if asked++; asked > lies {
							clear(h.visible)
						}
					}
					id := h.subscribe(t, start, durable)
					var events []feed.Event
					for range 8 {
						h.poll()
						events = append(events, h.drain(id)...)
						h.pass(2 * time.Second)
					}
					late := []int64{h.send(1), h.send(2)}
					for range 3 {
						h.poll()
						events = append(events, h.drain(id)...)
						h.pass(2 * time.Second)
					}
					want := map[feed.Start]string{
						feed.FromNewest: "4 history, 2 new, 2 gaps, 0 others", feed.FromBeginning: "30 history, 2 new, 0 gaps, 0 others",
						feed.FromNow: "0 history, 2 new, 2 gaps, 0 others",
					}[start]
					if lies == 1 { // it was asked for again
						want = strings.Replace(want, "2 gaps", "0 gaps", 1)
					}
					assert.Equal(t, want, told(events))
					assert.Equal(t, late, ids(events[len(events)-2:]))
				})
			}
		}
	}
}

func TestWhatCameWhileAnswersWereEmptyIsNew(t *testing.T) {
	t.Parallel()
	for name, start := range starts {
		for _, n := range []int{1, 3, 9, 30} {
			t.Run(fmt.Sprint("from ", name, ", ", n), func(t *testing.T) {
				h := newHarness(feed.Config{PageSize: 4, Queue: 4, Collect: 8}, 1)
				h.dated = true
				for range 15 {
					h.send(1)
					h.pass(time.Hour)
				}
				for id := range h.rows {
					h.visible[id] = 1 << 62
				}
				id := h.feed.Subscribe(h.now, start)
				h.poll()
				require.Empty(t, h.drain(id))
				var want []int64
				for range n {
					h.pass(time.Second)
					want = append(want, h.send(1))
				}
				clear(h.visible)
				var events []feed.Event
				for range 4 {
					h.poll()
					events = append(events, h.drain(id)...)
					h.pass(2 * time.Second)
				}
				var fresh []int64
				for _, e := range events {
					if e.Gap == nil && !e.History {
						fresh = append(fresh, e.Row.ID)
					}
				}
				assert.Equal(t, want, fresh)
				if start == feed.FromBeginning {
					assert.Len(t, events, 15+n)
				}
			})
		}
	}
}

// A chat that is empty has messages with old times, too: imported ones, and those of a
// machine with a wrong clock.
func TestAMessageWithAnOldTimeIsNotLostInAChatThatWasEmpty(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration // the start
		row   func(now feed.Time) (created, updated feed.Time)
		want  map[feed.Start]string
	}{
		"imported": {time.Second, func(now feed.Time) (feed.Time, feed.Time) { return now - 3600e6, now }, map[feed.Start]string{
			feed.FromNewest: "0 history, 1 new, 0 gaps, 0 others", feed.FromNow: "0 history, 1 new, 0 gaps, 0 others", feed.FromBeginning: "0 history, 1 new, 0 gaps, 0 others",
		}},
		"a little behind": {time.Second, func(now feed.Time) (feed.Time, feed.Time) { return now - 50e6, now - 50e6 }, map[feed.Start]string{
			feed.FromNewest: "0 history, 1 new, 0 gaps, 0 others", feed.FromNow: "0 history, 1 new, 0 gaps, 0 others", feed.FromBeginning: "0 history, 1 new, 0 gaps, 0 others",
		}},
		"an hour behind": {time.Second, func(now feed.Time) (feed.Time, feed.Time) { return now - 3600e6, now - 3600e6 }, map[feed.Start]string{
			feed.FromNewest: "1 history, 0 new, 0 gaps, 0 others", feed.FromNow: "0 history, 0 new, 1 gaps, 0 others", feed.FromBeginning: "1 history, 0 new, 0 gaps, 0 others",
		}},
		"an hour behind, later": {11 * time.Minute, func(now feed.Time) (feed.Time, feed.Time) { return now - 3600e6, now - 3600e6 }, map[feed.Start]string{
			feed.FromNewest: "0 history, 1 new, 0 gaps, 0 others", feed.FromNow: "0 history, 1 new, 0 gaps, 0 others", feed.FromBeginning: "0 history, 1 new, 0 gaps, 0 others",
		}},
	} {
		for from, start := range starts {
			t.Run(name+", from "+from, func(t *testing.T) {
				h := newHarness(feed.Config{}, 1)
				h.dated = true
				h.pass(24 * time.Hour)
				id := h.feed.Subscribe(h.now, start)
				h.poll()
				h.pass(c.after)
				h.poll()
				row := h.rows[h.send(1)]
				row.Created, row.Updated = c.row(h.fakeServer.now)
				h.rows[row.ID] = row
				h.poll()
				assert.Equal(t, c.want[start], told(h.drain(id)))
			})
		}
	}
}

// An empty first page is asked for again. What is sent until then is what a listener from now
// waits for, whether the page was right or not.
func TestWhatComesWhileAnEmptyFirstPageIsAskedForAgainIsNewToAListenerFromNow(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]struct{ lies, noLimit bool }{
		"the page was right": {}, "the page was wrong": {lies: true},
		"the page was right, and the server ignores limits": {noLimit: true}, "the page was wrong, and the server ignores limits": {lies: true, noLimit: true},
	} {
		for _, durable := range []bool{false, true} {
			for _, n := range []int{0, 1, 3, 9, 30} {
				for _, every := range []time.Duration{0, 200 * time.Millisecond, time.Minute} {
					t.Run(fmt.Sprint(name, ", durable ", durable, ", ", n, " every ", every), func(t *testing.T) {
						h := newHarness(feed.Config{PageSize: 4, Queue: 4, Collect: 8}, 1, 2)
						h.dated, h.noLimit = true, server.noLimit
						for i := range int64(15) {
							if server.lies {
								h.visible[h.send(1+i%2)] = 1 << 62
							}
							h.pass(time.Hour)
						}
						id := h.subscribe(t, feed.FromNow, durable)
						var want []int64
						pages, stored := 0, false
						h.change = func(q feed.Query) {
							if c, ok := h.feed.Commit(id, false); ok && c.Base != nil {
								stored = true
							}
							assert.False(t, durable && !stored && h.feed.Pending(id) > 0, "the position before the first event is known")
							if q.Kind != feed.Newest {
								return
							}
							if pages++; pages == 2 {
								clear(h.visible)
								for len(want) < n {
									h.pass(every)
									want = append(want, h.send(1+int64(len(want)%2)))
								}
							}
						}
						h.poll()
						events := h.drain(id)
						require.Len(t, events, n)
						if n == 0 {
							assert.Equal(t, 2, pages, "nothing more is asked for")
						}
						h.pass(2 * time.Second)
						want = append(want, h.send(1))
						h.poll()
						events = append(events, h.drain(id)...)
						assert.Equal(t, want, ids(events))
						assert.Equal(t, fmt.Sprintf("0 history, %d new, 0 gaps, 0 others", n+1), told(events))
					})
				}
			}
		}
	}
}
