package receive

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/fliplet/fliplet-chat-go/hooks"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

type idle struct{ n int }

func (c *idle) OnDelivery(hooks.Delivery) { c.n++ }

func (c *idle) OnHandlerStart(ctx context.Context, _ hooks.Delivery) context.Context { return ctx }
func (c *idle) OnHandlerEnd(context.Context, hooks.Delivery, hooks.Outcome)          { c.n++ }

func TestTheLagIsTheTimeSinceTheChangeWhateverAServerSays(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC)
	for _, changed := range []time.Time{
		now, now.Add(-time.Microsecond), now.Add(time.Hour), now.AddDate(-200, 0, 0), now.AddDate(200, 0, 0),
		{}, now.AddDate(7000, 0, 0), time.UnixMicro(math.MaxInt64), time.UnixMicro(math.MinInt64),
	} {
		want := now.Sub(changed).Truncate(time.Microsecond)
		assert.Equal(t, want, since(changed.UnixMicro(), now.UnixMicro()), "%v", changed)
	}
}

// ends is a hook that keeps what it is told when handlers end.
type ends struct{ lags, took []time.Duration }

func (n *ends) OnHandlerStart(ctx context.Context, _ hooks.Delivery) context.Context { return ctx }
func (n *ends) OnHandlerEnd(_ context.Context, d hooks.Delivery, o hooks.Outcome) {
	n.lags, n.took = append(n.lags, d.Lag), append(n.took, o.Duration)
}

func TestLagsAndDurationsAreExactHoweverFewReadingsOfTheClockTheyTake(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	skip := func(told *handling) { told.turn(); time.Sleep(5 * ms) } // it was none for the listener
	wait := func(told *handling) { told.waits(); time.Sleep(70 * ms) }
	handle := func(open, body time.Duration) func(*handling) {
		return func(told *handling) {
			told.turn()
			time.Sleep(open)
			told.begin(t.Context(), &feed.Event{Row: feed.Row{Updated: 946684800_000000}}) // the bubble's first moment
			time.Sleep(body)
			told.end(nil)
		}
	}
	for name, c := range map[string]struct {
		steps      []func(*handling)
		lags, took []time.Duration
	}{
		"one after the other":     {[]func(*handling){handle(0, 3*ms), handle(0, 0), handle(2*ms, 4*ms)}, []time.Duration{0, 3 * ms, 3 * ms}, []time.Duration{3 * ms, 0, 6 * ms}},
		"after a wait":            {[]func(*handling){handle(0, 3*ms), wait, handle(ms, 0)}, []time.Duration{0, 73 * ms}, []time.Duration{3 * ms, ms}},
		"after one that was none": {[]func(*handling){handle(0, 3*ms), skip, handle(ms, 0), skip, skip, handle(0, 0)}, []time.Duration{0, 8 * ms, 19 * ms}, []time.Duration{3 * ms, ms, 0}},
		"after a long one":        {[]func(*handling){handle(0, time.Hour), handle(0, ms), handle(0, 2*ms)}, []time.Duration{0, time.Hour, time.Hour + ms}, []time.Duration{time.Hour, ms, 2 * ms}},
		"without a turn": {[]func(*handling){handle(0, ms), func(told *handling) {
			time.Sleep(ms)
			told.begin(t.Context(), &feed.Event{Row: feed.Row{Updated: 946684800_000000}})
			told.end(nil)
		}}, []time.Duration{0, 2 * ms}, []time.Duration{ms, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen := &ends{}
				told := newWatch([]hooks.Hook{seen}).handling(hooks.Stream, "", 1)
				for _, step := range c.steps {
					step(&told)
				}
				assert.Equal(t, c.lags, seen.lags)
				assert.Equal(t, c.took, seen.took)
			})
		})
	}
}

func BenchmarkTellOfAMessage(b *testing.B) {
	ctx := b.Context()
	e := feed.Event{Row: feed.Row{ID: 5003, Conversation: 102, Updated: 1_000_000}}
	for name, w := range map[string]*watch{"none": nil, "all": newWatch([]hooks.Hook{&idle{}})} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			told := w.handling(hooks.Events, "", 1)
			for b.Loop() {
				told.turn()
				told.begin(ctx, &e)
				told.end(nil)
			}
		})
	}
	b.Run("clock", func(b *testing.B) {
		for b.Loop() {
			_ = time.Since(time.Now())
		}
	})
}
