package receive

import (
	"context"
	"math"
	"testing"
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

func BenchmarkTellOfAMessage(b *testing.B) {
	ctx := b.Context()
	e := feed.Event{Row: feed.Row{ID: 5003, Conversation: 102, Updated: 1_000_000}}
	for name, w := range map[string]*watch{"none": nil, "all": newWatch([]hooks.Hook{&idle{}})} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var told handling
			for b.Loop() {
				w.begin(ctx, &told, hooks.Events, "", &e, 1)
				w.end(&told, nil)
			}
		})
	}
	b.Run("clock", func(b *testing.B) {
		for b.Loop() {
			_ = time.Since(time.Now())
		}
	})
}
