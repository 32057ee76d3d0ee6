package main

import (
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// small is a run that takes a moment.
func small(strategy string, change ...func(*Options)) Options {
	o := options(flag.NewFlagSet("", flag.ContinueOnError))
	o.Strategy = strategy
	o.Users, o.Conversations, o.Bot, o.Rate, o.Sends = 300, 600, 120, 12, 1
	o.Bursts, o.Burst, o.Joins, o.Blocked = 2, 200, 40, 5
	o.For, o.Outage, o.Deletes = 6*time.Minute, 20*time.Second, 0.01
	for _, fn := range change {
		fn(o)
	}
	return *o
}

func played(t *testing.T, o Options) *run {
	t.Helper()
	r := newRun(o, none)
	r.play()
	require.Greater(t, r.oracle.News, 1000)
	assert.Zero(t, r.oracle.Lost, "lost")
	assert.Zero(t, r.oracle.Twice, "twice")
	assert.Zero(t, r.oracle.Disorder, "out of order")
	assert.Zero(t, r.oracle.Stale, "changes that are not told")
	assert.Zero(t, r.oracle.Gaps-min(r.oracle.Gaps, o.Joins), "gaps without a join")
	assert.Zero(t, r.oracle.Blank, "without their content")
	assert.Empty(t, r.oracle.problems)
	if o.Strangers == 0 {
		assert.Zero(t, r.world.refused, "answers of 429")
	}
	return r
}

func TestNoStrategyLosesOrDoublesAMessage(t *testing.T) {
	t.Parallel()
	for name := range strategies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := played(t, small(name))
			assert.Less(t, r.sends.at(.9), 2*time.Second)
			assert.Positive(t, r.oracle.Updates)
		})
	}
}

// Joins, the audit log and queries across are refused in the middle of a run, and come back.
func TestWhatAChooserGoesOnWithLosesNothing(t *testing.T) {
	t.Parallel()
	r := played(t, small("choose", func(o *Options) {
		o.Users, o.Conversations, o.Bot, o.Rate, o.Sends, o.Outages = 40, 60, 20, 1, 0.1, 0
		o.For, o.Refuse = 100*time.Minute, 24*time.Minute
	}))
	for _, kind := range []string{"audit", "look", "across", "read"} {
		assert.Greater(t, r.kinds[kind], 50, kind)
	}
	assert.Equal(t, "audit", r.fleet.Strategy(), "at the end")
}

func TestSendsAfterAnOutageDoNotWaitBehindTheAttemptsThatWereMadeInIt(t *testing.T) {
	t.Parallel()
	r := played(t, small("list", func(o *Options) { o.Sends, o.Outage = 5, 30*time.Second }))
	assert.Greater(t, r.after.n, uint32(100))
	assert.Less(t, r.after.at(.95), 2*time.Second)
}

func (r *run) requests() (n int) {
	for _, k := range r.kinds {
		n += k
	}
	return n
}

func TestBellsThatLieLoseNothingAndCostNoRequests(t *testing.T) {
	t.Parallel()
	quiet := func(o *Options) { o.BellsLost, o.BellsDoubled, o.Outages = 0, 0, 0 }
	honest := played(t, small("bell", quiet))
	assert.Less(t, honest.oracle.delays.at(.9), 2*time.Second)
	for name, lie := range map[string]func(*Options){
		"all lost":    func(o *Options) { o.BellsLost = 1 },
		"all doubled": func(o *Options) { o.BellsDoubled = 1 },
		"as many forged": func(o *Options) {
			o.BellsForged = 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := played(t, small("bell", quiet, lie))
			assert.Less(t, float64(r.requests()), 1.1*float64(honest.requests()))
			if r.bells > 0 {
				assert.Less(t, r.oracle.delays.at(.95), 2*time.Second)
			}
		})
	}
}

// Many more forged bells than true ones, as many for each message as 500 a second for 200.
func TestAFloodOfForgedBellsHoldsUpNoMessage(t *testing.T) {
	t.Parallel()
	for name, flood := range map[string]func(*Options){
		"in all conversations": func(o *Options) { o.Flood = 400 },
		"in one":               func(o *Options) { o.Flood, o.FloodOne = 400, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := played(t, small("bell", func(o *Options) {
				o.Users, o.Conversations, o.Bot, o.Rate, o.For = 2000, 8000, 500, 160, time.Minute
				o.BellsLost, o.BellsDoubled, o.Bursts, o.Joins, o.Blocked, o.Outages = 0, 0, 0, 0, 0, 0
			}, flood))
			assert.Less(t, r.oracle.delays.at(.95), 2*time.Second)
			assert.Less(t, r.sends.at(.99), time.Second)
			if r.opt.FloodOne {
				assert.Greater(t, r.oracle.victims.n, uint32(50))
				assert.Less(t, r.oracle.victims.at(.95), 2*time.Second)
			}
		})
	}
}

func TestAListWhoseTimesDoNotMoveLosesNothing(t *testing.T) {
	t.Parallel()
	played(t, small("list", func(o *Options) { o.Stuck = true }))
}

func TestAnotherProcessAtTheSameLimitCostsTimeOnly(t *testing.T) {
	t.Parallel()
	r := played(t, small("list", func(o *Options) { o.Strangers, o.Limit, o.Outages = 40, 60, 0 }))
	assert.Positive(t, r.world.refused, "the limit has to be met")
}

func TestOneListenerToAllConversationsGetsEverything(t *testing.T) {
	t.Parallel()
	r := played(t, small("list", func(o *Options) { o.Archive, o.Joins, o.Outages = true, 0, 0 }))
	assert.Less(t, r.oracle.first, 30*time.Second)
}

// Bells that ring all the time let reads be merged, and cost no more than a fixed rate.
func TestAListenerToManyConversationsWithBellsTakesTwoRequestsASecondAtMost(t *testing.T) {
	t.Parallel()
	r := played(t, small("bell", func(o *Options) {
		o.Archive, o.Conversations, o.Rate, o.Sends, o.Joins, o.Bursts, o.Blocked, o.Outages = true, 2000, 20, 0, 0, 0, 0, 0
	}))
	assert.LessOrEqual(t, float64(r.requests()), 2*r.opt.For.Seconds())
	assert.Less(t, r.oracle.delays.at(.95), 2*time.Second)
}

func TestNoListenerThatWasBusyGetsAMessageWithoutItsContent(t *testing.T) {
	t.Parallel()
	played(t, small("list", func(o *Options) { o.Contents, o.Failing, o.Blocked = 200, 0.3, 60 }))
}

func TestAWrongClockAndMachinesThatAreBehindLoseNothing(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){
		"behind":             func(o *Options) { o.Behind, o.Lag = 0.5, 30*time.Second },
		"behind, too":        func(o *Options) { o.Behind, o.Lag, o.Seed = 0.5, 30*time.Second, 7 },
		"back by 10 s":       func(o *Options) { o.Back = 10 * time.Second },
		"back by 2 min":      func(o *Options) { o.Back = 2 * time.Minute },
		"stands for a while": func(o *Options) { o.Stand = 40 * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			played(t, small("list", change, func(o *Options) { o.Edits, o.Deletes, o.Outages = 0, 0, 0 }))
		})
	}
}

// Reads by time go back to where the clock was set to, each only once.
func TestAClockThatIsSetBackLosesNothingAndCostsFewRequestsWhereReadsAreByTime(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"single", "across", "cover"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			right := small(strategy, func(o *Options) { o.Edits, o.Deletes, o.Outages = 0, 0, 0 })
			wrong := right
			wrong.Back = 2 * time.Minute
			was := played(t, right).requests()
			is := played(t, wrong).requests()
			assert.LessOrEqual(t, is, was+was/2, "%d without it", was)
		})
	}
}

// What a join has read does not come again from the log, so a listener that is blocked keeps it.
func TestAListenerThatIsBlockedWhileItsUserJoinsLosesNothing(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{3, 7} {
		played(t, small("list", func(o *Options) {
			o.Seed, o.Joins, o.Blocked, o.Bursts, o.Burst = seed, 500, 20, 10, 300
			o.Edits, o.Deletes, o.Outages = 0, 0, 0
		}))
	}
}

func TestTheOracleNoticesWhatIsDoneWrong(t *testing.T) {
	t.Parallel()
	lively := func(o *Options) { o.Edits, o.Bursts, o.Burst, o.Outages = 0.5, 3, 900, 0 }
	for _, c := range []struct {
		name     string
		strategy string
		broken   fault
		change   func(*Options)
		violated func(*run) int
	}{
		{"what becomes visible late is not waited for", "list", noOverlap, nil, func(r *run) int { return r.oracle.Lost }},
		{"listeners get the server's times", "list", serverTimes, nil, func(r *run) int { return r.oracle.Lost }},
		{"a look leaves out a row", "list", shortLooks, nil, func(r *run) int { return r.oracle.Lost }},
		{"pages are lost", "list", lostPages, lively, func(r *run) int { return r.oracle.Lost }},
		{"a page ends beyond itself", "list", pastDeleted, func(o *Options) { lively(o); o.Deletes = 0.05 }, func(r *run) int { return r.oracle.Lost }},
		{"pages are not sorted together", "list", noCollecting, func(o *Options) { lively(o); o.Bursts = 12 }, func(r *run) int { return r.oracle.Disorder }},
		{"nothing is swept", "bell", noSweep, func(o *Options) { o.BellsLost = 0.2 }, func(r *run) int { return r.oracle.Lost }},
		{"slots are free too early", "sweep", earlySlots, func(o *Options) { o.Limit, o.Sends = 20, 4 }, func(r *run) int { return r.world.refused }},
		{"what is forgotten of one conversation is old in all", "sweep", oneFloor, nil, func(r *run) int { return r.oracle.Lost }},
		{"a listener begins again", "list", noPosition, nil, func(r *run) int { return r.oracle.Twice }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := small(c.strategy, func(o *Options) { o.Joins, o.For = 0, 4*time.Minute })
			if c.change != nil {
				c.change(&o)
			}
			sound, broken := newRun(o, none), newRun(o, c.broken)
			sound.play()
			require.Zero(t, c.violated(sound), "without the fault")
			broken.play()
			assert.Positive(t, c.violated(broken))
		})
	}
}
