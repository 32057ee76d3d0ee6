package budget_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/budget"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type (
	shared = budget.Budget[string, string]
	ticket = budget.Ticket[string, string]
)

func documented() *shared {
	return budget.New[string, string](budget.Config{N: 200, Per: 10 * time.Second})
}

// player plays a budget on virtual time.
type player struct {
	*shared
	now  time.Time
	let  map[*ticket]time.Time
	each func(*ticket)    // is told of each start
	tide func() time.Time // asks for what is due, and says when it wants to again
}

func play(b *shared) *player { return &player{shared: b, now: epoch, let: map[*ticket]time.Time{}} }

func (p *player) ask(class budget.Class, user string) *ticket {
	return p.Ask(p.now, user, class, true, "")
}

// until lets everything start that may up to a moment.
func (p *player) until(end time.Time) {
	for {
		var wave time.Time
		if p.tide != nil {
			wave = p.tide()
		}
		t, at, ok := p.Next(p.now)
		if !ok && !wave.IsZero() && (at.IsZero() || wave.Before(at)) {
			at = wave
		}
		switch {
		case ok:
			p.let[t] = p.now
			if p.each != nil {
				p.each(t)
			}
		case at.IsZero() || at.After(end):
			p.now = end
			return
		case !at.After(p.now):
			panic(fmt.Sprintf("it asks to be asked again at once, at %s", at.Sub(epoch)))
		default:
			p.now = at
		}
	}
}

func (p *player) sleep(d time.Duration) { p.until(p.now.Add(d)) }

func TestASendNeverWaitsBehindAThousandPolls(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{1, 5, 10} {
		t.Run(fmt.Sprintf("%d sends a second", rate), func(t *testing.T) {
			t.Parallel()
			p := play(documented())
			polls := 0
			p.each = func(t *ticket) {
				if t.Class == budget.Live {
					polls++
					p.ask(budget.Live, t.Value) // again and again
				}
			}
			for i := range 1000 {
				p.Ask(p.now, fmt.Sprint(i), budget.Live, true, fmt.Sprint(i))
			}
			asked := map[*ticket]time.Time{}
			for range 120 * rate {
				p.sleep(time.Second / time.Duration(rate))
				asked[p.ask(budget.Sends, fmt.Sprint("sender ", len(asked)%50))] = p.now
			}
			p.sleep(time.Second)
			worst := time.Duration(0)
			for s, at := range asked {
				require.False(t, p.let[s].IsZero(), "it got no slot")
				worst = max(worst, p.let[s].Sub(at))
			}
			assert.Less(t, worst, 100*time.Millisecond)
			assert.Greater(t, polls+len(asked), 12*175, "the polls get what the sends leave")
		})
	}
}

// classCounts is how many requests of each class start in five minutes, when users of all of
// them want more than there is.
func classCounts(users int) map[budget.Class]int {
	p := play(documented())
	counts := map[budget.Class]int{}
	p.each = func(t *ticket) {
		counts[t.Class]++
		p.Ask(p.now, t.Value, t.Class, true, t.Value)
	}
	for _, c := range []budget.Class{budget.Live, budget.Index, budget.Marks, budget.Backfill} {
		for u := range users {
			p.Ask(p.now, fmt.Sprint(u), c, true, fmt.Sprint(u))
		}
	}
	p.sleep(5 * time.Minute)
	return counts
}

func TestClassesShareByTheirWeights(t *testing.T) {
	t.Parallel()
	for _, users := range []int{1, 20, 500} {
		got := classCounts(users)
		each := float64(got[budget.Live]) / 8
		assert.Greater(t, got[budget.Live], 2500, "%d users", users)
		assert.InEpsilon(t, 4*each, got[budget.Index], 0.1, "%d users: %v", users, got)
		assert.InEpsilon(t, 2*each, got[budget.Marks], 0.1, "%d users: %v", users, got)
		assert.InEpsilon(t, each, got[budget.Backfill], 0.3, "%d users: %v", users, got)
	}
}

func TestUsersOfOneClassAreEqualHoweverMuchTheyAskFor(t *testing.T) {
	t.Parallel()
	for c := range budget.Marks + 1 {
		p := play(documented())
		counts := map[string]int{}
		p.each = func(t *ticket) { counts[t.Value]++ }
		for u := range 20 {
			for range 200 * (u + 1) { // the last wants twenty times as much as the first
				p.Ask(p.now, fmt.Sprint(u), c, true, fmt.Sprint(u))
			}
		}
		p.sleep(2 * time.Minute)
		least, most := 1<<30, 0
		for u := range 20 {
			least, most = min(least, counts[fmt.Sprint(u)]), max(most, counts[fmt.Sprint(u)])
		}
		assert.LessOrEqual(t, most-least, 5, "%s: %d to %d", c, least, most)
		assert.Greater(t, least, 80, "%s", c)
	}
}

func TestARefusalIsWaitedOutByAllAndFollowedByHalfWhichGrowsSlowly(t *testing.T) {
	t.Parallel()
	p := play(documented())
	rate := func() int {
		p.sleep(time.Nanosecond)
		_, of, _ := p.Load(p.now)
		return of
	}
	p.Refused(p.now, p.now.Add(3*time.Second))
	p.Refused(p.now, p.now.Add(2*time.Second)) // one that was under way at the same time
	var waiting []*ticket
	for _, c := range []budget.Class{budget.Sends, budget.Live, budget.Other} {
		waiting = append(waiting, p.ask(c, "jane"))
	}
	p.sleep(3*time.Second - 1)
	assert.Empty(t, p.let, "not even a send")
	p.sleep(time.Second)
	assert.Len(t, p.let, len(waiting))
	for _, at := range p.let {
		assert.Equal(t, 3*time.Second, at.Sub(epoch))
	}
	assert.Equal(t, 102, rate(), "half, and what a second adds")
	p.sleep(9 * time.Second)
	assert.InDelta(t, 120, rate(), 1)
	p.sleep(time.Hour)
	assert.Equal(t, 200, rate())
	for range 50 {
		p.Refused(p.now, time.Time{})
		p.sleep(2 * time.Second)
	}
	assert.InDelta(t, 10, rate(), 5, "something is left")
	at := p.ask(budget.Sends, "jane")
	p.sleep(20 * time.Second)
	assert.Contains(t, p.let, at)
}

// A moment that is far away may be wrong, or named by nobody who knows. So one request a minute
// asks whether it still holds, the most urgent one.
func TestARefusalForLongHoldsWhileOneProbeAMinuteIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		named  time.Duration
		answer func(p *player, probe int) // after a second
		probes []time.Duration
		ends   time.Duration // of the hold
	}{
		{"all probes are refused with the same moment", 150 * time.Second, func(p *player, _ int) { p.Refused(p.now, epoch.Add(150*time.Second)) },
			[]time.Duration{time.Minute}, 150 * time.Second},
		{"a probe is answered", 100 * 365 * 24 * time.Hour, func(p *player, n int) {
			if n < 3 {
				p.Refused(p.now, epoch.Add(100*365*24*time.Hour))
				return
			}
			p.Answered(p.now, p.now.Add(-time.Second))
		}, []time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute}, 181 * time.Second},
		{"a probe is told an earlier moment", 5 * time.Hour, func(p *player, n int) { p.Refused(p.now, p.now.Add(20*time.Second)) },
			[]time.Duration{time.Minute}, 81 * time.Second},
		{"a probe is told a later one", 150 * time.Second, func(p *player, n int) { p.Refused(p.now, epoch.Add(5*time.Minute)) },
			[]time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute}, 5 * time.Minute},
		{"a probe is refused without a moment", 190 * time.Second, func(p *player, n int) { p.Refused(p.now, time.Time{}) },
			[]time.Duration{time.Minute, 2 * time.Minute}, 190 * time.Second},
		{"probes get no answer", 150 * time.Second, func(*player, int) {}, []time.Duration{time.Minute}, 150 * time.Second},
		{"what started before is answered", 150 * time.Second, func(p *player, _ int) { p.Answered(p.now, epoch.Add(-time.Second)) },
			[]time.Duration{time.Minute}, 150 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := play(documented())
			p.ask(budget.Other, "jane")
			p.sleep(0)
			p.Refused(p.now, p.now.Add(c.named))
			p.Answered(p.now, p.now) // of what was under way
			clear(p.let)
			for u := range 20 {
				for _, class := range []budget.Class{budget.Backfill, budget.Live, budget.Other, budget.Sends} {
					p.ask(class, fmt.Sprint(u))
				}
			}
			for i, probe := range c.probes {
				p.until(epoch.Add(probe - 1))
				require.Len(t, p.let, i, "before probe %d", i+1)
				p.until(epoch.Add(probe))
				require.Len(t, p.let, i+1, "probe %d", i+1)
				p.sleep(time.Second)
				c.answer(p, i+1)
			}
			if last := epoch.Add(c.ends - 1); last.After(p.now) {
				p.until(last)
			}
			assert.Len(t, p.let, len(c.probes), "it is held to the end")
			for probe := range p.let {
				assert.Equal(t, budget.Sends, probe.Class, "the most urgent")
			}
			p.until(epoch.Add(c.ends))
			assert.Greater(t, len(p.let), 20, "it has ended")
			_, of, _ := p.Load(p.now)
			assert.InDelta(t, 100, of, 2, "half as many")
		})
	}
}

func TestADeadlineIsMetByTheNextProbeOfALongHold(t *testing.T) {
	t.Parallel()
	p := play(documented())
	p.Refused(p.now, p.now.Add(time.Hour))
	assert.Equal(t, time.Minute, p.Expect(p.now, "jane", budget.Sends, 200))
	p.sleep(50 * time.Second)
	assert.Equal(t, 10*time.Second, p.Expect(p.now, "jane", budget.Sends, 200))
	p.sleep(10 * time.Minute)
	assert.Zero(t, p.Expect(p.now, "jane", budget.Sends, 200), "the next one is the probe")
	s := p.ask(budget.Sends, "jane")
	p.sleep(0)
	assert.Contains(t, p.let, s)
	p.sleep(49 * time.Minute)
	p.sleep(time.Second)
	assert.Equal(t, 9*time.Second, p.Expect(p.now, "jane", budget.Sends, 200), "the moment itself is next")
}

// What an outage has made wait finds slots when it is over, however often it was tried.
func TestWhileNothingIsAnsweredRequestsStartOneByOne(t *testing.T) {
	t.Parallel()
	p := play(documented())
	up := false
	starts := 0
	p.each = func(t *ticket) {
		if starts++; !up {
			p.Unanswered(p.now)
			p.Ask(p.now, t.Value, t.Class, true, t.Value) // again, at once
			return
		}
		p.Answered(p.now, p.now)
	}
	for u := range 150 {
		p.Ask(p.now, fmt.Sprint(u), budget.Sends, true, fmt.Sprint(u))
	}
	p.Ask(p.now, "fleet", budget.Live, true, "fleet")
	p.sleep(30 * time.Second)
	starts = 0
	p.sleep(10 * time.Second)
	assert.InDelta(t, 20, starts, 1, "in a window")
	up, starts = true, 0
	p.sleep(500 * time.Millisecond)
	assert.Greater(t, starts, 140, "the first answer lets the others start")
	p.sleep(2 * time.Second)
	_, _, waiting := p.Load(p.now)
	assert.Zero(t, waiting)

	p.each = nil
	for range 100 { // that fail at one moment
		p.Unanswered(p.now)
	}
	p.ask(budget.Sends, "jane")
	p.ask(budget.Sends, "jane")
	p.sleep(0)
	_, _, waiting = p.Load(p.now)
	assert.Zero(t, waiting, "a connection that breaks is no outage")
}

func TestARefusalWithoutAMomentHoldsNothingUp(t *testing.T) {
	t.Parallel()
	p := play(documented())
	for range 10 { // of the same moment
		p.Refused(p.now, time.Time{})
	}
	s := p.ask(budget.Sends, "jane")
	p.sleep(0)
	assert.Contains(t, p.let, s)
	_, of, _ := p.Load(p.now)
	assert.Equal(t, 100, of)
}

// Whatever is asked for, left, refused and resized: no window has more than it may have, and
// whoever stays gets a slot.
func TestNoWindowHasMoreThanItMayAndNobodyWaitsForEver(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 9))
		n := []int{1, 2, 7, 40, 200}[r.IntN(5)]
		held := r.IntN(2) == 0
		const per = 10 * time.Second
		p := play(budget.New[string, string](budget.Config{N: n, Per: per, Held: held}))
		var starts, running []*ticket
		var at []time.Time
		p.each = func(t *ticket) { starts, running, at = append(starts, t), append(running, t), append(at, p.now) }
		end := func() {
			for len(running) > 0 && (r.IntN(3) > 0) {
				if r.IntN(20) == 0 && held {
					p.Unused(running[0])
					i := slices.Index(starts, running[0])
					starts, at = slices.Delete(starts, i, i+1), slices.Delete(at, i, i+1)
				} else {
					p.Ended(p.now, running[0])
				}
				running = running[1:]
			}
		}
		var waiting []*ticket
		for range 300 {
			switch r.IntN(12) {
			case 0:
				p.Refused(p.now, p.now.Add(time.Duration(r.IntN(20_000))*time.Millisecond))
			case 1:
				p.Resize(p.now, []int{0, n / 2, n}[r.IntN(3)])
			case 2:
				if len(waiting) > 0 {
					i := r.IntN(len(waiting))
					p.Leave(waiting[i])
					p.Leave(waiting[i])
					waiting = slices.Delete(waiting, i, i+1)
				}
			default:
				for range r.IntN(n/2 + 2) {
					waiting = append(waiting, p.ask(budget.Class(r.IntN(6)), fmt.Sprint(r.IntN(4))))
				}
			}
			p.sleep(time.Duration(r.IntN(4000)) * time.Millisecond)
			end()
			if r.IntN(100) == 0 {
				p.sleep(time.Hour)
			}
		}
		p.Resize(p.now, n)
		for range 10_000 {
			if _, _, left := p.Load(p.now); left == 0 {
				break
			}
			p.sleep(time.Second)
			end()
		}
		for _, w := range waiting {
			require.False(t, p.let[w].IsZero(), "seed %d: a request of %s got no slot", seed, w.Class)
		}
		for i := n; i < len(at); i++ {
			require.GreaterOrEqual(t, at[i].Sub(at[i-n]), per, "seed %d, start %d", seed, i)
		}
	}
}

// A slot of a budget that is held is taken while its request is under way, and for a window
// after that, since the server counts it at a moment in between.
func TestNoWindowOfTheServerSeesMoreThanItAllows(t *testing.T) {
	t.Parallel()
	const n, per = 40, 10 * time.Second
	r := rand.New(rand.NewPCG(3, 4))
	p := play(budget.New[string, string](budget.Config{N: n, Per: per, Held: true}))
	type event struct {
		at time.Time
		of *ticket
	}
	var ends []event
	var arrived []time.Time
	p.each = func(t *ticket) {
		there := p.now.Add(time.Duration(r.Int64N(int64(2 * time.Second))))
		arrived = append(arrived, there)
		ends = append(ends, event{there.Add(time.Duration(r.Int64N(int64(2 * time.Second)))), t})
	}
	for i := range 400 {
		p.ask(budget.Class(i%6), "somebody")
	}
	for len(arrived) < 400 || len(ends) > 0 {
		p.sleep(10 * time.Millisecond)
		ends = slices.DeleteFunc(ends, func(e event) bool {
			over := !e.at.After(p.now)
			if over {
				p.Ended(p.now, e.of)
			}
			return over
		})
		require.Less(t, p.now.Sub(epoch), time.Hour)
	}
	slices.SortFunc(arrived, time.Time.Compare)
	for i := n; i < len(arrived); i++ {
		require.GreaterOrEqual(t, arrived[i].Sub(arrived[i-n]), per)
	}
}

func TestBackfillComesOneByOneHoweverManyUsersAskForTheirFirst(t *testing.T) {
	t.Parallel()
	p := play(documented())
	p.ask(budget.Other, "jane")
	p.sleep(time.Second)
	for u := range 500 {
		p.ask(budget.Backfill, fmt.Sprint(u))
	}
	p.sleep(0)
	assert.Len(t, p.let, 2)
	p.sleep(time.Second)
	assert.Len(t, p.let, 22, "50 ms apart")
}

// Sends that are late have their part from then on, and nothing of the time before.
func TestABulkOfSendsHasItsPartAndCatchesUpOnNothing(t *testing.T) {
	t.Parallel()
	p := play(documented())
	counts := map[budget.Class]int{}
	p.each = func(t *ticket) {
		counts[t.Class]++
		if t.Class == budget.Live {
			p.Ask(p.now, t.Value, t.Class, true, t.Value)
		}
	}
	for u := range 100 {
		p.Ask(p.now, fmt.Sprint(u), budget.Live, true, fmt.Sprint(u))
	}
	p.sleep(time.Hour)
	for range 5000 {
		p.ask(budget.Sends, "bulk")
	}
	p.sleep(20 * time.Second)
	clear(counts)
	p.sleep(2 * time.Minute)
	assert.InEpsilon(t, counts[budget.Live], counts[budget.Sends], 0.1, "%v", counts)
	assert.Greater(t, counts[budget.Live], 1000)
}

func TestWhoIsAloneHasAllSlotsAtOnce(t *testing.T) {
	t.Parallel()
	p := play(documented())
	for range 650 {
		p.Ask(p.now, "", budget.Other, false, "")
	}
	p.sleep(0)
	assert.Len(t, p.let, 200)
	p.sleep(20 * time.Second)
	assert.Len(t, p.let, 600)
}

// The others wait for sends, but sends alone do not shut them out.
func TestMoreSendsThanThereIsRoomForLeaveAFewSlotsToTheOthers(t *testing.T) {
	t.Parallel()
	p := play(documented())
	counts := map[budget.Class]int{}
	p.each = func(t *ticket) {
		counts[t.Class]++
		p.Ask(p.now, t.Value, t.Class, true, t.Value)
	}
	for u := range 300 {
		p.Ask(p.now, fmt.Sprint(u), budget.Sends, true, fmt.Sprint(u))
	}
	p.Ask(p.now, "fleet", budget.Live, true, "fleet")
	p.sleep(5 * time.Minute)
	assert.Greater(t, counts[budget.Sends], 9*counts[budget.Live])
	assert.Greater(t, counts[budget.Live], 100)
}

// The cost of a decision does not grow with those who wait.
func TestADecisionLooksAtNoMoreThanTheClassesHoweverManyWait(t *testing.T) {
	t.Parallel()
	for _, users := range []int{10, 1000, 10_000} {
		p := play(documented())
		for u := range users {
			for c := range budget.Marks + 1 {
				p.ask(c, fmt.Sprint(u))
			}
		}
		decisions := 0
		for range 1000 {
			_, at, ok := p.Next(p.now)
			if decisions++; ok {
				continue
			}
			if at.IsZero() {
				break
			}
			p.now = at
		}
		assert.LessOrEqual(t, p.Looks(), 2*6*decisions, "%d users", users)
	}
}

func BenchmarkStart(b *testing.B) {
	for _, users := range []int{1, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("%d users wait", users), func(b *testing.B) {
			p := play(documented())
			for u := range users {
				p.ask(budget.Live, fmt.Sprint(u))
			}
			for b.Loop() {
				for {
					t, at, ok := p.Next(p.now)
					if ok {
						p.Ask(p.now, t.Value, t.Class, true, t.Value)
						break
					}
					p.now = at
				}
			}
		})
	}
}
