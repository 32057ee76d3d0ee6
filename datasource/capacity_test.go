package datasource_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// Whatever the numbers become, no window has more starts than the largest that held in it.
func TestAWindowKeepsToEveryNumberThatItIsGiven(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			const per = 10 * time.Second
			r := rand.New(rand.NewPCG(seed, 3))
			l := datasource.NewLimiter(50, per)
			var mu sync.Mutex
			var starts []time.Time
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for range 80 {
				wg.Go(func() {
					for l.Wait(ctx) == nil {
						mu.Lock()
						starts = append(starts, time.Now())
						mu.Unlock()
					}
				})
			}
			type change struct {
				at time.Time
				n  int
			}
			changes := []change{{time.Now(), 50}}
			for range 200 {
				time.Sleep(time.Duration(r.IntN(4000)) * time.Millisecond)
				synctest.Wait()
				now := time.Now()
				mu.Lock()
				recent := 0
				for _, at := range starts {
					if now.Sub(at) < per {
						recent++
					}
				}
				mu.Unlock()
				c := datasource.Capacity{N: r.IntN(60)}
				if r.IntN(2) == 0 {
					c.Until, c.Then = now.Add(time.Duration(r.IntN(6000))*time.Millisecond), r.IntN(60)
				}
				assert.Equal(t, recent, l.Resize(c), "how many have started")
				changes = append(changes, change{now, c.N})
				if !c.Until.IsZero() {
					changes = append(changes, change{c.Until, c.Then}) // too much after the next change, which only allows more
				}
			}
			cancel()
			wg.Wait()
			require.Greater(t, len(starts), 500)
			for i, at := range starts {
				n := 0
				for _, s := range starts[:i+1] {
					if at.Sub(s) < per {
						n++
					}
				}
				most, before := 0, change{}
				for _, c := range changes {
					if !c.at.After(at) && (c.at.After(at.Add(-per)) || !c.at.Before(before.at)) {
						if c.at.After(at.Add(-per)) {
							most = max(most, c.n)
						} else {
							before = c
						}
					}
				}
				require.LessOrEqual(t, n, max(most, before.n), "seed %d, start %d", seed, i)
			}
		})
	}
}

func TestANumberThatHasEndedIsNotUsedEvenWhenNobodySaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := datasource.NewLimiter(1, time.Second)
		l.Resize(datasource.Capacity{N: 100, Until: time.Now().Add(5 * time.Second), Then: 2})
		_, of, _ := l.Load()
		assert.Equal(t, 100, of)
		time.Sleep(5 * time.Second)
		let := crowd(t, l, 6)
		assert.Equal(t, []time.Duration{0, 0, time.Second, time.Second, 2 * time.Second, 2 * time.Second}, let)
		_, of, _ = l.Load()
		assert.Equal(t, 2, of)
	})
}

func TestWaitsGoOnWhenThereIsRoomAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := datasource.NewLimiter(5, time.Second)
		l.Resize(datasource.Capacity{N: 0})
		assert.Positive(t, l.Delay())
		began := time.Now()
		time.AfterFunc(3*time.Second, func() { l.Resize(datasource.Capacity{N: 0, Until: began.Add(7 * time.Second), Then: 2}) })
		assert.Equal(t, []time.Duration{7 * time.Second, 7 * time.Second, 8 * time.Second}, crowd(t, l, 3))
		assert.Zero(t, datasource.Unlimited().Resize(datasource.Capacity{}))
		require.NoError(t, datasource.Unlimited().Wait(t.Context()))
	})
}

func TestADeadlineIsJudgedByWhatThereMayBeSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := datasource.NewLimiter(1, 10*time.Second)
		crowd(t, l, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, l.Wait(ctx), datasource.ErrNoSlot)
		assert.Zero(t, time.Since(began))
		l.Resize(datasource.Capacity{N: 1, Hope: 3})
		time.AfterFunc(2*time.Second, func() { l.Resize(datasource.Capacity{N: 3}) })
		require.NoError(t, l.Wait(ctx))
		assert.Equal(t, 2*time.Second, time.Since(began))
	})
}

func TestAWindowThatHasFailedLetsNobodyThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		over := errors.New("it is over")
		l := datasource.NewLimiter(1, 10*time.Second)
		crowd(t, l, 1)
		time.AfterFunc(time.Second, func() { l.Fail(over) })
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { assert.ErrorIs(t, l.Wait(t.Context()), over) })
		}
		wg.Wait()
		time.Sleep(time.Minute)
		require.ErrorIs(t, l.Wait(t.Context()), over)
		_, _, waiting := l.Load()
		assert.Zero(t, waiting)
	})
}

// plain is a Limiter that knows no turns.
type plain struct{ asked atomic.Int64 }

func (p *plain) Wait(context.Context) error { p.asked.Add(1); return nil }
func (p *plain) Delay() time.Duration       { return 3 * time.Second }
func (p *plain) Load() (int, int, int)      { return 1, 2, 3 }

// choosy is one that does, and is not well.
type choosy struct {
	plain
	mu    sync.Mutex
	turns []datasource.Turn
}

func (c *choosy) WaitTurn(_ context.Context, t datasource.Turn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turns = append(c.turns, t)
	return nil
}
func (c *choosy) DelayTurn(datasource.Turn) time.Duration { return 4 * time.Second }
func (c *choosy) Err() error                              { return errors.New("half of it") }

func TestALimiterFromOutsideIsAskedAndOneThatTakesTurnsIsToldWhose(t *testing.T) {
	t.Parallel()
	rt := func(r *http.Request) (*http.Response, error) { return respond(r, 200, `{"id":1,"entries":[]}`), nil }
	one := new(plain)
	c := through(t, rt, func(cfg *datasource.Config) { cfg.Limiter = one })
	_, err := c.Find(t.Context(), 1, datasource.Query{})
	require.NoError(t, err)
	assert.EqualValues(t, 1, one.asked.Load())
	assert.Equal(t, 3*time.Second, c.Delay())
	assert.Same(t, one, c.Limiter())
	require.NoError(t, c.LimiterErr())

	other := new(choosy)
	c = through(t, rt, func(cfg *datasource.Config) { cfg.Limiter = other })
	view := c.View()
	_, err = c.Find(t.Context(), 1, datasource.Query{})
	require.NoError(t, err)
	_, err = view.Insert(t.Context(), 1, M{})
	require.NoError(t, err)
	_, err = view.Find(datasource.AskAgain(t.Context()), 1, datasource.Query{})
	require.NoError(t, err)
	_, err = view.Find(datasource.Unhurried(t.Context()), 1, datasource.Query{})
	require.NoError(t, err)
	_, err = view.Insert(datasource.InClass(t.Context(), datasource.ClassMark), 1, M{})
	require.NoError(t, err)
	_, err = view.Find(datasource.InClass(datasource.AskAgain(t.Context()), datasource.ClassIndex), 1, datasource.Query{})
	require.NoError(t, err)
	_, err = view.Insert(datasource.InClass(datasource.Unhurried(t.Context()), datasource.ClassSend), 1, M{})
	require.NoError(t, err)
	var classes []datasource.Class
	for _, turn := range other.turns {
		classes = append(classes, turn.Class())
	}
	assert.Equal(t, []datasource.Class{datasource.ClassOther, datasource.ClassSend, datasource.ClassLive, datasource.ClassBackground,
		datasource.ClassMark, datasource.ClassIndex, datasource.ClassBackground}, classes)
	assert.False(t, other.turns[0].SameCaller(other.turns[1]))
	assert.True(t, other.turns[1].SameCaller(other.turns[2]))
	assert.Zero(t, other.asked.Load())
	assert.Equal(t, 4*time.Second, view.Delay())
	require.EqualError(t, view.LimiterErr(), "half of it")
}

func TestANilWindowIsTheDefault(t *testing.T) {
	t.Parallel()
	var none *datasource.Window
	c := through(t, func(r *http.Request) (*http.Response, error) { return respond(r, 200, `{"entries":[]}`), nil },
		func(cfg *datasource.Config) { cfg.Limiter = none })
	_, of, _ := c.Limiter().Load()
	assert.Equal(t, 200, of)
	assert.Zero(t, none.Delay())
}
