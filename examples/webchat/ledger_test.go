package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// told is a ledger with two pages that watch conversation 1.
type told struct {
	*ledger
	t   *testing.T
	seq map[string]int
}

func newTold(t *testing.T) *told {
	l := &told{newLedger(), t, map[string]int{}}
	for _, page := range []string{"jane", "bob"} {
		l.tell(page, event{Kind: "watches", Conversations: []int64{1}})
	}
	return l
}

func (l *told) tell(page string, events ...event) {
	l.t.Helper()
	for i := range events {
		if events[i].Conversation == 0 {
			events[i].Conversation = 1
		}
	}
	require.NoError(l.t, l.take(report{Page: page, As: page, Seq: l.seq[page], Events: events}, noon))
	l.seq[page]++
}

func (l *told) now() counters { c, _ := l.read(noon); return c }

func did(kind string, guids ...string) (events []event) {
	for _, g := range guids {
		events = append(events, event{Kind: kind, GUID: g, Live: true})
	}
	return events
}

func TestTheLedgerCountsWhatIsLostTwiceAndOutOfOrder(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		bob  []event
		want counters
	}{
		"all in order":      {did("shown", "a", "b", "c"), counters{Sent: 3, Shown: 6}},
		"the last is late":  {did("shown", "a", "b"), counters{Sent: 3, Shown: 5, OnTheWay: 1}},
		"one was overtaken": {did("shown", "a", "c"), counters{Sent: 3, Shown: 5, Lost: 1}},
		"two were":          {did("shown", "c"), counters{Sent: 3, Shown: 4, Lost: 2}},
		"one came late":     {did("shown", "a", "c", "b"), counters{Sent: 3, Shown: 6, Disorder: 1}},
		"one came twice":    {did("shown", "a", "b", "b", "c"), counters{Sent: 3, Shown: 6, Twice: 1}},
		"of a bot, twice":   {append(did("shown", "a", "b", "c"), did("shown", "x", "x", "x")...), counters{Sent: 3, Shown: 6, Twice: 2}},
		"from the history":  {[]event{{Kind: "shown", GUID: "b", Live: true}, {Kind: "shown", GUID: "c", Live: true}, {Kind: "shown", GUID: "a"}}, counters{Sent: 3, Shown: 6}},
		"he has gone":       {append(did("shown", "a"), event{Kind: "bye"}), counters{Sent: 3, Shown: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for order, first := range map[string]bool{"sent is told first": true, "shown is told first": false} {
				l := newTold(t)
				if first {
					l.tell("jane", did("sent", "a", "b", "c")...)
				}
				if first || name != "he has gone" { // who has gone before is not expected to get anything
					l.tell("bob", tc.bob...)
				}
				if !first {
					l.tell("jane", did("sent", "a", "b", "c")...)
				}
				l.tell("jane", did("shown", "a", "b", "c")...)
				if first || name != "he has gone" {
					assert.Equal(t, tc.want, l.now(), order)
				}
			}
		})
	}
}

func TestAMessageThatIsLongOnItsWayIsLost(t *testing.T) {
	t.Parallel()
	l := newTold(t)
	l.tell("jane", did("sent", "a")...)
	l.tell("jane", did("shown", "a")...)
	assert.Equal(t, counters{Sent: 1, Shown: 1, OnTheWay: 1}, l.now())
	late := noon.Add(longest + time.Second)
	require.NoError(t, l.take(report{Page: "bob", Seq: l.seq["bob"]}, late)) // he is still there
	c, _ := l.read(late)
	assert.Equal(t, counters{Sent: 1, Shown: 1, Lost: 1}, c)
}

func TestWhatTheUserTakesBackIsNotLost(t *testing.T) {
	t.Parallel()
	l := newTold(t)
	l.tell("jane", did("sent", "a", "b")...)
	l.tell("jane", did("dropped", "a")...)
	l.tell("jane", did("shown", "b")...)
	l.tell("bob", did("shown", "b")...)
	assert.Equal(t, counters{Sent: 2, Shown: 2}, l.now())
}

func TestAPageIsExpectedToShowWhatItWatches(t *testing.T) {
	t.Parallel()
	l := newTold(t)
	e := did("sent", "a")
	e[0].Conversation = 2
	l.tell("jane", e...)
	assert.Equal(t, counters{Sent: 1}, l.now())
}

func TestARepeatedReportIsTakenOnce(t *testing.T) {
	t.Parallel()
	l := newTold(t)
	l.tell("jane", did("sent", "a")...)
	again := report{Page: "bob", As: "bob", Seq: l.seq["bob"], Events: did("shown", "a")}
	for range 3 {
		require.NoError(t, l.take(again, noon))
	}
	assert.Zero(t, l.now().Twice)
}

func TestLatencyIsThatOfOtherPages(t *testing.T) {
	t.Parallel()
	l := newTold(t)
	l.tell("jane", event{Kind: "sent", GUID: "a", At: 1000}, event{Kind: "shown", GUID: "a", At: 1001})
	l.tell("bob", event{Kind: "shown", GUID: "a", At: 1250})
	l.tell("mia", event{Kind: "watches", Conversations: []int64{1}}, event{Kind: "shown", GUID: "a", At: 900000}) // opened later
	_, took := l.read(noon)
	assert.Equal(t, []latency{{"bob", 250}}, took)
}

// What is settled is added up, so that a page that is open for days costs no more.
func TestTheLedgerForgetsWhatIsSettledAndKeepsTheCounts(t *testing.T) {
	t.Parallel()
	l := newTold(t)
	const n = 5 * keptMessages
	for i := range n {
		guid := fmt.Sprint(i)
		l.tell("jane", did("sent", guid)...)
		l.tell("jane", did("shown", guid)...)
		l.tell("bob", did("shown", guid)...)
	}
	assert.Equal(t, counters{Sent: n, Shown: 2 * n}, l.now())
	assert.Less(t, len(l.byID), 3*keptMessages)
}

func TestUnusableReportsAreRefused(t *testing.T) {
	t.Parallel()
	l := newLedger()
	long := string(make([]byte, 300))
	require.ErrorContains(t, l.take(report{}, noon), "page:")
	require.ErrorContains(t, l.take(report{Page: "p", Events: did("shown", long)}, noon), "events[0]")
	for i := range mostPages {
		require.NoError(t, l.take(report{Page: fmt.Sprint(i), Events: []event{{Kind: "watches"}}}, noon))
	}
	require.ErrorContains(t, l.take(report{Page: "more"}, noon), "too many")
	require.NoError(t, l.take(report{Page: "0", Seq: 1, Events: []event{{Kind: "bye"}}}, noon))
	require.NoError(t, l.take(report{Page: "more"}, noon), "one has gone")
}
