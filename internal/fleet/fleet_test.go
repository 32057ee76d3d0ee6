package fleet_test

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/budget"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
)

var epoch = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

func at(t time.Time) feed.Time { return feed.Time(t.UnixMicro()) }

// bench is a fleet and a clock.
type bench struct {
	*fleet.Fleet
	log *fleet.Log
	now time.Time
}

// newBench returns a fleet that knows n conversations of one user each, two of them of user 0.
func newBench(t *testing.T, n int, s fleet.Strategy) *bench {
	t.Helper()
	b := &bench{log: fleet.NewLog(fleet.LogConfig{}), now: epoch}
	b.Fleet = fleet.New(fleet.Config{Since: at(epoch)}, s, b.log)
	list := make([]fleet.Listing, n)
	for i := range list {
		list[i] = fleet.Listing{Conversation: int64(i + 1), Created: 1, Changed: 1, Users: []int32{int32(i / 2)}}
	}
	r, ok := b.Next(b.now, budget.Index)
	require.True(t, ok)
	require.Equal(t, fleet.List, r.Kind)
	b.Take(b.now, r, fleet.Answer{Clock: at(b.now), Listed: list})
	return b
}

func (b *bench) pass(d time.Duration) { b.now = b.now.Add(d) }

// look makes the next live request, which has to be a Look.
func (b *bench) look(t *testing.T) fleet.Request {
	t.Helper()
	r, ok := b.Next(b.now, budget.Live)
	require.True(t, ok)
	require.Equal(t, fleet.Look, r.Kind)
	return r
}

func row(id, conversation int64, t time.Time) feed.Row {
	return feed.Row{ID: id, Conversation: conversation, Created: at(t), Updated: at(t), Hash: uint64(id), Payload: id}
}

// keyOf is where a row is in the order of changes.

func TestABellBringsARowWithTheNextLook(t *testing.T) {
	t.Parallel()
	b := newBench(t, 10, fleet.NewBells())
	assert.Equal(t, time.Minute, b.Due(b.now, budget.Live).Sub(b.now), "nothing but the sweep")
	b.pass(time.Second)
	b.Ring(b.now, 3)
	assert.False(t, b.Due(b.now, budget.Live).After(b.now))
	r := b.look(t)
	assert.Equal(t, int64(3), r.Conversations[0])
	assert.Equal(t, []int64{3}, b.Take(b.now, r, fleet.Answer{Rows: []feed.Row{row(7, 3, b.now)}, Clock: at(b.now)}))
	n, _ := b.log.Len()
	assert.Equal(t, 1, n)
}

func TestABellForAnUnknownConversationIsIgnored(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3, fleet.NewBells())
	b.Ring(b.now, 99)
	b.Ring(b.now, -1)
	assert.Zero(t, b.Dirty().Waiting(fleet.Rung))
}

func TestARowThatBecomesVisibleLateIsFoundOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, fleet.NewBells())
	t0 := b.now.Add(time.Second)
	early, late := row(1, 1, t0.Add(2*time.Second)), row(2, 1, t0)
	seen := 0
	for _, shown := range [][]feed.Row{{early}, {early, late}, {early, late}, {early, late}} {
		b.pass(4 * time.Second)
		b.Ring(b.now, 1)
		seen += len(b.Take(b.now, b.look(t), fleet.Answer{Rows: shown, Clock: at(b.now)}))
	}
	n, _ := b.log.Len()
	assert.Equal(t, 2, n)
	assert.Equal(t, 2, seen)
}

func TestAConversationWithMoreThanALookShowsIsReadOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, fleet.NewBells())
	b.pass(time.Second)
	var all []feed.Row
	for i := range 500 {
		all = append(all, row(int64(i+1), 1, b.now.Add(time.Duration(i)*time.Millisecond)))
	}
	b.pass(time.Second)
	b.Ring(b.now, 1)
	requests := 0
	for n := 0; n < len(all); n, _ = b.log.Len() {
		b.pass(time.Second)
		r, ok := b.Next(b.now, budget.Live)
		require.True(t, ok)
		var a fleet.Answer
		if r.Kind == fleet.Look {
			a.Rows = slices.Clone(all[len(all)-r.Limits[0]:])
			slices.Reverse(a.Rows)
		} else {
			for _, x := range all {
				if x.UpdatedKey().Compare(r.After) > 0 && len(a.Rows) < r.Limit {
					a.Rows = append(a.Rows, x)
				}
			}
			if a.Full = len(a.Rows) == r.Limit; a.Full {
				a.Last = a.Rows[r.Limit-1].UpdatedKey()
			}
		}
		a.Clock = at(b.now)
		b.Take(b.now, r, a)
		requests++
		require.Less(t, requests, 20)
	}
	n, _ := b.log.Len()
	assert.Equal(t, len(all), n)
}

func TestAFloodOfBellsLeavesPlacesForTheListAndTheSweep(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1000, fleet.NewListTimes())
	b.pass(5 * time.Minute) // all are due in the sweep
	r, ok := b.Next(b.now, budget.Index)
	require.True(t, ok)
	var changed []fleet.Listing
	for id := int64(901); id <= 1000; id++ {
		changed = append(changed, fleet.Listing{Conversation: id, Changed: at(b.now)})
	}
	for id := range int64(800) {
		b.Ring(b.now, id+1)
	}
	b.Take(b.now, r, fleet.Answer{Clock: at(b.now), Listed: changed})
	rung, listed, swept := 0, 0, 0
	for _, id := range b.look(t).Conversations {
		switch {
		case id <= 800:
			rung++
		case id > 900:
			listed++
		default:
			swept++
		}
	}
	assert.Equal(t, 100, rung+listed+swept)
	assert.GreaterOrEqual(t, listed, 20)
	assert.GreaterOrEqual(t, swept, 5)
	assert.GreaterOrEqual(t, rung, 50)
}

func TestASendIsReadBeforeEverythingElse(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1000, fleet.NewBells())
	b.pass(time.Second)
	for id := range int64(900) {
		b.Ring(b.now, id+1)
	}
	b.Sent(b.now, 950)
	assert.Equal(t, int64(950), b.look(t).Conversations[0])
}

func TestWhatFailsStaysDirtyAndAnOutageIsWaitedOut(t *testing.T) {
	t.Parallel()
	b := newBench(t, 10, fleet.NewBells())
	b.pass(time.Second)
	b.Ring(b.now, 4)
	longest := time.Duration(0)
	for range 12 {
		due := b.Due(b.now, budget.Live)
		longest = max(longest, due.Sub(b.now))
		b.now = due
		b.Fail(b.now, b.look(t), fleet.Failure{}, errors.New("down"))
		assert.Equal(t, 1, b.Dirty().Waiting(fleet.Rung))
	}
	assert.Equal(t, 10*time.Second, longest)
	b.now = b.Due(b.now, budget.Live)
	assert.Len(t, b.Take(b.now, b.look(t), fleet.Answer{Rows: []feed.Row{row(1, 4, b.now)}, Clock: at(b.now)}), 1)
}

// One conversation that spoils each look has to end up by itself.
func TestAConversationThatSpoilsLooksHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := newBench(t, 300, fleet.NewBells())
	b.pass(time.Second)
	for id := range int64(300) {
		b.Ring(b.now, id+1)
	}
	const sick = 77
	got := map[int64]bool{}
	requests := 0
	for len(got) < 299 {
		b.pass(time.Second)
		r, ok := b.Next(b.now, budget.Live)
		if !ok {
			continue
		}
		requests++
		require.Less(t, requests, 40)
		if slices.Contains(r.Conversations, sick) {
			b.Fail(b.now, r, fleet.Failure{Refused: true}, errors.New("refused"))
			continue
		}
		var rows []feed.Row
		for _, id := range r.Conversations {
			rows = append(rows, row(id, id, epoch.Add(time.Second)))
		}
		for _, id := range b.Take(b.now, r, fleet.Answer{Rows: rows, Clock: at(b.now)}) {
			got[id] = true
		}
	}
	assert.False(t, got[sick])
	assert.Equal(t, 100, b.Batch(), "it is not the number of joins")
}

func TestAServerThatRefusesManyJoinsIsAskedAboutFewer(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1000, fleet.NewBells())
	b.pass(time.Second)
	for id := range int64(1000) {
		b.Ring(b.now, id+1)
	}
	for range 200 {
		b.pass(time.Second)
		r, ok := b.Next(b.now, budget.Live)
		if !ok {
			continue
		}
		if len(r.Conversations) > 30 {
			b.Fail(b.now, r, fleet.Failure{Refused: true}, errors.New("too many joins"))
			continue
		}
		b.Take(b.now, r, fleet.Answer{Clock: at(b.now)})
	}
	assert.Equal(t, 25, b.Batch())
	assert.Zero(t, b.Dirty().Waiting(fleet.Rung), "all were read")
}

func TestACoverIsSmallAndComplete(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	sets := map[int32][]int64{0: nil}
	for item := range int64(500) {
		sets[0] = append(sets[0], item)
	}
	for item := int64(400); item < 1000; item++ {
		u := 1 + int32(rnd.IntN(300))
		sets[u] = append(sets[u], item)
	}
	cover := fleet.Cover(sets)
	assert.Equal(t, int32(0), cover[0])
	covered := map[int64]bool{}
	for _, u := range cover {
		for _, item := range sets[u] {
			covered[item] = true
		}
	}
	assert.Len(t, covered, 1000)
	assert.Less(t, len(cover), 280)
	assert.Empty(t, fleet.Cover(nil))
}

// Not parallel: it measures the heap.
func TestAUserCostsLittleMemory(t *testing.T) {
	const users = 2000
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	b := newBench(t, 2*users, fleet.NewBells())
	cold := heap()
	var inboxes []*fleet.Inbox
	var engines []*feed.Feed
	for u := range int32(users) {
		e := feed.New(fleet.EngineConfig(feed.Config{}))
		e.Subscribe(b.now, feed.FromNow)
		mine := b.Conversations(u)
		inbox := fleet.NewInbox(b.log, at(b.now), mine)
		drain(e, inbox, b.now, mine)
		inboxes, engines = append(inboxes, inbox), append(engines, e)
	}
	hot := heap()
	t.Logf("a cold user with two conversations takes %d bytes, one with a listener %d", (cold-before)/users, (hot-cold)/users)
	assert.Less(t, (cold-before)/users, uint64(2000))
	assert.Less(t, (hot-cold)/users, uint64(20_000))
	runtime.KeepAlive(inboxes)
	runtime.KeepAlive(engines)
}

// drain lets an engine read an inbox, and returns what it delivers.
func drain(e *feed.Feed, b *fleet.Inbox, now time.Time, mine []int64) (events []feed.Event) {
	e.Poke(now)
	for {
		for e.Pending(1) > 0 {
			ev, _ := e.Take(1)
			events = append(events, ev)
			e.Ack(1)
		}
		switch q := e.Next(now).Query; q.Kind {
		case 0:
			return events
		case feed.Members:
			var list []feed.Member
			for _, c := range mine {
				list = append(list, feed.Member{Conversation: c, Created: 1})
			}
			e.Members(now, list)
		default:
			p := b.Answer(q)
			e.Page(now, p.Rows, p.Clock)
			if p.More {
				e.Poke(now)
			}
		}
	}
}

// Bells may be forged, the list is the server's own.
func TestSignsInVainDelayNothingThatTheListShows(t *testing.T) {
	t.Parallel()
	b := newBench(t, 100, fleet.NewListTimes())
	for range 20 {
		b.pass(time.Second)
		for id := range int64(100) {
			b.Ring(b.now, id+1)
		}
		b.Take(b.now, b.look(t), fleet.Answer{Clock: at(b.now)})
	}
	b.pass(30 * time.Second)
	r, ok := b.Next(b.now, budget.Index)
	require.True(t, ok)
	b.Take(b.now, r, fleet.Answer{Clock: at(b.now), Listed: []fleet.Listing{{Conversation: 9, Changed: at(b.now)}}})
	b.Take(b.now, b.look(t), fleet.Answer{Clock: at(b.now)})
	b.pass(100 * time.Millisecond)
	b.Take(b.now, r, fleet.Answer{Clock: at(b.now), Listed: []fleet.Listing{{Conversation: 8, Changed: at(b.now)}}})
	assert.LessOrEqual(t, b.Due(b.now, budget.Live).Sub(b.now), 500*time.Millisecond)
	b.pass(time.Minute)
	b.Take(b.now, b.look(t), fleet.Answer{Clock: at(b.now)})
	b.Ring(b.now, 7)
	assert.LessOrEqual(t, b.Due(b.now, budget.Live).Sub(b.now), 2*time.Second, "a bell that was in vain before does not wait for the sweep")
}

// A row may become visible behind the first page of a read while the second one waits for its
// turn.
func TestARowThatBecomesVisibleBehindAPageIsFound(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, fleet.NewBells())
	t0 := b.now.Add(time.Second)
	var all []feed.Row
	for i := range 250 {
		all = append(all, row(int64(i+1), 1, t0.Add(time.Duration(i)*10*time.Millisecond)))
	}
	late, shown := row(1000, 1, t0.Add(time.Second+time.Millisecond)), t0.Add(5*time.Second)
	b.now = t0.Add(3 * time.Second)
	b.Ring(b.now, 1)
	for range 30 {
		r, ok := b.Next(b.now, budget.Live)
		if !ok {
			b.pass(time.Second)
			b.Ring(b.now, 1)
			continue
		}
		there := slices.Clone(all)
		if !b.now.Before(shown) {
			there = append(there, late)
		}
		if last := t0.Add(10 * time.Second); !b.now.Before(last) {
			there = append(there, row(2000, 1, last))
		}
		slices.SortFunc(there, func(a, b feed.Row) int { return cmp.Compare(a.Updated, b.Updated) })
		var a fleet.Answer
		if r.Kind == fleet.Look {
			a.Rows = there[max(0, len(there)-r.Limits[0]):]
			slices.Reverse(a.Rows)
		} else {
			for _, x := range there {
				if x.UpdatedKey().Compare(r.After) > 0 && len(a.Rows) < r.Limit {
					a.Rows = append(a.Rows, x)
				}
			}
			if a.Full = len(a.Rows) == r.Limit; a.Full {
				a.Last = a.Rows[r.Limit-1].UpdatedKey()
			}
		}
		a.Clock = at(b.now)
		b.Take(b.now, r, a)
		if a.Full {
			b.pass(15 * time.Second) // the limit
		}
		b.pass(100 * time.Millisecond)
		b.Ring(b.now, 1)
	}
	entries, _ := b.log.Len()
	assert.Equal(t, len(all)+2, entries)
}

// vainly lets bells ring in conversations in which there is nothing new, so often.
func (b *bench) vainly(t *testing.T, times int, conversations ...int64) {
	t.Helper()
	for range times {
		for _, c := range conversations {
			b.Ring(b.now, c)
		}
		for b.Dirty().Waiting(fleet.Rung)+b.Dirty().Waiting(fleet.Doubted) > 0 {
			b.pass(time.Second)
			b.Take(b.now, b.look(t), fleet.Answer{Clock: at(b.now)})
		}
	}
}

func TestBellsThatBroughtNothingComeBehindThoseThatMayBeTrue(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1000, fleet.NewBells())
	b.pass(time.Second)
	var forged []int64
	for c := range int64(300) {
		forged = append(forged, c+1)
	}
	b.vainly(t, 3, forged...)
	for _, c := range forged {
		b.Ring(b.now, c)
	}
	for c := range int64(90) {
		b.Ring(b.now, 900+c)
	}
	honest, doubted := 0, 0
	for _, c := range b.look(t).Conversations {
		if c >= 900 {
			honest++
		} else if c <= 300 {
			doubted++
		}
	}
	assert.Greater(t, honest, 60)
	assert.Greater(t, doubted, 15, "they may be true again")
}

func TestAConversationWhoseBellsWereForgedDoesNotStarve(t *testing.T) {
	t.Parallel()
	b := newBench(t, 10, fleet.NewBells())
	b.pass(time.Second)
	b.vainly(t, 200, 3)
	b.Ring(b.now, 3)
	assert.Equal(t, 1, b.Dirty().Waiting(fleet.Doubted))
	assert.LessOrEqual(t, b.Due(b.now, budget.Live).Sub(b.now), 1250*time.Millisecond, "a doubted bell")
	b.Ring(b.now, 4)
	assert.LessOrEqual(t, b.Due(b.now, budget.Live).Sub(b.now), 600*time.Millisecond, "another conversation's is as good as ever")
	r := b.look(t)
	b.Take(b.now, r, fleet.Answer{Rows: []feed.Row{row(7, 3, b.now)}, Clock: at(b.now)})
	b.Ring(b.now, 3)
	assert.Equal(t, 1, b.Dirty().Waiting(fleet.Rung), "one that was true is believed again")
}

func TestADoubtedBellThatTheListConfirmsDoesNotWaitInTheOrderOfTheList(t *testing.T) {
	t.Parallel()
	b := newBench(t, 10, fleet.NewBells())
	b.pass(time.Minute)
	b.vainly(t, 5, 3, 4)
	changed := []fleet.Listing{{Conversation: 3, Changed: at(b.now)}, {Conversation: 4, Changed: at(b.now)}}
	b.Ring(b.now, 3)
	require.Equal(t, 1, b.Dirty().Waiting(fleet.Doubted))
	b.List(b.now, changed)
	assert.Equal(t, 1, b.Dirty().Waiting(fleet.Rung))
	assert.Equal(t, 1, b.Dirty().Waiting(fleet.Listed))
	b.Ring(b.now, 4)
	assert.Equal(t, 2, b.Dirty().Waiting(fleet.Rung))
}
