package fleet_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
	"github.com/fliplet/fliplet-chat-go/internal/fleet"
)

func TestNoWindowOfTheServerSeesMoreThanItAllows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n, per = 40, 10 * time.Second
		g := fleet.NewGate(fleet.NewBudget(fleet.BudgetConfig{N: n, Per: per}))
		var mu sync.Mutex
		rnd := rand.New(rand.NewPCG(3, 4))
		way := func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return time.Duration(rnd.Int64N(int64(2 * time.Second)))
		}
		var arrived []time.Time
		var wg sync.WaitGroup
		for i := range 400 {
			wg.Go(func() {
				if err := g.Wait(t.Context(), fleet.Class(i%5), "somebody"); err != nil {
					return
				}
				time.Sleep(way())
				mu.Lock()
				arrived = append(arrived, time.Now())
				mu.Unlock()
				time.Sleep(way())
				g.Ended(0)
			})
		}
		wg.Wait()
		require.Len(t, arrived, 400)
		for i := n; i < len(arrived); i++ {
			require.GreaterOrEqual(t, arrived[i].Sub(arrived[i-n]), per)
		}
	})
}

func TestASendNeverWaitsBehindPolls(t *testing.T) {
	t.Parallel()
	b := fleet.NewBudget(fleet.BudgetConfig{})
	now := epoch
	for range 1000 {
		b.Ask(fleet.Live, "")
		b.Ask(fleet.Backfill, "archive")
	}
	var running []time.Time
	worst := time.Duration(0)
	for ; now.Before(epoch.Add(time.Minute)); now = now.Add(100 * time.Millisecond) {
		for len(running) > 0 && !now.Before(running[0].Add(time.Second)) {
			running = running[1:]
			b.Ended(now)
		}
		for {
			if _, _, _, ok := b.Next(now); !ok {
				break
			}
			running = append(running, now)
		}
		sent := b.Ask(fleet.Sends, "jane") // ten a second, which is half of what there is
		for wait := now; ; wait = wait.Add(100 * time.Millisecond) {
			ticket, class, _, ok := b.Next(wait)
			if ok {
				running = append(running, wait)
				if class == fleet.Sends && ticket == sent {
					worst = max(worst, wait.Sub(now))
					break
				}
			}
			for len(running) > 0 && !wait.Before(running[0].Add(time.Second)) {
				running = running[1:]
				b.Ended(wait)
			}
			require.Less(t, wait.Sub(now), time.Minute)
		}
	}
	assert.Less(t, worst, 2*time.Second)
}

// granted counts how many requests of each class start when all want more than there is.
func granted(b *fleet.Budget, n int) map[fleet.Class]int {
	out := map[fleet.Class]int{}
	now := epoch
	for range n {
		for {
			_, class, at, ok := b.Next(now)
			if ok {
				out[class]++
				b.Ended(now)
				break
			}
			now = at
		}
	}
	return out
}

func TestClassesShareByTheirWeights(t *testing.T) {
	t.Parallel()
	b := fleet.NewBudget(fleet.BudgetConfig{})
	for range 1000 {
		for _, c := range []fleet.Class{fleet.Live, fleet.Index, fleet.Marks, fleet.Backfill} {
			b.Ask(c, "")
		}
	}
	got := granted(b, 600)
	assert.InDelta(t, 320, got[fleet.Live], 10)
	assert.InDelta(t, 160, got[fleet.Index], 10)
	assert.InDelta(t, 80, got[fleet.Marks], 10)
	assert.InDelta(t, 40, got[fleet.Backfill], 10)
}

func TestUsersOfOneClassTakeTurns(t *testing.T) {
	t.Parallel()
	b := fleet.NewBudget(fleet.BudgetConfig{})
	for range 100 {
		b.Ask(fleet.Sends, "bulk")
	}
	jane := b.Ask(fleet.Sends, "jane")
	b.Next(epoch)
	second, _, _, ok := b.Next(epoch)
	require.True(t, ok)
	assert.Equal(t, jane, second)
}

func TestARefusalIsWaitedOutAndFollowedByLess(t *testing.T) {
	t.Parallel()
	b := fleet.NewBudget(fleet.BudgetConfig{})
	b.Ask(fleet.Sends, "jane")
	b.Refused(epoch, epoch.Add(3*time.Second))
	b.Refused(epoch, epoch.Add(2*time.Second)) // of the same moment
	_, _, at, ok := b.Next(epoch.Add(2 * time.Second))
	assert.False(t, ok, "not even a send")
	assert.Equal(t, epoch.Add(3*time.Second), at)
	_, of := b.Load()
	assert.Equal(t, 133, of)
	_, _, _, ok = b.Next(epoch.Add(3 * time.Second))
	assert.True(t, ok)
	b.Next(epoch.Add(13 * time.Second))
	_, of = b.Load()
	assert.InDelta(t, 153, of, 1, "it grows slowly")
	b.Next(epoch.Add(time.Hour))
	_, of = b.Load()
	assert.Equal(t, 200, of)
	b.Refused(epoch.Add(time.Hour), epoch.Add(100*time.Hour))
	_, _, at, _ = b.Next(epoch.Add(time.Hour))
	assert.Equal(t, epoch.Add(time.Hour+time.Minute), at, "nobody silences it for longer than a minute")
}

func TestAWaitAtTheGateEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := fleet.NewGate(fleet.NewBudget(fleet.BudgetConfig{N: 1, Per: time.Second}))
		require.NoError(t, g.Wait(t.Context(), fleet.Sends, "a"))
		reason := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { assert.ErrorIs(t, g.Wait(ctx, fleet.Sends, "a"), reason) })
		synctest.Wait()
		cancel(reason)
		wg.Wait()
		g.Ended(0)
		began := time.Now()
		require.NoError(t, g.Wait(t.Context(), fleet.Live, ""))
		assert.Equal(t, time.Second, time.Since(began), "the one that has left took no slot")
		g.Ended(0)
	})
}

// store is a server of one conversation.
type store struct {
	mu   sync.Mutex
	rows []feed.Row
	down bool
	asks atomic.Int64
}

func (s *store) Ask(ctx context.Context, r fleet.Request) (fleet.Answer, error) {
	s.asks.Add(1)
	time.Sleep(100 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := fleet.Answer{Clock: at(time.Now())}
	switch {
	case s.down:
		return a, errors.New("down")
	case r.Kind == fleet.List:
		a.Listed = []fleet.Listing{{Conversation: 1, Created: 1, Users: []int32{5}}}
		if n := len(s.rows); n > 0 {
			a.Listed[0].Changed = s.rows[n-1].Updated
		}
	case r.Kind == fleet.Look:
		for i := len(s.rows) - 1; i >= max(0, len(s.rows)-r.Limits[0]); i-- {
			a.Rows = append(a.Rows, s.rows[i])
		}
	default:
		for _, row := range s.rows {
			if (feed.Key{Time: row.Updated, ID: row.ID}).Compare(r.After) > 0 {
				a.Rows = append(a.Rows, row)
			}
		}
	}
	return a, ctx.Err()
}

func TestADriverTellsWhatIsNewAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, log := &store{}, fleet.NewLog(fleet.LogConfig{})
		var changed, moved atomic.Int64
		d := fleet.NewDriver(fleet.DriverConfig{
			Fleet: fleet.Config{Since: at(time.Now())}, Log: log, Source: s, Strategy: fleet.NewBells(),
			Judge:   func(error) fleet.Failure { return fleet.Failure{} },
			Changed: func(ids []int64) { changed.Add(int64(len(ids))) },
			Moved:   func(users map[int32]bool) { moved.Add(int64(len(users))) },
			Gate:    fleet.NewGate(fleet.NewBudget(fleet.BudgetConfig{})),
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { d.Run(ctx) })
		time.Sleep(10 * time.Second)
		assert.Equal(t, int64(1), moved.Load())
		say := func(id int64) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.rows = append(s.rows, row(id, 1, time.Now()))
		}
		say(1)
		d.Ring(1)
		time.Sleep(time.Second)
		assert.Equal(t, int64(1), changed.Load(), "a bell is answered within a second")
		s.mu.Lock()
		s.down = true
		s.mu.Unlock()
		say(2)
		d.Sent(1)
		time.Sleep(time.Minute)
		assert.Equal(t, int64(1), changed.Load())
		s.mu.Lock()
		s.down = false
		s.mu.Unlock()
		time.Sleep(12 * time.Second)
		assert.Equal(t, int64(2), changed.Load(), "an outage is over soon after its end")
		before := s.asks.Load()
		time.Sleep(time.Hour)
		assert.Less(t, s.asks.Load()-before, int64(1300), "a quiet fleet asks little")
		cancel()
		wg.Wait()
	})
}
