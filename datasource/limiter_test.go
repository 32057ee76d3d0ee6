package datasource_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
)

// crowd starts n waiters one after another and returns when each was let through, in the order of their arrival.
func crowd(t *testing.T, l datasource.Limiter, n int) []time.Duration {
	t.Helper()
	began := time.Now()
	let := make([]time.Duration, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			assert.NoError(t, l.Wait(t.Context()))
			let[i] = time.Since(began)
		})
		synctest.Wait() // so that arrival is in order
	}
	wg.Wait()
	return let
}

func TestLimiterLetsExactlyNStartInAnyWindowInOrderOfArrival(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		let := crowd(t, datasource.NewLimiter(200, 10*time.Second), 650)
		for i, at := range let {
			assert.Equal(t, time.Duration(i/200)*10*time.Second, at, "request %d", i)
		}
	})
}

func TestLimiterWindowSlides(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n, per = 7, time.Second
		l := datasource.NewLimiter(n, per)
		r := rand.New(rand.NewPCG(5, 6))
		var starts []time.Time
		waited := 0
		for range 500 {
			time.Sleep(time.Duration(r.IntN(250)) * time.Millisecond)
			for range r.IntN(4) {
				asked := time.Now()
				require.NoError(t, l.Wait(t.Context()))
				if time.Now() != asked {
					waited++
					require.Equal(t, per, time.Since(starts[len(starts)-n]), "a wait ends the moment the window has room")
				}
				starts = append(starts, time.Now())
			}
		}
		for i := n; i < len(starts); i++ {
			require.GreaterOrEqual(t, starts[i].Sub(starts[i-n]), per)
		}
		assert.Greater(t, waited, 50, "the test must make it wait")
	})
}

func TestLimiterFailsAtOnceWhenTheDeadlineIsSoonerThanTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := datasource.NewLimiter(2, 10*time.Second)
		crowd(t, l, 2)
		time.Sleep(3 * time.Second)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second-1)
		defer cancel()
		err := l.Wait(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "7s")
		assert.Zero(t, time.Since(began))

		// Two wait for the slots at 7 s; the third would have to wait for a second window.
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { assert.NoError(t, l.Wait(t.Context())) })
		}
		synctest.Wait()
		third, cancelThird := context.WithTimeout(t.Context(), 17*time.Second-1)
		defer cancelThird()
		require.ErrorIs(t, l.Wait(third), context.DeadlineExceeded)
		assert.Zero(t, time.Since(began))
		wg.Wait()
		assert.Equal(t, 7*time.Second, time.Since(began))
		longEnough, cancelLong := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancelLong()
		require.NoError(t, l.Wait(longEnough))
	})
}

func TestACancelledWaitTakesNoSlotAndPassesItsTurnOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("the window was closed")
		l := datasource.NewLimiter(1, 10*time.Second)
		crowd(t, l, 1)
		began := time.Now()
		let := make([]time.Duration, 5)
		var wg sync.WaitGroup
		cancels := make([]context.CancelCauseFunc, 5)
		for i := range 5 {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancels[i] = cancel
			defer cancel(nil)
			wg.Go(func() {
				if err := l.Wait(ctx); err != nil {
					assert.ErrorIs(t, err, context.Canceled)
					assert.ErrorIs(t, err, reason)
					let[i] = -1
					return
				}
				let[i] = time.Since(began)
			})
			synctest.Wait()
		}
		time.Sleep(time.Second)
		cancels[2](reason) // somewhere in the queue
		cancels[0](reason) // at its head
		wg.Wait()
		assert.Equal(t, []time.Duration{-1, 10 * time.Second, -1, 20 * time.Second, 30 * time.Second}, let)
	})
}

func TestAnEndedContextFailsEvenWhenASlotIsFree(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, datasource.NewLimiter(1, time.Second).Wait(ctx), context.Canceled)
	require.ErrorIs(t, datasource.Unlimited().Wait(ctx), context.Canceled)
}

func TestUnlimitedNeverWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, at := range crowd(t, datasource.Unlimited(), 1000) {
			assert.Zero(t, at)
		}
	})
}

func TestALimiterThatCouldNeverLetAnybodyThroughPanics(t *testing.T) {
	t.Parallel()
	assert.Panics(t, func() { datasource.NewLimiter(0, time.Second) })
	assert.Panics(t, func() { datasource.NewLimiter(1, 0) })
}

func TestClientsShareALimiterAndEveryAttemptCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var starts []time.Time
		var mu sync.Mutex
		rt := func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			starts = append(starts, time.Now())
			if len(starts)%3 == 0 {
				return respond(r, 503, ``), nil
			}
			return respond(r, 200, `{"entries":[]}`), nil
		}
		shared := datasource.NewLimiter(10, 10*time.Second)
		var wg sync.WaitGroup
		for range 5 {
			c := through(t, rt, func(cfg *datasource.Config) { cfg.Limiter, cfg.Retry.MaxAttempts = shared, 20 })
			for range 10 {
				wg.Go(func() {
					_, err := c.Find(t.Context(), 1, datasource.Query{})
					assert.NoError(t, err)
				})
			}
		}
		wg.Wait()
		assert.Greater(t, len(starts), 60)
		for i := 10; i < len(starts); i++ {
			assert.GreaterOrEqual(t, starts[i].Sub(starts[i-10]), 10*time.Second)
		}
	})
}

func TestAClientHasTheDocumentedLimitByDefault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := through(t, func(r *http.Request) (*http.Response, error) { return respond(r, 200, `{"entries":[]}`), nil })
		began := time.Now()
		for i := range 401 {
			_, err := c.Find(t.Context(), 1, datasource.Query{})
			require.NoError(t, err)
			require.Equal(t, time.Duration(i/200)*10*time.Second, time.Since(began))
		}
	})
}

func TestAFullLimiterIsNotADoubtfulWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := through(t, func(r *http.Request) (*http.Response, error) { return respond(r, 200, `{"id":1}`), nil },
			func(cfg *datasource.Config) { cfg.Limiter = datasource.NewLimiter(1, time.Hour) })
		_, err := c.Insert(t.Context(), 1, M{})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = c.Insert(ctx, 1, M{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.False(t, datasource.Doubtful(err))
	})
}
