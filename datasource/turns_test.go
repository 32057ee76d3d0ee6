package datasource_test

import (
	"context"
	"fmt"
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

// visits notes who made which request.
type visits struct {
	mu sync.Mutex
	at []time.Time
	by []string
}

func (v *visits) RoundTrip(r *http.Request) (*http.Response, error) {
	v.mu.Lock()
	v.at = append(v.at, time.Now())
	v.by = append(v.by, r.URL.Path)
	v.mu.Unlock()
	return respond(r, 200, `{"id":1,"entries":[],"data":{}}`), nil
}

// since counts the requests to a data source from a moment on.
func (v *visits) since(from time.Time, source int64) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, path := range v.by {
		if !v.at[i].Before(from) && path == fmt.Sprintf("/v1/data-sources/%d/data/query", source) {
			n++
		}
	}
	return n
}

func shared(t *testing.T, n int, per time.Duration) (*visits, *datasource.Client) {
	t.Helper()
	v := new(visits)
	return v, through(t, v.RoundTrip, func(cfg *datasource.Config) { cfg.Limiter = datasource.NewLimiter(n, per) })
}

// asking makes n reads at once, and returns a function that waits for them.
func asking(ctx context.Context, t *testing.T, c *datasource.Client, source int64, n int) func() {
	t.Helper()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			_, err := c.Find(ctx, source, datasource.Query{})
			assert.NoError(t, err)
		})
	}
	synctest.Wait()
	return wg.Wait
}

func TestCallersTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, c := shared(t, 200, 10*time.Second)
		began := time.Now()
		var waits []func()
		for i := range int64(10) { // the first asks for most, and before all others
			waits = append(waits, asking(t.Context(), t, c.View(), i+1, 1000-100*int(i)))
		}
		time.Sleep(30 * time.Second)
		var counts []int
		for i := range int64(10) {
			counts = append(counts, v.since(began.Add(10*time.Second), i+1))
		}
		for i, n := range counts[1:] {
			assert.InDelta(t, 40, n, 8, "caller %d of %v", i+2, counts)
		}
		for _, wait := range waits {
			wait()
		}
	})
}

func TestWhoComesNowAndThenDoesNotWaitBesideABulk(t *testing.T) {
	t.Parallel()
	for _, bulks := range []int{1, 4, 20} {
		synctest.Test(t, func(t *testing.T) {
			_, c := shared(t, 200, 10*time.Second)
			rare := c.View()
			var waits []func()
			for i := range bulks {
				waits = append(waits, asking(t.Context(), t, c.View(), int64(i+1), 4000/bulks))
			}
			if bulks > 7 { // in the first window all of them are newcomers
				time.Sleep(10 * time.Second)
			}
			for range 40 {
				began := time.Now()
				_, err := rare.Find(t.Context(), 99, datasource.Query{})
				require.NoError(t, err)
				assert.Zero(t, time.Since(began), "%d bulks", bulks)
				time.Sleep(2*time.Second + 100*time.Millisecond)
			}
			for _, wait := range waits {
				wait()
			}
		})
	}
}

func TestTheLateAreNotShutOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, c := shared(t, 200, 10*time.Second)
		began := time.Now()
		export := asking(datasource.Unhurried(t.Context()), t, c.View(), 1, 100)
		end, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range int64(60) { // together they want far more than there is
			one := c.View()
			wg.Go(func() {
				for end.Err() == nil {
					_, err := one.Find(t.Context(), 2+i, datasource.Query{})
					assert.NoError(t, err)
				}
			})
		}
		time.Sleep(50 * time.Second)
		n := v.since(began, 1)
		assert.GreaterOrEqual(t, n, 50, "five or six without a rule for them; how many with it depends on who is first at the same moment")
		stop()
		wg.Wait()
		export()
	})
}

func TestUnhurriedRequestsComeAfterTheirCallersOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, c := shared(t, 200, 10*time.Second)
		one := c.View()
		export := asking(datasource.Unhurried(t.Context()), t, one, 1, 400)
		time.Sleep(5 * time.Second)
		at := time.Now()
		asking(t.Context(), t, one, 2, 10)()
		assert.Zero(t, time.Since(at))
		export()
		assert.Equal(t, 400, v.since(time.Time{}, 1))
	})
}

// Sends, polls and other reads of one View.
func TestWhatOneViewDoesTakesTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, c := shared(t, 200, 10*time.Second)
		one := c.View()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				_, err := one.Insert(t.Context(), 1, M{})
				assert.NoError(t, err)
			})
		}
		reads := asking(t.Context(), t, one, 2, 500)
		for range 20 {
			at := time.Now()
			_, err := one.Find(datasource.AskAgain(t.Context()), 3, datasource.Query{})
			require.NoError(t, err)
			assert.Zero(t, time.Since(at))
			time.Sleep(2*time.Second + 100*time.Millisecond)
		}
		reads()
		wg.Wait()
	})
}

// Whatever they want, and whoever gives up, no window has more starts than allowed, and nobody waits for ever.
func TestTurnsKeepToTheLimit(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			n := []int{1, 2, 7, 20, 200}[r.IntN(5)]
			v, c := shared(t, n, 10*time.Second)
			views := []*datasource.Client{c, c.View(), c.View(), c.View()}
			var wg sync.WaitGroup
			made, asked := 0, 0
			var mu sync.Mutex
			for range 30 {
				one, ctx := views[r.IntN(len(views))], t.Context()
				switch r.IntN(5) {
				case 0:
					ctx = datasource.Unhurried(ctx)
				case 1:
					ctx = datasource.AskAgain(ctx)
				}
				var patience time.Duration
				if r.IntN(3) == 0 {
					patience = time.Duration(r.IntN(30_000)) * time.Millisecond
				}
				write := r.IntN(2) == 0
				for range 1 + r.IntN(n) {
					asked++
					wg.Go(func() {
						ctx := ctx
						if patience > 0 {
							var cancel context.CancelFunc
							ctx, cancel = context.WithTimeout(ctx, patience)
							defer cancel()
						}
						var err error
						if write {
							_, err = one.Insert(ctx, 1, M{})
						} else {
							_, err = one.Find(ctx, 1, datasource.Query{})
						}
						if patience > 0 && err != nil {
							assert.ErrorIs(t, err, datasource.ErrNoSlot)
							return
						}
						assert.NoError(t, err)
						mu.Lock()
						made++
						mu.Unlock()
					})
				}
				time.Sleep(time.Duration(r.IntN(5000)) * time.Millisecond)
			}
			wg.Wait()
			assert.Len(t, v.at, made)
			assert.LessOrEqual(t, made, asked)
			for i := n; i < len(v.at); i++ {
				require.GreaterOrEqual(t, v.at[i].Sub(v.at[i-n]), 10*time.Second, "seed %d, request %d of %d in a window", seed, i, n)
			}
			assert.Zero(t, max(0, c.Limiter().Delay()-10*time.Second))
		})
	}
}

func TestDelayIsThatOfTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, c := shared(t, 200, 10*time.Second)
		busy, rare := c.View(), c.View()
		assert.Zero(t, busy.Delay())
		wait := asking(t.Context(), t, busy, 1, 300)
		assert.Greater(t, busy.Delay(), 10*time.Second)
		assert.Zero(t, rare.Delay())
		assert.Zero(t, c.Limiter().Delay())
		wait()
	})
}

func TestASendStartsAtOnceBesideThePollsOfAThousandViews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, c := shared(t, 200, 10*time.Second)
		ctx, cancel := context.WithCancel(datasource.AskAgain(t.Context()))
		var wg sync.WaitGroup
		for i := range int64(1000) {
			one := c.View()
			wg.Go(func() {
				for ctx.Err() == nil {
					_, _ = one.Find(ctx, 1000+i, datasource.Query{})
				}
			})
		}
		var worst time.Duration
		for range 120 {
			began := time.Now()
			_, err := c.View().Insert(t.Context(), 1, M{})
			require.NoError(t, err)
			worst = max(worst, time.Since(began))
			time.Sleep(500 * time.Millisecond)
		}
		assert.Less(t, worst, 100*time.Millisecond)
		v.mu.Lock()
		assert.Greater(t, len(v.at), 6*170, "the polls get what the sends leave")
		v.mu.Unlock()
		cancel()
		wg.Wait()
	})
}

// limited refuses requests with 429 until a moment, and notes when any came.
type limited struct {
	visits
	until time.Time
	named bool
}

func (f *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f.visits.RoundTrip(r)
	if time.Now().Before(f.until) {
		header := []string{"Date", time.Now().UTC().Format(http.TimeFormat)}
		if f.named {
			header = append(header, "Retry-After", fmt.Sprint(int(time.Until(f.until)/time.Second)))
		}
		return respond(r, http.StatusTooManyRequests, `{}`, header...), nil
	}
	return resp, err
}

func TestAfterARefusalNobodyStartsBeforeTheDateAndThenHalfAsMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := &limited{until: began.Add(7 * time.Second), named: true}
		l := datasource.NewLimiter(200, 10*time.Second)
		c := through(t, f.RoundTrip, func(cfg *datasource.Config) { cfg.Limiter = l })
		_, err := c.View().Find(t.Context(), 1, datasource.Query{})
		require.NoError(t, err)
		_, of, _ := l.Load()
		assert.Less(t, of, 110, "half of it, and what has grown since")
		f.until = time.Time{}
		require.Len(t, f.at, 2)
		assert.GreaterOrEqual(t, f.at[1].Sub(began), 7*time.Second)
		time.Sleep(3 * time.Minute)
		_, of, _ = l.Load()
		assert.Equal(t, 200, of)

		again := time.Now()
		f.until = again.Add(7 * time.Second)
		refused := asking(t.Context(), t, c.View(), 1, 1)
		var others []func()
		for i := range int64(20) { // of others, who were not refused
			others = append(others, asking(t.Context(), t, c.View(), 2+i, 5))
		}
		time.Sleep(7*time.Second - 1)
		f.mu.Lock()
		assert.Len(t, f.at, 3, "before the date nobody else comes")
		f.mu.Unlock()
		refused()
		for _, wait := range others {
			wait()
		}
		f.mu.Lock()
		assert.Len(t, f.at, 104)
		f.mu.Unlock()
	})
}

func TestARefusalOfWhatHasALimitOfItsOwnHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &limited{until: time.Now().Add(time.Hour), named: true}
		l := datasource.NewLimiter(200, 10*time.Second)
		c := through(t, f.RoundTrip, func(cfg *datasource.Config) { cfg.Limiter = l })
		require.ErrorIs(t, c.Ping(t.Context()), datasource.ErrRateLimited)
		_, of, _ := l.Load()
		assert.Equal(t, 200, of)
		assert.Zero(t, l.Delay())
	})
}

// farAway refuses requests with a date that is far away, as long as it likes to.
type farAway struct {
	visits
	until time.Time
}

func (f *farAway) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f.visits.RoundTrip(r)
	if time.Now().Before(f.until) {
		return respond(r, http.StatusTooManyRequests, `{"nextValidRequestDate":"9999-01-01T00:00:00Z"}`,
			"Date", time.Now().UTC().Format(http.TimeFormat)), nil
	}
	return resp, err
}

// outcome is when a call has ended, and how.
type outcome struct {
	after time.Duration
	err   error
}

// calling makes a call for each of so many Views, and returns a function that waits for what became of them.
func calling(ctx context.Context, c *datasource.Client, n int) func() []outcome {
	all := make([]outcome, n)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range all {
		wg.Go(func() {
			_, err := c.View().Find(ctx, int64(1+i), datasource.Query{})
			all[i] = outcome{time.Since(began), err}
		})
	}
	synctest.Wait()
	return func() []outcome { wg.Wait(); return all }
}

func TestADateThatIsFarAwayAndForgedHoldsUpTheOthersForAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &farAway{until: time.Now().Add(time.Second)}
		c := through(t, f.RoundTrip, func(cfg *datasource.Config) { cfg.Limiter = datasource.NewLimiter(200, 10*time.Second) })
		first := calling(t.Context(), c, 3)
		time.Sleep(10 * time.Second)
		others := calling(t.Context(), c, 20)
		time.Sleep(50*time.Second - 1)
		f.mu.Lock()
		assert.LessOrEqual(t, len(f.at), 3, "nobody comes before the probe")
		f.mu.Unlock()
		for _, o := range append(first(), others()...) {
			require.NoError(t, o.err)
			assert.Less(t, o.after, 62*time.Second)
		}
	})
}

func TestADateThatIsFarAwayHoldsWhileOneRequestAMinuteIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := &farAway{until: began.Add(10 * time.Minute)}
		l := datasource.NewLimiter(200, 10*time.Second)
		c := through(t, f.RoundTrip, func(cfg *datasource.Config) { cfg.Limiter = l })
		first := calling(t.Context(), c, 1)
		time.Sleep(10 * time.Second)
		others := calling(t.Context(), c, 20)
		soon, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		_, err := c.View().Find(soon, 1, datasource.Query{})
		cancel()
		require.ErrorIs(t, err, datasource.ErrNoSlot, "before the next probe")
		assert.Equal(t, 10*time.Second, time.Since(began), "at once")
		require.ErrorIs(t, first()[0].err, datasource.ErrRateLimited)
		for _, o := range others() {
			require.ErrorIs(t, o.err, datasource.ErrRateLimited)
			assert.Less(t, o.after, 4*2*time.Minute, "whoever has no deadline does not wait for ever: 4 attempts")
		}
		for time.Until(f.until) > 30*time.Second { // those who try again and again, with a deadline
			within, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			_, err := c.View().Find(within, 1, datasource.Query{})
			cancel()
			assert.Error(t, err)
			time.Sleep(time.Second)
		}
		f.mu.Lock()
		n := len(f.at)
		assert.InDelta(t, 10, n, 2, "one a minute")
		for i := 1; i < n; i++ {
			assert.GreaterOrEqual(t, f.at[i].Sub(f.at[i-1]), time.Minute)
		}
		f.mu.Unlock()
		time.Sleep(time.Minute)
		for _, o := range calling(t.Context(), c, 20)() {
			require.NoError(t, o.err)
			assert.Zero(t, o.after, "the probe was answered")
		}
	})
}
